import { generatePrivateKey, publicKeyOf } from '../../src/keys/index.ts';
import { Netns, writeSysctl } from '../../src/kernel/index.ts';
import { ipBatch, okIn } from '../../test/lib/run.ts';
import { makePair, OUTER } from './nodes.ts';

export type Way = 'vxlan' | 'vxlan-flat' | 'host-gw' | 'ipip' | 'gre' | 'wireguard' | 'ipsec';

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
  wireguard: 1440,
  ipsec: 1443,
};

/**
 * What the guides of `ip` tell to do: a bridge on each host, and between the two the bare way. @param rules  `none`, or
 * `masquerade`: what flannel has beside its routes, with which the kernel tracks connections
 */
export async function byHand(way: Way, rules: 'none' | 'masquerade', undo: AsyncDisposableStack): Promise<Ends> {
  const hosts = await makePair(undo);
  const workloads = [undo.use(Netns.create()), undo.use(Netns.create())] as const;
  const flat = way === 'vxlan-flat';
  const keys = [generatePrivateKey(), generatePrivateKey()] as const;
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
    if (way === 'wireguard') await setPeer(netns, i, keys);
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

async function setPeer(netns: Netns, host: number, keys: readonly [string, string]): Promise<void> {
  const other = 1 - host;
  const peer = `peer ${publicKeyOf(keys[other]!)} allowed-ips 10.244.${other + 1}.0/24 endpoint ${OUTER[other]!}:51820`;
  const words = `wg set wg0 listen-port 51820 private-key /dev/stdin ${peer}`;
  await okIn(netns, ['sh', '-c', `echo ${keys[host]!} | ${words}`]);
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
    case 'wireguard':
      return [
        'link add wg0 mtu 1440 type wireguard',
        'link set wg0 up',
        `addr add 10.244.${host + 1}.0/32 dev wg0`,
        `route add ${prefix}/24 dev wg0`,
      ];
    case 'ipsec': {
      const state = (from: number): string =>
        `xfrm state add src ${OUTER[from]!} dst ${OUTER[1 - from]!} proto esp spi ${256 + from} reqid 1 mode tunnel ` +
        `if_id 1 aead rfc4106(gcm(aes)) 0x${String(from + 1).repeat(72)} 128`;
      const policy = (dir: string, words: string, from: number): string =>
        `xfrm policy add ${words} dir ${dir} if_id 1 tmpl src ${OUTER[from]!} dst ${OUTER[1 - from]!} proto esp reqid 1 mode tunnel`;
      const back = `src ${prefix}/24 dst 0.0.0.0/0`;
      return [
        'link add xf0 mtu 1443 type xfrm dev eth0 if_id 1',
        'link set xf0 up',
        `addr add 10.244.${host + 1}.0/32 dev xf0`,
        policy('out', `src 0.0.0.0/0 dst ${prefix}/24`, host),
        policy('in', back, other),
        policy('fwd', back, other),
        `route add ${prefix}/24 dev xf0`,
        state(other),
        state(host),
      ];
    }
  }
}

/** Which host a hardware address is at, in words of `bridge`. */
function entryOf(way: Way, other: number): string {
  const [mac, tables] = way === 'vxlan' ? [`02:42:0a:f4:01:0${other + 1}`, 'self'] : [macOf(other), 'self master'];
  // `permanent` would be the bridge's own
  return `fdb add ${mac} dev vx0 dst ${OUTER[other]!} ${tables} static`;
}
