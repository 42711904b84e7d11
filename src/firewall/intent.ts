import { type ForeignVerdict, judge, type Path } from './verdict.ts';
import type { ForeignFirewall } from './read.ts';

/** A published port, as somebody outside asks for it. */
export interface PublishedAsk {
  /** The interface of the host that it comes by. */
  readonly uplink: string;
  /** An address of the host, of the port's family: one that it really has, where the port is on all of them. */
  readonly address: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
}

/**
 * Whether the host's firewall would let the outside connect to this port if a program of the host listened there: what
 * its owner has said about the host's ports, which a translation passes by. `drop` is a no; where the answer is unknown,
 * `presumed` is what it comes to for those whom no rule speaks of by themselves.
 */
export function hostSays(firewall: ForeignFirewall, { uplink, address, protocol, port }: PublishedAsk): ForeignVerdict {
  return judge(firewall, {
    path: `from ${uplink} to ${address}:${port}/${protocol}`,
    bridge: uplink,
    hostPort: true,
    question: { hook: 'input', iifname: uplink, destination: address, protocol, port },
  });
}

/** Packets of a tunnel, which connection tracking does not see, between an address of the host and others. */
export interface TunnelAsk {
  /** The interface that they come and go by. */
  readonly uplink: string;
  readonly address: string;
  readonly protocol: 'udp' | 'gre' | 'ipencap' | 'esp';
  /** Of the target, on either side. */
  readonly port?: number | undefined;
  /** They go in one piece: what routers say of those that are too big has to come in, too. */
  readonly whole?: true | undefined;
}

/**
 * Which rule of the host's firewall needs connection tracking to let a tunnel's packets through: one that refuses them when
 * they are untracked, or most of them. It may be because of their state, or because it refuses such packets in any case.
 * Undefined where all get through as they are.
 */
export function untrackedRefusal(firewall: ForeignFirewall, ask: TunnelAsk): ForeignVerdict | undefined {
  const { uplink, address, protocol, port, whole } = ask;
  const what = port === undefined ? protocol : `${protocol} ${port}`;
  const packet = { protocol, ...(port !== undefined && { port }), state: 'untracked' } as const;
  const errors = address.includes(':') ? 'icmpv6' : 'icmp';
  const paths: Path[] = [
    {
      path: `untracked ${what} from others to ${address}`,
      bridge: uplink,
      question: { hook: 'input', iifname: uplink, destination: address, ...packet },
    },
    {
      path: `untracked ${what} from ${address} to others`,
      bridge: uplink,
      question: { hook: 'output', oifname: uplink, source: address, ...packet },
    },
  ];
  if (whole) {
    paths.push({
      path: `that untracked ${what} is too big for a router (${errors})`,
      bridge: uplink,
      question: { hook: 'input', iifname: uplink, destination: address, protocol: errors, state: 'invalid' },
    });
  }
  return paths.map((path) => judge(firewall, path)).find(({ presumed }) => presumed === 'drop');
}
