import { parseIp } from '../addr/index.ts';
import { hasCode } from '../errors.ts';
import { type Netns, probePort } from '../kernel/index.ts';
import type { PublishedPort } from '../model/index.ts';
import { type BoundSocket, boundSockets } from '../sockdiag/index.ts';

/** So many ports are tried by binding; for more, the kernel is asked once for all sockets. */
const BINDS = 16;

/**
 * Which ports the host's programs hold, for one request. A few are tried by binding to them for a moment, which is exact
 * and costs the same on any host, 25 µs each; for many, sock_diag(7) lists all sockets of the protocol at once.
 *
 * The two differ in one point: a TCP socket that is bound and does not listen, an outgoing connection among them, keeps
 * others from binding, but not from being reached through a published port. The list leaves it out.
 */
export class HostSockets {
  readonly #host: Netns;
  #binds = 0;
  /** Addresses that were bound to. */
  readonly #own = new Set<string>();
  /** By protocol, then by port; undefined where the kernel has no such list. */
  readonly #lists = new Map<string, ReadonlyMap<number, readonly BoundSocket[]> | undefined>();

  constructor(host: Netns) {
    this.#host = host;
  }

  /**
   * The first of a range that somebody listens on.
   * @throws SyscallError EADDRNOTAVAIL where the host does not have the address
   */
  async firstHeld(port: PublishedPort): Promise<number | undefined> {
    const last = port.hostPort + port.count - 1;
    for (let number = port.hostPort; number <= last; number++) {
      // each address is tried once: only binding tells that it is the host's
      const list =
        this.#binds >= BINDS && this.#own.has(port.hostAddress) ? await this.#list(port.protocol) : undefined;
      if (!list) {
        this.#binds++;
        this.#own.add(port.hostAddress);
        if (!probePort(this.#host, { protocol: port.protocol, address: port.hostAddress, port: number })) return number;
      } else if (list.get(number)?.some((socket) => collides(port.hostAddress, socket))) {
        return number;
      }
    }
    return undefined;
  }

  async #list(protocol: PublishedPort['protocol']): Promise<ReadonlyMap<number, readonly BoundSocket[]> | undefined> {
    if (protocol === 'sctp') return undefined; // its sockets are in another list, of a module that hardly any host has
    if (!this.#lists.has(protocol)) this.#lists.set(protocol, await listSockets(this.#host, protocol));
    return this.#lists.get(protocol);
  }
}

async function listSockets(
  host: Netns,
  protocol: 'tcp' | 'udp',
): Promise<ReadonlyMap<number, readonly BoundSocket[]> | undefined> {
  try {
    return Map.groupBy(await boundSockets(host, protocol), (socket) => socket.port);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT')) return undefined;
    throw error;
  }
}

/**
 * Whether a socket keeps a listener from an address: of the same family when one of them means all addresses; and an
 * IPv6 socket for all, which takes IPv4 too unless it said otherwise, from any IPv4 address. Ours takes IPv6 only.
 * @see ipv6(7) IPV6_V6ONLY
 */
export function collides(address: string, socket: BoundSocket): boolean {
  const mapped = /^::ffff:(\d.*)$/.exec(socket.address)?.[1];
  const own = parseIp(address);
  if (mapped !== undefined) return own.family === 4 && meets(own.text, mapped);
  if (own.family === socket.family) return meets(own.text, socket.address);
  return own.family === 4 && socket.address === '::' && !socket.v6only;
}

function meets(a: string, b: string): boolean {
  return a === b || isAny(a) || isAny(b);
}

function isAny(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
