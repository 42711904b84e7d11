import { hasCode, NetloomError } from '../errors.ts';
import { type Fact, factKey, kindOf, type KernelView, type LinkFact, type Step, type Verb } from '../facts/index.ts';
import { explainRefusal } from './refusal.ts';
import { NetlinkError, type Reply, type Request } from '../netlink/index.ts';
import { linkGet, parseLinkIndex } from '../rtnetlink/index.ts';
import type { Doomed } from './reaper.ts';

/** One thing to do to one fact. */
export interface Change {
  readonly verb: Verb;
  readonly fact: Fact;
  /** What is there now; given with `change`. */
  readonly have?: Fact;
}

export interface ApplyOptions {
  /**
   * Called after each fact has reached the kernel, which then get them one by one instead of in bursts: how the fault
   * tests die at every step.
   */
  readonly onFact?: ((change: Change) => void) | undefined;
  /** Run netlink exchanges on a thread, because the kernel is known to make others wait just now. */
  readonly mayWait?: boolean | undefined;
  /** Deletes links of the host, and what goes before them, together with those that others ask for at the same time. */
  readonly reap?: ((doomed: readonly Doomed[]) => Promise<readonly Reply[]>) | undefined;
}

/**
 * Does the changes in order, in as few messages as their order allows. When one is refused, everything this call did
 * is undone in reverse, and the refusal is thrown; what could not be undone is attached as an AggregateError's part.
 *
 * An addition that is there already is adopted when it is ours and as wanted; a deletion of what is gone is done.
 */
export async function apply(kernel: KernelView, changes: readonly Change[], options: ApplyOptions = {}): Promise<void> {
  const done = new Set<Change>();
  try {
    for (const run of runsOf(changes, options.onFact !== undefined)) {
      for (const change of run.changes) done.add(change); // before it is sent: part of a refused burst may have been taken
      await perform(kernel, run, options);
      for (const change of run.changes) options.onFact?.(change);
    }
  } catch (error) {
    const failures = await undo(kernel, [...done]);
    if (failures.length === 0) throw error;
    throw new AggregateError(
      [error, ...failures],
      `${message(error)}; and undoing it failed: ${failures.map(message).join('; ')}`,
      {
        cause: error,
      },
    );
  }
}

/** Does deletions, as `removalOf` orders them, all of them whatever fails on the way. */
export async function remove(
  kernel: KernelView,
  deletions: readonly Change[],
  options: ApplyOptions = {},
): Promise<void> {
  const failures: unknown[] = [];
  for (const run of runsOf(deletions, options.onFact !== undefined)) {
    try {
      await perform(kernel, run, options);
    } catch (error) {
      failures.push(error);
    }
    for (const change of run.changes) options.onFact?.(change);
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map(message).join('; '));
}

/** The deletions that take `facts` away: in reverse order, without those that vanish with another of them. */
export function removalOf(facts: readonly Fact[]): Change[] {
  const keys = new Set(facts.map(factKey));
  return facts
    .filter(
      (fact) =>
        kindOf(fact).delete(fact) &&
        !kindOf(fact)
          .within(fact)
          .some((key) => keys.has(key)),
    )
    .toReversed()
    .map((fact) => ({ verb: 'delete', fact }));
}

/** Takes changes back that were done, in reverse; what had altered nothing stays. @returns what could not be taken back */
export async function undo(kernel: KernelView, done: readonly Change[]): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (const change of done.toReversed()) {
    const inverse = inverseOf(change);
    if (!inverse) continue;
    try {
      const step = stepOf(inverse);
      if (step) await perform(kernel, runOf(inverse, step), {});
    } catch (error) {
      failures.push(error);
    }
  }
  return failures;
}

function inverseOf(change: Change): Change | undefined {
  if (untouched.has(change)) return undefined;
  if (change.verb === 'add') return { verb: 'delete', fact: change.fact };
  if (change.verb === 'delete') return { verb: 'add', fact: change.fact };
  return change.have ? { verb: 'change', fact: change.have, have: change.fact } : undefined;
}
/** Changes that altered nothing, because the kernel was as wanted already or refused them: not ours to undo. */
const untouched = new WeakSet<Change>();

