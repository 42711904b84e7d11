import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { NETNS_DIR, netnsId, Netns, signalPid, startTime, waitPid } from '../kernel/index.ts';
import type { Place } from './place.ts';
import { initOf, serviceOf } from './process.ts';

/** So often processes are looked for again: whoever was about to start another has done so by then. */
const ROUNDS = 20;

/**
 * Ends every process of these machines: whatever is in one of their namespaces, of the network or of mounts, or in a
 * namespace that one of them has named, and whatever such a process has started.
 */
export async function endProcesses(place: Place, machines: readonly string[]): Promise<void> {
  // those that hold namespaces go last: by them the others are found
  const inits = new Map(machines.map((name) => [name, initOf(place, name)]));
  const holders = new Set([...inits.values()].flatMap((init) => (init ? [init.pid] : [])));
  const services = machines.flatMap((name) => serviceOf(place, name)?.pid ?? []);
  const dirs = new Set(machines.flatMap((name) => [place.of(name, 'init'), place.of(name, 'service')]));
  const spaces = spacesOf(place, machines, dirs, new Set([...holders, ...services]));
  for (let round = 0; round < ROUNDS; round++) {
    const found = processesIn(spaces).filter(({ pid }) => !holders.has(pid));
    if (found.length === 0) break;
    await endAll(found);
  }
  await endAll(processesIn(spaces));
}

/** Inodes of namespaces. */
interface Spaces {
  readonly net: Set<number>;
  readonly mnt: Set<number>;
  /** What shims were given that may not have got into a namespace yet. */
  readonly dirs: ReadonlySet<string>;
}

function spacesOf(
  place: Place,
  machines: readonly string[],
  dirs: ReadonlySet<string>,
  known: ReadonlySet<number>,
): Spaces {
  const spaces: Spaces = { net: new Set(), mnt: new Set(), dirs };
  const pinned = (path: string): void => {
    if (netnsId(path) !== '') spaces.net.add(statSync(path).ino);
  };
  for (const name of machines) pinned(place.netns(name));
  for (const { pid } of processesIn(spaces)) {
    // a process that was put into the namespace from this machine sees this machine's files
    const mounts = inode(`/proc/${pid}/ns/mnt`);
    if (mounts === 0 || mounts === inode('/proc/self/ns/mnt')) continue;
    if (known.has(pid)) spaces.mnt.add(mounts);
    const named = `/proc/${pid}/root${NETNS_DIR}`;
    // the wire's line has mounts of its own, and names its namespaces nowhere: those are everybody's
    if (isSame(named, NETNS_DIR)) continue;
    for (const name of list(named)) pinned(`${named}/${name}`);
  }
  return spaces;
}

interface Process {
  readonly pid: number;
  readonly since: number;
  readonly parent: number;
}

function processesIn(spaces: Spaces): Process[] {
  const all = new Map<number, Process>();
  const within = new Set<number>();
  for (const name of list('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const since = startTime(pid);
    if (since === undefined) continue;
    all.set(pid, { pid, since, parent: parentOf(pid) });
    const inside =
      spaces.net.has(inode(`/proc/${pid}/ns/net`)) ||
      spaces.mnt.has(inode(`/proc/${pid}/ns/mnt`)) ||
      isShimOf(pid, spaces.dirs);
    if (inside) within.add(pid);
  }
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all.values()) {
      if (within.has(pid) || !within.has(parent)) continue;
      within.add(pid);
      grown = true;
    }
  }
  return [...within].flatMap((pid) => all.get(pid) ?? []);
}

async function endAll(processes: readonly Process[]): Promise<void> {
  const told = processes.filter(({ pid, since }) => signalPid(pid, since, 'SIGKILL'));
  await Promise.all(told.filter(({ pid, since }) => startTime(pid) === since).map(({ pid }) => waitPid(pid)));
}

/** Takes away a machine's namespace and folder. Its processes are gone. */
export function removeMachine(place: Place, machine: string): void {
  Netns.unpin(place.netns(machine));
  rmSync(place.of(machine), { recursive: true, force: true, maxRetries: 3 });
}

function inode(path: string): number {
  try {
    return Number(/\[(\d+)\]/.exec(readlinkSync(path))?.[1] ?? 0);
  } catch {
    return 0; // gone, or somebody else's
  }
}
/** Whether both lead to one folder. */
function isSame(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}
function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
function parentOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
/** Whether it is the shim, or what the shim has just forked, that was told one of these folders. */
function isShimOf(pid: number, dirs: ReadonlySet<string>): boolean {
  try {
    const [program = '', option, dir = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return program.endsWith('/netloom-shim') && option === '--dir' && dirs.has(dir);
  } catch {
    return false;
  }
}
