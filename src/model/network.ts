import type { Overlay } from './overlay.ts';

/** `overlay` is a bridge on each of several hosts, joined as `Network.overlay` says. */
export type DriverName = 'bridge' | 'overlay' | 'macvlan' | 'ipvlan' | 'host' | 'none';

/** Who gives an endpoint its addresses: the network's subnets, or a DHCP server of the segment. */
export type Ipam = 'pool' | 'dhcp';

/**
 * How a bridge network meets the outside, per family, in Docker's words. `nat`: outward with the host's address, inward by
 * published ports of the host. `nat-unprotected`: the same, and whoever routes to an endpoint reaches every port of it.
 * `routed`: no translation; a published port is open at the endpoint's own address. `isolated`: internal networks only,
 * the bridge has no address.
 */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

/** Where an object is in its life. Anything but `ready` belongs to the engine that `owner` names, until that engine dies. */
export type Phase = 'creating' | 'ready' | 'removing';

/** One address pool of a network, in canonical text. */
export interface Subnet {
  /** `172.18.0.0/16`, `fd6e:6c00:1::/64`. */
  readonly subnet: string;
  /** The network's own address, given to the bridge: `172.18.0.1`. Empty for a network that asked for none. */
  readonly gateway: string;
  /** Automatic addresses come from this part of the subnet only. */
  readonly ipRange?: string;
  /** Names of addresses that are somebody else's: never handed out. */
  readonly auxAddresses?: Readonly<Record<string, string>>;
}

/** What `driver_opts` and `-o` become once parsed; one record per driver. */
export interface BridgeOptions {
  readonly driver: 'bridge';
  /** The bridge's interface name: at most 15 bytes. `com.docker.network.bridge.name`, `name`. */
  readonly bridge: string;
  /** Bytes; 0 means: the uplink's, followed at creation. `com.docker.network.driver.mtu`, `mtu`. */
  readonly mtu: number;
  /** No MTU was asked for: it is the uplink's, and follows it. */
  readonly followsUplink?: true;
  /** Endpoints of this network may talk to each other. `com.docker.network.bridge.enable_icc`, `icc`. */
  readonly icc: boolean;
  /** Outward traffic takes the host's address. `com.docker.network.bridge.enable_ip_masquerade`, `masquerade`. */
  readonly masquerade: boolean;
  /** Frames may leave by the port they came from. `hairpin`. */
  readonly hairpin: boolean;
  /** Address that a published port binds to where the port does not say. `com.docker.network.bridge.host_binding_ipv4`. */
  readonly hostBinding: string;
  /** `com.docker.network.bridge.gateway_mode_ipv4`, `gateway_mode_ipv4`; `gateway_mode` for both. Missing: `nat`. */
  readonly gatewayMode4?: GatewayMode;
  readonly gatewayMode6?: GatewayMode;
  /** Endpoints can say nothing but what they are: no other's MAC, IP, ARP or ND. `guard`. Missing: true. */
  readonly guard?: boolean;
  /** Who holds many connections leaves half of the host's ports for translated ones to others. `fair_ports`. Missing: true. */
  readonly fairPorts?: boolean;
  /**
   * Further bridges, each joined to the first by a pair of interfaces: the kernel gives one bridge 1,023 ports. They come
   * when they are needed, and go with the network.
   */
  readonly shards?: readonly string[];
}

/** Who an endpoint of a macvlan network speaks to at the host: nobody, by the switch outside, each other, … */
export type MacvlanMode = 'private' | 'vepa' | 'bridge' | 'passthru' | 'source';

/** Endpoints with hardware addresses of their own on an interface of the host. @see ip-link(8) "MACVLAN" */
export interface MacvlanOptions {
  readonly driver: 'macvlan';
  /** The host's interface below: `eth0`. Empty: one of the network's own, which leads nowhere. `parent`. */
  readonly parent: string;
  /** Its VLAN of which we make an interface, 1 to 4094; 0: none. `vlan`, or `parent` as `eth0.50`. */
  readonly vlan: number;
  /** `macvlan_mode`, `mode`. */
  readonly mode: MacvlanMode;
  /** Bytes; 0: the parent's. */
  readonly mtu: number;
  /** Mode source: the hardware addresses whose frames come in. `macvlan_sources`, `sources`. */
  readonly sources: readonly string[];
  /** Addresses that the host has on the segment so that it and the endpoints reach each other; empty: none. `shim`. */
  readonly shim: readonly string[];
}

/** `l2`: on the segment; `l3`: routed by the host's routes, which know no neighbours; `l3s`: the same through netfilter. */
export type IpvlanMode = 'l2' | 'l3' | 'l3s';
export type IpvlanFlag = 'bridge' | 'private' | 'vepa';

/** Endpoints that share the hardware address of an interface of the host. @see ip-link(8) "IPVLAN" */
export interface IpvlanOptions {
  readonly driver: 'ipvlan';
  /** As of macvlan. */
  readonly parent: string;
  readonly vlan: number;
  /** `ipvlan_mode`, `mode`. */
  readonly mode: IpvlanMode;
  /** Who reaches whom on the same parent: all, none, or by way of the switch outside. `ipvlan_flag`, `flag`. */
  readonly flag: IpvlanFlag;
  /** Bytes; 0: the parent's. */
  readonly mtu: number;
}
export type NetworkOptions =
  | BridgeOptions
  | MacvlanOptions
  | IpvlanOptions
  | { readonly driver: 'host' }
  | { readonly driver: 'none' };

/** A network as the store holds it: plain, validated, canonical. */
export interface Network {
  /** 64 hexadecimal digits; people see the first 12. */
  readonly id: string;
  readonly name: string;
  readonly driver: DriverName;
  /** ISO 8601. */
  readonly created: string;
  readonly internal: boolean;
  readonly subnets: readonly Subnet[];
  /** Those of `overlay` are a bridge's. */
  readonly options: NetworkOptions;
  /** Where hosts share it. */
  readonly overlay?: Overlay;
  /** Missing: `pool`. */
  readonly ipam?: Ipam;
  /** Gateways of which another program holds port 53, and the port at which names are answered there instead. */
  readonly resolverPorts?: Readonly<Record<string, number>>;
  /** DNS servers that are asked for names that are not ours, by those that have none of their own; missing: the host's. */
  readonly upstreams?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly phase: Phase;
  /** The engine that is changing it; empty when `ready`. */
  readonly owner: string;
}

/** What a person asks for: `network create`, a Compose file's network, the API's body. */
export interface NetworkSpec {
  readonly name: string;
  readonly driver?: string;
  readonly internal?: boolean;
  /** Default true. */
  readonly ipv4?: boolean;
  /** Default false, or true where a subnet given is IPv6. */
  readonly ipv6?: boolean;
  /** Empty or missing: taken from the pools. */
  readonly subnets?: readonly SubnetSpec[];
  /** `pool` or `dhcp`; default `pool`, or what the option `ipam` says. */
  readonly ipam?: string;
  readonly options?: Readonly<Record<string, string>>;
  /** As `Network.upstreams`. */
  readonly upstreams?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
}
/** What of a network can be changed while it is there. */
export interface NetworkUpdate {
  /** As `NetworkSpec.options`; those left out stay. */
  readonly options?: Readonly<Record<string, string>>;
  readonly internal?: boolean;
  /** Replaces them; empty: the host's servers again. */
  readonly upstreams?: readonly string[];
  /** Replaces all labels. */
  readonly labels?: Readonly<Record<string, string>>;
}
export interface SubnetSpec {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddresses?: Readonly<Record<string, string>>;
}
