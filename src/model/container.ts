import type { Phase } from './network.ts';

/** Transport protocols whose ports can be published. */
export type PortProtocol = 'tcp' | 'udp' | 'sctp';

/**
 * Whether a published port obeys the host's own firewall: closed to the outside where that refuses a connection to such a
 * port of the host, or open whatever it says.
 */
export type FirewallWish = 'obey' | 'open';

/**
 * Where a published port is reached, in the words of Compose and Swarm: at the endpoint's own host, or at every node of the
 * cluster. On a network that hosts do not share both are the same.
 */
export type PortMode = 'host' | 'ingress';

/** One published port, or a range of them, as the store holds it. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  /** `0.0.0.0`, `::`, or one of the host's addresses. */
  readonly hostAddress: string;
  /** First host port. */
  readonly hostPort: number;
  /** First container port. */
  readonly containerPort: number;
  /** How many consecutive ports; 1 for a single one. */
  readonly count: number;
  /** As it was asked for; missing: as the engine is told to. */
  readonly firewall?: FirewallWish;
  /** The host's firewall refuses it: it is closed to the outside, and open to the host and its workloads. */
  readonly denied?: true;
  /** At every node; missing: at this host. */
  readonly mode?: 'ingress';
}
/** `-p` as asked: a host port of 0 means "a free one"; a missing host address means every address, IPv4 and IPv6. */
export interface PortSpec {
  readonly protocol: PortProtocol;
  readonly hostAddress?: string;
  readonly hostPort: number;
  /** With `hostPortEnd` and `count` 1: any free port in between. */
  readonly hostPortEnd?: number;
  readonly containerPort: number;
  readonly count: number;
  /** Missing: as the engine is told to. */
  readonly firewall?: FirewallWish;
  /** Missing: `host`. */
  readonly mode?: PortMode;
  /** Whoever asks holds the host's port by a socket of its own, so that no other program takes it. */
  readonly held?: true;
}

/** Limits of an endpoint's traffic, bits per second; 0: none. */
export interface Rates {
  /** Towards the workload. */
  readonly ingress: number;
  /** From the workload. */
  readonly egress: number;
}

/** What an endpoint is inside its workload: decided by the network's driver, and by the caller for a `tap`. */
export type EndpointType = 'veth' | 'tap' | 'macvlan' | 'ipvlan';

/** What a DHCP server of the segment told an endpoint, beside its address. How long it is good for is not part of it. */
export interface EndpointLease {
  /** The server's IPv4 address. */
  readonly server: string;
  /** The default gateway. */
  readonly router?: string;
  /** Other routes; without a gateway what is reached on the link itself. */
  readonly routes: readonly { readonly dst: string; readonly gateway?: string }[];
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** Bytes, where it is less than the segment's interface carries. */
  readonly mtu?: number;
}

/** A route of an endpoint beside those that its network gives. */
export interface EndpointRoute {
  /** Canonical prefix; `0.0.0.0/0` and `::/0` with a table or a priority of their own only. */
  readonly dst: string;
  /** Missing: the network's gateway; on the link where it has none, or where `scope` says so. */
  readonly gateway?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly advmss?: number;
  /** Lower wins; missing: 0 for IPv4, 1024 for IPv6. */
  readonly priority?: number;
  /** Missing: the main one. */
  readonly table?: number;
  /** 0 universe, 253 link, 254 host; IPv4 only. Missing: link without a gateway, else universe. */
  readonly scope?: number;
}

/** What is set of one endpoint inside its workload, beside what its network gives. */
export interface EndpointTuning {
  /**
   * Parameters of the namespace, below `net.`; `IFNAME` as a part of a name stands for the interface. They are held while the
   * endpoint is there, and not set back when it goes.
   */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Missing: whatever it is. */
  readonly promisc?: boolean;
  readonly allmulti?: boolean;
  /** Bytes, of the interface inside; missing: the network's. */
  readonly mtu?: number;
  readonly txQueueLength?: number;
  readonly routes?: readonly EndpointRoute[];
  /** Whatever has one of its addresses as source leaves by it: a table of its own, and a rule for each address. */
  readonly sourceRoutes?: true;
  /** It never has the default route. */
  readonly defaultRoute?: false;
  /** Bits that may go at once, where there is a rate; missing: what 10 ms of the rate are. */
  readonly ingressBurst?: number;
  readonly egressBurst?: number;
}

