import { type NlAttrs, NLA_F_NESTED, type NlWriter } from '../../netlink/index.ts';
import { bitwise, type BitwiseExpr } from './bitwise.ts';
import { byteorder, type ByteorderExpr } from './byteorder.ts';
import { cmp, type CmpExpr } from './cmp.ts';
import type { ExprCodec } from './codec.ts';
import { connlimit, type ConnlimitExpr } from './connlimit.ts';
import { counter, type CounterExpr } from './counter.ts';
import { ct, type CtExpr, type CtKey } from './ct.ts';
import { dup, type DupExpr } from './dup.ts';
import { dynsetCodec, type DynsetExpr } from './dynset.ts';
import { exthdr, type ExthdrExpr } from './exthdr.ts';
import { fib, type FibExpr, type FibFlag, type FibResult } from './fib.ts';
import { fwd, type FwdExpr } from './fwd.ts';
import { hash, type HashExpr } from './hash.ts';
import { immediate, type ImmediateExpr } from './immediate.ts';
import { limit, type LimitExpr } from './limit.ts';
import { log, type LogExpr } from './log.ts';
import { lookup, type LookupExpr } from './lookup.ts';
import { masq, type MasqExpr } from './masq.ts';
import { meta, type MetaExpr, type MetaKey } from './meta.ts';
import { nat, type NatExpr, type NatFlag } from './nat.ts';
import { notrack, type NotrackExpr } from './notrack.ts';
import { numgen, type NumgenExpr } from './numgen.ts';
import { payload, type PayloadExpr } from './payload.ts';
import { queue, type QueueExpr } from './queue.ts';
import { quota, type QuotaExpr } from './quota.ts';
import { range, type RangeExpr } from './range.ts';
import { redir, type RedirExpr } from './redir.ts';
import { reject, type RejectExpr } from './reject.ts';
import { rt, type RtExpr, type RtKey } from './rt.ts';
import { socket, type SocketExpr } from './socket.ts';
import { tproxy, type TproxyExpr } from './tproxy.ts';

/** An expression that this library has no codec for: kept as it came, and written back unchanged. */
export interface UnknownExpr {
  readonly name: 'unknown';
  /** The kernel's name for it. */
  readonly kind: string;
  /** What NFTA_EXPR_DATA holds. */
  readonly raw: Uint8Array;
}

type KnownExpr =
  | BitwiseExpr
  | ByteorderExpr
  | CmpExpr
  | ConnlimitExpr
  | CounterExpr
  | CtExpr
  | DupExpr
  | DynsetExpr
  | ExthdrExpr
  | FibExpr
  | FwdExpr
  | HashExpr
  | ImmediateExpr
  | LimitExpr
  | LogExpr
  | LookupExpr
  | MasqExpr
  | MetaExpr
  | NatExpr
  | NotrackExpr
  | NumgenExpr
  | PayloadExpr
  | QueueExpr
  | QuotaExpr
  | RangeExpr
  | RedirExpr
  | RejectExpr
  | RtExpr
  | SocketExpr
  | TproxyExpr;

/** One instruction of a rule, as the kernel runs it. */
export type Expr = KnownExpr | UnknownExpr;

/** Names that have a codec. */
export type ExprName = KnownExpr['name'];

/** linux/netfilter/nf_tables.h, enum nft_expr_attributes, nft_list_attributes */
const NFTA_EXPR = { NAME: 1, DATA: 2 } as const;
const NFTA_LIST_ELEM = 1;

type Codecs = { readonly [N in ExprName]: ExprCodec<Extract<KnownExpr, { name: N }>> };

/** Every codec, by the kernel's name. */
export const EXPR_CODECS: Codecs = {
  bitwise,
  byteorder,
  cmp,
  connlimit,
  counter,
  ct,
  dup,
  dynset: dynsetCodec({ encodeExpr, decodeExpr, decodeExprs }),
  exthdr,
  fib,
  fwd,
  hash,
  immediate,
  limit,
  log,
  lookup,
  masq,
  meta,
  nat,
  notrack,
  numgen,
  payload,
  queue,
  quota,
  range,
  redir,
  reject,
  rt,
  socket,
  tproxy,
};

