/** The drivers of this release. `overlay`, `macvlan`, `ipvlan`, `tap` join this union with their issues. */
export type DriverName = 'bridge' | 'host' | 'none';

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
  /** Endpoints of this network may talk to each other. `com.docker.network.bridge.enable_icc`, `icc`. */
  readonly icc: boolean;
  /** Outward traffic takes the host's address. `com.docker.network.bridge.enable_ip_masquerade`, `masquerade`. */
  readonly masquerade: boolean;
  /** Frames may leave by the port they came from. `hairpin`. */
  readonly hairpin: boolean;
  /** Address that a published port binds to where the port does not say. `com.docker.network.bridge.host_binding_ipv4`. */
  readonly hostBinding: string;
}
export type NetworkOptions = BridgeOptions | { readonly driver: 'host' } | { readonly driver: 'none' };

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
  readonly options: NetworkOptions;
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
  readonly options?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}
export interface SubnetSpec {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddresses?: Readonly<Record<string, string>>;
}
