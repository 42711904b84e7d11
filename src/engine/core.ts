import type { DropTotals } from '../guard/index.ts';
import type { Pool } from '../ipam/index.ts';
import type { Meter } from '../metrics/index.ts';
import type { RandomSource } from '../model/index.ts';
import type { Store } from '../store/index.ts';
import type { Change } from './apply.ts';
import type { Behind } from './behind.ts';
import type { EventHub } from './events.ts';
import type { HostFirewall } from './host-firewall.ts';
import type { Kernel } from './kernel.ts';
import type { Turns } from './mutex.ts';
import type { Paths } from './paths.ts';
import type { Reaper } from './reaper.ts';
import type { Stage } from './rehearse.ts';
import type { Services } from './services.ts';

/** What every part of one engine shares. */
export interface Core {
  /** This engine, as the `owner` of what it is changing: alive as long as it holds its lock. */
  readonly id: string;
  readonly store: Store;
  readonly kernel: Kernel;
  /** Path of the host's namespace, where it is not this process's own; empty where it is. */
  readonly hostNetns: string;
  readonly reaper: Reaper;
  /**
   * Changes of one container go one after another, in whichever process: by its id. So do definitions and removals of
   * networks, all of them, since the first brings the shared rule set and the last takes it.
   */
  readonly turns: Turns;
  readonly paths: Paths;
  /** Where automatic subnets come from. */
  readonly pools: readonly Pool[];
  now(): Date;
  readonly random: RandomSource;
  /** Run by the process shim when a container's command has ended, with the container's id added. */
  readonly exitCommand: readonly string[];
  /** Test seam for faults: called after each fact has reached the kernel. */
  readonly onFact: ((change: Change) => void) | undefined;
  /** Set in a dry run: nothing but the store, which forgets it again, is changed. */
  readonly stage?: Stage;
  /** What this engine did and saw, for whoever listens. */
  readonly events: EventHub;
  /** What nobody waits for. */
  readonly behind: Behind;
  /** Counts what it does, where somebody wants to know. */
  readonly meter: Meter;
  /** What our rules dropped since it was opened, and what they had counted by then. */
  readonly drops: DropTotals;
  /** What the host's own firewall says about published ports. */
  readonly firewall: HostFirewall;
  /** What a resident engine runs beside; undefined in any other. */
  services: Services | undefined;
}
