import type { KeyObject } from 'node:crypto';
import { NetloomError } from '../errors.ts';

/** Bytes of a key, private or public. @see RFC 7748 section 5 */
export const KEY_LENGTH = 32;

/** Loaded when first needed: that takes a tenth of the time that a plugin's process has. */
export const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');

/** A new private key, in base64 as wg(8) writes it. */
export function generatePrivateKey(): string {
  const { privateKey } = crypto().generateKeyPairSync('x25519');
  return Buffer.from(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8.length)).toString('base64');
}

/** The public key of a private one, both in base64. @throws NetloomError EBADKEY */
export function publicKeyOf(privateKey: string): string {
  const der = crypto().createPublicKey(privateObject(privateKey)).export({ format: 'der', type: 'spki' });
  return der.subarray(SPKI.length).toString('base64');
}

/** What two hosts alone can compute. @throws NetloomError EBADKEY, also where the public key is one that gives all the same secret */
export function sharedSecret(privateKey: string, publicKey: string): Buffer {
  const ours = privateObject(privateKey);
  const theirs = crypto().createPublicKey({
    key: Buffer.concat([SPKI, keyBytes(publicKey)]),
    format: 'der',
    type: 'spki',
  });
  try {
    return crypto().diffieHellman({ privateKey: ours, publicKey: theirs });
  } catch (cause) {
    throw new NetloomError('EBADKEY', `${publicKey} is no public key of X25519`, { cause });
  }
}

/** The bytes of a key in base64. The text is told in no error: it may be a secret. @throws NetloomError EBADKEY */
export function keyBytes(key: string): Buffer {
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length === KEY_LENGTH && bytes.toString('base64') === key) return bytes;
  throw new NetloomError(
    'EBADKEY',
    `a key is ${KEY_LENGTH} bytes in base64, and this is none (${key.length} letters)`,
    {
      hint: 'wg genkey and wg pubkey write such keys',
    },
  );
}

function privateObject(key: string): KeyObject {
  return crypto().createPrivateKey({ key: Buffer.concat([PKCS8, keyBytes(key)]), format: 'der', type: 'pkcs8' });
}

/** What stands before the key's own bytes in DER. @see RFC 8410 sections 4 and 7 */
const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');
