import { contains, type Ip, parsePrefix } from '../addr/index.ts';
import type { Loan } from '../cluster/index.ts';
import type { Network } from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';

/**
 * `networks/lent/<network>`: what this host has lent to others of the parts that it gives out. As durable as the parts: a host
 * that reboots without etcd must not give it to anybody else.
 */
export const LENT = 'networks/lent/';
/** `borrowed/<network>/<address>`: what others have lent to this host. */
export const BORROWED = 'borrowed/';

/** By address. */
export type Lent = Readonly<Record<string, Loan>>;

export function borrowedKey(network: string, address: string): string {
  return `${BORROWED}${network}/${address}`;
}

export async function lentOf(tx: ReadTx, { id, overlay }: Pick<Network, 'id' | 'overlay'>): Promise<Lent> {
  return (overlay?.plan === 'flat' && (await tx.get<Lent>(LENT + id))) || {};
}

export async function forgetLoans(tx: Tx, network: string): Promise<void> {
  await tx.delete(LENT + network);
  for (const { key } of await tx.list(`${BORROWED}${network}/`)) await tx.delete(key);
}

export function isWithin(prefixes: readonly string[], ip: Ip): boolean {
  return prefixes.some((prefix) => contains(parsePrefix(prefix), ip));
}
