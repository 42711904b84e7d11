import type { Request } from '../../../src/netlink/index.ts';
import * as rtnl from '../../../src/rtnetlink/index.ts';

const { RT_SCOPE, RT_TABLE, RTPROT } = rtnl;
const ETH0 = 10;
const ETH1 = 11;
const BR0 = 20;
const VX0 = 30;
/** What iproute2 spells out though it is the default. */
const TUNNEL = {
  ttl: 0,
  tos: 0,
  pmtudisc: true,
  fwmark: 0,
  encap: 'none',
  encapFlags: 0,
  encapSport: 0,
  encapDport: 0,
} as const;
const ENDS = { remote: '192.0.2.1', local: '192.0.2.2' } as const;
const VXLAN = { learning: true } as const;

/** Our request for each command of capture.ts. */
export const REQUESTS: Readonly<Record<string, Request>> = {
  'ip link add veth0 type veth peer name veth1': rtnl.linkAdd({
    name: 'veth0',
    info: { kind: 'veth', peer: { name: 'veth1' } },
  }),
  'ip link add veth0 address 02:00:00:00:00:01 mtu 1400 type veth peer name veth1 address 02:00:00:00:00:02 mtu 1400 netns /proc/self/ns/net':
    rtnl.linkAdd({
      name: 'veth0',
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      info: { kind: 'veth', peer: { name: 'veth1', mac: '02:00:00:00:00:02', mtu: 1400, netns: 4 } },
    }),
  'ip link add br1 type bridge': rtnl.linkAdd({ name: 'br1', info: { kind: 'bridge' } }),
  'ip link add br1 up txqueuelen 500 group 7 index 99 type bridge forward_delay 200 hello_time 100 max_age 600 ageing_time 1000 stp_state 1 priority 100 group_fwd_mask 8 mcast_snooping 0 mcast_querier 1 mcast_query_use_ifaddr 1 mcast_hash_max 1024 mcast_router 2 mcast_last_member_count 3 mcast_startup_query_count 4 mcast_last_member_interval 101 mcast_membership_interval 26001 mcast_querier_interval 25501 mcast_query_interval 12501 mcast_query_response_interval 1001 mcast_startup_query_interval 3125 mcast_stats_enabled 1 mcast_igmp_version 3 mcast_mld_version 2 nf_call_iptables 1 nf_call_ip6tables 1 nf_call_arptables 1':
    rtnl.linkAdd({
      name: 'br1',
      up: true,
      group: 7,
      txQueueLen: 500,
      index: 99,
      info: {
        kind: 'bridge',
        forwardDelay: 200,
        helloTime: 100,
        maxAge: 600,
        ageing: 1000,
        stp: true,
        priority: 100,
        groupFwdMask: 8,
        multicastSnooping: false,
        mcastQuerier: true,
        mcastQueryUseIfaddr: true,
        mcastHashMax: 1024,
        multicastRouter: 2,
        mcastLastMemberCount: 3,
        mcastStartupQueryCount: 4,
        mcastLastMemberInterval: 101n,
        mcastMembershipInterval: 26001n,
        mcastQuerierInterval: 25501n,
        mcastQueryInterval: 12501n,
        mcastQueryResponseInterval: 1001n,
        mcastStartupQueryInterval: 3125n,
        mcastStats: true,
        mcastIgmpVersion: 3,
        mcastMldVersion: 2,
        nfCallIptables: true,
        nfCallIp6tables: true,
        nfCallArptables: true,
      },
    }),
  'ip link add br1 type bridge vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 5 vlan_stats_enabled 1':
    rtnl.linkAdd({
      name: 'br1',
      info: { kind: 'bridge', vlanFiltering: true, vlanProtocol: '802.1ad', vlanDefaultPvid: 5, vlanStats: true },
    }),
  'ip link add vx1 type vxlan id 42 remote 192.0.2.1 local 192.0.2.2 dev eth0 dstport 4789': rtnl.linkAdd({
    name: 'vx1',
    info: { kind: 'vxlan', id: 42, remote: '192.0.2.1', local: '192.0.2.2', dev: ETH0, port: 4789, ...VXLAN },
  }),
  'ip link add vx1 type vxlan id 42 group 239.1.1.1 dev eth0 dstport 4789 ttl 5 tos 16 nolearning ageing 60 maxaddress 100 srcport 1000 2000 proxy rsc l2miss l3miss noudpcsum df set':
    rtnl.linkAdd({
      name: 'vx1',
      info: {
        kind: 'vxlan',
        id: 42,
        remote: '239.1.1.1',
        dev: ETH0,
        port: 4789,
        ttl: 5,
        tos: 0x16,
        learning: false,
        ageing: 60,
        limit: 100,
        portRange: { low: 1000, high: 2000 },
        proxy: true,
        rsc: true,
        l2miss: true,
        l3miss: true,
        udpCsum: false,
        df: 'set',
      },
    }),
  'ip link add vx1 type vxlan id 43 remote fd00::2 local fd00::1 dstport 4789 udp6zerocsumtx udp6zerocsumrx flowlabel 0x123 gbp':
    rtnl.linkAdd({
      name: 'vx1',
      info: {
        kind: 'vxlan',
        id: 43,
        remote: 'fd00::2',
        local: 'fd00::1',
        port: 4789,
        udpZeroCsum6Tx: true,
        udpZeroCsum6Rx: true,
        label: 0x123,
        gbp: true,
        ...VXLAN,
      },
    }),
  'ip link add vx1 type vxlan ttl inherit external dstport 4790 gpe': rtnl.linkAdd({
    name: 'vx1',
    info: { kind: 'vxlan', external: true, port: 4790, gpe: true, ttlInherit: true, learning: false },
  }),
  'ip link add mv0 link eth0 type macvlan mode bridge': macvlan({ mode: 'bridge' }),
  'ip link add mv0 link eth0 type macvlan mode private': macvlan({ mode: 'private' }),
  'ip link add mv0 link eth0 type macvlan mode vepa bcqueuelen 500': macvlan({ mode: 'vepa', bcQueueLen: 500 }),
  'ip link add mv0 link eth0 type macvlan mode passthru nopromisc': macvlan({ mode: 'passthru', nopromisc: true }),
  'ip link add mv0 link eth0 type macvlan mode source macaddr set 02:00:00:00:00:01 02:00:00:00:00:02': macvlan({
    mode: 'source',
    macaddrs: ['02:00:00:00:00:01', '02:00:00:00:00:02'],
  }),
  'ip link set eth0 type macvlan macaddr add 02:00:00:00:00:03': rtnl.linkSet(
    { index: ETH0 },
    { info: { kind: 'macvlan', macaddrAdd: '02:00:00:00:00:03' } },
  ),
  'ip link add iv0 link eth0 type ipvlan mode l2': ipvlan({ mode: 'l2', flag: 'bridge' }),
  'ip link add iv0 link eth0 type ipvlan mode l3 private': ipvlan({ mode: 'l3', flag: 'private' }),
  'ip link add iv0 link eth0 type ipvlan mode l3s vepa': ipvlan({ mode: 'l3s', flag: 'vepa' }),
  'ip link add vl0 link eth0 type vlan id 100': rtnl.linkAdd({
    name: 'vl0',
    link: ETH0,
    info: { kind: 'vlan', id: 100 },
  }),
  'ip link add vl0 link eth0 type vlan protocol 802.1ad id 100 reorder_hdr off gvrp on mvrp on loose_binding on ingress-qos-map 1:2 3:4 egress-qos-map 5:6':
    rtnl.linkAdd({
      name: 'vl0',
      link: ETH0,
      info: {
        kind: 'vlan',
        protocol: '802.1ad',
        id: 100,
        reorderHdr: false,
        gvrp: true,
        mvrp: true,
        looseBinding: true,
        ingressQos: [
          [1, 2],
          [3, 4],
        ],
        egressQos: [[5, 6]],
      },
    }),
  'ip link add vrf0 type vrf table 1000': rtnl.linkAdd({ name: 'vrf0', info: { kind: 'vrf', table: 1000 } }),
  'ip link add d0 type dummy': rtnl.linkAdd({ name: 'd0', info: { kind: 'dummy' } }),
  'ip link add i0 type ifb': rtnl.linkAdd({ name: 'i0', info: { kind: 'ifb' } }),
  'ip link add wg0 type wireguard': rtnl.linkAdd({ name: 'wg0', info: { kind: 'wireguard' } }),
  'ip link add t0 type ipip remote 192.0.2.1 local 192.0.2.2 ttl 64 dev eth0': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'ipip', ...TUNNEL, ...ENDS, ttl: 64, dev: ETH0, protocol: 0 },
  }),
  'ip link add t0 type ipip remote 192.0.2.1 local 192.0.2.2 nopmtudisc encap fou encap-sport auto encap-dport 5555':
    rtnl.linkAdd({
      name: 't0',
      info: { kind: 'ipip', ...TUNNEL, ...ENDS, pmtudisc: false, encap: 'fou', encapDport: 5555, dev: 0, protocol: 0 },
    }),
  'ip link add t0 type ipip external': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'ipip', external: true, protocol: 0 },
  }),
  'ip link add t0 type sit remote 192.0.2.1 local 192.0.2.2 ttl 64': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'sit', ...TUNNEL, ...ENDS, ttl: 64, dev: 0, protocol: 0, isatap: false },
  }),
  'ip link add t0 type sit local 192.0.2.2 isatap': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'sit', ...TUNNEL, local: '192.0.2.2', dev: 0, protocol: 0, isatap: true },
  }),
  'ip link add t0 type gre remote 192.0.2.1 local 192.0.2.2 ttl 64 key 5 csum seq': rtnl.linkAdd({
    name: 't0',
    info: {
      kind: 'gre',
      ...TUNNEL,
      ...ENDS,
      ttl: 64,
      ikey: 5,
      okey: 5,
      icsum: true,
      ocsum: true,
      iseq: true,
      oseq: true,
    },
  }),
  'ip link add t0 type gre remote 192.0.2.1 local 192.0.2.2 ikey 5 okey 6 dev eth0': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'gre', ...TUNNEL, ...ENDS, ikey: 5, okey: 6, dev: ETH0 },
  }),
  'ip link add t0 type gretap remote 192.0.2.1 local 192.0.2.2 nopmtudisc ignore-df': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'gretap', ...TUNNEL, ...ENDS, pmtudisc: false, ignoreDf: true },
  }),
  'ip link add t0 type gretap external': rtnl.linkAdd({ name: 't0', info: { kind: 'gretap', external: true } }),
  'ip link add t0 type ip6gre remote fd00::2 local fd00::1 ttl 64': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'ip6gre', ...ip6gre() },
  }),
  'ip link add t0 type ip6gretap remote fd00::2 local fd00::1 key 7': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'ip6gretap', ...ip6gre(), ikey: 7, okey: 7 },
  }),
  'ip link add t0 type vti remote 192.0.2.1 local 192.0.2.2 key 9': rtnl.linkAdd({
    name: 't0',
    info: { kind: 'vti', ...ENDS, ikey: 9, okey: 9, fwmark: 0 },
  }),

  'ip link set eth0 up': rtnl.linkSet({ index: ETH0 }, { up: true }),
  'ip link set eth0 down': rtnl.linkSet({ index: ETH0 }, { up: false }),
  'ip link set eth0 name eth9': rtnl.linkSet({ index: ETH0 }, { name: 'eth9' }),
  'ip link set eth0 address 02:00:00:00:00:09 txqueuelen 10 mtu 1300 group 3': rtnl.linkSet(
    { index: ETH0 },
    { mtu: 1300, mac: '02:00:00:00:00:09', txQueueLen: 10, group: 3 },
  ),
  'ip link set eth0 alias netloom:web': rtnl.linkSet({ index: ETH0 }, { alias: 'netloom:web' }),
  'ip link set eth0 master br0': rtnl.linkSet({ index: ETH0 }, { master: BR0 }),
  'ip link set eth0 nomaster': rtnl.linkSet({ index: ETH0 }, { master: 0 }),
  'ip link set eth0 addrgenmode none': rtnl.linkSet({ index: ETH0 }, { addrGenMode: 'none' }),
  'ip link set eth0 promisc on allmulticast on arp off': rtnl.linkSet(
    { index: ETH0 },
    { promisc: true, allmulticast: true, noarp: true },
  ),
  'ip link set br0 type bridge ageing_time 0 stp_state 1': rtnl.linkSet(
    { index: BR0 },
    { info: { kind: 'bridge', ageing: 0, stp: true } },
  ),
  'ip link delete eth0': rtnl.linkDelete({ index: ETH0 }),
  'ip link delete group 7': rtnl.linkDelete({ group: 7 }),
  'ip link show dev eth0': rtnl.linkGet({ name: 'eth0' }),
  'ip link show type veth': rtnl.linkDump({ kind: 'veth' }),
  'ip link show master br0': rtnl.linkDump({ master: BR0 }),
  'bridge link set dev eth1 hairpin on isolated on learning off flood off mcast_flood off bcast_flood off neigh_suppress on guard on root_block on fastleave on cost 5 priority 10 locked off mcast_to_unicast on vlan_tunnel off':
    rtnl.linkSetPort(
      { index: ETH1 },
      {
        hairpin: true,
        isolated: true,
        learning: false,
        flood: false,
        mcastFlood: false,
        bcastFlood: false,
        neighSuppress: true,
        guard: true,
        rootBlock: true,
        fastleave: true,
        cost: 5,
        priority: 10,
        locked: false,
        mcastToUnicast: true,
        vlanTunnel: false,
      },
    ),
  'bridge link set dev eth1 state 3': rtnl.linkSetPort({ index: ETH1 }, { state: 'forwarding' }),

  'ip addr add 10.1.0.1/24 dev eth0': rtnl.addressAdd({ index: ETH0, address: '10.1.0.1/24' }),
  'ip addr add 10.1.0.1/24 broadcast 10.1.0.255 label eth0:1 metric 50 dev eth0': rtnl.addressAdd({
    index: ETH0,
    address: '10.1.0.1/24',
    broadcast: '10.1.0.255',
    label: 'eth0:1',
    metric: 50,
  }),
  'ip addr add 10.1.0.1 peer 10.1.0.2/30 dev eth0': rtnl.addressAdd({
    index: ETH0,
    address: '10.1.0.1/30',
    peer: '10.1.0.2',
  }),
  'ip addr add 127.0.0.2/8 dev lo': rtnl.addressAdd({ index: 1, address: '127.0.0.2/8' }),
  'ip addr add fd01::1/64 dev eth0 nodad': rtnl.addressAdd({ index: ETH0, address: 'fd01::1/64', flags: ['nodad'] }),
  'ip addr add fd01::1/64 dev eth0 nodad noprefixroute home mngtmpaddr': rtnl.addressAdd({
    index: ETH0,
    address: 'fd01::1/64',
    flags: ['nodad', 'noprefixroute', 'home', 'mngtmpaddr'],
  }),
  'ip addr add fd01::1/64 dev eth0 valid_lft 100 preferred_lft 50': rtnl.addressAdd({
    index: ETH0,
    address: 'fd01::1/64',
    valid: 100,
    preferred: 50,
  }),
  'ip addr replace 10.1.0.1/24 dev eth0 scope link': rtnl.addressReplace({
    index: ETH0,
    address: '10.1.0.1/24',
    scope: RT_SCOPE.LINK,
  }),
  'ip addr del 10.0.0.1/24 dev eth0': rtnl.addressDelete({ index: ETH0, address: '10.0.0.1/24' }),
  'ip addr show dev eth0': rtnl.addressDump({ index: ETH0 }),

  'ip route add default via 10.0.0.254': rtnl.routeAdd({ dst: '0.0.0.0/0', gateway: '10.0.0.254' }),
  'ip route add 10.2.0.0/16 via 10.0.0.254 dev eth0 table 1000 proto 99 metric 5 src 10.0.0.1': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    gateway: '10.0.0.254',
    oif: ETH0,
    table: 1000,
    protocol: 99,
    metric: 5,
    prefsrc: '10.0.0.1',
  }),
  'ip route add 10.2.0.0/16 dev eth0 scope link proto kernel': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    oif: ETH0,
    protocol: RTPROT.KERNEL,
  }),
  'ip route add 10.2.0.0/16 via inet6 fe80::1 dev eth0': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    gateway: 'fe80::1',
    oif: ETH0,
  }),
  'ip route add 10.2.0.0/16 via 192.0.2.1 dev eth0 onlink mtu 1400 advmss 1360': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    gateway: '192.0.2.1',
    oif: ETH0,
    onlink: true,
    mtu: 1400,
    advmss: 1360,
  }),
  'ip route add 10.2.0.0/16 mtu lock 1400 via 10.0.0.254': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    gateway: '10.0.0.254',
    mtu: 1400,
    lock: 1 << rtnl.RTAX.MTU,
  }),
  'ip route add 10.2.0.0/16 nexthop via 10.0.0.2 dev eth0 weight 3 nexthop via 192.0.2.9 dev eth0 onlink':
    rtnl.routeAdd({
      dst: '10.2.0.0/16',
      nexthops: [
        { gateway: '10.0.0.2', oif: ETH0, weight: 3 },
        { gateway: '192.0.2.9', oif: ETH0, onlink: true },
      ],
    }),
  'ip route add 10.2.0.0/16 nexthop via 10.0.0.2 dev eth0 nexthop via inet6 fe80::2 dev eth0 weight 2': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    nexthops: [
      { gateway: '10.0.0.2', oif: ETH0 },
      { gateway: 'fe80::2', oif: ETH0, weight: 2 },
    ],
  }),
  'ip route add blackhole 10.2.0.0/16': rtnl.routeAdd({ dst: '10.2.0.0/16', type: 'blackhole' }),
  'ip route add unreachable 10.2.0.0/16 metric 4278198272': rtnl.routeAdd({
    dst: '10.2.0.0/16',
    type: 'unreachable',
    metric: 4278198272,
  }),
  'ip route add throw 10.2.0.0/16 table 7': rtnl.routeAdd({ dst: '10.2.0.0/16', type: 'throw', table: 7 }),
  'ip route add local 10.2.0.0/16 dev lo': rtnl.routeAdd({ dst: '10.2.0.0/16', type: 'local', oif: 1 }),
  'ip route replace 10.2.0.0/16 via 10.0.0.254': rtnl.routeReplace({ dst: '10.2.0.0/16', gateway: '10.0.0.254' }),
  'ip route append 10.2.0.0/16 via 10.0.0.253': rtnl.routeAppend({ dst: '10.2.0.0/16', gateway: '10.0.0.253' }),
  'ip -6 route add default via fd00::254 dev eth0': rtnl.routeAdd({ dst: '::/0', gateway: 'fd00::254', oif: ETH0 }),
  'ip -6 route add fd02::/48 dev eth0 metric 50': rtnl.routeAdd({ dst: 'fd02::/48', oif: ETH0, metric: 50 }),
  'ip -6 route add prohibit fd02::/48': rtnl.routeAdd({ dst: 'fd02::/48', type: 'prohibit' }),
  'ip -6 route add fd02::/48 nexthop via fd00::2 dev eth0 nexthop via fd00::3 dev eth0': rtnl.routeAdd({
    dst: 'fd02::/48',
    nexthops: [
      { gateway: 'fd00::2', oif: ETH0 },
      { gateway: 'fd00::3', oif: ETH0 },
    ],
  }),
  'ip route del 10.0.0.0/24': rtnl.routeDelete({ dst: '10.0.0.0/24' }),
  'ip route del 10.2.0.0/16 via 10.0.0.254 table 1000': rtnl.routeDelete({
    dst: '10.2.0.0/16',
    gateway: '10.0.0.254',
    table: 1000,
  }),
  'ip -6 route del fd02::/48 dev eth0': rtnl.routeDelete({ dst: 'fd02::/48', oif: ETH0 }),
  'ip route show table 1000': rtnl.routeDump({ family: 4, table: 1000 }),
  'ip route get 10.0.0.9': rtnl.routeGet('10.0.0.9'),
  'ip route get 10.0.0.9 from 10.0.0.1 oif eth0 mark 7 uid 5': rtnl.routeGet('10.0.0.9', {
    from: '10.0.0.1',
    oif: ETH0,
    mark: 7,
    uid: 5,
  }),

  'ip rule add from 10.0.0.0/8 table 1000 priority 100': rtnl.ruleAdd({
    from: '10.0.0.0/8',
    table: 1000,
    priority: 100,
  }),
  'ip rule add not fwmark 0x1/0xff lookup 100 pref 50 protocol 99': rtnl.ruleAdd({
    not: true,
    fwmark: 1,
    fwmask: 0xff,
    table: 100,
    priority: 50,
    protocol: 99,
  }),
  'ip rule add to 10.5.0.0/16 iif eth0 oif br0 priority 7 goto 100': rtnl.ruleAdd({
    to: '10.5.0.0/16',
    iif: 'eth0',
    oif: 'br0',
    priority: 7,
    goto: 100,
  }),
  'ip rule add priority 8 table main suppress_prefixlength 0': rtnl.ruleAdd({
    priority: 8,
    table: RT_TABLE.MAIN,
    suppressPrefixlength: 0,
  }),
  'ip rule add priority 9 ipproto tcp sport 80 dport 1000-2000 uidrange 1-5 table 9': rtnl.ruleAdd({
    priority: 9,
    ipproto: 6,
    sport: { start: 80, end: 80 },
    dport: { start: 1000, end: 2000 },
    uidRange: { start: 1, end: 5 },
    table: 9,
  }),
  'ip rule add from 192.0.2.1 priority 10 blackhole': rtnl.ruleAdd({
    priority: 10,
    from: '192.0.2.1/32',
    action: 'blackhole',
  }),
  'ip rule add priority 11 l3mdev': rtnl.ruleAdd({ priority: 11, l3mdev: true }),
  'ip -6 rule add from fd00::/8 table 1000 priority 100': rtnl.ruleAdd({
    from: 'fd00::/8',
    table: 1000,
    priority: 100,
  }),
  'ip rule del priority 100': rtnl.ruleDelete({ priority: 100 }),
  'ip rule show': rtnl.ruleDump({ family: 4 }),

  'ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0': rtnl.neighbourAdd({
    index: ETH0,
    dst: '10.0.0.9',
    lladdr: '02:00:00:00:00:09',
  }),
  'ip neigh replace fd00::9 lladdr 02:00:00:00:00:09 dev eth0 nud reachable router protocol 99': rtnl.neighbourReplace({
    index: ETH0,
    dst: 'fd00::9',
    lladdr: '02:00:00:00:00:09',
    state: 'reachable',
    flags: ['router'],
    protocol: 99,
  }),
  'ip neigh add proxy 10.0.0.9 dev eth0': rtnl.neighbourAdd({ index: ETH0, dst: '10.0.0.9', proxy: true }),
  'ip neigh add 10.0.0.9 dev eth0 managed extern_learn': rtnl.neighbourAdd({
    index: ETH0,
    dst: '10.0.0.9',
    managed: true,
    flags: ['extern_learn'],
  }),
  'ip neigh del 10.0.0.9 dev eth0': rtnl.neighbourDelete({ index: ETH0, dst: '10.0.0.9' }),
  'ip neigh show dev eth0': rtnl.neighbourDump({ index: ETH0 }),
  'ip neigh show proxy': rtnl.neighbourDump({ proxy: true }),

  'bridge fdb add 02:00:00:00:00:09 dev eth1 master static': rtnl.fdbAdd({
    index: ETH1,
    mac: '02:00:00:00:00:09',
    flags: ['master'],
    state: 'static',
  }),
  'bridge fdb add 02:00:00:00:00:09 dev eth1 master dynamic extern_learn vlan 5': rtnl.fdbAdd({
    index: ETH1,
    mac: '02:00:00:00:00:09',
    flags: ['master', 'extern_learn'],
    state: 'dynamic',
    vlan: 5,
  }),
  'bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1': rtnl.fdbAppend({
    index: VX0,
    mac: '00:00:00:00:00:00',
    dst: '192.0.2.1',
  }),
  'bridge fdb replace 02:00:00:00:00:09 dev vx0 dst 192.0.2.1 port 4790 vni 9 via eth0 self permanent': rtnl.fdbReplace(
    {
      index: VX0,
      mac: '02:00:00:00:00:09',
      dst: '192.0.2.1',
      port: 4790,
      vni: 9,
      via: ETH0,
      flags: ['self'],
      state: 'permanent',
    },
  ),
  'bridge fdb add 02:00:00:00:00:09 dev vx0 dst fd00::9 src_vni 5': rtnl.fdbAdd({
    index: VX0,
    mac: '02:00:00:00:00:09',
    dst: 'fd00::9',
    srcVni: 5,
  }),
  'bridge fdb add 02:00:00:00:00:09 dev eth1 master sticky static': rtnl.fdbAdd({
    index: ETH1,
    mac: '02:00:00:00:00:09',
    flags: ['master', 'sticky'],
    state: 'static',
  }),
  'bridge fdb del 02:00:00:00:00:09 dev vx0 dst 192.0.2.1': rtnl.fdbDelete({
    index: VX0,
    mac: '02:00:00:00:00:09',
    dst: '192.0.2.1',
  }),
  'bridge fdb show br br0': rtnl.fdbDump({ master: BR0 }),
  'ip netns list-id': rtnl.nsidDump(),
};

function macvlan(options: Omit<rtnl.Macvlan, 'kind'>): Request {
  return rtnl.linkAdd({ name: 'mv0', link: ETH0, info: { kind: 'macvlan', ...options } });
}
function ipvlan(options: Omit<rtnl.Ipvlan, 'kind'>): Request {
  return rtnl.linkAdd({ name: 'iv0', link: ETH0, info: { kind: 'ipvlan', ...options } });
}
function ip6gre(): Omit<rtnl.Ip6gre, 'kind'> {
  const udp = { encap: 'none', encapFlags: 2, encapSport: 0, encapDport: 0 } as const;
  return { remote: 'fd00::2', local: 'fd00::1', ttl: 64, encapLimit: 4, flowinfo: 0, flags: 0, fwmark: 0, ...udp };
}
