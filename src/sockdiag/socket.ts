import { ipFromBytes } from '../addr/index.ts';
import type { Netns } from '../kernel/index.ts';
import {
  MalformedError,
  NETLINK,
  NetlinkConn,
  NlAttrs,
  type NlMessage,
  NLM_F,
  type Request,
} from '../netlink/index.ts';

/** Which sockets: all that listen (TCP), or all that are bound (UDP). */
export interface SocketQuery {
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
}

/** A socket that holds a port. */
export interface BoundSocket {
  readonly family: 4 | 6;
  /** Canonical text; `0.0.0.0` and `::` are every address. */
  readonly address: string;
  readonly port: number;
  /** An IPv6 socket that takes no IPv4. */
  readonly v6only: boolean;
  /** Interface index where it is bound to one; else 0. */
  readonly scope: number;
}

/**
 * Every socket of a namespace that holds a port of a protocol, in both families: TCP sockets that listen, UDP sockets that
 * are bound. One exchange a family, however many ports are of interest.
 * @throws SyscallError; NetlinkError ENOENT, EINVAL where the kernel has no inet_diag (CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG)
 */
export async function boundSockets(netns: Netns | undefined, protocol: 'tcp' | 'udp'): Promise<BoundSocket[]> {
  using conn = NetlinkConn.open(NETLINK.SOCK_DIAG, netns);
  const sockets: BoundSocket[] = [];
  for (const family of [4, 6] as const) {
    for (const message of await conn.execute(socketDump({ family, protocol }))) sockets.push(parseSocket(message));
  }
  return sockets;
}

/** linux/sock_diag.h SOCK_DIAG_BY_FAMILY, as a dump: struct inet_diag_req_v2 */
export function socketDump({ family, protocol }: SocketQuery): Request {
  return {
    type: SOCK_DIAG_BY_FAMILY,
    flags: NLM_F.DUMP,
    label: `SOCK_DIAG_BY_FAMILY ${protocol} IPv${family}`,
    body(w) {
      w.rawU8(family === 4 ? AF_INET : AF_INET6).rawU8(IPPROTO[protocol]);
      w.rawU8(0).rawU8(0); // no extensions
      w.rawU32(protocol === 'tcp' ? 1 << TCP_LISTEN : ALL_STATES);
      w.rawBytes(new Uint8Array(SOCKID_SIZE)); // any
    },
  };
}

/** struct inet_diag_msg with its attributes. @throws MalformedError */
export function parseSocket(message: NlMessage): BoundSocket {
  const { payload } = message;
  if (payload.length < MESSAGE_SIZE) {
    throw new MalformedError(`inet_diag_msg of ${payload.length} bytes, ${MESSAGE_SIZE} wanted`);
  }
  const family = payload[0] === AF_INET6 ? 6 : 4;
  const attrs = new NlAttrs(payload, MESSAGE_SIZE);
  let v6only = false;
  for (const a of attrs) if (a.type === INET_DIAG_SKV6ONLY) v6only = a.u8() !== 0;
  attrs.throwIfMalformed();
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  return {
    family,
    address: ipFromBytes(new Uint8Array(payload.subarray(8, family === 4 ? 12 : 24))).text,
    port: view.getUint16(4, false),
    v6only,
    scope: view.getUint32(40, true),
  };
}

/** linux/sock_diag.h, linux/inet_diag.h */
const SOCK_DIAG_BY_FAMILY = 20;
const INET_DIAG_SKV6ONLY = 11;
/** struct inet_diag_sockid: two ports, two addresses of 16 bytes, an interface, a cookie. */
const SOCKID_SIZE = 48;
/** struct inet_diag_msg: four bytes, an inet_diag_sockid, five numbers. */
const MESSAGE_SIZE = 72;
/** net/tcp_states.h */
const TCP_LISTEN = 10;
const ALL_STATES = 0xffff_ffff;
/** linux/socket.h, linux/in.h */
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO = { tcp: 6, udp: 17 } as const;
