import { rmSync } from 'node:fs';
import { NetloomError } from '../errors.ts';
import { Netns } from '../kernel/index.ts';
import { comesToAnswer } from './health.ts';
import { joinHost } from './join.ts';
import { claimFolder, type Place, WIRE } from './place.ts';
import { type LabPlan, type Machine, planLab } from './plan.ts';
import { initOf, lastLine, type Program, serviceOf, startInit, startsCold, startService } from './process.ts';
import { applyRules } from './ruleset.ts';
import type { LabSpec } from './spec.ts';
import { endProcesses, removeMachine } from './sweep.ts';
import { ensureMachine, ensureWire } from './wire.ts';

export interface UpOptions {
  readonly program: Program;
  /** Whether `netloom node join` is there to be called. */
  readonly canJoin: boolean;
  /** Told what is done, one line each. */
  readonly onStep?: (text: string) => void;
  /** Milliseconds that daemons and etcd have to answer; default 30,000. */
  readonly patience?: number;
}

/**
 * Makes what is missing of a lab, takes away what it has too much, and waits until every daemon and etcd answer. Half
 * done, it can be done again, or undone by `labDown`.
 * @throws NetloomError ELAB, ELABDIR, ELABSTART, ELABDELAY
 */
export async function labUp(place: Place, spec: LabSpec, options: UpOptions): Promise<LabPlan> {
  const { onStep = () => undefined, patience = 30_000 } = options;
  const plan = planLab(spec);
  for (const { name } of plan.machines) place.socket(name);
  claimFolder(place);
  using _lock = await place.lock();
  const before = place.read();
  const named = new Set(plan.machines.map(({ name }) => name));
  const cuts = (before?.cuts ?? []).filter(({ from, to }) => named.has(from) && named.has(to));
  const old = [...(before?.plan.machines ?? []), ...(before?.old ?? [])].filter(({ name }) => !named.has(name));
  place.write({ spec, plan, old, cuts });
  if (old.length > 0) {
    onStep(`removing ${old.map(({ name }) => name).join(', ')}`);
    await endProcesses(
      place,
      old.map(({ name }) => name),
    );
    for (const { name } of old) removeMachine(place, name);
    place.write({ spec, plan, old: [], cuts });
  }

  onStep(`the wire: ${plan.segments.map(({ name, prefixes }) => `${name} ${prefixes.join(' ')}`).join(', ')}`);
  const lined = await ensureWire(place, plan);
  for (const machine of plan.machines) await ensureMachine(place, machine, lined);
  using wire = Netns.open(place.netns(WIRE));
  await applyRules(wire, plan, cuts);

  const fresh = plan.machines.filter(({ name }) => !initOf(place, name));
  if (fresh.length > 0) {
    onStep(`starting ${fresh.map(({ name }) => name).join(', ')}`);
    // what outlived the holder of its files would not see those of the next
    await endProcesses(
      place,
      fresh.map(({ name }) => name),
    );
    for (const { name } of fresh) rmSync(place.of(name, 'joined'), { force: true });
    await all(fresh.map((machine) => startInit(place, plan, machine)));
  }
  const [first, ...rest] = plan.machines.filter(({ service }) => service !== undefined);
  const alone = first && first.kind === 'host' && startsCold(options.program) ? [first] : [];
  await all(alone.map((machine) => ensureService(place, plan, machine, options, patience)));
  const others = alone.length > 0 || !first ? rest : [first, ...rest];
  await all(others.map((machine) => ensureService(place, plan, machine, options, patience)));
  if (plan.join && plan.etcd.length > 0 && options.canJoin) {
    await all(hosts(plan).map((machine) => joinHost(place, plan, machine, options.program, onStep)));
  }
  return plan;
}

function hosts(plan: LabPlan): Machine[] {
  return plan.machines.filter(({ kind, service }) => kind === 'host' && service !== undefined);
}

async function ensureService(
  place: Place,
  plan: LabPlan,
  machine: Machine,
  { program, onStep }: UpOptions,
  patience: number,
): Promise<void> {
  if (machine.service === undefined) return;
  const what = machine.kind === 'etcd' ? `etcd on ${machine.name}` : `the daemon of ${machine.name}`;
  if (!serviceOf(place, machine.name)) await startService(place, plan, machine, program);
  const gone = (): boolean => !serviceOf(place, machine.name);
  if (await comesToAnswer(place, machine, gone, patience)) return onStep?.(`${what} answers`);
  throw new NetloomError(
    'ELABSTART',
    `${what} ${gone() ? 'has ended' : `does not answer within ${patience / 1000} s`}: ${lastLine(place, machine.name)}`,
    { hint: `netloom lab logs ${machine.name} shows what it said.` },
  );
}

/** Every one is waited for: what goes on must not meet what comes next. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).filter((result) => result.status === 'rejected');
  if (failed.length > 0) throw failed[0]!.reason;
}
