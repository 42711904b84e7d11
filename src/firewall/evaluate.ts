import {
  elementId,
  type Expr,
  dataType,
  type NftChain,
  type NftRule,
  type NftVerdict,
  xtOf,
} from '../nftables/index.ts';
import { exactly, type Packet, type Partial, unknown } from './packet.ts';
import type { ForeignTable } from './read.ts';
import { type Ternary, xtMatches, xtVerdict } from './xt.ts';

/** What decides: a rule, or the policy of a base chain. */
export interface Decider {
  readonly chain: string;
  readonly rule?: NftRule;
}

/** What becomes of a packet in one base chain. */
export interface Outcome {
  readonly verdict: 'accept' | 'drop' | 'unknown';
  readonly by: Decider;
}

/**
 * Runs a packet of which not everything is known through a base chain. What cannot be told is never guessed: a rule that
 * may or may not match makes the verdict unknown where it would change it.
 */
export function evaluate(table: ForeignTable, base: NftChain, packet: Packet): Outcome {
  const run = new Run(table, packet);
  const { end } = run.chain(base.name, 0);
  const policy = { chain: base.name };
  const last = end?.verdict ?? base.base?.policy ?? 'accept';
  const by = end?.by ?? policy;
  const doubt = run.doubts.find((d) => d.verdict !== last);
  if (doubt) return { verdict: 'unknown', by: last === 'drop' ? by : doubt.by };
  return { verdict: last, by };
}

type Final = Outcome;

class Run {
  /** What may have ended the run before its end. */
  readonly doubts: Final[] = [];
  readonly #table: ForeignTable;
  readonly #packet: Packet;

  constructor(table: ForeignTable, packet: Packet) {
    this.#table = table;
    this.#packet = packet;
  }

  /** The end that the chain certainly comes to; none where the packet goes on behind it. */
  chain(name: string, depth: number): { readonly end?: Final } {
    if (depth > MOST_JUMPS) return { end: { verdict: 'unknown', by: { chain: name } } };
    for (const rule of this.#table.rules.get(name) ?? []) {
      const { matches, verdicts } = this.#rule(rule);
      if (matches === 'no') continue;
      for (const verdict of verdicts) {
        const certain = matches === 'yes' && verdicts.length === 1;
        const by = { chain: name, rule };
        if (verdict === 'drop' || verdict === 'accept' || verdict === 'unknown') {
          if (certain) return { end: { verdict, by } };
          this.doubts.push({ verdict, by });
        } else if (verdict !== 'continue') {
          if ('return' in verdict) {
            if (certain) return {};
            // the rest of the chain may not run: what it comes to is no more than possible
            const before = this.doubts.length;
            const rest = this.#after(name, rule, depth);
            if (rest.end) this.doubts.push(rest.end);
            return this.doubts.length > before ? {} : rest;
          }
          const target = 'jump' in verdict ? verdict.jump.target : 'goto' in verdict ? verdict.goto.target : '';
          const { end } = this.chain(target, depth + 1);
          if (end && certain) return { end };
          if (end) this.doubts.push(end);
          if (certain && 'goto' in verdict) return {};
        }
      }
    }
    return {};
  }

