import { hasCode } from '../errors.ts';
import { type Netns, readSysctl, writeSysctl } from '../kernel/index.ts';
import { placeOf, quote, runIn } from './command.ts';
import type { FactBase, FactKind } from './types.ts';

/**
 * A kernel parameter of one namespace. Those of a link of ours vanish with it; a namespace-wide one (forwarding) is
 * set where it is wrong and never set back, because whoever came after us may rely on it.
 * @see sysctl(8)
 */
export interface SysctlFact extends FactBase {
  readonly kind: 'sysctl';
  /** `net.ipv4.conf.nl-1a2b.route_localnet`; dots inside an interface's name are written as `/`. */
  readonly name: string;
  readonly value: string;
  /** The link whose end is this parameter's end; empty for one of the whole namespace. */
  readonly dev: string;
}

export const sysctlKind: FactKind<SysctlFact> = {
  key: (fact) => `sysctl ${fact.ns} ${fact.name}`,
  add: (fact) => ({
    via: 'call',
    run(kernel) {
      const ns = kernel.netns(fact.ns);
      // a needless write still resets other parameters (ip_forward does), so look first
      if (plain(readSysctl(ns, fact.name)) !== plain(fact.value)) writeSysctl(ns, fact.name, fact.value);
    },
  }),
  change: (want) => sysctlKind.add(want),
  delete: () => undefined,
  read: (kernel, ns, wanted) =>
    Promise.resolve(
      wanted.flatMap((fact) => {
        if (fact.ns !== ns) return [];
        const value = valueOf(kernel.netns(ns), fact);
        return value === undefined ? [] : [{ ...fact, value }];
      }),
    ),
  differences: (want, have) => (plain(want.value) === plain(have.value) ? [] : ['value']),
  describe: (fact) => `the sysctl ${fact.name}${placeOf(fact.ns)}`,
  command: (fact) => runIn(fact.ns, `sysctl -q -w ${quote(`${fact.name}=${fact.value}`)}`),
  within: (fact) => (fact.dev === '' ? [] : [`link ${fact.ns} ${fact.dev}`]),
};

/** The kernel puts tabs between numbers, whatever was written. */
function plain(value: string): string {
  return value.trim().replaceAll(/\s+/g, ' ');
}

/**
 * Undefined where the interface that it belongs to is not there, or connection tracking, which our own rule set brings.
 * @throws UnsupportedError for one that no kernel has
 */
function valueOf(netns: Netns, fact: SysctlFact): string | undefined {
  try {
    return readSysctl(netns, fact.name);
  } catch (error) {
    const comes = fact.dev !== '' || fact.name.startsWith('net.netfilter.');
    if (comes && hasCode(error, 'EUNSUPPORTED')) return undefined;
    throw error;
  }
}
