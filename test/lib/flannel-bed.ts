import { type Engine, openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { EngineEvent, Network } from '../../src/model/index.ts';
import { makeDirs } from './dirs.ts';
import { type Etcd, startEtcd } from './etcd.ts';
import { type FlannelHost, type FlannelHostOptions, KEYS, makeFlannelHost } from './flannel.ts';
import { plugIn } from './machine.ts';
import { ipBatch } from './run.ts';

type Backend = FlannelHostOptions['backend'];

/** A flannel network's etcd, hosts of flannel made by hand, and one of netloom: 192.0.2.1. */
export interface FlannelBed extends AsyncDisposable {
  readonly etcd: Etcd;
  readonly netns: Netns;
  /** The one that runs now. */
  engine(): Engine;
  /** As a daemon that is started anew. */
  restart(): Promise<void>;
  create(options?: Readonly<Record<string, string>>): Promise<Network>;
  /** A workload on the network `pods`. */
  workload(name: string): Promise<{ readonly netns: Netns; readonly addresses: readonly string[] }>;
  flannel(number: number, options?: { readonly ipv6?: boolean; readonly backend?: Backend }): Promise<FlannelHost>;
  /** Writes flannel's configuration. */
  configure(backend: Backend, config?: Readonly<Record<string, unknown>>): Promise<void>;
  /** What was told of the network: `fault our lease of …: reason`. */
  readonly told: readonly string[];
  readonly runDir: string;
}

export async function makeFlannelBed(
  backend: Backend,
  config: Readonly<Record<string, unknown>> = {},
): Promise<FlannelBed> {
  await using undo = new AsyncDisposableStack();
  const etcd = undo.use(await startEtcd());
  const configure: FlannelBed['configure'] = async (type, more = {}) => {
    // ours is by chance, and none of those below that tests write by hand
    const shown = { Network: '10.244.0.0/16', SubnetMin: '10.244.100.0', Backend: { Type: type }, ...more };
    await etcd.ctl('put', `${KEYS}/config`, JSON.stringify(shown));
  };
  await configure(backend, config);
  const wire = undo.use(Netns.create());
  await ipBatch(wire, ['link add wire up type bridge mcast_snooping 0']);
  const netns = undo.use(Netns.create());
  const dirs = undo.use(makeDirs());
  await plugIn(wire, netns, 'eth0', 'port1', ['192.0.2.1/24', '2001:db8::1/64']);
  const netnsDir = `${dirs.root}/netns`;
  const pinned: string[] = [];
  undo.defer(() => {
    for (const path of pinned) Netns.unpin(path);
  });
  const told: string[] = [];
  const start = async (): Promise<Engine> => {
    const { stateDir, runDir } = dirs;
    const engine = await openEngine({
      ...{ stateDir, runDir, netnsDir, etcNetnsDir: `${dirs.root}/etc` },
      netns: Netns.open(`/proc/self/fd/${netns.fd}`),
      resident: true,
    });
    void listen(engine, told);
    return engine;
  };
  let running: Engine | undefined = await start();
  undo.defer(async () => running?.[Symbol.asyncDispose]());
  const spaces = undo.use(new AsyncDisposableStack());
  const kept = undo.move();
  return {
    ...{ etcd, netns, told, runDir: dirs.runDir },
    engine: () => running!,
    async restart() {
      await running?.[Symbol.asyncDispose]();
      running = undefined;
      running = await start();
    },
    async create(options = {}) {
      const words = { flannel: etcd.endpoints.join(','), address: '192.0.2.1,2001:db8::1', ...options };
      return (await running!.networkCreate({ name: 'pods', driver: 'overlay', options: words })).value;
    },
    async workload(name) {
      const space = spaces.use(Netns.create());
      space.pin(`${netnsDir}/${name}`);
      pinned.push(`${netnsDir}/${name}`);
      await ipBatch(space, ['link set lo up']);
      const { value } = await running!.endpointAttach({ netns: `${netnsDir}/${name}`, network: 'pods' });
      return { netns: space, addresses: value.addresses.map((each) => each.split('/')[0]!) };
    },
    configure,
    flannel: async (number, wishes = {}) =>
      spaces.use(await makeFlannelHost({ etcd, wire, number, backend, ...wishes })),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function listen(engine: Engine, told: string[]): Promise<void> {
  const note = ({ type, action, name, attributes }: EngineEvent): void => {
    if (type === 'cluster') told.push(`${action} ${name}${attributes['reason'] ? `: ${attributes['reason']}` : ''}`);
  };
  for await (const event of engine.events()) note(event);
}
