import {
  chainAdd,
  chainDelete,
  chainFlush,
  compileRule,
  type NftBaseChain,
  type NftChain,
  type NftRule,
  type NftSet,
  type NftStatement,
  type NftStatementRule,
  type NftTableName,
  printCommand,
  ruleAdd,
  sameExprs,
} from '../nftables/index.ts';
import { runIn } from './command.ts';
import { addedOnce, inEach, orNothing, tableKey } from './nft-table.ts';
import type { FactBase, FactKind } from './types.ts';

/**
 * A chain of one of our tables with all its rules, in their order: the order is part of what is wanted, and one batch puts all
 * of it right. @see nft(8) CHAINS, RULES
 */
export interface NftChainFact extends FactBase {
  readonly kind: 'nft-chain';
  readonly chain: NftChain;
  /** As wanted. Of a chain that was read, `compiled` has them as the kernel runs them, and this is empty. */
  readonly rules: readonly NftStatementRule[];
  readonly compiled?: readonly NftRule[];
  /** What the rules look things up in: their keys' types decide the bytes. */
  readonly sets: readonly NftSet[];
}

/** A chain of a static rule set, in the statements of nft(8). */
export interface ChainPlan {
  readonly name: string;
  readonly base?: NftBaseChain;
  readonly rules: readonly (readonly NftStatement[])[];
}

/** The fact of a planned chain of one of our tables. */
export function plannedChain(
  table: NftTableName,
  sets: readonly NftSet[],
  { name, base, rules }: ChainPlan,
): NftChainFact {
  const { family, name: of } = table;
  return {
    kind: 'nft-chain',
    ns: '',
    object: 'netloom',
    chain: { family, table: of, name, ...(base && { base }) },
    rules: rules.map((statements) => ({ family, table: of, chain: name, statements })),
    sets,
  };
}

export const nftChainKind: FactKind<NftChainFact> = {
  key: (fact) => `nft-chain ${fact.ns} ${fact.chain.family} ${fact.chain.name}`,
  // exclusive: rules are appended, and a chain that is there would have them twice
  add: addedOnce((fact) => ({
    via: 'nftables',
    ns: fact.ns,
    requests: [chainAdd(fact.chain, { exclusive: true }), ...compiled(fact).map((rule) => ruleAdd(rule))],
  })),
  change(want, have) {
    // a base chain's hook is for life
    if (baseOf(want) !== baseOf(have)) return undefined;
    return {
      via: 'nftables',
      ns: want.ns,
      requests: [chainFlush(want.chain), ...compiled(want).map((rule) => ruleAdd(rule))],
    };
  },
  delete: (fact) => ({ via: 'nftables', ns: fact.ns, requests: [chainFlush(fact.chain), chainDelete(fact.chain)] }),
  async read(kernel, ns) {
    const conn = kernel.nft(ns);
    return await inEach(async (table): Promise<readonly NftChainFact[]> => {
      const rules = await orNothing(conn.rules(table));
      return (await orNothing(conn.chains(table))).map((chain) => ({
        kind: 'nft-chain',
        ns,
        object: '',
        chain,
        rules: [],
        compiled: rules.filter((rule) => rule.chain === chain.name),
        sets: [],
      }));
    });
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (baseOf(want) !== baseOf(have)) wrong.push('hook');
    const [a, b] = [compiled(want), compiled(have)];
    if (a.length !== b.length || a.some((rule, i) => !sameExprs(rule.exprs, b[i]?.exprs ?? []))) wrong.push('rules');
    return wrong;
  },
  describe: ({ chain }) => `the nftables chain ${chain.family} ${chain.name}`,
  command(fact, verb) {
    const flush = `nft flush chain ${fact.chain.family} ${fact.chain.table} ${fact.chain.name}`;
    const rules = fact.rules.map((rule) => printCommand({ rule }, 'add'));
    const chain = printCommand({ chain: fact.chain }, verb === 'delete' ? 'delete' : 'add');
    const lines = verb === 'add' ? [chain, ...rules] : verb === 'change' ? [flush, ...rules] : [flush, chain];
    return lines.map((line) => runIn(fact.ns, line)).join('\n');
  },
  within: (fact) => [tableKey(fact.ns, fact.chain)],
};

function compiled(fact: NftChainFact): readonly NftRule[] {
  return (
    fact.compiled ??
    fact.rules.map((rule) => ({
      family: rule.family,
      table: rule.table,
      chain: rule.chain,
      exprs: compileRule(rule, { sets: fact.sets }),
    }))
  );
}

function baseOf(fact: NftChainFact): string {
  const { base } = fact.chain;
  return base ? `${base.type} ${base.hook} ${base.priority} ${base.policy}` : '';
}
