import { setTimeout as delay } from 'node:timers/promises';
import { ERRNO, type Netns, PacketSocket, sourceAddressIn, SyscallError } from '../kernel/index.ts';
import { holdPort, placeOf } from './client.ts';
import { drive, refusal, silence, unusable } from './drive.ts';
import { DhcpError, MalformedError } from './errors.ts';
import { ETH_P_IPV6, PORT, readUdp6, router6Filter, udp6Frame } from './frame.ts';
import { type Dhcp6Action, type Dhcp6Goal, type Dhcp6Info, type Dhcp6Lease, Dhcp6Machine } from './machine6.ts';
import { decodeMessage6, type Dhcp6Message, duidOf, encodeMessage6 } from './message6.ts';

/** Which client, and where. */
export interface Dhcp6Options {
  readonly netns: Netns;
  /** An interface of that namespace which is up, and has a link-local address or is about to. */
  readonly ifname: string;
  readonly mac: string;
  /** Hexadecimal; default one of the MAC address. */
  readonly duid?: string;
  /** Which of the client's interfaces; default 1. */
  readonly iaid?: number;
  readonly signal?: AbortSignal;
  /** Default 20000. */
  readonly timeoutMs?: number;
}

/**
 * Gets one IPv6 address from a DHCPv6 server of the link. Routes and on-link prefixes are none of DHCPv6's business:
 * advertisements tell them. @throws DhcpError EDHCP; SyscallError ENODEV, EPERM
 */
export async function dhcp6Acquire(options: Dhcp6Options): Promise<Dhcp6Lease> {
  return (await exchange(options, { kind: 'acquire' })) as Dhcp6Lease;
}
/** More time, from its own server or from any once T2 has passed. @throws DhcpError EDHCP, `refused` when it is void */
export async function dhcp6Renew(lease: Dhcp6Lease, options: Dhcp6Options): Promise<Dhcp6Lease> {
  const kind = Date.now() < lease.rebindAt ? 'renew' : 'rebind';
  return (await exchange({ ...options, iaid: lease.iaid }, { kind, lease })) as Dhcp6Lease;
}
/** Gives the lease back. Comes back when the server has it, or after four messages that nobody answered. */
export async function dhcp6Release(lease: Dhcp6Lease, options: Dhcp6Options): Promise<void> {
  await exchange({ ...options, iaid: lease.iaid }, { kind: 'release', lease });
}
/** What the link's server tells besides addresses. @throws DhcpError EDHCP */
export async function dhcp6Info(options: Dhcp6Options): Promise<Dhcp6Info> {
  return (await exchange(options, { kind: 'info' })) as Dhcp6Info;
}

async function exchange(options: Dhcp6Options, goal: Dhcp6Goal): Promise<Dhcp6Lease | Dhcp6Info | undefined> {
  const { netns, ifname, signal, timeoutMs = 20_000, mac, duid = duidOf(mac), iaid = 1 } = options;
  signal?.throwIfAborted();
  const began = Date.now();
  const where = placeOf(netns, ifname);
  using socket = openSocket(netns, ifname);
  using _port = holdPort(netns, { family: 6, port: PORT.CLIENT6, index: socket.index });
  const src = await linkLocal(options, socket.index, began + timeoutMs);
  const machine = new Dhcp6Machine({ duid, iaid }, goal, Math.random);
  const ports = { sport: PORT.CLIENT6, dport: PORT.SERVER6 };
  return await drive<Dhcp6Message, Dhcp6Action, Dhcp6Lease | Dhcp6Info | undefined>({
    ...{ socket, machine, where, signal, read: readAnswer },
    timeoutMs: Math.max(1, began + timeoutMs - Date.now()),
    silence: () =>
      silence(where, goal.kind === 'acquire' ? 'gave an IPv6 lease' : `answered to ${goal.kind}`, machine, timeoutMs),
    perform: (action, { resolve, reject }) => {
      switch (action.kind) {
        case 'bound':
          return resolve(action.lease);
        case 'informed':
          return resolve(action.info);
        case 'released':
          return resolve(undefined);
        case 'refused':
          return reject(refusal(where, action.reason));
        case 'send':
          return transmit(
            socket,
            udp6Frame({
              srcMac: socket.mac,
              dstMac: ALL_SERVERS_MAC,
              src,
              dst: ALL_SERVERS,
              ...ports,
              payload: encodeMessage6(action.message),
            }),
          );
      }
    },
  });
}

function openSocket(netns: Netns, ifname: string): PacketSocket {
  try {
    return PacketSocket.open(netns, ifname, { protocol: ETH_P_IPV6, filter: router6Filter(PORT.CLIENT6) });
  } catch (error) {
    throw error instanceof SyscallError && error.code === 'ENETDOWN' ? unusable(placeOf(netns, ifname), error) : error;
  }
}

/** The interface's link-local address, once duplicate detection is through with it, which takes a second or two. */
async function linkLocal({ netns, ifname, signal }: Dhcp6Options, index: number, deadline: number): Promise<string> {
  for (;;) {
    try {
      const address = sourceAddressIn(netns, ALL_SERVERS, index);
      if (address.startsWith('fe8')) return address;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
    }
    if (Date.now() >= deadline) {
      throw new DhcpError(`${placeOf(netns, ifname)}: it has no link-local address, which DHCPv6 speaks from`, {
        hint: 'set the interface up with IPv6 enabled (net.ipv6.conf.*.disable_ipv6, addr_gen_mode)',
      });
    }
    await delay(50, undefined, signal ? { signal } : {});
  }
}

function transmit(socket: PacketSocket, frame: Uint8Array): void {
  try {
    socket.send(frame);
  } catch (error) {
    if (!(error instanceof SyscallError && error.errno === ERRNO.ENOBUFS)) throw error;
  }
}

function readAnswer(frame: Uint8Array): { message: Dhcp6Message; from: string } | undefined {
  const datagram = readUdp6(frame);
  if (!datagram || datagram.dport !== PORT.CLIENT6) return undefined;
  try {
    return { message: decodeMessage6(datagram.payload), from: datagram.srcMac };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** RFC 8415 section 7.1, RFC 2464 section 7 */
const ALL_SERVERS = 'ff02::1:2';
const ALL_SERVERS_MAC = '33:33:00:01:00:02';
