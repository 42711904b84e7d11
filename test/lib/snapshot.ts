import { existsSync, readdirSync } from 'node:fs';
import type { Netns } from '../../src/kernel/index.ts';
import { eachIn, okIn } from './run.ts';

/** What a namespace holds, without what differs between two that were made alike: indices, handles, counters. */
export interface Snapshot {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  /** Policy rules, without the kernel's own. */
  readonly rules: readonly string[];
  /** What somebody has settled: permanent neighbours, and static entries of forwarding databases. */
  readonly neighbours: readonly string[];
  readonly ruleset: string;
}

/** As `ip -j -d link` and `ip -j addr` have it, together. */
export interface LinkJson {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly txqlen?: number;
  readonly master?: string;
  readonly address?: string;
  readonly group?: string;
  readonly ifalias?: string;
  readonly inet6_addr_gen_mode?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
    readonly info_slave_data?: {
      readonly hairpin?: boolean;
      readonly isolated?: boolean;
      readonly learning?: boolean;
      readonly flood?: boolean;
      readonly proxy_arp_wifi?: boolean;
      readonly mcast_flood?: boolean;
      readonly bcast_flood?: boolean;
      readonly neigh_suppress?: boolean;
    };
  };
  readonly addr_info: readonly AddressJson[];
}
export interface AddressJson {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly broadcast?: string;
  readonly nodad?: boolean;
  readonly deprecated?: boolean;
}

export interface SnapshotOptions {
  /** Links whose hardware address counts; none by default, because the kernel draws what nobody chose. */
  readonly macOf?: (link: LinkJson) => boolean;
}

/** Kinds of links whose own settings somebody chooses. */
const KINDS: readonly string[] = ['macvlan', 'ipvlan', 'vlan', 'tun', 'vxlan', 'ipip', 'gre'];

/** In as few processes as can be: a snapshot is taken thousands of times. */
const batch = (options: string, ...lines: string[]): string =>
  [`ip ${options} -batch - <<END`, ...lines, 'END'].join('\n');
const LINKS = batch('-j -d', 'link show', 'addr show');
const WAYS = ['route show table all', 'rule show', 'neigh show nud permanent'];
const SEEN = [LINKS, batch('-4', ...WAYS), batch('-6', ...WAYS), 'bridge fdb show', 'nft -s list ruleset'];
/** sysctl(8) walks through all that there are; grep(1) says 2 for the one that cannot be read, ipv6 stable_secret. */
const PARAMETERS = '(cd /proc/sys/net; grep -rs . ipv4/ip_forward ipv4/conf ipv6/conf || [ $? = 2 ])';
/** As `ip rule` begins a line; what lines of `ip neigh` have. */
const RULE = /^\d+:\s/;
const NEIGHBOUR = / PERMANENT( |$)/;

/** As `ip` and `nft`, not netloom, see it. */
export async function snapshot(netns: Netns, options: SnapshotOptions = {}): Promise<Snapshot> {
  return parse(await eachIn(netns, SEEN), options);
}

/** A snapshot, and what is settled beside it: parameters of the namespace and of its links, policies of IPsec. */
export interface Whole extends Snapshot {
  /** Every IPv4 and IPv6 parameter of the namespace and of its interfaces: `ipv4/conf/eth0/forwarding:1`. */
  readonly parameters: readonly string[];
  readonly policies: string;
}

export async function wholeOf(netns: Netns, options: SnapshotOptions = {}): Promise<Whole> {
  const [parameters = '', policies = '', ...seen] = await eachIn(netns, [PARAMETERS, 'ip xfrm policy', ...SEEN]);
  return { ...parse(seen, options), parameters: sorted(parameters), policies };
}

