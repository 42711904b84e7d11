import { withoutLength } from '../addr/index.ts';
import { BROADCAST_MAC } from './frame.ts';
import { MalformedError } from './errors.ts';
import { type DhcpMessage, encodeMessage, typeOf } from './message.ts';
import { type DhcpRoute, ip, ofIps, ofRoutes, ofText, ofU16, ofU32, OPTION, TYPE, u16 } from './option.ts';
import { encodeDomains } from './domain.ts';

/** What one client is to be told. The responder makes up nothing: addresses are leased elsewhere. */
export interface DhcpAssignment {
  /** With the length of the subnet: `172.18.0.5/16`. Without one, DHCPv4 is not answered. */
  readonly address?: string;
  /** With the length of the subnet; answered by DHCPv6. */
  readonly address6?: string;
  /** The default gateway, IPv4. */
  readonly router?: string;
  readonly routes?: readonly DhcpRoute[];
  /** Of either family; each protocol tells its own. */
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** Bytes. */
  readonly mtu?: number;
  readonly hostname?: string;
  /** Seconds; the client comes again after half of them. 0xffffffff for ever. */
  readonly leaseSeconds: number;
}

/** What a request came to, for logs and counters. */
export type DhcpOutcome = 'offer' | 'ack' | 'nak' | 'inform' | 'declined' | 'released';

export interface DhcpReply {
  readonly outcome: DhcpOutcome;
  /** Undefined where a message wants no answer. */
  readonly message?: DhcpMessage;
}

/**
 * The answer to a client that we know; undefined where silence is right: a message of another server's client, or none
 * of DHCP. @param server our identifier, an address of the bridge. @see RFC 2131 section 4.3
 */
export function replyTo(request: DhcpMessage, assignment: DhcpAssignment, server: string): DhcpReply | undefined {
  const { options, ciaddr } = request;
  const address = assignment.address === undefined ? undefined : withoutLength(assignment.address);
  // a relay's client is not on this link
  if (request.op !== 1 || request.giaddr !== NONE || address === undefined) return undefined;
  const chosen = ip(options, OPTION.SERVER_ID);
  const requested = ip(options, OPTION.REQUESTED_IP);
  const reply = (type: number, yiaddr: string, more: Iterable<readonly [number, Uint8Array]>): DhcpMessage => ({
    op: 2,
    xid: request.xid,
    secs: 0,
    broadcast: request.broadcast || type === TYPE.NAK,
    ciaddr: type === TYPE.ACK ? ciaddr : NONE,
    yiaddr,
    siaddr: NONE,
    giaddr: NONE,
    chaddr: request.chaddr,
    options: new Map([
      [OPTION.MESSAGE_TYPE, Uint8Array.of(type)],
      [OPTION.SERVER_ID, ofIps([server])],
      ...identity(options.get(OPTION.CLIENT_ID)),
      ...more,
    ]),
  });
  const { leaseSeconds } = assignment;
  const lease: readonly (readonly [number, Uint8Array])[] =
    leaseSeconds >= 0xffff_ffff
      ? [[OPTION.LEASE_TIME, ofU32(0xffff_ffff)]]
      : [
          [OPTION.LEASE_TIME, ofU32(leaseSeconds)],
          [OPTION.T1, ofU32(Math.floor(leaseSeconds / 2))],
          [OPTION.T2, ofU32(Math.floor(leaseSeconds * 0.875))],
        ];
  switch (typeOf(request)) {
    case TYPE.DISCOVER:
      return { outcome: 'offer', message: reply(TYPE.OFFER, address, [...lease, ...parameters(assignment)]) };
    case TYPE.REQUEST: {
      if (chosen !== undefined && chosen !== server) return undefined;
      // the one that was offered, that it remembers, or that it has: section 4.3.2
      const wanted = requested ?? ciaddr;
      if (wanted !== address) {
        const because = ofText(`${wanted} is not the address of this machine`);
        return { outcome: 'nak', message: reply(TYPE.NAK, NONE, [[OPTION.MESSAGE, because]]) };
      }
      return { outcome: 'ack', message: reply(TYPE.ACK, address, [...lease, ...parameters(assignment)]) };
    }
    case TYPE.INFORM:
      // no address and no times: section 4.3.5
      return { outcome: 'inform', message: reply(TYPE.ACK, NONE, parameters(assignment)) };
    case TYPE.DECLINE:
      return chosen === server ? { outcome: 'declined' } : undefined;
    case TYPE.RELEASE:
      return chosen === server ? { outcome: 'released' } : undefined;
    default:
      return undefined;
  }
}

