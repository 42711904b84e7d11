import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Fact } from '../facts/index.ts';
import { FileLock, netnsId } from '../kernel/index.ts';
import type { Container, Endpoint, Network } from '../model/index.ts';
import { rulesetFacts } from '../nat/index.ts';
import type { ReadTx } from '../store/index.ts';
import { type Change, removalOf } from './apply.ts';
import { carryOut } from './change.ts';
import { forgetConnections } from './conntrack.ts';
import { containerExited } from './containers.ts';
import type { Core } from './core.ts';
import { asksServer } from './dhcp-lease.ts';
import { additions, looking, missing, surplus } from './diff.ts';
import { factsOfEndpoint, forgetEndpoint, readyEndpoint, resettleGateways } from './endpoints.ts';
import type { KernelScope } from './kernel.ts';
import { factsOfOthers, forget, ownFactsOf } from './networks.ts';
import { stateOf } from './process.ts';
import { apply, commitRuleset, confirm, type Fault, noteBridges, ownerOf, textOf } from './put-right.ts';
import { reclaim } from './reclaim.ts';
import { KEYS, workloadOf } from './records.ts';
import { isKeyUsed } from './rekey.ts';
import { leftOfContainer } from './sandbox.ts';
import { heedHandOvers, TAKER_GONE } from './hand-over.ts';
import { deathOf, isRuleset, knownKeys, loadAll, type WantedObject } from './wanted.ts';

/** What a start found and did, for the log. */
export interface Recovery {
  /** `container web (creating)`: what a dead engine left half done, now removed. */
  readonly finished: readonly string[];
  /** What could not be put right, with the reason: the engine works all the same. */
  readonly failed: readonly string[];
  /** Facts put back, and surplus ones removed. */
  readonly repaired: readonly Change[];
}

/**
 * Brings kernel and store together after a crash: what a dead engine was in the middle of is taken back (creations) or
 * finished (removals); what nobody wants is removed; what is wanted and missing is put back.
 *
 * Safe beside other engines on the same store: what a living one is working on is left alone.
 *
 * @param comparison `behind` leaves all but what a dead engine was in the middle of to the repair that follows
 */
export async function recover(core: Core, comparison: 'first' | 'behind' = 'first'): Promise<Recovery> {
  const finished = await finishPending(core);
  await core.reaper.sweep();
  const { reclaimed, failed } = await reapDead(core);
  return {
    finished: [...finished, ...reclaimed],
    failed,
    repaired: comparison === 'first' ? await reconcile(core) : [],
  };
}

/** True where an engine died without a goodbye: cheap, for callers that start often. */
export async function needsRecovery(core: Core): Promise<boolean> {
  if (locksOfTheDead(core).length > 0) return true;
  const pending = await core.store.read((tx) => tx.list(KEYS.pending));
  return pending.some(({ key }) => !isAlive(core, engineOf(key)));
}

/** What dead engines were in the middle of. @param dry says what it would do, and does nothing */
export async function finishPending(core: Core, dry = false): Promise<string[]> {
  const finished: string[] = [];
  const left = await core.store.read(async (tx) => [
    ...(await tx.list(KEYS.pending)).map(({ key }) => {
      const [, owner = '', noun = '', id = ''] = key.split('/');
      return { key, owner, noun, id };
    }),
    // an endpoint of a bare namespace is its own record of what is going on
    ...(await tx.list<Endpoint>(KEYS.endpoints))
      .filter(({ value }) => value.phase !== 'ready' && value.container === '')
      .map(({ value: { owner, id } }) => ({ key: '', owner, noun: 'endpoint', id })),
  ]);
  // endpoints before the containers and networks that they are part of
  for (const noun of ['endpoint', 'container', 'network']) {
    for (const { key, id } of left.filter((each) => each.noun === noun && !isAlive(core, each.owner))) {
      if (noun === 'endpoint' && (await keepWhole(core, id, dry))) continue;
      const what = await core.store.read((tx) => leftBy(core, tx, noun, id));
      if (dry) {
        if (what) finished.push(what.label);
        continue;
      }
      if (what) {
        await carryOut(core, removalOf(what.facts));
        what.tidy?.();
        await what.disconnect?.();
        finished.push(what.label);
      }
      await core.store.transact(async (tx) => {
        await what?.forget(tx);
        if (key !== '') await tx.delete(key);
      });
      await what?.after?.();
    }
  }
  if (!dry) for (const path of locksOfTheDead(core)) rmSync(path, { force: true });
  return finished;
}

