import { hasCode } from '../errors.ts';
import {
  clsactDelete,
  type Direction,
  filterDelete,
  filterDump,
  linkGet,
  parseLink,
  type Redirect,
} from '../rtnetlink/index.ts';
import { isOurs } from './link.ts';
import type { CallStep, KernelView } from './types.ts';

/** For the grace period of whoever may be reading. */
const WAITS = { lane: 'thread' } as const;

/** Which filter of a link: of its preference all, or the one with a handle. */
export interface FilterPlace extends Pick<Redirect, 'pref'> {
  readonly handle?: number;
  readonly direction?: Direction;
}

/** Takes a filter away, and of a link of ours `clsact`, too, once nothing is left in it. */
export function filterRemoval(ns: string, dev: string, place: FilterPlace): CallStep {
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
