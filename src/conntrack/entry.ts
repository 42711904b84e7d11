import { NLA_F_NESTED, NlAttrs, type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import { type ConntrackTuple, patternFlags, readTuple, type TuplePattern, writePattern, writeTuple } from './tuple.ts';

/** One connection that the kernel tracks. @see conntrack(8) */
export interface ConntrackEntry {
  readonly family: 4 | 6;
  /** The kernel's number for it. */
  readonly id: number;
  /** Packets of the side that began. */
  readonly orig: ConntrackTuple;
  /** Packets of the answer: where an address was translated, it differs from `orig` turned round. */
  readonly reply: ConntrackTuple;
  readonly status: readonly ConntrackStatus[];
  /** Seconds until it is forgotten without another packet. */
  readonly timeout?: number;
  readonly mark: number;
  /** 0 where none was set. */
  readonly zone: number;
  /** Only with net.netfilter.nf_conntrack_acct. */
  readonly counters?: { readonly orig: ConntrackCounters; readonly reply: ConntrackCounters };
  /** linux/netfilter/nf_conntrack_tcp.h, enum tcp_conntrack, in conntrack(8)'s words. */
  readonly tcpState?: string;
}

export interface ConntrackCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** What a dump is restricted to; the kernel does the choosing. */
export interface ConntrackFilter {
  readonly family?: 4 | 6;
  /** Entries whose mark is `value` in the bits of `mask`. */
  readonly mark?: { readonly value: number; readonly mask: number };
  /**
   * One direction's addresses, protocol and ports; they need the family. Kernels before 5.8 leave this to
   * `ConntrackConn.dump`, which looks again.
   */
  readonly orig?: TuplePattern;
  readonly reply?: TuplePattern;
  /** Kernels before 6.8 leave this to `ConntrackConn.dump`, which looks again. */
  readonly zone?: number;
}

/** linux/netfilter/nfnetlink.h, NFNL_SUBSYS_CTNETLINK; nfnetlink_conntrack.h, enum cntl_msg_types */
const SUBSYS_CTNETLINK = 1;
const CT_MSG = { NEW: 0, GET: 1, DELETE: 2 } as const;

/** linux/netfilter/nfnetlink_compat.h: multicast groups, for NetlinkMonitor on NETLINK.NETFILTER. */
export const CONNTRACK_GROUPS = { NEW: 1, UPDATE: 2, DESTROY: 3 } as const;

/** linux/netfilter/nfnetlink_conntrack.h, enum ctattr_type, ctattr_counters, ctattr_protoinfo, ctattr_protoinfo_tcp */
const CTA = {
  TUPLE_ORIG: 1,
  TUPLE_REPLY: 2,
  STATUS: 3,
  PROTOINFO: 4,
  TIMEOUT: 7,
  MARK: 8,
  COUNTERS_ORIG: 9,
  COUNTERS_REPLY: 10,
  ID: 12,
  ZONE: 18,
  MARK_MASK: 21,
  FILTER: 25,
} as const;
/** linux/netfilter/nfnetlink_conntrack.h, enum ctattr_filter */
const CTA_FILTER = { ORIG_FLAGS: 1, REPLY_FLAGS: 2 } as const;
const CTA_COUNTERS = { PACKETS: 1, BYTES: 2 } as const;
const CTA_PROTOINFO_TCP = 1;
const CTA_PROTOINFO_TCP_STATE = 1;

/** linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_status */
const STATUS = {
  expected: 0x1,
  'seen-reply': 0x2,
  assured: 0x4,
  confirmed: 0x8,
  snat: 0x10,
  dnat: 0x20,
  'seq-adjust': 0x40,
  'snat-done': 0x80,
  'dnat-done': 0x100,
  dying: 0x200,
  'fixed-timeout': 0x400,
  template: 0x800,
  untracked: 0x1000,
  helper: 0x2000,
  offload: 0x4000,
  'hw-offload': 0x8000,
} as const;
export type ConntrackStatus = keyof typeof STATUS;

const TCP_STATES = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
] as const;

/** NFPROTO numbers, linux/netfilter.h. */
const NFPROTO = { 4: 2, 6: 10 } as const;

/** Asks for all entries that the filter lets through. */
export function conntrackDump(filter: ConntrackFilter = {}): Request {
  return request(CT_MSG.GET, NLM_F.DUMP, filter.family, 'IPCTNL_MSG_CT_GET', (w) => {
    if (filter.mark) w.u32be(CTA.MARK, filter.mark.value).u32be(CTA.MARK_MASK, filter.mark.mask);
    if (filter.zone !== undefined) w.u16be(CTA.ZONE, filter.zone);
    const { orig, reply } = filter;
    if (!orig && !reply) return;
    if (orig) writePattern(w, CTA.TUPLE_ORIG, orig);
    if (reply) writePattern(w, CTA.TUPLE_REPLY, reply);
    w.nest(NLA_F_NESTED | CTA.FILTER, (f) => {
      if (orig) f.u32(CTA_FILTER.ORIG_FLAGS, patternFlags(orig));
      if (reply) f.u32(CTA_FILTER.REPLY_FLAGS, patternFlags(reply));
    });
  });
}

