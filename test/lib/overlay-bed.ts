import { apply, removalOf } from '../../src/engine/apply.ts';
import { missing } from '../../src/engine/diff.ts';
import { Kernel, type KernelScope } from '../../src/engine/kernel.ts';
import { driverOf } from '../../src/drivers/index.ts';
import type { Fact } from '../../src/facts/index.ts';
import { guardElements, guardFacts } from '../../src/guard/index.ts';
import { Netns, writeSysctl } from '../../src/kernel/index.ts';
import type {
  AddressPlan,
  BackendName,
  Endpoint,
  Network,
  Overlay,
  Peer,
  RemoteEndpoint,
} from '../../src/model/index.ts';
import { backendOf, mtuOf } from '../../src/overlay/index.ts';
import { ipBatch } from './run.ts';

export interface OverlayOptions {
  readonly backend: BackendName;
  readonly plan?: AddressPlan;
  /** Of the underlay; default both. */
  readonly underlay?: readonly (4 | 6)[];
  readonly directRouting?: boolean;
  readonly icc?: boolean;
  /** Endpoints of each host; as many hosts as there are numbers. Default one on each of four. */
  readonly workloads?: readonly number[];
}

/** An endpoint, and the namespace it is in. */
export interface Workload {
  readonly host: number;
  readonly netns: Netns;
  readonly endpoint: Endpoint;
  /** Without length, IPv4 first. */
  readonly addresses: readonly string[];
}

/** One host, with the words by which it knows the network. */
export interface OverlayHost {
  readonly netns: Netns;
  readonly kernel: KernelScope;
  readonly network: Network;
  readonly overlay: Overlay;
  readonly peers: readonly Peer[];
  /** Of endpoints of its own, and the network's bridge. */
  readonly own: readonly Fact[];
  /** Of the tunnel, whoever the others are. */
  readonly shared: readonly Fact[];
  /** Of one other host, and of its endpoints. */
  about(node: string): readonly Fact[];
}

export interface OverlayBed extends AsyncDisposable {
  /** The switch between the hosts, a bridge `segment` with a port for each. */
  readonly segment: Netns;
  /** What the fourth host is behind: `eth0` on the segment, `eth1` to that host. */
  readonly router: Netns;
  readonly hosts: readonly OverlayHost[];
  readonly workloads: readonly Workload[];
  /** Puts everything there that every host wants; what was not there, by key. */
  apply(): Promise<void>;
  /** What differs from what all want, as `verb kind key`. */
  differences(): Promise<string[]>;
}

/** The last is behind a router, as far as it is the fourth. */
const BEHIND = 3;
const SEGMENT = { 4: '192.0.2', 6: '2001:db8:1:' } as const;
const BEYOND = { 4: '198.51.100', 6: '2001:db8:2:' } as const;

/** The underlay's address of a host, and of the router on each side. */
function outer(host: number, family: 4 | 6): string {
  const net = host === BEHIND ? BEYOND : SEGMENT;
  return family === 4 ? `${net[4]}.${host + 11}` : `${net[6]}:${host + 11}`;
}

/**
 * Up to four hosts on one underlay, the fourth behind a router, with a network over them that `options` describe: its
 * records are made by hand, its facts by driver and backend. The world around is made with `ip`.
 */
