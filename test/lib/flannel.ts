import { join } from 'node:path';
import { ensureKeyFile } from '../../src/keys/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { Relay } from '../../src/relay/index.ts';
import { makeDirs } from './dirs.ts';
import type { Etcd } from './etcd.ts';
import { ipBatch, okIn } from './run.ts';

/** Flannel's own keys, as a person or flannel writes them. */
export const KEYS = '/coreos.com/network';

/** A lease as it is in etcd. */
export interface Lease {
  readonly PublicIP: string;
  readonly PublicIPv6: string | null;
  readonly BackendType?: string;
  readonly BackendData?: { readonly VNI?: number; readonly VtepMAC?: string; readonly PublicKey?: string };
  readonly BackendV6Data?: { readonly VtepMAC?: string };
}

/** A host of a flannel network without flannel: its keys are written with etcdctl, its kernel is told by ip and bridge. */
export interface FlannelHost extends AsyncDisposable {
  readonly netns: Netns;
  /** Somebody on its bridge, who has the second address of each prefix. */
  readonly workload: Netns;
  /** `10.244.9.0-24` */
  readonly name: string;
  /** What flannel's daemon does when it hears of a lease, and when one goes. */
  hear(name: string, lease: Lease): Promise<void>;
  forget(name: string, lease: Lease): Promise<void>;
}

export interface FlannelHostOptions {
  readonly etcd: Pick<Etcd, 'ctl'>;
  /** Where its cable goes: a namespace with a bridge. */
  readonly wire: Netns;
  /** Its name; default `wire`. */
  readonly bridge?: string;
  readonly number: number;
  readonly backend: 'vxlan' | 'host-gw' | 'udp' | 'ipip' | 'wireguard';
  readonly ipv6?: boolean;
}

