import type { Netns } from '../kernel/index.ts';

/** A name of ours with its plain IPv4 and IPv6 addresses; several are given in rotation. */
export interface DnsName {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** Who asks: the network at whose gateway the question came in, and its source address. */
export interface Asker {
  readonly network: string;
  /** Canonical text, without a zone. */
  readonly address: string;
}

/** RFC 2782. `target` is a name, which is looked up for the same asker, so that its addresses come along. */
export interface SrvTarget {
  readonly target: string;
  readonly port: number;
  /** Default 0. */
  readonly priority?: number;
  /** Default 0. */
  readonly weight?: number;
}

export interface AskerPolicy {
  /**
   * Servers for what is not ours, as text: `192.0.2.53`, `fe80::1%eth0`, `192.0.2.53#5353`. Absent: the host's own. Hand
   * out the same array as long as nothing changes.
   */
  readonly upstreams?: readonly string[];
  /** False, for an internal network: what is not ours does not exist (NXDOMAIN). Nothing leaves the host. */
  readonly forward: boolean;
}

/**
 * What the askers of each network may see. Asked for every question, so each answer must cost the same with one name
 * and with ten thousand, and nothing may throw, the query log neither. Names are lower case, without a final dot.
 *
 * The arrays are taken as values: hand out the same one while nothing changes (its wire form is then made once), and
 * another one after a change; never change one in place.
 */
export interface NameView {
  /**
   * Addresses of a name, in the order of preference of nobody: they rotate. Empty: the name is ours and has none (an
   * answer without records, never NXDOMAIN). Undefined: not ours.
   */
  lookup(asker: Asker, name: string): readonly string[] | undefined;
  /** Names of an address, in canonical text. Empty: the address is ours, and nobody's (NXDOMAIN). Undefined: not ours. */
  reverse(asker: Asker, address: string): readonly string[] | undefined;
  /** `_http._tcp.web` asks for ('http', 'tcp', 'web'). Empty and undefined as for `lookup`. */
  srv(asker: Asker, service: string, protocol: string, name: string): readonly SrvTarget[] | undefined;
  /**
   * Asked first. Undefined: a stranger, who is refused everything: gateway addresses can be reached from other networks
   * and, where a network is routed, from outside, and a resolver for everybody is a weapon.
   */
  policy(asker: Asker): AskerPolicy | undefined;
}

/** The servers of the host, now. */
export interface UpstreamSource extends Disposable {
  servers(): readonly string[];
}

export type DnsProtocol = 'udp' | 'tcp';
/** Where an answer came from: the view, the cache, an upstream server, or nowhere (refused, malformed, failed). */
export type AnswerSource = 'local' | 'cache' | 'upstream' | 'none';

export interface QueryLogEntry {
  readonly asker: Asker;
  readonly protocol: DnsProtocol;
  readonly name: string;
  /** `A`, `AAAA`, `TYPE65`. */
  readonly type: string;
  readonly source: AnswerSource;
  /** `NOERROR`, `NXDOMAIN`. */
  readonly rcode: string;
  /** From the question's arrival to its answer. */
  readonly milliseconds: number;
}

export interface DnsLimits {
  /** Questions of one asker that wait for upstream servers; default 1024. More are dropped, over TCP refused. */
  readonly perAsker: number;
  /** Those of all askers; default 4096. Then the asker that has most of them under way gives one up for who has few. */
  readonly underWay: number;
  /** TCP connections of one asker; default 32. */
  readonly connectionsPerAsker: number;
  /** TCP connections of all; default 1024. */
  readonly connections: number;
  /** Milliseconds that a TCP connection may stay without a question; default 10000. */
  readonly idle: number;
  /** Answers kept; default 32768. */
  readonly cacheEntries: number;
  /** Bytes of memory for them; default 24 MiB. */
  readonly cacheBytes: number;
  /** Milliseconds until a question to upstream servers is given up (SERVFAIL); default 4500, below a client's own 5 s. */
  readonly patience: number;
}

export interface DnsOptions {
  /** The host's: sockets are born there; it has to live as long as the server. Absent: that of this process. */
  readonly netns?: Netns;
  readonly view: NameView;
  /** Default: /etc/resolv.conf, followed. Disposed with the server. */
  readonly upstreams?: UpstreamSource;
  /** The query log; costs nothing while it is unset. */
  readonly onQuery?: (entry: QueryLogEntry) => void;
  /** TTL of our own names, seconds; default 5. */
  readonly localTtl?: number;
  readonly limits?: Partial<DnsLimits>;
}

export const DEFAULT_LIMITS: DnsLimits = {
  perAsker: 1024,
  underWay: 4096,
  connectionsPerAsker: 32,
  connections: 1024,
  idle: 10_000,
  cacheEntries: 32_768,
  cacheBytes: 24 << 20,
  patience: 4500,
};
