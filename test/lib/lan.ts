import assert from 'node:assert/strict';
import { readAll } from '../../src/engine/diff.ts';
import type { Engine } from '../../src/engine/index.ts';
import { factsOfEndpoint } from '../../src/engine/endpoints.ts';
import { Kernel } from '../../src/engine/kernel.ts';
import { factsOfNetwork } from '../../src/engine/networks.ts';
import { type Fact, factKey, kindOf } from '../../src/facts/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { Endpoint, Network, SubnetSpec } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from './engine.ts';
import { keepPeer, ping } from './peer.ts';
import { ipBatch } from './run.ts';
import { until } from './wait.ts';
import { linksOf, snapshot } from './snapshot.ts';

/** Addresses of a segment that the host and its endpoints share (RFC 2544's test space, RFC 3849). */
export const LAN = {
  subnet: '198.18.0.0/24',
  subnet6: '2001:db8:5::/64',
  host: '198.18.0.1',
  host6: '2001:db8:5::1',
  /** Somebody else on the segment, who is also its router. */
  peer: '198.18.0.2',
  peer6: '2001:db8:5::2',
  peerMac: '02:00:00:00:05:02',
} as const;

/** A switch, the host's `lan0` on it, and another machine. */
export interface Segment extends AsyncDisposable {
  /** The switch: the bridge `lan`, its port to the host `port0`, to the machine `port1`. */
  readonly switch: Netns;
  readonly peer: Netns;
}

