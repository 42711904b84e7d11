import { NetloomError } from '../errors.ts';
import { machineOf } from './place.ts';
import type { LabPlan } from './plan.ts';

/** What `from` sends never arrives at `to`. */
export interface Cut {
  readonly from: string;
  readonly to: string;
}

/** Both ways between two, or from the first to the second only; without a second, with everybody. */
export interface CutSpec {
  readonly a: string;
  readonly b?: string;
  readonly oneWay?: boolean;
}

/** The cuts that a spec stands for. @throws NetloomError ENOLABHOST, ELAB for a machine and itself */
export function cutsOf(plan: LabPlan, { a, b, oneWay = false }: CutSpec): Cut[] {
  machineOf(plan, a);
  if (b !== undefined) machineOf(plan, b);
  if (a === b) throw new NetloomError('ELAB', `${a} cannot be cut off from itself`);
  const others = b === undefined ? plan.machines.map(({ name }) => name).filter((name) => name !== a) : [b];
  return others.flatMap((other) => [{ from: a, to: other }, ...(oneWay ? [] : [{ from: other, to: a }])]);
}

/** Between any two of different groups; who is in none is reached by all. @throws NetloomError ENOLABHOST, ELAB */
export function partitionOf(plan: LabPlan, groups: readonly (readonly string[])[]): Cut[] {
  const all = groups.flat();
  for (const name of all) machineOf(plan, name);
  const twice = all.find((name, i) => all.indexOf(name) !== i);
  if (twice !== undefined) throw new NetloomError('ELAB', `${twice} is on two sides of the partition`);
  if (groups.length < 2) {
    throw new NetloomError('ELAB', 'a partition has two sides at least', { hint: 'Write them as host1,host2 host3.' });
  }
  return groups.flatMap((group, i) =>
    groups.flatMap((other, j) => (i === j ? [] : group.flatMap((from) => other.map((to) => ({ from, to }))))),
  );
}

export function withCuts(have: readonly Cut[], more: readonly Cut[]): Cut[] {
  return [...new Map([...have, ...more].map((cut) => [key(cut), cut])).values()];
}
export function withoutCuts(have: readonly Cut[], healed: readonly Cut[]): Cut[] {
  const gone = new Set(healed.map(key));
  return have.filter((cut) => !gone.has(key(cut)));
}

/** What a machine is cut off from, in words: `everybody`, `host2, to host3, from host4`; empty for nothing. */
export function cutText(plan: LabPlan, cuts: readonly Cut[], machine: string): string {
  const to = new Set(cuts.filter((cut) => cut.from === machine).map((cut) => cut.to));
  const from = new Set(cuts.filter((cut) => cut.to === machine).map((cut) => cut.from));
  const others = plan.machines.map(({ name }) => name).filter((name) => name !== machine);
  if (others.length > 1 && others.every((name) => to.has(name) && from.has(name))) return 'everybody';
  return others
    .filter((name) => to.has(name) || from.has(name))
    .map((name) => (to.has(name) && from.has(name) ? name : to.has(name) ? `to ${name}` : `from ${name}`))
    .join(', ');
}

function key({ from, to }: Cut): string {
  return `${from} ${to}`;
}
