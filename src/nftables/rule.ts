import { NlAttrs, NLA_F_NESTED, type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import { NFT_MSG, type NftFamily } from './constants.ts';
import { decodeExprs, encodeExprs, type Expr } from './expr/index.ts';
import { familyOf, NFGENMSG_SIZE, nftRequest } from './nfnetlink.ts';
import { commentOf, commentUserdata, UDATA_COMMENT } from './userdata.ts';

/** A rule as the kernel runs it. In the words of nft, and compiled to this: `NftStatementRule`. */
export interface NftRule {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  readonly exprs: readonly Expr[];
  readonly comment?: string;
  /** The kernel's number for it, which replacing and deleting need; only in what was read. */
  readonly handle?: bigint;
}

/** What names one rule. */
export type NftRuleName = Pick<NftRule, 'family' | 'table' | 'chain'> & { readonly handle: bigint };

/** linux/netfilter/nf_tables.h, enum nft_rule_attributes */
const NFTA_RULE = { TABLE: 1, CHAIN: 2, HANDLE: 3, EXPRESSIONS: 4, POSITION: 6, USERDATA: 7 } as const;

/** Adds the rule at the end of its chain, or right after the rule with the handle `after`. */
export function ruleAdd(rule: NftRule, options?: { readonly after?: bigint }): Request {
  return ruleNew(rule, NLM_F.CREATE | NLM_F.APPEND, NFTA_RULE.POSITION, options?.after);
}

/** Adds the rule at the beginning of its chain, or right before the rule with the handle `before`. */
export function ruleInsert(rule: NftRule, options?: { readonly before?: bigint }): Request {
  return ruleNew(rule, NLM_F.CREATE, NFTA_RULE.POSITION, options?.before);
}

/** Puts the rule in the place of the one with the handle `handle`. */
export function ruleReplace(rule: NftRule, handle: bigint): Request {
  return ruleNew(rule, NLM_F.REPLACE, NFTA_RULE.HANDLE, handle);
}

/** Deletes one rule. */
export function ruleDelete(rule: NftRuleName): Request {
  return nftRequest(NFT_MSG.DELRULE, 0, rule.family, `${label('DEL', rule)} handle ${rule.handle}`, (w) => {
    w.string(NFTA_RULE.TABLE, rule.table).string(NFTA_RULE.CHAIN, rule.chain).u64be(NFTA_RULE.HANDLE, rule.handle);
  });
}

/** Deletes every rule of a chain. nft: `flush chain`. */
export function chainFlush(chain: {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
}): Request {
  const names = { family: chain.family, table: chain.table, chain: chain.name };
  return nftRequest(NFT_MSG.DELRULE, 0, chain.family, label('DEL', names), (w) => {
    w.string(NFTA_RULE.TABLE, chain.table).string(NFTA_RULE.CHAIN, chain.name);
  });
}

/** Asks for the rules of a table, or of one of its chains, in order. */
export function ruleDump(table: { readonly family: NftFamily; readonly name: string }, chain?: string): Request {
  return nftRequest(NFT_MSG.GETRULE, NLM_F.DUMP, table.family, `NFT_MSG_GETRULE ${table.family} ${table.name}`, (w) => {
    w.string(NFTA_RULE.TABLE, table.name);
    if (chain !== undefined) w.string(NFTA_RULE.CHAIN, chain);
  });
}

/** Reads NFT_MSG_NEWRULE. @throws MalformedError */
export function decodeRule(message: NlMessage): NftRule {
  const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
  const names = { table: '', chain: '' };
  const optional: { comment?: string; handle?: bigint } = {};
  let exprs: readonly Expr[] = [];
  for (const a of attrs) {
    if (a.type === NFTA_RULE.TABLE) names.table = a.string();
    else if (a.type === NFTA_RULE.CHAIN) names.chain = a.string();
    else if (a.type === NFTA_RULE.HANDLE) optional.handle = a.u64be();
    else if (a.type === NFTA_RULE.EXPRESSIONS) exprs = decodeExprs(a.nested());
    else if (a.type === NFTA_RULE.USERDATA) {
      const comment = commentOf(UDATA_COMMENT.rule, a.bytes());
      if (comment !== undefined) optional.comment = comment;
    }
  }
  const family = familyOf(message);
  if (!family) attrs.fail(`a rule of family ${message.payload[0]}`);
  attrs.throwIfMalformed();
  return { family: family!, ...names, exprs, ...optional };
}

function ruleNew(rule: NftRule, flags: number, place: number, handle: bigint | undefined): Request {
  return nftRequest(NFT_MSG.NEWRULE, flags, rule.family, label('NEW', rule), (w: NlWriter) => {
    w.string(NFTA_RULE.TABLE, rule.table).string(NFTA_RULE.CHAIN, rule.chain);
    if (handle !== undefined) w.u64be(place, handle);
    w.nest(NLA_F_NESTED | NFTA_RULE.EXPRESSIONS, (list) => encodeExprs(list, rule.exprs));
    const userdata = commentUserdata(UDATA_COMMENT.rule, rule.comment);
    if (userdata) w.bytes(NFTA_RULE.USERDATA, userdata);
  });
}

function label(verb: 'NEW' | 'DEL', rule: Pick<NftRule, 'family' | 'table' | 'chain'>): string {
  return `NFT_MSG_${verb}RULE ${rule.family} ${rule.table} ${rule.chain}`;
}
