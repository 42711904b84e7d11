import { createHash } from 'node:crypto';
import { deafUdpIn, type Fd, type Netns, PacketSocket, sourceAddressIn, SyscallError } from '../kernel/index.ts';
import { Budget } from './budget.ts';
import { MalformedError } from './errors.ts';
import {
  type Datagram,
  ETH_P_IP,
  ETH_P_IPV6,
  icmp6Frame,
  PORT,
  readIcmp6,
  sourceOf,
  readUdp4,
  readUdp6,
  router6Filter,
  udp4Filter,
  udp4Frame,
  udp6Frame,
} from './frame.ts';
import { decodeMessage } from './message.ts';
import { decodeSolicitation, encodeAdvertisement } from './ra.ts';
import type { ResponderNetwork, ResponderOptions } from './responder.ts';
import { advertisement } from './router.ts';
import { decodeMessage6, encodeMessage6 } from './message6.ts';
import { destinationOf, type DhcpAssignment, encodeFitting, replyTo, sizeFor } from './server.ts';
import { replyTo6 } from './server6.ts';

/** The sockets of one bridge, and what is said over them. Ends with the bridge. */
export class ResponderLink {
  #spec: ResponderNetwork;
  readonly #options: ResponderOptions;
  readonly #resources = new DisposableStack();
  readonly #four: PacketSocket;
  readonly #six: PacketSocket | undefined;
  readonly #budget = new Budget();
  readonly #lost: (error: unknown) => void;
  #told = '';