function parse(seen: readonly string[], { macOf = () => false }: SnapshotOptions): Snapshot {
  const [both, ways, ways6, fdb, ruleset] = seen as [string, string, string, string, string];
  const links = parseLinks(both);
  const lines = `${ways}\n${ways6}`.split('\n').map((line) => line.trim());
  return {
    links: links
      .map((l) => {
        const port = l.linkinfo?.info_slave_data;
        return [
          l.ifname,
          l.linkinfo?.info_kind ?? '',
          l.flags.includes('UP') ? 'up' : 'down',
          `mtu ${l.mtu}`,
          l.master ? `master ${l.master}` : '',
          `group ${l.group ?? ''}`,
          l.ifalias ?? '',
          `addrgenmode ${l.inet6_addr_gen_mode ?? ''}`,
          port?.hairpin === true ? 'hairpin' : '',
          port?.isolated === true ? 'isolated' : '',
          port?.learning === false ? 'learning off' : '',
          port?.flood === false ? 'flood off' : '',
          port?.proxy_arp_wifi === true ? 'proxy_arp_wifi' : '',
          port?.mcast_flood === false ? 'mcast_flood off' : '',
          port?.bcast_flood === false ? 'bcast_flood off' : '',
          port?.neigh_suppress === true ? 'neigh_suppress' : '',
          l.flags.filter((flag) => flag === 'PROMISC' || flag === 'ALLMULTI').join(' '),
          `txqlen ${l.txqlen ?? 0}`,
          KINDS.includes(l.linkinfo?.info_kind ?? '') ? JSON.stringify(l.linkinfo?.info_data) : '',
          macOf(l) ? (l.address ?? '') : '',
        ].join(' ');
      })
      .sort(),
    addresses: links
      .flatMap((l) =>
        l.addr_info
          .filter((a) => a.scope !== 'link')
          .map((a) => {
            const flags = [...(a.nodad ? ['nodad'] : []), ...(a.deprecated ? ['deprecated'] : [])];
            return [l.ifname, `${a.local}/${a.prefixlen}`, ...flags].join(' ');
          }),
      )
      .sort(),
    // link-local ones come with the links, and some only after a while
    routes: lines
      .filter((line) => !RULE.test(line) && !NEIGHBOUR.test(line))
      .map((line) => line.replaceAll(/ (linkdown|pref medium|metric 256)/g, ''))
      .filter(
        (line) => line !== '' && !/\bfe80::|^(multicast |anycast )?ff00::|^(local|anycast) fe80|^anycast /.test(line),
      )
      .sort(),
    rules: lines.filter((line) => RULE.test(line) && !/^(0|32766|32767):/.test(line)),
    neighbours: [
      ...lines.filter((line) => NEIGHBOUR.test(line)),
      ...fdb.split('\n').filter((line) => / (static|dst) /.test(`${line} `)),
    ]
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .sort(),
    // without what packets put into dynamic sets
    ruleset: ruleset.trim().replaceAll(/(flags dynamic[^}]*?)\n\s*elements = \{[^}]*\}/g, '$1'),
  };
}

/** Every link with its addresses. */
export async function linksOf(netns: Netns): Promise<LinkJson[]> {
  return parseLinks((await eachIn(netns, [LINKS]))[0]!);
}

function parseLinks(text: string): LinkJson[] {
  const [links, addresses] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown) as [
    Omit<LinkJson, 'addr_info'>[],
    Pick<LinkJson, 'ifindex' | 'addr_info'>[],
  ];
  const of = new Map(addresses.map(({ ifindex, addr_info }) => [ifindex, addr_info]));
  return links.map((link) => ({ ...link, addr_info: of.get(link.ifindex) ?? [] }));
}

function sorted(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

/** Queues that are not the kernel's own, and the filters at the entrance of links. */
export async function queues(netns: Netns): Promise<string[]> {
  const lines = (await okIn(netns, ['tc', 'qdisc', 'show']))
    .split('\n')
    .filter((line) => !/^$|qdisc noqueue/.test(line));
  const entrances = lines.flatMap((line) => /qdisc clsact .* dev (\S+)/.exec(line)?.[1] ?? []);
  for (const dev of entrances) {
    const filters = await okIn(netns, ['tc', 'filter', 'show', 'dev', dev, 'ingress']);
    lines.push(...filters.split('\n').filter((line) => !/^\s*$|\b(installed|used|Sent|backlog)\b/.test(line)));
  }
  return lines.sort();
}

/** File names in a directory; none where there is no such directory. */
export function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}
