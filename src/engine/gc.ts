import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Fact, kindOf } from '../facts/index.ts';
import type { Lease } from '../ipam/index.ts';
import { isAlive, Netns, readShimPid } from '../kernel/index.ts';
import {
  type ChangeOptions,
  type Container,
  type Endpoint,
  type GcReport,
  type Outcome,
  shortId,
} from '../model/index.ts';
import { removalOf } from './apply.ts';
import { stepOf } from './change.ts';
import type { Core } from './core.ts';
import { looking, missing, surplus } from './diff.ts';
import { TAKER_GONE } from './hand-over.ts';
import type { KernelScope } from './kernel.ts';
import type { Claim } from './ports.ts';
import { apply, commitRuleset, type Fault, noteBridges, rootsOf, textOf } from './put-right.ts';
import { isPoolLease } from './pools.ts';
import { reclaim } from './reclaim.ts';
import { KEYS } from './records.ts';
import { compareHost, finishPending, reapDead } from './recover.ts';
import { deathOf, isRuleset, knownKeys, type WantedObject } from './wanted.ts';

/** How the files below /etc/netns begin that we made: they also tell whose namespace of that name it was. */
const MARK = '# made by netloom';

/** What a collection has found so far. */
interface Findings {
  readonly reclaimed: string[];
  readonly removed: string[];
  readonly repaired: string[];
  readonly failed: string[];
}

/**
 * Does at once, and says, what repair and recovery do by themselves: reclaims what the dead left, removes what is ours and
 * wanted by nobody, puts back what is missing, on the host and in every workload. A dry run looks and says only.
 */
export async function collect(core: Core, options?: ChangeOptions): Promise<Outcome<GcReport>> {
  const dry = options?.dryRun === true || core.stage !== undefined;
  const found: Findings = { reclaimed: [], removed: [], repaired: [], failed: [] };
  found.reclaimed.push(...(await finishPending(core, dry)));
  if (!dry) await core.reaper.sweep();
  const dead = await reapDead(core, dry);
  found.reclaimed.push(...dead.reclaimed);
  found.failed.push(...dead.failed);

  using kernel = core.kernel.scope();
  const { objects, faults, gone } = await compareHost(core, kernel);
  for (const object of gone) {
    if (dry || (await reclaim(core, object, TAKER_GONE)))
      found.reclaimed.push(`endpoint ${object.name}: ${TAKER_GONE}`);
  }
  const all = [...faults, ...(await compareSpaces(core, kernel, objects, found))];
  if (!dry) await putRight(core, kernel, all, found);
  for (const { change, object } of rootsOf(all)) {
    const what = kindOf(change.fact).describe(change.fact);
    if (object) found.repaired.push(`${what} of ${object.network ? 'network ' : ''}${object.name} (${change.verb})`);
    else found.removed.push(what);
  }
  await leftovers(core, objects, dry, found);
  if (!dry) tell(core, found);
  const wanted = options?.explain === true || dry;
  return { value: found, ...(wanted ? { plan: all.map(({ change }) => stepOf(change)) } : {}) };
}

/** What is wrong inside the workloads. */
async function compareSpaces(
  core: Core,
  kernel: KernelScope,
  objects: readonly WantedObject[],
  found: Findings,
): Promise<Fault[]> {
  const spaces = new Map<string, WantedObject[]>();
  for (const object of objects) {
    for (const ns of new Set(object.facts.map((fact) => fact.ns))) {
      if (ns !== '') spaces.set(ns, [...(spaces.get(ns) ?? []), object]);
    }
  }
  const faults: Fault[] = [];
  for (const [ns, inside] of spaces) {
    // one that somebody is working on, or that is no longer there, is not ours to judge
    if (inside.some((object) => !object.wanted || deathOf(object) !== undefined)) continue;
    try {
      const owners = new Map<Fact, WantedObject>();
      for (const object of inside) for (const fact of object.facts) if (fact.ns === ns) owners.set(fact, object);
      const view = looking(kernel, []);
      const strange = removalOf(await surplus(view, ns, knownKeys(inside), (kind) => !isRuleset(kind)));
      faults.push(...strange.map((change): Fault => ({ change, object: undefined })));
      for (const change of await missing(view, [...owners.keys()]))
        faults.push({ change, object: owners.get(change.fact) ?? inside[0] });
    } catch (error) {
      found.failed.push(`${ns}: ${textOf(error)}`);
    } finally {
      kernel.forget(ns);
    }
  }
  return faults;
}

