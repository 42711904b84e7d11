import { hasCode, NetloomError } from '../errors.ts';
import { tunCreate, tunPersist } from '../kernel/index.ts';
import {
  type Link,
  linkGet,
  linkSet,
  type LinkSpec,
  nsidGet,
  nsidSet,
  parseLink,
  parseLinkIndex,
  parseNsid,
} from '../rtnetlink/index.ts';
import { ipIn, netnsName, quote } from './command.ts';
import { type CryptOrigin, cryptDifferences, cryptOriginOf } from './link-crypt.ts';
import { type TunnelOrigin, isTunnel, tunnelDifferences, tunnelOf } from './link-tunnel.ts';
import { isOurGroup } from './ours.ts';
import type { KernelView } from './types.ts';

/** How a link comes to be. */
export type LinkOrigin =
  | { readonly type: 'bridge' }
  /** Where what comes in by another link waits, as a `redirect` fact says: shaping has no other place for it. */
  | { readonly type: 'ifb' }
  /** The host's end of a pair; the other end is born in the workload's namespace. */
  | { readonly type: 'veth'; readonly peer: { readonly ns: string; readonly name: string; readonly mac: string } }
  /** On top of an interface of the host, its `parent`, wherever it lives itself. */
  | StackedOrigin
  /** The host's end of a tunnel to other hosts. */
  | TunnelOrigin
  /** A TAP device that stays without a program; `uid` may open it, -1: nobody without CAP_NET_ADMIN. */
  | TapOrigin
  /** A TUN device that stays without a program: it carries nothing until one opens it. */
  | TunOrigin
  /** As a tunnel, of whose other ends facts of their own tell. */
  | CryptOrigin
  /** Not made by this fact, only set: `lo`, or the end of a pair that the fact with the key `by` makes. */
  | { readonly type: 'there'; readonly by: string };

export type StackedOrigin =
  | { readonly type: 'vlan'; readonly parent: string; readonly id: number }
  | {
      readonly type: 'macvlan';
      readonly parent: string;
      readonly mode: 'private' | 'vepa' | 'bridge' | 'passthru' | 'source';
      /** Mode source: whose frames come in; sorted. */
      readonly sources: readonly string[];
    }
  | {
      readonly type: 'ipvlan';
      readonly parent: string;
      readonly mode: 'l2' | 'l3' | 'l3s';
      readonly flag: 'bridge' | 'private' | 'vepa';
    };
export interface TapOrigin {
  readonly type: 'tap';
  readonly uid: number;
}

export interface TunOrigin {
  readonly type: 'tun';
}

export function isStacked(origin: LinkOrigin): origin is StackedOrigin {
  return origin.type === 'vlan' || origin.type === 'macvlan' || origin.type === 'ipvlan';
}

/** What of a stacked link is its kind's own business. */
export function infoOf(origin: StackedOrigin): LinkSpec['info'] {
  switch (origin.type) {
    case 'vlan':
      return { kind: 'vlan', id: origin.id };
    case 'macvlan':
      return {
        kind: 'macvlan',
        mode: origin.mode,
        ...(origin.mode === 'source' && origin.sources.length > 0 ? { macaddrs: origin.sources } : {}),
      };
    case 'ipvlan':
      return { kind: 'ipvlan', mode: origin.mode, flag: origin.flag };
  }
}

/** As `infoOf`, for a link that is there: an empty list of sources takes away those that it has. */
export function infoChange(origin: StackedOrigin): LinkSpec['info'] {
  const info = infoOf(origin);
  return origin.type === 'macvlan' && origin.mode === 'source'
    ? { kind: 'macvlan', mode: 'source', macaddrs: origin.sources }
    : info;
}

/**
 * Reads what a link was made as; of a pair's other end nothing can be known from here, nor of a parent elsewhere.
 * @param nameOf name of the link with that index, of the same namespace
 */
export function originOf(link: Link, nameOf: (index: number) => string): LinkOrigin {
  const { info } = link;
  const tunnel = tunnelOf(link, nameOf);
  if (tunnel) return tunnel;
  const parent = link.linkNetnsid === undefined ? nameOf(link.link) : '';
  switch (info?.kind) {
    case 'veth':
      return { type: 'veth', peer: { ns: '', name: '', mac: '' } };
    case 'ifb':
      return { type: 'ifb' };
    case 'vlan':
      return { type: 'vlan', parent, id: info.id ?? 0 };
    case 'macvlan':
      return { type: 'macvlan', parent, mode: info.mode ?? 'vepa', sources: (info.macaddrs ?? []).toSorted() };
    case 'ipvlan':
      return { type: 'ipvlan', parent, mode: info.mode ?? 'l3', flag: info.flag ?? 'bridge' };
    case 'tun':
      return info.mode === 'tun' ? { type: 'tun' } : { type: 'tap', uid: info.owner ?? -1 };
    default:
      return cryptOriginOf(info) ?? { type: 'bridge' };
  }
}

