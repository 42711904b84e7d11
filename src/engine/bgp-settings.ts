import { type AliveRecord, type Member, SHARED, type SharedNetwork } from '../cluster/index.ts';
import { type BgpOptions, type NodeBgp, parseAsn, parseBgpNeighbors, type Peer } from '../model/index.ts';
import type { Core } from './core.ts';
import { isUntold, peersOf } from './overlay.ts';

/** What this host has of a network's BGP: its own in the stead of the network's. */
export function bgpHere({ bgp }: Pick<SharedNetwork, 'bgp'>, own: NodeBgp | undefined): { readonly bgp?: BgpOptions } {
  if (!bgp) return {};
  const { asn = bgp.asn, neighbors } = own ?? {};
  return { bgp: { ...bgp, asn, neighbors: neighbors?.length ? parseBgpNeighbors(neighbors) : bgp.neighbors } };
}

/** What the others must know of that. */
export function memberBgp(network: Pick<SharedNetwork, 'bgp'>, own: NodeBgp | undefined): Pick<Member, 'bgp'> {
  const { bgp } = bgpHere(network, own);
  return bgp ? { bgp: { asn: bgp.asn, mesh: bgp.neighbors.length === 0 } } : {};
}

/** @throws NetloomError EBADOPTION */
export function checkNodeBgp({ asn, neighbors = [] }: NodeBgp): void {
  if (asn !== undefined) parseAsn(String(asn));
  parseBgpNeighbors(neighbors);
}

/** Whether this host knows by the network's backend the way to each node that is heard of. */
export async function knowsAll(
  core: Core,
  { id, backend }: SharedNetwork,
  records: ReadonlyMap<string, unknown>,
): Promise<boolean> {
  const isAlive = ({ node }: Peer): boolean =>
    (records.get(SHARED.alive + node) as AliveRecord | undefined) !== undefined;
  const peers = await core.store.read((tx) => peersOf(tx, id));
  return !peers.some((peer) => isAlive(peer) && isUntold(backend, peer));
}