/** How to do it; undefined for a deletion of what stays. */
function stepOf(change: Change): Step | undefined {
  const kind = kindOf(change.fact);
  switch (change.verb) {
    case 'add':
      return kind.add(change.fact);
    case 'delete':
      return kind.delete(change.fact);
    case 'change': {
      const step = change.have && kind.change(change.fact, change.have);
      if (!step) throw new NetloomError('EINTERNAL', `${factKey(change.fact)} cannot be changed in place`);
      return step;
    }
  }
}

/** Changes that travel together. */
interface Run {
  readonly changes: Change[];
  readonly steps: Step[];
  /** Interfaces whose indices it teaches. */
  readonly teaches: Set<string>;
}

function runOf(change: Change, step: Step): Run {
  return { changes: [change], steps: [step], teaches: new Set(taughtBy(step)) };
}

function runsOf(changes: readonly Change[], single: boolean): Run[] {
  const runs: Run[] = [];
  for (const change of changes) {
    const first = stepOf(change);
    for (let step = first; step; step = step.via === 'nftables' ? undefined : step.after) {
      if (step !== first) followers.add(step);
      const last = runs.at(-1);
      if (last && !single && travelTogether(last, change, step)) {
        last.changes.push(change);
        last.steps.push(step);
        for (const name of taughtBy(step)) last.teaches.add(name);
      } else {
        runs.push(runOf(change, step));
      }
    }
  }
  return runs;
}

/** Steps whose change has altered the kernel before they are sent: where they are refused, there is something to undo. */
const followers = new WeakSet<Step>();

function travelTogether(run: Run, change: Change, step: Step): boolean {
  const [head] = run.steps;
  if (!head || step.via === 'call' || head.via !== step.via || head.ns !== step.ns) return false;
  // what nftables is asked for side by side is done at once, whatever it is: no packet meets half of it
  if (step.via !== 'nftables' && run.changes[0]?.verb !== change.verb) return false;
  // an index that this very run is about to teach is not known when the run is encoded
  return !(step.via === 'rtnetlink' && step.needs.some((name) => run.teaches.has(name)));
}

function taughtBy(step: Step): readonly string[] {
  return step.via === 'rtnetlink' ? (step.teaches ?? []) : [];
}

async function perform(kernel: KernelView, run: Run, options: ApplyOptions): Promise<void> {
  const [head] = run.steps;
  if (!head) return;
  switch (head.via) {
    case 'call':
      try {
        await head.run(kernel);
      } catch (error) {
        // a namespace of that name that is not ours must not be removed as if it were
        for (const change of run.changes) untouched.add(change);
        throw error;
      }
      return;
    case 'nftables':
      await performNft(kernel, run, head.ns, options);
      return;
    default:
      await performNetlink(kernel, run, head, options);
      return;
  }
}

function isHostLinkDeletion(change: Change): change is Change & { readonly fact: LinkFact } {
  const { verb, fact } = change;
  return verb === 'delete' && fact.kind === 'link' && fact.ns === '' && fact.origin.type !== 'there';
}

/** A step by a connection of netlink that takes requests one by one: rtnetlink, or a family beside it. */
type PlainStep = Extract<Step, { readonly via: 'rtnetlink' | 'genetlink' | 'xfrm' }>;

async function performNetlink(
  kernel: KernelView,
  run: Run,
  { via, ns }: PlainStep,
  options: ApplyOptions,
): Promise<void> {
  let conn;
  try {
    conn = via === 'rtnetlink' ? kernel.rtnl(ns) : kernel[via](ns);
  } catch (error) {
    // a namespace that vanished took what was in it along
    if (run.changes.every((c) => c.verb === 'delete') && hasCode(error, 'ENOENT', 'EINVAL')) return;
    throw error;
  }
  const requests: Request[] = [];
  const links = new Map<Request, string>();
  const spans: { change: Change; step: PlainStep; from: number; to: number }[] = [];
  for (const [i, step] of run.steps.entries()) {
    const change = run.changes[i];
    if (step.via === 'call' || step.via === 'nftables' || !change) continue;
    let missing: string | undefined;
    for (const name of step.needs) if ((await indexOf(kernel, ns, name)) === undefined) missing ??= name;
    if (missing !== undefined) {
      if (change.verb === 'delete') continue; // its link is gone, and so is it
      throw new NetloomError('ENODEV', `no interface ${missing}${ns === '' ? '' : ` in ${ns}`}`);
    }
    try {
      await step.prepare?.(kernel);
    } catch (error) {
      for (const [j, c] of run.changes.entries()) if (j >= i && !followers.has(run.steps[j] ?? step)) untouched.add(c);
      // those before it are not sent either
      for (const { step: earlier } of spans) if (earlier.via !== 'rtnetlink') earlier.refused?.();
      throw error;
    }
    const from = requests.length;
    requests.push(...step.requests((name) => kernel.indices.get(ns, name) ?? 0, kernel));
    if (isHostLinkDeletion(change)) for (const request of requests.slice(from)) links.set(request, change.fact.name);
    spans.push({ change, step, from, to: requests.length });
  }
  const replies =
    options.reap && links.size > 0
      ? await options.reap(requests.map((request) => ({ request, link: links.get(request) })))
      : await conn.batch(requests, { lane: laneOf(run, options) });
  let refused: unknown;
  for (const { change, step, from, to } of spans) {
    const own = replies.slice(from, to);
    const error = own.find((reply) => reply.error)?.error;
    const learn = (): void => {
      if (step.via === 'rtnetlink') step.learn?.(own, kernel.indices);
    };
    if (!error) learn();
    else if (!(await excused(kernel, change, error))) {
      if (step.via !== 'rtnetlink') step.refused?.();
      if (own[0]?.error && !followers.has(step)) untouched.add(change);
      refused ??= explainRefusal(change, error);
    } else if (change.verb === 'add') learn();
  }
  if (refused) throw refused;
}

