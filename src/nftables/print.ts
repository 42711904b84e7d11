import { NetloomError } from '../errors.ts';
import { dataType, type NftDataType, type NftScalar } from './datatype.ts';
import { type NftKey, printField, printKey, quoted } from './key.ts';
import { CT_FIELDS, headerField, META_FIELDS } from './field.ts';
import type { NatFlag } from './expr/index.ts';
import type {
  NftBits,
  NftDynamicSet,
  NftExpression,
  NftLimit,
  NftLog,
  NftMapData,
  NftMatch,
  NftNat,
  NftNatValue,
  NftReject,
  NftRight,
  NftStatement,
  NftStatementRule,
} from './statement.ts';
import type { NftData } from './element.ts';
import { isVerdict, printVerdict } from './verdict.ts';

/** The rule in nft's own syntax, without table and chain: `iifname @bridges counter drop`. @see nft(8) */
export function printRule(rule: Pick<NftStatementRule, 'statements' | 'comment'>): string {
  const text = rule.statements.map(printStatement).join(' ');
  return rule.comment === undefined ? text : `${text} comment ${quoted(rule.comment)}`;
}

/** One statement in nft's own syntax. */
export function printStatement(s: NftStatement): string {
  if ('match' in s) return printMatch(s.match);
  if (isVerdict(s)) return printVerdict(s);
  if ('vmap' in s) return `${printExpression(s.vmap.key)} vmap ${printMapData(s.vmap.data, s.vmap.key)}`;
  if ('counter' in s) return s.counter ? `counter packets ${s.counter.packets} bytes ${s.counter.bytes}` : 'counter';
  if ('masquerade' in s) return `masquerade${printToSelf(s.masquerade)}`;
  if ('redirect' in s) return `redirect${printToSelf(s.redirect)}`;
  if ('dnat' in s) return `dnat${printNat(s.dnat)}`;
  if ('snat' in s) return `snat${printNat(s.snat)}`;
  if ('reject' in s) return `reject${printReject(s.reject)}`;
  if ('limit' in s) return printLimit(s.limit);
  if ('log' in s) return `log${printLog(s.log ?? {})}`;
  if ('mangle' in s) return `${printExpression(s.mangle.key)} set ${printValue(s.mangle.value, s.mangle.key)}`;
  if ('notrack' in s) return 'notrack';
  if ('quota' in s) return `quota ${s.quota.inv ? 'over ' : ''}${s.quota.bytes} bytes`;
  if ('ct count' in s) return `ct count ${s['ct count'].inv ? 'over ' : ''}${s['ct count'].val}`;
  return printDynamicSet(s.set);
}

/** An expression in nft's own syntax. */
export function printExpression(e: NftExpression): string {
  if (typeof e !== 'object') return String(e);
  if ('payload' in e) {
    const { protocol, field } = e.payload;
    return protocol.startsWith('@') ? `${protocol},${field}` : `${protocol} ${field}`;
  }
  if ('meta' in e) return UNQUALIFIED.has(e.meta.key) ? e.meta.key : `meta ${e.meta.key}`;
  if ('ct' in e) return `ct ${e.ct.dir ? `${e.ct.dir} ` : ''}${e.ct.key}`;
  if ('rt' in e) return `rt ${e.rt.key}`;
  if ('fib' in e) return `fib ${e.fib.flags.filter((flag) => flag !== 'check').join(' . ')} ${e.fib.result}`;
  if ('tcp option' in e) return `tcp option ${e['tcp option'].name} ${e['tcp option'].field}`;
  if ('numgen' in e) return `numgen ${e.numgen.mode} mod ${e.numgen.mod}${printOffset(e.numgen.offset)}`;
  if ('symhash' in e) return `symhash mod ${e.symhash.mod}${printOffset(e.symhash.offset)}`;
  if ('jhash' in e) {
    const seed = e.jhash.seed === undefined ? '' : ` seed 0x${e.jhash.seed.toString(16)}`;
    return `jhash ${printExpression(e.jhash.expr)} mod ${e.jhash.mod}${seed}${printOffset(e.jhash.offset)}`;
  }
  if ('concat' in e) return e.concat.map(printExpression).join(' . ');
  if ('map' in e) return `${printExpression(e.map.key)} map ${printMapData(e.map.data, e.map.key)}`;
  for (const op of ['&', '|', '^'] as const) {
    const pair = (e as Partial<Record<typeof op, readonly [NftExpression, NftBits]>>)[op];
    if (pair) return `${printExpression(pair[0])} ${op} ${printBits(pair[1])}`;
  }
  throw new NetloomError('EBADVALUE', `not an expression: ${JSON.stringify(e)}`);
}

/** Keys of `meta` that nft prints without it. */
const UNQUALIFIED: ReadonlySet<string> = new Set([
  'iif',
  'iifname',
  'oif',
  'oifname',
  'iiftype',
  'oiftype',
  'skuid',
  'skgid',
  'iifgroup',
  'oifgroup',
  'rtclassid',
]);

function printMatch({ op, left, right }: NftMatch): string {
  const type = typeOf(left);
  // nft reads a comparison without an operator of bits as "any of these"
  const silent = op === 'in' || (op === '==' && type?.base !== 'bitmask' && !isMasked(left));
  return `${printExpression(left)} ${silent ? '' : `${op} `}${printRight(right, left)}`;
}