/** One interface of a workload on one network. */
export interface Endpoint {
  readonly id: string;
  /** What whoever attached it calls it, to find it again; missing where nobody said. */
  readonly name?: string;
  /** As asked. */
  readonly request?: string;
  /** Network id. */
  readonly network: string;
  /** Container id; empty for an endpoint attached to a bare namespace. */
  readonly container: string;
  readonly type: EndpointType;
  /** Path of the namespace: `/run/netns/web`; empty for a tap in the host's, and for what is handed over. */
  readonly netns: string;
  /** Device and inode of the namespace when it was attached, `4:4026532345`: a path may lead to another one later. */
  readonly netnsId: string;
  /** The interface's name inside: `eth0`. */
  readonly ifname: string;
  /** The host's end; empty where the driver has none. */
  readonly hostIfname: string;
  /** The bridge that it is a port of, where that is not its network's first. */
  readonly bridge?: string;
  /**
   * Its inside end is born in the host's namespace as `ifname`, for somebody else to take, who gives it name, addresses
   * and routes: Docker. Missing: the inside is ours.
   */
  readonly handOver?: true;
  /** The user (uid) who may open a tap; missing: whoever has CAP_NET_ADMIN. */
  readonly tapUid?: number;
  /** `02:42:ac:12:00:02`; empty where it has none of its own (ipvlan, macvlan in mode passthru). */
  readonly mac: string;
  /** With prefix length: `172.18.0.2/16`. IPv4 first. Empty while the segment's DHCP server gives none. */
  readonly addresses: readonly string[];
  /** Missing where no DHCP server gives the addresses, or while none does. */
  readonly lease?: EndpointLease;
  /**
   * Default gateways that this endpoint provides, one per family; empty where another endpoint has the default route.
   * `0.0.0.0` or `::` where everything is sent by the interface itself, as ipvlan does in its modes l3 and l3s.
   */
  readonly gateways: readonly string[];
  readonly aliases: readonly string[];
  /** Who is asked for names that are not ours; missing: the container's own servers, else the host's. */
  readonly upstreams?: readonly string[];
  /** Higher wins the default route; then the network attached first. */
  readonly gatewayPriority: number;
  /** Ports published to this endpoint. */
  readonly ports: readonly PublishedPort[];
  readonly rates: Rates;
  readonly tuning?: EndpointTuning;
  readonly created: string;
  readonly phase: Phase;
  readonly owner: string;
}
/** One network to attach to, as asked. */
export interface EndpointSpec {
  /** Network name or id (or a unique beginning of one). */
  readonly network: string;
  /** Fixed addresses, without prefix; missing families are given one automatically. */
  readonly addresses?: readonly string[];
  readonly mac?: string;
  readonly aliases?: readonly string[];
  /** Interface name inside; default: the first free `ethN`. */
  readonly ifname?: string;
  readonly gatewayPriority?: number;
  /** Bits per second towards and from the workload; missing or 0: no limit. */
  readonly ingressRate?: number;
  readonly egressRate?: number;
}
/** What of an endpoint can be changed while it is there. */
export interface EndpointUpdate {
  readonly publish?: readonly PortSpec[];
  /** Published ports to take back: by host port and protocol; with `hostAddress` on that address only. */
  readonly unpublish?: readonly UnpublishSpec[];
  /** Bits per second; 0: no limit; missing: as it is. */
  readonly ingressRate?: number;
  readonly egressRate?: number;
  /** As `AttachSpec.upstreams`; empty: the host's servers again. Of endpoints of bare namespaces only. */
  readonly upstreams?: readonly string[];
}
export interface UnpublishSpec {
  readonly protocol: PortProtocol;
  readonly hostAddress?: string;
  readonly hostPort: number;
  /** How many consecutive host ports. */
  readonly count: number;
}
/** An endpoint in a namespace that somebody else made (the library, a sandbox service, later CNI). */
export interface AttachSpec extends EndpointSpec {
  /** What it is found by besides its id: no two on a host have the same. `cni:web:3f1c:eth0` */
  readonly name?: string;
  /**
   * Says which asking this is, 64 hexadecimal digits at most: asked again in the same words with the same, because the answer
   * was lost, it is answered with the endpoint that was made. Only with a name.
   */
  readonly request?: string;
  /** Path of the namespace; empty for a tap in the host's. */
  readonly netns: string;
  /** A tap device for a virtual machine instead of an interface in a namespace; `ifname` is its name. */
  readonly tap?: boolean;
  /** The user (uid) who may open the tap without privileges. */
  readonly tapUid?: number;
  /** Somebody else takes the inside end from the host's namespace, where it is called `ifname`; no `netns` then. */
  readonly handOver?: boolean;
  readonly ports?: readonly PortSpec[];
  /** Who its network's resolver asks for names that are not ours; missing: the host's servers. */
  readonly upstreams?: readonly string[];
  /** `addresses` are all that it has, several of a family among them: somebody else decides about them. */
  readonly exact?: boolean;
  readonly tuning?: EndpointTuning;
}

export type NetworkMode =
  | { readonly kind: 'networks' }
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  | { readonly kind: 'container'; readonly container: string };

/** A command in a network namespace of its own, as the store holds it. */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly created: string;
  /** Path of its namespace; empty in host mode. */
  readonly netns: string;
  readonly mode: NetworkMode;
  readonly hostname: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  /**
   * It runs no command: it is a namespace with its networks and ports, held by its name and without a process, for others
   * to run in by the mode `container:NAME`.
   */
  readonly pod?: true;
  readonly dns: DnsSettings;
  /** `name:address`, as `--add-host`. */
  readonly extraHosts: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Remove the record when the command ends. */
  readonly autoRemove: boolean;
  /** Endpoints to make at (re)start, in interface order. */
  readonly networks: readonly EndpointSpec[];
  readonly ports: readonly PortSpec[];
  readonly phase: Phase;
  readonly owner: string;
}
export interface DnsSettings {
  /** Empty: the host's own. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}
/** `run`, a Compose service, the API's body. */
export interface ContainerSpec {
  /** Default: two words, as Docker does. */
  readonly name?: string;
  /** Empty for a pod. */
  readonly command: readonly string[];
  /** As `Container.pod`. */
  readonly pod?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly hostname?: string;
  /** `none`, `host`, `container:NAME`; missing: the networks below. */
  readonly networkMode?: string;
  /** Default: the network `bridge`. */
  readonly networks?: readonly EndpointSpec[];
  readonly ports?: readonly PortSpec[];
  readonly dns?: Partial<DnsSettings>;
  readonly extraHosts?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly autoRemove?: boolean;
}

/** What of a container can only be seen, not stored. */
export interface ContainerState {
  readonly status: 'created' | 'running' | 'exited' | 'dead';
  /** 0 when not running. */
  readonly pid: number;
  /** Meaningful when `exited`: the command's status, or 128 + the signal's number. */
  readonly exitCode: number;
  readonly startedAt: string;
  readonly finishedAt: string;
}
