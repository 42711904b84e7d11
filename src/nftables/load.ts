import { NetloomError } from '../errors.ts';
import type { NftFamily } from './constants.ts';
import { bytesNumber, dataType, type NftScalar, type NftTypeName, numberBytes, padded } from './datatype.ts';
import { type AnonymousSet, anonymousSet } from './anonymous.ts';
import type { Expr } from './expr/index.ts';
import {
  constantBytes,
  CT_FIELDS,
  FIB_FIELDS,
  type FieldType,
  headerField,
  META_FIELDS,
  NUMBER_FIELD,
  RT_FIELDS,
} from './field.ts';
import { FULL_REGISTER, register } from './register.ts';
import { isInterval, type NftSet, typesOf } from './set.ts';
import type { NftBits, NftExpression, NftMapData } from './statement.ts';

/** Writes the expressions that bring a value into registers. */
export class Loader {
  readonly #where: { readonly family: NftFamily; readonly table: string };
  readonly #named: ReadonlyMap<string, NftSet>;
  readonly #emit: (...exprs: Expr[]) => void;
  /** The sets that the rule brings along. */
  readonly sets: AnonymousSet[] = [];

  constructor(
    where: { readonly family: NftFamily; readonly table: string },
    named: ReadonlyMap<string, NftSet>,
    emit: (...exprs: Expr[]) => void,
  ) {
    this.#where = where;
    this.#named = named;
    this.#emit = emit;
  }

  /** What an expression gives; several fields for a concatenation. @throws NetloomError EBADVALUE */
  fieldsOf(expression: NftExpression): readonly FieldType[] {
    if (typeof expression !== 'object')
      throw new NetloomError('EBADVALUE', `${expression} is a constant: nothing to load`);
    if ('payload' in expression) return [headerField(expression.payload.protocol, expression.payload.field)];
    if ('meta' in expression) return [known(META_FIELDS[expression.meta.key], `meta ${expression.meta.key}`)];
    if ('ct' in expression) return [known(CT_FIELDS[expression.ct.key], `ct ${expression.ct.key}`)];
    if ('rt' in expression) return [known(RT_FIELDS[expression.rt.key], `rt ${expression.rt.key}`)];
    if ('fib' in expression) {
      return [FIB_FIELDS[expression.fib.flags.includes('check') ? 'check' : expression.fib.result]];
    }
    if ('numgen' in expression || 'jhash' in expression || 'symhash' in expression) return [NUMBER_FIELD];
    if ('concat' in expression) return expression.concat.flatMap((part) => this.fieldsOf(part));
    if ('map' in expression) return this.#mapFields(expression.map.data);
    if ('tcp option' in expression) throw new NetloomError('EBADVALUE', 'a TCP option can be set, not matched');
    return this.fieldsOf(bitsOf(expression).inner);
  }

  /** Loads an expression from `slot` on. @param want data types of the values of an anonymous map */
  load(expression: NftExpression, slot: number, want: readonly NftTypeName[] = []): readonly FieldType[] {
    const fields = this.#isAnonymousMap(expression) ? want.map(valueField) : this.fieldsOf(expression);
    const dreg = register(slot);
    if (typeof expression !== 'object') return fields;
    if ('payload' in expression) {
      const { base, offset, len } = headerField(expression.payload.protocol, expression.payload.field);
      this.#emit({ name: 'payload', dreg, base, offset, len });
    } else if ('meta' in expression) this.#emit({ name: 'meta', key: expression.meta.key, dreg });
    else if ('ct' in expression) this.#emit({ name: 'ct', ...expression.ct, dreg });
    else if ('rt' in expression) this.#emit({ name: 'rt', key: expression.rt.key, dreg });
    else if ('fib' in expression) this.#emit({ name: 'fib', dreg, ...expression.fib });
    else if ('numgen' in expression) {
      const { mode, mod, offset } = expression.numgen;
      this.#emit({ name: 'numgen', dreg, mode, modulus: mod, offset: offset ?? 0 });
    } else if ('symhash' in expression) {
      const { mod, offset } = expression.symhash;
      this.#emit({ name: 'hash', type: 'sym', dreg, modulus: mod, offset: offset ?? 0 });
    } else if ('jhash' in expression) {
      const { expr, mod, seed, offset } = expression.jhash;
      const source = slot + FULL_REGISTER;
      const len = this.load(expr, source).reduce(
        (sum, field, _, all) => sum + (all.length > 1 ? padded(field.len) : field.len),
        0,
      );
      const rest = { dreg, modulus: mod, offset: offset ?? 0, ...(seed !== undefined && { seed }) };
      this.#emit({ name: 'hash', type: 'jenkins', sreg: register(source), len, ...rest });
    } else if ('concat' in expression) {
      let at = slot;
      for (const part of expression.concat) at += slotsOf(this.load(part, at));
    } else if ('map' in expression) this.#lookup(expression.map.key, expression.map.data, slot, dreg, want);
    else this.#bitwise(expression, slot);
    return fields;
  }

  /** Loads a key and looks it up. @param dreg where a map's value goes; undefined for a set */
  lookup(key: NftExpression, set: NftSet, slot: number, more: { dreg?: number; inv?: true; setId?: number }): void {
    if (isInterval(set)) this.#loadOrdered(key, slot);
    else this.load(key, slot);
    this.#emit({ name: 'lookup', set: set.name, sreg: register(slot), ...more });
  }

