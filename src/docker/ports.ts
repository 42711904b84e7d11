import { NetloomError } from '../errors.ts';
import type { EndpointUpdate, PortProtocol, PortSpec, PublishedPort, UnpublishSpec } from '../model/index.ts';
import { type Fields, listIn, numberIn, textIn } from './message.ts';

/** The key of published ports in the options of an endpoint or a sandbox. @see moby daemon/libnetwork/netlabel */
export const PORT_MAP = 'com.docker.network.portmap';
/** Set where another endpoint of the container has the IPv6 gateway, and with it its ports. */
const NO_IPV6 = 'com.docker.network.endpoint.noproxy6to4';
const NO_IPV6_BRIDGE = 'com.docker.network.bridge.noproxy6to4';

/** IANA's protocol numbers, as Docker writes them. */
const PROTOCOLS: Readonly<Record<number, PortProtocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** The ports that Docker wants published. @throws NetloomError EDOCKER, EBADPORT */
export function portSpecsOf(options: Fields): PortSpec[] {
  const only4 = options[NO_IPV6] === true || options[NO_IPV6_BRIDGE] === true;
  return listIn(options, PORT_MAP)
    .map(portSpecOf)
    .flatMap((spec): PortSpec[] => {
      if (!only4) return [spec];
      if (spec.hostAddress === undefined) return [{ ...spec, hostAddress: '0.0.0.0' }];
      return spec.hostAddress.includes(':') ? [] : [spec];
    });
}

function portSpecOf(binding: Fields): PortSpec {
  const number = numberIn(binding, 'Proto');
  const protocol = PROTOCOLS[number];
  if (protocol === undefined)
    throw new NetloomError('EBADPORT', `protocol ${number} has no ports that could be published`);
  const hostAddress = textIn(binding, 'HostIP');
  const hostPort = numberIn(binding, 'HostPort');
  const end = numberIn(binding, 'HostPortEnd');
  return {
    protocol,
    ...(hostAddress !== '' && { hostAddress }),
    hostPort,
    // any free one in between
    ...(end > hostPort && { hostPortEnd: end }),
    containerPort: numberIn(binding, 'Port'),
    count: 1,
  };
}

/**
 * What to change so that exactly the ports wanted are published: Docker says all of them each time. Undefined where
 * nothing is.
 */
export function portChanges(have: readonly PublishedPort[], want: readonly PortSpec[]): EndpointUpdate | undefined {
  const kept = new Set<PublishedPort>();
  const publish = want.filter((spec) => {
    const served = have.filter((port) => !kept.has(port) && serves(port, spec));
    for (const port of served) kept.add(port);
    return served.length === 0;
  });
  const unpublish = have.filter((port) => !kept.has(port)).map(unpublishSpec);
  return publish.length === 0 && unpublish.length === 0 ? undefined : { publish, unpublish };
}

function serves(port: PublishedPort, spec: PortSpec): boolean {
  return (
    port.protocol === spec.protocol &&
    port.containerPort === spec.containerPort &&
    (spec.hostAddress === undefined || spec.hostAddress === port.hostAddress) &&
    (spec.hostPort === 0 || (port.hostPort >= spec.hostPort && port.hostPort <= (spec.hostPortEnd ?? spec.hostPort)))
  );
}

/** A published port as what takes it back. */
export function unpublishSpec({ protocol, hostAddress, hostPort, count }: PublishedPort): UnpublishSpec {
  return { protocol, hostAddress, hostPort, count };
}

/** As Docker writes them. */
export function portMapOf(ports: readonly PublishedPort[]): Fields[] {
  const number = (protocol: PortProtocol): number =>
    Number(Object.entries(PROTOCOLS).find(([, name]) => name === protocol)?.[0]);
  return ports.flatMap(({ protocol, hostAddress, hostPort, containerPort, count }) =>
    Array.from({ length: count }, (_, i) => ({
      Proto: number(protocol),
      IP: '',
      Port: containerPort + i,
      HostIP: hostAddress,
      HostPort: hostPort + i,
      HostPortEnd: hostPort + i,
    })),
  );
}
