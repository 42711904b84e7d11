import { ipMessages, parseRule, type Rule, ruleAdd, ruleDelete, ruleDump, type RuleSpec } from '../rtnetlink/index.ts';
import { ipIn, placeOf } from './command.ts';
import { PROTOCOL } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/** What is sent from one address is looked up in a table of its own. Ours by FRA_PROTOCOL. @see ip-rule(8) */
export interface RuleFact extends FactBase {
  readonly kind: 'rule';
  readonly family: 4 | 6;
  /** Prefix in canonical text: `10.0.0.2/32`. */
  readonly from: string;
  /** Lower is asked first. */
  readonly priority: number;
  readonly table: number;
}

export const ruleKind: FactKind<RuleFact> = {
  key: (fact) => `rule ${fact.ns} ${fact.family} ${fact.priority} ${fact.from}`,
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [],
    requests: () => [ruleAdd(specOf(fact))],
  }),
  // the kernel takes a second rule beside the first one
  change: () => undefined,
  delete: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [],
    requests: () => [ruleDelete(specOf(fact))],
  }),
  read: async (kernel, ns) =>
    ipMessages(await kernel.rtnl(ns).execute(ruleDump()))
      .map(parseRule)
      .filter((rule) => rule.protocol === PROTOCOL && rule.from !== undefined)
      .map((rule) => factOf(rule, ns)),
  differences: (want, have) => (want.table === have.table ? [] : ['table']),
  describe: (fact) => `the ${fact.family === 6 ? 'IPv6 ' : ''}rule for what ${fact.from} sends${placeOf(fact.ns)}`,
  command(fact, verb) {
    const family = fact.family === 6 ? ' -6' : '';
    const rule = `from ${fact.from} lookup ${fact.table} priority ${fact.priority}`;
    if (verb === 'delete') return `${ipIn(fact.ns)}${family} rule delete ${rule}`;
    return `${ipIn(fact.ns)}${family} rule add ${rule} protocol ${PROTOCOL}`;
  },
  within: (fact) => (fact.ns === '' ? [] : [`netns ${fact.ns}`]),
};

function specOf({ family, from, priority, table }: RuleFact): RuleSpec {
  return { family, from, priority, table, protocol: PROTOCOL };
}

function factOf({ family, from = '', priority, table }: Rule, ns: string): RuleFact {
  return { kind: 'rule', ns, object: '', family, from, priority, table };
}
