import { type Fact, factKey } from '../facts/index.ts';
import type { LearnedWay, Network, Peer } from '../model/index.ts';
import { type Change, remove } from './apply.ts';
import type { Core } from './core.ts';
import { appliedKey } from './networks.ts';
import { factsOfPeer, factsOfRemote, pathOf, peerKey, type Remote, remoteKey, remotesOf } from './overlay.ts';
import { KEYS } from './records.ts';
import type { ReadTx } from '../store/index.ts';
import { forgetPublished, forgetStale } from './conntrack.ts';
import { noteServed, servedOf } from './served-ports.ts';
import { transition } from './transition.ts';

/** Packets take the new way before the old one goes: what is in nobody's stead goes last. */
export function newWaysFirst(changes: readonly Change[]): readonly Change[] {
  const added = new Set(changes.flatMap(({ verb, fact }) => (verb === 'add' ? [factKey(fact)] : [])));
  const goes = ({ verb, fact }: Change): boolean => verb === 'delete' && !added.has(factKey(fact));
  return [...changes.filter((change) => !goes(change)), ...changes.filter(goes)];
}

/** One thing that another host said; undefined: it is no more. A remote is called by its `pathOf`. */
export type OtherChange =
  | { readonly peer: string; readonly value: Peer | undefined }
  /** What was learned of the ways to it. */
  | { readonly peer: string; readonly ways: readonly LearnedWay[] }
  | { readonly remote: string; readonly value: Remote | undefined };

/**
 * Records what other hosts of a network said, and makes the kernel so. The record comes first, and stays where the kernel
 * refuses: repair sees what is wanted, and what is wanted by nobody any more.
 * @returns false where the network is not here, and nothing is kept
 * @throws what the kernel refused, once all the rest is done
 */
export async function changeOthers(core: Core, id: string, changes: readonly OtherChange[]): Promise<boolean> {
  // what is recorded last reaches the kernel last
  return await core.turns.run(`others-${id}`, () => change(core, id, changes));
}

async function change(core: Core, id: string, changes: readonly OtherChange[]): Promise<boolean> {
  let gone: Opened[] = [];
  let come: Opened[] = [];
  const noted: (readonly [key: string, value: unknown])[] = [];
  const { here, plan } = await core.store.transact(async (tx) => {
    noted.length = 0;
    const network = await tx.get<Network>(KEYS.networks + id);
    const applied = network?.phase === 'ready' && (await tx.get(appliedKey(network))) !== undefined;
    const was: Fact[] = [];
    gone = [];
    come = [];
    const is: Fact[] = [];
    const touched = new Map<string, { readonly before: Peer | undefined; readonly after: Peer | undefined }>();
    for (const change of changes) {
      if (!('peer' in change)) continue;
      const key = peerKey(id, change.peer);
      const before = await tx.get<Peer>(key);
      // without its network it is nobody's
      const after = network
        ? 'ways' in change
          ? withWays(before, change.ways)
          : withWays(change.value, before?.ways)
        : undefined;
      if (JSON.stringify(before) === JSON.stringify(after)) continue;
      touched.set(change.peer, { before, after });
      noted.push([key, after]);
      if (after) await tx.put(key, after);
      else await tx.delete(key);
      if (network && before) was.push(...factsOfPeer(network, before));
      if (network && after) is.push(...factsOfPeer(network, after));
    }
    const peerOf = async (node: string, when: 'before' | 'after'): Promise<Peer | undefined> =>
      touched.has(node) ? touched.get(node)?.[when] : await tx.get<Peer>(peerKey(id, node));
    const facts = async (remote: Remote | undefined, when: 'before' | 'after'): Promise<readonly Fact[]> => {
      const peer = network && remote && (await peerOf(remote.node, when));
      return peer ? factsOfRemote(network, peer, remote) : [];
    };
    const told = new Set<string>();
    for (const change of changes) {
      if (!('remote' in change)) continue;
      told.add(change.remote);
      const key = remoteKey(id, change.remote);
      const before = await tx.get<Remote>(key);
      const after = network ? change.value : undefined;
      noted.push([key, after]);
      if (after && JSON.stringify(before) !== JSON.stringify(after)) await tx.put(key, after);
      if (!after && before) await tx.delete(key);
      if (before?.ports ?? after?.ports) await noteServed(tx, id, change.remote, after);
      gone.push(...unserved(before, after));
      come.push(...unserved(after, before));
      was.push(...(await facts(before, 'before')));
      is.push(...(await facts(after, 'after')));
    }
    // where a host is, its endpoints are
    const flat = network?.overlay?.plan === 'flat';
    const served = flat || touched.size === 0 ? [] : await servedRemotes(tx, id);
    for (const node of touched.keys()) {
      for (const remote of flat ? await remotesOf(tx, id, node) : served.filter((each) => each.node === node)) {
        if (told.has(pathOf(remote))) continue;
        was.push(...(await facts(remote, 'before')));
        is.push(...(await facts(remote, 'after')));
      }
    }
    return { here: network !== undefined, plan: applied ? newWaysFirst(transition(was, is)) : [] };
  });
  const repair = core.services?.repair;
  try {
    if (plan.length === 0) return here;
    using kernel = core.kernel.scope();
    await remove(kernel, plan, { onFact: core.onFact, mayWait: core.reaper.busy, reap: core.reaper.reap });
    for (const { addresses, ports } of gone) await forgetPublished(core, { addresses }, ports);
    for (const { addresses, ports } of come) await forgetStale(core, { addresses }, ports);
    return here;
  } catch (error) {
    // what is left over is nobody's by now
    repair?.audit({ whole: true });
    throw error;
  } finally {
    // what the kernel told of it meanwhile is not looked at
    repair?.noteOthers(noted);
  }
}

/** Those to what it has. */
function withWays(peer: Peer | undefined, ways: readonly LearnedWay[] = []): Peer | undefined {
  if (!peer) return undefined;
  const { ways: _, ...rest } = peer;
  const still = ways.filter(({ prefix }) => peer.prefixes.includes(prefix));
  return still.length === 0 ? rest : { ...rest, ways: still };
}

/** Ports that this host serves for an endpoint of another. */
type Opened = Required<Pick<Remote, 'addresses' | 'ports'>>;

/** Those that `now` has not, or not for the same addresses. */
function unserved(before: Remote | undefined, now: Remote | undefined): Opened[] {
  const same = JSON.stringify(before?.addresses) === JSON.stringify(now?.addresses);
  const kept = new Set(same ? now?.ports?.map((port) => JSON.stringify(port)) : []);
  const ports = (before?.ports ?? []).filter((port) => !kept.has(JSON.stringify(port)));
  return before && ports.length > 0 ? [{ addresses: before.addresses, ports }] : [];
}

async function servedRemotes(tx: ReadTx, network: string): Promise<readonly Remote[]> {
  const remotes: Remote[] = [];
  for (const { node, endpoint: id } of await servedOf(tx, network)) {
    const remote = await tx.get<Remote>(remoteKey(network, pathOf({ node, id })));
    if (remote) remotes.push(remote);
  }
  return remotes;
}