/**
 * An attachment that the kernel has all of is done, though the store was not told any more: whoever asked may have been
 * told. @returns false where it is none
 */
async function keepWhole(core: Core, id: string, dry: boolean): Promise<boolean> {
  const left = await core.store.read(async (tx) => {
    const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
    const network = endpoint && (await tx.get<Network>(KEYS.networks + endpoint.network));
    if (!network || endpoint.phase !== 'creating' || endpoint.container !== '') return undefined;
    // nobody was told of it: the record says so first
    if (endpoint.handOver !== undefined) return undefined;
    // what its server gave it was only known to the dead
    if (asksServer(network, endpoint)) return undefined;
    return { endpoint, facts: factsOfEndpoint(network, endpoint, await workloadOf(tx, endpoint)) };
  });
  if (!left || (left.endpoint.netns !== '' && netnsId(left.endpoint.netns) !== left.endpoint.netnsId)) return false;
  if ((await additions(core, left.facts)).length > 0) return false;
  if (!dry) await core.store.transact((tx) => tx.put(KEYS.endpoints + id, readyEndpoint(left.endpoint)));
  return true;
}

/** Every engine has a file that it locks and, when it ends in order, removes. */
function locksOfTheDead(core: Core): string[] {
  const names = existsSync(engineDir(core)) ? readdirSync(engineDir(core)) : [];
  return names.map((name) => join(engineDir(core), name)).filter((path) => !FileLock.isHeld(path));
}

interface Left {
  readonly label: string;
  readonly facts: readonly Fact[];
  /** Removes files. */
  tidy?(): void;
  /** Forgets connections, before its addresses are free again. */
  disconnect?(): Promise<void>;
  /** What it took from others goes back to them, once it is forgotten. */
  after?(): Promise<void>;
  forget(tx: Parameters<Parameters<Core['store']['transact']>[0]>[0]): Promise<void>;
}

/** What a dead engine may have made of one object, and how the store forgets it. */
async function leftBy(core: Core, tx: ReadTx, kind: string, id: string): Promise<Left | undefined> {
  if (kind === 'network') {
    const network = await tx.get<Network>(KEYS.networks + id);
    if (!network || network.phase === 'ready') return undefined;
    const last = (await tx.count(KEYS.networks)) === 1;
    return {
      label: `network ${network.name} (${network.phase})`,
      facts: [
        ...(last ? rulesetFacts() : []),
        ...(await ownFactsOf(tx, network)),
        ...(await factsOfOthers(tx, network)),
      ],
      forget: (tx) => forget(tx, network),
    };
  }
  if (kind === 'endpoint') {
    const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
    if (!endpoint || endpoint.phase === 'ready') return undefined;
    const network = await tx.get<Network>(KEYS.networks + endpoint.network);
    const workload = await workloadOf(tx, endpoint);
    return {
      label: `endpoint ${endpoint.ifname} of ${workload.name} (${endpoint.phase})`,
      facts: network ? factsOfEndpoint(network, endpoint, workload) : [],
      forget: (tx) => forgetEndpoint(tx, network, endpoint, workload),
      disconnect: () => forgetConnections(core, [endpoint]),
      after: () => resettleGateways(core, workload),
    };
  }
  const container = await tx.get<Container>(KEYS.containers + id);
  if (!container || container.phase === 'ready') return undefined;
  return { label: `container ${container.name} (${container.phase})`, ...(await leftOfContainer(core, tx, container)) };
}

/** What a look for the dead came to. */
export interface Reaped {
  /** `container web: its command has ended`. */
  readonly reclaimed: readonly string[];
  readonly failed: readonly string[];
}

/**
 * Takes down what has no workload any more: containers whose command ended while nobody was there, and endpoints whose
 * namespace is gone. @param dry says what it would do, and does nothing
 */
