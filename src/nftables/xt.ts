import { NlAttrs } from '../netlink/index.ts';
import type { Expr } from './expr/index.ts';

/**
 * A match or a target of iptables inside of a rule of nf_tables, as iptables-nft writes what it has no expression for.
 * @see linux/netfilter/nf_tables_compat.h
 */
export interface XtExpr {
  readonly kind: 'match' | 'target';
  /** `conntrack`, `multiport`, `REJECT`. */
  readonly name: string;
  readonly revision: number;
  /** The extension's own structure. */
  readonly info: Uint8Array;
}

/** enum nft_match_attributes, nft_target_attributes: the same numbers */
const NFTA_MATCH = { NAME: 1, REV: 2, INFO: 3 } as const;

/** Undefined for any other expression, and for one that is malformed. */
export function xtOf(expr: Expr): XtExpr | undefined {
  if (expr.name !== 'unknown' || (expr.kind !== 'match' && expr.kind !== 'target')) return undefined;
  const attrs = new NlAttrs(expr.raw);
  let name = '';
  let revision = 0;
  let info: Uint8Array = new Uint8Array(0);
  for (const a of attrs) {
    if (a.type === NFTA_MATCH.NAME) name = a.string();
    else if (a.type === NFTA_MATCH.REV) revision = a.u32be();
    else if (a.type === NFTA_MATCH.INFO) info = new Uint8Array(a.bytes());
  }
  return name === '' ? undefined : { kind: expr.kind, name, revision, info };
}
