import { type ChainPlan, type Fact, OUR_TABLE, plannedChain } from '../facts/index.ts';
import { isGuarded } from '../drivers/index.ts';
import { guardFacts } from '../guard/index.ts';
import type { Network } from '../model/index.ts';
import type { NftExpression, NftMapData, NftMatch, NftSet, NftStatement, NftType } from '../nftables/index.ts';

/**
 * The rule set that every network shares. It is static: whatever depends on a network, an endpoint or a port is an
 * element of one of its sets and maps, so that one more of them costs the same whether there are none or ten thousand,
 * for the packet as for us.
 *
 * No chain has a policy but accept, and no rule drops anything that does not come from or go to a bridge of ours, so
 * that whatever else is on the host is left alone. docs/packet-paths.md follows packets through it.
 *
 * @param networks who shares it: a table of src/guard is part of it only where one of them is guarded. All there can be
 *   where they are not given.
 */
export function rulesetFacts(networks?: readonly Network[]): readonly Fact[] {
  return !networks || networks.some(isGuarded) ? (guarded ??= [...unguarded(), ...guardFacts()]) : unguarded();
}
/** The same facts each time: what they are for the kernel is found out once (`addedOnce`). */
let guarded: readonly Fact[] | undefined;
let plain: readonly Fact[] | undefined;

function unguarded(): readonly Fact[] {
  const object = 'netloom';
  return (plain ??= [
    { kind: 'nft-table', ns: '', object, table: OUR_TABLE },
    ...Object.values(SETS).map((set): Fact => ({ kind: 'nft-set', ns: '', object, set })),
    ...CHAINS.map((plan) => plannedChain(OUR_TABLE, Object.values(SETS), plan)),
  ]);
}

type SetName =
  | 'bridges'
  | 'internal'
  | 'intra'
  | 'unfair'
  | 'ways'
  | `overlay${4 | 6}`
  | `resolver${4 | 6}`
  | `${'flows' | 'busy'}${4 | 6}`
  | `${'masquerade' | 'hairpin' | 'publish'}${4 | 6}`
  | `${'publish' | 'denied'}${4 | 6}_${'any' | 'range'}`
  | `${'ingress' | 'via'}${4 | 6}`
  | `${'open' | 'routed' | 'unprotected' | 'denied'}${4 | 6}`;

