import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Fact, factKey, kindOf } from '../facts/index.ts';
import { FileLock } from '../kernel/index.ts';
import type { Container, Endpoint, Network } from '../model/index.ts';
import { rulesetFacts } from '../nat/index.ts';
import type { ReadTx } from '../store/index.ts';
import { type Change, removalOf } from './apply.ts';
import { carryOut } from './change.ts';
import { containerExited } from './containers.ts';
import type { Core } from './core.ts';
import { missing } from './diff.ts';
import { factsOfEndpoint, forgetEndpoint, resettleGateways } from './endpoints.ts';
import { appliedKey, factsOfNetwork, forget } from './networks.ts';
import { stateOf } from './process.ts';
import { KEYS, workloadOf } from './records.ts';
import { leftOfContainer } from './sandbox.ts';

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
 */
export async function recover(core: Core): Promise<Recovery> {
  const finished = await finishPending(core);
  const failed = await reapDead(core);
  return { finished, failed, repaired: await reconcile(core) };
}

/** True where an engine died without a goodbye: cheap, for callers that start often. */
export async function needsRecovery(core: Core): Promise<boolean> {
  if (locksOfTheDead(core).length > 0) return true;
  const pending = await core.store.read((tx) => tx.list(KEYS.pending));
  return pending.some(({ key }) => !isAlive(core, ownerOf(key)));
}

async function finishPending(core: Core): Promise<string[]> {
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
      const what = await core.store.read((tx) => leftBy(core, tx, noun, id));
      if (what) {
        await carryOut(core, removalOf(what.facts));
        what.tidy?.();
        finished.push(what.label);
      }
      await core.store.transact(async (tx) => {
        await what?.forget(tx);
        if (key !== '') await tx.delete(key);
      });
      await what?.after?.();
    }
  }
  for (const path of locksOfTheDead(core)) rmSync(path, { force: true });
  return finished;
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
      facts: [...(last ? rulesetFacts() : []), ...factsOfNetwork(network)],
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
      after: () => resettleGateways(core, workload),
    };
  }
  const container = await tx.get<Container>(KEYS.containers + id);
  if (!container || container.phase === 'ready') return undefined;
  return { label: `container ${container.name} (${container.phase})`, ...(await leftOfContainer(core, tx, container)) };
}

/** Containers whose command ended while nobody was there to take their endpoints down. */
async function reapDead(core: Core): Promise<string[]> {
  const failed: string[] = [];
  const containers = await core.store.read((tx) => tx.list<Container>(KEYS.containers));
  for (const { value: container } of containers) {
    if (container.phase !== 'ready') continue;
    const { status } = stateOf(core.paths, container);
    if (status !== 'exited' && status !== 'dead') continue;
    try {
      await containerExited(core, container.id);
    } catch (error) {
      failed.push(`container ${container.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failed;
}

/** Compares the host with what the store wants of it, and makes it so. */
export async function reconcile(core: Core): Promise<Change[]> {
  using kernel = core.kernel.scope();
  // the kernel first, the store after: whatever is in the kernel was in the store before it
  const sample = rulesetFacts();
  const links = await readOurs(kernel, { kind: 'link' } as Fact);
  const tables = await readOurs(kernel, { kind: 'nft-table' } as Fact);
  const elements = tables.length > 0 ? await readOurs(kernel, { kind: 'nft-element' } as Fact) : [];
  const { wanted, known } = await core.store.read(async (tx) => {
    const wanted: Fact[] = [];
    const known = new Set<string>();
    const networks = new Map<string, Network>();
    for (const { value: network } of await tx.list<Network>(KEYS.networks)) {
      networks.set(network.id, network);
      const facts = factsOfNetwork(network);
      for (const fact of facts) known.add(factKey(fact));
      // a network that was never applied since the machine started is applied by its first endpoint
      if (network.phase === 'ready' && (await tx.get(appliedKey(network))) !== undefined) wanted.push(...facts);
    }
    if (networks.size > 0) for (const fact of sample) known.add(factKey(fact));
    if (wanted.length > 0) wanted.unshift(...sample);
    for (const { value: endpoint } of await tx.list<Endpoint>(KEYS.endpoints)) {
      const network = networks.get(endpoint.network);
      if (!network) continue;
      const facts = factsOfEndpoint(network, endpoint, await workloadOf(tx, endpoint)).filter((fact) => fact.ns === '');
      for (const fact of facts) known.add(factKey(fact));
      // the workload's end cannot be put back into a namespace that is gone
      if (endpoint.phase === 'ready' && existsSync(endpoint.netns)) wanted.push(...facts);
    }
    return { wanted, known };
  });
  const surplus = [...links, ...elements, ...tables].filter((fact) => !known.has(factKey(fact)));
  const changes = [...(await missing(kernel, wanted)), ...removalOf(surplus)];
  await carryOut(core, changes);
  return changes;
}

async function readOurs(kernel: Parameters<typeof missing>[0], sample: Fact): Promise<readonly Fact[]> {
  return await kindOf(sample).read(kernel, '', []);
}

function ownerOf(pendingKey: string): string {
  return pendingKey.split('/')[1] ?? '';
}

function engineDir(core: Core): string {
  return join(core.paths.runDir, 'engines');
}

function isAlive(core: Core, owner: string): boolean {
  return owner === core.id || FileLock.isHeld(join(engineDir(core), `${owner}.lock`));
}
