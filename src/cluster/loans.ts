import { parseIp, withoutLength } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { ownerOf, type PrefixClaim } from './prefixes.ts';
import { type AliveRecord, SHARED, type SharedEndpoint, type SharedNetwork } from './records.ts';

/**
 * An address that a node asks for by name, in a part that another gives out. That one answers by a loan, with which the wish
 * goes, or by saying in it why not.
 */
export interface Wish extends PrefixClaim {
  /** Drawn for each: an answer to another is none to this. */
  readonly request: string;
  /** The network's id. */
  readonly network: string;
  readonly address: string;
  readonly owner: PrefixClaim;
  /** Why not, in words: `container web has it`. */
  readonly refused?: string;
}

/** Who has an address of another's part, until it is given back. */
export type Loan = PrefixClaim;

/** What became of a wish. */
export type Answer = 'lent' | 'silent' | { readonly refused: string };

export function wishKey({ network, request }: Pick<Wish, 'network' | 'request'>): string {
  return `${SHARED.wishes}${network}/${request}`;
}
export function loanKey(network: string, address: string): string {
  return `${SHARED.loans}${network}/${address}`;
}

/** Every loan of a network, by its address. */
export async function loansOf(tx: ReadTx, network: string): Promise<ReadonlyMap<string, Loan>> {
  const root = `${SHARED.loans}${network}/`;
  return new Map((await tx.list<Loan>(root)).map(({ key, value }) => [key.slice(root.length), value]));
}

/**
 * Asks for an address whoever gives it out.
 * @returns the wish; undefined where its part is nobody's, or the asking node's own
 * @throws NetloomError ENETWORKNOTFOUND, ENODESILENT where the owner is not heard of
 */
export async function wishFor(
  tx: Tx,
  network: SharedNetwork,
  address: string,
  { node, nodeId }: PrefixClaim,
  request: string,
): Promise<Wish | undefined> {
  const { id, name } = network;
  if ((await tx.get(SHARED.networks + id)) === undefined)
    throw new NetloomError('ENETWORKNOTFOUND', `network "${name}" was removed`);
  const owner = await ownerOf(tx, network, parseIp(address));
  if (!owner || owner.nodeId === nodeId) return undefined;
  const alive = await tx.get<AliveRecord>(SHARED.alive + owner.node);
  if (alive?.id !== owner.nodeId) {
    throw new NetloomError(
      'ENODESILENT',
      `address ${address} of network ${name} is in a part that node ${owner.node} gives out, which is down`,
      { hint: `start netloom there, take another address, or take it out: netloom node rm ${owner.node}` },
    );
  }
  const wish: Wish = { request, network: id, address, node, nodeId, owner };
  await tx.create(wishKey(wish), wish);
  return wish;
}

/** Ends a wish, whatever became of it: what is answered from then on reaches nobody. */
export async function endWish(tx: Tx, wish: Wish): Promise<Answer> {
  const now = await tx.get<Wish>(wishKey(wish));
  if (now) {
    await tx.delete(wishKey(wish));
    return now.refused === undefined ? 'silent' : { refused: now.refused };
  }
  const loan = await tx.get<Loan>(loanKey(wish.network, wish.address));
  return loan?.nodeId === wish.nodeId ? 'lent' : 'silent';
}

/**
 * Lends an address. The caller gives it out, and has set it aside: from then on it is whoever's has the loan.
 * @returns `silent` where nobody waits any more
 */
export async function lend(tx: Tx, network: SharedNetwork, wish: Wish): Promise<Answer> {
  const now = await tx.get<Wish>(wishKey(wish));
  if (!now || now.refused !== undefined) return 'silent';
  const { node, nodeId } = wish;
  const owner = await ownerOf(tx, network, parseIp(wish.address));
  const loan = await tx.get<Loan>(loanKey(network.id, wish.address));
  const refused =
    owner?.nodeId !== wish.owner.nodeId
      ? `node ${wish.owner.node} does not give it out any more`
      : loan && loan.nodeId !== nodeId
        ? `node ${loan.node} has it`
        : undefined;
  if (refused !== undefined) return { refused };
  await tx.put(loanKey(network.id, wish.address), { node, nodeId } satisfies Loan);
  await tx.delete(wishKey(wish));
  return 'lent';
}

/** Says why an address is not lent. */
export async function refuse(tx: Tx, wish: Wish, refused: string): Promise<void> {
  if ((await tx.get(wishKey(wish))) !== undefined) await tx.put(wishKey(wish), { ...wish, refused } satisfies Wish);
}

/** Writes down again what etcd has forgotten, if the address is still that node's to lend. */
export async function putBackLoan(
  tx: Tx,
  network: SharedNetwork,
  address: string,
  loan: Loan,
  lender: Pick<PrefixClaim, 'nodeId'>,
): Promise<void> {
  if ((await ownerOf(tx, network, parseIp(address)))?.nodeId !== lender.nodeId) return;
  if ((await tx.get(loanKey(network.id, address))) === undefined) await tx.put(loanKey(network.id, address), loan);
}

/** Gives an address back, where it is still that node's. */
export async function endLoan(tx: Tx, network: string, address: string, nodeId: string): Promise<void> {
  const key = loanKey(network, address);
  if ((await tx.get<Loan>(key))?.nodeId === nodeId) await tx.delete(key);
}

/** Whether other hosts may still know an endpoint of a node with that address. */
export async function isTold(tx: ReadTx, network: string, node: string, address: string): Promise<boolean> {
  const endpoints = await tx.list<SharedEndpoint>(`${SHARED.endpoints}${network}/${node}/`);
  return endpoints.some(({ value }) => value.addresses.some((each) => withoutLength(each) === address));
}
