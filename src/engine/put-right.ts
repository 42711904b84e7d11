import { hasCode } from '../errors.ts';
import { type Fact, kindOf } from '../facts/index.ts';
import { keyOf } from './fact-keys.ts';
import type { Request } from '../netlink/index.ts';
import { elementAdd, type NftElement, type NftSet } from '../nftables/index.ts';
import { type Change, remove } from './apply.ts';
import type { Core } from './core.ts';
import { missing, surplus } from './diff.ts';
import type { KernelScope } from './kernel.ts';
import { appliedKey } from './networks.ts';
import { knownKeys, type WantedObject } from './wanted.ts';

/** One thing to put right, and who wants it. */
export interface Fault {
  readonly change: Change;
  /** Undefined for what nobody wants. */
  readonly object: WantedObject | undefined;
}

/** How often a transaction is planned anew because somebody else changed the rule set meanwhile. */
const TRIES = 5;
/** More requests than that go on a thread. */
const SHORT_BATCH = 64;

/** Does everything but the rule set's, whatever of it fails. @throws the failure, or an AggregateError of them */
export async function apply(core: Core, kernel: KernelScope, faults: readonly Fault[]): Promise<void> {
  const { reaper } = core;
  const options = { mayWait: reaper.busy, reap: reaper.reap };
  await remove(
    kernel,
    faults.map(({ change }) => change),
    options,
  );
}

/**
 * Does one thing; where something that is not ours has taken the place of a fact on a link of ours (another queue, the same
 * address without our mark), that goes first. What stands by itself, a link of ours by its name, is never taken from others.
 * @throws NetloomError
 */
export async function applyOne(core: Core, kernel: KernelScope, fault: Fault): Promise<void> {
  const { verb, fact } = fault.change;
  try {
    await apply(core, kernel, [fault]);
  } catch (error) {
    if (verb !== 'add' || !hasCode(error, 'ECONFLICT')) throw error;
    if (fact.kind === 'link' || kindOf(fact).within(fact).length === 0) throw error;
    await remove(kernel, [{ verb: 'delete', fact }, fault.change]);
  }
}

/** Everything of the rule set in one transaction; the error of the last try, undefined for none. */
export async function commitRuleset(kernel: KernelScope, faults: readonly Fault[]): Promise<unknown> {
  let changes = faults.map(({ change }) => change);
  for (let attempt = 1; ; attempt++) {
    try {
      await send(kernel, requestsOf(changes));
      return undefined;
    } catch (error) {
      if (attempt >= TRIES) return error;
      // somebody was faster with part of it: what is left?
      const wanted = faults.flatMap(({ change, object }) => (object && change.verb !== 'delete' ? [change.fact] : []));
      changes = await missing(kernel, wanted);
      if (changes.length === 0) return undefined;
    }
  }
}

async function send(kernel: KernelScope, requests: readonly Request[]): Promise<void> {
  try {
    await kernel.nft('').commit(requests, { lane: requests.length > SHORT_BATCH ? 'thread' : 'here' });
  } catch (error) {
    // a user namespace's sockets hold less: in parts, each of them whole
    if (!hasCode(error, 'EMSGSIZE') || requests.length < 2) throw error;
    const half = requests.length >> 1;
    await send(kernel, requests.slice(0, half));
    await send(kernel, requests.slice(half));
  }
}

/** A bridge made anew has another index than the one that the store remembers for those who attach to it. */
export async function noteBridges(core: Core, faults: readonly Fault[]): Promise<void> {
  const networks = faults.flatMap(({ change, object }) =>
    object?.network && change.verb === 'add' && change.fact.kind === 'link' ? [object.network] : [],
  );
  if (networks.length === 0) return;
  await core.store.transact(async (tx) => {
    for (const network of networks)
      if ((await tx.get(appliedKey(network))) !== undefined) await tx.put(appliedKey(network), 0);
  });
}

