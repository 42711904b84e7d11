import {
  elementId,
  type Expr,
  dataType,
  type NftChain,
  type NftElement,
  type NftRule,
  type NftSet,
  type NftVerdict,
  xtOf,
} from '../nftables/index.ts';
import { exactly, type Packet, type Partial, unknown } from './packet.ts';
import type { ForeignTable } from './read.ts';
import { both, either, type Likelihood, negate, xtMatches, xtVerdict } from './xt.ts';

/** What decides: a rule, or the policy of a base chain. */
export interface Decider {
  readonly chain: string;
  readonly rule?: NftRule;
}

/** What becomes of a packet in one base chain. */
export interface Outcome {
  readonly verdict: 'accept' | 'drop' | 'unknown';
  readonly by: Decider;
  /** What most packets of this kind come to, where the verdict is unknown: see `Likelihood`. */
  readonly presumed: 'accept' | 'drop';
}

/**
 * Runs a packet of which not everything is known through a base chain. What cannot be told is never guessed: a rule that
 * may or may not match makes the verdict unknown where it would change it.
 */
export function evaluate(table: ForeignTable, base: NftChain, packet: Packet): Outcome {
  const run = new Run(table, packet);
  const policy: End = { verdict: base.base?.policy ?? 'accept', by: { chain: base.name } };
  const { falls, live } = run.walk(base.name, 0, true);
  if (falls) run.end(policy, live);
  const [first = policy] = run.ends;
  const last = run.presumed ?? policy;
  const presumed = last.verdict === 'drop' ? 'drop' : 'accept';
  const other = run.ends.find((end) => end.verdict !== last.verdict);
  if (!other) return { verdict: last.verdict, by: run.presumed?.by ?? first.by, presumed };
  return { verdict: 'unknown', by: presumed === 'drop' ? last.by : other.by, presumed };
}

/** Where a packet's way may end. */
interface End {
  readonly verdict: 'accept' | 'drop' | 'unknown';
  readonly by: Decider;
}

/** How far a walk through a chain comes: whether a packet may leave it at its end, and whether the presumed one does. */
interface Walk {
  readonly falls: boolean;
  readonly live: boolean;
}

/** Every way that the packet may take, and among them the one that it presumably takes. */
class Run {
  readonly ends: End[] = [];
  /** The end of the presumed way. */
  presumed: End | undefined;
  readonly #table: ForeignTable;
  readonly #packet: Packet;
  #steps = 0;

  constructor(table: ForeignTable, packet: Packet) {
    this.#table = table;
    this.#packet = packet;
  }

  /** @param live whether the presumed way comes to it */
  end(end: End, live: boolean): void {
    // ten thousand bans are one possibility
    if (!this.ends.some(({ verdict }) => verdict === end.verdict)) this.ends.push(end);
    if (live) this.presumed ??= end;
  }

  /** @param live whether the presumed way leads into this chain */
  walk(name: string, depth: number, live: boolean): Walk {
    let falls = false;
    let leaves = false;
    let here = live;
    if (depth > MOST_JUMPS) return this.#giveUp(name, here);
    for (const rule of this.#table.rules.get(name) ?? []) {
      if (++this.#steps > MOST_STEPS) return this.#giveUp(name, here);
      const { matches, verdicts } = this.#rule(rule);
      if (matches === 'no') continue;
      const certain = matches === 'yes' && verdicts.length === 1;
      // of several verdicts the last one is that of whatever is not named
      const taken = matches === 'yes' || matches === 'likely' ? verdicts.at(-1) : undefined;
      let next = here && taken === undefined;
      let goesOn = !certain;
      for (const verdict of verdicts) {
        const there = here && verdict === taken;
        if (verdict === 'drop' || verdict === 'accept') {
          this.end({ verdict, by: { chain: name, rule } }, there);
        } else if (verdict === 'unknown') {
          // whoever decides elsewhere may leave it to the rules behind
          this.end({ verdict, by: { chain: name, rule } }, false);
          next ||= there;
          goesOn = true;
        } else if (verdict === 'continue') {
          next ||= there;
          goesOn = true;
        } else if ('return' in verdict) {
          falls = true;
          leaves ||= there;
        } else if ('jump' in verdict) {
          const walk = this.walk(verdict.jump.target, depth + 1, there);
          next ||= walk.live;
          goesOn ||= walk.falls;
        } else {
          const walk = this.walk(verdict.goto.target, depth + 1, there);
          falls ||= walk.falls;
          leaves ||= walk.live;
        }
      }
      here = next;
      if (!goesOn) return { falls, live: leaves };
    }
    return { falls: true, live: leaves || here };
  }

  #giveUp(name: string, live: boolean): Walk {
    this.end({ verdict: 'unknown', by: { chain: name } }, false);
    return { falls: true, live };
  }

