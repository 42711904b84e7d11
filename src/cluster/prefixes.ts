import { contains, type Family, type Ip, ipFromValue, makePrefix, parsePrefix, type Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { SHARED, type SharedNetwork } from './records.ts';

/** Whose a prefix is. */
export interface PrefixClaim {
  readonly node: string;
  readonly nodeId: string;
}

/** How many prefixes of hosts there are in a range. */
export function prefixCount(range: Prefix, length: number): number {
  return 2 ** (length - range.length);
}

/** The `index`th prefix of a range. */
export function nthPrefix(range: Prefix, length: number, index: number): Prefix {
  const bits = range.family === 4 ? 32 : 128;
  return makePrefix(ipFromValue(range.family, range.first + (BigInt(index) << BigInt(bits - length))), length);
}

function indexOf(range: Prefix, length: number, ip: Ip): number {
  const bits = range.family === 4 ? 32 : 128;
  return Number((ip.value - range.first) >> BigInt(bits - length));
}

/** Where a node begins to look: it finds its own again after its record was lost, and two nodes seldom meet. */
export function startOf(node: string, count: number): number {
  let hash = 2166136261; // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
  for (const char of node) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619) >>> 0;
  return count <= 1 ? 0 : 1 + (hash % (count - 1));
}

/**
 * The length of the parts of a range that hosts take to give addresses out of, in the plan `flat`: a thousand parts where the
 * range has room for it, and never so small that a host asks for each address.
 */
export function partLength({ family, length }: Prefix): number {
  return family === 4 ? Math.min(length + 10, 29) : Math.min(length + 16, 125);
}

/**
 * Which prefixes a node would have of a network: those that are its own already, and of those that it has (`have`, though
 * etcd may have forgotten) what is nobody else's; a free one of each family that it has none of, and one more: of a family, or
 * the one that an address is in, where that is nobody's. In the plan `node` the first of a range is left alone, as flannel does,
 * since its addresses look like the network's own.
 * @throws NetloomError ERANGEEXHAUSTED
 */
export async function choosePrefixes(
  tx: ReadTx,
  network: SharedNetwork,
  who: PrefixClaim,
  more?: Family | Ip,
  have: readonly string[] = [],
): Promise<readonly string[]> {
  const claims = await tx.list<PrefixClaim>(`${SHARED.prefixes}${network.id}/`);
  const taken = new Map(claims.map(({ key, value }) => [prefixOf(key), value]));
  const mine = [...taken].flatMap(([text, { nodeId }]) => (nodeId === who.nodeId ? [parsePrefix(text)] : []));
  mine.push(...have.filter((text) => !taken.has(text)).map((text) => parsePrefix(text)));
  return network.ranges.flatMap(({ subnet }, i) => {
    const range = parsePrefix(subnet);
    const length = network.nodeLengths[i]!;
    const own = mine.filter((prefix) => prefix.family === range.family && prefix.length === length);
    const texts = own.map(({ text }) => text);
    const wanted = typeof more === 'object' && contains(range, more) ? more : undefined;
    if (own.length > 0 && more !== range.family && (!wanted || own.some((each) => contains(each, wanted))))
      return texts;
    const count = prefixCount(range, length);
    const start = wanted ? indexOf(range, length, wanted) : startOf(who.node, count);
    for (let step = 0; step < count; step++) {
      const index = (start + step) % count;
      if (index === 0 && count > 1 && network.plan === 'node') continue;
      const { text } = nthPrefix(range, length, index);
      if (!taken.has(text)) return [...texts, text];
      // of whoever has it the address can be had, without the part
      if (wanted && texts.length > 0) return texts;
    }
    throw new NetloomError(
      'ERANGEEXHAUSTED',
      `network ${network.name}: no /${length} of ${subnet} is left for ${who.node}`,
      { hint: 'netloom node ls shows nodes that are gone; netloom node rm gives back what they had' },
    );
  });
}

/** Makes prefixes a node's own. @throws NetloomError EEXIST where another was faster */
export async function claimPrefixes(
  tx: Tx,
  network: SharedNetwork,
  who: PrefixClaim,
  prefixes: readonly string[],
): Promise<void> {
  if ((await tx.get(SHARED.networks + network.id)) === undefined) {
    throw new NetloomError('ENETWORKNOTFOUND', `network "${network.name}" was removed`);
  }
  for (const prefix of prefixes) {
    const key = claimKey(network, prefix);
    const claim = await tx.get<PrefixClaim>(key);
    if (claim?.nodeId === who.nodeId) continue;
    await tx.create(key, who);
  }
}

/** Whose the part of a range is that an address is in: undefined where it is nobody's. */
export async function ownerOf(tx: ReadTx, network: SharedNetwork, ip: Ip): Promise<PrefixClaim | undefined> {
  const i = network.ranges.findIndex(({ subnet }) => contains(parsePrefix(subnet), ip));
  const range = network.ranges[i];
  if (!range) return undefined;
  const [subnet, length] = [parsePrefix(range.subnet), network.nodeLengths[i]!];
  const part = nthPrefix(subnet, length, indexOf(subnet, length, ip));
  return await tx.get<PrefixClaim>(claimKey(network, part.text));
}

/** Gives back what is still a node's own. */
export async function releasePrefixes(
  tx: Tx,
  network: Pick<SharedNetwork, 'id'>,
  nodeId: string,
  prefixes: readonly string[],
): Promise<void> {
  for (const prefix of prefixes) {
    const key = claimKey(network, prefix);
    if ((await tx.get<PrefixClaim>(key))?.nodeId === nodeId) await tx.delete(key);
  }
}

/** A `/` would be another directory. */
function claimKey({ id }: Pick<SharedNetwork, 'id'>, prefix: string): string {
  return `${SHARED.prefixes}${id}/${prefix.replace('/', '_')}`;
}
/** The prefix that a claim is of. @param key as `SHARED.prefixes` has it */
export function prefixOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1).replace('_', '/');
}
