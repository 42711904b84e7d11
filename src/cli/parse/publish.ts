import { parseIp, parsePort, parsePortRange } from '../../addr/index.ts';
import type { PortProtocol, PortSpec } from '../../model/index.ts';
import { parsePublish as parseLong } from '../../model/publish.ts';
import { UsageError } from '../errors.ts';

/**
 * `-p [[ADDRESS:]HOSTPORT:]PORT[/PROTOCOL]`, ranges on both sides, IPv6 addresses in brackets: docker-run(1).
 * Docker's long form is `published=8080,target=80,protocol=tcp,host_ip=ADDRESS,firewall=obey|open,mode=host|ingress`.
 * A range without host ports, and a range of host ports for a single port, both leave the choice to netloom.
 * @throws UsageError, NetloomError EBADPORT, EBADADDR
 */
export function parsePublish(text: string): readonly PortSpec[] {
  if (text.includes('=')) return each(parseLong(text));
  const slash = text.lastIndexOf('/');
  const protocol = protocolOf(slash < 0 ? 'tcp' : text.slice(slash + 1), text);
  const { address, host, container } = split(slash < 0 ? text : text.slice(0, slash), text);
  const inside = parsePortRange(container);
  const count = inside.last - inside.first + 1;
  const base = { protocol, ...(address === '' ? {} : { hostAddress: parseIp(address).text }) };
  if (host === '' || host === '0') return each({ ...base, hostPort: 0, containerPort: inside.first, count });
  const outside = host.includes('-') ? parsePortRange(host) : { first: parsePort(host), last: parsePort(host) };
  const width = outside.last - outside.first + 1;
  if (width === count) return [{ ...base, hostPort: outside.first, containerPort: inside.first, count }];
  if (count === 1)
    return [{ ...base, hostPort: outside.first, hostPortEnd: outside.last, containerPort: inside.first, count: 1 }];
  throw new UsageError(
    `"${text}" has ${width} host ports for ${count} container ports`,
    'Make both ranges equally long, or leave the host ports out.',
  );
}

/** Free ports are found one by one. */
function each(spec: PortSpec): PortSpec[] {
  if (spec.hostPort !== 0) return [spec];
  return Array.from({ length: spec.count }, (_, i) => ({ ...spec, containerPort: spec.containerPort + i, count: 1 }));
}

/** @throws UsageError */
export function protocolOf(name: string, text: string): PortProtocol {
  const lower = name.toLowerCase();
  if (lower === 'tcp' || lower === 'udp' || lower === 'sctp') return lower;
  throw new UsageError(`"${text}" has the protocol "${name}"`, 'It is one of tcp, udp, sctp.');
}

/** @see docker-run(1): the address may be IPv6 in brackets; with an address, the host port may be empty. */
function split(text: string, whole: string): { address: string; host: string; container: string } {
  const form = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(?:([^:]*):)?([^:]+)$/.exec(text);
  if (form === null)
    throw new UsageError(
      `"${whole}" is no port to publish`,
      'Write 8080:80, 127.0.0.1:8080:80/udp, [::1]:8080:80 or 8000-8010:80-90.',
    );
  const [, bracketed, plain, middle, container = ''] = form;
  // `8080:80` fits the pattern with its host port in the address's place.
  if (bracketed === undefined && middle === undefined) return { address: '', host: plain ?? '', container };
  return { address: bracketed ?? plain ?? '', host: middle ?? '', container };
}
