import { ipFromBytes } from '../addr/index.ts';
import { type Expr, type NftRule, type NftSet, xtOf } from '../nftables/index.ts';
import type { ForeignTable } from './read.ts';

/**
 * A rule that was read, in words close to nft's: enough to know it again in `nft -a list ruleset` or `iptables -S`. What
 * has no word here stands in brackets.
 */
export function ruleText(rule: NftRule, table: ForeignTable): string {
  const loaded = new Map<number, Loaded>();
  const words: string[] = [];
  for (const expr of rule.exprs) {
    const word = wordOf(expr, loaded, table);
    if (word !== '') words.push(word);
  }
  const text = words.join(' ').replace(/meta l4proto (tcp|udp) (?=[sd]port)/g, '$1 ');
  return rule.comment === undefined ? text : `${text} comment "${rule.comment}"`;
}

interface Loaded {
  readonly name: string;
  readonly show: (bytes: Uint8Array) => string;
}

const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0);
  // without its end, a name stands for all that begin so
  return `"${Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString()}${end < 0 && bytes.length < 16 ? '*' : ''}"`;
};
const number = (bytes: Uint8Array): string => String(BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;
const address = (bytes: Uint8Array): string => {
  if (bytes.length === 4 || bytes.length === 16) return ipFromBytes(bytes).text;
  const whole = new Uint8Array(bytes.length < 4 ? 4 : 16);
  whole.set(bytes);
  return `${ipFromBytes(whole).text}/${bytes.length * 8}`;
};
const protocol = (bytes: Uint8Array): string =>
  ({ 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'ipv6-icmp', 132: 'sctp' })[bytes[0]!] ?? String(bytes[0]);
const nfproto = (bytes: Uint8Array): string => ({ 2: 'ipv4', 10: 'ipv6' })[bytes[0]!] ?? hex(bytes);
const STATES: readonly (readonly [number, string])[] = [
  [1, 'invalid'],
  [2, 'established'],
  [4, 'related'],
  [8, 'new'],
  [64, 'untracked'],
];
const states = (bytes: Uint8Array): string =>
  STATES.filter(([bit]) => (bytes[0]! & bit) !== 0)
    .map(([, name]) => name)
    .join(',');

function wordOf(expr: Expr, loaded: Map<number, Loaded>, table: ForeignTable): string {
  const load = (dreg: number | undefined, name: string, show: Loaded['show']): string => {
    if (dreg !== undefined) loaded.set(dreg, { name, show });
    return '';
  };
  const at = (register: number): Loaded => loaded.get(register) ?? { name: '?', show: hex };
  switch (expr.name) {
    case 'meta':
      if (expr.sreg !== undefined) return `meta ${expr.key} set …`;
      if (expr.key.endsWith('ifname')) return load(expr.dreg, expr.key, text);
      return load(
        expr.dreg,
        `meta ${expr.key}`,
        expr.key === 'l4proto' ? protocol : expr.key === 'nfproto' ? nfproto : hex,
      );
    case 'ct':
      return expr.sreg === undefined
        ? load(expr.dreg, `ct ${expr.key}`, expr.key === 'state' ? states : hex)
        : 'ct set …';
    case 'fib':
      return load(expr.dreg, `fib ${expr.flags.join(' . ')} ${expr.result}`, (b) => (b[0] === 2 ? 'local' : hex(b)));
    case 'payload': {
      const [name, show] = fieldOf(expr.base, expr.offset);
      return load(expr.dreg, name || `@${expr.base},${expr.offset * 8},${expr.len * 8}`, show);
    }
    case 'bitwise': {
      const { name, show } = at(expr.sreg);
      const masked = expr.op === 'mask_xor' && name !== 'ct state' ? ` & ${show(expr.mask)}` : '';
      if (expr.op === 'mask_xor' && name === 'ct state')
        return load(expr.dreg, name, (bytes) => (bytes.every((b) => b === 0) ? states(expr.mask) : hex(bytes)));
      return load(expr.dreg, name + masked, show);
    }
    case 'cmp': {
      const { name, show } = at(expr.sreg);
      // bits: any of them, which nft writes without a sign
      const bits = name === 'ct state' && expr.op === 'neq' && expr.data.every((b) => b === 0);
      const sign = { eq: '', neq: bits ? '' : '!= ', lt: '< ', lte: '<= ', gt: '> ', gte: '>= ' }[expr.op];
      return `${name} ${sign}${show(expr.data)}`;
    }
    case 'range': {
      const { name, show } = at(expr.sreg);
      return `${name} ${expr.op === 'neq' ? '!= ' : ''}${show(expr.from)}-${show(expr.to)}`;
    }
    case 'lookup': {
      const set = table.sets.get(expr.set);
      const verdicts = set?.map === 'verdict' ? 'vmap ' : '';
      return `${at(expr.sreg).name} ${verdicts}${expr.inv === true ? '!= ' : ''}${setText(expr.set, set, table)}`;
    }
    case 'immediate': {
      if (!('verdict' in expr)) return '';
      const [word, target] = Object.entries(expr.verdict)[0] as [string, { target: string } | null];
      return target === null ? word : `${word} ${target.target}`;
    }
    case 'counter':
      return '';
    case 'limit':
      return `limit rate ${expr.rate}/${expr.unit}s`;
    case 'unknown': {
      const xt = xtOf(expr);
      if (!xt) return `[${expr.kind}]`;
      if (xt.kind === 'target') return xt.name === 'REJECT' ? 'reject' : `xt target ${xt.name}`;
      return xt.name === 'comment'
        ? `/* ${Buffer.from(xt.info).toString().replace(/\0.*/s, '')} */`
        : `xt match ${xt.name}`;
    }
    default:
      return expr.name === 'byteorder' ? '' : expr.name;
  }
}

function setText(name: string, set: NftSet | undefined, table: ForeignTable): string {
  if (!name.startsWith('__')) return `@${name}`;
  const keys = (table.elements.get(name) ?? []).map(({ key }) => plain(key));
  return set === undefined ? `{ … }` : `{ ${keys.join(', ')} }`;
}

/** A key as it was read: a value, a prefix, a range, or several. */
function plain(key: unknown): string {
  if (typeof key !== 'object' || key === null) return String(key);
  if ('concat' in key) return (key.concat as unknown[]).map(plain).join(' . ');
  if ('prefix' in key) {
    const { addr, len } = key.prefix as { addr: string; len: number };
    return `${addr}/${len}`;
  }
  return 'range' in key ? (key.range as unknown[]).join('-') : JSON.stringify(key);
}

const FIELDS: Readonly<Record<string, readonly [string, Loaded['show']]>> = {
  'network 9': ['ip protocol', protocol],
  'network 6': ['ip6 nexthdr', protocol],
  'network 12': ['ip saddr', address],
  'network 16': ['ip daddr', address],
  'network 8': ['ip6 saddr', address],
  'network 24': ['ip6 daddr', address],
  'transport 0': ['sport', number],
  'transport 2': ['dport', number],
};
function fieldOf(base: string, offset: number): readonly [string, Loaded['show']] {
  return FIELDS[`${base} ${offset}`] ?? ['', hex];
}
