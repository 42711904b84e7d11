import { NetloomError } from '../errors.ts';

/** Above every key that begins so, by the bytes of UTF-8: this is the highest code point. */
export function endOf(prefix: string): string {
  return `${prefix}\u{10ffff}`;
}

/** What a body may still do with its transaction. @throws NetloomError ESTORETX */
export function requireUsable(active: boolean, allowed = true): void {
  if (!active)
    throw new NetloomError('ESTORETX', 'this transaction of the store has ended: use it only inside its body');
  if (!allowed) throw new NetloomError('ESTORETX', 'this transaction of the store can only read');
}
