import { contains, type Ip, parseIp, parsePrefix, withoutLength } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { type Fact, factKey } from '../facts/index.ts';
import type { LeasingNetwork } from '../ipam/index.ts';
import type { BackendName, FlannelPlace, Network, Overlay, Peer, RemoteEndpoint, Subnet } from '../model/index.ts';
import { ingressElements, overlayElements, peerElements } from '../nat/index.ts';
import { backendOf } from '../overlay/index.ts';
import type { ReadTx } from '../store/index.ts';

/** `peers/<network>/<node>` and `remotes/<network>/<node>/<endpoint>`: what this host knows of the others, whoever is away. */
export const PEERS = 'peers/';
export const REMOTES = 'remotes/';
/** There, where this host takes no new endpoints of shared networks. */
export const DRAINING = 'draining';

/** An endpoint of another host, and what it is called. */
export interface Remote extends RemoteEndpoint {
  readonly names: readonly string[];
}

/** A shared network whose other hosts flannel's keys tell of. */
export type FlannelNetwork = Network & { readonly overlay: Overlay & { readonly flannel: FlannelPlace } };

export function isFlannel(network: Network | undefined): network is FlannelNetwork {
  return network?.overlay?.flannel !== undefined;
}

export function peerKey(network: string, node: string): string {
  return `${PEERS}${network}/${node}`;
}
export function remoteKey(network: string, path: string): string {
  return `${REMOTES}${network}/${path}`;
}

/** What joins a network's bridge here to those of other hosts. */
export function overlayFacts(network: Network): readonly Fact[] {
  if (!network.overlay) return [];
  const ways: string[] = [];
  const facts: Fact[] = [];
  for (const overlay of waysOf(network.overlay)) {
    const backend = backendOf(overlay.backend);
    ways.push(...backend.ways(network, overlay));
    facts.push(...backend.networkFacts(network, overlay));
  }
  // both may want the same parameter, and come in by the same interface
  return [...new Map([...facts, ...overlayElements(network, ways)].map((fact) => [factKey(fact), fact])).values()];
}

/** By its backend; and by the former one, while some hosts are reached by that. */
export function waysOf(overlay: Overlay): readonly Overlay[] {
  return overlay.former ? [overlay, { ...overlay, ...overlay.former }] : [overlay];
}

/** What one other host wants of this one. */
export function factsOfPeer(network: Network, peer: Peer): readonly Fact[] {
  const { overlay } = network;
  if (!overlay) return [];
  const way = wayTo(overlay, peer);
  return [...peerElements(network, peer), ...(way ? backendOf(way.backend).peerFacts(network, way, peer) : [])];
}

/** By which a host is reached: its own; the former one until the way by the new one is known. */
export function wayTo(overlay: Overlay, peer: Peer): Overlay | undefined {
  const [wanted, former] = waysOf(overlay);
  if (peer.backend !== wanted?.backend) {
    // one that has changed to what we do not know of yet is told again when we do
    return peer.backend === former?.backend ? former : undefined;
  }
  return former && isUntold(wanted.backend, peer) ? former : wanted;
}

export function isUntold(backend: BackendName, peer: Peer): boolean {
  return (backendOf(backend).untold?.(peer) ?? []).length > 0;
}

/** What one endpoint of another host wants of this one. */
export function factsOfRemote(network: Network, peer: Peer, remote: RemoteEndpoint): readonly Fact[] {
  const { overlay } = network;
  if (!overlay) return [];
  const place = overlay.plan === 'flat' ? backendOf(peer.backend).remoteFacts(network, overlay, peer, remote) : [];
  return [...place, ...ingressElements(network, remote)];
}

export async function peersOf(tx: ReadTx, network: string): Promise<readonly Peer[]> {
  return (await tx.list<Peer>(`${PEERS}${network}/`)).map(({ value }) => value);
}
/** @param node  those of one host; default: of all */
export async function remotesOf(tx: ReadTx, network: string, node?: string): Promise<readonly Remote[]> {
  const prefix = `${REMOTES}${network}/${node === undefined ? '' : `${node}/`}`;
  return (await tx.list<Remote>(prefix)).map(({ value }) => value);
}
/** `<node>/<id>`: where it lies below its network. */
export function pathOf({ node, id }: Pick<Remote, 'node' | 'id'>): string {
  return `${node}/${id}`;
}

/**
 * Whose addresses are leased here: of a network that hosts share as a whole, those of the parts that are this host's.
 * An address that is asked for is looked for in all of it: whose it is must be clear before (`requireOwn`).
 */
export function leasingOf(network: Network): LeasingNetwork {
  const { overlay } = network;
  if (overlay?.plan !== 'flat') return network;
  const parts = overlay.self.prefixes.map((text) => parsePrefix(text));
  const aux = ({ auxAddresses, subnet }: Subnet): Pick<Subnet, 'auxAddresses'> => {
    const own = overlay.self.hostAddresses?.find((address) =>
      contains(parsePrefix(subnet), parsePrefix(address).address),
    );
    return own === undefined
      ? {}
      : { auxAddresses: { ...auxAddresses, [`host ${overlay.self.node}`]: withoutLength(own) } };
  };
  const subnets = network.subnets.flatMap((subnet) =>
    parts
      .filter(({ family }) => family === parsePrefix(subnet.subnet).family)
      .map(({ text }): Subnet => ({ ...subnet, ipRange: text, ...aux(subnet) })),
  );
  return { id: network.id, name: network.name, subnets };
}

/** @throws NetloomError ENODEDRAINING */
export async function requireNotDraining(tx: ReadTx, { name, overlay }: Network): Promise<void> {
  if (!overlay || overlay.flannel || (await tx.get(DRAINING)) === undefined) return;
  throw new NetloomError('ENODEDRAINING', `network ${name}: node ${overlay.self.node} is being drained`, {
    hint: `take another host, or netloom node drain --undo ${overlay.self.node}`,
  });
}

/** An address of a part that another host gives out is not ours to take. @throws NetloomError EADDRTAKEN, EPOOLEXHAUSTED */
export function requireOwn({ id, name, overlay }: Network, peers: readonly Peer[], fixed: readonly string[]): void {
  if (overlay?.plan !== 'flat') return;
  for (const text of fixed) {
    const ip = parseIp(text);
    const within = ({ prefixes }: Pick<Peer, 'prefixes'>): boolean =>
      prefixes.some((prefix) => contains(parsePrefix(prefix), ip));
    if (within(overlay.self) || !overlay.ranges.some((range) => contains(parsePrefix(range), ip))) continue;
    const owner = peers.find(within);
    if (!owner) throw new PartMissingError(id, name, ip);
    throw new NetloomError(
      'EADDRTAKEN',
      `address ${ip.text} of network ${name} is in a part that ${owner.node} gives out`,
      {
        hint: 'leave it out to have a free one chosen, or choose one of another part',
      },
    );
  }
}

/** The part that an address is in is nobody's yet. */
export class PartMissingError extends NetloomError {
  readonly network: string;
  readonly address: Ip;

  constructor(network: string, name: string, address: Ip) {
    super('EADDRTAKEN', `address ${address.text} of network ${name} is in a part that no host has taken`, {
      hint: 'try again when etcd is reached: netloom node status',
    });
    this.network = network;
    this.address = address;
  }
}
