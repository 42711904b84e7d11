import type { NlAttrs, NlWriter } from '../netlink/index.ts';
import { VERDICT } from './constants.ts';

/** What becomes of a packet, in the words of libnftables-json(5). */
export type NftVerdict =
  | { readonly accept: null }
  | { readonly drop: null }
  | { readonly continue: null }
  | { readonly return: null }
  | { readonly jump: { readonly target: string } }
  | { readonly goto: { readonly target: string } };

/** linux/netfilter/nf_tables.h, enum nft_verdict_attributes */
const NFTA_VERDICT = { CODE: 1, CHAIN: 2 } as const;

const PLAIN = ['accept', 'drop', 'continue', 'return'] as const;

/** True for one of the six verdict statements. */
export function isVerdict(value: object): value is NftVerdict {
  return 'jump' in value || 'goto' in value || PLAIN.some((name) => name in value);
}

/** The chain that a jump or goto leads to. */
export function verdictTarget(verdict: NftVerdict): string | undefined {
  if ('jump' in verdict) return verdict.jump.target;
  return 'goto' in verdict ? verdict.goto.target : undefined;
}

/** As nft writes it: `accept`, `jump publish`. */
export function printVerdict(verdict: NftVerdict): string {
  const [name] = Object.keys(verdict);
  const target = verdictTarget(verdict);
  return target === undefined ? name! : `${name} ${target}`;
}

export function encodeVerdict(writer: NlWriter, verdict: NftVerdict): void {
  const [name] = Object.keys(verdict) as (keyof typeof VERDICT)[];
  writer.u32be(NFTA_VERDICT.CODE, VERDICT[name!] >>> 0);
  const target = verdictTarget(verdict);
  if (target !== undefined) writer.string(NFTA_VERDICT.CHAIN, target);
}

export function decodeVerdict(attrs: NlAttrs): NftVerdict {
  let code = 0;
  let target = '';
  for (const a of attrs) {
    if (a.type === NFTA_VERDICT.CODE) code = a.u32be() | 0;
    else if (a.type === NFTA_VERDICT.CHAIN) target = a.string();
  }
  if (code === VERDICT.jump) return { jump: { target } };
  if (code === VERDICT.goto) return { goto: { target } };
  for (const name of PLAIN) if (VERDICT[name] === code) return { [name]: null } as unknown as NftVerdict;
  attrs.fail(`verdict ${code} is unknown`);
  return { drop: null };
}
