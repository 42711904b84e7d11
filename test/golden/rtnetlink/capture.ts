/**
 * Captures what iproute2 sends, for rtnetlink.test.ts. Run by hand where iproute2 and strace are installed:
 *
 *     node test/golden/rtnetlink/capture.ts > test/golden/rtnetlink/captures.json
 *
 * Each command runs in a fresh user and network namespace after SETUP, under strace; the request of the wanted type is
 * kept, also where the running kernel refuses it for want of a module.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';

/** What every command finds: links with fixed indices. */
const SETUP = [
  'ip link set lo up',
  'ip link add eth0 index 10 type veth peer name eth1 index 11',
  'ip link add br0 index 20 type bridge',
  'ip link add vx0 index 30 type vxlan id 7 dstport 4789',
  'ip link set eth1 master br0',
  'ip link set eth0 up',
  'ip addr add 10.0.0.1/24 dev eth0',
  'ip addr add fd00::1/64 dev eth0 nodad',
];

const RTM = {
  NEWLINK: 16, DELLINK: 17, GETLINK: 18, SETLINK: 19, NEWADDR: 20, DELADDR: 21, GETADDR: 22, NEWROUTE: 24, DELROUTE: 25,
  GETROUTE: 26, NEWNEIGH: 28, DELNEIGH: 29, GETNEIGH: 30, NEWRULE: 32, DELRULE: 33, GETRULE: 34, NEWNSID: 88, GETNSID: 90,
} as const; // prettier-ignore

const NLM_F_DUMP = 0x300;
const GETS: ReadonlySet<number> = new Set([
  RTM.GETLINK,
  RTM.GETADDR,
  RTM.GETROUTE,
  RTM.GETNEIGH,
  RTM.GETRULE,
  RTM.GETNSID,
]);

