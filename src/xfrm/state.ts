import { NlAttrs, type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import { IPPROTO_ESP, XFRM_MODE, XFRM_MSG, XFRM_STATE, XFRMA } from './constants.ts';
import {
  afOf,
  Struct,
  writeAddress,
  writeId,
  writeLimits,
  writeSelector,
  writeSpi,
  type XfrmLimits,
} from './structs.ts';

/** Which state: the kernel knows it by where its packets go to, and by their SPI. */
export interface XfrmStateId {
  /** Outer destination. */
  readonly dst: string;
  readonly spi: number;
}

/** A security association of ESP in tunnel mode, for inner packets of either family. @see ip-xfrm(8), RFC 4303 */
export interface XfrmStateSpec extends XfrmStateId {
  /** Outer source. */
  readonly src: string;
  /** What ties it to templates of policies. */
  readonly reqid: number;
  /** Interface id of a link of kind xfrm; missing: none. */
  readonly ifId?: number;
  readonly aead: XfrmAead;
  /** Packets that may come late. Sequence numbers have 64 bits. */
  readonly replayWindow: number;
  readonly limits?: XfrmLimits;
}
export interface XfrmAead {
  /** As the kernel's crypto calls it: `rfc4106(gcm(aes))`. */
  readonly name: string;
  /** With what the algorithm takes behind the key itself. */
  readonly key: Uint8Array;
  /** Bits of the integrity check value. */
  readonly icvBits: number;
}

/** A state as the kernel has it, of whatever protocol. */
export interface XfrmState extends XfrmStateId {
  readonly src: string;
  /** 50: ESP. */
  readonly proto: number;
  readonly mode: 'transport' | 'tunnel' | 'other';
  readonly reqid: number;
  /** 0: none. */
  readonly ifId: number;
  /** Inner packets of either family. */
  readonly anyFamily: boolean;
  /** Missing where it has another sort of algorithm. */
  readonly aead?: XfrmAead;
  /** Sequence numbers of 64 bits. */
  readonly esn: boolean;
  readonly replayWindow: number;
  /** The last sequence number that was sent; 0 without `esn`. */
  readonly sent: bigint;
  readonly limits: XfrmLimits;
  readonly bytes: bigint;
  readonly packets: bigint;
  /** Seconds since 1970. */
  readonly added: bigint;
  /** Packets that came twice, and that were not what they said. */
  readonly replayed: number;
  readonly failed: number;
}

/** XFRM_MSG_NEWSA: refused where it is there. The error names no key. */
export function stateAdd(spec: XfrmStateSpec): Request {
  return {
    type: XFRM_MSG.NEWSA,
    flags: 0,
    label: `XFRM_MSG_NEWSA src=${spec.src} dst=${spec.dst} spi=${spiText(spec.spi)}`,
    body: (w) => writeState(w, spec),
  };
}

/** XFRM_MSG_DELSA */
export function stateDelete(id: XfrmStateId): Request {
  return { ...stateRequest(XFRM_MSG.DELSA, 'XFRM_MSG_DELSA', id), flags: 0 };
}
/** XFRM_MSG_GETSA: one */
export function stateGet(id: XfrmStateId): Request {
  return stateRequest(XFRM_MSG.GETSA, 'XFRM_MSG_GETSA', id);
}
/** XFRM_MSG_GETSA: all, with their keys where the asker may know them. */
export function stateDump(): Request {
  return { type: XFRM_MSG.GETSA, flags: NLM_F.DUMP, label: 'XFRM_MSG_GETSA', body: () => {} };
}

/** `0x00001234`, as ip-xfrm(8) writes it. */
export function spiText(spi: number): string {
  return `0x${spi.toString(16).padStart(8, '0')}`;
}

/** struct xfrm_usersa_info with its attributes. @throws MalformedError */
export function parseState({ payload }: NlMessage): XfrmState {
  const { state, attrs } = parseStateAt(payload, 0, USERSA_INFO_SIZE);
  attrs.throwIfMalformed();
  return state;
}

/** As `parseState`, where the attributes do not follow at once. */
export function parseStateAt(payload: Uint8Array, at: number, next: number): { state: XfrmState; attrs: NlAttrs } {
  const info = new Struct(payload, at, USERSA_INFO_SIZE, 'xfrm_usersa_info');
  const family = info.u16(212);
  const flags = info.u8(216);
  const mode = info.u8(214);
  let ifId = 0;
  let aead: XfrmAead | undefined;
  let window = info.u8(215);
  let sent = 0n;
  const attrs = new NlAttrs(payload, next);
  for (const a of attrs) {
    if (a.type === XFRMA.IF_ID) ifId = a.u32();
    else if (a.type === XFRMA.ALG_AEAD) aead = readAead(a);
    else if (a.type === XFRMA.REPLAY_ESN_VAL && a.length >= REPLAY_ESN_SIZE) {
      const esn = new Struct(a.bytes(), 0, REPLAY_ESN_SIZE, 'xfrm_replay_state_esn');
      sent = (BigInt(esn.u32(12)) << 32n) | BigInt(esn.u32(4));
      window = esn.u32(20);
    }
  }
  const state: XfrmState = {
    src: info.address(80, family),
    dst: info.address(56, family),
    spi: info.u32be(72),
    proto: info.u8(76),
    mode: mode === XFRM_MODE.tunnel ? 'tunnel' : mode === XFRM_MODE.transport ? 'transport' : 'other',
    reqid: info.u32(208),
    ifId,
    anyFamily: (flags & XFRM_STATE.AF_UNSPEC) !== 0,
    ...(aead && { aead }),
    esn: (flags & XFRM_STATE.ESN) !== 0,
    replayWindow: window,
    sent,
    limits: info.limits(96),
    bytes: info.u64(160),
    packets: info.u64(168),
    added: info.u64(176),
    replayed: info.u32(196),
    failed: info.u32(200),
  };
  return { state, attrs };
}

/** struct xfrm_usersa_info, and the attributes in ip-xfrm(8)'s order. */
function writeState(w: NlWriter, spec: XfrmStateSpec): void {
  writeSelector(w, undefined);
  writeId(w, { dst: spec.dst, spi: spec.spi, proto: IPPROTO_ESP });
  writeAddress(w, spec.src);
  writeLimits(w, spec.limits);
  w.rawBytes(new Uint8Array(32 + 12)); // struct xfrm_lifetime_cur, struct xfrm_stats
  w.rawU32(0).rawU32(spec.reqid).rawU16(afOf(spec.dst)).rawU8(XFRM_MODE.tunnel).rawU8(0);
  w.rawU8(XFRM_STATE.AF_UNSPEC | XFRM_STATE.ESN).rawBytes(new Uint8Array(7));
  const words = Math.ceil(spec.replayWindow / 32);
  const replay = new Uint8Array(REPLAY_ESN_SIZE); // the bitmap itself may be left out, and begins empty
  const view = new DataView(replay.buffer);
  view.setUint32(0, words, true);
  view.setUint32(20, spec.replayWindow, true);
  w.bytes(XFRMA.REPLAY_ESN_VAL, replay);
  if (spec.ifId !== undefined) w.u32(XFRMA.IF_ID, spec.ifId);
  w.bytes(XFRMA.ALG_AEAD, aeadBytes(spec.aead));
}

/** struct xfrm_algo_aead */
function aeadBytes({ name, key, icvBits }: XfrmAead): Uint8Array {
  const bytes = new Uint8Array(ALGO_AEAD_SIZE + key.length);
  bytes.set(new TextEncoder().encode(name).subarray(0, ALG_NAME - 1));
  const view = new DataView(bytes.buffer);
  view.setUint32(ALG_NAME, key.length * 8, true);
  view.setUint32(ALG_NAME + 4, icvBits, true);
  bytes.set(key, ALGO_AEAD_SIZE);
  return bytes;
}

function readAead(a: NlAttrs): XfrmAead | undefined {
  const bytes = a.bytes();
  if (bytes.length < ALGO_AEAD_SIZE) {
    a.fail(`xfrm_algo_aead of ${bytes.length} bytes`);
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Math.ceil(view.getUint32(ALG_NAME, true) / 8);
  if (length > bytes.length - ALGO_AEAD_SIZE) {
    a.fail(`a key of ${length} bytes, ${bytes.length - ALGO_AEAD_SIZE} are left`);
    return undefined;
  }
  const end = bytes.indexOf(0);
  return {
    name: new TextDecoder().decode(bytes.subarray(0, Math.min(ALG_NAME, end < 0 ? ALG_NAME : end))),
    key: new Uint8Array(bytes.subarray(ALGO_AEAD_SIZE, ALGO_AEAD_SIZE + length)), // a copy
    icvBits: view.getUint32(ALG_NAME + 4, true),
  };
}

/** struct xfrm_usersa_id */
function stateRequest(type: number, name: string, { dst, spi }: XfrmStateId): Request {
  return {
    type,
    flags: 0,
    label: `${name} dst=${dst} spi=${spiText(spi)}`,
    body(w) {
      writeAddress(w, dst);
      writeSpi(w, spi);
      w.rawU16(afOf(dst)).rawU8(IPPROTO_ESP).rawU8(0);
    },
  };
}

export const USERSA_INFO_SIZE = 224;
const REPLAY_ESN_SIZE = 24;
const ALG_NAME = 64;
const ALGO_AEAD_SIZE = 72;
