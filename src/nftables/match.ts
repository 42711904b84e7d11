import { NetloomError } from '../errors.ts';
import { bytesNumber, type NftScalar, numberBytes } from './datatype.ts';
import type { Dependencies } from './dependency.ts';
import type { CmpOp } from './expr/cmp.ts';
import type { CmpExpr, Expr, PayloadExpr } from './expr/index.ts';
import { constantBytes, type FieldType, headerField } from './field.ts';
import { isConcat, maskBytes, type NftField, type NftKey, prefixBytes } from './key.ts';
import { bitsBytes, type Loader } from './load.ts';
import { register } from './register.ts';
import type { NftExpression, NftMatch } from './statement.ts';

const CMP: Readonly<Record<NftMatch['op'], CmpOp>> = {
  '==': 'eq',
  in: 'eq',
  '!=': 'neq',
  '<': 'lt',
  '>': 'gt',
  '<=': 'lte',
  '>=': 'gte',
};

/** Writes the expressions of conditions. */
export class Matcher {
  readonly #exprs: Expr[];
  readonly #loader: Loader;
  readonly #dependencies: Dependencies;
  /** The last comparison of a whole header field with one value: the next one may join it. */
  #last: { load: number; mergeable: boolean } | undefined;

  constructor(exprs: Expr[], loader: Loader, dependencies: Dependencies) {
    this.#exprs = exprs;
    this.#loader = loader;
    this.#dependencies = dependencies;
  }

  match({ op, left, right }: NftMatch): void {
    this.#dependencies.requireFor(left);
    if (typeof right === 'string' && right.startsWith('@')) {
      this.#loader.lookup(left, this.#loader.named(right), 0, inverted(op));
    } else if (typeof right === 'object' && 'set' in right) this.#matchSet(op, left, right.set);
    else if (isList(right)) this.#matchBits(op, left, right);
    else this.#matchField(op, left, right);
  }

