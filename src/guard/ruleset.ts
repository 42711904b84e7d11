import { BRIDGE_TABLE, type ChainPlan, type Fact, GUARDED_GROUP, plannedChain } from '../facts/index.ts';
import type { NftExpression, NftMatch, NftSet, NftStatement, NftType } from '../nftables/index.ts';

/**
 * What frames of endpoints are judged by before their bridge sees them: an endpoint can say nothing but what it is. As
 * with packets, chains are static and an endpoint is elements. Bridges that are not ours pass at the first rule.
 *
 * A frame costs one lookup: interface, MAC and IP address together, in the order in which traffic is likely. Only what is
 * not found there is looked at closer, to count why it is dropped.
 */
export function guardFacts(): readonly Fact[] {
  const object = 'netloom';
  const sets = Object.values(GUARD_SETS).map((set): Fact => ({ kind: 'nft-set', ns: '', object, set }));
  return [
    { kind: 'nft-table', ns: '', object, table: BRIDGE_TABLE },
    ...sets,
    ...CHAINS.map((plan) => plannedChain(BRIDGE_TABLE, Object.values(GUARD_SETS), plan)),
  ];
}

/** What endpoints put their elements into. */
export const GUARD_SETS: Readonly<Record<'macs' | 'guard4' | 'guard6' | 'nd', NftSet>> = {
  macs: set('macs', ['ifname', 'ether_addr']),
  guard4: set('guard4', ['ifname', 'ether_addr', 'ipv4_addr']),
  guard6: set('guard6', ['ifname', 'ether_addr', 'ipv6_addr']),
  /** Hashes of what an endpoint may say in neighbour discovery: its addresses, and its MAC. */
  nd: set('nd', ['ifname', 'mark']),
};

/**
 * Neither nft 1.0.6 nor the kernel's sets can look up what lies inside of ICMPv6 together with an interface's name. They can
 * hash it into the packet's mark, which no container can have set, and look that up.
 */
export const HASH: { readonly mod: number; readonly address: number; readonly mac: number } = {
  mod: 0xffff_ffff,
  address: 0x6e6c_6164,
  mac: 0x6e6c_6d61,
};

function set(name: string, type: NftType): NftSet {
  return { family: BRIDGE_TABLE.family, table: BRIDGE_TABLE.name, name, type };
}

const field = (protocol: string, name: string): NftExpression => ({ payload: { protocol, field: name } });
const meta = (key: 'iifname' | 'iifgroup' | 'l4proto' | 'mark' | 'protocol'): NftExpression => ({ meta: { key } });
const is = (left: NftExpression, right: NftMatch['right']): NftStatement => ({ match: { op: '==', left, right } });
const not = (left: NftExpression, right: NftMatch['right']): NftStatement => ({ match: { op: '!=', left, right } });
const to = (target: string): NftStatement => ({ goto: { target } });
const accept: NftStatement = { accept: null };
const iif = meta('iifname');
const mac = field('ether', 'saddr');
const type = field('icmpv6', 'type');
const foreignMac: readonly NftStatement[] = [not({ concat: [iif, mac] }, '@macs'), to('drop_mac')];
const own4: NftExpression = { concat: [iif, mac, field('ip', 'saddr')] };
const own6: NftExpression = { concat: [iif, mac, field('ip6', 'saddr')] };
const said: NftExpression = { concat: [iif, meta('mark')] };
const mark = (value: NftExpression): NftStatement => ({ mangle: { key: meta('mark'), value } });
const hashed = (bits: string, seed: number): NftStatement =>
  mark({ jhash: { expr: field('@th', bits), mod: HASH.mod, seed } });
/** RFC 4861 section 4.3: the target is behind eight bytes, the first option behind the target. */
const target = hashed('64,128', HASH.address);
const lladdr = hashed('208,48', HASH.mac);
const option: NftExpression = field('@th', '192,8');
/** RFC 4861 section 4.6.1: a message without options, and with a link-layer address alone. */
const BARE = 24;
const WITH_LLADDR = 32;
const SOURCE_LLADDR = 1;
const TARGET_LLADDR = 2;

/** Why a frame was dropped: each has a chain, and its counter. */
const REASONS = ['mac', 'ipv4_source', 'ipv6_source', 'arp', 'nd', 'router', 'dhcp_server'] as const;

