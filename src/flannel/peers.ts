import { contains, type Family, parsePrefix, type Prefix } from '../addr/index.ts';
import type { Overlay, Peer } from '../model/index.ts';
import type { FlannelLease } from './lease.ts';

/** Who of those that have leases is a host of the network to us, and why the others are none. By the name of the lease. */
export interface Standing {
  readonly peers: ReadonlyMap<string, Peer>;
  readonly refused: ReadonlyMap<string, string>;
}

/**
 * Makes hosts of leases. What two of them cannot both have, whoever had it first keeps: anybody can write anything into etcd.
 * @param leases  by name; a text says why it could not be read
 * @param known   those that are hosts already
 * @param isDirect  whether one of these addresses is on our own segment
 */
export function judgeLeases(
  overlay: Overlay,
  leases: ReadonlyMap<string, FlannelLease | string>,
  known: ReadonlySet<string>,
  isDirect: (addresses: readonly string[]) => boolean,
): Standing {
  const peers = new Map<string, Peer>();
  const refused = new Map<string, string>();
  const ranges = overlay.ranges.map((text) => parsePrefix(text));
  const taken = new Taken(overlay);
  const inOrder = [...leases].toSorted(
    ([a], [b]) => Number(known.has(b)) - Number(known.has(a)) || (a < b ? -1 : a > b ? 1 : 0),
  );
  for (const [name, lease] of inOrder) {
    const why = typeof lease === 'string' ? lease : whyNot(overlay, ranges, lease) || taken.whyNot(lease);
    if (why !== '' || typeof lease === 'string') {
      refused.set(name, why);
      continue;
    }
    taken.take(lease);
    const addresses = lease.addresses.map(({ text }) => text);
    peers.set(name, {
      node: name,
      addresses,
      prefixes: lease.prefixes.filter(({ family }) => ranges.some((range) => range.family === family)).map(textOf),
      backend: overlay.backend,
      mac: overlay.backend === 'vxlan' ? (lease.mac ?? '') : '',
      ...(overlay.backend === 'wireguard' && { publicKey: lease.publicKey! }),
      direct: isDirect(addresses),
    });
  }
  return { peers, refused };
}

/** What is wrong with a lease by itself. */
function whyNot({ backend, vni, port }: Overlay, ranges: readonly Prefix[], lease: FlannelLease): string {
  if (lease.backend !== backend) return `is reached by ${lease.backend.slice(0, 20)}, and this host by ${backend}`;
  if (lease.addresses.length === 0) return 'tells no address of its host';
  const outside = lease.prefixes.find(
    (prefix) =>
      ranges.some(({ family }) => family === prefix.family) && !ranges.some((range) => contains(range, prefix)),
  );
  if (outside) return `has ${outside.text}, which is outside of the network`;
  if (backend === 'vxlan' && lease.mac === undefined) return 'tells no VtepMAC';
  if (backend === 'vxlan' && lease.vni !== undefined && lease.vni !== vni)
    return `has VNI ${lease.vni}, and the network ${vni}`;
  if (backend === 'wireguard' && lease.publicKey === undefined) return 'tells no public key';
  if (backend === 'wireguard' && lease.port !== undefined && lease.port !== port)
    return `listens at port ${lease.port}, and the network at ${port}`;
  return '';
}

/** What is somebody's: this host's own from the beginning. */
class Taken {
  readonly #words = new Set<string>();
  /** Disjoint, ascending. */
  readonly #prefixes: Record<Family, Prefix[]> = { 4: [], 6: [] };

  constructor({ self }: Overlay) {
    const { addresses, mac, publicKey } = self;
    for (const word of [...addresses, mac, publicKey]) if (word !== undefined && word !== '') this.#words.add(word);
    for (const text of self.prefixes) this.#add(parsePrefix(text));
  }

  whyNot(lease: FlannelLease): string {
    const word = wordsOf(lease).find((each) => this.#words.has(each));
    if (word !== undefined) return `tells ${word}, which somebody else has`;
    const prefix = lease.prefixes.find((each) => {
      const at = this.#at(each);
      const list = this.#prefixes[each.family];
      return [list[at - 1], list[at]].some((other) => other && other.first <= each.last && each.first <= other.last);
    });
    return prefix ? `has ${textOf(prefix)}, of which somebody else has addresses` : '';
  }
  take(lease: FlannelLease): void {
    for (const word of wordsOf(lease)) this.#words.add(word);
    for (const prefix of lease.prefixes) this.#add(prefix);
  }

  #add(prefix: Prefix): void {
    this.#prefixes[prefix.family].splice(this.#at(prefix), 0, prefix);
  }
  /** Where it belongs: behind all that begin before it. */
  #at({ family, first }: Prefix): number {
    const list = this.#prefixes[family];
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle]!.first < first) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function wordsOf({ addresses, mac, publicKey }: FlannelLease): readonly string[] {
  return [...addresses.map(({ text }) => text), mac, publicKey].filter((word) => word !== undefined);
}
function textOf({ text }: Prefix): string {
  return text;
}