  #matchSet(op: NftMatch['op'], left: NftExpression, keys: readonly NftKey[]): void {
    const [only] = keys;
    // nft makes a plain comparison of a set with one member
    if (keys.length === 1 && !isConcat(only!)) return this.#matchField(op, left, only!);
    const fields = this.#loader.fieldsOf(left);
    const { set, id } = this.#loader.anonymous(
      fields,
      keys.map((key) => ({ key })),
    );
    this.#loader.lookup(left, set, 0, { ...inverted(op), setId: id });
  }

  #matchBits(op: NftMatch['op'], left: NftExpression, names: readonly NftScalar[]): void {
    const field = this.#single(left);
    if (field.type.base !== 'bitmask')
      throw new NetloomError('EBADVALUE', `a list means bits, and ${field.type.name} has none`);
    const bits = bitsBytes(field, names);
    if (op === 'in') this.#anyOf(left, field, bits);
    else this.#compare(op, left, field, bits);
  }

  #matchField(op: NftMatch['op'], left: NftExpression, right: NftField): void {
    const field = this.#single(left);
    if (typeof right === 'object' && 'range' in right) return this.#matchRange(op, left, field, right.range);
    if (typeof right === 'object') return this.#matchPrefix(op, left, field, right.prefix.addr, right.prefix.len);
    if (field.type.base === 'string' && String(right).endsWith('*')) return this.#matchStem(op, left, String(right));
    if (op === 'in' && field.type.base === 'bitmask') return this.#anyOf(left, field, constantBytes(field, right));
    this.#compare(op, left, field, constantBytes(field, right));
    if (op === '==') this.#dependencies.learn(left, right);
  }

  #compare(op: NftMatch['op'], left: NftExpression, field: FieldType, data: Uint8Array): void {
    if (op === '<' || op === '>' || op === '<=' || op === '>=') {
      this.#loader.load(left, 0);
      this.#loader.toNetworkOrder(field, 0);
      const ordered = field.byteorder === 'host' ? new Uint8Array(data).reverse() : data;
      this.#exprs.push({ name: 'cmp', sreg: register(0), op: CMP[op], data: ordered });
      return;
    }
    const bits = maskOf(left);
    if (bits !== undefined) return this.#compareMasked(op, left, field, bits, data);
    const at = this.#exprs.length;
    this.#loader.load(left, 0);
    const cmp: CmpExpr = { name: 'cmp', sreg: register(0), op: CMP[op], data };
    if (typeof left !== 'object' || !('payload' in left)) this.#exprs.push(cmp);
    else this.#compareHeader(at, cmp);
  }

  /** Joins a comparison with the one before where both fields lie next to each other, by nft's own rules. */
  #compareHeader(at: number, cmp: CmpExpr): void {
    const mergeable = cmp.op === 'eq';
    const before = this.#last;
    const [first, value] = before ? [this.#exprs[before.load], this.#exprs[before.load + 1]] : [];
    const second = this.#exprs[at] as PayloadExpr;
    if (
      before?.mergeable &&
      mergeable &&
      first?.name === 'payload' &&
      value?.name === 'cmp' &&
      canJoin(first, second)
    ) {
      this.#exprs.splice(at, 1);
      this.#exprs[before.load] = { ...first, len: first.len + second.len };
      this.#exprs[before.load + 1] = { ...value, data: Uint8Array.of(...value.data, ...cmp.data) };
      return;
    }
    this.#exprs.push(cmp);
    this.#last = { load: at, mergeable };
  }

  /** A field that shares its bytes with others: the rest is masked away, and the constant moved to its place. */
  #compareMasked(op: NftMatch['op'], left: NftExpression, field: FieldType, bits: number, data: Uint8Array): void {
    this.#loader.load(left, 0);
    let shift = 0n;
    while (((BigInt(bits) >> shift) & 1n) === 0n) shift++;
    const value = bytesNumber(data, field.byteorder) << shift;
    if ((value & ~BigInt(bits)) !== 0n)
      throw new NetloomError('EBADVALUE', `${value >> shift} is too large for its field`);
    this.#mask(numberBytes(bits, field.len, 'network'));
    this.#exprs.push({ name: 'cmp', sreg: register(0), op: CMP[op], data: numberBytes(value, field.len, 'network') });
  }

  #anyOf(left: NftExpression, field: FieldType, bits: Uint8Array): void {
    this.#loader.load(left, 0);
    this.#mask(bits);
    this.#exprs.push({ name: 'cmp', sreg: register(0), op: 'neq', data: new Uint8Array(field.len) });
  }

  #matchRange(
    op: NftMatch['op'],
    left: NftExpression,
    field: FieldType,
    bounds: readonly [NftScalar, NftScalar],
  ): void {
    if (maskOf(left) !== undefined)
      throw new NetloomError('EBADVALUE', 'netloom cannot compare part of a byte with a range yet');
    this.#loader.load(left, 0);
    this.#loader.toNetworkOrder(field, 0);
    const [from, to] = bounds.map((bound) => constantBytes({ ...field, byteorder: 'network' }, bound));
    const sreg = register(0);
    if (op === '!=') this.#exprs.push({ name: 'range', sreg, op: 'neq', from: from!, to: to! });
    else this.#exprs.push({ name: 'cmp', sreg, op: 'gte', data: from! }, { name: 'cmp', sreg, op: 'lte', data: to! });
  }

  /** Whole bytes of a prefix are compared by themselves; a header is then read no further. */
  #matchPrefix(op: NftMatch['op'], left: NftExpression, field: FieldType, addr: string, len: number): void {
    const { first } = prefixBytes(field.type, addr, len);
    const at = this.#exprs.length;
    this.#loader.load(left, 0);
    const sreg = register(0);
    if (len === 0 || len % 8 !== 0) {
      this.#mask(maskBytes(len, field.len));
      this.#exprs.push({ name: 'cmp', sreg, op: CMP[op], data: first });
      return;
    }
    const load = this.#exprs[at]!;
    if (load.name === 'payload') this.#exprs[at] = { ...load, len: len / 8 };
    this.#exprs.push({ name: 'cmp', sreg, op: CMP[op], data: first.subarray(0, len / 8) });
  }

  /** `eth*`: names that begin so. */
  #matchStem(op: NftMatch['op'], left: NftExpression, pattern: string): void {
    this.#loader.load(left, 0);
    const data = new TextEncoder().encode(pattern.slice(0, -1));
    if (data.length === 0) throw new NetloomError('EBADVALUE', 'the pattern * matches every name: leave it out');
    this.#exprs.push({ name: 'cmp', sreg: register(0), op: CMP[op], data });
  }

  #mask(mask: Uint8Array): void {
    const reg = register(0);
    const xor = new Uint8Array(mask.length);
    this.#exprs.push({ name: 'bitwise', op: 'mask_xor', sreg: reg, dreg: reg, len: mask.length, mask, xor });
  }

  #single(left: NftExpression): FieldType {
    const fields = this.#loader.fieldsOf(left);
    if (fields.length === 1) return fields[0]!;
    throw new NetloomError('EBADVALUE', 'a concatenation can be looked up in a set only');
  }
}

/** nftables' src/payload.c, payload_can_merge(): what stays one fast load, or was a slow one already. */
function canJoin(first: PayloadExpr, second: PayloadExpr): boolean {
  if (first.base !== second.base || first.offset + first.len !== second.offset) return false;
  const total = first.len + second.len;
  if (total > 16) return false;
  if (total <= 4 && first.base !== 'link') return true;
  return first.base === 'link' || Math.max(first.len, second.len) > 4;
}

function maskOf(left: NftExpression): number | undefined {
  return typeof left === 'object' && 'payload' in left
    ? headerField(left.payload.protocol, left.payload.field).mask
    : undefined;
}

function inverted(op: NftMatch['op']): { inv?: true } {
  if (op === '==' || op === 'in') return {};
  if (op === '!=') return { inv: true };
  throw new NetloomError('EBADVALUE', `a set cannot be compared with ${op}`);
}

function isList(right: NftMatch['right']): right is readonly NftScalar[] {
  return Array.isArray(right);
}
