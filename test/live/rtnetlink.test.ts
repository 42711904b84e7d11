import { test } from 'node:test';
import * as r from '../../src/rtnetlink/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { assertSame, BRIDGE, BRIDGE_IP, MACS, PAIR, PAIR_IP, type State } from './rtnetlink-state.ts';

checkDescriptors();

const [A, , C] = MACS;

const STATES: readonly State[] = [
  { name: 'a veth pair with addresses', ip: PAIR_IP, ours: PAIR },
  {
    name: 'a bridge with settings',
    ip: [
      `link add br0 address ${C} up mtu 1400 txqueuelen 99 group 7 type bridge forward_delay 300 hello_time 150 max_age 900 ageing_time 1000 stp_state 0 priority 100 group_fwd_mask 8 mcast_snooping 1 mcast_querier 1 mcast_query_use_ifaddr 1 mcast_hash_max 1024 mcast_router 2 mcast_last_member_count 3 mcast_startup_query_count 4 mcast_last_member_interval 101 mcast_membership_interval 26001 mcast_querier_interval 25501 mcast_query_interval 12501 mcast_query_response_interval 1001 mcast_startup_query_interval 3125 mcast_igmp_version 3 mcast_mld_version 2 nf_call_iptables 1`,
      'link set br0 alias netloom:net',
      'link set br0 addrgenmode none',
    ],
    ours: [
      () => [
        r.linkAdd({
          name: 'br0',
          mac: C,
          up: true,
          mtu: 1400,
          txQueueLen: 99,
          group: 7,
          info: {
            kind: 'bridge',
            forwardDelay: 300,
            helloTime: 150,
            maxAge: 900,
            ageing: 1000,
            stp: false,
            priority: 100,
            groupFwdMask: 8,
            multicastSnooping: true,
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
            mcastIgmpVersion: 3,
            mcastMldVersion: 2,
            nfCallIptables: true,
          },
        }),
        r.linkSet({ name: 'br0' }, { alias: 'netloom:net', addrGenMode: 'none' }),
      ],
    ],
  },
  {
    name: 'a bridge port with settings, and FDB entries',
    ip: [...PAIR_IP, ...BRIDGE_IP],
    bridge: [
      'link set dev eth1 hairpin on isolated on learning off flood off mcast_flood off bcast_flood off neigh_suppress on guard on root_block on fastleave on cost 5 priority 10 locked off mcast_to_unicast on',
      'fdb add 02:00:00:00:00:11 dev eth1 master static',
      'fdb add 02:00:00:00:00:12 dev eth1 master dynamic extern_learn',
      'fdb add 02:00:00:00:00:13 dev eth1 master sticky static',
    ],
    ours: [
      ...PAIR,
      ...BRIDGE,
      (index) => [
        r.linkSetPort(
          { index: index('eth1') },
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
          },
        ),
        r.fdbAdd({ index: index('eth1'), mac: '02:00:00:00:00:11', flags: ['master'], state: 'static' }),
        r.fdbAdd({
          index: index('eth1'),
          mac: '02:00:00:00:00:12',
          flags: ['master', 'extern_learn'],
          state: 'dynamic',
        }),
        r.fdbAdd({ index: index('eth1'), mac: '02:00:00:00:00:13', flags: ['master', 'sticky'], state: 'static' }),
      ],
    ],
  },
  {
    name: 'VXLANs and where their frames go',
    ip: [
      ...PAIR_IP,
      `link add vx0 address ${C} type vxlan id 42 local 10.0.0.1 dev eth0 dstport 4789 nolearning proxy l2miss l3miss ttl 5 tos 0x10 ageing 60 maxaddress 100 srcport 1000 2000 noudpcsum df set`,
      `link add vx1 address ${C} type vxlan id 43 remote fd00::2 local fd00::1 dstport 4790 udp6zerocsumtx udp6zerocsumrx gbp`,
      `link add vx2 address ${C} type vxlan external dstport 4791`,
      `link add vx3 address ${C} type vxlan id 44 group 239.1.1.1 dev eth0 dstport 4792 ttl inherit`,
    ],
    bridge: [
      'fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.7',
      'fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.8',
      'fdb replace 02:00:00:00:00:09 dev vx0 dst 10.0.0.9 port 4790 vni 9 via eth0',
      'fdb add 02:00:00:00:00:09 dev vx2 dst 10.0.0.9 src_vni 5',
    ],
    ours: [
      ...PAIR,
      (index) => [
        r.linkAdd({
          name: 'vx0',
          mac: C,
          info: {
            kind: 'vxlan',
            id: 42,
            local: '10.0.0.1',
            dev: index('eth0'),
            port: 4789,
            learning: false,
            proxy: true,
            l2miss: true,
            l3miss: true,
            ttl: 5,
            tos: 0x10,
            ageing: 60,
            limit: 100,
            portRange: { low: 1000, high: 2000 },
            udpCsum: false,
            df: 'set',
          },
        }),
        r.linkAdd({
          name: 'vx1',
          mac: C,
          info: {
            kind: 'vxlan',
            id: 43,
            remote: 'fd00::2',
            local: 'fd00::1',
            port: 4790,
            udpZeroCsum6Tx: true,
            udpZeroCsum6Rx: true,
            gbp: true,
          },
        }),
        // iproute2 turns learning off where the routes say where to
        r.linkAdd({ name: 'vx2', mac: C, info: { kind: 'vxlan', external: true, port: 4791, learning: false } }),
        r.linkAdd({
          name: 'vx3',
          mac: C,
          info: { kind: 'vxlan', id: 44, remote: '239.1.1.1', dev: index('eth0'), port: 4792, ttlInherit: true },
        }),
      ],
      (index) => [
        r.fdbAppend({ index: index('vx0'), mac: '00:00:00:00:00:00', dst: '10.0.0.7' }),
        r.fdbAppend({ index: index('vx0'), mac: '00:00:00:00:00:00', dst: '10.0.0.8' }),
        r.fdbReplace({
          index: index('vx0'),
          mac: '02:00:00:00:00:09',
          dst: '10.0.0.9',
          port: 4790,
          vni: 9,
          via: index('eth0'),
        }),
        r.fdbAdd({ index: index('vx2'), mac: '02:00:00:00:00:09', dst: '10.0.0.9', srcVni: 5 }),
      ],
    ],
  },
  ...(['private', 'vepa', 'bridge', 'passthru'] as const).map((mode): State => ({
    name: `macvlan, mode ${mode}`,
    ip: [
      ...PAIR_IP,
      `link add mv0 link eth0 address ${mode === 'passthru' ? A : C} type macvlan mode ${mode}${mode === 'passthru' ? ' nopromisc' : ''}`,
    ],
    ours: [
      ...PAIR,
      (index) => [
        r.linkAdd({
          name: 'mv0',
          link: index('eth0'),
          mac: mode === 'passthru' ? A : C,
          info: { kind: 'macvlan', mode, ...(mode === 'passthru' ? { nopromisc: true } : {}) },
        }),
      ],
    ],
  })),
  {
    name: 'macvlan, mode source, its senders changed',
    ip: [
      ...PAIR_IP,
      `link add mv0 link eth0 address ${C} type macvlan mode source macaddr set 02:00:00:00:00:01 02:00:00:00:00:02`,
      'link set mv0 type macvlan macaddr add 02:00:00:00:00:03',
      'link set mv0 type macvlan macaddr del 02:00:00:00:00:01',
    ],
    ours: [
      ...PAIR,
      (index) => [
        r.linkAdd({
          name: 'mv0',
          link: index('eth0'),
          mac: C,
          info: { kind: 'macvlan', mode: 'source', macaddrs: ['02:00:00:00:00:01', '02:00:00:00:00:02'] },
        }),
        r.linkSet({ name: 'mv0' }, { info: { kind: 'macvlan', macaddrAdd: '02:00:00:00:00:03' } }),
        r.linkSet({ name: 'mv0' }, { info: { kind: 'macvlan', macaddrDelete: '02:00:00:00:00:01' } }),
      ],
    ],
  },
  {
    name: 'addresses of every sort',
    ip: [
      ...PAIR_IP,
      'addr add 10.1.0.1/24 broadcast 10.1.0.255 label eth0:1 metric 50 dev eth0',
      'addr add 10.2.0.1 peer 10.2.0.2/30 dev eth0',
      'addr add 10.3.0.1/32 dev lo scope host',
      'addr add 127.0.0.2/8 dev lo',
      'addr add fd01::1/64 dev eth0 nodad noprefixroute home mngtmpaddr',
      'addr add fd02::1 peer fd02::2/127 dev eth0 nodad',
      'addr add fd03::1/64 dev eth0 nodad metric 77',
      'addr replace 10.1.0.1/24 broadcast 10.1.0.255 label eth0:1 metric 60 dev eth0',
      'addr add 10.4.0.1/24 dev eth0',
      'addr del 10.4.0.1/24 dev eth0',
    ],
    ours: [
      ...PAIR,
      (index) => {
        const eth0 = index('eth0');
        const labelled = { index: eth0, address: '10.1.0.1/24', broadcast: '10.1.0.255', label: 'eth0:1' };
        return [
          r.addressAdd({ ...labelled, metric: 50 }),
          r.addressAdd({ index: eth0, address: '10.2.0.1/30', peer: '10.2.0.2' }),
          r.addressAdd({ index: index('lo'), address: '10.3.0.1/32', scope: r.RT_SCOPE.HOST }),
          r.addressAdd({ index: index('lo'), address: '127.0.0.2/8' }),
          r.addressAdd({ index: eth0, address: 'fd01::1/64', flags: ['nodad', 'noprefixroute', 'home', 'mngtmpaddr'] }),
          r.addressAdd({ index: eth0, address: 'fd02::1/127', peer: 'fd02::2', flags: ['nodad'] }),
          r.addressAdd({ index: eth0, address: 'fd03::1/64', flags: ['nodad'], metric: 77 }),
          r.addressReplace({ ...labelled, metric: 60 }),
          r.addressAdd({ index: eth0, address: '10.4.0.1/24' }),
          r.addressDelete({ index: eth0, address: '10.4.0.1/24' }),
        ];
      },
    ],
  },
  {
    name: 'routes of every sort',
    ip: [
      ...PAIR_IP,
      'route add default via 10.0.0.254',
      'route add 10.2.0.0/16 via 10.0.0.254 dev eth0 table 1000 proto 99 metric 5 src 10.0.0.1',
      'route add 10.3.0.0/16 dev eth0 proto kernel',
      'route add 10.4.0.0/16 via inet6 fe80::1 dev eth0',
      'route add 10.5.0.0/16 via 192.0.2.1 dev eth0 onlink mtu lock 1400 advmss 1360',
      'route add 10.6.0.0/16 nexthop via 10.0.0.2 dev eth0 weight 3 nexthop via 192.0.2.9 dev eth0 onlink',
      'route add 10.7.0.0/16 nexthop via 10.0.0.2 dev eth0 nexthop via inet6 fe80::2 dev eth0 weight 2',
      'route add blackhole 10.8.0.0/16',
      'route add unreachable 10.9.0.0/16 metric 4278198272',
      'route add prohibit 10.10.0.0/16 table 300',
      'route add throw 10.11.0.0/16 table 7',
      'route add local 10.12.0.0/16 dev lo',
      'route add 10.13.0.0/16 via 10.0.0.2',
      'route replace 10.13.0.0/16 via 10.0.0.3',
      'route append 10.13.0.0/16 via 10.0.0.4',
      'route add 10.14.0.0/16 dev eth0',
      'route del 10.14.0.0/16',
      'route add default via fd00::254 dev eth0',
      'route add fd02::/48 dev eth0 metric 50 proto 99 mtu 1300',
      'route add prohibit fd03::/48',
      'route add fd04::/48 nexthop via fd00::2 dev eth0 nexthop via fd00::3 dev eth0 weight 2',
      'route add fd05::/48 via 2001:db8::1 dev eth0 onlink table 1000',
      'route add fd06::/48 dev eth0',
      'route del fd06::/48 dev eth0',
    ],
    ours: [
      ...PAIR,
      (index) => {
        const oif = index('eth0');
        return [
          r.routeAdd({ dst: '0.0.0.0/0', gateway: '10.0.0.254' }),
          r.routeAdd({
            dst: '10.2.0.0/16',
            gateway: '10.0.0.254',
            oif,
            table: 1000,
            protocol: 99,
            metric: 5,
            prefsrc: '10.0.0.1',
          }),
          r.routeAdd({ dst: '10.3.0.0/16', oif, protocol: r.RTPROT.KERNEL }),
          r.routeAdd({ dst: '10.4.0.0/16', gateway: 'fe80::1', oif }),
          r.routeAdd({
            dst: '10.5.0.0/16',
            gateway: '192.0.2.1',
            oif,
            onlink: true,
            mtu: 1400,
            lock: 1 << r.RTAX.MTU,
            advmss: 1360,
          }),
          r.routeAdd({
            dst: '10.6.0.0/16',
            nexthops: [
              { gateway: '10.0.0.2', oif, weight: 3 },
              { gateway: '192.0.2.9', oif, onlink: true },
            ],
          }),
          r.routeAdd({
            dst: '10.7.0.0/16',
            nexthops: [
              { gateway: '10.0.0.2', oif },
              { gateway: 'fe80::2', oif, weight: 2 },
            ],
          }),
          r.routeAdd({ dst: '10.8.0.0/16', type: 'blackhole' }),
          r.routeAdd({ dst: '10.9.0.0/16', type: 'unreachable', metric: 4278198272 }),
          r.routeAdd({ dst: '10.10.0.0/16', type: 'prohibit', table: 300 }),
          r.routeAdd({ dst: '10.11.0.0/16', type: 'throw', table: 7 }),
          r.routeAdd({ dst: '10.12.0.0/16', type: 'local', oif: index('lo') }),
          r.routeAdd({ dst: '10.13.0.0/16', gateway: '10.0.0.2' }),
          r.routeReplace({ dst: '10.13.0.0/16', gateway: '10.0.0.3' }),
          r.routeAppend({ dst: '10.13.0.0/16', gateway: '10.0.0.4' }),
          r.routeAdd({ dst: '10.14.0.0/16', oif }),
          r.routeDelete({ dst: '10.14.0.0/16' }),
          r.routeAdd({ dst: '::/0', gateway: 'fd00::254', oif }),
          r.routeAdd({ dst: 'fd02::/48', oif, metric: 50, protocol: 99, mtu: 1300 }),
          r.routeAdd({ dst: 'fd03::/48', type: 'prohibit' }),
          r.routeAdd({
            dst: 'fd04::/48',
            nexthops: [
              { gateway: 'fd00::2', oif },
              { gateway: 'fd00::3', oif, weight: 2 },
            ],
          }),
          r.routeAdd({ dst: 'fd05::/48', gateway: '2001:db8::1', oif, onlink: true, table: 1000 }),
          r.routeAdd({ dst: 'fd06::/48', oif }),
          r.routeDelete({ dst: 'fd06::/48', oif }),
        ];
      },
    ],
  },
  {
    name: 'policy rules of every sort',
    ip: [
      ...PAIR_IP,
      'rule add from 10.0.0.0/8 table 1000 priority 100',
      'rule add not fwmark 0x1/0xff lookup 100 pref 50 protocol 99',
      'rule add to 10.5.0.0/16 iif eth0 oif eth1 priority 7 goto 100',
      'rule add priority 8 table main suppress_prefixlength 0',
      'rule add priority 9 ipproto tcp sport 80 dport 1000-2000 uidrange 0-0 table 9',
      'rule add from 192.0.2.1 priority 10 blackhole',
      'rule add priority 12 tos 0x10 table 12',
      'rule add priority 13 table 13',
      'rule del priority 13',
    ],
    ip6: ['rule add from fd00::/8 table 1000 priority 100', 'rule add priority 101 unreachable'],
    ours: [
      ...PAIR,
      () => [
        r.ruleAdd({ from: '10.0.0.0/8', table: 1000, priority: 100 }),
        r.ruleAdd({ not: true, fwmark: 1, fwmask: 0xff, table: 100, priority: 50, protocol: 99 }),
        r.ruleAdd({ to: '10.5.0.0/16', iif: 'eth0', oif: 'eth1', priority: 7, goto: 100 }),
        r.ruleAdd({ priority: 8, suppressPrefixlength: 0 }),
        r.ruleAdd({
          priority: 9,
          ipproto: 6,
          sport: { start: 80, end: 80 },
          dport: { start: 1000, end: 2000 },
          uidRange: { start: 0, end: 0 },
          table: 9,
        }),
        r.ruleAdd({ from: '192.0.2.1/32', priority: 10, action: 'blackhole' }),
        r.ruleAdd({ priority: 12, tos: 0x10, table: 12 }),
        r.ruleAdd({ priority: 13, table: 13 }),
        r.ruleDelete({ priority: 13 }),
        r.ruleAdd({ from: 'fd00::/8', table: 1000, priority: 100 }),
        r.ruleAdd({ family: 6, priority: 101, action: 'unreachable' }),
      ],
    ],
  },
  {
    name: 'neighbours of every sort',
    ip: [
      ...PAIR_IP,
      'neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0',
      'neigh replace 10.0.0.9 lladdr 02:00:00:00:00:0f dev eth0 protocol 99',
      'neigh add fd00::9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent router',
      'neigh add 10.0.0.10 lladdr 02:00:00:00:00:10 dev eth0 nud noarp extern_learn',
      'neigh add proxy 10.0.0.11 dev eth0',
      'neigh add proxy fd00::11 dev eth0 protocol 99',
      'neigh add 10.0.0.12 lladdr 02:00:00:00:00:12 dev eth0',
      'neigh del 10.0.0.12 dev eth0',
    ],
    ours: [
      ...PAIR,
      (i) => {
        const index = i('eth0');
        return [
          r.neighbourAdd({ index, dst: '10.0.0.9', lladdr: '02:00:00:00:00:09' }),
          r.neighbourReplace({ index, dst: '10.0.0.9', lladdr: '02:00:00:00:00:0f', protocol: 99 }),
          r.neighbourAdd({ index, dst: 'fd00::9', lladdr: '02:00:00:00:00:09', flags: ['router'] }),
          r.neighbourAdd({
            index,
            dst: '10.0.0.10',
            lladdr: '02:00:00:00:00:10',
            state: 'noarp',
            flags: ['extern_learn'],
          }),
          r.neighbourAdd({ index, dst: '10.0.0.11', proxy: true }),
          r.neighbourAdd({ index, dst: 'fd00::11', proxy: true, protocol: 99 }),
          r.neighbourAdd({ index, dst: '10.0.0.12', lladdr: '02:00:00:00:00:12' }),
          r.neighbourDelete({ index, dst: '10.0.0.12' }),
        ];
      },
    ],
  },
];

for (const state of STATES) {
  test(`ip and we make the same: ${state.name}`, () => assertSame(state));
}
