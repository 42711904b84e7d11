import type { Request } from '../netlink/index.ts';
import {
  type BridgePort,
  fdbDelete,
  fdbDump,
  fdbReplace,
  linkDump,
  linkSet,
  parseFdb,
  parseLink,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { isOurs } from './link.ts';
import type { FactBase, FactKind, RtnetlinkStep } from './types.ts';

/** What a bridge lets one of its ports do, where that is not the kernel's default. @see bridge(8), ip-link(8) */
export interface PortFact extends FactBase {
  readonly kind: 'port';
  readonly dev: string;
  /** Frames may leave by the port they came from. */
  readonly hairpin: boolean;
  /** Frames go to the bridge itself and to ports that are not isolated, to no other. */
  readonly isolated: boolean;
  /**
   * The one address behind the port, as a static entry of the FDB: nothing is learned from what comes, frames for
   * unknown addresses do not go there, and the bridge itself answers who asks for an address that it has a neighbour
   * entry of (IFLA_BRPORT_PROXYARP_WIFI). Missing: whatever is learned.
   */
  readonly mac?: string;
}

export const portKind: FactKind<PortFact> = {
  key: (fact) => `port ${fact.ns} ${fact.dev}`,
  add: (fact) => set(fact),
  change: (want, have) => set(want, have),
  delete: (fact) =>
    set({ kind: 'port', ns: fact.ns, object: '', dev: fact.dev, hairpin: false, isolated: false }, fact),
  async read(kernel, ns) {
    const conn = kernel.rtnl(ns);
    const links = (await conn.execute(linkDump())).map(parseLink).filter((link) => link.port && isOurs(link));
    const pinned = new Map<number, string>();
    if (links.some((link) => link.port?.learning === false)) {
      for (const { index, mac, state, master } of (await conn.execute(fdbDump())).map(parseFdb)) {
        if (state === 'static' && master !== 0) pinned.set(index, mac);
      }
    }
    return links.flatMap((link): PortFact[] => {
      const { hairpin = false, isolated = false, learning = true, flood = true } = link.port ?? {};
      const answers = link.port?.proxyarpWifi === true;
      const whole = !learning && !flood && answers === !isolated;
      const mac = whole ? pinned.get(link.index) : undefined;
      if (!hairpin && !isolated && learning && flood && !answers && mac === undefined) return [];
      return [{ kind: 'port', ns, object: '', dev: link.name, hairpin, isolated, ...(mac !== undefined && { mac }) }];
    });
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (want.hairpin !== have.hairpin) wrong.push('hairpin');
    if (want.isolated !== have.isolated) wrong.push('isolated');
    if (want.mac !== have.mac) wrong.push('mac');
    return wrong;
  },
  describe: (fact) => `the bridge port ${fact.dev}`,
  command(fact, verb) {
    const { mac, ...plain } = fact;
    const wanted = verb === 'delete' ? { ...plain, hairpin: false, isolated: false } : fact;
    const words = Object.entries(settingsOf(wanted)).map(([name, on]) => `${WORDS[name]!} ${on ? 'on' : 'off'}`);
    const dev = quote(fact.dev);
    const lines = [`${ipIn(fact.ns)} link set dev ${dev} type bridge_slave ${words.join(' ')}`];
    if (mac !== undefined) {
      const bridge = ipIn(fact.ns, 'bridge');
      lines.push(
        verb === 'delete'
          ? `${bridge} fdb delete ${mac} dev ${dev} master static`
          : `${bridge} fdb replace ${mac} dev ${dev} master static`,
      );
    }
    return lines.join(' && ');
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

type Settings = Required<Pick<BridgePort, 'hairpin' | 'isolated' | 'learning' | 'flood' | 'proxyarpWifi'>>;

/** As ip-link(8) names them: bridge(8) of iproute2 6.1 does not know the last. */
const WORDS: Readonly<Record<string, string>> = {
  hairpin: 'hairpin',
  isolated: 'isolated',
  learning: 'learning',
  flood: 'flood',
  proxyarpWifi: 'proxy_arp_wifi',
} satisfies Record<keyof Settings, string>;

/** An isolated port is answered for nobody: who asks could not reach it. */
function settingsOf({ hairpin, isolated, mac }: PortFact): Settings {
  const pinned = mac !== undefined;
  return { hairpin, isolated, learning: !pinned, flood: !pinned, proxyarpWifi: pinned && !isolated };
}

/** The entry of the FDB needs the port's index, which a pair that is made in the same burst has not told yet. */
function set(want: PortFact, have?: PortFact): RtnetlinkStep {
  const stale = have?.mac !== undefined && have.mac !== want.mac ? have.mac : undefined;
  const entries = (index: number): Request[] => [
    ...(stale === undefined ? [] : [fdbDelete({ index, mac: stale, flags: ['master'], state: 'static' })]),
    ...(want.mac === undefined ? [] : [fdbReplace({ index, mac: want.mac, flags: ['master'], state: 'static' })]),
  ];
  return {
    via: 'rtnetlink',
    ns: want.ns,
    needs: [],
    requests: () => [linkSet({ name: want.dev }, { port: settingsOf(want) })],
    ...((stale !== undefined || want.mac !== undefined) && {
      after: { via: 'rtnetlink', ns: want.ns, needs: [want.dev], requests: (index) => entries(index(want.dev)) },
    }),
  };
}