/** What networks and ports put their elements into. */
export const SETS: Readonly<Record<SetName, NftSet>> = {
  /** The bridges that are ours. */
  bridges: set('bridges', 'ifname'),
  /** Bridges whose networks have no way out. */
  internal: set('internal', 'ifname'),
  /** In and out by the same bridge, where its endpoints may talk to each other. */
  intra: set('intra', ['ifname', 'ifname']),
  /** Interfaces by which packets of networks that hosts share come in; and which of them may: source and target. */
  ways: set('ways', 'ifname'),
  overlay4: set('overlay4', ['ipv4_addr', 'ipv4_addr'], { flags: ['interval'] }),
  overlay6: set('overlay6', ['ipv6_addr', 'ipv6_addr'], { flags: ['interval'] }),
  /** Bridges whose endpoints may take every port that the host has for translated connections. */
  unfair: set('unfair', 'ifname'),
  /**
   * Filled by packets: a part of the connections of every endpoint, and endpoints that have many of them. The kernel lets each
   * have 65535 elements, since rules fill it. Saying so makes it take the memory for them at once: a megabyte a set, which takes
   * longer than all the rest of the rule set.
   */
  flows4: set('flows4', 'ipv4_addr', { flags: ['dynamic'] }),
  flows6: set('flows6', 'ipv6_addr', { flags: ['dynamic'] }),
  busy4: set('busy4', 'ipv4_addr', { flags: ['dynamic'], timeout: 60 }),
  busy6: set('busy6', 'ipv6_addr', { flags: ['dynamic'], timeout: 60 }),
  /** Where names are answered of which another program holds the port. */
  resolver4: set('resolver4', ['ipv4_addr', 'inet_proto', 'inet_service'], { map: ['ipv4_addr', 'inet_service'] }),
  resolver6: set('resolver6', ['ipv6_addr', 'inet_proto', 'inet_service'], { map: ['ipv6_addr', 'inet_service'] }),
  /** Sources that take the host's address on their way out. */
  masquerade4: set('masquerade4', 'ipv4_addr', { flags: ['interval'] }),
  masquerade6: set('masquerade6', 'ipv6_addr', { flags: ['interval'] }),
  /** Source and bridge of a packet that goes back, by a published port, to the network that it comes from. */
  hairpin4: set('hairpin4', ['ipv4_addr', 'ifname'], { flags: ['interval'] }),
  hairpin6: set('hairpin6', ['ipv6_addr', 'ifname'], { flags: ['interval'] }),
  /** Ports published on one address of the host; on any; and ranges that keep their numbers, one element each. */
  publish4: set('publish4', ['ipv4_addr', 'inet_proto', 'inet_service'], { map: ['ipv4_addr', 'inet_service'] }),
  publish4_any: set('publish4_any', ['inet_proto', 'inet_service'], { map: ['ipv4_addr', 'inet_service'] }),
  publish4_range: set('publish4_range', ['ipv4_addr', 'inet_proto', 'inet_service'], {
    map: 'ipv4_addr',
    flags: ['interval'],
  }),
  publish6: set('publish6', ['ipv6_addr', 'inet_proto', 'inet_service'], { map: ['ipv6_addr', 'inet_service'] }),
  publish6_any: set('publish6_any', ['inet_proto', 'inet_service'], { map: ['ipv6_addr', 'inet_service'] }),
  publish6_range: set('publish6_range', ['ipv6_addr', 'inet_proto', 'inet_service'], {
    map: 'ipv6_addr',
    flags: ['interval'],
  }),
  /** Ports of every node that lead to endpoints of other hosts; and from which address of ours such an endpoint is spoken to. */
  ingress4: set('ingress4', ['inet_proto', 'inet_service'], { map: ['ipv4_addr', 'inet_service'] }),
  ingress6: set('ingress6', ['inet_proto', 'inet_service'], { map: ['ipv6_addr', 'inet_service'] }),
  via4: set('via4', 'ipv4_addr', { map: 'ipv4_addr' }),
  via6: set('via6', 'ipv6_addr', { map: 'ipv6_addr' }),
  /** Ports that are open at an endpoint's own address, and the subnets that they are in: networks without translation. */
  open4: set('open4', ['ipv4_addr', 'inet_proto', 'inet_service'], { flags: ['interval'] }),
  open6: set('open6', ['ipv6_addr', 'inet_proto', 'inet_service'], { flags: ['interval'] }),
  routed4: set('routed4', 'ipv4_addr', { flags: ['interval'] }),
  routed6: set('routed6', 'ipv6_addr', { flags: ['interval'] }),
  /** Ports that are published, and that the host's own firewall keeps from the outside: there it is asked itself. */
  denied4: set('denied4', ['ipv4_addr', 'inet_proto', 'inet_service']),
  denied4_any: set('denied4_any', ['inet_proto', 'inet_service']),
  denied4_range: set('denied4_range', ['ipv4_addr', 'inet_proto', 'inet_service'], { flags: ['interval'] }),
  denied6: set('denied6', ['ipv6_addr', 'inet_proto', 'inet_service']),
  denied6_any: set('denied6_any', ['inet_proto', 'inet_service']),
  denied6_range: set('denied6_range', ['ipv6_addr', 'inet_proto', 'inet_service'], { flags: ['interval'] }),
  /** Subnets of which everything is open to the outside, though not to other networks. */
  unprotected4: set('unprotected4', 'ipv4_addr', { flags: ['interval'] }),
  unprotected6: set('unprotected6', 'ipv6_addr', { flags: ['interval'] }),
};

function set(name: string, type: NftType, more: Pick<NftSet, 'map' | 'flags' | 'timeout' | 'size'> = {}): NftSet {
  return { family: OUR_TABLE.family, table: OUR_TABLE.name, name, type, ...more };
}

const iifname: NftExpression = { meta: { key: 'iifname' } };
const oifname: NftExpression = { meta: { key: 'oifname' } };
const l4proto: NftExpression = { meta: { key: 'l4proto' } };
const dport: NftExpression = { payload: { protocol: 'th', field: 'dport' } };
const MSS: NftExpression = { 'tcp option': { name: 'maxseg', field: 'size' } };
const saddr = (family: 4 | 6): NftExpression => ({ payload: { protocol: IP[family], field: 'saddr' } });
const daddr = (family: 4 | 6): NftExpression => ({ payload: { protocol: IP[family], field: 'daddr' } });
const IP = { 4: 'ip', 6: 'ip6' } as const;