/** Chains that are called come before those that call them. */
const CHAINS: readonly ChainPlan[] = [
  ...REASONS.map((reason) => ({ name: `drop_${reason}`, rules: [[{ counter: null }, { drop: null }] as const] })),
  {
    // only the host serves addresses: RFC 2131, RFC 8415
    name: 'check_dhcp',
    rules: [
      [is(field('udp', 'sport'), 67), to('drop_dhcp_server')],
      [is(field('udp', 'sport'), 547), to('drop_dhcp_server')],
    ],
  },
  {
    name: 'check_arp',
    rules: [
      foreignMac,
      [is({ concat: [iif, field('arp', 'saddr ether'), field('arp', 'saddr ip')] }, '@guard4'), accept],
      // a probe, whether an address is free: RFC 5227
      [is(field('arp', 'saddr ip'), '0.0.0.0'), is({ concat: [iif, field('arp', 'saddr ether')] }, '@macs'), accept],
      [to('drop_arp')],
    ],
  },
  {
    // who owns the target: RFC 4861 section 4.4
    name: 'check_nd_advert',
    rules: [
      [target],
      [not(said, '@nd'), to('drop_nd')],
      [mark(0)],
      [is(field('ip6', 'length'), BARE), accept],
      [not(field('ip6', 'length'), WITH_LLADDR), to('drop_nd')],
      [not(option, TARGET_LLADDR), to('drop_nd')],
      [lladdr],
      [not(said, '@nd'), to('drop_nd')],
      [mark(0)],
      [accept],
    ],
  },
  {
    // who asks: RFC 4861 section 4.3
    name: 'check_nd_solicit',
    rules: [
      [is(field('ip6', 'length'), BARE), accept],
      [not(field('ip6', 'length'), WITH_LLADDR), to('drop_nd')],
      [not(option, SOURCE_LLADDR), to('drop_nd')],
      [lladdr],
      [not(said, '@nd'), to('drop_nd')],
      [mark(0)],
      [accept],
    ],
  },
  {
    // before it has an address: whether its own is free (RFC 4862), and which groups it listens to (RFC 3810)
    name: 'check_nd_unspecified',
    rules: [
      [is(type, 'mld2-listener-report'), accept],
      [is(type, 'mld-listener-report'), accept],
      [is(type, 'nd-router-solicit'), accept],
      [not(type, 'nd-neighbor-solicit'), to('drop_ipv6_source')],
      [target],
      [not(said, '@nd'), to('drop_nd')],
      [mark(0)],
      [accept],
    ],
  },
  {
    name: 'check_icmpv6',
    rules: [
      foreignMac,
      [is(type, 'nd-router-advert'), to('drop_router')],
      [is(type, 'nd-redirect'), to('drop_router')],
      [is(field('ip6', 'saddr'), '::'), to('check_nd_unspecified')],
      [not(own6, '@guard6'), to('drop_ipv6_source')],
      [is(type, 'nd-neighbor-advert'), to('check_nd_advert')],
      [is(type, 'nd-neighbor-solicit'), to('check_nd_solicit')],
      [accept],
    ],
  },
  {
    name: 'check_others',
    rules: [
      foreignMac,
      // a DHCP client has no address yet, and nor has who reports its groups: RFC 2131, RFC 3376
      [is(field('ip', 'saddr'), '0.0.0.0'), is(field('udp', 'dport'), 67), accept],
      [is(field('ip', 'saddr'), '0.0.0.0'), is(field('ip', 'protocol'), 'igmp'), accept],
      [is(meta('protocol'), 'ip'), to('drop_ipv4_source')],
      [is(meta('protocol'), 'ip6'), to('drop_ipv6_source')],
      [accept],
    ],
  },
  {
    name: 'prerouting',
    base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
    rules: [
      // endpoints' ports: foreign bridges, networks without guard and the joints between bridges pay for one comparison
      [not(meta('iifgroup'), GUARDED_GROUP), accept],
      [is(meta('l4proto'), 'udp'), { jump: { target: 'check_dhcp' } }],
      [is(own4, '@guard4'), accept],
      [is(meta('l4proto'), 'ipv6-icmp'), to('check_icmpv6')],
      [is(own6, '@guard6'), accept],
      [is(meta('protocol'), 'arp'), to('check_arp')],
      [to('check_others')],
    ],
  },
];