async function putRight(core: Core, kernel: KernelScope, faults: readonly Fault[], found: Findings): Promise<void> {
  const ruleset = faults.filter(({ change }) => isRuleset(change.fact.kind));
  const others = faults.filter(({ change }) => !isRuleset(change.fact.kind));
  if (ruleset.length > 0) {
    const error = await commitRuleset(kernel, ruleset);
    if (error !== undefined) found.failed.push(textOf(error));
  }
  if (others.length === 0) return;
  try {
    await apply(core, kernel, others);
    await noteBridges(core, others);
  } catch (error) {
    found.failed.push(...(error instanceof AggregateError ? error.errors : [error]).map(textOf));
  }
}

/** What is in no kernel table: addresses and ports that no endpoint has, names and files of containers that are gone. */
async function leftovers(core: Core, objects: readonly WantedObject[], dry: boolean, found: Findings): Promise<void> {
  const containers = new Set(objects.flatMap(({ container }) => (container ? [container.id] : [])));
  const names = new Set(objects.flatMap(({ container }) => (container ? [container.name] : [])));
  await forgetClaims(core, dry, found);

  const runs = join(core.paths.runDir, 'containers');
  for (const id of namesIn(runs)) {
    const dir = join(runs, id);
    if (containers.has(id) || isRunning(dir) || (await isKnown(core, id))) continue;
    if (!dry) rmSync(dir, { recursive: true, force: true });
    found.removed.push(`the files of container ${shortId(id)}, which is gone`);
  }
  for (const name of namesIn(core.paths.etcNetnsDir)) {
    const dir = join(core.paths.etcNetnsDir, name);
    const files = namesIn(dir);
    const ours = files.filter((file) => readFileSync(join(dir, file), 'utf8').startsWith(MARK));
    if (names.has(name) || ours.length === 0 || (await isNamed(core, name))) continue;
    const path = join(core.paths.netnsDir, name);
    // our mark beside it says that it was made for a container of ours
    if (existsSync(path)) {
      if (!dry) Netns.unpin(path);
      found.removed.push(`the network namespace ${path}, whose container is gone`);
    }
    if (!dry) {
      for (const file of ours) rmSync(join(dir, file), { force: true });
      if (ours.length === files.length) rmSync(dir, { recursive: true, force: true });
    }
    found.removed.push(`${dir}, whose container is gone`);
  }
}

/** Addresses and ports that are held for endpoints that are not there: of an older version, or a damaged store. */
async function forgetClaims(core: Core, dry: boolean, found: Findings): Promise<void> {
  const stale = await core.store.read(async (tx) => {
    const endpoints = new Set((await tx.list<Endpoint>(KEYS.endpoints)).map(({ value }) => value.id));
    // what pools gave out is not for endpoints of ours
    const leases = (await tx.list<Lease>('leases/')).filter(({ key }) => !isPoolLease(key));
    const claims = [...leases, ...(await tx.list<Claim>(KEYS.ports))];
    return claims.filter(({ value }) => !endpoints.has(value.endpoint));
  });
  if (stale.length === 0) return;
  if (!dry) {
    await core.store.transact(async (tx) => {
      for (const { key, value } of stale) {
        const now = await tx.get<Lease | Claim>(key);
        if (now?.endpoint === value.endpoint && !(await tx.get(KEYS.endpoints + value.endpoint))) await tx.delete(key);
      }
    });
  }
  for (const { key, value } of stale)
    found.reclaimed.push(`${key}: endpoint ${shortId(value.endpoint)}, which held it, is gone`);
}

async function isKnown(core: Core, id: string): Promise<boolean> {
  return await core.store.read(async (tx) => (await tx.get<Container>(KEYS.containers + id)) !== undefined);
}
async function isNamed(core: Core, name: string): Promise<boolean> {
  return await core.store.read(async (tx) => (await tx.get(KEYS.containerNames + name)) !== undefined);
}

function isRunning(dir: string): boolean {
  const pid = readShimPid(dir);
  return pid !== undefined && isAlive(pid.pid, pid.startTime);
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function tell(core: Core, { reclaimed, removed, repaired, failed }: Findings): void {
  const attributes = {
    reclaimed: String(reclaimed.length),
    removed: String(removed.length),
    repaired: String(repaired.length),
    failed: String(failed.length),
  };
  core.events.publish({ type: 'gc', action: 'collect', name: '', attributes });
}