/** Where a reply goes. @param from MAC address of the request's frame. @see RFC 2131 section 4.1 */
export function destinationOf(request: DhcpMessage, reply: DhcpMessage, from: string): { mac: string; ip: string } {
  if (typeOf(reply) === TYPE.NAK) return { mac: BROADCAST_MAC, ip: EVERYBODY };
  if (request.ciaddr !== NONE) return { mac: from, ip: request.ciaddr };
  if (request.broadcast) return { mac: BROADCAST_MAC, ip: EVERYBODY };
  return { mac: request.chaddr, ip: reply.yiaddr };
}

/** Bytes of UDP payload that the client takes. */
export function sizeFor(request: DhcpMessage): number {
  const size = request.options.get(OPTION.MAX_SIZE)?.length === 2 ? (u16(request.options, OPTION.MAX_SIZE) ?? 0) : 0;
  return Math.min(Math.max(size - HEADERS, LEAST), MOST);
}

/**
 * The message in as many bytes as the client takes; where that is too little, without what it can live without.
 * @throws MalformedError when even the rest does not fit, which takes dozens of DNS servers
 */
export function encodeFitting(message: DhcpMessage, maxSize: number): Uint8Array {
  const options = new Map(message.options);
  for (const code of DISPENSABLE) {
    try {
      return encodeMessage({ ...message, options }, { maxSize });
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      options.delete(code);
    }
  }
  return encodeMessage({ ...message, options }, { maxSize });
}

function parameters(assignment: DhcpAssignment): (readonly [number, Uint8Array])[] {
  const { router, routes = [], mtu, hostname, search } = assignment;
  const [, length = '32'] = assignment.address?.split('/') ?? [];
  const mask = Number(length) === 0 ? 0 : (0xffff_ffff << (32 - Number(length))) >>> 0;
  const dns = assignment.dns.filter((server) => !server.includes(':'));
  const out: (readonly [number, Uint8Array])[] = [[OPTION.SUBNET_MASK, ofU32(mask)]];
  if (router !== undefined) out.push([OPTION.ROUTER, ofIps([router])]);
  if (dns.length > 0) out.push([OPTION.DNS, ofIps(dns)]);
  if (hostname !== undefined && hostname !== '') out.push([OPTION.HOSTNAME, ofText(hostname)]);
  if (mtu !== undefined) out.push([OPTION.MTU, ofU16(mtu)]);
  const [first] = search;
  if (first !== undefined) out.push([OPTION.DOMAIN, ofText(first)], [OPTION.SEARCH, encodeDomains(search)]);
  if (routes.length > 0) {
    // whoever knows option 121 takes no notice of option 3
    const all = router === undefined ? routes : [...routes, { dst: '0.0.0.0/0', gateway: router }];
    out.push([OPTION.CLASSLESS_ROUTES, ofRoutes(all)]);
  }
  return out;
}

/** What the client called itself, back to it: RFC 6842. */
function identity(id: Uint8Array | undefined): (readonly [number, Uint8Array])[] {
  return id ? [[OPTION.CLIENT_ID, id]] : [];
}

const NONE = '0.0.0.0';
const EVERYBODY = '255.255.255.255';
/** What is left out first. */
const DISPENSABLE = [OPTION.SEARCH, OPTION.HOSTNAME, OPTION.DOMAIN, OPTION.CLASSLESS_ROUTES, OPTION.MTU];
/** IP and UDP. */
const HEADERS = 28;
const LEAST = 548;
const MOST = 1472;