  #after(name: string, rule: NftRule, depth: number): { readonly end?: Final } {
    const rules = this.#table.rules.get(name) ?? [];
    const rest: ForeignTable = {
      ...this.#table,
      rules: new Map([...this.#table.rules, [name, rules.slice(rules.indexOf(rule) + 1)]]),
    };
    const run = new Run(rest, this.#packet);
    const result = run.chain(name, depth + 1);
    this.doubts.push(...run.doubts);
    return result;
  }

  #rule(rule: NftRule): { matches: Ternary; verdicts: readonly Verdict[] } {
    const registers = new Registers();
    let matches: Ternary = 'yes';
    for (const expr of rule.exprs) {
      const result = this.#expr(expr, registers);
      if (result === 'no') return { matches: 'no', verdicts: [] };
      if (result === 'maybe') matches = 'maybe';
      else if (Array.isArray(result)) return { matches, verdicts: result as readonly Verdict[] };
    }
    return { matches, verdicts: ['continue'] };
  }

  #expr(expr: Expr, registers: Registers): Ternary | readonly Verdict[] {
    const packet = this.#packet;
    switch (expr.name) {
      case 'immediate':
        if ('verdict' in expr) return [verdictOf(expr.verdict)];
        registers.set(expr.dreg, exactly(expr.data));
        return 'yes';
      case 'meta':
        if (expr.dreg !== undefined) registers.set(expr.dreg, packet.meta(expr.key));
        return 'yes';
      case 'ct':
        if (expr.dreg !== undefined) registers.set(expr.dreg, packet.ct(expr.key));
        return 'yes';
      case 'payload':
        if (expr.dreg !== undefined) registers.set(expr.dreg, packet.header(expr.base, expr.offset, expr.len));
        return 'yes';
      case 'fib': {
        const type = expr.result === 'type' && expr.flags.includes('daddr');
        registers.set(expr.dreg, type ? exactly([packet.destinationType, 0, 0, 0]) : unknown(16));
        return 'yes';
      }
      case 'bitwise': {
        const value = registers.get(expr.sreg, expr.len);
        if (expr.op !== 'mask_xor') registers.set(expr.dreg, unknown(expr.len));
        else {
          const bytes = value.bytes.map((byte, i) => (byte & expr.mask[i]!) ^ expr.xor[i]!);
          registers.set(expr.dreg, { bytes, known: value.known.map((known, i) => known || expr.mask[i] === 0) });
        }
        return 'yes';
      }
      case 'byteorder': {
        const value = registers.get(expr.sreg, expr.len);
        const turned = turn(value, expr.size);
        registers.set(expr.dreg, turned);
        return 'yes';
      }
      case 'cmp':
        return compare(registers.get(expr.sreg, expr.data.length), expr.op, expr.data);
      case 'range': {
        const value = registers.get(expr.sreg, expr.from.length);
        const inside = both(compare(value, 'gte', expr.from), compare(value, 'lte', expr.to));
        return expr.op === 'eq' ? inside : negate(inside);
      }
      case 'lookup':
        return this.#lookup(expr, registers);
      case 'reject':
        return ['drop'];
      case 'counter':
      case 'log':
      case 'notrack':
      case 'dynset':
      case 'exthdr':
        return 'yes';
      case 'masq':
      case 'nat':
      case 'redir':
        return ['accept'];
      case 'queue':
        return ['unknown'];
      case 'unknown': {
        const xt = xtOf(expr);
        if (xt?.kind === 'match') return xtMatches(xt, packet);
        if (xt) return [xtVerdict(xt)];
        return ['objref', 'flow_offload', 'last'].includes(expr.kind) ? 'yes' : 'maybe';
      }
      default:
        if ('dreg' in expr && typeof expr.dreg === 'number') {
          registers.set(expr.dreg, unknown(16));
          return 'yes';
        }
        return 'maybe'; // a limit, a quota: now and then
    }
  }

  #lookup(expr: Expr & { name: 'lookup' }, registers: Registers): Ternary | readonly Verdict[] {
    const set = this.#table.sets.get(expr.set);
    const elements = this.#table.elements.get(expr.set);
    if (!set || !elements) return 'maybe';
    const sizes = (typeof set.type === 'string' ? [set.type] : set.type).map((type) => dataType(type).size);
    const odd = (typeof set.type === 'string' ? [set.type] : set.type).includes('integer');
    const length = sizes.length === 1 ? sizes[0]! : sizes.reduce((sum, size) => sum + Math.ceil(size / 4) * 4, 0);
    const key = odd ? unknown(length) : registers.get(expr.sreg, length);
    let found: Ternary = 'no';
    const verdicts: Verdict[] = [];
    for (const element of elements) {
      const hit: Ternary =
        element.key === '*' ? (found === 'no' ? 'yes' : 'no') : covers(elementId(set, element), key, sizes);
      if (hit === 'no') continue;
      if (found !== 'yes') found = hit;
      if (set.map === 'verdict' && typeof element.data === 'object' && !('concat' in element.data))
        verdicts.push(verdictOf(element.data));
    }
    if (set.map === 'verdict' && expr.dreg === 0) {
      if (found === 'no') return 'no';
      return found === 'yes' && verdicts.length === 1 ? verdicts : [...verdicts, 'continue'];
    }
    if (expr.dreg !== undefined) registers.set(expr.dreg, unknown(16));
    return expr.inv === true ? negate(found) : found;
  }
}