/** Writes NFTA_EXPR_NAME and NFTA_EXPR_DATA of one expression. */
export function encodeExpr(writer: NlWriter, expr: Expr): void {
  if (expr.name === 'unknown') {
    writer.string(NFTA_EXPR.NAME, expr.kind);
    if (expr.raw.length > 0) writer.bytes(NLA_F_NESTED | NFTA_EXPR.DATA, expr.raw);
    return;
  }
  const codec = EXPR_CODECS[expr.name] as ExprCodec<Expr & { name: ExprName }>;
  writer.string(NFTA_EXPR.NAME, expr.name);
  if (expr.name === 'notrack') return; // the kernel takes none, and nft writes none
  writer.nest(NLA_F_NESTED | NFTA_EXPR.DATA, (w) => codec.encode(w, expr));
}

/** Writes a list of expressions as NFTA_LIST_ELEM. */
export function encodeExprs(writer: NlWriter, exprs: readonly Expr[]): void {
  for (const expr of exprs) writer.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (w) => encodeExpr(w, expr));
}

/** Reads one expression. What is wrong in it marks the whole message as malformed. */
export function decodeExpr(attrs: NlAttrs): Expr {
  let name = '';
  let raw: Uint8Array = new Uint8Array(0);
  let data: NlAttrs | undefined;
  for (const a of attrs) {
    if (a.type === NFTA_EXPR.NAME) name = a.string();
    else if (a.type === NFTA_EXPR.DATA) {
      data = a.nested();
      raw = a.bytes();
    }
  }
  if (Object.hasOwn(EXPR_CODECS, name)) return EXPR_CODECS[name as ExprName].decode(data ?? attrs.nested());
  return { name: 'unknown', kind: name, raw: new Uint8Array(raw) };
}

export function decodeExprs(attrs: NlAttrs): Expr[] {
  const exprs: Expr[] = [];
  for (const a of attrs) if (a.type === NFTA_LIST_ELEM) exprs.push(decodeExpr(a.nested()));
  return exprs;
}

/**
 * Whether two rules are the same but for what changes by itself: the values of counters and quotas, and the names and
 * numbers of anonymous sets (whose elements are not looked at).
 */
export function sameExprs(a: readonly Expr[], b: readonly Expr[]): boolean {
  return a.length === b.length && a.every((expr, i) => same(stable(expr), stable(b[i]!)));
}

function stable(expr: Expr): Expr {
  if (expr.name === 'counter') return { ...expr, bytes: 0n, packets: 0n };
  if (expr.name === 'quota') return { ...expr, consumed: 0n };
  if (expr.name !== 'lookup' && expr.name !== 'dynset') return expr;
  const { setId: _, ...rest } = expr;
  return { ...rest, set: rest.set.replace(ANONYMOUS, '$1%d') };
}
/** What the kernel makes of the pattern that a transaction gives. */
const ANONYMOUS = /^(__set|__map)\d+$/;

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && a.length === b.length && a.every((x, i) => x === b[i]);
  const [left, right] = [a, b] as Record<string, unknown>[];
  const keys = new Set([...Object.keys(left!), ...Object.keys(right!)]);
  return [...keys].every((key) => same(left![key], right![key]));
}

export type {
  BitwiseExpr,
  ByteorderExpr,
  CmpExpr,
  ConnlimitExpr,
  CounterExpr,
  CtExpr,
  CtKey,
  DupExpr,
  DynsetExpr,
  ExthdrExpr,
  FibExpr,
  FibFlag,
  FibResult,
  FwdExpr,
  HashExpr,
  ImmediateExpr,
  LimitExpr,
  LogExpr,
  LookupExpr,
  MasqExpr,
  MetaExpr,
  MetaKey,
  NatExpr,
  NatFlag,
  NotrackExpr,
  NumgenExpr,
  PayloadExpr,
  QueueExpr,
  QuotaExpr,
  RangeExpr,
  RedirExpr,
  RejectExpr,
  RtExpr,
  RtKey,
  SocketExpr,
  TproxyExpr,
};