/** Made with `ip`. @param vlan the segment is this VLAN of the host's interface and of the machine's */
export async function makeSegment(host: Netns, vlan = 0): Promise<Segment> {
  await using undo = new AsyncDisposableStack();
  const between = undo.use(Netns.create());
  const peer = undo.use(Netns.create());
  undo.use(keepPeer(peer));
  const end = (name: string, netns: Netns): string => `name ${name} netns /proc/${process.pid}/fd/${netns.fd}`;
  await ipBatch(between, [
    'link add lan up type bridge mcast_snooping 0',
    `link add port0 type veth peer ${end('lan0', host)}`,
    `link add port1 type veth peer ${end('eth0', peer)}`,
    'link set port0 master lan up',
    'link set port1 master lan up',
  ]);
  const tag = (dev: string): string[] =>
    vlan === 0 ? [] : [`link add link ${dev} name ${dev}.${vlan} type vlan id ${vlan}`, `link set ${dev}.${vlan} up`];
  const on = (dev: string): string => (vlan === 0 ? dev : `${dev}.${vlan}`);
  await ipBatch(host, [
    'link set lan0 up',
    ...(vlan === 0 ? [`addr add ${LAN.host}/24 dev lan0`, `addr add ${LAN.host6}/64 dev lan0 nodad`] : []),
  ]);
  await ipBatch(peer, [
    'link set lo up',
    `link set eth0 address ${LAN.peerMac} up`,
    ...tag('eth0'),
    `addr add ${LAN.peer}/24 dev ${on('eth0')}`,
    `addr add ${LAN.peer6}/64 dev ${on('eth0')} nodad`,
  ]);
  const kept = undo.move();
  return { switch: between, peer, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Whether one reaches the other by each of these addresses: all of them or none, else what differs. */
export async function reaches(from: Netns, addresses: readonly string[], timeout = 1): Promise<boolean> {
  const answers = await Promise.all(addresses.map((address) => ping(from, address, { timeout })));
  if (answers.every((answer) => answer === answers[0])) return answers[0] ?? false;
  throw new Error(`reached: ${addresses.map((address, i) => `${address} ${answers[i]}`).join(', ')}`);
}

/** As `reaches`, for what has only just become so: a question that was on its way before may fail yet. */
export async function comesToReach(from: Netns, addresses: readonly string[]): Promise<boolean> {
  return await until('an answer', () => reaches(from, addresses, 5), { timeout: 20_000 }).catch(() => false);
}

export function bare(addresses: readonly string[]): string[] {
  return addresses.map((address) => address.replace(/\/.*/, ''));
}

/** What in the kernel is not as a network and its endpoints want it: `key: property, property`. */
export async function differences(bed: EngineBed, network: Network, endpoints: readonly Endpoint[]): Promise<string[]> {
  using kernel = new Kernel(Netns.open(`/proc/self/fd/${bed.host.netns.fd}`));
  using scope = kernel.scope();
  const wanted: Fact[] = [
    ...factsOfNetwork(network),
    ...endpoints.flatMap((e) => factsOfEndpoint(network, e, { container: '', name: e.netns, netns: e.netns })),
  ];
  const there = await readAll(scope, wanted);
  return wanted.flatMap((fact) => {
    const have = there.get(factKey(fact));
    if (!have) return [`${factKey(fact)}: missing`];
    const wrong = kindOf(fact).differences(fact, have);
    return wrong.length > 0 ? [`${factKey(fact)}: ${wrong.join(', ')}`] : [];
  });
}

/** The segment's subnets, with ranges that leave its own machines alone. */
export const LAN_SUBNETS: readonly SubnetSpec[] = [
  { subnet: LAN.subnet, gateway: LAN.peer, ipRange: '198.18.0.128/25' },
  { subnet: LAN.subnet6, gateway: LAN.peer6, ipRange: '2001:db8:5::8000/113' },
];

/** Somebody who asks and is asked. */
export interface Party {
  readonly netns: Netns;
  readonly addresses: readonly string[];
}
export interface Parties {
  readonly bed: EngineBed;
  readonly segment: Segment;
  readonly host: Party;
  readonly peer: Party;
  readonly workloads: readonly (Party & { readonly endpoint: Endpoint })[];
}
export interface PartiesOptions {
  readonly subnets?: readonly SubnetSpec[];
  readonly vlan?: number;
}

/**
 * Runs `body` with `count` workloads on one network of that driver, on a segment with the host and a machine on it; looks
 * before whether the kernel reads back as it was asked, and afterwards whether anything is left.
 */
export function partiesOn(
  driver: 'macvlan' | 'ipvlan',
  { subnets = LAN_SUBNETS, vlan = 0 }: PartiesOptions = {},
): (options: Readonly<Record<string, string>>, count: number, body: (who: Parties) => Promise<void>) => Promise<void> {
  return async (options, count, body) => {
    await using bed = await makeEngineBed();
    await using segment = await makeSegment(bed.host.netns, vlan);
    const before = await snapshot(bed.host.netns, { macOf: () => true });
    const { value: network } = await bed.engine.networkCreate({
      name: 'lan',
      driver,
      subnets,
      options: { parent: 'lan0', ...options },
    });
    const workloads: (Party & { readonly endpoint: Endpoint })[] = [];
    for (let i = 0; i < count; i++) {
      const { netns, path } = await bed.workload(`w${i}`);
      const { value: endpoint } = await bed.engine.endpointAttach({ netns: path, network: 'lan' });
      workloads.push({ netns, addresses: bare(endpoint.addresses), endpoint });
    }
    const endpoints = workloads.map((w) => w.endpoint);
    assert.deepEqual(await differences(bed, network, endpoints), [], 'the kernel reads back as it was asked');
    await body({
      bed,
      segment,
      host: { netns: bed.host.netns, addresses: [LAN.host, LAN.host6] },
      peer: { netns: segment.peer, addresses: [LAN.peer, LAN.peer6] },
      workloads,
    });
    for (const { id } of endpoints) await bed.engine.endpointDetach(id);
    for (const { netns } of workloads) {
      const names = (await linksOf(netns)).map((link) => link.ifname);
      assert.deepEqual(names, ['lo'], 'a detached endpoint leaves nothing');
    }
    await bed.engine.networkRemove('lan');
    assert.deepEqual(await snapshot(bed.host.netns, { macOf: () => true }), before, 'nothing is left');
  };
}

export type Row = readonly [what: string, from: Party, to: Party, wanted: boolean];

/** Who reaches whom: yes, or no to everything that is asked, in both families. */
export async function table(rows: readonly Row[]): Promise<void> {
  const found = await Promise.all(
    rows.map(async ([what, from, to, wanted]) => {
      try {
        return [what, await reaches(from.netns, to.addresses, wanted ? 5 : 1)] as const;
      } catch (error) {
        return [what, String(error)] as const;
      }
    }),
  );
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(rows.map(([what, , , wanted]) => [what, wanted])));
}

/** Fills a network with ports that cost the kernel little: taps that nobody opens. */
export async function fill(engine: Engine, network: string, count: number): Promise<void> {
  const attach = (): Promise<unknown> => engine.endpointAttach({ netns: '', tap: true, network });
  for (let n = 0; n < count; n += 50) await Promise.all(Array.from({ length: 50 }, attach));
}
