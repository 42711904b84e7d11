import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ipFromBytes } from '../addr/index.ts';
import { messagesOf, type NlMessage, NlWriter, type Request } from '../netlink/index.ts';
import * as rtnl from './index.ts';

// Our encoders are held to iproute2's bytes in test/golden/rtnetlink; here every decoder is held to our encoders.

function encode(request: Request): NlMessage {
  const writer = new NlWriter();
  writer.message(request.type, request.flags, 1);
  request.body(writer);
  const [message] = messagesOf(writer.finish().slice());
  assert.ok(message);
  return message;
}

const u8 = fc.nat(0xff);
const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffff_ffff);
const index = fc.integer({ min: 1, max: 0x7fff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const flag = fc.boolean();
const ip4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => ipFromBytes(b).text);
const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => ipFromBytes(b).text);
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((b) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join(':'));
const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,14}$/);
/** A property that is there, or is not: what makes every subset of a record. */
const some = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> =>
  fc.record(shape, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<Partial<T>>;
const every = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(shape, { noNullPrototype: true }) as fc.Arbitrary<T>;

const tunnel = {
  ttl: u8,
  tos: u8,
  dev: index,
  pmtudisc: flag,
  fwmark: u32,
  encap: fc.constantFrom('none' as const, 'fou' as const, 'gue' as const),
  encapFlags: u16,
  encapSport: u16,
  encapDport: u16,
  external: fc.constant(true),
};
const tunnel4 = some({
  ...tunnel,
  local: ip4.filter((a) => a !== '0.0.0.0'),
  remote: ip4.filter((a) => a !== '0.0.0.0'),
});
const tunnel6 = some({ ...tunnel, local: ip6.filter((a) => a !== '::'), remote: ip6.filter((a) => a !== '::') });

/** Without either, an entry gets `self`. */
const hasTable = (flags: readonly string[]): boolean => flags.includes('self') || flags.includes('master');

const KINDS: { readonly [K in rtnl.LinkKindName]: fc.Arbitrary<Omit<Extract<rtnl.LinkKind, { kind: K }>, 'kind'>> } = {
  dummy: fc.constant({}),
  ifb: fc.constant({}),
  wireguard: fc.constant({}),
  veth: fc.constant({}),
  tun: fc.constant({}),
  vrf: some({ table: u32 }),
  bridge: some({
    stp: flag,
    forwardDelay: u32,
    helloTime: u32,
    maxAge: u32,
    ageing: u32,
    priority: u16,
    vlanFiltering: flag,
    vlanProtocol: fc.constantFrom('802.1Q' as const, '802.1ad' as const),
    vlanDefaultPvid: u16,
    vlanStats: flag,
    groupFwdMask: u16,
    groupAddress: mac,
    multicastRouter: u8,
    multicastSnooping: flag,
    mcastQueryUseIfaddr: flag,
    mcastQuerier: flag,
    mcastHashMax: u32,
    mcastLastMemberCount: u32,
    mcastStartupQueryCount: u32,
    mcastLastMemberInterval: u64,
    mcastMembershipInterval: u64,
    mcastQuerierInterval: u64,
    mcastQueryInterval: u64,
    mcastQueryResponseInterval: u64,
    mcastStartupQueryInterval: u64,
    mcastStats: flag,
    mcastIgmpVersion: u8,
    mcastMldVersion: u8,
    nfCallIptables: flag,
    nfCallIp6tables: flag,
    nfCallArptables: flag,
  }),
  xfrm: some({ dev: index, ifId: u32 }),
  vxlan: some({
    id: u32,
    remote: fc.oneof(ip4, ip6).filter((a) => a !== '0.0.0.0' && a !== '::'),
    local: fc.oneof(ip4, ip6).filter((a) => a !== '0.0.0.0' && a !== '::'),
    dev: index,
    port: u16,
    portRange: every({ low: u16, high: u16 }),
    ttl: u8,
    ttlInherit: fc.constant(true),
    tos: u8,
    df: fc.constantFrom('unset' as const, 'set' as const, 'inherit' as const),
    label: u32,
    learning: flag,
    ageing: u32,
    limit: u32,
    proxy: flag,
    rsc: flag,
    l2miss: flag,
    l3miss: flag,
    udpCsum: flag,
    udpZeroCsum6Tx: flag,
    udpZeroCsum6Rx: flag,
    remCsumTx: flag,
    remCsumRx: flag,
    gbp: fc.constant(true),
    gpe: fc.constant(true),
    external: flag,
    vnifilter: flag,
  }),
  macvlan: some({
    mode: fc.constantFrom(
      'private' as const,
      'vepa' as const,
      'bridge' as const,
      'passthru' as const,
      'source' as const,
    ),
    macaddrs: fc.array(mac, { maxLength: 5 }),
    bcQueueLen: u32,
  }),
  ipvlan: some({
    mode: fc.constantFrom('l2' as const, 'l3' as const, 'l3s' as const),
    flag: fc.constantFrom('bridge' as const, 'private' as const, 'vepa' as const),
  }),
  vlan: some({
    id: u16,
    protocol: fc.constantFrom('802.1Q' as const, '802.1ad' as const),
    ingressQos: fc.array(fc.tuple(u32, u32), { maxLength: 4 }),
    egressQos: fc.array(fc.tuple(u32, u32), { maxLength: 4 }),
  }),
  ipip: tunnel4.chain((t) => some({ protocol: u8 }).map((p) => ({ ...t, ...p }))),
  sit: tunnel4.chain((t) => some({ protocol: u8, isatap: flag }).map((p) => ({ ...t, ...p }))),
  gre: tunnel4,
  gretap: tunnel4,
  ip6gre: tunnel6,
  ip6gretap: tunnel6,
  vti: some({ ikey: u32, okey: u32, local: ip4, remote: ip4, dev: index, fwmark: u32 }).filter(
    (v) => v.local !== '0.0.0.0' && v.remote !== '0.0.0.0',
  ),
};

test('a link of any kind reads back as it was written', () => {
  for (const kind of rtnl.LINK_KINDS) {
    fc.assert(
      fc.property(KINDS[kind], (settings) => {
        const info = { kind, ...settings } as Exclude<rtnl.LinkKind, rtnl.Tun>;
        const link = rtnl.parseLink(encode(rtnl.linkAdd({ name: 'x0', info })));
        // what GRE always says, and we need not
        const gre = kind.includes('gre') ? { icsum: false, ocsum: false, iseq: false, oseq: false } : {};
        assert.deepEqual(link.info, { ...gre, ...info });
        assert.equal(link.name, 'x0');
      }),
      { numRuns: 100 },
    );
  }
});

test('keys and flags of GRE', () => {
  const info = { kind: 'gre', ikey: 0, okey: 0xffff_ffff, icsum: true, ocsum: false, iseq: false, oseq: true } as const;
  assert.deepEqual(rtnl.parseLink(encode(rtnl.linkAdd({ name: 'g', info }))).info, info);
});

test('flags of VLAN and macvlan', () => {
  const all = { reorderHdr: false, gvrp: true, mvrp: false, looseBinding: true, bridgeBinding: false };
  const vlan = rtnl.linkAdd({ name: 'v', link: 3, info: { kind: 'vlan', id: 5, ...all } });
  assert.deepEqual(rtnl.parseLink(encode(vlan)).info, { kind: 'vlan', id: 5, ...all });
  const macvlan = rtnl.linkAdd({ name: 'm', link: 3, info: { kind: 'macvlan', nopromisc: false, nodst: true } });
  assert.deepEqual(rtnl.parseLink(encode(macvlan)).info, { kind: 'macvlan', nopromisc: false, nodst: true });
});

test('what every link has reads back as it was written', () => {
  const attributes = some({
    name,
    mtu: u32,
    mac,
    master: index,
    link: index,
    linkNetnsid: fc.nat(1000),
    group: u32,
    txQueueLen: u32,
    up: flag,
    alias: fc.string({ minLength: 1, maxLength: 255, unit: 'grapheme' }).filter((s) => !s.includes('\0')),
    addrGenMode: fc.constantFrom('eui64' as const, 'none' as const, 'stable_secret' as const, 'random' as const),
  });
  fc.assert(
    fc.property(index, attributes, (number, change) => {
      const link = rtnl.parseLink(encode(rtnl.linkSet({ index: number }, change)));
      assert.equal(link.index, number);
      for (const key of Object.keys(change) as (keyof typeof change)[]) assert.deepEqual(link[key], change[key], key);
    }),
  );
});

test('settings of a bridge port read back as they were written', () => {
  const port = some<Required<rtnl.BridgePort>>({
    state: fc.constantFrom('disabled', 'listening', 'learning', 'forwarding', 'blocking'),
    priority: u16,
    cost: u32,
    hairpin: flag,
    guard: flag,
    rootBlock: flag,
    fastleave: flag,
    learning: flag,
    flood: flag,
    mcastFlood: flag,
    bcastFlood: flag,
    mcastToUnicast: flag,
    multicastRouter: u8,
    proxyarp: flag,
    proxyarpWifi: flag,
    neighSuppress: flag,
    vlanTunnel: flag,
    isolated: flag,
    locked: flag,
    groupFwdMask: u16,
    backupPort: u32,
  });
  fc.assert(
    fc.property(port, (change) => {
      const back = rtnl.parseLink(encode(rtnl.linkSetPort({ index: 7 }, change))).port;
      assert.deepEqual(back, { ...back, ...change });
    }),
  );
});

test('an address reads back as it was written', () => {
  const family4 = every({ address: fc.tuple(ip4, fc.nat(32)), peer: ip4, broadcast: ip4 });
  const family6 = every({ address: fc.tuple(ip6, fc.nat(128)), peer: ip6 });
  const rest = some({ label: name, proto: u8, metric: u32, scope: u8, valid: u32, preferred: u32 });
  fc.assert(
    fc.property(index, fc.oneof(family4, family6), rest, (number, ends, more) => {
      const [text, length] = ends.address;
      const spec = { index: number, ...ends, ...more, address: `${text}/${length}` };
      const back = rtnl.parseAddress(encode(rtnl.addressAdd(spec)));
      assert.equal(back.address, spec.address);
      assert.equal(back.peer, spec.peer === text ? '' : spec.peer);
      for (const key of Object.keys(more) as (keyof typeof more)[]) {
        // a lifetime that is not said lasts as long as the address
        if (key !== 'valid') assert.equal(back[key], more[key], key);
      }
      assert.equal(back.valid, more.valid ?? rtnl.FOREVER);
      assert.equal(back.index, number);
    }),
  );
  const flags = ['nodad', 'home', 'mngtmpaddr', 'noprefixroute'] as const;
  assert.deepEqual(rtnl.parseAddress(encode(rtnl.addressAdd({ index: 1, address: 'fd00::1/64', flags }))).flags, flags);
});

test('a route reads back as it was written', () => {
  const metrics = {
    mtu: u32,
    advmss: u32,
    window: u32,
    hoplimit: u32,
    initcwnd: u32,
    initrwnd: u32,
    quickack: u32,
    lock: u32,
  };
  const common = { table: index, protocol: u8, scope: u8, metric: u32, tos: u8, oif: index, onlink: flag, ...metrics };
  const hop = every({
    gateway: fc.oneof(ip4, ip6),
    oif: index,
    weight: fc.integer({ min: 1, max: 256 }),
    onlink: flag,
  });
  const route = some({
    ...common,
    type: fc.constantFrom('unicast' as const, 'blackhole' as const, 'throw' as const, 'prohibit' as const),
    gateway: fc.oneof(ip4, ip6),
    nexthops: fc.array(hop, { minLength: 1, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), ip4, ip6, route, (v4, host, a, b, spec) => {
      const dst = host ? (v4 ? `${a}/32` : `${b}/128`) : v4 ? '0.0.0.0/0' : '::/0';
      const prefsrc = v4 ? a : b;
      const back = rtnl.parseRoute(encode(rtnl.routeAdd({ ...spec, dst, prefsrc })));
      assert.equal(back.dst, dst);
      assert.equal(back.prefsrc, prefsrc);
      for (const key of Object.keys(spec) as (keyof typeof spec)[]) assert.deepEqual(back[key], spec[key], key);
    }),
  );
  const subtree = rtnl.routeAdd({ dst: 'fd00::/16', src: 'fd00:1::/32', oif: 1 });
  assert.equal(rtnl.parseRoute(encode(subtree)).src, 'fd00:1::/32');
});

test('a policy rule reads back as it was written', () => {
  const range = every({ start: u16, end: u16 });
  const rule = some({
    priority: u32,
    iif: name,
    oif: name,
    not: fc.constant(true),
    fwmark: u32,
    fwmask: u32.filter((mask) => mask !== 0xffff_ffff),
    tos: fc.integer({ min: 1, max: 255 }),
    ipproto: u8,
    sport: range,
    dport: range,
    uidRange: every({ start: u32, end: u32 }),
    l3mdev: fc.constant(true),
    goto: u32,
    suppressPrefixlength: fc.nat(128),
    suppressIfgroup: fc.nat(1000),
    table: index,
    protocol: u8,
    action: fc.constantFrom('table' as const, 'goto' as const, 'nop' as const, 'blackhole' as const),
  });
  fc.assert(
    fc.property(ip4, ip6, fc.boolean(), rule, (a, b, v4, spec) => {
      const ends = v4 ? { from: `${a}/24`, to: `${a}/8` } : { from: `${b}/64`, to: `${b}/48` };
      const back = rtnl.parseRule(encode(rtnl.ruleAdd({ ...ends, ...spec })));
      for (const [key, value] of Object.entries({ ...ends, ...spec })) assert.deepEqual(back[key as 'to'], value, key);
      assert.equal(back.family, v4 ? 4 : 6);
    }),
  );
});

test('neighbours and forwarding entries read back as they were written', () => {
  const neighbour = some({
    state: fc.constantFrom(
      'reachable' as const,
      'stale' as const,
      'noarp' as const,
      'permanent' as const,
      'none' as const,
    ),
    flags: fc.subarray(['use', 'router', 'extern_learn', 'offload'] as const),
    proxy: flag,
    managed: flag,
    protocol: u8,
    lladdr: mac,
  });
  fc.assert(
    fc.property(index, fc.oneof(ip4, ip6), neighbour, (number, dst, spec) => {
      const back = rtnl.parseNeighbour(encode(rtnl.neighbourAdd({ index: number, dst, ...spec })));
      for (const [key, value] of Object.entries({ index: number, dst, ...spec })) {
        assert.deepEqual(back[key as 'dst'], value, key);
      }
    }),
  );
  const fdb = some({
    state: fc.constantFrom('permanent' as const, 'static' as const, 'dynamic' as const, 'stale' as const),
    flags: fc
      .subarray(['use', 'self', 'master', 'router', 'extern_learn', 'offload', 'sticky'] as const)
      .filter(hasTable),
    vlan: u16,
    dst: fc.oneof(ip4, ip6),
    port: u16,
    vni: u32,
    srcVni: u32,
    via: index,
    protocol: u8,
  });
  fc.assert(
    fc.property(index, mac, fdb, (number, address, spec) => {
      const back = rtnl.parseFdb(encode(rtnl.fdbAdd({ index: number, mac: address, ...spec })));
      for (const [key, value] of Object.entries({ index: number, mac: address, ...spec })) {
        assert.deepEqual(back[key as 'dst'], value, key);
      }
    }),
  );
});

test('a namespace id reads back as it was written', () => {
  for (const nsid of [-1, 0, 5]) assert.deepEqual(rtnl.parseNsid(encode(rtnl.nsidSet({ fd: 3 }, nsid))), { nsid });
  assert.deepEqual(rtnl.parseNsid(encode(rtnl.nsidGet({ pid: 3 }))), { nsid: -1 });
});

test('events say what happened to what', () => {
  const link = encode(rtnl.linkAdd({ name: 'd0', info: { kind: 'dummy' } }));
  const address = encode(rtnl.addressDelete({ index: 3, address: '10.0.0.1/8' }));
  const fdb = encode(rtnl.fdbAdd({ index: 3, mac: '02:00:00:00:00:01' }));
  const neighbour = encode(rtnl.neighbourDelete({ index: 3, dst: 'fd00::1' }));
  const seen = [
    link,
    address,
    fdb,
    neighbour,
    encode(rtnl.routeAdd({ dst: '0.0.0.0/0', oif: 3 })),
    encode(rtnl.ruleDelete({ priority: 5 })),
    encode(rtnl.nsidSet({ fd: 3 }, 4)),
    encode(rtnl.linkSetPort({ index: 3 }, { hairpin: true })),
  ].map((m) => rtnl.parseEvent(m));
  assert.deepEqual(
    seen.map((e) => e && `${e.verb} ${e.kind}`),
    ['new link', 'delete address', 'new fdb', 'delete neighbour', 'new route', 'delete rule', 'new nsid', undefined],
  );
  // the kernel tells of a port by RTM_NEWLINK, we ask by RTM_SETLINK
  const port = rtnl.parseEvent({
    ...encode(rtnl.linkSetPort({ index: 3 }, { hairpin: true })),
    type: rtnl.RTM.NEWLINK,
  });
  assert.equal(port?.kind === 'port' && port.link.port?.hairpin, true);
  const mpls = Uint8Array.from(encode(rtnl.routeAdd({ dst: '0.0.0.0/0', oif: 3 })).payload);
  mpls[0] = 28;
  assert.equal(rtnl.parseEvent({ type: rtnl.RTM.NEWROUTE, flags: 0, seq: 0, pid: 0, payload: mpls }), undefined);
});

test('what cannot be is refused where it is asked for', () => {
  assert.throws(() => rtnl.linkAdd({ name: 'sixteen-bytes-xx', info: { kind: 'dummy' } }), { code: 'EBADIFNAME' });
  assert.throws(() => rtnl.linkAdd({ name: 'x', mac: 'nonsense', info: { kind: 'dummy' } }), { code: 'EBADMAC' });
  assert.throws(() => rtnl.linkSet({ name: 'x' }, { name: 'y' }), { code: 'EINVAL' });
  assert.throws(() => rtnl.addressAdd({ index: 1, address: '10.0.0.1' }), { code: 'EBADPREFIX' });
  assert.throws(() => rtnl.routeAdd({ dst: '10.0.0.1/8' }), { code: 'EBADPREFIX' });
  assert.throws(() => rtnl.neighbourAdd({ index: 1, dst: 'x' }), { code: 'EBADADDRESS' });
});