export async function reapDead(core: Core, dry = false): Promise<Reaped> {
  const reclaimed: string[] = [];
  const failed: string[] = [];
  const one = async (label: string, reason: string, body: () => Promise<boolean>): Promise<void> => {
    try {
      if (dry || (await body())) reclaimed.push(`${label}: ${reason}`);
    } catch (error) {
      failed.push(`${label}: ${textOf(error)}`);
    }
  };
  const { containers, objects } = await core.store.read(async (tx) => ({
    containers: await tx.list<Container>(KEYS.containers),
    objects: await loadAll(tx),
  }));
  const ended = new Set<string>();
  for (const { value: container } of containers) {
    if (container.phase !== 'ready') continue;
    const { status } = stateOf(core.paths, container);
    if (status !== 'exited' && status !== 'dead') continue;
    ended.add(container.id);
    // one that was taken down in order stays as it is
    if (!container.autoRemove && !objects.some((o) => o.wanted && o.container?.id === container.id)) continue;
    await one(`container ${container.name}`, 'its command has ended', async () => {
      await containerExited(core, container.id);
      return true;
    });
  }
  for (const object of objects) {
    const container = object.container?.id ?? object.endpoint?.container ?? '';
    const reason = object.wanted && !ended.has(container) ? deathOf(object) : undefined;
    if (reason === undefined || (container !== '' && object.endpoint)) continue;
    await one(`${object.endpoint ? 'endpoint' : 'container'} ${object.name}`, reason, () =>
      reclaim(core, object, reason),
    );
  }
  return { reclaimed, failed };
}

/** Compares the host with what the store wants of it, and makes it so: what nobody wants goes, what is missing comes. */
export async function reconcile(core: Core): Promise<Change[]> {
  using kernel = core.kernel.scope();
  const { faults, gone } = await compareHost(core, kernel);
  for (const object of gone) await reclaim(core, object, TAKER_GONE);
  if (faults.length === 0) return [];
  const ruleset = faults.filter(({ change }) => isRuleset(change.fact.kind));
  const others = faults.filter(({ change }) => !isRuleset(change.fact.kind));
  if (ruleset.length > 0) {
    const error = await commitRuleset(kernel, ruleset);
    if (error !== undefined) throw error;
  }
  if (others.length > 0) {
    await apply(core, kernel, others).catch((error: unknown) => {
      // the node takes a new epoch, and goes on until it has
      if (!isKeyUsed(error, 'every')) throw error;
    });
    await noteBridges(core, others);
  }
  return faults.map(({ change }) => change);
}

/** What a comparison of the host with the store found. */
export interface Comparison {
  readonly objects: readonly WantedObject[];
  /** In an order in which they can be put right. */
  readonly faults: readonly Fault[];
  /** Endpoints that were handed over, and of which nothing is left to put right. */
  readonly gone: readonly WantedObject[];
}

/** Objects whose workload is gone are left out: see `reapDead`. */
export async function compareHost(core: Core, kernel: KernelScope): Promise<Comparison> {
  const revision = await core.store.revision();
  const objects = await core.store.read((tx) => loadAll(tx));
  const owners = new Map<Fact, WantedObject>();
  for (const object of objects) {
    if (!object.wanted || deathOf(object) !== undefined) continue;
    // a namespace is no more than its name here: what is in it cannot be made again
    for (const fact of object.facts) if (fact.ns === '' && fact.kind !== 'netns') owners.set(fact, object);
  }
  const view = looking(kernel, []);
  const wrong = (await missing(view, [...owners.keys()])).map((change): Fault => ({
    change,
    object: owners.get(change.fact) ?? ownerOf(change, owners),
  }));
  const strange = removalOf(await surplus(view, '', knownKeys(objects)));
  const heeded = heedHandOvers(wrong);
  const { gone } = heeded;
  const faults = [...strange.map((change): Fault => ({ change, object: undefined })), ...heeded.faults];
  if (faults.length === 0 || (await core.store.revision()) === revision) return { objects, faults, gone };
  const now = await core.store.read((tx) => loadAll(tx));
  return { objects: now, faults: await confirm(kernel, faults, now), gone };
}

function engineOf(pendingKey: string): string {
  return pendingKey.split('/')[1] ?? '';
}

function engineDir(core: Core): string {
  return join(core.paths.runDir, 'engines');
}

function isAlive(core: Core, owner: string): boolean {
  return owner === core.id || FileLock.isHeld(join(engineDir(core), `${owner}.lock`));
}
