import { hasCode } from '../../errors.ts';
import { Netns } from '../../kernel/index.ts';
import { NETLINK, NetlinkConn, type Request } from '../../netlink/index.ts';
import { NftConn, tableAdd } from '../../nftables/index.ts';
import { linkAdd, linkGet, type LinkSpec, parseLinkIndex } from '../../rtnetlink/index.ts';
import type { Check, View } from '../check.ts';

/** What is tried, in a namespace that is gone afterwards. */
interface Feature {
  readonly name: string;
  /** What of netloom does not work without it. */
  readonly for: string;
  /** The kernel's configuration symbol. */
  readonly config: string;
  /** True where something that is in use, or nothing at all, works without it. */
  needed(view: View): boolean;
  try(bench: Bench): Promise<void>;
}
interface Bench {
  readonly rtnl: NetlinkConn;
  readonly nft: NftConn;
  /** Index of an interface to stand on. */
  readonly parent: number;
}

const always = (): boolean => true;
const driver =
  (name: string) =>
  (view: View): boolean =>
    view.networks.some((n) => n.driver === name);
const link =
  (spec: (bench: Bench) => LinkSpec) =>
  async (bench: Bench): Promise<void> => {
    await send(bench.rtnl, linkAdd(spec(bench)));
  };
const table =
  (family: 'inet' | 'bridge') =>
  async (bench: Bench): Promise<void> =>
    bench.nft.commit([tableAdd({ family, name: 'trial' })]);

const FEATURES: readonly Feature[] = [
  {
    name: 'veth',
    for: 'endpoints of bridge networks',
    config: 'CONFIG_VETH',
    needed: always,
    try: link(() => ({ name: 'a1', info: { kind: 'veth', peer: { name: 'a2' } } })),
  },
  {
    name: 'bridge',
    for: 'bridge networks',
    config: 'CONFIG_BRIDGE',
    needed: always,
    try: link(() => ({ name: 'b1', info: { kind: 'bridge' } })),
  },
  {
    name: 'nftables, family inet',
    for: 'masquerade, published ports, isolation',
    config: 'CONFIG_NF_TABLES_INET',
    needed: always,
    try: table('inet'),
  },
  {
    name: 'nftables, family bridge',
    for: 'the guard against forged frames',
    config: 'CONFIG_NF_TABLES_BRIDGE',
    needed: driver('bridge'),
    try: table('bridge'),
  },
  {
    name: 'macvlan',
    for: 'macvlan networks',
    config: 'CONFIG_MACVLAN',
    needed: driver('macvlan'),
    try: link(({ parent }) => ({ name: 'm1', link: parent, info: { kind: 'macvlan', mode: 'bridge' } })),
  },
  {
    name: 'ipvlan',
    for: 'ipvlan networks',
    config: 'CONFIG_IPVLAN',
    needed: driver('ipvlan'),
    try: link(({ parent }) => ({ name: 'i1', link: parent, info: { kind: 'ipvlan', mode: 'l2' } })),
  },
  {
    name: '802.1Q VLANs',
    for: 'parents such as eth0.50',
    config: 'CONFIG_VLAN_8021Q',
    needed: (view) => view.networks.some((n) => 'vlan' in n.options && n.options.vlan !== 0),
    try: link(({ parent }) => ({ name: 'v1', link: parent, info: { kind: 'vlan', id: 5 } })),
  },
];

/** What of the kernel is there, found out by using it. */
export const features: Check = {
  name: 'kernel-features',
  about: 'what the kernel can do, tried in a namespace of its own',
  async run(view) {
    using netns = Netns.create();
    using rtnl = NetlinkConn.open(NETLINK.ROUTE, netns);
    using nft = NftConn.open(netns);
    const made = await send(rtnl, linkAdd({ name: 'p1', info: { kind: 'veth', peer: { name: 'p2' } } })).then(
      () => send(rtnl, linkGet({ name: 'p1' })),
      () => [],
    );
    const bench: Bench = { rtnl, nft, parent: made[0] ? parseLinkIndex(made[0]).index : 0 };
    const there: string[] = [];
    const missing: Feature[] = [];
    for (const feature of FEATURES) {
      try {
        await feature.try(bench);
        there.push(feature.name);
      } catch (error) {
        if (!hasCode(error, 'EOPNOTSUPP', 'ENOENT', 'EAFNOSUPPORT', 'EUNSUPPORTED', 'EPROTONOSUPPORT')) throw error;
        missing.push(feature);
      }
    }
    const evidence = [
      `there: ${there.join(', ')}`,
      ...missing.map((f) => `missing: ${f.name} (${f.config}): ${f.for}`),
    ];
    const needed = missing.filter((feature) => feature.needed(view));
    if (needed.length > 0) {
      const names = needed.map((f) => f.name).join(', ');
      const cure = [
        `a kernel with ${needed.map((f) => f.config).join(', ')}, built in or as a module that can be loaded`,
      ];
      return [{ status: 'failure', summary: `the kernel lacks ${names}, which is in use`, evidence, cure }];
    }
    const summary =
      missing.length === 0
        ? 'the kernel has everything'
        : `the kernel has everything in use; it lacks ${missing.map((f) => f.name).join(', ')}`;
    return [{ status: missing.length === 0 ? 'ok' : 'info', summary, evidence }];
  },
};

async function send(conn: NetlinkConn, request: Request): ReturnType<NetlinkConn['execute']> {
  return await conn.execute(request);
}
