import { NetloomError } from '../errors.ts';
import type { Request } from '../netlink/index.ts';
import type { AnonymousSet } from './anonymous.ts';
import { dataType, type NftScalar, type NftTypeName } from './datatype.ts';
import { Dependencies } from './dependency.ts';
import { elementAdd, type NftElement } from './element.ts';
import type { Expr } from './expr/index.ts';
import { constantBytes, type FieldType, headerField, protocolOf, TCP_MAXSEG } from './field.ts';
import { Loader } from './load.ts';
import { Matcher } from './match.ts';
import { FULL_REGISTER, register } from './register.ts';
import { type NftRule, ruleAdd } from './rule.ts';
import { type NftSet, setAdd } from './set.ts';
import type {
  NftDynamicSet,
  NftExpression,
  NftLimit,
  NftLog,
  NftMapData,
  NftNat,
  NftNatValue,
  NftReject,
  NftStatement,
  NftStatementRule,
} from './statement.ts';
import { ICMP_CODE, ICMPV6_CODE, ICMPX_CODE } from './symbols.ts';
import { isVerdict } from './verdict.ts';

/** What a rule is compiled with. */
export interface CompileContext {
  /** The sets and maps of its table that it names. */
  readonly sets?: Iterable<NftSet>;
}

/** A rule, and the sets that it brings along. */
export interface CompiledRule {
  readonly rule: NftRule;
  readonly sets: readonly AnonymousSet[];
}

/**
 * What nft 1.0.6 makes of the same rule, expression by expression, so that both list alike.
 * @throws NetloomError EBADVALUE for a value or a combination that makes no rule
 */
export function compile(rule: NftStatementRule, context: CompileContext = {}): CompiledRule {
  const { family, table, chain, comment } = rule;
  const compiler = new RuleCompiler(rule, context);
  for (const statement of rule.statements) compiler.statement(statement);
  const compiled = { family, table, chain, exprs: compiler.exprs, ...(comment !== undefined && { comment }) };
  return { rule: compiled, sets: compiler.loader.sets };
}

/** The expressions of a rule; lookups in anonymous sets name them by pattern. @throws NetloomError EBADVALUE */
export function compileRule(rule: NftStatementRule, context: CompileContext = {}): readonly Expr[] {
  return compile(rule, context).rule.exprs;
}

/** Everything that adds a rule at the end of its chain: its anonymous sets, their elements, and itself. */
export function statementRuleAdd(rule: NftStatementRule, context: CompileContext = {}): Request[] {
  const compiled = compile(rule, context);
  return [
    ...compiled.sets.flatMap(({ set, elements, id }) => [
      setAdd(set, { id }),
      ...elementAdd(set, elements, { setId: id }),
    ]),
    ruleAdd(compiled.rule),
  ];
}

class RuleCompiler {
  readonly exprs: Expr[] = [];
  readonly loader: Loader;
  readonly #rule: NftStatementRule;
  readonly #dependencies: Dependencies;
  readonly #matcher: Matcher;

  constructor(rule: NftStatementRule, context: CompileContext) {
    const emit = (...exprs: Expr[]): void => void this.exprs.push(...exprs);
    this.#rule = rule;
    this.#dependencies = new Dependencies(rule.family, emit);
    this.loader = new Loader(rule, new Map([...(context.sets ?? [])].map((set) => [set.name, set])), emit);
    this.#matcher = new Matcher(this.exprs, this.loader, this.#dependencies);
  }

  statement(s: NftStatement): void {
    if ('match' in s) this.#matcher.match(s.match);
    else if (isVerdict(s)) this.exprs.push({ name: 'immediate', dreg: 0, verdict: s });
    else if ('vmap' in s) this.#vmap(s.vmap.key, s.vmap.data);
    else if ('counter' in s) this.#counter(s.counter ?? { packets: 0, bytes: 0 });
    else if ('masquerade' in s) this.#toSelf('masq', s.masquerade ?? {});
    else if ('redirect' in s) this.#toSelf('redir', s.redirect ?? {});
    else if ('dnat' in s) this.#nat('dnat', s.dnat);
    else if ('snat' in s) this.#nat('snat', s.snat);
    else if ('reject' in s) this.#reject(s.reject);
    else if ('limit' in s) this.exprs.push(limitExpr(s.limit));
    else if ('log' in s) this.exprs.push(logExpr(s.log ?? {}));
    else if ('mangle' in s) this.#mangle(s.mangle.key, s.mangle.value);
    else if ('notrack' in s) this.exprs.push({ name: 'notrack' });
    else if ('quota' in s) {
      const { bytes, inv } = s.quota;
      this.exprs.push({ name: 'quota', bytes: BigInt(bytes), consumed: 0n, ...(inv && { inv }) });
    } else if ('ct count' in s) {
      const { val, inv } = s['ct count'];
      this.exprs.push({ name: 'connlimit', count: val, ...(inv && { inv }) });
    } else this.#dynset(s.set);
  }

