import { hasCode } from '../errors.ts';
import type { NetlinkConn, NlMessage } from '../netlink/index.ts';
import {
  clsactDelete,
  type Direction,
  filterDelete,
  filterDump,
  type FilterPlace,
  linkDump,
  linkGet,
  parseLink,
  parseQdisc,
  qdiscDump,
} from '../rtnetlink/index.ts';
import { isOurs } from './link.ts';
import type { CallStep, KernelView } from './types.ts';

/** For the grace period of whoever may be reading. */
const WAITS = { lane: 'thread' } as const;

/** Every filter of a namespace's links, as `parse` knows it, with its link's name; and the names of all links by index. */
export async function filtersIn<T>(
  conn: NetlinkConn,
  directions: readonly Direction[],
  parse: (message: NlMessage) => T | undefined,
): Promise<{ readonly found: readonly (T & { readonly dev: string })[]; readonly names: ReadonlyMap<number, string> }> {
  const places = (await conn.execute(qdiscDump())).map(parseQdisc).filter((q) => q.kind === 'clsact');
  if (places.length === 0) return { found: [], names: new Map() };
  const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
  const found: (T & { readonly dev: string })[] = [];
  for (const { index } of places) {
    const dev = names.get(index);
    if (dev === undefined) continue;
    for (const direction of directions) {
      for (const message of await conn.execute(filterDump(index, direction))) {
        const filter = parse(message);
        if (filter) found.push({ ...filter, dev });
      }
    }
  }
  return { found, names };
}

/** Takes a filter away, and of a link of ours `clsact`, too, once nothing is left in it. */
export function filterRemoval(ns: string, dev: string, place: Omit<FilterPlace, 'index'>): CallStep {
  return {
    via: 'call',
    async run(kernel: KernelView) {
      try {
        const conn = kernel.rtnl(ns);
        const link = parseLink((await conn.execute(linkGet({ name: dev })))[0]!);
        const { index } = link;
        await conn.execute(filterDelete({ index, ...place }), WAITS).catch((error: unknown) => {
          if (!hasCode(error, 'ENOENT')) throw error;
        });
        for (const direction of ['ingress', 'egress'] as const)
          if ((await conn.execute(filterDump(index, direction))).length > 0) return;
        if (isOurs(link)) await conn.execute(clsactDelete(index), WAITS);
      } catch (error) {
        // it is gone, as was asked: with clsact, for whose absence the kernel has no name but EINVAL, the link or the namespace
        if (!hasCode(error, 'ENOENT', 'ENODEV', 'EINVAL')) throw error;
      }
    },
  };
}