export async function makeOverlayBed(options: OverlayOptions): Promise<OverlayBed> {
  const { backend, plan = 'node', underlay = [4, 6], workloads: counts = [1, 1, 1, 1] } = options;
  await using undo = new AsyncDisposableStack();
  const space = (): Netns => undo.use(Netns.create());
  const segment = space();
  const router = space();
  const spaces = counts.map(space);
  await wire(segment, router, spaces, underlay);

  const driver = backendOf(backend);
  const nodes = counts.map((_, host) => `node${host + 1}`);
  const prefixes = counts.map((_, host) =>
    plan === 'node' ? [`10.244.${host + 1}.0/24`, `fd00:244:${host + 1}::/64`] : [],
  );
  const peerOf = (host: number, seen: number): Peer => ({
    node: nodes[host]!,
    addresses: underlay.map((family) => outer(host, family)),
    prefixes: prefixes[host]!,
    backend,
    mac: `02:42:0a:f4:00:0${host + 1}`,
    direct: host === seen || (host !== BEHIND && seen !== BEHIND),
  });
  const workloads = counts.flatMap((count, host) =>
    Array.from({ length: count }, (_, i): Workload => {
      const netns = space();
      return workloadOf(host, i, plan, netns);
    }),
  );
  const hosts = spaces.map((netns, host): OverlayHost => {
    const peers = nodes.flatMap((_, other) => (other === host ? [] : [peerOf(other, host)]));
    const overlay: Overlay = {
      plan,
      backend,
      ranges: ['10.244.0.0/16', 'fd00:244::/32'],
      vni: 4097,
      port: 0,
      directRouting: options.directRouting ?? false,
      self: { ...peerOf(host, host), dev: 'eth0', mtu: 1500 },
    };
    const network = networkOf(host, overlay, options.icc ?? true);
    const bridge = driverOf(network);
    const mine = workloads.filter((w) => w.host === host);
    const kernel = undo.use(undo.use(new Kernel(Netns.open(`/proc/self/fd/${netns.fd}`))).scope());
    return {
      netns,
      kernel,
      network,
      overlay,
      peers,
      own: [
        ...guardFacts(),
        ...bridge.networkFacts(network),
        ...mine.flatMap(({ endpoint }) => [
          ...guardElements(network, endpoint, 'test'),
          ...bridge.endpointFacts(network, endpoint, { workload: 'test' }),
        ]),
      ],
      shared: driver.networkFacts(network, overlay),
      about(node) {
        const peer = peers.find((p) => p.node === node);
        if (!peer) return [];
        const remote = workloads.filter((w) => nodes[w.host] === node);
        return [
          ...driver.peerFacts(network, overlay, peer),
          ...remote.flatMap((w) => driver.remoteFacts(network, overlay, peer, remoteOf(w, node))),
        ];
      },
    };
  });
  const wanted = (host: OverlayHost): Fact[] => [
    ...host.own,
    ...host.shared,
    ...nodes.flatMap((node) => host.about(node)),
  ];
  const kept = undo.move();
  return {
    segment,
    router,
    hosts,
    workloads,
    async apply() {
      for (const host of hosts) await apply(host.kernel, await missing(host.kernel, wanted(host)));
    },
    async differences() {
      const all = await Promise.all(hosts.map((host) => missing(host.kernel, wanted(host))));
      return all.flatMap((changes, i) => changes.map((c) => `${nodes[i]}: ${c.verb} ${JSON.stringify(c.fact)}`));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Takes facts away as the engine does. */
export async function takeAway(host: OverlayHost, facts: readonly Fact[]): Promise<void> {
  await apply(host.kernel, removalOf(facts));
}

async function wire(
  segment: Netns,
  router: Netns,
  hosts: readonly Netns[],
  families: readonly (4 | 6)[],
): Promise<void> {
  const end = (netns: Netns): string => `netns /proc/${process.pid}/fd/${netns.fd}`;
  const address = (text: string, dev: string): string =>
    text.includes(':') ? `addr add ${text}/64 dev ${dev} nodad` : `addr add ${text}/24 dev ${dev}`;
  // an interface that was there for long has its link-local address, without which nobody is solicited for what is forwarded
  for (const netns of [router, ...hosts])
    for (const dev of ['all', 'default']) writeSysctl(netns, `net.ipv6.conf.${dev}.accept_dad`, '0');
  const near = hosts.filter((_, host) => host !== BEHIND);
  const far = hosts[BEHIND];
  await ipBatch(segment, [
    'link add segment up type bridge mcast_snooping 0',
    ...[router, ...near].flatMap((netns, i) => [
      `link add port${i} type veth peer name eth0 ${end(netns)}`,
      `link set port${i} master segment up`,
    ]),
  ]);
  if (far) {
    await ipBatch(router, [
      `link add eth1 type veth peer name eth0 ${end(far)}`,
      ...['eth0', 'eth1', 'lo'].map((dev) => `link set ${dev} up`),
      ...families.flatMap((f) => [
        address(f === 4 ? `${SEGMENT[4]}.1` : `${SEGMENT[6]}:1`, 'eth0'),
        address(f === 4 ? `${BEYOND[4]}.1` : `${BEYOND[6]}:1`, 'eth1'),
      ]),
    ]);
    for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) writeSysctl(router, name, '1');
  }
  for (const [host, netns] of hosts.entries()) {
    const net = host === BEHIND ? BEYOND : SEGMENT;
    await ipBatch(netns, [
      'link set lo up',
      'link set eth0 up',
      ...families.flatMap((f) => [
        address(outer(host, f), 'eth0'),
        f === 4 ? `route add default via ${net[4]}.1` : `route add ::/0 via ${net[6]}:1`,
      ]),
    ]);
  }
}

function networkOf(host: number, overlay: Overlay, icc: boolean): Network {
  const flat = overlay.plan === 'flat';
  return {
    id: 'abcdef0123456789'.repeat(4),
    name: 'shared',
    driver: 'overlay',
    created: '',
    internal: false,
    subnets: flat
      ? [
          { subnet: '10.244.0.0/16', gateway: '10.244.0.1' },
          { subnet: 'fd00:244::/32', gateway: 'fd00:244::1' },
        ]
      : [
          { subnet: `10.244.${host + 1}.0/24`, gateway: `10.244.${host + 1}.1` },
          { subnet: `fd00:244:${host + 1}::/64`, gateway: `fd00:244:${host + 1}::1` },
        ],
    options: {
      ...{ driver: 'bridge', bridge: 'br0', mtu: mtuOf(overlay), icc, masquerade: true, hairpin: false },
      hostBinding: '',
    },
    overlay,
    labels: {},
    phase: 'ready',
    owner: '',
  };
}

function workloadOf(host: number, i: number, plan: AddressPlan, netns: Netns): Workload {
  const flat = plan === 'flat';
  const [a, b] = [host + 1, i + 2];
  const addresses = [`10.244.${a}.${b}/${flat ? 16 : 24}`, flat ? `fd00:244::${a}:${b}/32` : `fd00:244:${a}::${b}/64`];
  const gateways = flat ? ['10.244.0.1', 'fd00:244::1'] : [`10.244.${a}.1`, `fd00:244:${a}::1`];
  return {
    host,
    netns,
    addresses: addresses.map((address) => address.replace(/\/.*/, '')),
    endpoint: {
      ...{ id: `${a}${b}`.padEnd(64, '0'), network: '', container: '', type: 'veth', ifname: 'eth0' },
      ...{ netns: `/proc/${process.pid}/fd/${netns.fd}`, netnsId: '', hostIfname: `ve${a}${b}` },
      ...{ mac: `02:42:0a:f4:0${a}:0${b}`, addresses, gateways, aliases: [], gatewayPriority: 0, ports: [] },
      ...{ rates: { ingress: 0, egress: 0 }, created: '', phase: 'ready', owner: '' },
    },
  };
}

function remoteOf({ endpoint }: Workload, node: string): RemoteEndpoint {
  const { id, network, addresses, mac } = endpoint;
  return { id, network, node, addresses, mac };
}
