import { Netns, writeSysctl } from '../../src/kernel/index.ts';
import { ipBatch, okIn } from '../../test/lib/run.ts';
import { makePair, OUTER } from './nodes.ts';

export type Way = 'vxlan' | 'vxlan-flat' | 'host-gw' | 'ipip' | 'gre';

/** A workload on each of two hosts, and the second's address. */
export interface Ends {
  readonly workloads: readonly [Netns, Netns];
  readonly target: string;
}

const MTU: Readonly<Record<Way, number>> = {
  vxlan: 1450,
  'vxlan-flat': 1450,
  'host-gw': 1500,
  ipip: 1480,
  gre: 1472,
};

/**
 * What the guides of `ip` tell to do: a bridge on each host, and between the two the bare way. @param rules  `none`, or
 * `masquerade`: what flannel has beside its routes, with which the kernel tracks connections
 */
export async function byHand(way: Way, rules: 'none' | 'masquerade', undo: AsyncDisposableStack): Promise<Ends> {
  const hosts = await makePair(undo);
  const workloads = [undo.use(Netns.create()), undo.use(Netns.create())] as const;
  const flat = way === 'vxlan-flat';
  const inner = (host: number): string => (flat ? `10.244.0.${host + 2}` : `10.244.${host + 1}.2`);
  for (const [i, netns] of hosts.entries()) {
    const other = 1 - i;
    writeSysctl(netns, 'net.ipv4.ip_forward', '1');
    await ipBatch(netns, [
      `link add br0 up mtu ${MTU[way]} type bridge mcast_snooping 0`,
      ...(flat ? [] : [`addr add 10.244.${i + 1}.1/24 dev br0`]),
      `link add v0 mtu ${MTU[way]} type veth peer name eth0 netns /proc/${process.pid}/fd/${workloads[i]!.fd}`,
      'link set v0 master br0 up',
      ...between(way, i, other),
    ]);
    if (rules === 'masquerade') {
      const prefix = `10.244.${i + 1}.0/24`;
      for (const rule of [
        '-A FORWARD -s 10.244.0.0/16 -j ACCEPT',
        '-A FORWARD -d 10.244.0.0/16 -j ACCEPT',
        '-t nat -A POSTROUTING -s 10.244.0.0/16 -d 10.244.0.0/16 -j RETURN',
        '-t nat -A POSTROUTING -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE',
        `-t nat -A POSTROUTING ! -s 10.244.0.0/16 -d ${prefix} -j RETURN`,
        '-t nat -A POSTROUTING ! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE',
      ])
        await okIn(netns, ['iptables', ...rule.split(' ')]);
    }
    if (way.startsWith('vxlan')) await okIn(netns, ['bridge', ...entryOf(way, other).split(' ')]);
    await ipBatch(workloads[i]!, [
      'link set lo up',
      `link set eth0 address ${macOf(i)} mtu ${MTU[way]}`,
      'link set eth0 up',
      `addr add ${inner(i)}/${flat ? 16 : 24} dev eth0`,
      ...(flat
        ? [`neigh add ${inner(other)} lladdr ${macOf(other)} dev eth0`]
        : [`route add default via 10.244.${i + 1}.1`]),
    ]);
  }
  return { workloads, target: inner(1) };
}

function macOf(host: number): string {
  return `02:42:0a:f4:00:0${host + 2}`;
}

function between(way: Way, host: number, other: number): readonly string[] {
  const [local, remote] = [OUTER[host]!, OUTER[other]!];
  const prefix = `10.244.${other + 1}.0`;
  const device = `link add vx0 mtu 1450 type vxlan id 100 local ${local} dev eth0 dstport 8472 nolearning`;
  const entry = (mac: string): string => `neigh add ${prefix} lladdr ${mac} dev vx0`;
  switch (way) {
    case 'vxlan': {
      const mac = (of: number): string => `02:42:0a:f4:01:0${of + 1}`;
      return [
        device,
        `link set vx0 address ${mac(host)} up`,
        `addr add 10.244.${host + 1}.0/32 dev vx0`,
        entry(mac(other)),
        `route add ${prefix}/24 via ${prefix} dev vx0 onlink`,
      ];
    }
    case 'vxlan-flat':
      return [device, 'link set vx0 master br0 up'];
    case 'host-gw':
      return [`route add ${prefix}/24 via ${remote}`];
    case 'ipip':
      return [
        `link add t0 mtu 1480 type ipip local ${local} dev eth0`,
        'link set t0 up',
        `addr add 10.244.${host + 1}.0/32 dev t0`,
        `route add ${prefix}/24 via ${remote} dev t0 onlink`,
      ];
    case 'gre':
      return [
        `link add t0 mtu 1472 type gre local ${local} dev eth0 key 100`,
        'link set t0 up',
        `addr add 10.244.${host + 1}.0/32 dev t0`,
        `neigh add ${prefix} lladdr ${remote} dev t0`,
        `route add ${prefix}/24 via ${prefix} dev t0 onlink`,
      ];
  }
}

/** Which host a hardware address is at, in words of `bridge`. */
function entryOf(way: Way, other: number): string {
  const [mac, tables] = way === 'vxlan' ? [`02:42:0a:f4:01:0${other + 1}`, 'self'] : [macOf(other), 'self master'];
  // `permanent` would be the bridge's own
  return `fdb add ${mac} dev vx0 dst ${OUTER[other]!} ${tables} static`;
}
