import { ipFromBytes } from '../addr/index.ts';
import { genlAttrs, genlFamily, type GenlFamily, genlHeader } from '../genetlink/index.ts';
import {
  MalformedError,
  type NetlinkConn,
  type NlAttrs,
  type NlMessage,
  NLM_F,
  type Request,
} from '../netlink/index.ts';
import {
  AF,
  WG_CMD,
  WG_GENL_NAME,
  WG_GENL_VERSION,
  WG_KEY_LEN,
  WGALLOWEDIP_A,
  WGDEVICE_A,
  WGPEER_A,
} from './constants.ts';

/** A WireGuard interface as the kernel has it. Keys are in base64. @see wg(8) */
export interface WgDevice {
  readonly index: number;
  readonly name: string;
  /** Missing where none is set, or where the asker may not know it. */
  readonly privateKey?: string;
  readonly publicKey?: string;
  /** UDP port it listens at. */
  readonly port: number;
  /** Mark of the packets it sends; 0: none. */
  readonly fwmark: number;
  readonly peers: readonly WgPeer[];
}
export interface WgPeer {
  readonly publicKey: string;
  readonly presharedKey?: string;
  /** Where it was set to be, or was last heard from. */
  readonly endpoint?: WgEndpoint;
  /** Seconds; 0: never. */
  readonly keepalive: number;
  /** Prefixes that are sent to it, and taken from it; canonical. */
  readonly allowedIps: readonly string[];
  /** Seconds since 1970; 0: never. */
  readonly lastHandshake: number;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
}
export interface WgEndpoint {
  /** Canonical text. */
  readonly address: string;
  readonly port: number;
  /** Interface index that a link-local address is of; missing: none. */
  readonly scope?: number;
}

/** The family's number. @throws UnsupportedError where the kernel has no WireGuard */
export function wireguardFamily(conn: NetlinkConn): Promise<GenlFamily> {
  return genlFamily(conn, WG_GENL_NAME, 'load the module wireguard (CONFIG_WIREGUARD, Linux 5.6)');
}

/** WG_CMD_GET_DEVICE: one interface with its peers, in as many messages as they need. */
export function wgGet(family: number, name: string): Request {
  return {
    type: family,
    flags: NLM_F.DUMP,
    label: `WG_CMD_GET_DEVICE ${name}`,
    body(w) {
      genlHeader(w, WG_CMD.GET_DEVICE, WG_GENL_VERSION);
      w.string(WGDEVICE_A.IFNAME, name);
    },
  };
}

/** What `wgGet` is answered: a peer whose allowed addresses are many goes on in the next message. @throws MalformedError */
export function parseWgDevice(messages: readonly NlMessage[]): WgDevice {
  const device: Writable<WgDevice> & { peers: WgPeer[] } = { index: 0, name: '', port: 0, fwmark: 0, peers: [] };
  for (const message of messages) {
    if (message.payload.length === 0) continue; // the end of an interrupted dump
    const attrs = genlAttrs(message);
    for (const a of attrs) readAttribute(a, device);
    attrs.throwIfMalformed();
  }
  if (device.peers.some((peer) => peer.publicKey === '')) throw new MalformedError('a peer without a public key');
  return device;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function readAttribute(a: NlAttrs, device: Writable<WgDevice> & { peers: WgPeer[] }): void {
  switch (a.type) {
    case WGDEVICE_A.IFINDEX:
      device.index = a.u32();
      return;
    case WGDEVICE_A.IFNAME:
      device.name = a.string();
      return;
    case WGDEVICE_A.PRIVATE_KEY:
      setKey(device, 'privateKey', readKey(a));
      return;
    case WGDEVICE_A.PUBLIC_KEY:
      setKey(device, 'publicKey', readKey(a));
      return;
    case WGDEVICE_A.LISTEN_PORT:
      device.port = a.u16();
      return;
    case WGDEVICE_A.FWMARK:
      device.fwmark = a.u32();
      return;
    case WGDEVICE_A.PEERS:
      for (const item of a.nested()) {
        const peer = readPeer(item.nested());
        const last = device.peers.at(-1);
        if (last && last.publicKey === peer.publicKey) {
          device.peers[device.peers.length - 1] = { ...last, allowedIps: [...last.allowedIps, ...peer.allowedIps] };
        } else {
          device.peers.push(peer);
        }
      }
      return;
  }
}

function readPeer(attrs: NlAttrs): WgPeer {
  const allowedIps: string[] = [];
  const peer: Writable<WgPeer> = {
    publicKey: '',
    keepalive: 0,
    allowedIps,
    lastHandshake: 0,
    rxBytes: 0n,
    txBytes: 0n,
  };
  for (const a of attrs) {
    switch (a.type) {
      case WGPEER_A.PUBLIC_KEY:
        peer.publicKey = Buffer.from(a.bytes()).toString('base64');
        break;
      case WGPEER_A.PRESHARED_KEY:
        setKey(peer, 'presharedKey', readKey(a));
        break;
      case WGPEER_A.ENDPOINT: {
        const endpoint = readEndpoint(a);
        if (endpoint) peer.endpoint = endpoint;
        break;
      }
      case WGPEER_A.PERSISTENT_KEEPALIVE_INTERVAL:
        peer.keepalive = a.u16();
        break;
      case WGPEER_A.LAST_HANDSHAKE_TIME:
        peer.lastHandshake = Number(a.u64()); // struct __kernel_timespec: seconds, then nanoseconds
        break;
      case WGPEER_A.RX_BYTES:
        peer.rxBytes = a.u64();
        break;
      case WGPEER_A.TX_BYTES:
        peer.txBytes = a.u64();
        break;
      case WGPEER_A.ALLOWEDIPS:
        for (const item of a.nested()) allowedIps.push(readAllowedIp(item.nested()));
        break;
    }
  }
  return peer;
}

function readAllowedIp(attrs: NlAttrs): string {
  let [address, length] = ['', 0];
  for (const a of attrs) {
    if (a.type === WGALLOWEDIP_A.CIDR_MASK) length = a.u8();
    else if (a.type === WGALLOWEDIP_A.IPADDR) {
      if (a.length === 4 || a.length === 16) address = ipFromBytes(a.bytes()).text;
      else a.fail(`an allowed address of ${a.length} bytes`);
    }
  }
  return `${address}/${length}`;
}

/** struct sockaddr_in or sockaddr_in6; undefined where it is neither. */
function readEndpoint(a: NlAttrs): WgEndpoint | undefined {
  const bytes = a.bytes();
  if (bytes.length < 16) {
    a.fail(`a socket address of ${bytes.length} bytes`);
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = view.getUint16(0, true);
  const port = view.getUint16(2, false);
  if (family === AF.INET) return { address: ipFromBytes(bytes.subarray(4, 8)).text, port };
  if (family !== AF.INET6 || bytes.length < SOCKADDR_IN6) return undefined;
  const scope = view.getUint32(24, true);
  return { address: ipFromBytes(bytes.subarray(8, 24)).text, port, ...(scope !== 0 && { scope }) };
}
const SOCKADDR_IN6 = 28;

/** Undefined for one that is all zero, with which the kernel says "none". */
function readKey(a: NlAttrs): string | undefined {
  const bytes = a.bytes();
  if (bytes.length !== WG_KEY_LEN) {
    a.fail(`a key of ${bytes.length} bytes`);
    return undefined;
  }
  return bytes.every((byte) => byte === 0) ? undefined : Buffer.from(bytes).toString('base64');
}

function setKey<K extends string>(into: { [P in K]?: string }, name: K, key: string | undefined): void {
  if (key !== undefined) into[name] = key as never;
}
