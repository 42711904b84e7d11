import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { NetloomError } from '../errors.ts';
import { FileLock, NETNS_DIR } from '../kernel/index.ts';
import type { Cut } from './cuts.ts';
import type { LabPlan, Machine } from './plan.ts';
import { LAB_NAME, type LabSpec } from './spec.ts';

/** Where labs are, unless one is told otherwise: a folder each. */
export const LABS_DIR = '/run/netloom-lab';
/** The namespace of a lab's bridges. */
export const WIRE = 'wire';

/** What is recorded of a lab, before any of it is made. */
export interface LabRecord {
  /** What was asked for, and what came of it. */
  readonly spec: LabSpec;
  readonly plan: LabPlan;
  /** Machines that an earlier plan had, and that are not yet gone. */
  readonly old: readonly Machine[];
  readonly cuts: readonly Cut[];
}

/**
 * A lab's folder:
 *
 * ```
 * lab.json  lock
 * host1/    etc/ var-lib/   what the host has in /etc and /var/lib that the machine has not, as overlayfs keeps it
 *           etc-netns/ …    folders of netloom's own below them, which begin empty
 *           run/            its /run
 *           init/ service/  pids; log
 * ```
 */
export class Place {
  readonly name: string;
  readonly dir: string;

  /** @throws NetloomError EBADNAME, EBADPATH for a path that cannot be mounted from, ENAMETOOLONG */
  constructor(name: string, dir: string = join(LABS_DIR, name)) {
    if (name !== '' && !LAB_NAME.test(name)) {
      throw new NetloomError('EBADNAME', `"${name}" is no name of a lab`, {
        hint: 'Use lower-case letters, digits and dashes, 31 at most.',
      });
    }
    this.name = name;
    this.dir = resolve(dir);
    if (!/^[\w@%+=./-]+$/.test(this.dir)) {
      throw new NetloomError('EBADPATH', `${this.dir} is no folder for a lab`, {
        hint: 'Its path goes into mount options: letters, digits and @ % + = . / - _ only.',
      });
    }
  }

  /** The lab that is in that folder. @throws NetloomError ENOLAB where there is none */
  static at(dir: string): Place {
    const record = new Place('', dir).read();
    if (!record) throw noLab(`in ${dir}`);
    return new Place(record.plan.name, dir);
  }

  of(machine: string, ...rest: readonly string[]): string {
    return join(this.dir, machine, ...rest);
  }
  /** Of its daemon, as this machine sees it. @throws NetloomError ENAMETOOLONG */
  socket(machine: string): string {
    const path = this.of(machine, 'run/netloom/netloom.sock');
    if (path.length <= 107) return path;
    throw new NetloomError('ENAMETOOLONG', `${path} is too long for a socket, which takes 107 bytes`, {
      hint: 'Give the lab a shorter --dir, or a shorter name.',
    });
  }
  netns(machine: string): string {
    return join(NETNS_DIR, `${this.name}-${machine}`);
  }

  /** Held while a lab is changed. @throws NetloomError ENOLAB where there is none */
  async lock(): Promise<FileLock> {
    try {
      return await FileLock.acquire(join(this.dir, 'lock'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noLab(this.name);
      throw error;
    }
  }

  /** Undefined where there is none. @throws NetloomError ELAB for one that cannot be read */
  read(): LabRecord | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.dir, 'lab.json'), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
    const record = JSON.parse(text) as LabRecord & { readonly format?: number };
    if (record.format === FORMAT) return record;
    throw new NetloomError('ELAB', `${join(this.dir, 'lab.json')} was written by another release`, {
      hint: 'Take the lab down with the release that made it.',
    });
  }
  /** @throws NetloomError ENOLAB */
  mustRead(): LabRecord {
    const record = this.read();
    if (!record) throw noLab(this.name);
    return record;
  }
  write(record: LabRecord): void {
    mkdirSync(this.dir, { recursive: true, mode: 0o755 });
    const path = join(this.dir, 'lab.json');
    writeFileSync(`${path}.new`, `${JSON.stringify({ format: FORMAT, ...record }, undefined, 1)}\n`);
    renameSync(`${path}.new`, path);
  }
}
const FORMAT = 1;

export function noLab(name: string): NetloomError {
  return new NetloomError('ENOLAB', `there is no lab ${name}`, {
    hint: 'netloom lab up makes one; netloom lab ls lists them.',
  });
}

/** Labs in the usual place, by name. */
export function labNames(root: string = LABS_DIR): string[] {
  try {
    return readdirSync(root)
      .filter((name) => new Place(name, join(root, name)).read() !== undefined)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The machine of a lab. @throws NetloomError ENOLABHOST naming those that there are */
export function machineOf(plan: LabPlan, name: string): Machine {
  const found = plan.machines.find((machine) => machine.name === name);
  if (found) return found;
  throw new NetloomError('ENOLABHOST', `the lab ${plan.name} has no machine ${name}`, {
    hint: `It has ${plan.machines.map((machine) => machine.name).join(', ')}.`,
  });
}

/** A folder that nobody else uses: a lab's own, or one that is not there or empty. @throws NetloomError ELABDIR */
export function claimFolder(place: Place): void {
  mkdirSync(dirname(place.dir), { recursive: true, mode: 0o755 });
  mkdirSync(place.dir, { recursive: true, mode: 0o755 });
  const names = readdirSync(place.dir).filter((name) => name !== 'lock' && name !== 'lab.json.new');
  if (names.length === 0 || names.includes('lab.json')) return;
  throw new NetloomError('ELABDIR', `${place.dir} is not empty, and no lab`, { hint: 'Give another --dir.' });
}
