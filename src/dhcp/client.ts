import { withoutLength } from '../addr/index.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { type DeafPort, deafUdpIn, ERRNO, type Fd, type Netns, PacketSocket, SyscallError } from '../kernel/index.ts';
import { drive, refusal, silence, unusable } from './drive.ts';
import { MalformedError } from './errors.ts';
import {
  arpClaim,
  arpProbe,
  BROADCAST_MAC,
  ETH_P_ARP,
  ETH_P_IP,
  everything,
  PORT,
  readUdp4,
  udp4Filter,
  udp4Frame,
} from './frame.ts';
import { addressOf, type DhcpLease } from './lease.ts';
import { type DhcpAction, type DhcpGoal, type DhcpIdentity, DhcpMachine, releaseMessage } from './machine.ts';
import { decodeMessage, type DhcpMessage, encodeMessage } from './message.ts';

/** Which client, and where. */
export interface DhcpOptions extends DhcpIdentity {
  readonly netns: Netns;
  /** An interface of that namespace which is up; it needs no address. */
  readonly ifname: string;
  readonly signal?: AbortSignal;
  /** Milliseconds until it is given up; default 20000, which is five messages. */
  readonly timeoutMs?: number;
}

export interface AcquireOptions extends DhcpOptions {
  /** An address that was ours before: asked for first. */
  readonly requested?: string;
  /**
   * How long to listen for another owner of the address before it is taken, milliseconds; 0 takes the server's word.
   * Default 200: whoever is awake on a LAN answers sooner. @see RFC 2131 section 4.4.1
   */
  readonly probeMs?: number;
}

/**
 * Gets an IPv4 lease from the DHCP server of the link. The interface is not changed: the caller sets what the lease
 * says. A MAC address that is not the interface's own makes a virtual client, which is answered by broadcast.
 * @throws DhcpError EDHCP when no server gave one in time, or the interface went down; SyscallError ENODEV, EPERM
 */
export function dhcpAcquire(options: AcquireOptions): Promise<DhcpLease> {
  const { requested, probeMs = 200 } = options;
  const wish = requested === undefined ? {} : { requested: withoutLength(requested) };
  return exchange(options, { kind: 'acquire', ...wish, probe: probeMs > 0 }, probeMs);
}

/**
 * More time for a lease: from its own server, or from any once T2 has passed. The address has to be on the interface
 * already, since the server answers to it; a virtual client asks as after a reboot instead.
 * @throws DhcpError EDHCP; with `refused` when a server says that the lease is void; SyscallError ENODEV, EPERM
 */
export async function dhcpRenew(lease: DhcpLease, options: DhcpOptions): Promise<DhcpLease> {
  const kind = Date.now() < lease.rebindAt ? 'renew' : 'rebind';
  return exchange(options, { kind, lease }, 0);
}

/** Gives a lease back. One message, which no server acknowledges. @throws DhcpError EDHCP where the interface is down; SyscallError ENODEV, EPERM */
export async function dhcpRelease(lease: DhcpLease, options: DhcpOptions): Promise<void> {
  using socket = openSocket(options);
  transmit(socket, releaseMessage(options, lease, Math.random), lease);
}

async function exchange(options: DhcpOptions, goal: DhcpGoal, probeMs: number): Promise<DhcpLease> {
  const { netns, ifname, signal, timeoutMs = 20_000 } = options;
  signal?.throwIfAborted();
  using socket = openSocket(options);
  const virtual = socket.mac !== options.mac.toLowerCase();
  const client = virtual ? { ...options, broadcast: true } : options;
  // a virtual client's address is nobody's on the link, so that no unicast answer can reach it
  const asked: DhcpGoal =
    virtual && goal.kind !== 'acquire' ? { kind: 'acquire', requested: addressOf(goal.lease), probe: false } : goal;
  using _port = holdPort(netns, { family: 4, port: PORT.CLIENT, index: socket.index });
  const machine = new DhcpMachine(client, asked, Math.random);
  const where = placeOf(netns, ifname);
  const lease = await drive<DhcpMessage, DhcpAction, DhcpLease>({
    ...{ socket, machine, where, signal, timeoutMs, read: readAnswer },
    silence: () => silence(where, goal.kind === 'acquire' ? 'gave a lease' : 'renewed the lease', machine, timeoutMs),
    perform: (action, { resolve, reject, step }) => {
      if (action.kind === 'bound') resolve(action.lease);
      else if (action.kind === 'refused') reject(refusal(where, action.reason));
      else if (action.kind === 'send') transmit(socket, action.message, action.to);
      else {
        const answer = probe(options, action.address, probeMs);
        void answer.then((owner) => step((now) => machine.probed(owner, now)), reject);
      }
    },
  });
  if (goal.kind !== 'acquire' && addressOf(lease) !== addressOf(goal.lease)) {
    throw refusal(where, `${lease.server} gave ${addressOf(lease)} instead`);
  }
  return lease;
}

function openSocket({ netns, ifname }: DhcpOptions): PacketSocket {
  try {
    return PacketSocket.open(netns, ifname, { protocol: ETH_P_IP, filter: udp4Filter(PORT.CLIENT) });
  } catch (error) {
    throw error instanceof SyscallError && error.code === 'ENETDOWN' ? unusable(placeOf(netns, ifname), error) : error;
  }
}
export function placeOf(netns: Netns, ifname: string): string {
  return `${ifname} in ${netns.label}`;
}

/** Keeps the kernel from telling servers that nobody listens. Not having it is no harm. */
export function holdPort(netns: Netns, port: DeafPort): Fd | undefined {
  try {
    return deafUdpIn(netns, port);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

function transmit(socket: PacketSocket, message: DhcpMessage, to: 'everybody' | DhcpLease): void {
  const all = to === 'everybody';
  const frame = udp4Frame({
    srcMac: message.chaddr,
    dstMac: all ? BROADCAST_MAC : to.serverMac,
    src: message.ciaddr,
    dst: all ? '255.255.255.255' : to.server,
    sport: PORT.CLIENT,
    dport: PORT.SERVER,
    payload: encodeMessage(message),
  });
  try {
    socket.send(frame);
  } catch (error) {
    // as good as lost on the way: it is sent again
    if (!(error instanceof SyscallError && error.errno === ERRNO.ENOBUFS)) throw error;
  }
}

function readAnswer(frame: Uint8Array): { message: DhcpMessage; from: string } | undefined {
  const datagram = readUdp4(frame);
  if (!datagram || datagram.dport !== PORT.CLIENT) return undefined;
  try {
    return { message: decodeMessage(datagram.payload), from: datagram.srcMac };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** The MAC address of whoever has `address`, as far as is heard within `ms`. */
async function probe(options: DhcpOptions, address: string, ms: number): Promise<string | undefined> {
  using socket = PacketSocket.open(options.netns, options.ifname, { protocol: ETH_P_ARP, filter: everything() });
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const mac = options.mac.toLowerCase();
  socket.listen({
    frames: (frames) => {
      for (const frame of frames) {
        const owner = arpClaim(frame, mac, address);
        if (owner !== undefined) resolve(owner);
      }
    },
    ended: reject,
  });
  const stop = new AbortController();
  const twice = async (): Promise<undefined> => {
    for (let i = 0; i < 2; i++) {
      socket.send(arpProbe(mac, address));
      await delay(ms / 2, undefined, { signal: stop.signal });
    }
    return undefined;
  };
  const asked = twice();
  asked.catch(() => undefined);
  try {
    return await Promise.race([promise, asked]);
  } finally {
    stop.abort();
  }
}
