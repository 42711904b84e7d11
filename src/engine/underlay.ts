import { lookup } from 'node:dns/promises';
import { contains, parseIp, parsePrefix, tryParseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { isOurGroup, whyNoShortcuts } from '../facts/index.ts';
import {
  addressDump,
  ipMessages,
  linkDump,
  parseAddress,
  parseLink,
  parseRoute,
  routeGet,
} from '../rtnetlink/index.ts';
import type { Core } from './core.ts';

/** Where the other hosts of a cluster reach this one. */
export interface Underlay {
  /** One a family at most. */
  readonly addresses: readonly string[];
  /** Why these, for people. */
  readonly reason: string;
  readonly dev: string;
  /** Bytes. */
  readonly mtu: number;
  /** Why the kernel takes no shortcuts from us; empty where it does. */
  readonly noShortcut: string;
  /** What is reached by `dev` without a router: `192.0.2.0/24`. */
  readonly segments: readonly string[];
}

/** linux/if_addr.h: addresses that may not be used to speak from */
const RT_SCOPE_UNIVERSE = 0;

/**
 * The address that packets towards etcd leave with; where etcd is on this very host, the one of the default route. What was
 * asked for is taken where the host has it. The other family's is one of the same interface.
 * @param etcd URLs
 * @throws NetloomError ENODEADDRESS
 */
export async function chooseUnderlay(core: Core, asked: readonly string[], etcd: readonly string[]): Promise<Underlay> {
  using kernel = core.kernel.scope();
  const conn = kernel.rtnl('');
  const links = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link]));
  const own = ipMessages(await conn.execute(addressDump()))
    .map(parseAddress)
    .map(({ address, index, scope }) => ({ prefix: parsePrefix(address), index, scope }))
    .filter(({ index, scope }) => scope === RT_SCOPE_UNIVERSE && !isOurGroup(links.get(index)?.group ?? 0));
  const at = (text: string): (typeof own)[number] | undefined =>
    own.find(({ prefix }) => prefix.address.text === parseIp(text).text);
  const towards = async (text: string): Promise<string | undefined> => {
    try {
      const [message] = await conn.execute(routeGet(text));
      const route = message && parseRoute(message);
      return route && at(route.prefsrc) && links.get(route.oif)?.name !== 'lo' ? route.prefsrc : undefined;
    } catch {
      return undefined; // no way there: the next one may have one
    }
  };
  let first: { readonly text: string; readonly reason: string } | undefined;
  for (const text of asked) {
    if (at(text)) continue;
    throw new NetloomError('ENODEADDRESS', `this host has no address ${text} that others could reach`, {
      hint: `it has ${own.map(({ prefix }) => prefix.address.text).join(', ') || 'none at all'}`,
    });
  }
  if (asked[0] !== undefined) first = { text: asked[0], reason: 'as asked' };
  for (const url of first ? [] : etcd) {
    for (const address of await addressesOf(new URL(url).hostname)) {
      const text = await towards(address);
      if (text !== undefined) first ??= { text, reason: `towards etcd at ${address}` };
    }
  }
  // any address beyond the host does: the default route is asked for, nothing is sent
  for (const beyond of first ? [] : ['192.0.2.255', '2001:db8::ffff']) {
    const text = await towards(beyond);
    if (text !== undefined) first ??= { text, reason: 'of the default route' };
  }
  const chosen = first && at(first.text);
  const link = chosen && links.get(chosen.index);
  if (!first || !chosen || !link) {
    throw new NetloomError('ENODEADDRESS', 'no address was found at which other hosts reach this one', {
      hint: 'give it: --address ADDRESS',
    });
  }
  const { family } = chosen.prefix;
  const other =
    asked.map(at).find((each) => each && each.prefix.family !== family) ??
    (asked.length > 0
      ? undefined
      : own.find(({ prefix, index }) => index === chosen.index && prefix.family !== family));
  return {
    addresses: [chosen, ...(other ? [other] : [])].map(({ prefix }) => prefix.address.text),
    reason: first.reason,
    dev: link.name,
    mtu: link.mtu,
    noShortcut: await whyNoShortcuts(),
    segments: own.filter(({ index }) => index === chosen.index).map(({ prefix }) => prefix.text),
  };
}

/** Whether another host is on our segment. */
export function isDirect({ segments }: Pick<Underlay, 'segments'>, addresses: readonly string[]): boolean {
  return addresses.some((text) => segments.some((segment) => contains(parsePrefix(segment), parseIp(text))));
}

/** `[::1]` is how a URL writes `::1`. */
async function addressesOf(hostname: string): Promise<readonly string[]> {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1');
  if (tryParseIp(bare)) return [bare];
  return (await lookup(bare, { all: true }).catch(() => [])).map(({ address }) => address);
}