/** In this order one transaction can do it: what nobody wants goes first where it may be in the way of what is wanted. */
function requestsOf(changes: readonly Change[]): Request[] {
  const late = (change: Change): boolean => change.verb === 'delete' && change.fact.kind !== 'nft-element';
  const ordered = [
    ...changes.filter((c) => c.verb === 'delete' && !late(c)),
    ...changes.filter((c) => c.verb !== 'delete'),
  ];
  // a set or a chain that is made anew must go before it comes; one that nobody wants goes when no rule uses it any more
  const again = new Set(changes.filter((c) => c.verb === 'add').map((c) => keyOf(c.fact)));
  const lateOnes = changes.filter(late);
  const first = lateOnes.filter((c) => again.has(keyOf(c.fact)));
  const last = lateOnes.filter((c) => !again.has(keyOf(c.fact)));
  const requests: Request[] = [];
  const together = new Elements();
  for (const change of [...first, ...ordered, ...last]) {
    if (together.take(change)) continue;
    requests.push(...together.requests());
    const kind = kindOf(change.fact);
    const step =
      change.verb === 'change'
        ? change.have && kind.change(change.fact, change.have)
        : change.verb === 'add'
          ? kind.add(change.fact)
          : kind.delete(change.fact);
    if (step?.via === 'nftables') requests.push(...step.requests);
  }
  return [...requests, ...together.requests()];
}

/** New elements, of which thousands go in the few messages that hold them: a message each costs ten times as much. */
class Elements {
  readonly #bySet = new Map<string, { readonly set: NftSet; readonly elements: NftElement[] }>();

  take({ verb, fact }: Change): boolean {
    if (verb !== 'add' || fact.kind !== 'nft-element' || fact.ns !== '') return false;
    const key = `${fact.set.family} ${fact.set.name}`;
    let group = this.#bySet.get(key);
    if (!group) this.#bySet.set(key, (group = { set: fact.set, elements: [] }));
    group.elements.push(fact.element);
    return true;
  }
  requests(): Request[] {
    const all = [...this.#bySet.values()].flatMap(({ set, elements }) =>
      elementAdd(set, elements, { exclusive: true }),
    );
    this.#bySet.clear();
    return all;
  }
}

/**
 * Looks a second time, where the store has changed since the first: what somebody has begun to take away is no damage, and
 * what nobody knew may have come and gone between the two.
 */
export async function confirm(
  kernel: KernelScope,
  faults: readonly Fault[],
  objects: readonly WantedObject[],
): Promise<Fault[]> {
  const still = stillFaults(faults, objects);
  if (still.every(({ object }) => object !== undefined)) return still;
  const kinds = new Set(still.flatMap(({ change, object }) => (object ? [] : [change.fact.kind])));
  const strange = await surplus(kernel, '', knownKeys(objects), (kind) => kinds.has(kind));
  const there = new Set(strange.map(keyOf));
  return still.filter(({ change, object }) => object !== undefined || there.has(keyOf(change.fact)));
}

/** Faults that are not the consequence of another one of them. */
export function rootsOf(faults: readonly Fault[]): Fault[] {
  const keys = new Set(faults.filter(({ change }) => change.verb === 'add').map(({ change }) => keyOf(change.fact)));
  return faults.filter(
    ({ change }) =>
      !kindOf(change.fact)
        .within(change.fact)
        .some((key) => keys.has(key)),
  );
}

/** Of those, the ones that are still wanted; what nobody wanted and somebody knows by now is none any more. */
function stillFaults(faults: readonly Fault[], objects: readonly WantedObject[]): Fault[] {
  const known = knownKeys(objects);
  const wanted = knownKeys(objects.filter((object) => object.wanted));
  return faults.filter(
    ({ change, object }) => (object ? wanted : known).has(keyOf(change.fact)) === (object !== undefined),
  );
}

/** A fact that is in the way of another with its key is the object's, too. */
export function ownerOf(change: Change, owners: ReadonlyMap<Fact, WantedObject>): WantedObject | undefined {
  const key = keyOf(change.fact);
  for (const [fact, object] of owners) if (keyOf(fact) === key) return object;
  return undefined;
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
