import { type Ip, parseIp, parsePrefix, withoutLength } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { type Fact, factKey } from '../facts/index.ts';
import type { LeasingNetwork } from '../ipam/index.ts';
import type { BackendName, FlannelPlace, Network, Overlay, Peer, RemoteEndpoint, Subnet } from '../model/index.ts';
import { ingressElements, outerFacts, overlayElements, peerElements } from '../nat/index.ts';
import { backendOf, isUntracked, networkShortcuts, outersOf, waysOf } from '../overlay/index.ts';
import type { ReadTx } from '../store/index.ts';
import { borrowedKey, isWithin, type Lent } from './lent.ts';

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
  const outers = isUntracked(network) ? outersOf(network.overlay) : [];
  // both may want the same parameter, and come in by the same interface
  const all = [
    ...facts,
    ...overlayElements(network, ways),
    ...outers.flatMap(({ address, outers }) => outerFacts(network, address, outers)),
    ...networkShortcuts(network, [...new Set(ways)]),
  ];
  return [...new Map(all.map((fact) => [factKey(fact), fact])).values()];
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
export function leasingOf(network: Network, lent: Lent): LeasingNetwork {
  const { overlay, id, name } = network;
  if (overlay?.plan !== 'flat') return network;
  const parts = overlay.self.prefixes.map((text) => parsePrefix(text));
  const subnets = network.subnets.flatMap((subnet) =>
    parts
      .filter(({ family }) => family === parsePrefix(subnet.subnet).family)
      .map(({ text }): Subnet => ({ ...subnet, ipRange: text })),
  );
  const reserved = new Map(Object.entries(lent).map(([address, { node }]) => [address, `lent to node ${node}`]));
  for (const address of overlay.self.hostAddresses ?? [])
    reserved.set(withoutLength(address), `the address of node ${overlay.self.node} itself`);
  return { id, name, subnets, reserved };
}

/** @throws NetloomError ENODEDRAINING */
export async function requireNotDraining(tx: ReadTx, { name, overlay }: Network): Promise<void> {
  if (!overlay || overlay.flannel || (await tx.get(DRAINING)) === undefined) return;
  throw new NetloomError('ENODEDRAINING', `network ${name}: node ${overlay.self.node} is being drained`, {
    hint: `take another host, or netloom node drain --undo ${overlay.self.node}`,
  });
}

/** What is asked for must be in a part of this host's, or borrowed of another. @throws AddressElsewhereError */
export async function requireOwn(tx: ReadTx, { id, name, overlay }: Network, fixed: readonly string[]): Promise<void> {
  if (overlay?.plan !== 'flat') return;
  for (const text of fixed) {
    const ip = parseIp(text);
    if (isWithin(overlay.self.prefixes, ip) || !isWithin(overlay.ranges, ip)) continue;
    if ((await tx.get(borrowedKey(id, ip.text))) === undefined) throw new AddressElsewhereError(id, name, ip);
  }
}

/** An address that is not this host's to give: its part is nobody's yet, or of a host that is to be asked. */
export class AddressElsewhereError extends NetloomError {
  readonly network: string;
  readonly address: Ip;

  constructor(network: string, name: string, address: Ip) {
    super('EADDRTAKEN', `address ${address.text} of network ${name} is not in a part that this host gives out`, {
      hint: 'try again when etcd is reached: netloom node status',
    });
    this.network = network;
    this.address = address;
  }
}
