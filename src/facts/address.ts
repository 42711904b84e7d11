import { parsePrefix } from '../addr/index.ts';
import {
  type Address,
  addressAdd,
  addressDelete,
  addressDump,
  addressReplace,
  type AddressSpec,
  ipMessages,
  linkDump,
  parseAddress,
  parseLink,
} from '../rtnetlink/index.ts';
import { ipIn, placeOf, quote } from './command.ts';
import { PROTOCOL } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/** An address on an interface. IPv6 ones skip duplicate address detection: the store hands each out once. @see ip-address(8) */
export interface AddressFact extends FactBase {
  readonly kind: 'address';
  readonly dev: string;
  /** With prefix length, canonical: `172.18.0.2/16`. */
  readonly address: string;
  /** IPv6: it is there for whoever asks for it, and not what the host speaks from. */
  readonly deprecated?: true;
}

export const addressKind: FactKind<AddressFact> = {
  key: (fact) => `address ${fact.ns} ${fact.dev} ${fact.address}`,
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [addressAdd(specOf(fact, index))],
  }),
  change: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [addressReplace(specOf(fact, index))],
  }),
  delete: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [addressDelete({ index: index(fact.dev), address: fact.address })],
  }),
  async read(kernel, ns) {
    const conn = kernel.rtnl(ns);
    const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
    return ipMessages(await conn.execute(addressDump()))
      .map(parseAddress)
      .filter((address) => address.proto === PROTOCOL)
      .map((address) => factOf(address, ns, names.get(address.index) ?? ''));
  },
  differences: (want, have) => (want.deprecated === have.deprecated ? [] : ['preferred']),
  describe: (fact) => `the address ${fact.address} on ${fact.dev}${placeOf(fact.ns)}`,
  command(fact, verb) {
    const words = [
      ipIn(fact.ns),
      'address',
      verb === 'delete' ? 'delete' : verb === 'change' ? 'replace' : 'add',
      fact.address,
      'dev',
      quote(fact.dev),
    ];
    // `proto` is left out: iproute2 learned it after 6.1, and a command must run where netloom runs
    if (verb !== 'delete' && isV6(fact)) words.push('nodad');
    if (verb !== 'delete' && fact.deprecated) words.push('preferred_lft', '0');
    return words.join(' ');
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

/** Keys of the facts that take anything on this interface with them. */
export function linkKeys(ns: string, dev: string): string[] {
  const keys = [`link ${ns} ${dev}`];
  return ns === '' ? keys : [...keys, `netns ${ns}`];
}

function specOf(fact: AddressFact, index: (ifname: string) => number): AddressSpec {
  return {
    index: index(fact.dev),
    address: fact.address,
    proto: PROTOCOL,
    ...(isV6(fact) ? { flags: ['nodad'] } : {}),
    ...(fact.deprecated && { preferred: 0 }),
  };
}

function isV6(fact: AddressFact): boolean {
  return parsePrefix(fact.address).address.family === 6;
}

function factOf(address: Address, ns: string, dev: string): AddressFact {
  const { preferred } = address;
  return {
    kind: 'address',
    ns,
    object: '',
    dev,
    address: address.address,
    ...(preferred === 0 && { deprecated: true }),
  };
}
