import { type EngineApi, type NetworkSpec, parsePublish } from '../../src/model/index.ts';

/** A change that the fault tests kill at every step. */
export interface Operation {
  /** What is there all the time. */
  readonly setup?: (engine: EngineApi) => Promise<void>;
  /** Brings about what the change starts from. */
  readonly prepare: (engine: EngineApi, netnsDir: string) => Promise<void>;
  readonly run: (engine: EngineApi, netnsDir: string) => Promise<void>;
  /** `before`: a creation is taken back. `after`: a removal is finished. */
  readonly ends: 'before' | 'after';
  /** Once the kernel has all of it, it stays: whoever asked may have been told. */
  readonly keeps?: true;
}

const PORTS = ['8080:80', '9000-9009:9000-9009', '5353:53/udp'].map(parsePublish);
const attach = async (engine: EngineApi, netnsDir: string): Promise<void> => {
  await engine.endpointAttach({ netns: `${netnsDir}/victim`, network: 'kept', ports: PORTS });
};
const handOver = async (engine: EngineApi): Promise<void> => {
  await engine.endpointAttach({ netns: '', handOver: true, name: 'docker:victim', network: 'kept', ports: PORTS });
};
/** The uplink's segment, with an address of the host's on it. */
const SEGMENT: NetworkSpec = {
  name: 'lan',
  driver: 'macvlan',
  subnets: [{ subnet: '192.0.2.0/24', gateway: '192.0.2.2', ipRange: '192.0.2.128/25' }],
  options: { parent: 'eth0', shim: '192.0.2.9' },
};
const nothing = (): Promise<void> => Promise.resolve();

export const operations: Readonly<Record<string, Operation>> = {
  'network create': {
    prepare: nothing,
    run: async (engine) => void (await engine.networkCreate({ name: 'victim', ipv6: true })),
    ends: 'before',
  },
  'network rm': {
    prepare: async (engine) => void (await engine.networkCreate({ name: 'victim', ipv6: true })),
    run: async (engine) => void (await engine.networkRemove('victim')),
    ends: 'after',
  },
  attach: { prepare: nothing, run: attach, ends: 'before', keeps: true },
  detach: {
    prepare: attach,
    async run(engine, netnsDir) {
      const endpoint = (await engine.endpointList()).find((e) => e.netns === `${netnsDir}/victim`);
      if (endpoint) await engine.endpointDetach(endpoint.id);
    },
    ends: 'after',
  },
  'hand over': { prepare: nothing, run: handOver, ends: 'before' },
  'hand over, taken back': {
    prepare: handOver,
    run: async (engine) => void (await engine.endpointDetach('docker:victim')),
    ends: 'after',
  },
  'hand over, taken back behind the answer': {
    prepare: handOver,
    run: async (engine) => void (await engine.endpointDetach('docker:victim', { behind: true })),
    ends: 'after',
  },
  'container create': {
    prepare: nothing,
    run: async (engine) =>
      void (await engine.containerCreate({
        name: 'box',
        command: ['true'],
        networks: [{ network: 'kept' }],
        ports: PORTS,
      })),
    ends: 'before',
  },
  'container rm': {
    prepare: async (engine) =>
      void (await engine.containerCreate({
        name: 'box',
        command: ['true'],
        networks: [{ network: 'kept' }],
        ports: PORTS,
      })),
    run: async (engine) => void (await engine.containerRemove('box')),
    ends: 'after',
  },
  'macvlan network create': {
    prepare: nothing,
    run: async (engine) => void (await engine.networkCreate(SEGMENT)),
    ends: 'before',
  },
  'macvlan network rm': {
    prepare: async (engine) => void (await engine.networkCreate(SEGMENT)),
    run: async (engine) => void (await engine.networkRemove('lan')),
    ends: 'after',
  },
  'macvlan attach': {
    setup: async (engine) => void (await engine.networkCreate(SEGMENT)),
    prepare: nothing,
    run: async (engine, netnsDir) =>
      void (await engine.endpointAttach({ netns: `${netnsDir}/victim`, network: 'lan', ifname: 'm0' })),
    ends: 'before',
    keeps: true,
  },
  'macvlan detach': {
    setup: async (engine) => void (await engine.networkCreate(SEGMENT)),
    prepare: async (engine, netnsDir) =>
      void (await engine.endpointAttach({ netns: `${netnsDir}/victim`, network: 'lan', ifname: 'm0' })),
    async run(engine, netnsDir) {
      const endpoint = (await engine.endpointList()).find((e) => e.netns === `${netnsDir}/victim`);
      if (endpoint) await engine.endpointDetach(endpoint.id);
    },
    ends: 'after',
  },
  'tap attach': {
    prepare: nothing,
    run: async (engine) =>
      void (await engine.endpointAttach({ netns: '', tap: true, ifname: 'vm0', network: 'kept', ports: PORTS })),
    ends: 'before',
    keeps: true,
  },
  'tap detach': {
    prepare: async (engine) =>
      void (await engine.endpointAttach({ netns: '', tap: true, ifname: 'vm0', network: 'kept', ports: PORTS })),
    async run(engine) {
      const endpoint = (await engine.endpointList()).find((e) => e.type === 'tap');
      if (endpoint) await engine.endpointDetach(endpoint.id);
    },
    ends: 'after',
  },
};
