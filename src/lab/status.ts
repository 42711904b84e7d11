import { netnsId } from '../kernel/index.ts';
import { type Cut, cutText } from './cuts.ts';
import { answers } from './health.ts';
import { labNames, Place } from './place.ts';
import type { Machine, PlannedLink } from './plan.ts';
import { initOf, serviceOf } from './process.ts';

/** `up`: all of it; `dead`: its service has ended, or does not answer; `down`: not even its namespaces are held. */
export type MachineState = 'up' | 'dead' | 'down';

export interface MachineStatus {
  readonly name: string;
  readonly kind: Machine['kind'];
  readonly state: MachineState;
  /** As `ip netns` shows it. */
  readonly netns: string;
  /** Of its daemon or of etcd; 0 where there is none. */
  readonly pid: number;
  /** Of its daemon; empty for others. */
  readonly socket: string;
  readonly links: readonly PlannedLink[];
  /** In words; empty where it is cut off from nobody. */
  readonly cut: string;
}
export interface LabStatus {
  readonly name: string;
  readonly dir: string;
  readonly etcd: readonly string[];
  readonly segments: readonly { readonly name: string; readonly prefixes: readonly string[] }[];
  readonly cuts: readonly Cut[];
  readonly machines: readonly MachineStatus[];
}

/** How a lab is. @throws NetloomError ENOLAB */
export async function labStatus(place: Place): Promise<LabStatus> {
  const { plan, cuts } = place.mustRead();
  const machines = await Promise.all(
    plan.machines.map(async (machine): Promise<MachineStatus> => ({
      name: machine.name,
      kind: machine.kind,
      state: await stateOf(place, machine),
      netns: `${place.name}-${machine.name}`,
      pid: serviceOf(place, machine.name)?.pid ?? 0,
      socket: machine.kind === 'host' && machine.service ? place.socket(machine.name) : '',
      links: machine.links,
      cut: cutText(plan, cuts, machine.name),
    })),
  );
  return { name: plan.name, dir: place.dir, etcd: plan.etcd, segments: plan.segments, cuts, machines };
}

async function stateOf(place: Place, machine: Machine): Promise<MachineState> {
  if (!initOf(place, machine.name) || netnsId(place.netns(machine.name)) === '') return 'down';
  if (machine.service === undefined) return 'up';
  return serviceOf(place, machine.name) && (await answers(place, machine)) ? 'up' : 'dead';
}

/** Every lab in the usual place. */
export async function allLabs(): Promise<LabStatus[]> {
  return await Promise.all(labNames().map((name) => labStatus(new Place(name))));
}
