import type { NftFamily } from './constants.ts';
import type { NftScalar } from './datatype.ts';
import type { NftData } from './element.ts';
import type { CtKey, FibFlag, FibResult, MetaKey, NatFlag, RtKey } from './expr/index.ts';
import type { LOG_FLAGS, LOG_LEVEL } from './expr/log.ts';
import type { NftField, NftKey } from './key.ts';
import type { NftVerdict } from './verdict.ts';

/**
 * The rule language: nft's own, as plain objects in the vocabulary of libnftables-json(5). One object gives what the
 * kernel runs (`compileRule`) and what a person types (`printRule`).
 *
 * ```ts
 * // ct status dnat oifname @bridges counter accept
 * [
 *   { match: { op: 'in', left: { ct: { key: 'status' } }, right: 'dnat' } },
 *   { match: { op: '==', left: { meta: { key: 'oifname' } }, right: '@bridges' } },
 *   { counter: null },
 *   { accept: null },
 * ]
 * ```
 */
export interface NftStatementRule {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  readonly statements: readonly NftStatement[];
  readonly comment?: string;
}

export type NftStatement =
  | NftVerdict
  | { readonly match: NftMatch }
  /** Looks the key up in a verdict map. */
  | { readonly vmap: { readonly key: NftExpression; readonly data: NftMapData } }
  | { readonly counter: null | { readonly packets: number; readonly bytes: number } }
  | { readonly masquerade: null | { readonly port?: NftNatValue; readonly flags?: readonly NatFlag[] } }
  | { readonly redirect: null | { readonly port?: NftNatValue; readonly flags?: readonly NatFlag[] } }
  | { readonly dnat: NftNat }
  | { readonly snat: NftNat }
  | { readonly reject: null | NftReject }
  | { readonly limit: NftLimit }
  | { readonly log: null | NftLog }
  /** Sets a field of the packet or of its connection. */
  | { readonly mangle: { readonly key: NftExpression; readonly value: NftExpression } }
  | { readonly notrack: null }
  /** So many bytes; with `inv`, whatever comes after them. */
  | { readonly quota: { readonly bytes: number; readonly inv?: true } }
  | { readonly 'ct count': { readonly val: number; readonly inv?: true } }
  /** Puts a key into a set, from a packet. */
  | { readonly set: NftDynamicSet };

/** A condition. A rule ends at the first one that is not met. */
export interface NftMatch {
  /**
   * `==` is what nft means without an operator; on bits (`ct state`, `ct status`, `tcp flags`) it is "exactly these",
   * and `in`, which nft means there without an operator, is "any of these".
   */
  readonly op: '==' | '!=' | '<' | '>' | '<=' | '>=' | 'in';
  readonly left: NftExpression;
  readonly right: NftRight;
}

/** What a packet is compared with: `@name` is a set. A list is for bits: any of them. */
export type NftRight =
  | NftField
  | readonly NftScalar[]
  /** An anonymous set. */
  | { readonly set: readonly NftKey[] };

/** A value that a packet has, or a constant. */
export type NftExpression =
  | NftScalar
  | { readonly payload: { readonly protocol: string; readonly field: string } }
  | { readonly meta: { readonly key: MetaKey } }
  | { readonly ct: { readonly key: CtKey; readonly dir?: 'original' | 'reply' } }
  | { readonly fib: { readonly result: FibResult; readonly flags: readonly FibFlag[] } }
  | { readonly rt: { readonly key: RtKey } }
  | { readonly 'tcp option': { readonly name: 'maxseg'; readonly field: 'size' } }
  | { readonly numgen: { readonly mode: 'inc' | 'random'; readonly mod: number; readonly offset?: number } }
  | {
      readonly jhash: {
        readonly expr: NftExpression;
        readonly mod: number;
        readonly seed?: number;
        readonly offset?: number;
      };
    }
  | { readonly symhash: { readonly mod: number; readonly offset?: number } }
  | { readonly concat: readonly NftExpression[] }
  | { readonly map: { readonly key: NftExpression; readonly data: NftMapData } }
  /** A value with constant bits: kept, added or turned. */
  | { readonly '&': readonly [NftExpression, NftBits] }
  | { readonly '|': readonly [NftExpression, NftBits] }
  | { readonly '^': readonly [NftExpression, NftBits] };

export type NftBits = NftScalar | readonly NftScalar[];

/** `@name`, or an anonymous map. */
export type NftMapData = `@${string}` | { readonly set: readonly (readonly [NftKey, NftData])[] };

/** One value or a range for a translation. */
export type NftNatValue = NftScalar | { readonly range: readonly [NftScalar, NftScalar] };

/** A translation. What `addr` looks up in a map whose values are `address . port` gives both. */
export interface NftNat {
  /** Which protocol's addresses; needed in family inet where `addr` is given. */
  readonly family?: 'ip' | 'ip6';
  readonly addr?: NftNatValue | { readonly map: { readonly key: NftExpression; readonly data: NftMapData } };
  readonly port?: NftNatValue;
  readonly flags?: readonly NatFlag[];
}

/** What the sender is told. */
export type NftReject =
  | { readonly type: 'tcp reset' }
  | { readonly type: 'icmp' | 'icmpv6' | 'icmpx'; readonly expr: string };

/** A rate; with `inv`, whatever exceeds it. */
export interface NftLimit {
  readonly rate: number;
  readonly per: 'second' | 'minute' | 'hour' | 'day' | 'week';
  readonly rate_unit?: 'packets' | 'bytes' | 'kbytes' | 'mbytes';
  readonly burst?: number;
  readonly burst_unit?: 'packets' | 'bytes' | 'kbytes' | 'mbytes';
  readonly inv?: true;
}

export interface NftLog {
  readonly prefix?: string;
  readonly level?: keyof typeof LOG_LEVEL;
  readonly group?: number;
  /** Bytes. */
  readonly snaplen?: number;
  readonly 'queue-threshold'?: number;
  readonly flags?: readonly (keyof typeof LOG_FLAGS)[];
}

export interface NftDynamicSet {
  readonly op: 'add' | 'update' | 'delete';
  readonly elem: NftExpression;
  readonly set: `@${string}`;
  /** Seconds; absent: the set's own. */
  readonly timeout?: number;
  /** What the element carries: a limit, a counter. */
  readonly stmt?: readonly NftStatement[];
}
