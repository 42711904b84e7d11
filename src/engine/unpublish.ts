import { NetloomError } from '../errors.ts';
import {
  checkPorts,
  type EndpointUpdate,
  formatPort,
  type PortSpec,
  type PublishedPort,
  type UnpublishSpec,
} from '../model/index.ts';

/**
 * Which published ports are meant. Several may be: the same number on IPv4 and IPv6, or all inside a range. A range that
 * was published as one is taken back as one: half of it would be another range, which nobody asked for.
 * @throws NetloomError EPORTNOTPUBLISHED
 */
export function unpublished(
  ports: readonly PublishedPort[],
  specs: readonly UnpublishSpec[],
  workload: string,
): PublishedPort[] {
  const found = new Set<PublishedPort>();
  for (const spec of specs) {
    const near = ports.filter(
      (port) => port.protocol === spec.protocol && overlap(port, spec) && sameAddress(port, spec),
    );
    const cut = near.find((port) => !within(port, spec));
    if (cut) {
      throw new NetloomError('EPORTNOTPUBLISHED', `${nameOf(spec)} is a part of ${formatPort(cut)}`, {
        hint: 'unpublish the whole range, and publish the rest of it again; one command can do both',
      });
    }
    for (let port = spec.hostPort; port < spec.hostPort + spec.count; port++) {
      if (near.some((p) => p.hostPort <= port && port < p.hostPort + p.count)) continue;
      throw notPublished(workload, { ...spec, hostPort: port, count: 1 });
    }
    for (const port of near) found.add(port);
  }
  return ports.filter((port) => found.has(port));
}

/**
 * What a container asks for from now on: its specs without the ports that were taken from it. A spec without an address
 * stands for one port a family; where only one of them is left, it gets that one's address.
 */
export function askedAfter(
  asked: readonly PortSpec[],
  published: readonly PublishedPort[],
  removed: readonly PublishedPort[],
): PortSpec[] {
  const left = new Set(published);
  return asked.flatMap((spec) => {
    const own: PublishedPort[] = [];
    for (const port of left) {
      if (!comesFrom(port, spec) || own.some((other) => other.hostAddress === port.hostAddress)) continue;
      own.push(port);
      left.delete(port);
    }
    const kept = own.filter((port) => !removed.includes(port));
    if (kept.length === own.length) return [spec];
    return kept.map((port) => ({ ...spec, hostAddress: port.hostAddress }));
  });
}

/** The same for a container that has no endpoints now. @throws NetloomError EPORTNOTPUBLISHED, EBADPORT */
export function askedWithout(asked: readonly PortSpec[], update: EndpointUpdate, container: string): PortSpec[] {
  let left = [...asked];
  for (const spec of update.unpublish ?? []) {
    const rest = left.flatMap((port): PortSpec[] => {
      const same =
        port.protocol === spec.protocol &&
        port.hostPort === spec.hostPort &&
        port.count === spec.count &&
        port.hostPortEnd === undefined;
      if (!same) return [port];
      if (spec.hostAddress === undefined || spec.hostAddress === port.hostAddress) return [];
      // of all addresses one family is left
      if (port.hostAddress === undefined && spec.hostAddress === '0.0.0.0') return [{ ...port, hostAddress: '::' }];
      if (port.hostAddress === undefined && spec.hostAddress === '::') return [{ ...port, hostAddress: '0.0.0.0' }];
      return [port];
    });
    if (rest.length === left.length && rest.every((port, i) => port === left[i])) throw notPublished(container, spec);
    left = rest;
  }
  return checkPorts([...left, ...(update.publish ?? [])]);
}

function comesFrom(port: PublishedPort, spec: PortSpec): boolean {
  const last = spec.hostPortEnd ?? spec.hostPort;
  return (
    port.protocol === spec.protocol &&
    port.containerPort === spec.containerPort &&
    port.count === spec.count &&
    (spec.hostPort === 0 || (spec.hostPort <= port.hostPort && port.hostPort <= last)) &&
    (spec.hostAddress === undefined || spec.hostAddress === port.hostAddress)
  );
}

function overlap(port: PublishedPort, spec: UnpublishSpec): boolean {
  return port.hostPort < spec.hostPort + spec.count && spec.hostPort < port.hostPort + port.count;
}
function within(port: PublishedPort, spec: UnpublishSpec): boolean {
  return spec.hostPort <= port.hostPort && port.hostPort + port.count <= spec.hostPort + spec.count;
}
function sameAddress(port: PublishedPort, spec: UnpublishSpec): boolean {
  return spec.hostAddress === undefined || spec.hostAddress === port.hostAddress;
}

function notPublished(workload: string, spec: UnpublishSpec): NetloomError {
  return new NetloomError('EPORTNOTPUBLISHED', `${workload} does not publish ${nameOf(spec)}`, {
    hint: 'netloom inspect shows the ports that it publishes',
  });
}

function nameOf({ protocol, hostAddress, hostPort, count }: UnpublishSpec): string {
  const ports = count === 1 ? `port ${hostPort}` : `ports ${hostPort}-${hostPort + count - 1}`;
  return `${protocol} ${ports}${hostAddress === undefined ? '' : ` on ${hostAddress}`}`;
}
