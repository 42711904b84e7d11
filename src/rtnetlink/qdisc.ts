import { type NlAttrs, type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import { attrsOf, i32At, request, text, u32At } from './codec.ts';
import { CLSACT_HANDLE, RTM, TC_H, TC_LINKLAYER_ETHERNET, TCA, TCA_NETEM, TCA_TBF } from './constants/index.ts';

/** A token bucket: lets through so much a second, and what comes faster waits. @see tc-tbf(8) */
export interface Tbf {
  /** Bits per second, Ethernet headers counted. The kernel keeps whole bytes. */
  readonly rate: number;
  /** Bytes that may go at once. A packet of several segments that is larger goes segment by segment. */
  readonly burst: number;
  /** Bytes that may wait; more are dropped. */
  readonly limit: number;
}

/** A link that takes its time, to the nanosecond since Linux 4.16. @see tc-netem(8) */
export interface Netem {
  /** Milliseconds. */
  readonly delay: number;
  /** Bits per second; 0: without a limit. */
  readonly rate: number;
}

/** A queue of a link as the kernel shows it. @see tc(8) */
export interface Qdisc {
  readonly index: number;
  /** Its major number: 0x6e6c for `6e6c:`; 0 where the kernel made it by itself. */
  readonly handle: number;
  readonly parent: number;
  /** `tbf`, `noqueue`, `clsact` … */
  readonly kind: string;
  /** Of a `tbf`. */
  readonly tbf?: Tbf;
}

/** `tc qdisc add dev … root handle … tbf …`. EEXIST where the link has a root queue with a handle already. */
export function tbfAdd(index: number, handle: number, tbf: Tbf): Request {
  return tbfRequest(NLM_F.CREATE | NLM_F.EXCL, index, handle, tbf);
}
/** `tc qdisc change`: what waits goes on waiting. ENOENT where there is none. */
export function tbfChange(index: number, handle: number, tbf: Tbf): Request {
  return tbfRequest(0, index, handle, tbf);
}
/** `tc qdisc replace dev … root handle … netem …`. ENOENT from a kernel without it. */
export function netemReplace(index: number, handle: number, { delay, rate }: Netem): Request {
  const label = `RTM_NEWQDISC replace index=${index} netem delay=${delay}ms`;
  return request(RTM.NEWQDISC, NLM_F.CREATE | NLM_F.REPLACE, label, (w) => {
    writeTcmsg(w, index, handle * 0x1_0000, TC_H.ROOT);
    w.string(TCA.KIND, 'netem');
    w.nest(TCA.OPTIONS, (o) => {
      // struct tc_netem_qopt: latency, limit in packets, loss, gap, duplicate, jitter; attributes follow in the same payload
      for (const word of [0, NETEM_LIMIT, 0, 0, 0, 0]) o.rawU32(word);
      const bytes = Math.floor(rate / 8);
      if (bytes > 0) {
        // struct tc_netem_rate: rate, packet_overhead, cell_size, cell_overhead
        o.bytes(TCA_NETEM.RATE, new Uint8Array(Uint32Array.of(Math.min(bytes, U32), 0, 0, 0).buffer));
        if (bytes > U32) o.u64(TCA_NETEM.RATE64, BigInt(bytes));
      }
      o.u64(TCA_NETEM.LATENCY64, BigInt(Math.round(delay * 1e6)));
    });
  });
}

/** `tc qdisc delete dev … root`: the link has its own default again, and what waited is dropped. */
export function rootDelete(index: number): Request {
  return request(RTM.DELQDISC, 0, `RTM_DELQDISC index=${index} root`, (w) => writeTcmsg(w, index, 0, TC_H.ROOT));
}

/** `tc qdisc add dev … clsact`: room for filters. One that is there stays as it is. */
export function clsactEnsure(index: number): Request {
  return clsact(RTM.NEWQDISC, NLM_F.CREATE, index);
}
/** `tc qdisc delete dev … clsact`: with every filter in it. */
export function clsactDelete(index: number): Request {
  return clsact(RTM.DELQDISC, 0, index);
}

/** `tc qdisc show`: of every link of the namespace; the kernel filters nothing. */
export function qdiscDump(): Request {
  return request(RTM.GETQDISC, NLM_F.DUMP, 'RTM_GETQDISC dump', (w) => writeTcmsg(w, 0, 0, 0));
}

/** RTM_NEWQDISC. @throws MalformedError */
export function parseQdisc(message: NlMessage): Qdisc {
  const attrs = attrsOf(message, TCMSG_SIZE);
  const { payload } = message;
  let kind = '';
  let tbf: Tbf | undefined;
  for (const a of attrs) {
    if (a.type === TCA.KIND) kind = text(a);
    else if (a.type === TCA.OPTIONS && kind === 'tbf') tbf = readTbf(a.nested());
  }
  attrs.throwIfMalformed();
  return {
    index: i32At(payload, 4),
    handle: u32At(payload, 8) >>> 16,
    parent: u32At(payload, 12),
    kind,
    ...(tbf && { tbf }),
  };
}

/** linux/rtnetlink.h struct tcmsg. @param info of a filter: its preference and protocol */
export function writeTcmsg(w: NlWriter, index: number, handle: number, parent: number, info = 0): void {
  w.rawU8(0).rawU8(0).rawU16(0).rawI32(index).rawU32(handle).rawU32(parent).rawU32(info);
}
export const TCMSG_SIZE = 20;

function tbfRequest(flags: number, index: number, handle: number, tbf: Tbf): Request {
  const verb = flags === 0 ? 'change' : 'add';
  return request(RTM.NEWQDISC, flags, `RTM_NEWQDISC ${verb} index=${index} tbf rate=${tbf.rate}bit`, (w) => {
    writeTcmsg(w, index, handle * 0x1_0000, TC_H.ROOT);
    w.string(TCA.KIND, 'tbf').nest(TCA.OPTIONS, (o) => {
      const rate = Math.floor(tbf.rate / 8);
      o.bytes(TCA_TBF.PARMS, qopt(rate, tbf));
      o.u32(TCA_TBF.BURST, tbf.burst);
      if (rate > U32) o.u64(TCA_TBF.RATE64, BigInt(rate));
    });
  });
}

/** Packets that may be under way at once: a gigabit for a tenth of a second, in full frames. */
const NETEM_LIMIT = 10_000;

/**
 * linux/pkt_sched.h struct tc_tbf_qopt: two struct tc_ratespec, limit, buffer, mtu. The buffer, in ticks, gives way to
 * TCA_TBF_BURST, in bytes; the table of costs that kernels before 3.8 looked into is left out.
 */
function qopt(rate: number, { limit }: Tbf): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, TC_LINKLAYER_ETHERNET);
  view.setUint32(8, Math.min(rate, U32), true);
  view.setUint32(24, limit, true);
  return bytes;
}
const U32 = 0xffff_ffff;

