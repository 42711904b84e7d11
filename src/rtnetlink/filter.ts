import { NLA_F_NESTED, type NlAttrs, type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import { attrsOf, i32At, request, text, u32At } from './codec.ts';
import {
  ETH_P_ALL,
  RTM,
  TC_ACT_STOLEN,
  TC_H,
  TCA,
  TCA_ACT,
  TCA_BPF,
  TCA_BPF_FLAG_ACT_DIRECT,
  TCA_EGRESS_REDIR,
  TCA_MIRRED,
  TCA_U32,
} from './constants/index.ts';
import { TCMSG_SIZE, writeTcmsg } from './qdisc.ts';

/** Everything that comes in by a link is sent out by another. @see tc-mirred(8) */
export interface Redirect {
  readonly index: number;
  /** Of several filters the lowest runs first; 1 to 65535. */
  readonly pref: number;
  /** Index of the link that gets it. */
  readonly to: number;
}

/**
 * `tc filter add dev … ingress … handle 800::800 u32 match u32 0 0 action mirred egress redirect dev …`: needs `clsact`
 * there. u32, because more kernels have it than matchall. EEXIST where it is there already.
 */
export function redirectAdd({ index, pref, to }: Redirect): Request {
  const flags = NLM_F.CREATE | NLM_F.EXCL;
  return request(RTM.NEWTFILTER, flags, `RTM_NEWTFILTER index=${index} redirect to ${to}`, (w) => {
    writeTcmsg(w, index, HANDLE, TC_H.INGRESS, info(pref, ETH_P_ALL));
    w.string(TCA.KIND, 'u32').nest(TCA.OPTIONS, (o) => {
      o.nest(TCA_U32.ACT, (actions) => actions.nest(FIRST, (action) => writeMirred(action, to)));
      o.bytes(TCA_U32.SEL, EVERYTHING);
    });
  });
}
/** `tc filter delete dev … ingress pref …`: all of that preference, or the one with a handle. */
export function filterDelete({ index, pref, handle = 0, direction = 'ingress' }: FilterPlace): Request {
  return request(RTM.DELTFILTER, 0, `RTM_DELTFILTER index=${index} pref=${pref}`, (w) =>
    writeTcmsg(w, index, handle, PARENT[direction], info(pref, 0)),
  );
}
/** `tc filter show dev … ingress` */
export function filterDump(index: number, direction: Direction = 'ingress'): Request {
  return request(RTM.GETTFILTER, NLM_F.DUMP, `RTM_GETTFILTER index=${index} dump`, (w) =>
    writeTcmsg(w, index, 0, PARENT[direction]),
  );
}

/** What comes in by a link, and what leaves by it. */
export type Direction = 'ingress' | 'egress';
const PARENT: Readonly<Record<Direction, number>> = { ingress: TC_H.INGRESS, egress: TC_H.EGRESS };

/** Which filter of a link: of its preference all, or the one with a handle. */
export interface FilterPlace extends Pick<Redirect, 'index' | 'pref'> {
  readonly handle?: number;
  readonly direction?: Direction;
}

/** A program of eBPF that every packet is shown to, and that says what is done with it. @see tc-bpf(8) */
export interface BpfFilter extends Required<FilterPlace> {
  /** Whatever is written there, up to 255 bytes. */
  readonly name: string;
}

/**
 * `tc filter replace dev … ingress pref … handle … bpf direct-action …`: needs `clsact` there, and puts the program of a
 * descriptor in the place of the one that had the handle, between two packets.
 */
export function bpfReplace({ index, pref, handle, direction, name }: BpfFilter, fd: number): Request {
  return request(RTM.NEWTFILTER, NLM_F.CREATE, `RTM_NEWTFILTER index=${index} bpf ${name}`, (w) => {
    writeTcmsg(w, index, handle, PARENT[direction], info(pref, ETH_P_ALL));
    w.string(TCA.KIND, 'bpf').nest(TCA.OPTIONS, (o) => {
      o.u32(TCA_BPF.FD, fd).string(TCA_BPF.NAME, name).u32(TCA_BPF.FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
    });
  });
}

/** A program out of RTM_NEWTFILTER, with its number in the kernel; undefined for any other filter. @throws MalformedError */
export function parseBpf(message: NlMessage): (BpfFilter & { readonly id: number }) | undefined {
  const attrs = attrsOf(message, TCMSG_SIZE);
  let [kind, name, id] = ['', '', 0];
  for (const a of attrs) {
    if (a.type === TCA.KIND) kind = text(a);
    else if (a.type === TCA.OPTIONS && kind === 'bpf') {
      for (const b of a.nested()) {
        if (b.type === TCA_BPF.NAME) name = text(b);
        else if (b.type === TCA_BPF.ID) id = b.u32();
      }
    }
  }
  attrs.throwIfMalformed();
  if (id === 0) return undefined;
  const { payload } = message;
  const direction = u32At(payload, 12) === TC_H.EGRESS ? 'egress' : 'ingress';
  return { index: i32At(payload, 4), handle: u32At(payload, 8), direction, pref: u32At(payload, 16) >>> 16, name, id };
}

/** A redirection out of RTM_NEWTFILTER; undefined for any other filter. @throws MalformedError */
export function parseRedirect(message: NlMessage): Redirect | undefined {
  const attrs = attrsOf(message, TCMSG_SIZE);
  let kind = '';
  let to = 0;
  for (const a of attrs) {
    if (a.type === TCA.KIND) kind = text(a);
    else if (a.type === TCA.OPTIONS && kind === 'u32') to = readTarget(a.nested());
  }
  attrs.throwIfMalformed();
  if (to === 0) return undefined;
  return { index: i32At(message.payload, 4), pref: u32At(message.payload, 16) >>> 16, to };
}

/** tcm_info: the preference above, the protocol, in network order, below. */
function info(pref: number, protocol: number): number {
  return pref * 0x1_0000 + ((protocol >> 8) | ((protocol & 0xff) << 8));
}

/** The first rule of the first table: without a number, the kernel would add a second one beside it. */
const HANDLE = 0x8000_0800;

/** Actions run in the order of their numbers. */
const FIRST = 1;

/** linux/pkt_cls.h struct tc_u32_sel with one struct tc_u32_key: TC_U32_TERMINAL, and a mask of no bits. */
const EVERYTHING: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 || i === 2 ? 1 : 0));

function writeMirred(w: NlWriter, to: number): void {
  // struct tc_mirred: index, capab, action, refcnt, bindcnt, eaction, ifindex
  const parms = new Uint8Array(28);
  const view = new DataView(parms.buffer);
  view.setInt32(8, TC_ACT_STOLEN, true);
  view.setInt32(20, TCA_EGRESS_REDIR, true);
  view.setUint32(24, to, true);
  w.string(TCA_ACT.KIND, 'mirred').nest(NLA_F_NESTED | TCA_ACT.OPTIONS, (o) => o.bytes(TCA_MIRRED.PARMS, parms));
}

function readTarget(options: NlAttrs): number {
  let to = 0;
  for (const a of options) {
    if (a.type !== TCA_U32.ACT) continue;
    for (const action of a.nested()) {
      let kind = '';
      for (const b of action.nested()) {
        if (b.type === TCA_ACT.KIND) kind = text(b);
        else if (b.type === TCA_ACT.OPTIONS && kind === 'mirred') {
          for (const c of b.nested()) if (c.type === TCA_MIRRED.PARMS && c.length >= 28) to = u32At(c.bytes(), 24);
        }
      }
    }
  }
  return to;
}
