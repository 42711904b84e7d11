import { mkdirSync, rmSync } from 'node:fs';
import { type Engine, openEngine, type Paths } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { JoinSpec } from '../../src/model/index.ts';
import { attach, type Workload } from './cluster.ts';
import { makeDirs, type TestDirs } from './dirs.ts';
import { PACE } from './pace.ts';
import { ipBatch } from './run.ts';
import { namesIn } from './snapshot.ts';

export interface MachineOptions {
  /** Machine N is `192.0.2.N` and `2001:db8::N`, or `198.51.100.N` and `2001:db8:2::N`. */
  readonly segment?: 1 | 2;
  /** There is a router on its segment, which leads elsewhere. */
  readonly routed?: boolean;
  /** What it says when it joins. */
  readonly join?: Partial<JoinSpec>;
}
const SEGMENTS = { 1: ['192.0.2.', '2001:db8::'], 2: ['198.51.100.', '2001:db8:2::'] } as const;

/** A cable from the wire to an interface of a machine, with addresses. */
export async function plugIn(
  wire: Netns,
  netns: Netns,
  dev: string,
  port: string,
  addresses: readonly string[],
): Promise<void> {
  await ipBatch(wire, [
    `link add ${port} master wire up type veth peer name ${dev} netns /proc/${process.pid}/fd/${netns.fd}`,
  ]);
  await ipBatch(netns, [
    'link set lo up',
    `link set ${dev} up`,
    ...addresses.map((each) => `addr add ${each} dev ${dev}${each.includes(':') ? ' nodad' : ''}`),
  ]);
}

/** A machine of a cluster, on one segment with the others; its engine is in this process. */
export class Machine implements AsyncDisposable {
  readonly name: string;
  readonly paths: Paths;
  readonly #number: number;
  readonly #wire: Netns;
  readonly #etcd: readonly string[];
  readonly #options: MachineOptions;
  readonly #dirs: TestDirs;
  #netns: Netns | undefined;
  #engine: Engine | undefined;
  #spaces: Netns[] = [];

  private constructor(number: number, wire: Netns, etcd: readonly string[], options: MachineOptions) {
    this.name = `host${number}`;
    this.#number = number;
    this.#wire = wire;
    this.#etcd = etcd;
    this.#options = options;
    this.#dirs = makeDirs();
    const { root, stateDir, runDir } = this.#dirs;
    // what is gone when it is switched off is below one folder
    this.paths = { stateDir, runDir, netnsDir: `${runDir}/netns`, etcNetnsDir: `${root}/etc` };
  }

  /** Switched on, and a node of the cluster. */
  static async make(
    number: number,
    wire: Netns,
    etcd: readonly string[],
    options: MachineOptions = {},
  ): Promise<Machine> {
    const machine = new Machine(number, wire, etcd, options);
    try {
      await machine.#switchOn();
      await machine.start();
      await machine.join(options.join);
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  get netns(): Netns {
    if (this.#netns) return this.#netns;
    throw new Error(`${this.name} is off`);
  }
  get engine(): Engine {
    if (this.#engine) return this.#engine;
    throw new Error(`no engine is on ${this.name}`);
  }

  async join(more: Partial<JoinSpec> = {}): Promise<void> {
    const { name } = this;
    const addresses = this.#addresses.map((address) => address.replace(/\/\d+$/, ''));
    // what is between the segments may be still to come
    const force = (this.#options.segment ?? 1) !== 1;
    // an emulated machine may not get to it in time
    const ttl = PACE > 1 ? { ttl: 120 } : {};
    await this.engine.nodeJoin({ etcd: this.#etcd, name, addresses, ...ttl, ...more }, { force });
  }

  async start(): Promise<Engine> {
    this.#engine = await openEngine({
      ...this.paths,
      netns: Netns.open(`/proc/self/fd/${this.netns.fd}`),
      resident: true,
    });
    return this.#engine;
  }
  /** The engine ends; what it has made stays. */
  async stop(): Promise<void> {
    const engine = this.#engine;
    this.#engine = undefined;
    await engine?.[Symbol.asyncDispose]();
  }

  /** Ends the engine, and has another go on. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Off and on again: nothing is left but the state folder. No engine runs then. */
  async reboot(): Promise<void> {
    await this.stop();
    await this.#switchOff();
    rmSync(this.paths.runDir, { recursive: true, force: true });
    await this.#switchOn();
  }

  /** @param addresses  those that it asks for */
  async workload(label: string, network: string, addresses: readonly string[] = []): Promise<Workload> {
    const space = Netns.create();
    this.#spaces.push(space);
    const netns = `${this.paths.netnsDir}/${label}`;
    space.pin(netns);
    await ipBatch(space, ['link set lo up']);
    return await attach(this.engine, { netns: space, path: netns, network, addresses, name: `${label}-${this.name}` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#switchOff();
    this.#dirs[Symbol.dispose]();
  }

  async #switchOn(): Promise<void> {
    this.#netns = Netns.create();
    mkdirSync(this.paths.netnsDir, { recursive: true });
    await plugIn(this.#wire, this.#netns, 'eth0', `port${this.#number}`, this.#addresses);
    const [v4, v6] = SEGMENTS[this.#options.segment ?? 1];
    if (this.#options.routed)
      await ipBatch(this.#netns, [`route add default via ${v4}254`, `route add default via ${v6}fe`]);
  }

  get #addresses(): readonly string[] {
    const [v4, v6] = SEGMENTS[this.#options.segment ?? 1];
    return [`${v4}${this.#number}/24`, `${v6}${this.#number}/64`];
  }

  /** Its namespaces go with the last that holds them. */
  async #switchOff(): Promise<void> {
    for (const space of this.#spaces) space.close();
    this.#spaces = [];
    for (const name of namesIn(this.paths.netnsDir)) Netns.unpin(`${this.paths.netnsDir}/${name}`);
    if (!this.#netns) return;
    // before its namespace goes, some time later, and takes it along
    await ipBatch(this.#wire, [`link del port${this.#number}`]);
    this.#netns.close();
    this.#netns = undefined;
  }
}