async function performNft(kernel: KernelView, run: Run, ns: string, options: ApplyOptions): Promise<void> {
  const requests = run.steps.flatMap((step) => (step.via === 'nftables' ? step.requests : []));
  try {
    await kernel.nft(ns).commit(requests, { lane: laneOf(run, options) });
  } catch (error) {
    // the batch as a whole was refused: find the fact that is to blame, or that was there (or gone) already
    if (run.changes.length === 1) {
      const [change] = run.changes;
      if (change && error instanceof NetlinkError && (await excused(kernel, change, error))) return;
      if (change) untouched.add(change);
      throw change && error instanceof NetlinkError ? explainRefusal(change, error) : error;
    }
    if (!hasCode(error, 'ENOENT', 'EEXIST', 'EOPNOTSUPP')) {
      for (const change of run.changes) untouched.add(change);
      throw error;
    }
    for (const change of run.changes) untouched.add(change);
    for (const [i, change] of run.changes.entries()) {
      const step = run.steps[i];
      untouched.delete(change);
      if (step) await performNft(kernel, runOf(change, step), ns, options);
    }
  }
}

/** What the kernel makes others wait for: another queue, and a cipher that it may have to load and to try first. */
const WAITED_FOR: readonly Fact['kind'][] = ['qdisc', 'xfrm-state'];

/** Only an element is deleted at once: links, chains and sets wait for a grace period, as does a link for another queue. */
function laneOf(run: Run, options: ApplyOptions): 'thread' | 'here' {
  const waits = run.changes.some(({ verb, fact }) =>
    verb === 'delete' ? fact.kind !== 'nft-element' : verb === 'add' && WAITED_FOR.includes(fact.kind),
  );
  return waits || options.mayWait ? 'thread' : 'here';
}

/** True when a refusal only says that the kernel is already as wanted. */
async function excused(kernel: KernelView, change: Change, error: NetlinkError): Promise<boolean> {
  if (change.verb === 'delete') return hasCode(error, 'ENOENT', 'ENODEV', 'ESRCH', 'EADDRNOTAVAIL');
  if (change.verb !== 'add' || !hasCode(error, 'EEXIST')) return false;
  const kind = kindOf(change.fact);
  const key = kind.key(change.fact);
  const there = await kind.read(kernel, change.fact.ns, [change.fact]);
  const have = there.find((fact) => kind.key(fact) === key);
  if (!have || kind.differences(change.fact, have).length > 0) return false;
  untouched.add(change);
  return true;
}

/** An interface's index, asked of the kernel where this operation has not met it yet. */
async function indexOf(kernel: KernelView, ns: string, ifname: string): Promise<number | undefined> {
  const known = kernel.indices.get(ns, ifname);
  if (known !== undefined) return known;
  const [reply] = await kernel.rtnl(ns).batch([linkGet({ name: ifname })], { lane: 'here' });
  const answer: Reply['messages'][number] | undefined = reply?.messages[0];
  if (!answer) return undefined;
  const { index } = parseLinkIndex(answer);
  kernel.indices.set(ns, ifname, index);
  return index;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
