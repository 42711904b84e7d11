import type { Netns } from '../../src/kernel/index.ts';
import { jsonIn, okIn } from './run.ts';
import { linksOf, type LinkJson } from './snapshot.ts';
import { until } from './wait.ts';

/**
 * What namespaces hold, by `ip`, `nft` and `tc`, in no order but that of the alphabet: made anew, a set or a route comes
 * behind those that stayed. Handles, indices, counters and what the kernel draws at random are left out.
 */
export async function stateOf(spaces: readonly Netns[]): Promise<unknown> {
  return await Promise.all(
    spaces.map(async (netns) => {
      const [links, routes, routes6, ruleset, neighbours, qdiscs, parameters] = await Promise.all([
        linksOf(netns),
        okIn(netns, ['ip', 'route', 'show', 'table', 'all']),
        okIn(netns, ['ip', '-6', 'route', 'show', 'table', 'all']),
        jsonIn<{ nftables?: readonly unknown[] }>(netns, ['nft', '-j', '-s', 'list', 'ruleset']),
        okIn(netns, ['ip', 'neigh', 'show', 'nud', 'permanent']),
        okIn(netns, ['tc', 'qdisc', 'show']),
        okIn(netns, ['sh', '-c', 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding']),
      ]);
      return {
        links: links.map(textOf).sort(),
        addresses: links
          .flatMap((l) =>
            l.addr_info
              .filter((a) => a.scope !== 'link')
              .map((a) => `${l.ifname} ${a.local}/${a.prefixlen}${a.nodad === true ? ' nodad' : ''}`),
          )
          .sort(),
        routes: linesOf(`${routes}\n${routes6}`),
        neighbours: linesOf(neighbours),
        qdiscs: qdiscs
          .split('\n')
          .filter((line) => /tbf|clsact|ingress/.test(line))
          .map((line) => line.trim())
          .sort(),
        parameters,
        ruleset: rulesetText(ruleset.nftables ?? []),
      };
    }),
  );
}

function textOf(link: LinkJson): string {
  const port = link.linkinfo?.info_slave_data;
  const drawn = /^(veth|ifb)$/.test(link.linkinfo?.info_kind ?? '') && link.group !== 'default';
  return [
    link.ifname,
    link.linkinfo?.info_kind ?? '',
    link.flags.includes('UP') ? 'up' : 'down',
    `mtu ${link.mtu}`,
    `master ${link.master ?? ''}`,
    `group ${link.group ?? ''}`,
    link.ifalias ?? '',
    `addrgenmode ${link.inet6_addr_gen_mode ?? ''}`,
    `hairpin ${port?.hairpin === true} isolated ${port?.isolated === true}`,
    drawn ? '' : (link.address ?? ''),
  ].join(' ');
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim().replaceAll(/ (linkdown|pref medium|metric 256)/g, ''))
    .filter(
      (line) => line !== '' && !/\bfe80::|^(multicast |anycast )?ff00::|^(local|anycast) fe80|^anycast /.test(line),
    )
    .sort();
}

/** Sets with their elements in order; a chain's rules in theirs. */
function rulesetText(objects: readonly unknown[]): string[] {
  const rules = new Map<string, string>();
  const lines: string[] = [];
  for (const object of objects) {
    const [[kind, value] = ['', {}]] = Object.entries(object as Record<string, Record<string, unknown>>);
    const { handle: _handle, index: _index, ...plain } = value;
    if (kind === 'metainfo') continue;
    if (Array.isArray(plain['elem'])) {
      // nft 1.0.6 does not say which sets are dynamic: what packets put there counts connections
      const own = plain['elem'].map((e) => JSON.stringify(e)).filter((text) => !text.includes('"ct count"'));
      if (own.length > 0) plain['elem'] = own.sort();
      else delete plain['elem'];
    }
    const text = JSON.stringify(plain);
    const chain = [plain['family'], plain['table'], plain['chain']].map(String).join(' ');
    if (kind === 'rule') rules.set(chain, `${rules.get(chain) ?? `rules of ${chain}: `}${text} `);
    else lines.push(`${kind} ${text}`);
  }
  return [...lines, ...rules.values()].sort();
}

/**
 * Waits until the kernel has said all that follows from a change by itself: carriers are told of some time later, and an
 * address is tentative until nobody has claimed it.
 */
export async function kernelSettles(namespaces: readonly Netns[]): Promise<void> {
  for (const netns of namespaces) {
    await until('links have said their carrier, and no address is tentative', async () => {
      const links = await jsonIn<{ operstate: string; flags: string[] }[]>(netns, ['ip', '-j', 'link']);
      const waiting = links.some(({ operstate, flags }) => flags.includes('LOWER_UP') && /DOWN/.test(operstate));
      return !waiting && (await okIn(netns, ['ip', '-6', 'addr', 'show', 'tentative'])) === '';
    });
  }
}
