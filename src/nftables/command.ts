import type { NftChain, NftChainName } from './chain.ts';
import type { NftFamily } from './constants.ts';
import { type NftElement } from './element.ts';
import type { Expr } from './expr/index.ts';
import { printKey, quoted } from './key.ts';
import { printData, printRule, printSeconds } from './print.ts';
import type { NftRuleName } from './rule.ts';
import { type NftSet, type NftSetName, type NftType, typesOf } from './set.ts';
import type { NftStatementRule } from './statement.ts';
import type { NftTable } from './table.ts';
import { NetloomError } from '../errors.ts';

/** Something that a command of nft can make or delete. */
export type NftObject =
  | { readonly table: Pick<NftTable, 'family' | 'name'> & Partial<NftTable> }
  | { readonly chain: NftChain }
  | { readonly rule: NftStatementRule & { readonly handle?: bigint } }
  | { readonly set: NftSet }
  | { readonly set: NftSet; readonly elements: readonly NftElement[] };

export type NftVerb = 'add' | 'create' | 'insert' | 'delete';

/**
 * The command that does the same in a shell: `nft add chain inet web forward '{ type filter hook … }'`.
 * @throws NetloomError EBADVALUE for what nft has no words for: a rule that is to be deleted without a handle
 */
export function printCommand(object: NftObject, verb: NftVerb): string {
  return ['nft', verb, ...words(object, verb)].map(shellWord).join(' ');
}

/** One word of a POSIX shell. @see sh(1) Quoting */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function words(object: NftObject, verb: NftVerb): string[] {
  const remove = verb === 'delete';
  if ('table' in object) return ['table', object.table.family, object.table.name, ...tableBody(object.table, remove)];
  if ('chain' in object) return [...named('chain', object.chain), ...(remove ? [] : chainBody(object.chain))];
  if ('rule' in object) return ruleWords(object.rule, remove);
  if ('elements' in object) return [...named('element', object.set), elementsBody(object.set, object.elements, remove)];
  const kind = object.set.map === undefined ? 'set' : 'map';
  return [...named(kind, object.set), ...(remove ? [] : [setBody(object.set)])];
}

function named(kind: string, { family, table, name }: NftChainName | NftSetName): string[] {
  return [kind, family, table, name];
}

function tableBody(table: Partial<NftTable>, remove: boolean): string[] {
  const parts = [...(table.flags ?? []).map((flag) => `flags ${flag};`)];
  if (table.comment !== undefined) parts.push(`comment ${quoted(table.comment)};`);
  return remove || parts.length === 0 ? [] : [`{ ${parts.join(' ')} }`];
}

function chainBody({ family, base, comment }: NftChain): string[] {
  const parts: string[] = [];
  if (base) {
    const device = base.device === undefined ? '' : ` device ${quoted(base.device)}`;
    const priority = priorityName(family, base.hook, base.priority) ?? String(base.priority);
    parts.push(`type ${base.type} hook ${base.hook}${device} priority ${priority}; policy ${base.policy};`);
  }
  if (comment !== undefined) parts.push(`comment ${quoted(comment)};`);
  return parts.length === 0 ? [] : [`{ ${parts.join(' ')} }`];
}

/** linux/netfilter_ipv4.h, enum nf_ip_hook_priorities, under nft's names; each where nft knows it. */
const PRIORITIES: readonly (readonly [string, number, string?])[] = [
  ['raw', -300],
  ['mangle', -150],
  ['dstnat', -100, 'prerouting'],
  ['filter', 0],
  ['security', 50],
  ['srcnat', 100, 'postrouting'],
];

function priorityName(family: NftFamily, hook: string, priority: number): string | undefined {
  if (family !== 'inet' && family !== 'ip' && family !== 'ip6') return undefined;
  return PRIORITIES.find(([, number, only]) => number === priority && (only === undefined || only === hook))?.[0];
}

function ruleWords(rule: NftStatementRule & { readonly handle?: bigint }, remove: boolean): string[] {
  const place = ['rule', rule.family, rule.table, rule.chain];
  if (!remove) return [...place, printRule(rule)];
  if (rule.handle === undefined) {
    throw new NetloomError('EBADVALUE', 'a rule is deleted by its handle, which the kernel gives', {
      hint: `nft -a list chain ${rule.family} ${rule.table} ${rule.chain}`,
    });
  }
  return [...place, 'handle', String((rule as NftRuleName).handle)];
}

function setBody(set: NftSet): string {
  const value = set.map === undefined ? '' : ` : ${set.map === 'verdict' ? 'verdict' : typeText(set.map)}`;
  const parts = [`type ${typeText(set.type)}${value};`];
  const flags = set.flags ?? [];
  if (flags.length > 0) parts.push(`flags ${flags.join(',')};`);
  if (set.timeout !== undefined) parts.push(`timeout ${printSeconds(set.timeout)};`);
  if (set.gcInterval !== undefined) parts.push(`gc-interval ${printSeconds(set.gcInterval)};`);
  if (set.size !== undefined) parts.push(`size ${set.size};`);
  if (set.policy !== undefined) parts.push(`policy ${set.policy};`);
  for (const expr of set.exprs ?? []) parts.push(`${statefulText(expr)};`);
  if (set.comment !== undefined) parts.push(`comment ${quoted(set.comment)};`);
  return `{ ${parts.join(' ')} }`;
}

function elementsBody(set: NftSet, elements: readonly NftElement[], remove: boolean): string {
  const types = typesOf(set.type);
  const data = set.map === undefined || set.map === 'verdict' ? [] : typesOf(set.map);
  const texts = elements.map((element) => {
    const parts = [printKey(types, element.key)];
    if (remove) return parts[0];
    if (element.timeout !== undefined) parts.push(`timeout ${printSeconds(element.timeout)}`);
    if (element.comment !== undefined) parts.push(`comment ${quoted(element.comment)}`);
    if (element.data !== undefined) parts.push(`: ${printData(element.data, data)}`);
    return parts.join(' ');
  });
  return `{ ${texts.join(', ')} }`;
}

function statefulText(expr: Expr): string {
  if (expr.name === 'counter') return 'counter';
  throw new NetloomError('EBADVALUE', `netloom cannot print a set whose elements carry ${expr.name}`);
}

function typeText(type: NftType): string {
  return typesOf(type)
    .map((t) => t.name)
    .join(' . ');
}