export async function makeFlannelHost(options: FlannelHostOptions): Promise<FlannelHost> {
  const { etcd, wire, number, backend, ipv6 = false, bridge = 'wire' } = options;
  await using undo = new AsyncDisposableStack();
  const netns = undo.use(Netns.create());
  const workload = undo.use(Netns.create());
  const fd = (space: Netns): string => `/proc/${process.pid}/fd/${space.fd}`;
  await ipBatch(wire, [`link add port${number} master ${bridge} up type veth peer name eth0 netns ${fd(netns)}`]);
  const own = { ip4: `192.0.2.${number}`, ip6: `2001:db8::${number}` };
  const first = { ip4: `10.244.${number}.0`, ip6: `fd00:244:0:${number}::` };
  await ipBatch(netns, [
    'link set lo up',
    'link set eth0 up',
    `addr add ${own.ip4}/24 dev eth0`,
    `addr add ${own.ip6}/64 dev eth0 nodad`,
    'link add cni0 up type bridge',
    `addr add 10.244.${number}.1/24 dev cni0`,
    `addr add fd00:244:0:${number}::1/64 dev cni0 nodad`,
    `link add veth0 master cni0 up type veth peer name eth0 netns ${fd(workload)}`,
  ]);
  await okIn(netns, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  await ipBatch(workload, [
    'link set lo up',
    'link set eth0 up',
    `addr add 10.244.${number}.2/24 dev eth0`,
    `addr add fd00:244:0:${number}::2/64 dev eth0 nodad`,
    `route add default via 10.244.${number}.1`,
    `route add ::/0 via fd00:244:0:${number}::1`,
  ]);
  const name = `${first.ip4}-24${ipv6 ? `&${first.ip6}-64` : ''}`;
  const macs = { v4: `0e:00:00:00:00:${number + 10}`, v6: `0e:00:00:00:06:${number + 10}` };
  let relay: Relay | undefined;
  let publicKey = '';
  if (backend === 'vxlan') {
    await ipBatch(netns, [
      `link add flannel.1 address ${macs.v4} mtu 1450 type vxlan id 1 dev eth0 local ${own.ip4} dstport 8472 nolearning`,
      `addr add ${first.ip4}/32 dev flannel.1`,
      'link set flannel.1 up',
      ...(ipv6
        ? [
            `link add flannel-v6.1 address ${macs.v6} mtu 1450 type vxlan id 1 dev eth0 local ${own.ip6} dstport 8472 nolearning`,
            `addr add ${first.ip6}/128 dev flannel-v6.1 nodad`,
            'link set flannel-v6.1 up',
          ]
        : []),
    ]);
  } else if (backend === 'ipip') {
    await ipBatch(netns, [
      `link add flannel.ipip mtu 1480 type ipip local ${own.ip4}`,
      `addr add ${first.ip4}/32 dev flannel.ipip`,
      'link set flannel.ipip up',
    ]);
  } else if (backend === 'wireguard') {
    const keyFile = join(undo.use(makeDirs()).root, 'wgkey');
    publicKey = ensureKeyFile(keyFile);
    await ipBatch(netns, [
      'link add flannel-wg mtu 1420 type wireguard',
      `addr add ${first.ip4}/32 dev flannel-wg`,
      'link set flannel-wg up',
      'route add 10.244.0.0/16 dev flannel-wg scope link',
    ]);
    await okIn(netns, ['wg', 'set', 'flannel-wg', 'listen-port', '51820', 'private-key', keyFile]);
  } else if (backend === 'udp') {
    await ipBatch(netns, [
      'tuntap add dev flannel0 mode tun',
      'link set flannel0 mtu 1472 up',
      `addr add ${first.ip4}/16 dev flannel0`,
    ]);
    relay = undo.use(
      Relay.start({ netns, device: 'flannel0', addresses: [own.ip4], port: 8285, lost: () => undefined }),
    );
  }
  const data =
    backend === 'vxlan'
      ? { VNI: 1, VtepMAC: macs.v4 }
      : backend === 'wireguard'
        ? { PublicKey: publicKey, Port: 51820 }
        : undefined;
  const lease: object = {
    PublicIP: own.ip4,
    PublicIPv6: ipv6 ? own.ip6 : null,
    ...(backend !== 'udp' && { BackendType: backend }),
    ...(data && { BackendData: data }),
    ...(data && ipv6 && { BackendV6Data: { ...data, ...(backend === 'vxlan' && { VtepMAC: macs.v6 }) } }),
  };
  const [, id = ''] = /lease (\w+) granted/.exec(await etcd.ctl('lease', 'grant', '86400')) ?? [];
  await etcd.ctl('put', `${KEYS}/subnets/${name}`, JSON.stringify(lease), `--lease=${id}`);
  const heard = new Map<string, { readonly prefix: string; readonly address: string; readonly port: number }>();
  const lines = (verb: 'add' | 'del', other: string, { PublicIP, PublicIPv6, ...rest }: Lease): string[] => {
    const [four = '', six] = other.split('&').map((part) => part.replace(/-(\d+)$/, '/$1'));
    const base = (prefix: string): string => prefix.replace(/\/.*/, '');
    if (backend === 'host-gw')
      return [
        `route ${verb} ${four} via ${PublicIP} dev eth0`,
        ...(six === undefined ? [] : [`route ${verb} ${six} via ${PublicIPv6} dev eth0`]),
      ];
    if (backend === 'ipip') return [`route ${verb} ${four} via ${PublicIP} dev flannel.ipip onlink`];
    if (backend !== 'vxlan') return [];
    return [
      `neigh ${verb} ${base(four)} lladdr ${rest.BackendData?.VtepMAC} dev flannel.1 nud permanent`,
      `route ${verb} ${four} via ${base(four)} dev flannel.1 onlink`,
      ...(six === undefined
        ? []
        : [
            `neigh ${verb} ${base(six)} lladdr ${rest.BackendV6Data?.VtepMAC} dev flannel-v6.1 nud permanent`,
            `route ${verb} ${six} via ${base(six)} dev flannel-v6.1 onlink`,
          ]),
    ];
  };
  const tell = async (verb: 'add' | 'del', other: string, lease: Lease): Promise<void> => {
    const { PublicIP, PublicIPv6, BackendData, BackendV6Data } = lease;
    const prefix = other.replace(/&.*/, '').replace(/-(\d+)$/, '/$1');
    if (verb === 'add') heard.set(other, { prefix, address: PublicIP, port: 8285 });
    else heard.delete(other);
    relay?.replace([...heard.values()]);
    if (backend === 'wireguard') {
      const peer = ['wg', 'set', 'flannel-wg', 'peer', BackendData!.PublicKey!];
      const ends = ['endpoint', `${PublicIP}:51820`, 'allowed-ips', prefix];
      await okIn(netns, [...peer, ...(verb === 'add' ? ends : ['remove'])]);
    }
    if (backend === 'vxlan') {
      const fdb = verb === 'add' ? 'append' : 'del';
      await okIn(netns, ['bridge', 'fdb', fdb, BackendData!.VtepMAC!, 'dev', 'flannel.1', 'dst', PublicIP]);
      if (BackendV6Data && PublicIPv6 !== null)
        await okIn(netns, ['bridge', 'fdb', fdb, BackendV6Data.VtepMAC!, 'dev', 'flannel-v6.1', 'dst', PublicIPv6]);
    }
    await ipBatch(netns, lines(verb, other, lease));
  };
  const kept = undo.move();
  return {
    ...{ netns, workload, name },
    hear: (other, about) => tell('add', other, about),
    forget: (other, about) => tell('del', other, about),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What is in etcd below `…/subnets/`, by name. */
export async function leasesIn(etcd: Pick<Etcd, 'ctl'>): Promise<Map<string, Lease>> {
  const root = `${KEYS}/subnets/`;
  const lines = (await etcd.ctl('get', '--prefix', root)).trim().split('\n');
  const leases = new Map<string, Lease>();
  for (let i = 0; i + 1 < lines.length; i += 2)
    leases.set(lines[i]!.slice(root.length), JSON.parse(lines[i + 1]!) as Lease);
  return leases;
}
