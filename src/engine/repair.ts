import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../errors.ts';
import { type Fact, kindOf } from '../facts/index.ts';
import { keyOf } from './fact-keys.ts';
import type { Sample } from '../metrics/index.ts';
import { remove, removalOf } from './apply.ts';
import { BackOff } from './back-off.ts';
import type { Core } from './core.ts';
import { looking, missing, surplus } from './diff.ts';
import { heedHandOvers, TAKER_GONE } from './hand-over.ts';
import type { KernelScope } from './kernel.ts';
import {
  apply,
  applyOne,
  commitRuleset,
  confirm,
  type Fault,
  noteBridges,
  ownerOf,
  rootsOf,
  textOf,
} from './put-right.ts';
import { reclaim } from './reclaim.ts';
import { isKeyUsed, noteKeyUsed } from './rekey.ts';
import type { Service } from './services.ts';
import { affected, deathOf, isRemote, isRuleset, knownKeys, loadAll, loadSome, type WantedObject } from './wanted.ts';
import { type Cause, KernelWatch, type WatchSink } from './watch.ts';

/** How long dirt is collected before it is looked at, milliseconds: a flush is many messages. */
const COLLECT_MS = 1;
/** How often everything but the rule set is compared, for what the kernel tells nobody of: most sysctls. */
const AUDIT_MS = 60_000;
const FIRST_AUDIT_MS = 500;
/** Objects of one step of an audit, and the pause behind it, so that requests get their turn. */
const AUDIT_STEP = 5;
/** As many endpoints of other hosts: each step reads all of them from the kernel. */
const REMOTES_STEP = 10_000;
const AUDIT_PAUSE_MS = 5;
/** Kinds of which there are many, whose every change is told of: they are looked through when something was lost. */
const HEARD: ReadonlySet<Fact['kind']> = new Set(['fdb', 'neighbour']);
/** Everything of an object. */
const ALL = '*';

/** What repair did since it began, for whoever asks. */
export interface RepairStats {
  /** Facts put right. */
  repaired: number;
  /** Comparisons that something gave cause to. */
  looks: number;
  /** Times that the kernel's messages were lost. */
  missed: number;
  /** Times that a wait grew because somebody else changes the same fact. */
  backOffs: number;
  /** Repairs that the kernel refused. */
  refused: number;
  /** Objects whose workload was gone. */
  reclaimed: number;
}

/** What there is to look at. */
class Dirt {
  /** By object: which of its facts. */
  readonly objects = new Map<string, Set<string>>();
  ruleset = false;
  links = false;
  /** With `links`: kinds, too, that are heard of. */
  heard = false;
  /** When the first of it came. */
  readonly since: number = performance.now();
  readonly #causes = new Map<string, Cause>();
  #any: Cause | undefined;

  add(object: string, key: string, cause: Cause): void {
    let keys = this.objects.get(object);
    if (!keys) this.objects.set(object, (keys = new Set()));
    keys.add(key);
    this.#causes.set(object, better(this.#causes.get(object), cause));
  }
  because(cause: Cause): void {
    this.#any = better(this.#any, cause);
  }
  /** Learns what else is known by now of the same. */
  hear(later: Dirt): void {
    for (const [object, cause] of later.#causes) this.#causes.set(object, better(this.#causes.get(object), cause));
    if (later.#any) this.because(later.#any);
  }
  causeOf(object: string): Cause {
    return this.#causes.get(object) ?? this.#any ?? { what: '', by: '' };
  }
  get empty(): boolean {
    return this.objects.size === 0 && !this.ruleset && !this.links;
  }
}

/** The first that says who it was; an audit that happens to come before knows nobody. */
function better(known: Cause | undefined, cause: Cause): Cause {
  return known === undefined || (known.by === '' && cause.by !== '') ? cause : known;
}

/** Keeps the kernel as the store wants it, for as long as a resident engine lives. */
export class Repair implements Service, WatchSink {
  readonly stats: RepairStats = { repaired: 0, looks: 0, missed: 0, backOffs: 0, refused: 0, reclaimed: 0 };
  readonly #core: Core;
  readonly #stop = new AbortController();
  readonly #backOff = new BackOff();
  readonly #timers = new Set<NodeJS.Timeout>();
  #watch: KernelWatch | undefined;
  #dirt = new Dirt();
  #running: Promise<void> | undefined;
  #audit: Promise<void> | undefined;
  #auditAsked: 'no' | 'usual' | 'whole' = 'no';
  /** The rule set was looked at as a whole once; from then on the kernel's messages are enough. */
  #compared = false;

  private constructor(core: Core) {
    this.#core = core;
  }

  /** Begins to watch, and soon compares everything once, beside whatever else goes on. */
  static async begin(core: Core): Promise<Repair> {
    const repair = new Repair(core);
    repair.#watch = await KernelWatch.open(core, repair);
    const timer = setInterval(() => repair.audit(), AUDIT_MS).unref();
    repair.#timers.add(timer);
    // the host has just been compared, at the start; the workloads have not, and whoever waits for us goes first
    repair.#timers.add(setTimeout(() => repair.audit(), FIRST_AUDIT_MS).unref());
    return repair;
  }

  touched(objects: readonly string[], key: string, cause: Cause): void {
    for (const object of objects) this.#dirt.add(object, key, cause);
    this.#wake();
  }
  rulesetTouched(cause: Cause): void {
    this.#dirt.ruleset = true;
    this.#dirt.because(cause);
    this.#wake();
  }
  strangeLink(cause: Cause): void {
    this.#dirt.links = true;
    this.#dirt.because(cause);
    this.#wake();
  }
  missed(): void {
    this.stats.missed++;
    this.#core.meter.count('netloom_kernel_events_lost_total', {});
    this.rulesetTouched({ what: 'messages of the kernel were lost', by: '' });
    this.audit({ whole: true });
  }
  /** As `KernelWatch.noteOthers`. */
  noteOthers(changes: Iterable<readonly [key: string, value: unknown]>): void {
    this.#watch?.noteOthers(changes);
  }
  failed(error: unknown): void {
    this.#core.events.publish({
      type: 'engine',
      action: 'fault',
      name: 'watch',
      attributes: { error: textOf(error), cure: 'everything is compared once a minute; restart the daemon' },
    });
  }

