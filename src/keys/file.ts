import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { generatePrivateKey, keyBytes, publicKeyOf } from './x25519.ts';

/** The private key in a file, in base64 as wg(8) takes it. @throws NetloomError EBADKEY, with the path and never the content */
export function readKeyFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new NetloomError('EBADKEY', `the key file ${path} cannot be read: ${codeOf(cause)}`, { cause });
  }
  try {
    keyBytes(text);
  } catch (cause) {
    throw new NetloomError('EBADKEY', `${path} holds no private key: 32 bytes in base64`, { cause });
  }
  return text;
}

/**
 * As `readKeyFile`, of a host that has told others the public key. @throws NetloomError EBADKEY where the file holds
 * another key's: whoever was told would get nothing through
 */
export function readKeyOf(path: string, publicKey: string): string {
  const key = readKeyFile(path);
  const own = publicKeyOf(key);
  if (own === publicKey) return key;
  throw new NetloomError('EBADKEY', `${path} holds the private key of ${own}, and others were told ${publicKey}`, {
    hint: 'publish the public key again, or bring the file back',
  });
}

/**
 * Makes a key in a file that only its owner reads, where there is none yet; of several who do so at once one wins. It is on
 * disk before it is anybody's. @returns the public key
 */
export function ensureKeyFile(path: string): string {
  writeOnce(path, () => `${generatePrivateKey()}\n`);
  return publicKeyOf(readKeyFile(path));
}

/** A path in the directory that no key had yet: `1.key`, and behind it `2.key`. Nothing is made. */
export function nextKeyFile(directory: string): string {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const numbers = names.map((name) => Number(/^(\d+)\.key/.exec(name)?.[1] ?? 0));
  return join(directory, `${Math.max(0, ...numbers) + 1}.key`);
}

/** Forgets every key of a directory but one, and of that one what was used in other epochs than these. */
export function keepKey(keyFile: string, epochs: readonly string[] = []): void {
  const directory = dirname(keyFile);
  const own = basename(keyFile);
  for (const name of existsSync(directory) ? readdirSync(directory) : [])
    if (name !== own && name !== `${own}.used`) rmSync(join(directory, name), { recursive: true, force: true });
  const kept = new Set(epochs.map((epoch) => epochDirectory(keyFile, epoch)));
  for (const name of existsSync(`${keyFile}.used`) ? readdirSync(`${keyFile}.used`) : []) {
    const used = join(`${keyFile}.used`, name);
    if (!kept.has(used)) rmSync(used, { recursive: true, force: true });
  }
}

/** Forgets every key of a directory. */
export function forgetKeys(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/**
 * Says that a key is about to be used, the first time it is said; false ever after. Kept beside the key file, by epoch of
 * its host: a directory each, which goes with `keepKey`. An epoch is of one boot of the machine: in another, which may
 * have lost what was claimed last before, no key of it is used.
 * @param word names the key, in letters that a file may have
 * @param boot names the boot
 */
export function claimUse(keyFile: string, epoch: string, word: string, boot: string): boolean {
  const directory = epochDirectory(keyFile, epoch);
  const of = join(directory, BOOT);
  // one look is enough, as a rule: thousands of keys are claimed in a row
  if (!existsSync(of)) writeOnce(of, () => boot);
  if (readFileSync(of, 'utf8') !== boot) return false;
  try {
    closeSync(openSync(join(directory, word), 'wx', 0o600));
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Whether keys of an epoch were used: not yet, in this boot, or in another, after which none of it may be used again. */
export function useOf(keyFile: string, epoch: string, boot: string): 'none' | 'now' | 'before' {
  const directory = epochDirectory(keyFile, epoch);
  if (!existsSync(join(directory, BOOT))) return 'none';
  if (readFileSync(join(directory, BOOT), 'utf8') !== boot) return 'before';
  return readdirSync(directory).length > 1 ? 'now' : 'none';
}

/** Takes a claim back whose key was not used after all. */
export function dropClaim(keyFile: string, epoch: string, word: string): void {
  rmSync(join(epochDirectory(keyFile, epoch), word), { force: true });
}

function epochDirectory(keyFile: string, epoch: string): string {
  return join(`${keyFile}.used`, Buffer.from(epoch, 'base64').toString('hex'));
}

/** A file that whoever comes first writes, whole and on disk, or not at all. */
function writeOnce(path: string, text: () => string): void {
  const directory = dirname(path);
  const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  rmSync(draft, { force: true });
  try {
    const fd = openSync(draft, 'wx', 0o600);
    try {
      writeSync(fd, text());
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    try {
      linkSync(draft, path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  for (let at = directory; ; at = dirname(at)) {
    const fd = openSync(at, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (made === undefined || at === dirname(made) || at === dirname(at)) return;
  }
}
/** Beside the claims of an epoch: the boot that it is of. */
const BOOT = 'boot';

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
