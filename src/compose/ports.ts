import { isIP } from 'node:net';
import { parsePortRange, type PortRange } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { FirewallWish, PortProtocol, PortSpec } from '../model/index.ts';
import type { Position } from './errors.ts';
import { PORT_KEYS, PORT_OWN_KEYS } from './keys.ts';
import type { Ignore, Reader } from './reader.ts';
import type { Tree } from './tree.ts';

/** One entry of `ports`, where it stands. A range without host ports becomes several. */
export interface ServicePort {
  readonly at: Position;
  readonly path: string;
  readonly spec: PortSpec;
}

/** Reads `ports`: `[[HOST_IP:][HOST[-END]]:]CONTAINER[-END][/PROTOCOL]`, or the long form. */
export function readPorts(reader: Reader, tree: Tree, path: string, ignore: Ignore): ServicePort[] {
  return (reader.list(tree, path) ?? []).flatMap((item, index) => {
    const here = `${path}[${index}]`;
    const specs =
      item.kind === 'map'
        ? readLong(reader, item, here, ignore)
        : reader.attempt(item.at, here, () => parseShortPort(reader.string(item, here) ?? ''));
    return (specs ?? []).map((spec) => ({ at: item.at, path: here, spec }));
  });
}

/** @throws NetloomError EBADPORT */
export function parseShortPort(text: string): PortSpec[] {
  const [ports = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0) throw bad(text);
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(ports);
  const parts = (bracketed === null ? ports : bracketed[2]!).split(':');
  const address = bracketed === null ? (parts.length > 2 ? parts.slice(0, -2).join(':') : '') : bracketed[1]!;
  if (address.includes(':') && bracketed === null) throw bad(text, `write an IPv6 address in brackets: [${address}]`);
  if (bracketed !== null && parts.length === 1)
    throw bad(text, 'an address needs a host port or an empty one behind it');
  return toSpecs(address, parts.at(-2) ?? '', parts.at(-1)!, protocol);
}

function readLong(reader: Reader, tree: Tree, path: string, ignore: Ignore): PortSpec[] | undefined {
  const keys = reader.section(tree, path, PORT_KEYS, ignore);
  const text = (key: string): string | undefined => {
    const entry = keys.get(key);
    return entry === undefined ? undefined : reader.string(entry.value, `${path}.${key}`);
  };
  const mode = text('mode');
  if (mode !== undefined && mode !== 'ingress' && mode !== 'host') {
    reader.fail(
      keys.get('mode')!.value.at,
      `${path}.mode`,
      `"${mode}" is no mode`,
      'write host (the service’s own host) or ingress (every node, on networks that hosts share)',
    );
  }
  if (!keys.has('target')) {
    reader.fail(tree.at, path, 'the port inside the container is missing', 'add target');
    return undefined;
  }
  const target = text('target');
  if (target === undefined) return undefined;
  const firewall = readFirewall(reader, tree, path, ignore);
  const specs = reader.attempt(keys.get('target')!.value.at, path, () =>
    toSpecs(text('host_ip') ?? '', text('published') ?? '', target, text('protocol') ?? 'tcp'),
  );
  // whoever says nothing has the host's own, as with short ones
  const more = { ...(firewall !== undefined && { firewall }), ...(mode === 'ingress' && { mode: 'ingress' as const }) };
  return specs?.map((spec) => ({ ...spec, ...more }));
}

/** `x-netloom: { firewall: open }`: whether the port obeys the host's own firewall. */
function readFirewall(reader: Reader, tree: Tree, path: string, ignore: Ignore): FirewallWish | undefined {
  const own = tree.kind === 'map' ? tree.entries.get('x-netloom') : undefined;
  if (own === undefined) return undefined;
  const here = `${path}.x-netloom`;
  const entry = reader.section(own.value, here, PORT_OWN_KEYS, ignore).get('firewall');
  const text = entry && reader.string(entry.value, `${here}.firewall`);
  if (text === 'obey' || text === 'open' || text === undefined) return text;
  reader.fail(entry!.value.at, `${here}.firewall`, `"${text}" is no choice`, 'write obey or open');
  return undefined;
}

function toSpecs(address: string, published: string, target: string, protocol: string): PortSpec[] {
  if (!isProtocol(protocol)) throw new NetloomError('EBADPORT', `"${protocol}" is no protocol: write tcp, udp or sctp`);
  if (address !== '' && isIP(address) === 0) {
    throw new NetloomError(
      'EBADPORT',
      `"${address}" is no address: write an IPv4 address, or an IPv6 address in brackets`,
    );
  }
  const inside = parsePortRange(target);
  const common = { protocol, ...(address === '' ? {} : { hostAddress: address }) };
  const size = inside.last - inside.first + 1;
  // a port 0 is Docker's other way to say "any free one"
  if (published === '' || published === '0') {
    return Array.from({ length: size }, (_, i) => ({
      ...common,
      hostPort: 0,
      containerPort: inside.first + i,
      count: 1,
    }));
  }
  const outside: PortRange = parsePortRange(published);
  const room = outside.last - outside.first + 1;
  if (room === size) return [{ ...common, hostPort: outside.first, containerPort: inside.first, count: size }];
  if (size === 1) {
    return [{ ...common, hostPort: outside.first, hostPortEnd: outside.last, containerPort: inside.first, count: 1 }];
  }
  throw new NetloomError(
    'EBADPORT',
    `${room} host ports (${published}) do not fit ${size} container ports (${target})`,
  );
}

function isProtocol(text: string): text is PortProtocol {
  return text === 'tcp' || text === 'udp' || text === 'sctp';
}

function bad(text: string, cure = 'write [[HOST_IP:]HOST_PORT:]CONTAINER_PORT[/PROTOCOL]'): NetloomError {
  return new NetloomError('EBADPORT', `"${text}" is no port: ${cure}`);
}

/** How a port reads in messages: `127.0.0.1:8080-8089/tcp`. */
export function portText(spec: PortSpec): string {
  const last = spec.hostPort + spec.count - 1;
  const address =
    spec.hostAddress === undefined
      ? ''
      : `${isIP(spec.hostAddress) === 6 ? `[${spec.hostAddress}]` : spec.hostAddress}:`;
  return `${address}${spec.hostPort}${last > spec.hostPort ? `-${last}` : ''}/${spec.protocol}`;
}

/** True when both cannot be published at once: same protocol, ports that meet, addresses that meet. */
export function portsClash(a: PortSpec, b: PortSpec): boolean {
  const fixed = (spec: PortSpec): boolean => spec.hostPort !== 0 && spec.hostPortEnd === undefined;
  if (a.protocol !== b.protocol || !fixed(a) || !fixed(b)) return false;
  if (a.hostPort >= b.hostPort + b.count || b.hostPort >= a.hostPort + a.count) return false;
  const [x, y] = [a.hostAddress, b.hostAddress];
  if (x === undefined || y === undefined || x === y) return true;
  return isIP(x) === isIP(y) && (isAny(x) || isAny(y));
}
function isAny(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
