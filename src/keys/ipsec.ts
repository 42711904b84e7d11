import { NetloomError } from '../errors.ts';
import { readKeyOf } from './file.ts';
import { crypto, keyBytes, sharedSecret } from './x25519.ts';

/** One direction between two hosts in one network, by all that is public of it. */
export interface EspDirection {
  /** The network's id. */
  readonly network: string;
  readonly from: EspEnd;
  readonly to: EspEnd;
}
export interface EspEnd {
  /** In base64. */
  readonly publicKey: string;
  /** What the host drew by lot when it last started or changed its keys: 16 bytes in base64. */
  readonly epoch: string;
}

/** Bytes of an epoch: two hosts, or one twice, never draw the same. */
export const EPOCH_LENGTH = 16;
/** AES-256, and behind it the four bytes that begin each nonce. @see RFC 4106 section 8.1 */
export const ESP_KEY_LENGTH = 36;

/** A new epoch. */
export function drawEpoch(): string {
  return crypto().randomBytes(EPOCH_LENGTH).toString('base64');
}

/**
 * The key of one direction: HKDF over what the two hosts share by X25519, salted by both epochs, bound to the network and to
 * who sends to whom. docs/adr/0007-keys.md says why it is sound.
 * @param privateKey of either end @see RFC 5869 @throws NetloomError EBADKEY
 */
export function espKey(direction: EspDirection, privateKey: string, theirs: string): Buffer {
  const salt = Buffer.concat([epochBytes(direction.from.epoch), epochBytes(direction.to.epoch)]);
  const secret = sharedSecret(privateKey, theirs);
  return Buffer.from(crypto().hkdfSync('sha256', secret, salt, infoOf('esp key', direction), ESP_KEY_LENGTH));
}

/** As `espKey`, of a host whose private key is in a file. */
export function espKeyOf(direction: EspDirection, sends: boolean, keyFile: string): Buffer {
  const [own, other] = sends ? [direction.from, direction.to] : [direction.to, direction.from];
  return espKey(direction, readKeyOf(keyFile, own.publicKey), other.publicKey);
}

/**
 * The SPI of one direction, which both ends know without asking each other. Public, as it stands in every packet. Below 256
 * they are reserved. @see RFC 4303 section 2.1
 */
export function espSpi(direction: EspDirection): number {
  const hash = crypto().createHash('sha256');
  hash.update(epochBytes(direction.from.epoch)).update(epochBytes(direction.to.epoch));
  const spi = hash.update(infoOf('esp spi', direction)).digest().readUInt32BE(0);
  return spi < 256 ? spi + 256 : spi;
}

/** All of it is of a length of its own but the network's id, which comes last. */
function infoOf(what: string, { network, from, to }: EspDirection): Buffer {
  return Buffer.concat([
    Buffer.from(`netloom 1 ${what}\0`),
    keyBytes(from.publicKey),
    keyBytes(to.publicKey),
    Buffer.from(network),
  ]);
}

function epochBytes(epoch: string): Buffer {
  const bytes = Buffer.from(epoch, 'base64');
  if (bytes.length === EPOCH_LENGTH && bytes.toString('base64') === epoch) return bytes;
  throw new NetloomError('EBADKEY', `"${epoch}" is no epoch of a host: ${EPOCH_LENGTH} bytes in base64`);
}
