import type { RouterAdvertisement } from './ra.ts';

/** What a bridge network tells by router advertisements. */
export interface RouterOptions {
  /** Its prefixes, host bits cleared: `fd00:1::/64`. */
  readonly prefixes: readonly string[];
  /** Hosts make addresses of the prefixes by themselves; only those of length 64 can be so used. */
  readonly slaac: boolean;
  /** Addresses come by DHCPv6: the M flag. */
  readonly managed: boolean;
  /** The bridge is the way out; false for internal networks. */
  readonly gateway: boolean;
  /** DNS servers; those of IPv4 are left out. */
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** Bytes. */
  readonly mtu?: number;
  /** Seconds between two advertisements; default 200. Lifetimes follow from it. */
  readonly interval?: number;
}

export function intervalOf(options: RouterOptions): number {
  return options.interval ?? 200;
}

/**
 * Everything it says is good for nine intervals (half an hour), so that hosts outlive a restart of the daemon and several
 * lost messages. An autonomous prefix lives longer: RFC 4861 section 6.2.1 has a month and a week.
 */
export function advertisement(options: RouterOptions, sourceMac: string): RouterAdvertisement {
  const lifetime = Math.min(intervalOf(options) * 9, 9000);
  return {
    hopLimit: 64,
    managed: options.managed,
    // whoever gives addresses by DHCPv6 answers the rest there as well
    other: options.managed,
    lifetime: options.gateway ? lifetime : 0,
    reachable: 0,
    retransmit: 0,
    sourceMac,
    ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    prefixes: options.prefixes.map((prefix) => ({
      prefix,
      onLink: true,
      autonomous: options.slaac && prefix.endsWith('/64'),
      valid: 2_592_000,
      preferred: 604_800,
    })),
    routes: [],
    dns: { servers: options.dns.filter((server) => server.includes(':')), lifetime },
    search: { domains: options.search, lifetime },
  };
}
