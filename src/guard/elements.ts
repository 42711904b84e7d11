import { ipFromBytes, parseIp, parseMac, parsePrefix } from '../addr/index.ts';
import { isGuarded } from '../drivers/index.ts';
import type { NftElementFact } from '../facts/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import type { NftKey, NftSet } from '../nftables/index.ts';
import { jhashMod } from './jhash.ts';
import { GUARD_SETS, HASH } from './ruleset.ts';

/** What one endpoint adds to the guard: first of all that it adds, so that not one of its frames comes before. */
export function guardElements(network: Network, endpoint: Endpoint, object: string): NftElementFact[] {
  if (!isGuarded(network)) return [];
  const { hostIfname: port, mac } = endpoint;
  const fact = factOf(object);
  const facts = [fact(GUARD_SETS.macs, { concat: [port, mac] })];
  for (const address of sendingAddresses(endpoint)) {
    const { family, text, bytes } = parseIp(address);
    facts.push(fact(family === 4 ? GUARD_SETS.guard4 : GUARD_SETS.guard6, { concat: [port, mac, text] }));
    if (family === 6) facts.push(fact(GUARD_SETS.nd, { concat: [port, jhashMod(bytes, HASH.mod, HASH.address)] }));
  }
  if (endpoint.addresses.some((address) => parsePrefix(address).address.family === 6))
    facts.push(fact(GUARD_SETS.nd, { concat: [port, jhashMod(parseMac(mac), HASH.mod, HASH.mac)] }));
  return facts;
}

/** An endpoint's own addresses, and with IPv6 the link-local one that its MAC makes. @see RFC 4291 appendix A */
export function sendingAddresses(endpoint: Pick<Endpoint, 'addresses' | 'mac'>): readonly string[] {
  const own = endpoint.addresses.map((address) => parsePrefix(address).address);
  if (!own.some((ip) => ip.family === 6)) return own.map((ip) => ip.text);
  const [a, b, c, d, e, f] = parseMac(endpoint.mac);
  const id = [a! ^ 2, b!, c!, 0xff, 0xfe, d!, e!, f!];
  return [...own.map((ip) => ip.text), ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...id)).text];
}

function factOf(object: string): (set: NftSet, key: NftKey) => NftElementFact {
  return (set, key) => ({ kind: 'nft-element', ns: '', object, set, element: { key } });
}
