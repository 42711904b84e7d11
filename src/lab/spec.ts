/** What a lab is to be, as its file says it, with every default in its place. */
export interface LabSpec {
  readonly name: string;
  readonly segments: readonly SegmentSpec[];
  readonly hosts: readonly HostSpec[];
  readonly etcd: EtcdSpec | undefined;
  /** `auto`: a router where there are several segments. */
  readonly router: boolean | 'auto';
  /** Each host's daemon is made a node of the cluster that etcd has. */
  readonly join: boolean;
}

/** What a cable does to what it carries, in each direction. */
export interface Conditions {
  /** Bits per second; 0 for no limit. */
  readonly rate: number;
  /** Milliseconds that it takes each way. */
  readonly delay: number;
  /** How much of it is lost each way: 0 to 1. */
  readonly loss: number;
}

/** One Ethernet: a bridge of the lab's own. */
export interface SegmentSpec {
  readonly name: string;
  /** One a family at most. */
  readonly prefixes: readonly string[];
  /** Bytes. */
  readonly mtu: number;
}
export interface LinkSpec extends Conditions {
  readonly segment: string;
  /** Without length; of a family that is not named, the next free one. */
  readonly addresses: readonly string[];
  /** Bytes. */
  readonly mtu: number;
}
export interface HostSpec {
  readonly name: string;
  readonly links: readonly LinkSpec[];
  /** Arguments of `netloom daemon`; undefined: none is started. */
  readonly daemon: readonly string[] | undefined;
}
export interface EtcdSpec {
  readonly members: number;
  readonly segment: string;
}

/** It becomes a part of names of namespaces. */
export const LAB_NAME: RegExp = /^[a-z0-9][a-z0-9-]{0,30}$/;
/** Of a segment or a machine: with `.0` behind it an interface's name, 15 bytes. */
export const MACHINE_NAME: RegExp = /^[a-z][a-z0-9-]{0,11}$/;

export const DEFAULT_NAME = 'lab';
export const DEFAULT_HOSTS = 3;
export const DEFAULT_MTU = 1500;
export const IDEAL: Conditions = { rate: 0, delay: 0, loss: 0 };

/** RFC 2544's test space and a unique local prefix (RFC 4193), so that no pool of netloom's own meets them. */
export function defaultPrefixes(segment: number): string[] {
  return [`198.18.${segment}.0/24`, `fd6e:6c61:62:${segment.toString(16)}::/64`];
}

/** What `netloom lab up --hosts N` makes without a file. */
export function plainSpec(options: {
  readonly name?: string;
  readonly hosts?: number;
  readonly etcd?: number;
}): LabSpec {
  const { name = DEFAULT_NAME, hosts = DEFAULT_HOSTS, etcd = 0 } = options;
  const segment: SegmentSpec = { name: 'lan', prefixes: defaultPrefixes(0), mtu: DEFAULT_MTU };
  return {
    name,
    segments: [segment],
    hosts: Array.from({ length: hosts }, (_, i) => ({
      name: `host${i + 1}`,
      links: [{ segment: segment.name, addresses: [], mtu: DEFAULT_MTU, ...IDEAL }],
      daemon: [],
    })),
    etcd: etcd === 0 ? undefined : { members: etcd, segment: segment.name },
    router: 'auto',
    join: true,
  };
}