  private constructor(spec: ResponderNetwork, options: ResponderOptions, lost: (error: unknown) => void) {
    this.#spec = spec;
    this.#options = options;
    this.#lost = lost;
    const { netns } = options;
    try {
      this.#four = this.#resources.use(
        PacketSocket.open(netns, spec.bridge, { protocol: ETH_P_IP, filter: udp4Filter(PORT.SERVER) }),
      );
      const { index } = this.#four;
      this.#resources.use(hold(netns, { family: 4, port: PORT.SERVER, index }));
      this.#six = this.#resources.use(
        PacketSocket.open(netns, spec.bridge, { protocol: ETH_P_IPV6, filter: router6Filter(PORT.SERVER6) }),
      );
      this.#resources.use(hold(netns, { family: 6, port: PORT.SERVER6, index, groups: [ALL_ROUTERS, ALL_SERVERS] }));
    } catch (error) {
      this.#resources.dispose();
      throw error;
    }
  }

  /** @param lost is called when the bridge went down or away. @throws SyscallError ENODEV, EPERM */
  static open(spec: ResponderNetwork, options: ResponderOptions, lost: (error: unknown) => void): ResponderLink {
    const link = new ResponderLink(spec, options, lost);
    link.#listen(link.#four, (frame) => link.#dhcp4(frame));
    link.#listen(link.#six!, (frame) => link.#v6(frame));
    return link;
  }

  change(spec: ResponderNetwork): void {
    this.#spec = spec;
  }
  close(): void {
    this.#resources.dispose();
  }

  /**
   * One advertisement to each, addressed to all nodes but sent to that one alone (RFC 6085): others on the bridge, the
   * containers, are configured already. False while the bridge has no link-local address to send it from.
   */
  advertise(macs: Iterable<string>): boolean {
    const { router } = this.#spec;
    const src = router && this.#linkLocal();
    if (!router || src === undefined) return router === undefined;
    const srcMac = this.#six!.mac;
    const payload = encodeAdvertisement(advertisement(router, srcMac));
    for (const dstMac of macs) this.#send(this.#six!, icmp6Frame({ srcMac, dstMac, src, dst: ALL_NODES, payload }));
    return true;
  }

  #listen(socket: PacketSocket, take: (frame: Uint8Array) => void): void {
    socket.listen({
      frames: (frames) => {
        for (const frame of frames) {
          if (socket.closed) return;
          // whatever the directory says, or fails to say: others are served all the same
          try {
            take(frame);
          } catch (error) {
            this.#trouble(error);
          }
        }
      },
      ended: (error) => this.#lost(error),
    });
  }

  #dhcp4(frame: Uint8Array): void {
    const { server, network } = this.#spec;
    if (server === undefined) return;
    // strangers and floods go before anything is read
    const from = sourceOf(frame);
    const assignment = this.#options.lookup(network, from);
    if (!assignment || !this.#budget.take(from)) return;
    const datagram = readUdp4(frame);
    if (!datagram || datagram.sport !== PORT.CLIENT) return;
    const request = decoded(decodeMessage, datagram.payload);
    // nobody speaks for another
    if (request?.chaddr !== from) return;
    const reply = replyTo(request, assignment, server);
    if (!reply) return;
    if (reply.message) {
      const to = destinationOf(request, reply.message, from);
      const payload = encodeFitting(reply.message, sizeFor(request));
      this.#send(
        this.#four,
        udp4Frame({
          srcMac: this.#four.mac,
          dstMac: to.mac,
          src: server,
          dst: to.ip,
          sport: PORT.SERVER,
          dport: PORT.CLIENT,
          payload,
        }),
      );
    }
    const address = assignment.address;
    this.#options.onEvent?.({
      network,
      mac: from,
      outcome: reply.outcome,
      ...(address === undefined ? {} : { address }),
    });
  }

  #v6(frame: Uint8Array): void {
    const { network, router } = this.#spec;
    if (!router) return;
    const mac = sourceOf(frame);
    const assignment = this.#options.lookup(network, mac);
    if (!assignment || !this.#budget.take(mac)) return;
    const datagram = readUdp6(frame);
    if (datagram) this.#dhcp6(datagram, assignment);
    const packet = datagram ? undefined : readIcmp6(frame);
    if (!packet || !decoded(decodeSolicitation, packet.payload)) return;
    if (this.advertise([mac])) this.#options.onEvent?.({ network, mac, outcome: 'advert' });
  }

  #dhcp6(datagram: Datagram, assignment: DhcpAssignment): void {
    const src = this.#linkLocal();
    // clients speak from their link-local address
    if (datagram.sport !== PORT.CLIENT6 || !datagram.src.startsWith('fe8') || src === undefined) return;
    const { network } = this.#spec;
    const request = decoded(decodeMessage6, datagram.payload);
    const reply = request && replyTo6(request, assignment, serverDuid(network));
    if (!reply) return;
    const mac = datagram.srcMac;
    const payload = encodeMessage6(reply.message);
    const ports = { sport: PORT.SERVER6, dport: PORT.CLIENT6 };
    this.#send(
      this.#six!,
      udp6Frame({ srcMac: this.#six!.mac, dstMac: mac, src, dst: datagram.src, ...ports, payload }),
    );
    const address = assignment.address6;
    this.#options.onEvent?.({ network, mac, outcome: reply.outcome, ...(address === undefined ? {} : { address }) });
  }

  #send(socket: PacketSocket, frame: Uint8Array): void {
    try {
      socket.send(frame);
    } catch (error) {
      // as good as lost on the way; a bridge that is gone is told by the socket itself
      if (!(error instanceof SyscallError && PASSING.has(error.code))) throw error;
    }
  }

  /** Told once, until it is another: a machine asks again and again. */
  #trouble(error: unknown): void {
    const text = String(error);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.onTrouble?.(this.#spec.network, error);
  }

  #linkLocal(): string | undefined {
    try {
      const address = sourceAddressIn(this.#options.netns, ALL_NODES, this.#four.index);
      return address.startsWith('fe8') ? address : undefined;
    } catch (error) {
      if (error instanceof SyscallError) return undefined;
      throw error;
    }
  }
}

/** What a packet says; undefined where it contradicts itself, which is its sender's affair. */
function decoded<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** The same for a network at every start: a DUID-UUID (RFC 6355), out of its name. */
function serverDuid(network: string): string {
  return `0004${createHash('sha256').update(`netloom ${network}`).digest('hex').slice(0, 32)}`;
}

/** Keeps the kernel from answering that nobody listens. Another DHCP server of this host may hold the port: then it does. */
function hold(netns: Netns | undefined, port: Parameters<typeof deafUdpIn>[1]): Fd | undefined {
  try {
    return deafUdpIn(netns, port);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

const PASSING: ReadonlySet<string> = new Set(['ENETDOWN', 'ENOBUFS', 'ENXIO', 'ENODEV', 'EAGAIN']);
const ALL_NODES = 'ff02::1';
const ALL_ROUTERS = 'ff02::2';
/** All_DHCP_Relay_Agents_and_Servers: RFC 8415 section 7.1 */
const ALL_SERVERS = 'ff02::1:2';
