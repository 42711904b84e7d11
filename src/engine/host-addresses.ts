import { contains, ipFromValue, parsePrefix } from '../addr/index.ts';
import type { SharedNetwork } from '../cluster/index.ts';
import { addressSpace } from '../ipam/index.ts';

/**
 * What a host itself has of one segment over several hosts, one address a family, out of the parts that are its own: those
 * that it had, where they still are, so that whoever knows it goes on knowing it. A part that has no room gives none.
 * @param taken addresses that endpoints here have
 * @returns with the length of the network's range
 */
export function chooseHostAddresses(
  network: Pick<SharedNetwork, 'ranges'>,
  prefixes: readonly string[],
  had: readonly string[],
  taken: ReadonlySet<string>,
): readonly string[] {
  return network.ranges.flatMap((range) => {
    const { subnet, reserved } = addressSpace(range);
    const parts = prefixes.map((text) => parsePrefix(text)).filter(({ family }) => family === subnet.family);
    const kept = had.find((text) => parts.some((part) => contains(part, parsePrefix(text).address)));
    if (kept !== undefined) return [kept];
    for (const { family, first, last } of parts) {
      for (let value = first; value <= last; value++) {
        const { text } = ipFromValue(family, value);
        if (!reserved.has(value) && !taken.has(text)) return [`${text}/${subnet.length}`];
      }
    }
    return [];
  });
}
