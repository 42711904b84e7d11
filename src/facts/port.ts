import { linkDump, linkSet, parseLink } from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { isOurs } from './link.ts';
import type { FactBase, FactKind } from './types.ts';

/** What a bridge lets one of its ports do, where that is not the kernel's default. @see bridge(8) */
export interface PortFact extends FactBase {
  readonly kind: 'port';
  readonly dev: string;
  /** Frames may leave by the port they came from. */
  readonly hairpin: boolean;
  /** Frames go to the bridge itself and to ports that are not isolated, to no other. */
  readonly isolated: boolean;
}

export const portKind: FactKind<PortFact> = {
  key: (fact) => `port ${fact.ns} ${fact.dev}`,
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [],
    requests: () => [linkSet({ name: fact.dev }, { port: { hairpin: fact.hairpin, isolated: fact.isolated } })],
  }),
  change: (want) => portKind.add(want),
  delete: (fact) => portKind.add({ ...fact, hairpin: false, isolated: false }),
  async read(kernel, ns) {
    const links = (await kernel.rtnl(ns).execute(linkDump())).map(parseLink);
    return links.flatMap((link): PortFact[] => {
      const { hairpin = false, isolated = false } = link.port ?? {};
      return isOurs(link) && (hairpin || isolated)
        ? [{ kind: 'port', ns, object: '', dev: link.name, hairpin, isolated }]
        : [];
    });
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (want.hairpin !== have.hairpin) wrong.push('hairpin');
    if (want.isolated !== have.isolated) wrong.push('isolated');
    return wrong;
  },
  describe: (fact) => `the bridge port ${fact.dev}`,
  command(fact, verb) {
    const word = (on: boolean): string => (on && verb !== 'delete' ? 'on' : 'off');
    return `${ipIn(fact.ns, 'bridge')} link set dev ${quote(fact.dev)} hairpin ${word(fact.hairpin)} isolated ${word(fact.isolated)}`;
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};
