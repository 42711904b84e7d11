import { parseIp } from '../addr/index.ts';
import type { Loan } from '../cluster/index.ts';
import { leaseKey, whyTaken } from '../ipam/index.ts';
import type { Network } from '../model/index.ts';
import type { Tx } from '../store/index.ts';
import type { Core } from './core.ts';
import { type Lent, LENT, isWithin, lentOf } from './lent.ts';
import { leasingOf } from './overlay.ts';

/**
 * Keeps an address for another host, so that nobody here gets it.
 * @returns why that cannot be, in words; `kept` where it was that one's already
 */
export async function setAside(
  tx: Tx,
  network: Network,
  address: string,
  loan: Loan,
): Promise<'new' | 'kept' | { readonly refused: string }> {
  const lent = await lentOf(tx, network);
  if (lent[address]?.nodeId === loan.nodeId) return 'kept';
  const refused = await whyTaken(tx, leasingOf(network, lent), parseIp(address));
  if (refused !== undefined) return { refused };
  await tx.put(LENT + network.id, { ...lent, [address]: loan } satisfies Lent);
  return 'new';
}

/** An address is this host's again. */
export async function takeBack(tx: Tx, network: string, address: string): Promise<void> {
  const { [address]: gone, ...rest } = (await tx.get<Lent>(LENT + network)) ?? {};
  if (gone && Object.keys(rest).length === 0) await tx.delete(LENT + network);
  else if (gone) await tx.put(LENT + network, rest satisfies Lent);
}

/**
 * What whoever had these parts before has lent of them stays lent. The caller has the turn of `TAKING`, and nothing was given
 * out of parts that are new.
 */
export async function adoptLoans(
  core: Core,
  network: string,
  node: string,
  prefixes: readonly string[],
  loans: ReadonlyMap<string, Loan>,
): Promise<void> {
  const theirs = [...loans].filter(([address, loan]) => loan.node !== node && isWithin(prefixes, parseIp(address)));
  if (theirs.length === 0) return;
  await core.store.transact(async (tx) => {
    const lent = (await tx.get<Lent>(LENT + network)) ?? {};
    const more: Record<string, Loan> = {};
    for (const [address, loan] of theirs) {
      // what somebody here has, as after etcd was put back to an earlier state, its borrower gives back by itself
      if (!lent[address] && (await tx.get(leaseKey(network, parseIp(address)))) === undefined) more[address] = loan;
    }
    if (Object.keys(more).length > 0) await tx.put(LENT + network, { ...lent, ...more } satisfies Lent);
  });
}
