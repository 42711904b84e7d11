import { judge } from './verdict.ts';
import type { ForeignVerdict } from './verdict.ts';
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