const is = (left: NftExpression, right: NftMatch['right']): NftStatement => ({ match: { op: '==', left, right } });
const not = (left: NftExpression, right: NftMatch['right']): NftStatement => ({ match: { op: '!=', left, right } });
const ct = (key: 'state' | 'status', right: NftMatch['right']): NftStatement => ({
  match: { op: 'in', left: { ct: { key } }, right },
});
const local: NftStatement = is({ fib: { result: 'type', flags: ['daddr'] } }, 'local');
/** A TCP connection's first packet. */
const begins: NftStatement = {
  match: {
    op: '==',
    left: { '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, ['syn', 'rst']] },
    right: 'syn',
  },
};
const accept: NftStatement = { accept: null };
const back: NftStatement = { return: null };
const ofFamily = (family: 4 | 6): NftStatement => is({ meta: { key: 'nfproto' } }, family === 4 ? 'ipv4' : 'ipv6');
/** Each reason has a chain, and its counter. */
const REASONS = ['loopback', 'internal', 'unpublished'] as const;
const drop = (reason: (typeof REASONS)[number]): NftStatement => ({ goto: { target: `drop_${reason}` } });
const masquerade: NftStatement = { masquerade: null };
const LOOPBACK: NftMatch['right'] = { prefix: { addr: '127.0.0.0', len: 8 } };

/**
 * The kernel has 64,512 ports for translated connections to one port of one address, for all endpoints together. Who holds
 * many connections gets new ones from the lower half of them only, so that nobody can take all from the others.
 *
 * Counted is one new connection of sixteen, by chance: the kernel walks through those that it counts, 200 ns each, whenever
 * there is one more (nf_conncount), which an honest endpoint with thousands of connections would feel.
 */
export const FAIR: { readonly oneOf: number; readonly counted: number; readonly lower: readonly [number, number] } = {
  oneOf: 16,
  counted: 128,
  lower: [1024, 32767],
};
/** The chain that they pass. */
export const CONFINED = 'confined';
const confine = (protocol: 'tcp' | 'udp'): readonly NftStatement[] => [
  is(l4proto, protocol),
  { masquerade: { port: { range: FAIR.lower } } },
];

/** Chains that are called come before those that call them. */
const CHAINS: readonly ChainPlan[] = [
  ...REASONS.map((reason) => ({ name: `drop_${reason}`, rules: [[{ counter: null }, { drop: null }] as const] })),
  {
    // where a published port leads: an address of its own first, then any, then ranges
    name: 'publish',
    rules: [
      ...([4, 6] as const).flatMap((family) => [
        dnat(family, { concat: [daddr(family), l4proto, dport] }, `@publish${family}`),
        dnat(family, { concat: [l4proto, dport] }, `@publish${family}_any`),
        dnat(family, { concat: [daddr(family), l4proto, dport] }, `@publish${family}_range`),
      ]),
      // answers for the loopback would have to come in by a tunnel
      [is(daddr(4), LOOPBACK), back],
      ...([4, 6] as const).map((family) => dnat(family, { concat: [l4proto, dport] }, `@ingress${family}`)),
    ],
  },
  {
    // new connections of whoever holds many: the counter tells how many there were
    name: CONFINED,
    rules: [[{ counter: null }], confine('tcp'), confine('udp')],
  },
  {
    // bridges route to the host's loopback, for ports published there; nobody else may use that way
    name: 'raw_prerouting',
    base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' },
    // every packet of the host comes by: a comparison costs less than a lookup
    rules: [[is(daddr(4), LOOPBACK), is(iifname, '@bridges'), drop('loopback')]],
  },
  {
    name: 'nat_prerouting',
    base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
    rules: [
      // not translated, it goes to the host's own firewall, which says no in its own way
      ...([4, 6] as const).flatMap((family) => [
        [not(iifname, '@bridges'), is({ concat: [daddr(family), l4proto, dport] }, `@denied${family}`), back],
        [not(iifname, '@bridges'), ofFamily(family), is({ concat: [l4proto, dport] }, `@denied${family}_any`), back],
        [not(iifname, '@bridges'), is({ concat: [daddr(family), l4proto, dport] }, `@denied${family}_range`), back],
      ]),
      ...([4, 6] as const).map((family) => [
        is(iifname, '@bridges'),
        ...dnat(family, { concat: [daddr(family), l4proto, dport] }, `@resolver${family}`),
      ]),
      [local, { jump: { target: 'publish' } }],
    ],
  },
  {
    // IPv6 cannot route from ::1 to anywhere else: a refusal at once makes clients try 127.0.0.1
    name: 'nat_output',
    base: { type: 'nat', hook: 'output', priority: -100, policy: 'accept' },
    rules: [
      [is(daddr(6), '::1'), { return: null }],
      [local, { jump: { target: 'publish' } }],
    ],
  },
  {
    name: 'forward',
    base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' },
    rules: [
      [ct('state', ['established', 'related']), accept],
      // into a tunnel or any other narrower way: the far end learns at once what fits, also where ICMP is lost
      [is(iifname, '@bridges'), begins, { mangle: { key: MSS, value: { rt: { key: 'mtu' } } } }],
      [is({ concat: [iifname, oifname] }, '@intra'), accept],
      // from one host's part of a network to another's
      ...([4, 6] as const).map((family) => [
        is(iifname, '@ways'),
        is({ concat: [saddr(family), daddr(family)] }, `@overlay${family}`),
        accept,
      ]),
      // an internal network: nothing out
      [is(iifname, '@internal'), drop('internal')],
      // who holds many connections: only for new ones, which alone come here
      ...([4, 6] as const).map((family): readonly NftStatement[] => [
        is(iifname, '@bridges'),
        not(iifname, '@unfair'),
        is({ numgen: { mode: 'random', mod: FAIR.oneOf } }, 0),
        {
          set: {
            op: 'add',
            elem: saddr(family),
            set: `@flows${family}`,
            stmt: [{ 'ct count': { val: FAIR.counted, inv: true } }],
          },
        },
        { set: { op: 'update', elem: saddr(family), set: `@busy${family}` } },
      ]),
      // by a published port, from anywhere
      [ct('status', 'dnat'), is(oifname, '@bridges'), accept],
      // at the endpoint's own address, where nothing is translated; and whatever says whether it is there
      ...([4, 6] as const).flatMap((family) => [
        [is({ concat: [daddr(family), l4proto, dport] }, `@open${family}`), accept],
        [is(daddr(family), `@routed${family}`), is(l4proto, family === 4 ? 'icmp' : 'ipv6-icmp'), accept],
        [not(iifname, '@bridges'), is(daddr(family), `@unprotected${family}`), accept],
      ]),
      // other networks, and neighbours of the host that route to ports that are not published
      [is(oifname, '@bridges'), drop('unpublished')],
    ],
  },
  {
    name: 'nat_postrouting',
    base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' },
    rules: [
      ...([4, 6] as const).map((family): readonly NftStatement[] => [
        // by a port of this node to an endpoint of another: the answer must come by us, whoever asked
        ct('status', 'dnat'),
        { snat: { family: IP[family], addr: { map: { key: daddr(family), data: `@via${family}` } } } },
      ]),
      ...([4, 6] as const).map((family) => [
        // back into the network that it came from: the answer must come by us, not directly
        ct('status', 'dnat'),
        is({ concat: [saddr(family), oifname] }, `@hairpin${family}`),
        masquerade,
      ]),
      // from one host's part of a network to another's: with its own address
      ...([4, 6] as const).map((family) => [is({ concat: [saddr(family), daddr(family)] }, `@overlay${family}`), back]),
      [is(saddr(4), LOOPBACK), is(oifname, '@bridges'), masquerade],
      ...([4, 6] as const).map((family): readonly NftStatement[] => [
        is(saddr(family), `@busy${family}`),
        is(saddr(family), `@masquerade${family}`),
        not(oifname, '@bridges'),
        { jump: { target: CONFINED } },
      ]),
      ...([4, 6] as const).map((family) => [
        is(saddr(family), `@masquerade${family}`),
        not(oifname, '@bridges'),
        masquerade,
      ]),
    ],
  },
];

function dnat(family: 4 | 6, key: NftExpression, data: NftMapData): readonly NftStatement[] {
  const nfproto = ofFamily(family);
  const translation: NftStatement = { dnat: { family: IP[family], addr: { map: { key, data } } } };
  // a key with an address in it says the family by itself
  return JSON.stringify(key).includes('daddr') ? [translation] : [nfproto, translation];
}
