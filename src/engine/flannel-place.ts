import { join } from 'node:path';
import { type Ip, parseIp, parsePrefix, type Prefix, randomMac } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { type FlannelConfig, FlannelRegistry, type FlannelLease, formatLease, leaseKey } from '../flannel/index.ts';
import { ensureKeyFile } from '../keys/index.ts';
import type { FlannelPlace, Overlay } from '../model/index.ts';
import { storeOptionsOf } from './cluster-config.ts';
import type { Core } from './core.ts';
import type { Underlay } from './underlay.ts';

/** @throws NetloomError EBADETCD naming the file that cannot be read */
export function openRegistry(place: FlannelPlace): FlannelRegistry {
  const { prefix: _, ...options } = storeOptionsOf(place);
  return new FlannelRegistry(options, place.prefix);
}

/**
 * What this host is in a flannel network.
 * @param had  itself as it was before: what it drew then it keeps
 * @throws NetloomError ENODEADDRESS
 */
export function overlayIn(
  core: Core,
  place: FlannelPlace,
  config: FlannelConfig,
  prefixes: readonly Prefix[],
  underlay: Underlay,
  had?: Overlay['self'],
): Overlay {
  const { backend } = config;
  const carried = config.ranges.filter(({ network }) => backend.families.includes(network.family));
  const families = carried.map(({ network }) => network.family);
  const addresses = addressesFor(backend.name === 'vxlan' || backend.name === 'host-gw' ? families : [4], underlay);
  const keyFile = join(core.paths.stateDir, 'flannel.key');
  return {
    plan: 'node',
    backend: backend.name,
    ranges: carried.map(({ network }) => network.text),
    vni: backend.vni,
    port: backend.port,
    directRouting: backend.directRouting,
    flannel: place,
    self: {
      node: leaseKey(prefixes),
      addresses,
      prefixes: prefixes.filter(({ family }) => families.includes(family)).map(({ text }) => text),
      backend: backend.name,
      mac: had?.mac ?? randomMac(core.random),
      // a key of its own: flannel's hosts hear of another only when they are told, not from our cluster
      ...(backend.name === 'wireguard' && { publicKey: ensureKeyFile(keyFile), keyFile }),
      direct: true,
      dev: underlay.dev,
      noShortcut: underlay.noShortcut,
      mtu: backend.mtu === 0 ? underlay.mtu : Math.min(backend.mtu, underlay.mtu),
    },
  };
}

/** What bridge and endpoints have where we would take another MTU than flannel: bytes; 0 where it is the same. */
export function mtuLike({ backend, self }: Overlay): number {
  if (backend === 'ipip') return self.mtu - 20;
  return backend === 'wireguard' ? self.mtu - 80 : 0;
}

/** What this host says of itself in etcd. */
export function leaseTextOf({ backend, vni, port, self }: Overlay): string {
  const { addresses, mac, publicKey } = self;
  const lease: FlannelLease = {
    prefixes: self.node.includes('&') ? [...self.prefixes.map((text) => parsePrefix(text))] : prefixes4(self),
    addresses: addresses.map((text) => parseIp(text)),
    backend,
    ...(backend === 'vxlan' && { vni, mac }),
    ...(publicKey !== undefined && { publicKey, port }),
  };
  return formatLease(lease);
}
function prefixes4(self: Overlay['self']): Prefix[] {
  return self.prefixes.map((text) => parsePrefix(text)).filter(({ family }) => family === 4);
}

/** IPv4 first, which is what flannel knows a host by. */
function addressesFor(families: readonly (4 | 6)[], { addresses, dev }: Underlay): readonly string[] {
  const ips = addresses.map((text) => parseIp(text));
  return families.map((family) => {
    const found = ips.find((ip: Ip) => ip.family === family);
    if (found) return found.text;
    throw new NetloomError(
      'ENODEADDRESS',
      `${dev} has no IPv${family} address, by which flannel's hosts reach each other`,
      {
        hint: 'give another: -o address=ADDRESS, or -o address=IPV4,IPV6',
      },
    );
  });
}
