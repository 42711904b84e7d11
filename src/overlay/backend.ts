import type { Fact } from '../facts/index.ts';
import type { AddressPlan, BackendName, Network, Outer, Overlay, Peer, RemoteEndpoint } from '../model/index.ts';

/**
 * One way from host to host. Like a driver it turns records into facts, asks nobody and does no I/O: the same records give
 * the same facts when a peer comes, when it goes, after a crash and in a dry run.
 */
export interface Backend {
  readonly name: BackendName;
  /** Which address plans it can carry. */
  readonly plans: readonly AddressPlan[];
  /**
   * Hosts know each other by their keys: each has a pair, and tells its public part; with `epochs`, the words, too, that
   * what is encrypted by changes with.
   */
  readonly keyed?: 'pair' | 'epochs';
  /** Bytes that it puts around each packet between `self` and peers, on an underlay of that family or of the only one it has. */
  overhead(family: 4 | 6): number;
  /** What that is, on an underlay of that family. Missing where nothing is put around packets: they are the workloads' own. */
  outer?(overlay: Overlay, family: 4 | 6): readonly Outer[];
  /** What the host must hold for the network, whoever the peers are: the device, its addresses, its place in the bridge. */
  networkFacts(network: Network, overlay: Overlay): readonly Fact[];
  /** What it must hold for one other host: routes to its prefixes, where its end of the tunnel is. */
  peerFacts(network: Network, overlay: Overlay, peer: Peer): readonly Fact[];
  /** Plan `flat`: what it must hold for one endpoint of another host. */
  remoteFacts(network: Network, overlay: Overlay, peer: Peer, endpoint: RemoteEndpoint): readonly Fact[];
  /**
   * Why something of what that host holds in the network cannot be reached by this backend; empty where all of it can.
   * `peerFacts` and `remoteFacts` have what can.
   */
  whyNot(network: Network, overlay: Overlay, peer: Peer): string;
  /** Interfaces by which packets of other hosts come in for this network: the rule set lets them through. */
  ways(network: Network, overlay: Overlay): readonly string[];
  /** Prefixes of that host to which the way comes by and by, and is not known yet. None where nothing is waited for. */
  untold?(peer: Peer): readonly string[];
}
