import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Netns, NETNS_DIR } from '../kernel/index.ts';
import { quote } from './command.ts';
import type { FactBase, FactKind } from './types.ts';

/** A network namespace with a name, as `ip netns add` makes it. `ns` is always the host's: the name lives there. */
export interface NetnsFact extends FactBase {
  readonly kind: 'netns';
  /** `/run/netns/web` */
  readonly path: string;
}

/** @see ip-netns(8) */
export const netnsKind: FactKind<NetnsFact> = {
  key: (fact) => `netns ${fact.path}`,
  add: (fact) => ({
    via: 'call',
    run(kernel) {
      kernel.forget(fact.path);
      using ns = Netns.create();
      ns.pin(fact.path);
    },
  }),
  change: () => undefined,
  delete: (fact) => ({
    via: 'call',
    run(kernel) {
      kernel.forget(fact.path);
      Netns.unpin(fact.path);
    },
  }),
  read: (_kernel, _ns, wanted) => Promise.resolve(wanted.filter((fact) => existsSync(fact.path))),
  differences: () => [],
  describe: (fact) => `the network namespace ${fact.path}`,
  command(fact, verb) {
    const name = basename(fact.path);
    const known = dirname(fact.path) === NETNS_DIR;
    if (verb === 'delete')
      return known ? `ip netns delete ${quote(name)}` : `umount ${quote(fact.path)} && rm ${quote(fact.path)}`;
    return known
      ? `ip netns add ${quote(name)}`
      : `touch ${quote(fact.path)} && unshare --net=${quote(fact.path)} true`;
  },
  within: () => [],
};