/** Names of what is not as wanted. `type` and `id` cannot be changed; the others can. */
export function originDifferences(want: LinkOrigin, have: LinkOrigin): string[] {
  if (want.type !== have.type) return ['type'];
  if (isTunnel(want) && isTunnel(have)) return tunnelDifferences(want, have);
  const wrong: string[] = cryptDifferences(want, have);
  if (want.type === 'vlan' && have.type === 'vlan' && want.id !== have.id) wrong.push('id');
  if (want.type === 'macvlan' && have.type === 'macvlan') {
    if (want.mode !== have.mode) wrong.push('mode');
    else if (want.mode === 'source' && want.sources.join() !== have.sources.join()) wrong.push('mode');
  }
  if (want.type === 'ipvlan' && have.type === 'ipvlan') {
    if (want.mode !== have.mode || want.flag !== have.flag) wrong.push('mode');
  }
  return wrong;
}

/** `type macvlan mode bridge` */
export function originWords(origin: StackedOrigin, changing = false): string {
  switch (origin.type) {
    case 'vlan':
      return `type vlan id ${origin.id}`;
    case 'macvlan': {
      const sources =
        origin.mode !== 'source'
          ? ''
          : origin.sources.length > 0
            ? ` macaddr set ${origin.sources.join(' ')}`
            : changing
              ? ' macaddr flush'
              : '';
      return `type macvlan mode ${origin.mode}${sources}`;
    }
    case 'ipvlan':
      return `type ipvlan mode ${origin.mode} ${origin.flag}`;
  }
}

/** The interface below a stacked link, as the namespace of the link names it. */
export interface Below {
  readonly link: number;
  /** The host's number in that namespace; missing where the link is the host's itself. */
  readonly linkNetnsid?: number;
}

/**
 * Finds the interface below. A link of another namespace is asked for there, not here: kernels before 6.13 look for its
 * name where the request comes from.
 * @throws NetloomError EBADPARENT where it is not there
 */
export async function below(kernel: KernelView, ns: string, parent: string): Promise<Below> {
  const [asked] = await kernel.rtnl('').batch([linkGet({ name: parent })], { lane: 'here' });
  const answer = asked?.messages[0];
  if (!answer) {
    throw new NetloomError('EBADPARENT', `there is no interface "${parent}" on the host`, {
      ...(asked?.error && { cause: asked.error }),
      hint: 'ip link shows those there are',
    });
  }
  const { index } = parseLinkIndex(answer);
  kernel.indices.set('', parent, index);
  if (ns === '') return { link: index };
  const host = { fd: kernel.netns('').fd };
  // where it has a number already, that is refused and stays
  const [, numbered] = await kernel.rtnl(ns).batch([nsidSet(host, -1), nsidGet(host)], { lane: 'here' });
  const message = numbered?.messages[0];
  if (!message) throw numbered?.error ?? new NetloomError('EINTERNAL', `the host has no number in ${ns}`);
  return { link: index, linkNetnsid: parseNsid(message).nsid };
}

/**
 * Makes a TUN or TAP device that stays, and is down. One of ours of that name is taken as it is.
 * @param group  it has it before it stays: whoever dies in between leaves no device that would be a stranger's
 */
export async function makeTap(
  kernel: KernelView,
  ns: string,
  name: string,
  origin: TapOrigin | TunOrigin,
  group: number,
): Promise<void> {
  const uid = origin.type === 'tap' ? origin.uid : -1;
  const [asked] = await kernel.rtnl(ns).batch([linkGet({ name })], { lane: 'here' });
  const answer = asked?.messages[0];
  if (answer) {
    const { group: has, info } = parseLink(answer);
    if (!isOurGroup(has) || info?.kind !== 'tun') {
      throw new NetloomError('ECONFLICT', `the interface ${name} is there already, and is not netloom's`, {
        hint: 'choose another name, or remove the one that is in the way',
      });
    }
  }
  try {
    using device = tunCreate(kernel.netns(ns), name, {
      mode: origin.type,
      ...(uid >= 0 && { owner: uid }),
    });
    await kernel.rtnl(ns).execute(linkSet({ name }, { group }));
    tunPersist(device, true);
  } catch (error) {
    if (uid >= 0 && hasCode(error, 'EINVAL')) {
      throw new NetloomError('EBADOPTION', `no user ${uid} is known here, who could open the tap ${name}`, {
        cause: error,
        hint: 'in a user namespace only those that it maps are: see /proc/self/uid_map',
      });
    }
    if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
    throw new NetloomError('EPERM', `no privilege to make the ${origin.type} ${name}`, {
      cause: error,
      hint: '/dev/net/tun must be open to netloom, which needs CAP_NET_ADMIN in the namespace',
    });
  }
}

/**
 * The command that makes a stacked link. In another namespace it is born under a name of its own, since tools name the
 * interface below where that is, and there the name wanted may be taken.
 */
export function stackedCommand(
  ns: string,
  name: string,
  origin: StackedOrigin,
  words: readonly string[],
  tag: string,
): string {
  const born = ns === '' ? name : `nl-${tag}`;
  const start = `ip link add link ${quote(origin.parent)} name ${quote(born)}`;
  const add = [start, ...words, ...(ns === '' ? [] : [`netns ${netnsName(ns)}`]), originWords(origin)].join(' ');
  return ns === '' ? add : `${add} && ${ipIn(ns)} link set dev ${born} name ${quote(name)}`;
}