const COMMANDS: readonly (readonly [type: keyof typeof RTM, command: string])[] = [
  // links, one of each kind
  ['NEWLINK', 'ip link add veth0 type veth peer name veth1'],
  ['NEWLINK', 'ip link add veth0 address 02:00:00:00:00:01 mtu 1400 type veth peer name veth1 address 02:00:00:00:00:02 mtu 1400 netns /proc/self/ns/net'],
  ['NEWLINK', 'ip link add br1 type bridge'],
  ['NEWLINK', 'ip link add br1 up txqueuelen 500 group 7 index 99 type bridge forward_delay 200 hello_time 100 max_age 600 ageing_time 1000 stp_state 1 priority 100 group_fwd_mask 8 mcast_snooping 0 mcast_querier 1 mcast_query_use_ifaddr 1 mcast_hash_max 1024 mcast_router 2 mcast_last_member_count 3 mcast_startup_query_count 4 mcast_last_member_interval 101 mcast_membership_interval 26001 mcast_querier_interval 25501 mcast_query_interval 12501 mcast_query_response_interval 1001 mcast_startup_query_interval 3125 mcast_stats_enabled 1 mcast_igmp_version 3 mcast_mld_version 2 nf_call_iptables 1 nf_call_ip6tables 1 nf_call_arptables 1'],
  ['NEWLINK', 'ip link add br1 type bridge vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 5 vlan_stats_enabled 1'],
  ['NEWLINK', 'ip link add vx1 type vxlan id 42 remote 192.0.2.1 local 192.0.2.2 dev eth0 dstport 4789'],
  ['NEWLINK', 'ip link add vx1 type vxlan id 42 group 239.1.1.1 dev eth0 dstport 4789 ttl 5 tos 16 nolearning ageing 60 maxaddress 100 srcport 1000 2000 proxy rsc l2miss l3miss noudpcsum df set'],
  ['NEWLINK', 'ip link add vx1 type vxlan id 43 remote fd00::2 local fd00::1 dstport 4789 udp6zerocsumtx udp6zerocsumrx flowlabel 0x123 gbp'],
  ['NEWLINK', 'ip link add vx1 type vxlan ttl inherit external dstport 4790 gpe'],
  ['NEWLINK', 'ip link add mv0 link eth0 type macvlan mode bridge'],
  ['NEWLINK', 'ip link add mv0 link eth0 type macvlan mode private'],
  ['NEWLINK', 'ip link add mv0 link eth0 type macvlan mode vepa bcqueuelen 500'],
  ['NEWLINK', 'ip link add mv0 link eth0 type macvlan mode passthru nopromisc'],
  ['NEWLINK', 'ip link add mv0 link eth0 type macvlan mode source macaddr set 02:00:00:00:00:01 02:00:00:00:00:02'],
  ['NEWLINK', 'ip link set eth0 type macvlan macaddr add 02:00:00:00:00:03'],
  ['NEWLINK', 'ip link add iv0 link eth0 type ipvlan mode l2'],
  ['NEWLINK', 'ip link add iv0 link eth0 type ipvlan mode l3 private'],
  ['NEWLINK', 'ip link add iv0 link eth0 type ipvlan mode l3s vepa'],
  ['NEWLINK', 'ip link add vl0 link eth0 type vlan id 100'],
  ['NEWLINK', 'ip link add vl0 link eth0 type vlan protocol 802.1ad id 100 reorder_hdr off gvrp on mvrp on loose_binding on ingress-qos-map 1:2 3:4 egress-qos-map 5:6'],
  ['NEWLINK', 'ip link add vrf0 type vrf table 1000'],
  ['NEWLINK', 'ip link add d0 type dummy'],
  ['NEWLINK', 'ip link add i0 type ifb'],
  ['NEWLINK', 'ip link add wg0 type wireguard'],
  ['NEWLINK', 'ip link add t0 type ipip remote 192.0.2.1 local 192.0.2.2 ttl 64 dev eth0'],
  ['NEWLINK', 'ip link add t0 type ipip remote 192.0.2.1 local 192.0.2.2 nopmtudisc encap fou encap-sport auto encap-dport 5555'],
  ['NEWLINK', 'ip link add t0 type ipip external'],
  ['NEWLINK', 'ip link add t0 type sit remote 192.0.2.1 local 192.0.2.2 ttl 64'],
  ['NEWLINK', 'ip link add t0 type sit local 192.0.2.2 isatap'],
  ['NEWLINK', 'ip link add t0 type gre remote 192.0.2.1 local 192.0.2.2 ttl 64 key 5 csum seq'],
  ['NEWLINK', 'ip link add t0 type gre remote 192.0.2.1 local 192.0.2.2 ikey 5 okey 6 dev eth0'],
  ['NEWLINK', 'ip link add t0 type gretap remote 192.0.2.1 local 192.0.2.2 nopmtudisc ignore-df'],
  ['NEWLINK', 'ip link add t0 type gretap external'],
  ['NEWLINK', 'ip link add t0 type ip6gre remote fd00::2 local fd00::1 ttl 64'],
  ['NEWLINK', 'ip link add t0 type ip6gretap remote fd00::2 local fd00::1 key 7'],
  ['NEWLINK', 'ip link add t0 type vti remote 192.0.2.1 local 192.0.2.2 key 9'],
  // changes of links
  ['NEWLINK', 'ip link set eth0 up'],
  ['NEWLINK', 'ip link set eth0 down'],
  ['NEWLINK', 'ip link set eth0 name eth9'],
  ['NEWLINK', 'ip link set eth0 address 02:00:00:00:00:09 txqueuelen 10 mtu 1300 group 3'],
  ['NEWLINK', 'ip link set eth0 alias netloom:web'],
  ['NEWLINK', 'ip link set eth0 master br0'],
  ['NEWLINK', 'ip link set eth0 nomaster'],
  ['NEWLINK', 'ip link set eth0 addrgenmode none'],
  ['NEWLINK', 'ip link set eth0 promisc on allmulticast on arp off'],
  ['NEWLINK', 'ip link set br0 type bridge ageing_time 0 stp_state 1'],
  ['DELLINK', 'ip link delete eth0'],
  ['DELLINK', 'ip link delete group 7'],
  ['GETLINK', 'ip link show dev eth0'],
  ['GETLINK', 'ip link show type veth'],
  ['GETLINK', 'ip link show master br0'],
  ['SETLINK', 'bridge link set dev eth1 hairpin on isolated on learning off flood off mcast_flood off bcast_flood off neigh_suppress on guard on root_block on fastleave on cost 5 priority 10 locked off mcast_to_unicast on vlan_tunnel off'],
  ['SETLINK', 'bridge link set dev eth1 state 3'],
  // addresses
  ['NEWADDR', 'ip addr add 10.1.0.1/24 dev eth0'],
  ['NEWADDR', 'ip addr add 10.1.0.1/24 broadcast 10.1.0.255 label eth0:1 metric 50 dev eth0'],
  ['NEWADDR', 'ip addr add 10.1.0.1 peer 10.1.0.2/30 dev eth0'],
  ['NEWADDR', 'ip addr add 127.0.0.2/8 dev lo'],
  ['NEWADDR', 'ip addr add fd01::1/64 dev eth0 nodad'],
  ['NEWADDR', 'ip addr add fd01::1/64 dev eth0 nodad noprefixroute home mngtmpaddr'],
  ['NEWADDR', 'ip addr add fd01::1/64 dev eth0 valid_lft 100 preferred_lft 50'],
  ['NEWADDR', 'ip addr replace 10.1.0.1/24 dev eth0 scope link'],
  ['DELADDR', 'ip addr del 10.0.0.1/24 dev eth0'],
  ['GETADDR', 'ip addr show dev eth0'],
  // routes
  ['NEWROUTE', 'ip route add default via 10.0.0.254'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 via 10.0.0.254 dev eth0 table 1000 proto 99 metric 5 src 10.0.0.1'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 dev eth0 scope link proto kernel'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 via inet6 fe80::1 dev eth0'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 via 192.0.2.1 dev eth0 onlink mtu 1400 advmss 1360'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 mtu lock 1400 via 10.0.0.254'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 nexthop via 10.0.0.2 dev eth0 weight 3 nexthop via 192.0.2.9 dev eth0 onlink'],
  ['NEWROUTE', 'ip route add 10.2.0.0/16 nexthop via 10.0.0.2 dev eth0 nexthop via inet6 fe80::2 dev eth0 weight 2'],
  ['NEWROUTE', 'ip route add blackhole 10.2.0.0/16'],
  ['NEWROUTE', 'ip route add unreachable 10.2.0.0/16 metric 4278198272'],
  ['NEWROUTE', 'ip route add throw 10.2.0.0/16 table 7'],
  ['NEWROUTE', 'ip route add local 10.2.0.0/16 dev lo'],
  ['NEWROUTE', 'ip route replace 10.2.0.0/16 via 10.0.0.254'],
  ['NEWROUTE', 'ip route append 10.2.0.0/16 via 10.0.0.253'],
  ['NEWROUTE', 'ip -6 route add default via fd00::254 dev eth0'],
  ['NEWROUTE', 'ip -6 route add fd02::/48 dev eth0 metric 50'],
  ['NEWROUTE', 'ip -6 route add prohibit fd02::/48'],
  ['NEWROUTE', 'ip -6 route add fd02::/48 nexthop via fd00::2 dev eth0 nexthop via fd00::3 dev eth0'],
  ['DELROUTE', 'ip route del 10.0.0.0/24'],
  ['DELROUTE', 'ip route del 10.2.0.0/16 via 10.0.0.254 table 1000'],
  ['DELROUTE', 'ip -6 route del fd02::/48 dev eth0'],
  ['GETROUTE', 'ip route show table 1000'],
  ['GETROUTE', 'ip route get 10.0.0.9'],
  ['GETROUTE', 'ip route get 10.0.0.9 from 10.0.0.1 oif eth0 mark 7 uid 5'],
  // policy rules
  ['NEWRULE', 'ip rule add from 10.0.0.0/8 table 1000 priority 100'],
  ['NEWRULE', 'ip rule add not fwmark 0x1/0xff lookup 100 pref 50 protocol 99'],
  ['NEWRULE', 'ip rule add to 10.5.0.0/16 iif eth0 oif br0 priority 7 goto 100'],
  ['NEWRULE', 'ip rule add priority 8 table main suppress_prefixlength 0'],
  ['NEWRULE', 'ip rule add priority 9 ipproto tcp sport 80 dport 1000-2000 uidrange 1-5 table 9'],
  ['NEWRULE', 'ip rule add from 192.0.2.1 priority 10 blackhole'],
  ['NEWRULE', 'ip rule add priority 11 l3mdev'],
  ['NEWRULE', 'ip -6 rule add from fd00::/8 table 1000 priority 100'],
  ['DELRULE', 'ip rule del priority 100'],
  ['GETRULE', 'ip rule show'],
  // neighbours
  ['NEWNEIGH', 'ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0'],
  ['NEWNEIGH', 'ip neigh replace fd00::9 lladdr 02:00:00:00:00:09 dev eth0 nud reachable router protocol 99'],
  ['NEWNEIGH', 'ip neigh add proxy 10.0.0.9 dev eth0'],
  ['NEWNEIGH', 'ip neigh add 10.0.0.9 dev eth0 managed extern_learn'],
  ['DELNEIGH', 'ip neigh del 10.0.0.9 dev eth0'],
  ['GETNEIGH', 'ip neigh show dev eth0'],
  ['GETNEIGH', 'ip neigh show proxy'],
  // forwarding databases
  ['NEWNEIGH', 'bridge fdb add 02:00:00:00:00:09 dev eth1 master static'],
  ['NEWNEIGH', 'bridge fdb add 02:00:00:00:00:09 dev eth1 master dynamic extern_learn vlan 5'],
  ['NEWNEIGH', 'bridge fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.1'],
  ['NEWNEIGH', 'bridge fdb replace 02:00:00:00:00:09 dev vx0 dst 192.0.2.1 port 4790 vni 9 via eth0 self permanent'],
  ['NEWNEIGH', 'bridge fdb add 02:00:00:00:00:09 dev vx0 dst fd00::9 src_vni 5'],
  ['NEWNEIGH', 'bridge fdb add 02:00:00:00:00:09 dev eth1 master sticky static'],
  ['DELNEIGH', 'bridge fdb del 02:00:00:00:00:09 dev vx0 dst 192.0.2.1'],
  ['GETNEIGH', 'bridge fdb show br br0'],
  // namespace ids
  ['GETNSID', 'ip netns list-id'],
]; // prettier-ignore

