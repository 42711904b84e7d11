import type { AddressPlan, BackendName } from './overlay.ts';

/**
 * UDP port at which each node of a cluster answers for the way to it; the same on all. Unassigned at IANA, and next to those
 * of the backends that do not count up to it.
 */
export const PROBE_PORT = 8284;

/** How a host comes into a cluster: which etcd, and who it is there. */
export interface JoinSpec {
  /** URLs of etcd's members: `http://192.0.2.10:2379`. */
  readonly etcd: readonly string[];
  /** Before every key in etcd; default `/netloom/`. Two clusters on one etcd have two. */
  readonly prefix?: string;
  /** Files in PEM: whom to believe, and who we are. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly username?: string;
  /** The password is its first line. */
  readonly passwordFile?: string;
  /** Unique in the cluster; default: the host's name. */
  readonly name?: string;
  /** Where the others reach this host, one a family at most; default: found out. */
  readonly addresses?: readonly string[];
  /** Seconds after which this host, when etcd does not hear of it, is taken for down; 5 to 600, default 10. */
  readonly ttl?: number;
  /** What of BGP is this host's own, instead of what networks say. */
  readonly bgp?: NodeBgp;
}
export interface NodeBgp {
  readonly asn?: number;
  /** Routers that it speaks with: `192.0.2.254:64513`, address and AS. */
  readonly neighbors?: readonly string[];
}

/** What a join or a start found out about the way between this host and the others. */
export interface JoinFinding {
  /** `reachable`, `checksum`, `address`, `route`, `clock`, `mtu`, `subnet`, `port`, `network` */
  readonly check: string;
  /** `stop`: it would not work; without `force` a host does not join. */
  readonly severity: 'ok' | 'warn' | 'stop';
  /** One line: what was seen, and what to do. */
  readonly text: string;
}

/**
 * `ready`: heard of within its time. `draining`: the same, and takes no new endpoints of shared networks. `down`: not heard
 * of; what it had stays its own until it is removed.
 */
export type NodeState = 'ready' | 'draining' | 'down';

/** A host of the cluster, as others see it. */
export interface Node {
  readonly name: string;
  /** Drawn once at the host: another that comes by the same name is told from it. */
  readonly id: string;
  readonly state: NodeState;
  /** This very host. */
  readonly self: boolean;
  /** Where the others reach it, one a family at most. */
  readonly addresses: readonly string[];
  /** Why these: `towards etcd at 192.0.2.10`, `as asked`. */
  readonly reason: string;
  /** The interface that has them, and its MTU in bytes. */
  readonly dev: string;
  readonly mtu: number;
  readonly version: string;
  /** ISO 8601. */
  readonly joined: string;
  /** What it has of each shared network, by the network's name. */
  readonly networks: readonly NodeNetwork[];
}
export interface NodeNetwork {
  readonly name: string;
  readonly plan: AddressPlan;
  readonly backend: BackendName;
  /** Its own prefixes in the plan `node`. */
  readonly prefixes: readonly string[];
  readonly endpoints: number;
  /** Of backends that encrypt: its public key there in base64, and when it last began to change its keys, ISO 8601. */
  readonly publicKey?: string;
  readonly rekeyed?: string;
}

/** This host's own place in a cluster. */
export interface ClusterStatus {
  /** Empty: the host is in no cluster. */
  readonly node: string;
  readonly etcd: readonly string[];
  /** `connected`; `away`: etcd does not answer, and what is asked of it is refused; `lost`: another may have the name. */
  readonly state: 'none' | 'connected' | 'away' | 'lost';
  /** Why, where it is not connected. */
  readonly reason: string;
  /** What does not work, a line each. */
  readonly faults: readonly string[];
  /** Where networks of this host have the backend bgp. */
  readonly bgp?: BgpStatus;
}

/** This host as a speaker of BGP. */
export interface BgpStatus {
  readonly asn: number;
  readonly routerId: string;
  /** Where neighbours can connect to: `192.0.2.1`. Elsewhere it connects, and nobody to it. */
  readonly listening: readonly string[];
  /** The prefixes that it announces. */
  readonly announced: readonly string[];
  readonly neighbors: readonly BgpSession[];
}
export interface BgpSession {
  readonly address: string;
  readonly asn: number;
  /** The node that it is; empty for a router. */
  readonly node: string;
  /** RFC 4271 section 8.2.2. */
  readonly state: 'idle' | 'connect' | 'active' | 'opensent' | 'openconfirm' | 'established';
  /** Since when the session is up, or is not. ISO 8601. */
  readonly since: string;
  /** Prefixes of all that it told, those of them kept until it is back, and those that it was told. */
  readonly received: number;
  readonly stale: number;
  readonly sent: number;
  /** Why the last session, or the last try, ended. */
  readonly reason: string;
}
