import { parseIp, parsePort, parsePortRange } from '../addr/index.ts';
import type { PortRange } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { FirewallWish, PortMode, PortProtocol, PortSpec, PublishedPort } from './container.ts';

const PROTOCOLS: readonly PortProtocol[] = ['tcp', 'udp', 'sctp'];

/**
 * Reads what stands after `-p`: `[[address:][host port(s)]:]container port(s)[/protocol]`, in all of Docker's forms:
 * `80`, `8080:80`, `127.0.0.1:8080:80`, `127.0.0.1::80`, `[::1]:80:80`, `8000-8010:80-90/udp`, `8000-8010:80`.
 * Docker's long form says the same by name, and what has no place in the short one:
 * `published=8080,target=80,protocol=udp,host_ip=127.0.0.1,firewall=open,mode=ingress`.
 * @throws NetloomError EBADPORT
 */
export function parsePublish(text: string): PortSpec {
  try {
    return text.includes('=') ? readLong(text) : read(text);
  } catch (error) {
    if (!(error instanceof NetloomError)) throw error;
    throw new NetloomError('EBADPORT', `published port "${text}": ${error.message}`, {
      cause: error,
      hint: 'the forms are 80, 8080:80, 127.0.0.1:8080:80, 127.0.0.1::80, [::1]:8080:80, 8000-8010:80-90/udp and published=8080,target=80,firewall=open',
    });
  }
}

/** The same text that `parsePublish` reads. */
export function formatPublish(port: PortSpec): string {
  const hostEnd = port.hostPortEnd ?? (port.hostPort === 0 ? 0 : port.hostPort + port.count - 1);
  const host = port.hostPort === 0 ? '' : span(port.hostPort, hostEnd);
  const container = span(port.containerPort, port.containerPort + port.count - 1);
  if (port.firewall !== undefined || port.mode !== undefined) {
    const published = host === '' ? '' : `published=${host},`;
    const hostIp = port.hostAddress === undefined ? '' : `host_ip=${port.hostAddress},`;
    const firewall = port.firewall === undefined ? '' : `,firewall=${port.firewall}`;
    const mode = port.mode === undefined ? '' : `,mode=${port.mode}`;
    return `${hostIp}${published}target=${container},protocol=${port.protocol}${firewall}${mode}`;
  }
  const address = port.hostAddress === undefined ? '' : `${bracket(port.hostAddress)}:`;
  const head = address === '' && host === '' ? '' : `${address}${host}:`;
  return `${head}${container}/${port.protocol}`;
}

/** A published port as tables show it: `0.0.0.0:8080->80/tcp`, `[::]:8000-8010->80-90/udp`. */
export function formatPort(port: PublishedPort): string {
  const host = span(port.hostPort, port.hostPort + port.count - 1);
  const container = span(port.containerPort, port.containerPort + port.count - 1);
  return `${bracket(port.hostAddress)}:${host}->${container}/${port.protocol}`;
}

/** Checks ports that came as records, and that no two of the list want the same host port. @throws NetloomError EBADPORT */
export function checkPorts(ports: readonly PortSpec[]): PortSpec[] {
  const checked = ports.map(checkPort);
  for (const [i, a] of checked.entries()) {
    const twin = checked.slice(i + 1).find((b) => collide(a, b));
    if (twin) {
      throw new NetloomError(
        'EBADPORT',
        `published ports "${formatPublish(a)}" and "${formatPublish(twin)}" want the same host port: change one`,
      );
    }
  }
  return checked;
}

function read(text: string): PortSpec {
  const slash = text.indexOf('/');
  const protocol = parseProtocol(slash < 0 ? 'tcp' : text.slice(slash + 1));
  return specOf({ ...split(slash < 0 ? text : text.slice(0, slash)), protocol });
}

/** The words of Docker's long form, and ours. */
const LONG_WORDS = ['published', 'target', 'protocol', 'host_ip', 'mode', 'firewall'] as const;

function readLong(text: string): PortSpec {
  const words = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, word = '', value = ''] = /^([^=]*)=(.*)$/.exec(part) ?? [];
    if (!(LONG_WORDS as readonly string[]).includes(word))
      throw new NetloomError('EBADPORT', `"${part}" is none of ${LONG_WORDS.map((known) => `${known}=`).join(', ')}`);
    if (words.has(word)) throw new NetloomError('EBADPORT', `${word} is there twice`);
    words.set(word, value);
  }
  const mode = words.get('mode');
  const firewall = words.get('firewall');
  const spec = specOf({
    address: words.get('host_ip')?.replace(/^\[(.*)\]$/, '$1') || undefined,
    host: words.get('published') ?? '',
    container: words.get('target') ?? '',
    protocol: parseProtocol(words.get('protocol') ?? 'tcp'),
  });
  return {
    ...spec,
    ...(firewall !== undefined && { firewall: parseFirewallWish(firewall) }),
    ...(mode !== undefined && { mode: parseMode(mode) }),
  };
}

