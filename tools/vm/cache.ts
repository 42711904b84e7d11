import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where kernels and snapshots are kept: `$NETLOOM_VM_CACHE`; for root /var/cache/netloom-vm, which tests that run as
 * nobody can read; for others below `$XDG_CACHE_HOME`.
 */
export function cacheDir(): string {
  const { NETLOOM_VM_CACHE: own, XDG_CACHE_HOME: caches } = process.env;
  if (own) return own;
  if (process.getuid?.() === 0) return '/var/cache/netloom-vm';
  return join(caches || join(homedir(), '.cache'), 'netloom-vm');
}

/** As `cacheDir`, and it exists and can be written. @throws VmError */
export function makeCache(): string {
  const dir = cacheDir();
  try {
    mkdirSync(dir, { recursive: true });
    accessSync(dir, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new VmError(`the cache ${dir} cannot be written (${code}): set NETLOOM_VM_CACHE, or fill it as root`);
  }
  return dir;
}

/** Something that the virtual machine needs is not there, or it did not come up: one line, with the cure. */
export class VmError extends Error {
  override readonly name = 'VmError';
}