function printRight(right: NftRight, left: NftExpression): string {
  const [type] = typesOfKey(left);
  if (typeof right === 'object' && 'set' in right) {
    return `{ ${right.set.map((key: NftKey) => printKey(typesOfKey(left) as NftDataType[], key)).join(', ')} }`;
  }
  if (isBitList(right))
    return isMasked(left) || right.length !== 1 ? right.join(isMasked(left) ? ' | ' : ',') : String(right[0]);
  if (typeof right === 'string' && right.startsWith('@')) return right;
  if (isCheck(left)) return right === 1 || right === 'exists' ? 'exists' : 'missing';
  return printField(type, right);
}

function printMapData(data: NftMapData, key: NftExpression): string {
  if (typeof data === 'string') return data;
  const types = typesOfKey(key) as NftDataType[];
  return `{ ${data.set.map(([k, d]) => `${printKey(types, k)} : ${printData(d)}`).join(', ')} }`;
}

/** A map's value as nft writes it. */
export function printData(data: NftData, types: readonly NftDataType[] = []): string {
  if (typeof data === 'object' && !('concat' in data)) return printVerdict(data);
  return printKey(types, data);
}

function printValue(value: NftExpression, key: NftExpression): string {
  return typeof value === 'object' ? printExpression(value) : printField(typeOf(key), value);
}

function printToSelf(to: null | { readonly port?: NftNatValue; readonly flags?: readonly NatFlag[] }): string {
  return (to?.port === undefined ? '' : ` to :${printNatValue(to.port)}`) + printFlags(to?.flags);
}

function printNat({ family, addr, port, flags }: NftNat): string {
  const ports = port === undefined ? '' : `:${printNatValue(port)}`;
  const address = addr === undefined ? '' : printNatAddress(addr, ports !== '');
  return `${family ? ` ${family}` : ''} to ${address}${ports}${printFlags(flags)}`;
}

/** An IPv6 address stands in brackets where a port follows. */
function printNatAddress(addr: NonNullable<NftNat['addr']>, bracket: boolean): string {
  if (typeof addr === 'object' && 'map' in addr) return printExpression(addr);
  const ends: readonly NftScalar[] = typeof addr === 'object' ? addr.range : [addr];
  return ends.map((end) => (bracket && String(end).includes(':') ? `[${end}]` : String(end))).join('-');
}

function printNatValue(value: NftNatValue): string {
  return typeof value === 'object' ? value.range.join('-') : String(value);
}

function printFlags(flags: readonly NatFlag[] | undefined): string {
  return flags && flags.length > 0 ? ` ${flags.join(',')}` : '';
}

function printReject(reject: NftReject | null): string {
  if (!reject) return '';
  return reject.type === 'tcp reset' ? ' with tcp reset' : ` with ${reject.type} type ${reject.expr}`;
}

function printLimit({ rate, per, rate_unit, burst, burst_unit, inv }: NftLimit): string {
  const unit = rate_unit ?? 'packets';
  const burstUnit = burst_unit ?? (unit === 'packets' ? 'packets' : 'bytes');
  const speed = unit === 'packets' ? `${rate}/${per}` : `${rate} ${unit}/${per}`;
  return `limit rate ${inv ? 'over ' : ''}${speed}${burst === undefined ? '' : ` burst ${burst} ${burstUnit}`}`;
}

function printLog({ prefix, level, group, snaplen, 'queue-threshold': threshold, flags }: NftLog): string {
  const parts: string[] = [];
  if (prefix !== undefined) parts.push(`prefix ${quoted(prefix)}`);
  if (group !== undefined) parts.push(`group ${group}`);
  if (snaplen !== undefined) parts.push(`snaplen ${snaplen}`);
  if (threshold !== undefined) parts.push(`queue-threshold ${threshold}`);
  if (level !== undefined) parts.push(`level ${level}`);
  for (const flag of flags ?? []) parts.push(`flags ${flag}`);
  return parts.map((part) => ` ${part}`).join('');
}

function printDynamicSet({ op, elem, set, timeout, stmt }: NftDynamicSet): string {
  const parts = [printExpression(elem)];
  if (timeout !== undefined) parts.push(`timeout ${printSeconds(timeout)}`);
  for (const s of stmt ?? []) parts.push(printStatement(s));
  return `${op} ${set} { ${parts.join(' ')} }`;
}

/** A time as nft writes it: `1d2h3m4s5ms`. */
export function printSeconds(seconds: number): string {
  let rest = Math.round(seconds * 1000);
  let text = '';
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0s' : text;
}

function printBits(bits: NftBits): string {
  return typeof bits === 'object' ? `(${bits.join(' | ')})` : String(bits);
}

function printOffset(offset: number | undefined): string {
  return offset === undefined || offset === 0 ? '' : ` offset ${offset}`;
}

/** The data types of what is looked up, for printing constants of it. */
function typesOfKey(e: NftExpression): (NftDataType | undefined)[] {
  if (typeof e === 'object' && 'concat' in e) return e.concat.flatMap(typesOfKey);
  return [typeOf(e)];
}

function typeOf(e: NftExpression): NftDataType | undefined {
  if (typeof e !== 'object') return undefined;
  if ('payload' in e) return headerField(e.payload.protocol, e.payload.field).type;
  if ('meta' in e) return META_FIELDS[e.meta.key]?.type;
  if ('ct' in e) return CT_FIELDS[e.ct.key]?.type;
  if ('fib' in e) return e.fib.result === 'oifname' ? dataType('ifname') : undefined;
  return undefined;
}

function isMasked(e: NftExpression): boolean {
  return typeof e === 'object' && ('&' in e || '|' in e || '^' in e);
}

function isCheck(e: NftExpression): boolean {
  return typeof e === 'object' && 'fib' in e && e.fib.flags.includes('check');
}

function isBitList(right: NftRight): right is readonly NftScalar[] {
  return Array.isArray(right);
}
