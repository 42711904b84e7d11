import type {
  AddressPlan,
  BackendName,
  BgpOptions,
  FormerBackend,
  Node,
  Peer,
  PublishedPort,
  Subnet,
} from '../model/index.ts';

/** Where each kind of record lies in the store that hosts share. Whoever follows the cluster watches one directory. */
export const SHARED = {
  /** All that hosts follow. */
  root: 'cluster/',
  nodes: 'cluster/nodes/',
  /** Held by the node, for as long as it is heard of. */
  alive: 'cluster/alive/',
  networks: 'cluster/networks/',
  /** Networks that somebody removed: whoever was away lets go of them, and does not put them back. */
  removed: 'cluster/removed/',
  /** Drawn by the first host: tells one cluster from another. */
  id: 'cluster/id',
  /** `members/<network>/<node>`: what a node has of a network, and how it is reached there. */
  members: 'cluster/members/',
  /** `endpoints/<network>/<node>/<id>` */
  endpoints: 'cluster/endpoints/',
  /** `wishes/<network>/<request>`: an address that a host asks another for. */
  wishes: 'cluster/wishes/',
  /** `loans/<network>/<address>`: whose an address is that another host gives out. */
  loans: 'cluster/loans/',
  /** What is only asked for by its key: names, and prefixes `<network>/<prefix>`, that are somebody's. */
  networkNames: 'claims/network-names/',
  prefixes: 'claims/prefixes/',
  /** `<protocol>/<port>` of every node. */
  ports: 'claims/ports/',
} as const;

/** A node as it wrote itself down. */
export interface NodeRecord extends Pick<
  Node,
  'name' | 'id' | 'addresses' | 'reason' | 'dev' | 'mtu' | 'version' | 'joined'
> {
  readonly draining?: true;
  /** Which records it understands: nodes whose numbers differ do not share networks. */
  readonly format: number;
}
export const FORMAT = 1;

/** Of whom it is heard. */
export interface AliveRecord {
  readonly id: string;
}

/** A network as all hosts know it. */
export interface SharedNetwork {
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly internal: boolean;
  readonly plan: AddressPlan;
  readonly backend: BackendName;
  /** One a family; gateway, range and auxiliary addresses in the plan `flat` only. */
  readonly ranges: readonly Subnet[];
  /** The length of a host's prefix, or of the parts that hosts give addresses out of; in the order of `ranges`. */
  readonly nodeLengths: readonly number[];
  readonly vni: number;
  readonly port: number;
  readonly directRouting: boolean;
  /** False: connections go the whole way through every rule set. */
  readonly shortcut?: false;
  /** What tunnels put around packets is tracked. */
  readonly tracked?: true;
  /** Until every member is reached by the new one. */
  readonly former?: FormerBackend;
  /** While it, or the former backend, is bgp: of nodes that have nothing of their own. */
  readonly bgp?: BgpOptions;
  /** Seconds between changes of keys, as was asked for; 0: never. */
  readonly rekey?: number;
  /** The bridge's own, as they were written. */
  readonly options: Readonly<Record<string, string>>;
  readonly upstreams?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** A network that is no more. */
export interface RemovedNetwork {
  readonly name: string;
  /** ISO 8601. */
  readonly removed: string;
}

/** What a node has of a network. Whether it is on our segment, each one finds out by itself. */
export type Member = Omit<Peer, 'direct' | 'ways'>;

/** An endpoint, as hosts tell each other of it. */
export interface SharedEndpoint {
  readonly id: string;
  readonly network: string;
  readonly node: string;
  /** With the length of the network's range. */
  readonly addresses: readonly string[];
  readonly mac: string;
  /** Container names, hostnames and aliases. */
  readonly names: readonly string[];
  /** Published on every node. */
  readonly ports?: readonly PublishedPort[];
}

/** Whose a port of every node is. */
export interface PortClaim {
  readonly node: string;
  readonly nodeId: string;
}

/** `cluster/members/<network>/<node>` → the two; of an endpoint, `id` is `<node>/<id>`. */
export function partsOf(key: string, root: string): { readonly network: string; readonly id: string } {
  const path = key.slice(root.length);
  const slash = path.indexOf('/');
  return { network: path.slice(0, slash), id: path.slice(slash + 1) };
}

export function endpointKey({ network, node, id }: Pick<SharedEndpoint, 'network' | 'node' | 'id'>): string {
  return `${SHARED.endpoints}${network}/${node}/${id}`;
}
