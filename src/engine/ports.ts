import { parseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { Netns } from '../kernel/index.ts';
import { formatPort, type PortSpec, type PublishedPort, type RandomSource } from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import { HostSockets } from './host-sockets.ts';
import { KEYS } from './records.ts';
import { clash, servedFor } from './served-ports.ts';

/** Where a port is chosen when the caller leaves it to us: the dynamic range. @see RFC 6335 §6 */
const DYNAMIC = { first: 49152, last: 65535 } as const;
/** How many random ports are tried before the range counts as full. */
const TRIES = 64;

/** Which of the host's wildcard addresses a port without an address is published on. */
export interface Families {
  readonly v4: boolean;
  readonly v6: boolean;
}

/** A request for ports, spread over addresses; the host ports of one group are one choice. */
interface Group {
  readonly spec: PortSpec;
  readonly addresses: readonly string[];
}

/**
 * Settles which host ports a request gets. Nothing is changed but the store's claims: whoever else listens on a port is
 * found as `HostSockets` says.
 * @throws NetloomError EPORTTAKEN naming the port and who has it.
 */
export async function claimPorts(
  tx: Tx,
  host: Netns,
  claim: Claim,
  specs: readonly PortSpec[],
  families: Families,
  hostBinding: string,
  random: RandomSource,
): Promise<PublishedPort[]> {
  const published: PublishedPort[] = [];
  const sockets = new HostSockets(host);
  for (const spec of specs) {
    const group = { spec, addresses: addressesOf(spec, families, hostBinding) };
    for (const port of await choose(tx, sockets, group, random)) {
      await tx.create(keyOf(port), claim);
      published.push(port);
    }
  }
  return published;
}

/** Gives ports back; one that somebody else has by now stays theirs. */
export async function releasePorts(tx: Tx, ports: readonly PublishedPort[], endpoint: string): Promise<void> {
  for (const port of ports) {
    const key = keyOf(port);
    if ((await tx.get<Claim>(key))?.endpoint === endpoint) await tx.delete(key);
  }
}

/** Takes back ports that were given back a moment ago, but for those that somebody else has by now. */
export async function holdPorts(tx: Tx, ports: readonly PublishedPort[], claim: Claim): Promise<void> {
  for (const port of ports) if ((await hostClaimant(tx, port)) === undefined) await tx.create(keyOf(port), claim);
}

async function choose(tx: ReadTx, sockets: HostSockets, group: Group, random: RandomSource): Promise<PublishedPort[]> {
  const { spec } = group;
  const at = (hostPort: number): PublishedPort[] =>
    group.addresses.map((hostAddress) => ({
      protocol: spec.protocol,
      hostAddress,
      hostPort,
      containerPort: spec.containerPort,
      count: spec.count,
      ...(spec.firewall !== undefined && { firewall: spec.firewall }),
      ...(spec.mode === 'ingress' && { mode: spec.mode }),
    }));
  if (spec.hostPort !== 0 && spec.hostPortEnd === undefined) {
    const ports = at(spec.hostPort);
    for (const port of ports) {
      const reason = await taken(tx, spec.held ? undefined : sockets, port);
      if (reason !== '')
        throw new NetloomError('EPORTTAKEN', reason, {
          hint: 'choose another host port, or leave it out to get a free one',
        });
    }
    return ports;
  }
  const first = spec.hostPort === 0 ? DYNAMIC.first : spec.hostPort;
  const last = spec.hostPort === 0 ? DYNAMIC.last : (spec.hostPortEnd ?? spec.hostPort);
  const room = last - first - spec.count + 2;
  const start = spec.hostPort === 0 ? Buffer.from(random(4)).readUInt32LE() % room : 0;
  for (let i = 0; i < Math.min(room, spec.hostPort === 0 ? TRIES : room); i++) {
    const ports = at(first + ((start + i) % room));
    let free = true;
    for (const port of ports) free &&= (await taken(tx, sockets, port)) === '';
    if (free) return ports;
  }
  throw new NetloomError('EPORTTAKEN', `no free ${spec.protocol} port between ${first} and ${last} on the host`);
}

/** Why a port cannot be had, or an empty string. @param sockets missing: the host's own do not count */
async function taken(tx: ReadTx, sockets: HostSockets | undefined, port: PublishedPort): Promise<string> {
  const owner = await hostClaimant(tx, port);
  if (owner !== undefined) return `${formatPort(port)} is already published by ${owner.workload}`;
  const other = await servedFor(tx, port);
  if (other !== undefined) return `${formatPort(port)} is published on every node by ${other.workload}`;
  const held = await sockets?.firstHeld(port);
  if (held === undefined) return '';
  return `${port.protocol} port ${held} on ${port.hostAddress} is in use by another program on the host`;
}

/** Who has a port. */
export interface Claim {
  readonly endpoint: string;
  /** For people. */
  readonly workload: string;
}

/** Single ports and ranges lie apart, so that looking one up costs the same however many there are. */
function keyOf(port: PublishedPort): string {
  const first = digits(port.hostPort);
  if (port.count === 1) return `${KEYS.ports}${port.protocol}/one/${first}/${port.hostAddress}`;
  return `${KEYS.ports}${port.protocol}/range/${first}-${digits(port.hostPort + port.count - 1)}/${port.hostAddress}`;
}

/** Who of this host has a port, or a part of a range. */
export async function hostClaimant(tx: ReadTx, port: PublishedPort): Promise<Claim | undefined> {
  const last = port.hostPort + port.count - 1;
  const one = `${KEYS.ports}${port.protocol}/one/`;
  const singles =
    port.count === 1
      ? await tx.list<Claim>(`${one}${digits(port.hostPort)}/`)
      : (await tx.list<Claim>(one, { start: one + digits(port.hostPort) })).filter(
          (e) => Number(e.key.split('/')[3]) <= last,
        );
  for (const { key, value } of singles) if (clash(key.slice(key.lastIndexOf('/') + 1), port.hostAddress)) return value;
  for (const { key, value } of await tx.list<Claim>(`${KEYS.ports}${port.protocol}/range/`)) {
    const [, , , span = '', address = ''] = key.split('/');
    const [from, to] = span.split('-').map(Number);
    if (
      from !== undefined &&
      to !== undefined &&
      from <= last &&
      port.hostPort <= to &&
      clash(address, port.hostAddress)
    ) {
      return value;
    }
  }
  return undefined;
}

function addressesOf(spec: PortSpec, families: Families, hostBinding: string): string[] {
  if (spec.hostAddress !== undefined && spec.hostAddress !== '') {
    const { family, text } = parseIp(spec.hostAddress);
    if (family === 4 ? families.v4 : families.v6) return [text];
    throw new NetloomError(
      'EBADPORT',
      `${text}:${spec.hostPort}: the container has no IPv${family} address to forward to`,
      {
        hint: family === 6 ? 'create the network with --ipv6' : 'publish on an IPv6 address',
      },
    );
  }
  const binding = parseIp(hostBinding === '' ? '0.0.0.0' : hostBinding);
  const addresses: string[] = [];
  if (families.v4) addresses.push(binding.family === 4 ? binding.text : '0.0.0.0');
  // a network bound to one IPv4 address means just that one
  if (families.v6 && (binding.family === 6 || binding.text === '0.0.0.0'))
    addresses.push(binding.family === 6 ? binding.text : '::');
  return addresses;
}

function digits(port: number): string {
  return String(port).padStart(5, '0');
}
