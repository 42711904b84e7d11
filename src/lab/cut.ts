import { Netns } from '../kernel/index.ts';
import { type Cut, type CutSpec, cutsOf, partitionOf, withCuts, withoutCuts } from './cuts.ts';
import { type Place, WIRE } from './place.ts';
import type { LabPlan } from './plan.ts';
import { applyRules } from './ruleset.ts';

/** Cuts cables. @returns everything that is cut now. @throws NetloomError ENOLAB, ENOLABHOST, ELAB */
export function cutLinks(place: Place, spec: CutSpec): Promise<readonly Cut[]> {
  return change(place, (plan, cuts) => withCuts(cuts, cutsOf(plan, spec)));
}

/** Cuts between any two of different groups. @throws NetloomError ENOLAB, ENOLABHOST, ELAB */
export function partition(place: Place, groups: readonly (readonly string[])[]): Promise<readonly Cut[]> {
  return change(place, (plan, cuts) => withCuts(cuts, partitionOf(plan, groups)));
}

/** Undoes cuts: those of `spec`, or all. What was not cut is no error. @returns what is cut still. */
export function heal(place: Place, spec?: CutSpec): Promise<readonly Cut[]> {
  return change(place, (plan, cuts) => (spec ? withoutCuts(cuts, cutsOf(plan, spec)) : []));
}

/** Recorded first: what a crash keeps from being in force, the next change or `up` puts there. */
async function change(
  place: Place,
  decide: (plan: LabPlan, cuts: readonly Cut[]) => readonly Cut[],
): Promise<readonly Cut[]> {
  using _lock = await place.lock();
  const record = place.mustRead();
  const cuts = decide(record.plan, record.cuts);
  place.write({ ...record, cuts });
  using wire = Netns.open(place.netns(WIRE));
  await applyRules(wire, record.plan, cuts);
  return cuts;
}