const dir = mkdtempSync(join(tmpdir(), 'capture-'));
const captures = COMMANDS.map(([type, command]) => ({ command, type, hex: capture(command, RTM[type]) }));
rmSync(dir, { recursive: true });
const version = execFileSync('ip', ['-V'], { encoding: 'utf8' }).trim();
const lines = captures.map((c) => `  ${JSON.stringify(c)}`).join(',\n');
process.stdout.write(
  `{\n "tool": ${JSON.stringify(version)},\n "kernel": ${JSON.stringify(release())},\n` +
    ` "setup": ${JSON.stringify(SETUP)},\n "captures": [\n${lines}\n]}\n`,
);

/** The netlink request of that type that the command stands for, without its sequence number and port id. */
function capture(command: string, type: number): string {
  const trace = join(dir, 'trace');
  const script = `${SETUP.join(' && ')} && exec strace -o ${trace} -e trace=sendmsg,sendto -e write=all ${command}`;
  const run = spawnSync('unshare', ['-Urn', 'sh', '-c', script], { encoding: 'utf8' });
  const sent = blocks(readFileSync(trace, 'utf8')).filter(
    (bytes) => bytes.length >= 16 && bytes.readUInt16LE(4) === type,
  );
  // iproute2 also asks by the way, one link at a time: to find an index before, to print a name behind
  const message = GETS.has(type)
    ? (sent.find((bytes) => (bytes.readUInt16LE(6) & NLM_F_DUMP) !== 0) ?? sent[0])
    : sent.at(-1);
  if (!message) throw new Error(`${command}: no request of type ${type}\n${run.stdout}${run.stderr}`);
  message.fill(0, 8, 16);
  return message.subarray(0, message.readUInt32LE(0)).toString('hex');
}

/** The hex dumps that strace writes under each call: ` | 00010  02 00 …  ASCII |`. */
function blocks(text: string): Buffer[] {
  const found: Buffer[] = [];
  for (const line of text.split('\n')) {
    const dump = /^ \| ([0-9a-f]{5})  (.{49})/.exec(line);
    if (!dump) continue;
    const bytes = Buffer.from(dump[2]!.replaceAll(' ', ''), 'hex');
    if (dump[1] === '00000') found.push(bytes);
    else found.push(Buffer.concat([found.pop() ?? Buffer.alloc(0), bytes]));
  }
  return found;
}
