import type { PublishedPort } from './container.ts';
import type { JoinSpec } from './cluster.ts';

/** How packets go from host to host. One file each in src/overlay. */
export type BackendName = 'vxlan' | 'host-gw' | 'udp' | 'ipip' | 'gre' | 'wireguard' | 'ipsec' | 'bgp';

/**
 * Who gives addresses of a network that hosts share. `node`: each host has a prefix of its own and gives out of it, as with
 * flannel. `flat`: any address may be on any host, as with Docker's overlay.
 */
export type AddressPlan = 'node' | 'flat';

/** What a network that hosts share is on this one: the part that all agree upon, and our own place in it. */
export interface Overlay {
  readonly plan: AddressPlan;
  /** The one that is wanted. A peer that was not changed yet is reached by its own (`Peer.backend`). */
  readonly backend: BackendName;
  /** All of the network's addresses, one a family: `10.244.0.0/16`. The network's own `subnets` are this host's part. */
  readonly ranges: readonly string[];
  /** Tells one network from another on the wire: VXLAN's VNI, GRE's key, WireGuard's and udp's part of the port. */
  readonly vni: number;
  /** UDP port of VXLAN, udp or WireGuard; 0 where the backend has none. */
  readonly port: number;
  /** Peers on our own segment are reached by a plain route, without a tunnel. */
  readonly directRouting: boolean;
  /** False: no connection goes past the rule sets of hosts (src/overlay/shortcut.ts). */
  readonly shortcut?: false;
  /** What tunnels put around packets goes through connection tracking (src/overlay/outer.ts). */
  readonly tracked?: true;
  /** Where the backend is being changed: the one that some hosts are still reached by. */
  readonly former?: FormerBackend;
  /** Of the backend bgp: how this host speaks, with what it has of its own. */
  readonly bgp?: BgpOptions;
  /** Seconds after which each host changes its keys by itself, with a backend that has some; 0 or none: never. */
  readonly rekey?: number;
  /** The network is flannel's: whoever else is in it is told by flannel's keys in etcd, and not by a cluster of ours. */
  readonly flannel?: FlannelPlace;
  readonly self: Peer & {
    /** The underlay's interface, and its MTU in bytes. */
    readonly dev: string;
    readonly mtu: number;
    /** Why this host's kernel takes no shortcuts from us; empty where it does; missing where that was not asked yet. */
    readonly noShortcut?: string;
    /**
     * Why what tunnels put around packets is tracked on this host all the same; empty where it is not; missing where that
     * was not asked yet.
     */
    readonly whyTracked?: string;
    /** File with the private key of `publicKey`, of backends that encrypt: in the host's own state directory. */
    readonly keyFile?: string;
    /** ipsec: the one of its epochs that is coming in, while they change. */
    readonly coming?: string;
  };
}

/** What a tunnel puts around packets, as the host's firewall and connection tracking see it. @see protocols(5) */
export type Outer = (
  | { readonly protocol: 'udp'; /** Of the target, on either side. */ readonly port: number }
  | { readonly protocol: 'gre' | 'ipencap' | 'esp'; readonly port?: undefined }
) & {
  /** It goes in one piece, so that a router on the way must be able to say that it is too big. @see RFC 1191, RFC 8201 */
  readonly whole?: true;
};

/** Where a flannel network's keys are, and how etcd is spoken to. */
export interface FlannelPlace extends Omit<JoinSpec, 'name' | 'ttl' | 'bgp'> {
  /** Its `-etcd-prefix`: `/coreos.com/network`. */
  readonly prefix: string;
}

export interface FormerBackend {
  readonly backend: BackendName;
  readonly port: number;
}

/** How hosts speak BGP. A host has one speaker: all networks of a cluster with that backend have the same. */
export interface BgpOptions {
  readonly asn: number;
  /** Routers that hosts speak with; none: with each other. */
  readonly neighbors: readonly BgpNeighbor[];
  /** On each host: its first line signs every segment of every session. Empty: none does. @see RFC 2385 */
  readonly passwordFile: string;
  /** Seconds without a word after which a neighbour is given up; 0: never. */
  readonly holdTime: number;
  /** Seconds for which neighbours keep what was told by a host whose daemon is away; 0: not at all. @see RFC 4724 */
  readonly restartTime: number;
}

export interface BgpNeighbor {
  readonly address: string;
  readonly asn: number;
}

/** A way to one of a host's prefixes that somebody told of. */
export interface LearnedWay {
  readonly prefix: string;
  /** Gateway on our segment, of either family. */
  readonly via: string;
  readonly dev: string;
  /** The neighbour that told. */
  readonly from: string;
}

/** One host as it is in one network. */
export interface Peer {
  /** The node's name. */
  readonly node: string;
  /** Where it is on the underlay, one a family at most: `192.0.2.1`, `2001:db8::1`. */
  readonly addresses: readonly string[];
  /** Its own: in the plan `node` one a family, in `flat` the parts of the range that it gives addresses out of. */
  readonly prefixes: readonly string[];
  /** Plan `flat`: what the host itself speaks from, one a family, out of its parts; with the length of the network's range. */
  readonly hostAddresses?: readonly string[];
  readonly backend: BackendName;
  /** Hardware address of its end of a tunnel that has one; in the plan `flat` of its bridge. */
  readonly mac: string;
  /** WireGuard's public key, or what ipsec's keys are derived from, in base64. */
  readonly publicKey?: string;
  /**
   * ipsec: random words, 16 bytes in base64, that the host draws whenever it starts with keys it may have used before, and
   * to change them. The first is what is sent by; what else there is, is heard as well. docs/adr/0007-keys.md
   */
  readonly epochs?: readonly string[];
  /** When it last began to change keys, ISO 8601; at first, when they were drawn. */
  readonly rekeyed?: string;
  /** On our own segment, as far as we know: it is reached without a router between. Of `self`: true. */
  readonly direct: boolean;
  /** Of the backend bgp: its AS, and whether it speaks with other hosts (`mesh`) or with routers. */
  readonly bgp?: { readonly asn: number; readonly mesh: boolean };
  /** Of the backend bgp: what this host has learned of its prefixes. They stay while nobody speaks for us. */
  readonly ways?: readonly LearnedWay[];
}

/** An endpoint on another host. */
export interface RemoteEndpoint {
  readonly id: string;
  readonly network: string;
  readonly node: string;
  /** With the length of the network's range, as `Endpoint.addresses`. */
  readonly addresses: readonly string[];
  readonly mac: string;
  /** Published on every node, as far as this one serves them. */
  readonly ports?: readonly PublishedPort[];
}