/** Asks for the entry of a packet, of either direction. The kernel answers ENOENT where there is none. */
export function conntrackGet(tuple: ConntrackTuple, zone = 0): Request {
  return request(CT_MSG.GET, 0, familyOf(tuple), `IPCTNL_MSG_CT_GET ${textOf(tuple)}`, (w) => {
    writeTuple(w, CTA.TUPLE_ORIG, tuple);
    if (zone !== 0) w.u16be(CTA.ZONE, zone);
  });
}

/** Forgets one connection. The kernel answers ENOENT where there is none, or another one with the same tuple by now. */
export function conntrackDelete(entry: Pick<ConntrackEntry, 'orig'> & Partial<ConntrackEntry>): Request {
  return request(CT_MSG.DELETE, 0, familyOf(entry.orig), `IPCTNL_MSG_CT_DELETE ${textOf(entry.orig)}`, (w) => {
    writeTuple(w, CTA.TUPLE_ORIG, entry.orig);
    if (entry.zone !== undefined && entry.zone !== 0) w.u16be(CTA.ZONE, entry.zone);
    if (entry.id !== undefined) w.u32be(CTA.ID, entry.id);
  });
}

/** What a message of conntrack says; undefined for one of another subsystem. @throws MalformedError */
export function decodeConntrack(message: NlMessage): ConntrackEvent | undefined {
  if (message.type >> 8 !== SUBSYS_CTNETLINK) return undefined;
  const kind = message.type & 0xff;
  if (kind !== CT_MSG.NEW && kind !== CT_MSG.DELETE) return undefined;
  const isNew = (message.flags & (NLM_F.CREATE | NLM_F.EXCL)) !== 0;
  const change = kind === CT_MSG.DELETE ? 'destroy' : isNew ? 'new' : 'update';
  return { change, entry: decodeEntry(message) };
}

/** A connection that begins, changes or ends; of a dump, `change` says nothing. */
export interface ConntrackEvent {
  readonly change: 'new' | 'update' | 'destroy';
  readonly entry: ConntrackEntry;
}

function decodeEntry(message: NlMessage): ConntrackEntry {
  const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
  const none: ConntrackTuple = { src: '', dst: '', protocol: 0 };
  const numbers = { id: 0, mark: 0, zone: 0 };
  let [orig, reply] = [none, none];
  let status: ConntrackStatus[] = [];
  let timeout: number | undefined;
  let tcpState: string | undefined;
  const counters: { orig?: ConntrackCounters; reply?: ConntrackCounters } = {};
  for (const a of attrs) {
    if (a.type === CTA.TUPLE_ORIG) orig = readTuple(a.nested());
    else if (a.type === CTA.TUPLE_REPLY) reply = readTuple(a.nested());
    else if (a.type === CTA.STATUS) status = statusNames(a.u32be());
    else if (a.type === CTA.TIMEOUT) timeout = a.u32be();
    else if (a.type === CTA.MARK) numbers.mark = a.u32be();
    else if (a.type === CTA.ID) numbers.id = a.u32be();
    else if (a.type === CTA.ZONE) numbers.zone = a.u16be();
    else if (a.type === CTA.COUNTERS_ORIG) counters.orig = readCounters(a.nested());
    else if (a.type === CTA.COUNTERS_REPLY) counters.reply = readCounters(a.nested());
    else if (a.type === CTA.PROTOINFO) tcpState = readTcpState(a.nested());
  }
  attrs.throwIfMalformed();
  const both = counters.orig && counters.reply ? { orig: counters.orig, reply: counters.reply } : undefined;
  return {
    family: message.payload[0] === NFPROTO[6] ? 6 : 4,
    orig,
    reply,
    status,
    ...numbers,
    ...(timeout !== undefined && { timeout }),
    ...(tcpState !== undefined && { tcpState }),
    ...(both && { counters: both }),
  };
}

function statusNames(bits: number): ConntrackStatus[] {
  return (Object.keys(STATUS) as ConntrackStatus[]).filter((name) => (bits & STATUS[name]) !== 0);
}

function readCounters(attrs: NlAttrs): ConntrackCounters {
  const counters = { packets: 0n, bytes: 0n };
  for (const a of attrs) {
    if (a.type === CTA_COUNTERS.PACKETS) counters.packets = a.u64be();
    else if (a.type === CTA_COUNTERS.BYTES) counters.bytes = a.u64be();
  }
  return counters;
}

function readTcpState(attrs: NlAttrs): string | undefined {
  for (const a of attrs) {
    if (a.type !== CTA_PROTOINFO_TCP) continue;
    for (const t of a.nested()) if (t.type === CTA_PROTOINFO_TCP_STATE) return TCP_STATES[t.u8()];
  }
  return undefined;
}

/** linux/netfilter/nfnetlink.h, struct nfgenmsg */
const NFGENMSG_SIZE = 4;

function request(
  type: number,
  flags: number,
  family: 4 | 6 | undefined,
  label: string,
  body: (writer: NlWriter) => void,
): Request {
  return {
    type: (SUBSYS_CTNETLINK << 8) | type,
    flags,
    label,
    body: (writer) => {
      writer
        .rawU8(family === undefined ? 0 : NFPROTO[family])
        .rawU8(0)
        .rawU16be(0);
      body(writer);
    },
  };
}

function familyOf(tuple: ConntrackTuple): 4 | 6 {
  return tuple.src.includes(':') ? 6 : 4;
}

function textOf({ src, dst, protocol, sport, dport }: ConntrackTuple): string {
  return `${protocol} ${src}:${sport ?? ''} -> ${dst}:${dport ?? ''}`;
}