/** @throws NetloomError EBADPORT */
function parseMode(text: string): PortMode {
  if (text === 'host' || text === 'ingress') return text;
  throw new NetloomError(
    'EBADPORT',
    `there is no mode "${text}"; write host (this host alone, as where it is left out) or ingress (every node)`,
  );
}

/** @throws NetloomError EBADPORT */
export function parseFirewallWish(text: string): FirewallWish {
  if (text === 'obey' || text === 'open') return text;
  throw new NetloomError(
    'EBADPORT',
    `firewall is "${text}"; write obey (closed to the outside where the host's firewall refuses it) or open`,
  );
}

interface Words {
  readonly address: string | undefined;
  readonly host: string;
  readonly container: string;
  readonly protocol: PortProtocol;
}

function specOf({ address, host, container, protocol }: Words): PortSpec {
  if (container === '') throw new NetloomError('EBADPORT', 'the container’s port is missing; write it last');
  const inside = parsePortRange(container);
  const count = inside.last - inside.first + 1;
  const base = {
    protocol,
    ...(address !== undefined && { hostAddress: parseIp(address).text }),
    containerPort: inside.first,
  };
  if (host === '' || host === '0') return { ...base, hostPort: 0, count };
  return { ...base, ...matchRanges(parsePortRange(host), count) };
}

function matchRanges(outside: PortRange, count: number): Pick<PortSpec, 'hostPort' | 'hostPortEnd' | 'count'> {
  const outsideCount = outside.last - outside.first + 1;
  if (outsideCount === count) return { hostPort: outside.first, count };
  if (count === 1) return { hostPort: outside.first, hostPortEnd: outside.last, count };
  throw new NetloomError(
    'EBADPORT',
    `${outsideCount} host port${outsideCount === 1 ? '' : 's'} for ${count} container ports; make the ranges equally long`,
  );
}

/** From the right, since an IPv6 address in brackets has colons of its own. */
function split(text: string): { address: string | undefined; host: string; container: string } {
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(text);
  const parts = (bracketed ? bracketed[2]! : text).split(':');
  if (bracketed) {
    if (parts.length !== 2)
      throw new NetloomError(
        'EBADPORT',
        'after the address write the host’s and the container’s port, such as [::1]:8080:80',
      );
    return { address: bracketed[1]!, host: parts[0]!, container: parts[1]! };
  }
  if (parts.length > 3)
    throw new NetloomError(
      'EBADPORT',
      'it has too many colons; write an IPv6 address in brackets, such as [::1]:8080:80',
    );
  const [container, host = '', address] = parts.reverse();
  return { address: address === '' ? undefined : address, host, container: container! };
}

function parseProtocol(text: string): PortProtocol {
  const protocol = PROTOCOLS.find((known) => known === text.toLowerCase());
  if (protocol === undefined)
    throw new NetloomError('EBADPORT', `there is no protocol "${text}"; write tcp, udp or sctp`);
  return protocol;
}

function checkPort(port: PortSpec): PortSpec {
  const protocol = parseProtocol(port.protocol);
  const count = port.count;
  if (!Number.isInteger(count) || count < 1)
    throw new NetloomError('EBADPORT', `a published port's count is 1 or more, not ${count}`);
  parsePort(String(port.containerPort));
  parsePort(String(port.containerPort + count - 1));
  parsePort(String(port.hostPort), { zero: true });
  const hostLast = port.hostPortEnd ?? port.hostPort + (port.hostPort === 0 ? 0 : count - 1);
  parsePort(String(hostLast), { zero: true });
  if (port.hostPortEnd !== undefined && (count !== 1 || port.hostPort === 0 || hostLast < port.hostPort)) {
    throw new NetloomError(
      'EBADPORT',
      `"any free port from ${port.hostPort} to ${hostLast}" needs a rising range and one container port`,
    );
  }
  return {
    protocol,
    ...(port.hostAddress !== undefined && port.hostAddress !== '' && { hostAddress: parseIp(port.hostAddress).text }),
    hostPort: port.hostPort,
    ...(port.hostPortEnd !== undefined && { hostPortEnd: port.hostPortEnd }),
    containerPort: port.containerPort,
    count,
    ...(port.firewall !== undefined && { firewall: parseFirewallWish(port.firewall) }),
    ...(port.mode !== undefined && { mode: parseMode(port.mode) }),
    ...(port.held === true && { held: true }),
  };
}

function collide(a: PortSpec, b: PortSpec): boolean {
  const free = (port: PortSpec): boolean => port.hostPort === 0 || port.hostPortEnd !== undefined;
  if (a.protocol !== b.protocol || free(a) || free(b)) return false;
  if (a.hostPort >= b.hostPort + b.count || b.hostPort >= a.hostPort + a.count) return false;
  return meet(a.hostAddress, b.hostAddress);
}

/** True when one of the addresses is inside the other: missing means all, the unspecified address its whole family. */
function meet(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return true;
  if (parseIp(a).family !== parseIp(b).family) return false;
  return parseIp(a).value === 0n || parseIp(b).value === 0n;
}

function span(first: number, last: number): string {
  return last > first ? `${first}-${last}` : String(first);
}
function bracket(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
