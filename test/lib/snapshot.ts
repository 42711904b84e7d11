import { existsSync, readdirSync } from 'node:fs';
import type { Netns } from '../../src/kernel/index.ts';
import { jsonIn, okIn } from './run.ts';

/** What a namespace holds, without what differs between two that were made alike: indices, handles, counters. */
export interface Snapshot {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly ruleset: string;
}

interface LinkJson {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly master?: string;
  readonly address?: string;
  readonly group?: string;
  readonly ifalias?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info: readonly { readonly family: string; readonly local: string; readonly prefixlen: number; readonly scope: string }[];
}

/** As `ip` and `nft`, not netloom, see it. `anyMac` leaves out hardware addresses that the kernel draws by chance. */
export async function snapshot(netns: Netns, { anyMac = true }: { readonly anyMac?: boolean } = {}): Promise<Snapshot> {
  const links = await jsonIn<LinkJson[]>(netns, ['ip', '-j', '-d', 'addr']);
  const routes = await okIn(netns, ['ip', 'route', 'show', 'table', 'all']);
  const routes6 = await okIn(netns, ['ip', '-6', 'route', 'show', 'table', 'all']);
  return {
    links: links
      .map((l) =>
        [
          l.ifname,
          l.linkinfo?.info_kind ?? '',
          l.flags.includes('UP') ? 'up' : 'down',
          `mtu ${l.mtu}`,
          l.master ? `master ${l.master}` : '',
          `group ${l.group ?? ''}`,
          l.ifalias ?? '',
          anyMac ? '' : (l.address ?? ''),
        ].join(' '),
      )
      .sort(),
    addresses: links
      .flatMap((l) => l.addr_info.filter((a) => a.scope !== 'link').map((a) => `${l.ifname} ${a.local}/${a.prefixlen}`))
      .sort(),
    // link-local ones come with the links, and some only after a while
    routes: `${routes}\n${routes6}`
      .split('\n')
      .map((line) => line.trim().replaceAll(/ (linkdown|pref medium|metric 256)/g, ''))
      .filter((line) => line !== '' && !/\bfe80::|^(multicast |anycast )?ff00::|^(local|anycast) fe80|^anycast /.test(line))
      .sort(),
    ruleset: (await okIn(netns, ['nft', '-s', 'list', 'ruleset'])).trim(),
  };
}

/** File names in a directory; none where there is no such directory. */
export function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}