/** How deep chains may call each other: linux/netfilter/nf_tables.h NFT_JUMP_STACK_SIZE. */
const MOST_JUMPS = 16;

type Verdict =
  | 'accept'
  | 'drop'
  | 'unknown'
  | 'continue'
  | { readonly jump: { readonly target: string } }
  | { readonly goto: { readonly target: string } }
  | { readonly return: null };

function verdictOf(verdict: NftVerdict): Verdict {
  if ('accept' in verdict) return 'accept';
  if ('drop' in verdict) return 'drop';
  return 'continue' in verdict ? 'continue' : verdict;
}

/** Sixteen slots of four bytes; 1 to 4 name four of them at once. */
class Registers {
  readonly #bytes = new Uint8Array(64);
  readonly #known: boolean[] = Array.from({ length: 64 }, () => false);

  set(register: number, value: Partial): void {
    const at = place(register);
    const room = Math.min(value.bytes.length, 64 - at);
    this.#bytes.set(value.bytes.subarray(0, room), at);
    for (let i = 0; i < room; i++) this.#known[at + i] = value.known[i]!;
    // the kernel fills up the last slot with zeros
    const end = Math.min(64, at + Math.ceil(room / 4) * 4);
    for (let i = at + room; i < end; i++) [this.#bytes[i], this.#known[i]] = [0, true];
  }
  get(register: number, length: number): Partial {
    const at = place(register);
    return { bytes: this.#bytes.slice(at, at + length), known: this.#known.slice(at, at + length) };
  }
}
function place(register: number): number {
  return register < 8 ? (register - 1) * 16 : (register - 8) * 4;
}

function compare(value: Partial, op: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte', data: Uint8Array): Ternary {
  if (op === 'neq') return negate(compare(value, 'eq', data));
  if (op === 'eq') {
    let all = true;
    for (const [i, byte] of data.entries()) {
      if (value.known[i] !== true) all = false;
      else if (value.bytes[i] !== byte) return 'no';
    }
    return all ? 'yes' : 'maybe';
  }
  for (const [i, byte] of data.entries()) {
    if (value.known[i] !== true) return 'maybe';
    if (value.bytes[i] !== byte) return value.bytes[i]! < byte === op.startsWith('lt') ? 'yes' : 'no';
  }
  return op.endsWith('e') ? 'yes' : 'no';
}

/** Whether an element, as `elementId` writes it, covers a key: each field of a concatenation by itself. */
function covers(id: string, key: Partial, sizes: readonly number[]): Ternary {
  const [first = '', last = first] = id.split('-');
  const [low, high] = [Buffer.from(first, 'hex'), Buffer.from(last, 'hex')];
  let result: Ternary = 'yes';
  let at = 0;
  for (const size of sizes) {
    const field = { bytes: key.bytes.subarray(at, at + size), known: key.known.slice(at, at + size) };
    const [from, to] = [low.subarray(at, at + size), high.subarray(at, at + size)];
    result = both(result, from.equals(to) ? compare(field, 'eq', from) : between(field, from, to));
    at += Math.ceil(size / 4) * 4;
  }
  return result;
}
function between(value: Partial, from: Uint8Array, to: Uint8Array): Ternary {
  return both(compare(value, 'gte', from), compare(value, 'lte', to));
}

function both(a: Ternary, b: Ternary): Ternary {
  if (a === 'no' || b === 'no') return 'no';
  return a === 'yes' && b === 'yes' ? 'yes' : 'maybe';
}
function negate(a: Ternary): Ternary {
  return a === 'maybe' ? a : a === 'yes' ? 'no' : 'yes';
}

function turn(value: Partial, size: number): Partial {
  const order = Array.from(value.bytes, (_, i) => Math.floor(i / size) * size + (size - 1 - (i % size)));
  return {
    bytes: Uint8Array.from(order, (from) => value.bytes[from]!),
    known: order.map((from) => value.known[from]!),
  };
}
