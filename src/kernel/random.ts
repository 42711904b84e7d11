import { native, syscall } from './native.ts';

/**
 * Random bytes, good for keys, without node:crypto: loading that takes a tenth of the time that a plugin's process has.
 * @see getrandom(2)
 */
export function randomBytes(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  syscall('random bytes', () => native.random(bytes));
  return bytes;
}