  /** The set of the same table that `@name` means. @throws NetloomError EBADVALUE */
  named(reference: string): NftSet {
    const set = this.#named.get(reference.slice(1));
    if (set) return set;
    throw new NetloomError(
      'EBADVALUE',
      `the rule names ${reference}, which is not among the sets it was compiled with`,
    );
  }

  /** Keeps an anonymous set for the rule's transaction. */
  anonymous(...args: Parameters<typeof anonymousSet> extends [unknown, ...infer Rest] ? Rest : never): AnonymousSet {
    const anonymous = anonymousSet(this.#where, ...args);
    this.sets.push(anonymous);
    return anonymous;
  }

  /** Numbers of a register in network order, as comparing "less" and sets with intervals need them. */
  toNetworkOrder(field: FieldType, slot: number): void {
    if (field.byteorder === 'network' || field.type.base === 'string') return;
    const reg = register(slot);
    this.#emit({
      name: 'byteorder',
      sreg: reg,
      dreg: reg,
      op: 'hton',
      len: field.len,
      size: field.len % 4 === 0 ? 4 : 2,
    });
  }

  /** A verdict map's lookup, or a map's. */
  #lookup(key: NftExpression, data: NftMapData, slot: number, dreg: number, want: readonly NftTypeName[]): void {
    if (typeof data === 'string') return this.lookup(key, this.named(data), slot, { dreg });
    const map = want.length === 1 ? want[0]! : want;
    const { set, id } = this.anonymous(
      this.fieldsOf(key),
      data.set.map(([k, d]) => ({ key: k, data: d })),
      map,
    );
    this.lookup(key, set, slot, { dreg, setId: id });
  }

  #loadOrdered(key: NftExpression, slot: number): void {
    if (typeof key === 'object' && 'concat' in key) {
      let at = slot;
      for (const part of key.concat) {
        this.#loadOrdered(part, at);
        at += slotsOf(this.fieldsOf(part));
      }
      return;
    }
    const [field] = this.load(key, slot);
    this.toNetworkOrder(field!, slot);
  }

  /** `(value & mask) ^ xor`: nft makes one operation of any row of them. */
  #bitwise(expression: NftExpression, slot: number): void {
    const chain: { op: '&' | '|' | '^'; bits: NftBits }[] = [];
    let inner = expression;
    while (typeof inner === 'object' && ('&' in inner || '|' in inner || '^' in inner)) {
      const step = bitsOf(inner);
      chain.unshift({ op: step.op, bits: step.bits });
      inner = step.inner;
    }
    const [field] = this.load(inner, slot);
    const all = (1n << BigInt(field!.len * 8)) - 1n;
    let [mask, xor] = [all, 0n];
    for (const { op, bits } of chain) {
      const value = bytesNumber(bitsBytes(field!, bits), field!.byteorder);
      if (op === '&') [mask, xor] = [mask & value, xor & value];
      else if (op === '|') [mask, xor] = [mask & ~value & all, (xor & ~value) | value];
      else xor ^= value;
    }
    const { len, byteorder } = field!;
    const reg = register(slot);
    const data = { mask: numberBytes(mask, len, byteorder), xor: numberBytes(xor, len, byteorder) };
    this.#emit({ name: 'bitwise', op: 'mask_xor', sreg: reg, dreg: reg, len, ...data });
  }

  #mapFields(data: NftMapData): readonly FieldType[] {
    if (typeof data !== 'string')
      throw new NetloomError('EBADVALUE', 'an anonymous map is of use only where its type is known');
    const { map } = this.named(data);
    if (map === undefined || map === 'verdict') throw new NetloomError('EBADVALUE', `${data} is no map of values`);
    return typesOf(map).map((type) => valueField(type.name));
  }

  #isAnonymousMap(expression: NftExpression): boolean {
    return typeof expression === 'object' && 'map' in expression && typeof expression.map.data !== 'string';
  }
}

/** Slots of four bytes that fields take, one after another. */
export function slotsOf(fields: readonly FieldType[]): number {
  return fields.reduce((sum, field) => sum + padded(field.len) / 4, 0);
}

/** Constant bits: one value, or names that are set together. */
export function bitsBytes(field: FieldType, bits: NftBits): Uint8Array {
  const values: readonly NftScalar[] = typeof bits === 'object' ? bits : [bits];
  const sum = new Uint8Array(field.len);
  for (const value of values) constantBytes(field, value).forEach((byte, i) => (sum[i]! |= byte));
  return sum;
}

function bitsOf(expression: NftExpression): { op: '&' | '|' | '^'; inner: NftExpression; bits: NftBits } {
  for (const op of ['&', '|', '^'] as const) {
    const pair = (expression as Partial<Record<typeof op, readonly [NftExpression, NftBits]>>)[op];
    if (pair) return { op, inner: pair[0], bits: pair[1] };
  }
  throw new NetloomError('EBADVALUE', `not an expression: ${JSON.stringify(expression)}`);
}

function valueField(name: NftTypeName): FieldType {
  const type = dataType(name);
  return { type, len: type.size, byteorder: type.byteorder };
}

function known(field: FieldType | undefined, name: string): FieldType {
  if (field) return field;
  throw new NetloomError('EBADVALUE', `netloom cannot compile ${name} yet`);
}
