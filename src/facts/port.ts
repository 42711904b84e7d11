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
  /**
   * With `mac`, and not isolated: who asks for the endpoint's address asks the endpoint. Where one port of the bridge is a
   * tunnel, the kernel takes whatever it knows for answered, and lets no solicitation of IPv6 out by ports that it answers
   * for by itself.
   */
  readonly asked?: true;
  /**
   * Behind it are other hosts. Nothing is learned, and only what the FDB names goes there: neither broadcast nor multicast
   * nor frames for unknown addresses. The bridge answers who asks for an address behind it, by ARP or ND
   * (IFLA_BRPORT_NEIGH_SUPPRESS). Without `mac`.
   */
  readonly tunnel?: true;
}

export const portKind: FactKind<PortFact> = {
  key: (fact) => `port ${fact.ns} ${fact.dev}`,
  add: (fact) => set(fact),
  change: (want, have) => set(want, have),
  delete: (fact) => set(unset(fact), fact),
  async read(kernel, ns) {
    const conn = kernel.rtnl(ns);
    const links = (await conn.execute(linkDump())).map(parseLink).filter((link) => link.port && isOurs(link));
    const pinned = new Map<number, string>();
    if (links.some((link) => link.port?.learning === false)) {
      // behind a tunnel there are many, which are facts of their own
      for (const { index, mac, state, master } of (await conn.execute(fdbDump())).map(parseFdb)) {
        if (state === 'static' && master !== 0) pinned.set(index, mac);
      }
    }
    return links.flatMap((link): PortFact[] => {
      const { hairpin = false, isolated = false } = link.port ?? {};
      const plain: PortFact = { kind: 'port', ns, object: '', dev: link.name, hairpin, isolated };
      const mac = pinned.get(link.index);
      const kinds: readonly PortFact[] =
        link.info?.kind === 'vxlan'
          ? [{ ...plain, tunnel: true }]
          : mac === undefined
            ? []
            : [{ ...plain, mac }, ...(isolated ? [] : [{ ...plain, mac, asked: true } as const])];
      const whole = kinds.find((fact) => isSet(link.port, settingsOf(fact)));
      if (whole) return [whole];
      return isSet(link.port, settingsOf({ ...plain, hairpin: false, isolated: false })) ? [] : [plain];
    });
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (want.hairpin !== have.hairpin) wrong.push('hairpin');
    if (want.isolated !== have.isolated) wrong.push('isolated');
    if (want.mac !== have.mac) wrong.push('mac');
    if (want.asked !== have.asked) wrong.push('asked');
    if (want.tunnel !== have.tunnel) wrong.push('tunnel');
    return wrong;
  },
  describe: (fact) => `the bridge port ${fact.dev}`,
  command(fact, verb) {
    const { mac } = fact;
    const wanted = verb === 'delete' ? settingsOf(unset(fact), fact) : settingsOf(fact);
    const words = Object.entries(wanted).map(([name, on]) => `${WORDS[name]!} ${on ? 'on' : 'off'}`);
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

/** What it is once nothing is wanted of it. */
function unset({ ns, dev }: PortFact): PortFact {
  return { kind: 'port', ns, object: '', dev, hairpin: false, isolated: false };
}

type Settings = Required<Pick<BridgePort, 'hairpin' | 'isolated' | 'learning' | 'flood' | 'proxyarpWifi'>> &
  Pick<BridgePort, 'mcastFlood' | 'bcastFlood' | 'neighSuppress'>;

/** As ip-link(8) names them: bridge(8) of iproute2 6.1 does not know `proxy_arp_wifi`. */
const WORDS: Readonly<Record<string, string>> = {
  hairpin: 'hairpin',
  isolated: 'isolated',
  learning: 'learning',
  flood: 'flood',
  proxyarpWifi: 'proxy_arp_wifi',
  mcastFlood: 'mcast_flood',
  bcastFlood: 'bcast_flood',
  neighSuppress: 'neigh_suppress',
} satisfies Record<keyof Settings, string>;

/** An isolated port is answered for nobody: who asks could not reach it. @param before what it was */
function settingsOf({ hairpin, isolated, mac, asked, tunnel }: PortFact, before?: PortFact): Settings {
  const pinned = mac !== undefined;
  const open = !pinned && tunnel !== true;
  return {
    ...{ hairpin, isolated, learning: open, flood: open },
    proxyarpWifi: pinned && !isolated && asked !== true,
    ...((tunnel === true || before?.tunnel === true) && {
      mcastFlood: open,
      bcastFlood: open,
      neighSuppress: !open && !isolated,
    }),
  };
}

function isSet(port: BridgePort | undefined, settings: Settings): boolean {
  return Object.entries(settings).every(([name, on]) => port?.[name as keyof Settings] === on);
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
    requests: () => [linkSet({ name: want.dev }, { port: settingsOf(want, have) })],
    ...((stale !== undefined || want.mac !== undefined) && {
      after: { via: 'rtnetlink', ns: want.ns, needs: [want.dev], requests: (index) => entries(index(want.dev)) },
    }),
  };
}
