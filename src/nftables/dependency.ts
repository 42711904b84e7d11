import { NetloomError } from '../errors.ts';
import type { NftFamily } from './constants.ts';
import { bytesNumber, dataType, type NftScalar, numberBytes } from './datatype.ts';
import type { Expr } from './expr/index.ts';
import { type Layer, protocolName, protocolOf } from './field.ts';
import { register } from './register.ts';
import type { NftExpression } from './statement.ts';

/**
 * What a rule knows of its packet so far, and the checks that nft adds by itself where it must know more: that the
 * bytes at the place of a TCP port are a TCP port.
 */
export class Dependencies {
  readonly #family: NftFamily;
  readonly #emit: (...exprs: Expr[]) => void;
  #known: Partial<Record<Layer, string>> = {};
  #ether: boolean;

  constructor(family: NftFamily, emit: (...exprs: Expr[]) => void) {
    this.#family = family;
    this.#emit = emit;
    if (family === 'ip' || family === 'ip6' || family === 'arp') this.#known.network = family;
    this.#ether = family === 'bridge';
  }

  /** The protocol of a layer; undefined where the rule leaves it open. */
  known(layer: Layer): string | undefined {
    return this.#known[layer];
  }

  /** Adds whatever checks the header of `protocol` needs. @throws NetloomError EBADVALUE for one that cannot be there */
  require(protocol: string): void {
    const { base, layer, number, over } = protocolOf(protocol);
    if (base === 'link') this.#requireEther();
    if (layer === undefined || this.#known[layer] === protocol) return;
    const known = this.#known[layer];
    if (known !== undefined) throw new NetloomError('EBADVALUE', `a packet of ${known} is never one of ${protocol}`);
    if (layer === 'network') this.#checkNetwork(protocol, number!);
    else {
      if (over !== undefined && this.#known.network === undefined) {
        // nft asks the Ethernet header here, and the packet's metadata everywhere else
        if (this.#family === 'bridge') this.#checkEtherType(over);
        else this.require(over);
      }
      this.#emit({ name: 'meta', key: 'l4proto', dreg: FIRST }, equals(numberBytes(number!, 1, 'host')));
    }
    this.#known[layer] = protocol;
  }

  /** Adds the checks for everything that an expression reads, in the order of its parts. */
  requireFor(expression: NftExpression): void {
    if (typeof expression !== 'object') return;
    if ('payload' in expression) this.require(expression.payload.protocol);
    else if ('concat' in expression) for (const part of expression.concat) this.requireFor(part);
    else if ('map' in expression) this.requireFor(expression.map.key);
    else if ('jhash' in expression) this.requireFor(expression.jhash.expr);
    else if ('&' in expression) this.requireFor(expression['&'][0]);
    else if ('|' in expression) this.requireFor(expression['|'][0]);
    else if ('^' in expression) this.requireFor(expression['^'][0]);
  }

  /** Learns from a condition that holds from here on. */
  learn(left: NftExpression, right: NftScalar): void {
    if (typeof left !== 'object') return;
    if ('meta' in left) {
      const { key } = left.meta;
      if (key === 'nfproto') {
        const [number] = dataType('nf_proto').parse(right);
        const name = NFPROTO_NAMES[number!];
        if (name !== undefined) this.#known.network ??= name;
      } else if (key === 'protocol') this.#learn('network', 'ether_type', right);
      else if (key === 'l4proto') this.#learn('transport', 'inet_proto', right);
    } else if ('payload' in left) {
      const { protocol, field } = left.payload;
      if (protocol === 'ether' && field === 'type') this.#learn('network', 'ether_type', right);
      else if (field === 'protocol' || field === 'nexthdr') this.#learn('transport', 'inet_proto', right);
    }
  }

  #learn(layer: Layer, type: 'ether_type' | 'inet_proto', value: NftScalar): void {
    const name = protocolName(layer, Number(bytesNumber(dataType(type).parse(value), 'network')));
    if (name !== undefined) this.#known[layer] ??= name;
  }

  #checkNetwork(protocol: string, etherType: number): void {
    if (this.#family === 'inet') {
      const nfproto = Object.entries(NFPROTO_NAMES).find(([, name]) => name === protocol)?.[0];
      if (nfproto === undefined) throw new NetloomError('EBADVALUE', `family inet sees no ${protocol}`);
      this.#emit({ name: 'meta', key: 'nfproto', dreg: FIRST }, equals(numberBytes(Number(nfproto), 1, 'host')));
    } else {
      this.#emit({ name: 'meta', key: 'protocol', dreg: FIRST }, equals(numberBytes(etherType, 2, 'network')));
    }
  }

  #checkEtherType(protocol: string): void {
    const type = numberBytes(protocolOf(protocol).number!, 2, 'network');
    this.#emit({ name: 'payload', base: 'link', offset: 12, len: 2, dreg: FIRST }, equals(type));
    this.#known.network = protocol;
  }

  #requireEther(): void {
    if (this.#ether) return;
    this.#emit({ name: 'meta', key: 'iiftype', dreg: FIRST }, equals(numberBytes(ARPHRD_ETHER, 2, 'host')));
    this.#ether = true;
  }
}

const FIRST = register(0);
/** linux/if_arp.h */
const ARPHRD_ETHER = 1;
/** linux/netfilter.h, NFPROTO_* that family inet sees. */
const NFPROTO_NAMES: Readonly<Record<number, string>> = { 2: 'ip', 10: 'ip6' };

function equals(data: Uint8Array): Expr {
  return { name: 'cmp', sreg: FIRST, op: 'eq', data };
}