  #counter({ packets, bytes }: { readonly packets: number; readonly bytes: number }): void {
    this.exprs.push({ name: 'counter', packets: BigInt(packets), bytes: BigInt(bytes) });
  }

  #vmap(key: NftExpression, data: NftMapData): void {
    this.#dependencies.requireFor(key);
    if (typeof data === 'string')
      return this.loader.lookup(key, this.loader.named(data), 0, { dreg: VERDICT_REGISTER });
    const elements: NftElement[] = data.set.map(([k, d]) => ({ key: k, data: d }));
    const { set, id } = this.loader.anonymous(this.loader.fieldsOf(key), elements, 'verdict');
    this.loader.lookup(key, set, 0, { dreg: VERDICT_REGISTER, setId: id });
  }

  #nat(type: 'dnat' | 'snat', nat: NftNat): void {
    const { addr, port } = nat;
    const family = this.#natFamily(type, nat);
    const addressType: NftTypeName = family === 'ip6' ? 'ipv6_addr' : 'ipv4_addr';
    const registers: { addrMin?: number; addrMax?: number; portMin?: number; portMax?: number } = {};
    let slot = 0;
    if (typeof addr === 'object' && 'map' in addr) {
      this.#dependencies.requireFor(addr);
      const [address, service] = this.loader.load(addr, slot, natTypes(addr.map.data, addressType));
      registers.addrMin = register(slot);
      if (service) registers.portMin = register(slot + address!.len / 4);
      slot += FULL_REGISTER;
    } else if (addr !== undefined) {
      const [min, max] = this.#bounds(dataType(addressType), addr, slot);
      registers.addrMin = min!;
      if (max !== undefined) registers.addrMax = max;
      slot += max === undefined ? FULL_REGISTER : 2 * FULL_REGISTER;
    }
    if (port !== undefined) Object.assign(registers, this.#ports(port, slot));
    this.exprs.push({ name: 'nat', type, family, ...registers, flags: nat.flags ?? [] });
  }

  #natFamily(type: string, nat: NftNat): 'ip' | 'ip6' | 'inet' {
    if (nat.family !== undefined) return nat.family;
    const { family } = this.#rule;
    if (family === 'ip' || family === 'ip6') return family;
    if (nat.addr === undefined) return 'inet';
    const known = this.#dependencies.known('network');
    if (known === 'ip' || known === 'ip6') return known;
    throw new NetloomError('EBADVALUE', `${type} to an address in family ${family} must name the family ip or ip6`);
  }

  #toSelf(
    name: 'masq' | 'redir',
    { port, flags }: { readonly port?: NftNatValue; readonly flags?: NftNat['flags'] },
  ): void {
    const ports = port === undefined ? {} : this.#ports(port, 0);
    this.exprs.push({ name, ...ports, flags: flags ?? [] });
  }

  #ports(port: NftNatValue, slot: number): { portMin: number; portMax?: number } {
    const [min, max] = this.#bounds(dataType('inet_service'), port, slot);
    return { portMin: min!, ...(max !== undefined && { portMax: max }) };
  }

  /** Puts a value, or both ends of a range, into full registers from `slot` on. */
  #bounds(type: ReturnType<typeof dataType>, value: NftNatValue, slot: number): number[] {
    const bounds: readonly NftScalar[] = typeof value === 'object' ? value.range : [value];
    return bounds.map((bound, i) => {
      const dreg = register(slot + i * FULL_REGISTER);
      this.exprs.push({ name: 'immediate', dreg, data: type.parse(bound) });
      return dreg;
    });
  }

  #reject(reject: NftReject | null): void {
    const network = this.#dependencies.known('network');
    if (!reject) {
      const type = network === 'ip' || network === 'ip6' ? 'icmp' : 'icmpx';
      const code = type === 'icmpx' ? ICMPX_CODE : network === 'ip' ? ICMP_CODE : ICMPV6_CODE;
      this.exprs.push({ name: 'reject', type, code: code['port-unreachable'] });
    } else if (reject.type === 'tcp reset') {
      this.#dependencies.require('tcp');
      this.exprs.push({ name: 'reject', type: 'tcp reset', code: 0 });
    } else {
      if (reject.type !== 'icmpx') this.#dependencies.require(reject.type === 'icmp' ? 'ip' : 'ip6');
      const [code] = dataType(`${reject.type}_code`).parse(reject.expr);
      this.exprs.push({ name: 'reject', type: reject.type === 'icmpx' ? 'icmpx' : 'icmp', code: code! });
    }
  }

  #mangle(key: NftExpression, value: NftExpression): void {
    if (typeof key !== 'object') throw new NetloomError('EBADVALUE', `${key} cannot be set`);
    if ('tcp option' in key) {
      const { option, offset, field } = TCP_MAXSEG;
      this.#value(value, field);
      this.exprs.push({ name: 'exthdr', op: 'tcpopt', type: option, offset, len: field.len, sreg: register(0) });
      return;
    }
    this.#dependencies.requireFor(key);
    const [field] = this.loader.fieldsOf(key);
    this.#value(value, field!);
    const sreg = register(0);
    if ('meta' in key) this.exprs.push({ name: 'meta', key: key.meta.key, sreg });
    else if ('ct' in key) this.exprs.push({ name: 'ct', ...key.ct, sreg });
    else if ('payload' in key) this.#writePayload(key.payload.protocol, key.payload.field, sreg);
    else throw new NetloomError('EBADVALUE', `${Object.keys(key)[0]} cannot be set`);
  }

  /** Brings a value into the first register in the shape of `field`. */
  #value(value: NftExpression, field: FieldType): void {
    if (typeof value !== 'object') {
      this.exprs.push({ name: 'immediate', dreg: register(0), data: constantBytes(field, value) });
      return;
    }
    this.#dependencies.requireFor(value);
    const [loaded] = this.loader.load(value, 0, [field.type.name]);
    if (loaded!.byteorder === 'host' && field.byteorder === 'network') this.loader.toNetworkOrder(loaded!, 0);
  }

  #writePayload(protocol: string, name: string, sreg: number): void {
    const { base, offset, len, mask } = headerField(protocol, name);
    if (mask !== undefined)
      throw new NetloomError('EBADVALUE', `${protocol} ${name} shares its bytes: netloom cannot set it yet`);
    const own = protocolOf(protocol).checksum ?? { type: 'none', offset: 0, flags: [] };
    // the pseudo header of TCP's and UDP's checksum holds the addresses
    const checksum = /^[sd]addr$/.test(name) && base === 'network' ? { ...own, flags: ['pseudohdr' as const] } : own;
    this.exprs.push({ name: 'payload', sreg, base, offset, len, checksum });
  }

  #dynset({ op, elem, set, timeout, stmt }: NftDynamicSet): void {
    this.#dependencies.requireFor(elem);
    this.loader.load(elem, 0);
    const inner = new RuleCompiler(this.#rule, {});
    for (const s of stmt ?? []) inner.statement(s);
    const { name } = this.loader.named(set);
    const rest = { exprs: inner.exprs, ...(timeout !== undefined && { timeout }) };
    this.exprs.push({ name: 'dynset', op, set: name, sregKey: register(0), ...rest });
  }
}

