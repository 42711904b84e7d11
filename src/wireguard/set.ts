import { parseIp, parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { genlHeader } from '../genetlink/index.ts';
import { NLA_F_NESTED, type NlWriter, type Request } from '../netlink/index.ts';
import {
  AF,
  WG_CMD,
  WG_GENL_VERSION,
  WG_KEY_LEN,
  WGALLOWEDIP_A,
  WGDEVICE_A,
  WGDEVICE_F,
  WGPEER_A,
  WGPEER_F,
} from './constants.ts';
import type { WgEndpoint } from './device.ts';

/** What to set of an interface; what is missing stays. Keys are in base64. @see wg(8) */
export interface WgDeviceSpec {
  readonly name: string;
  /** Empty: takes it away. */
  readonly privateKey?: string;
  /** 0: the kernel chooses one. */
  readonly port?: number;
  /** 0: none. */
  readonly fwmark?: number;
  /** Those that are not in `peers` go. */
  readonly replacePeers?: boolean;
  readonly peers?: readonly WgPeerSpec[];
}
export interface WgPeerSpec {
  readonly publicKey: string;
  /** Empty: takes it away. */
  readonly presharedKey?: string;
  readonly endpoint?: WgEndpoint;
  /** Seconds; 0: never. */
  readonly keepalive?: number;
  /** Prefixes; one that another peer has moves here. */
  readonly allowedIps?: readonly string[];
  /** Those that are not in `allowedIps` go. */
  readonly replaceAllowedIps?: boolean;
  /** Nothing but its removal. */
  readonly remove?: boolean;
  /** Only where it is there already. */
  readonly updateOnly?: boolean;
}

/**
 * WG_CMD_SET_DEVICE: as many messages as the peers need, in order. The first one has the settings, and what replaces; a peer
 * with many allowed addresses goes on in the next.
 * @throws NetloomError EBADKEY, EBADADDRESS, EBADPREFIX; nothing was sent then
 */
export function wgSet(family: number, spec: WgDeviceSpec): Request[] {
  const parts = partsOf(spec.peers ?? []);
  return (parts.length === 0 ? [[]] : parts).map((peers, i): Request => {
    const write = writerOf(spec, peers, i === 0);
    return { type: family, flags: 0, label: `WG_CMD_SET_DEVICE ${spec.name}`, body: write };
  });
}

/** A peer, or what of it is said in one message. */
interface Part {
  readonly spec: WgPeerSpec;
  readonly key: Uint8Array;
  readonly preshared: Uint8Array | undefined;
  readonly endpoint: Uint8Array | undefined;
  readonly ips: { readonly family: number; readonly bytes: Uint8Array; readonly length: number }[];
  readonly first: boolean;
}

/** A nest holds 65,535 bytes; the kernel takes longer messages than this. */
const MESSAGE = 32_000;
/** Most that a peer takes without its allowed addresses, and one of these. */
const PEER = 4 + 36 + 36 + 8 + 32 + 8 + 4;
const ALLOWED_IP = 4 + 8 + 20 + 8;

function partsOf(peers: readonly WgPeerSpec[]): Part[][] {
  const messages: Part[][] = [];
  let room = 0;
  for (const spec of peers) {
    const ips = (spec.allowedIps ?? []).map((text) => {
      const { address, length } = parsePrefix(text, { strict: true });
      return { family: address.family === 4 ? AF.INET : AF.INET6, bytes: address.bytes, length };
    });
    const key = keyOf(spec.publicKey);
    const preshared = spec.presharedKey === undefined ? undefined : keyOf(spec.presharedKey);
    const endpoint = spec.endpoint && sockaddr(spec.endpoint);
    for (let at = 0; at === 0 || at < ips.length;) {
      if (messages.length === 0 || room < PEER + ALLOWED_IP) {
        messages.push([]);
        room = MESSAGE;
      }
      room -= PEER;
      const some = ips.slice(at, at + Math.floor(room / ALLOWED_IP));
      messages.at(-1)?.push({ spec, key, preshared, endpoint, ips: some, first: at === 0 });
      room -= some.length * ALLOWED_IP;
      at += Math.max(1, some.length);
    }
  }
  return messages;
}

function writerOf(spec: WgDeviceSpec, peers: readonly Part[], first: boolean): (w: NlWriter) => void {
  const privateKey = spec.privateKey === undefined ? undefined : keyOf(spec.privateKey);
  return (w) => {
    genlHeader(w, WG_CMD.SET_DEVICE, WG_GENL_VERSION);
    w.string(WGDEVICE_A.IFNAME, spec.name);
    if (first) {
      if (privateKey) w.bytes(WGDEVICE_A.PRIVATE_KEY, privateKey);
      if (spec.port !== undefined) w.u16(WGDEVICE_A.LISTEN_PORT, spec.port);
      if (spec.fwmark !== undefined) w.u32(WGDEVICE_A.FWMARK, spec.fwmark);
      if (spec.replacePeers) w.u32(WGDEVICE_A.FLAGS, WGDEVICE_F.REPLACE_PEERS);
    }
    if (peers.length === 0) return;
    w.nest(NLA_F_NESTED | WGDEVICE_A.PEERS, () => {
      for (const peer of peers) w.nest(NLA_F_NESTED, () => writePeer(w, peer));
    });
  };
}

function writePeer(w: NlWriter, { spec, key, preshared, endpoint, ips, first }: Part): void {
  w.bytes(WGPEER_A.PUBLIC_KEY, key);
  let flags = 0;
  if (spec.updateOnly) flags |= WGPEER_F.UPDATE_ONLY;
  if (first) {
    if (spec.remove) flags |= WGPEER_F.REMOVE_ME;
    if (spec.replaceAllowedIps) flags |= WGPEER_F.REPLACE_ALLOWEDIPS;
    if (preshared) w.bytes(WGPEER_A.PRESHARED_KEY, preshared);
    if (endpoint) w.bytes(WGPEER_A.ENDPOINT, endpoint);
    if (spec.keepalive !== undefined) w.u16(WGPEER_A.PERSISTENT_KEEPALIVE_INTERVAL, spec.keepalive);
  }
  if (flags !== 0) w.u32(WGPEER_A.FLAGS, flags);
  if (ips.length === 0) return;
  w.nest(NLA_F_NESTED | WGPEER_A.ALLOWEDIPS, () => {
    for (const ip of ips) {
      w.nest(NLA_F_NESTED, () => {
        w.u16(WGALLOWEDIP_A.FAMILY, ip.family);
        w.bytes(WGALLOWEDIP_A.IPADDR, ip.bytes);
        w.u8(WGALLOWEDIP_A.CIDR_MASK, ip.length);
      });
    }
  });
}

/** struct sockaddr_in or sockaddr_in6. */
function sockaddr({ address, port, scope = 0 }: WgEndpoint): Uint8Array {
  const { family, bytes } = parseIp(address);
  const out = new Uint8Array(family === 4 ? 16 : 28);
  const view = new DataView(out.buffer);
  view.setUint16(0, family === 4 ? AF.INET : AF.INET6, true);
  view.setUint16(2, port, false);
  out.set(bytes, family === 4 ? 4 : 8);
  if (family === 6) view.setUint32(24, scope, true);
  return out;
}

/** Zeros for "none". The text is told in no error: it may be a secret. */
function keyOf(text: string): Uint8Array {
  if (text === '') return new Uint8Array(WG_KEY_LEN);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === WG_KEY_LEN) return bytes;
  throw new NetloomError(
    'EBADKEY',
    `a key is ${WG_KEY_LEN} bytes in base64, and this is none (${text.length} letters)`,
  );
}