/** The kernel tells the burst in ticks of 64 ns. @see net/pkt_sched.h PSCHED_SHIFT */
function readTbf(options: NlAttrs): Tbf {
  let [rate, ticks, limit] = [0, 0, 0];
  let rate64 = 0;
  for (const a of options) {
    if (a.type === TCA_TBF.RATE64) rate64 = Number(a.u64());
    if (a.type !== TCA_TBF.PARMS) continue;
    const bytes = a.bytes();
    if (bytes.length < 36) a.fail(`TCA_TBF_PARMS holds ${bytes.length} bytes, 36 wanted`);
    else [rate, limit, ticks] = [u32At(bytes, 8), u32At(bytes, 24), u32At(bytes, 28)];
  }
  const bytes = rate64 || rate;
  return { rate: bytes * 8, burst: Math.round((ticks * 64 * bytes) / 1e9), limit };
}

function clsact(type: number, flags: number, index: number): Request {
  const label = `${type === RTM.NEWQDISC ? 'RTM_NEWQDISC' : 'RTM_DELQDISC'} index=${index} clsact`;
  return request(type, flags, label, (w) => {
    writeTcmsg(w, index, CLSACT_HANDLE, TC_H.CLSACT);
    w.string(TCA.KIND, 'clsact');
  });
}