/** linux/netfilter/nf_tables.h, NFT_REG_VERDICT */
const VERDICT_REGISTER = 0;

/** The types of a translation's map: an address, with a port where its values have two fields. */
function natTypes(data: NftMapData, address: NftTypeName): readonly NftTypeName[] {
  if (typeof data === 'string') return [];
  const value = data.set[0]?.[1];
  return typeof value === 'object' && 'concat' in value ? [address, 'inet_service'] : [address];
}

const SECONDS = { second: 1n, minute: 60n, hour: 3600n, day: 86_400n, week: 604_800n } as const;
const UNITS = { packets: 1, bytes: 1, kbytes: 1024, mbytes: 1024 * 1024 } as const;
/** nft's burst for packets where the rule names none; for bytes it is none. */
const BURST_PACKETS = 5;

function limitExpr(limit: NftLimit): Expr {
  const rateUnit = limit.rate_unit ?? 'packets';
  const type = rateUnit === 'packets' ? 'packets' : 'bytes';
  const burst =
    limit.burst === undefined
      ? type === 'packets'
        ? BURST_PACKETS
        : 0
      : limit.burst * UNITS[limit.burst_unit ?? type];
  const rate = BigInt(limit.rate) * BigInt(UNITS[rateUnit]);
  return { name: 'limit', rate, unit: SECONDS[limit.per], burst, type, ...(limit.inv && { inv: true }) };
}

/** The kernel shows its default level where none was named; a group has none. */
function logExpr({ 'queue-threshold': queueThreshold, ...log }: NftLog): Expr {
  const level = log.level ?? (log.group === undefined ? 'warn' : undefined);
  return {
    name: 'log',
    ...log,
    ...(level !== undefined && { level }),
    ...(queueThreshold !== undefined && { queueThreshold }),
  };
}