  /**
   * Looks at everything, a few objects at a time, beside whatever else goes on. @param options.whole  endpoints of other
   * hosts, too, of whose facts the kernel tells every change
   */
  audit(options?: { readonly whole: boolean }): void {
    if (options?.whole) this.#auditAsked = 'whole';
    else if (this.#auditAsked === 'no') this.#auditAsked = 'usual';
    this.#audit ??= this.#auditNow()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.failed(error);
      })
      .finally(() => (this.#audit = undefined));
  }

  /** Resolves when nothing is left to look at, back-offs apart. */
  async settled(): Promise<void> {
    for (;;) {
      await this.#audit;
      this.#watch?.drain();
      if (!this.#running && this.#dirt.empty) return;
      await (this.#running ?? sleep(COLLECT_MS));
    }
  }

  sample(_sample: Sample): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#watch?.[Symbol.asyncDispose]();
    await this.#audit;
    await this.#running;
  }

  async #auditNow(): Promise<void> {
    const cause: Cause = { what: 'audit', by: '' };
    // one that is asked for while another is under way begins when that has ended
    while (this.#auditAsked !== 'no' && !this.#stop.signal.aborted) {
      const whole = this.#auditAsked === 'whole';
      this.#auditAsked = 'no';
      // of the rule set nothing changes unheard
      if (!this.#compared || !(await this.#watch?.hasHeardRuleset())) this.rulesetTouched(cause);
      this.#compared = true;
      this.#dirt.heard ||= whole;
      this.strangeLink(cause);
      await this.#auditObjects(this.#watch?.index.objects ?? [], AUDIT_STEP, cause);
      if (whole) await this.#auditObjects(this.#watch?.index.remotes ?? [], REMOTES_STEP, cause);
    }
  }

  async #auditObjects(objects: readonly string[], step: number, cause: Cause): Promise<void> {
    for (let at = 0; at < objects.length && !this.#stop.signal.aborted; at += step) {
      await this.#running;
      this.touched(objects.slice(at, at + step), ALL, cause);
      await sleep(AUDIT_PAUSE_MS, undefined, { ref: false, signal: this.#stop.signal });
    }
    await this.#running;
  }

  #wake(): void {
    if (this.#running || this.#stop.signal.aborted) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (!this.#dirt.empty) this.#wake();
    });
  }

  async #run(): Promise<void> {
    await sleep(COLLECT_MS);
    while (!this.#dirt.empty && !this.#stop.signal.aborted) {
      const dirt = this.#dirt;
      this.#dirt = new Dirt();
      try {
        await this.#look(dirt);
      } catch (error) {
        if (this.#stop.signal.aborted || hasCode(error, 'ESTORECLOSED')) return;
        // a namespace that went in the middle is told of by itself; whatever else it was, a second look decides
        this.#again(dirt, error);
      }
    }
  }

  /** Compares what is dirty with what is wanted now, and puts it right. */
  async #look(dirt: Dirt): Promise<void> {
    this.stats.looks++;
    const { store } = this.#core;
    const remotes = dirt.ruleset || dirt.heard || [...dirt.objects.keys()].some(isRemote);
    const load = (): Promise<WantedObject[]> =>
      store.read((tx) => (dirt.ruleset || dirt.links ? loadAll(tx, { remotes }) : loadSome(tx, dirt.objects.keys())));
    const revision = await store.revision();
    const objects = await load();
    const alive = await this.#withoutTheDead(dirt, objects);

    using kernel = this.#core.kernel.scope();
    let faults = await this.#faults(kernel, dirt, alive, objects);
    if (faults.length === 0) return;
    // done while an audit looked: the kernel has said who it was
    this.#watch?.drain();
    dirt.hear(this.#dirt);
    // somebody may have begun to take it away between the two looks, which is no damage
    if ((await store.revision()) !== revision) faults = await confirm(kernel, faults, await load());
    const due = this.#due(faults, dirt);
    if (due.length === 0) return;
    await this.#putRight(kernel, due, dirt);
    if ((await store.revision()) !== revision) await this.#takeBack(kernel, due, load);
  }

  /** Objects whose workload is gone are given up, not repaired. */
  async #withoutTheDead(dirt: Dirt, objects: readonly WantedObject[]): Promise<WantedObject[]> {
    const alive: WantedObject[] = [];
    for (const object of objects) {
      const reason = object.wanted && dirt.objects.has(object.key) ? deathOf(object) : undefined;
      if (reason === undefined) alive.push(object);
      else if (await reclaim(this.#core, object, reason)) this.stats.reclaimed++;
    }
    return alive;
  }

  async #faults(
    kernel: KernelScope,
    dirt: Dirt,
    alive: readonly WantedObject[],
    all: readonly WantedObject[],
  ): Promise<Fault[]> {
    const owners = new Map<Fact, WantedObject>();
    const facts: Fact[] = [];
    for (const object of alive) {
      if (!object.wanted) continue;
      for (const fact of this.#selected(dirt, object)) {
        owners.set(fact, object);
        facts.push(fact);
      }
    }
    const view = looking(kernel, dirt.links ? [] : facts);
    const faults: Fault[] = (await missing(view, facts)).map((change) => ({
      change,
      object: owners.get(change.fact) ?? ownerOf(change, owners),
    }));
    const heeded = heedHandOvers(faults);
    for (const object of heeded.gone) if (await reclaim(this.#core, object, TAKER_GONE)) this.stats.reclaimed++;
    if (!dirt.ruleset && !dirt.links) return heeded.faults;
    const kinds = (kind: Fact['kind']): boolean => {
      if (isRuleset(kind)) return dirt.ruleset;
      return dirt.links && (dirt.heard || !HEARD.has(kind));
    };
    const extra = removalOf(await surplus(view, '', knownKeys(all, kinds), kinds));
    return [...extra.map((change): Fault => ({ change, object: undefined })), ...heeded.faults];
  }

  #selected(dirt: Dirt, object: WantedObject): readonly Fact[] {
    const keys = dirt.objects.get(object.key);
    const ruleset = dirt.ruleset ? object.ruleset : [];
    if (!keys) return ruleset;
    const others = object.facts.filter(({ kind }) => !isRuleset(kind));
    return [...ruleset, ...(keys.has(ALL) ? others : affected(others, keys))];
  }

  /** Those that may be put right now; the others are looked at again when their wait is over. */
  #due(faults: readonly Fault[], dirt: Dirt): Fault[] {
    const now = performance.now();
    const held = new Set<string>();
    for (const root of rootsOf(faults)) {
      const key = keyOf(root.change.fact);
      const { wait, longer } = this.#backOff.ask(key, now);
      if (longer) this.#tellBackOff(root, dirt);
      if (wait === 0) continue;
      held.add(key);
      this.#later(root, wait);
    }
    if (held.size === 0) return [...faults];
    const blocked = new Set(
      affected(
        faults.map(({ change }) => change.fact),
        held,
      ),
    );
    return faults.filter(({ change }) => !blocked.has(change.fact));
  }

  #later({ change, object }: Fault, wait: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const cause: Cause = { what: 'a wait is over', by: '' };
      if (isRuleset(change.fact.kind)) this.rulesetTouched(cause);
      else if (object) this.touched([object.key], ALL, cause);
      else this.strangeLink(cause);
    }, wait).unref();
    this.#timers.add(timer);
  }

  async #putRight(kernel: KernelScope, faults: readonly Fault[], dirt: Dirt): Promise<void> {
    const ruleset = faults.filter(({ change }) => isRuleset(change.fact.kind));
    const others = faults.filter(({ change }) => !isRuleset(change.fact.kind));
    if (ruleset.length > 0) {
      const error = await commitRuleset(kernel, ruleset);
      if (error === undefined) this.#tell(ruleset, dirt);
      else {
        // read while somebody changed it, one half before and one half after: the next look, which is due, sees it whole
        this.#watch?.drain();
        if (!this.#dirt.ruleset) this.#refused(ruleset, error);
      }
    }
    if (others.length === 0) return;
    try {
      await apply(this.#core, kernel, others);
      this.#tell(others, dirt);
    } catch {
      // all was tried; one by one it shows what could not be done
      await this.#oneByOne(kernel, others, dirt);
    }
    await noteBridges(this.#core, others);
  }

  async #oneByOne(kernel: KernelScope, faults: readonly Fault[], dirt: Dirt): Promise<void> {
    const changes = await missing(
      kernel,
      faults.flatMap(({ change, object }) => (object && change.verb !== 'delete' ? [change.fact] : [])),
    );
    const wrong = new Set(changes.map(({ fact }) => fact));
    this.#tell(
      faults.filter(({ change }) => !wrong.has(change.fact)),
      dirt,
    );
    for (const fault of faults.filter(({ change }) => wrong.has(change.fact))) {
      try {
        await applyOne(this.#core, kernel, fault);
        this.#tell([fault], dirt);
      } catch (error) {
        this.#refused([fault], error);
      }
    }
  }

  /** What was put back for an object that somebody has taken away meanwhile goes again. */
  async #takeBack(kernel: KernelScope, done: readonly Fault[], load: () => Promise<WantedObject[]>): Promise<void> {
    const wanted = new Set<string>();
    for (const object of await load()) {
      // whoever makes it will say so, and then it is looked at again
      if (object.wanted || isBeingMade(object)) for (const fact of object.facts) wanted.add(keyOf(fact));
    }
    const put = done.flatMap(({ change }) => (change.verb === 'delete' ? [] : [change.fact]));
    const unwanted = removalOf(put.filter((fact) => !wanted.has(keyOf(fact))));
    if (unwanted.length > 0) await remove(kernel, unwanted).catch(() => undefined);
  }

  #tell(faults: readonly Fault[], dirt: Dirt): void {
    const { meter, events } = this.#core;
    for (const { change } of faults)
      meter.count('netloom_repairs_total', { kind: change.fact.kind, verb: change.verb });
    this.stats.repaired += faults.length;
    meter.observe('netloom_repair_duration_seconds', {}, (performance.now() - dirt.since) / 1000);
    const roots = rootsOf(faults);
    for (const { change, object } of roots) {
      const { what, by } = dirt.causeOf(object?.key ?? '');
      events.publish({
        type: 'repair',
        action: change.verb,
        id: object?.id ?? '',
        name: kindOf(change.fact).describe(change.fact),
        attributes: {
          kind: change.fact.kind,
          object: change.fact.object === '' ? (object?.name ?? '') : change.fact.object,
          cause: what,
          ...(by === '' ? {} : { by }),
          ...(roots.length === 1 ? { facts: String(faults.length) } : {}),
        },
      });
    }
  }

  #refused(faults: readonly Fault[], error: unknown): void {
    this.stats.refused++;
    const now = performance.now();
    for (const fault of rootsOf(faults)) {
      const { fact } = fault.change;
      // of another host: <network>/<node>
      if (isKeyUsed(error, 'some')) noteKeyUsed(this.#core, fault.object?.id.split('/')[0] ?? '');
      this.#later(fault, this.#backOff.refused(keyOf(fact), now));
      this.#core.events.publish({
        type: 'repair',
        action: 'fail',
        id: fault.object?.id ?? '',
        name: kindOf(fact).describe(fact),
        attributes: { kind: fact.kind, object: fact.object, error: textOf(error) },
      });
    }
  }

  #tellBackOff({ change, object }: Fault, dirt: Dirt): void {
    const { fact } = change;
    const { what, by } = dirt.causeOf(object?.key ?? '');
    this.stats.backOffs++;
    this.#core.meter.count('netloom_repair_back_offs_total', { kind: fact.kind });
    this.#core.events.publish({
      type: 'repair',
      action: 'back-off',
      id: object?.id ?? '',
      name: kindOf(fact).describe(fact),
      attributes: { kind: fact.kind, object: fact.object, cause: what, ...(by === '' ? {} : { by }) },
    });
  }

  #again(dirt: Dirt, error: unknown): void {
    const wait = this.#backOff.refused(`look ${textOf(error)}`, performance.now());
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      for (const [object, keys] of dirt.objects)
        for (const key of keys) this.#dirt.add(object, key, dirt.causeOf(object));
      this.#dirt.ruleset ||= dirt.ruleset;
      this.#dirt.links ||= dirt.links;
      this.#dirt.heard ||= dirt.heard;
      this.#wake();
    }, wait).unref();
    this.#timers.add(timer);
  }
}

function isBeingMade(object: WantedObject): boolean {
  return [object.endpoint, object.network, object.container].some((record) => record?.phase === 'creating');
}
