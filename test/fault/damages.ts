import type { Fact } from '../../src/facts/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { sourceTable } from '../../src/drivers/index.ts';
import { okIn } from '../lib/run.ts';

/** Where damage is done. */
export interface Victim {
  readonly host: Netns;
  /** The network's bridge. */
  readonly bridge: string;
  /** With its length: the network's own address. */
  readonly gateway: string;
  readonly workload: {
    readonly id: string;
    readonly netns: Netns;
    readonly path: string;
    readonly ifname: string;
    readonly hostIfname: string;
    /** With their lengths. */
    readonly addresses: readonly string[];
  };
}

/** Something that somebody does to a kernel that we keep, as a script for a shell in a namespace. */
export interface Damage {
  readonly kind: Fact['kind'];
  readonly what: string;
  /** What of the machine's it is done to. */
  readonly where: 'host' | 'workload';
  readonly script: (victim: Victim) => string;
  /** The kernel tells nobody: only the audit finds it. */
  readonly silent?: true;
}

const family = (address: string): string => (address.includes(':') ? ' -6' : '');
const plain = (address: string): string => address.replace(/\/.*/, '');

/** At least one for every kind of fact: a test counts. */
export const DAMAGES: readonly Damage[] = [
  { kind: 'link', what: 'the bridge is deleted', where: 'host', script: (v) => `ip link delete ${v.bridge}` },
  { kind: 'link', what: 'the bridge is set down', where: 'host', script: (v) => `ip link set ${v.bridge} down` },
  {
    kind: 'link',
    what: 'the bridge gets another MTU',
    where: 'host',
    script: (v) => `ip link set ${v.bridge} mtu 1300`,
  },
  {
    kind: 'link',
    what: 'the host end of a pair is deleted',
    where: 'host',
    script: (v) => `ip link delete ${v.workload.hostIfname}`,
  },
  {
    kind: 'link',
    what: 'the host end of a pair is set down',
    where: 'host',
    script: (v) => `ip link set ${v.workload.hostIfname} down`,
  },
  {
    kind: 'link',
    what: 'the host end loses its alias',
    where: 'host',
    script: (v) => `ip link set ${v.workload.hostIfname} alias ''`,
  },
  {
    kind: 'link',
    what: 'a port is moved to another bridge',
    where: 'host',
    script: (v) =>
      `ip link add other type bridge; ip link set ${v.workload.hostIfname} master other; ip link delete other`,
  },
  {
    kind: 'link',
    what: 'a port is taken out of its bridge',
    where: 'host',
    script: (v) => `ip link set ${v.workload.hostIfname} nomaster`,
  },
  {
    kind: 'link',
    what: 'the host end gets another name',
    where: 'host',
    script: (v) => `ip link set ${v.workload.hostIfname} down; ip link set ${v.workload.hostIfname} name stolen`,
  },
  {
    kind: 'link',
    what: "the workload's end is deleted",
    where: 'workload',
    script: (v) => `ip link delete ${v.workload.ifname}`,
  },
  {
    kind: 'link',
    what: "the workload's end is set down",
    where: 'workload',
    script: (v) => `ip link set ${v.workload.ifname} down`,
  },
  {
    kind: 'link',
    what: "the workload's end gets another MAC",
    where: 'workload',
    script: (v) => `ip link set ${v.workload.ifname} address 02:00:00:00:00:99`,
  },
  { kind: 'link', what: "the workload's loopback is set down", where: 'workload', script: () => 'ip link set lo down' },
  {
    kind: 'port',
    what: 'a port is no longer isolated',
    where: 'host',
    script: (v) => `bridge link set dev ${v.workload.hostIfname} isolated off`,
  },
  {
    kind: 'port',
    what: 'a port learns again',
    where: 'host',
    script: (v) => `bridge link set dev ${v.workload.hostIfname} learning on flood on`,
  },
  {
    kind: 'neighbour',
    what: "a workload's neighbour entry is deleted",
    where: 'host',
    script: (v) => `ip neigh del ${plain(v.workload.addresses[0]!)} dev ${v.bridge}`,
  },
  {
    kind: 'neighbour',
    what: "the bridge's neighbours are flushed",
    where: 'host',
    script: (v) => `ip neigh flush dev ${v.bridge} nud permanent`,
  },
  {
    kind: 'address',
    what: "the gateway's address is deleted",
    where: 'host',
    script: (v) => `ip addr del ${v.gateway} dev ${v.bridge}`,
  },
  {
    kind: 'address',
    what: "the bridge's addresses are flushed",
    where: 'host',
    script: (v) => `ip addr flush dev ${v.bridge}`,
  },
  {
    kind: 'address',
    what: "the workload's addresses are deleted",
    where: 'workload',
    script: (v) => v.workload.addresses.map((a) => `ip addr del ${a} dev ${v.workload.ifname}`).join('; '),
  },
  { kind: 'route', what: 'the default route is deleted', where: 'workload', script: () => 'ip route del default' },
  {
    kind: 'route',
    what: 'the IPv6 default route is deleted',
    where: 'workload',
    script: () => 'ip -6 route del default',
  },
  {
    kind: 'route',
    what: 'all routes are flushed',
    where: 'workload',
    script: () => 'ip route flush table main proto 110',
  },
  {
    kind: 'route',
    what: "a route of the workload's own is deleted",
    where: 'workload',
    script: () => 'ip route del 192.0.2.0/24',
  },
  {
    kind: 'route',
    what: "the source's own table is flushed",
    where: 'workload',
    script: (v) => `ip route flush table ${sourceTable(v.workload)}`,
  },
  {
    kind: 'rule',
    what: "the sources' rules are deleted",
    where: 'workload',
    script: (v) => v.workload.addresses.map((a) => `ip${family(a)} rule del from ${plain(a)}`).join('; '),
  },
  {
    kind: 'sysctl',
    what: "a parameter of the workload's own is changed",
    where: 'workload',
    silent: true,
    script: () => 'sysctl -qw net.ipv4.ip_default_ttl=99',
  },
  {
    kind: 'link',
    what: "the workload's end is no longer promiscuous",
    where: 'workload',
    script: (v) => `ip link set ${v.workload.ifname} promisc off`,
  },
  {
    kind: 'sysctl',
    what: 'forwarding is switched off',
    where: 'host',
    script: () => 'sysctl -qw net.ipv4.ip_forward=0',
  },
  {
    kind: 'sysctl',
    what: 'IPv6 forwarding is switched off',
    where: 'host',
    script: () => 'sysctl -qw net.ipv6.conf.all.forwarding=0',
  },
  {
    kind: 'sysctl',
    what: 'route_localnet is switched off',
    where: 'host',
    silent: true,
    script: (v) => `sysctl -qw net.ipv4.conf.${v.bridge}.route_localnet=0`,
  },
  {
    kind: 'qdisc',
    what: 'the rate towards the workload is taken off',
    where: 'host',
    script: (v) => `tc qdisc delete dev ${v.workload.hostIfname} root`,
  },
  {
    kind: 'qdisc',
    what: 'another queue takes its place',
    where: 'host',
    script: (v) => `tc qdisc replace dev ${v.workload.hostIfname} root pfifo`,
  },
  {
    kind: 'redirect',
    what: 'the way by the ifb is taken away',
    where: 'host',
    script: (v) => `tc qdisc delete dev ${v.workload.hostIfname} clsact`,
  },
  {
    kind: 'redirect',
    what: 'the ifb is deleted',
    where: 'host',
    script: () => `for dev in $(ip -br link show type ifb | cut -d' ' -f1); do ip link delete $dev; done`,
  },
  { kind: 'nft-table', what: 'the rule set is flushed', where: 'host', script: () => 'nft flush ruleset' },
  { kind: 'nft-table', what: 'our table is deleted', where: 'host', script: () => 'nft delete table inet netloom' },
  {
    kind: 'nft-table',
    what: "our table's rules are flushed",
    where: 'host',
    script: () => 'nft flush table inet netloom',
  },
  {
    kind: 'nft-chain',
    what: 'a chain is flushed',
    where: 'host',
    script: () => 'nft flush chain inet netloom forward',
  },
  {
    kind: 'nft-chain',
    what: 'a chain is deleted',
    where: 'host',
    script: () => "nft 'flush chain inet netloom nat_postrouting; delete chain inet netloom nat_postrouting'",
  },
  {
    kind: 'nft-chain',
    what: 'a rule is added',
    where: 'host',
    script: () => 'nft insert rule inet netloom forward counter drop',
  },
  {
    kind: 'nft-chain',
    what: 'a chain of somebody else is put into our table',
    where: 'host',
    script: () => "nft add chain inet netloom theirs '{ type filter hook input priority 0; policy accept; }'",
  },
  {
    kind: 'nft-set',
    what: 'a set is emptied',
    where: 'host',
    script: () => 'nft flush set inet netloom bridges; nft flush map inet netloom publish4_any',
  },
  {
    kind: 'nft-set',
    what: 'a set of somebody else is put into our table',
    where: 'host',
    script: () => "nft add set inet netloom theirs '{ type ipv4_addr; }'",
  },
  {
    kind: 'nft-set',
    what: 'a set is deleted with the rules that use it',
    where: 'host',
    script: () => "nft 'flush chain inet netloom forward; delete set inet netloom internal'",
  },
  {
    kind: 'nft-element',
    what: 'an element is deleted',
    where: 'host',
    script: (v) => `nft delete element inet netloom bridges '{ "${v.bridge}" }'`,
  },
  {
    kind: 'nft-element',
    what: 'an element of somebody else is added',
    where: 'host',
    script: () => `nft add element inet netloom bridges '{ "eth0" }'`,
  },
  {
    kind: 'nft-element',
    what: 'a published port leads elsewhere',
    where: 'host',
    script: (v) =>
      `nft 'delete element inet netloom publish4_any { tcp . 8080 }; ` +
      `add element inet netloom publish4_any { tcp . 8080 : ${plain(v.gateway)} . 81 }'`,
  },
];

export async function inflict(victim: Victim, damage: Damage): Promise<void> {
  const where = damage.where === 'host' ? victim.host : victim.workload.netns;
  await okIn(where, ['sh', '-c', damage.script(victim)]);
}
