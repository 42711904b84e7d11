import type { Path } from './verdict.ts';

/** What of a bridge network's ways others can hold up. */
export interface Ways {
  /** For people: `network web`. */
  readonly object: string;
  readonly bridge: string;
  /** The host's interface to the outside. */
  readonly uplink: string;
  /** Of one family: an endpoint's address, an address outside, and the gateway's. */
  readonly endpoint: string;
  readonly outside: string;
  /** Empty where the network has none. */
  readonly gateway: string;
  /** Answers that come back are established, and asked for here as well: the first packet decides. */
  readonly published: readonly { readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly containerPort: number }[];
}

/** Every way that a network needs: out, in by published ports, and to the resolver at the gateway. */
export function pathsOf({ object, bridge, uplink, endpoint, outside, gateway, published }: Ways): Path[] {
  const paths: Path[] = [
    {
      path: `from ${object} to the outside`,
      bridge,
      question: {
        hook: 'forward',
        iifname: bridge,
        oifname: uplink,
        source: endpoint,
        destination: outside,
        protocol: 'tcp',
        port: 443,
      },
    },
  ];
  for (const { protocol, containerPort: port } of published) {
    paths.push({
      path: `from the outside to ${object} by the published port of ${endpoint}:${port}/${protocol}`,
      bridge,
      question: {
        hook: 'forward',
        iifname: uplink,
        oifname: bridge,
        destination: endpoint,
        protocol,
        port,
        dnat: true,
      },
    });
  }
  if (gateway === '') return paths;
  for (const protocol of ['udp', 'tcp'] as const) {
    paths.push({
      path: `from ${object} to its resolver by ${protocol}`,
      bridge,
      question: { hook: 'input', iifname: bridge, source: endpoint, destination: gateway, protocol, port: 53 },
    });
  }
  return paths;
}