  #rule(rule: NftRule): { matches: Likelihood; verdicts: readonly Verdict[] } {
    const registers = new Registers();
    let matches: Likelihood = 'yes';
    for (const expr of rule.exprs) {
      const result = this.#expr(expr, registers);
      if (result === 'no') return { matches: 'no', verdicts: [] };
      if (typeof result === 'string') matches = both(matches, result);
      else return { matches, verdicts: result };
    }
    return { matches, verdicts: ['continue'] };
  }

  #expr(expr: Expr, registers: Registers): Likelihood | readonly Verdict[] {
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
        if (expr.dreg !== undefined) {
          const value = packet.ct(expr.key);
          if (!value) return 'no';
          registers.set(expr.dreg, value);
        }
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
      case 'limit':
      case 'connlimit':
      case 'quota':
        // what is limited is mostly below its limit
        return expr.inv === true ? 'maybe' : 'likely';
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
        return 'maybe';
    }
  }

  #lookup(expr: Expr & { name: 'lookup' }, registers: Registers): Likelihood | readonly Verdict[] {
    const set = this.#table.sets.get(expr.set);
    const elements = this.#table.elements.get(expr.set);
    if (!set || !elements) return 'maybe';
    const sizes = (typeof set.type === 'string' ? [set.type] : set.type).map((type) => dataType(type).size);
    const odd = (typeof set.type === 'string' ? [set.type] : set.type).includes('integer');
    const length = sizes.length === 1 ? sizes[0]! : sizes.reduce((sum, size) => sum + Math.ceil(size / 4) * 4, 0);
    const key = odd ? unknown(length) : registers.get(expr.sreg, length);
    const nothing = key.known.every((known) => !known);
    let found: Likelihood = 'no';
    const verdicts: Verdict[] = [];
    // the last verdict is that of the packets that no other is for
    let rest: Verdict = 'continue';
    for (const element of elements) {
      const data = verdictIn(set, element);
      if (element.key === '*') {
        if (data !== undefined) rest = data;
        continue;
      }
      const hit = nothing ? 'maybe' : covers(idOf(set, element), key, sizes);
      if (hit === 'no') continue;
      if (data !== undefined && hit === 'yes') verdicts.push(data);
      else if (data !== undefined) verdicts.unshift(data);
      found = either(found, hit);
      if (hit === 'yes' || (nothing && data === undefined)) break;
    }
    const others = found !== 'yes' && elements.some((element) => element.key === '*');
    if (others && found === 'no') found = 'yes';
    if (set.map === 'verdict' && expr.dreg === 0) {
      if (found === 'no') return 'no';
      if (others) return [...verdicts, rest];
      return found === 'yes' ? verdicts : [...verdicts, 'continue'];
    }
    if (expr.dreg !== undefined) registers.set(expr.dreg, unknown(16));
    return expr.inv === true ? negate(found) : found;
  }
}

/** How deep chains may call each other: linux/netfilter/nf_tables.h NFT_JUMP_STACK_SIZE. */
const MOST_JUMPS = 16;
/** Rules looked at for one packet, before it is given up. */
const MOST_STEPS = 100_000;

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

function verdictIn(set: NftSet, { data }: NftElement): Verdict | undefined {
  return set.map === 'verdict' && typeof data === 'object' && !('concat' in data) ? verdictOf(data) : undefined;
}

/** `elementId`, which costs more than what it is compared for, once for each element that was read. */
function idOf(set: NftSet, element: NftElement): string {
  let id = ids.get(element);
  if (id === undefined) ids.set(element, (id = elementId(set, element)));
  return id;
}
const ids = new WeakMap<NftElement, string>();

/** Sixteen slots of four bytes; 1 to 4 name four of them at once. */
class Registers {
  readonly #bytes = new Uint8Array(64);
  readonly #known: boolean[] = new Array<boolean>(64).fill(false);

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

function compare(value: Partial, op: 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte', data: Uint8Array): Likelihood {
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
function covers(id: string, key: Partial, sizes: readonly number[]): Likelihood {
  const [first = '', last = first] = id.split('-');
  const [low, high] = [Buffer.from(first, 'hex'), Buffer.from(last, 'hex')];
  let result: Likelihood = 'yes';
  let at = 0;
  for (const size of sizes) {
    const field = { bytes: key.bytes.subarray(at, at + size), known: key.known.slice(at, at + size) };
    const [from, to] = [low.subarray(at, at + size), high.subarray(at, at + size)];
    result = both(result, from.equals(to) ? compare(field, 'eq', from) : between(field, from, to));
    at += Math.ceil(size / 4) * 4;
  }
  return result;
}
function between(value: Partial, from: Uint8Array, to: Uint8Array): Likelihood {
  return both(compare(value, 'gte', from), compare(value, 'lte', to));
}

function turn(value: Partial, size: number): Partial {
  const order = Array.from(value.bytes, (_, i) => Math.floor(i / size) * size + (size - 1 - (i % size)));
  return {
    bytes: Uint8Array.from(order, (from) => value.bytes[from]!),
    known: order.map((from) => value.known[from]!),
  };
}
