import type { Reply, Request } from '../netlink/index.ts';
import {
  type Link,
  linkAdd,
  linkDelete,
  linkDump,
  linkGet,
  type LinkChange,
  type LinkSelector,
  linkSet,
  parseLink,
  parseLinkIndex,
} from '../rtnetlink/index.ts';
import { ipIn, netnsName, placeOf, quote } from './command.ts';
import { LINK_GROUP } from './ours.ts';
import type { FactBase, FactKind, LinkIndices, RtnetlinkStep } from './types.ts';

/** How a link comes to be. */
export type LinkOrigin =
  | { readonly type: 'bridge' }
  /** The host's end of a pair; the other end is born in the workload's namespace. */
  | { readonly type: 'veth'; readonly peer: { readonly ns: string; readonly name: string; readonly mac: string } }
  /** Not made by this fact, only set: `lo`, or the end of a pair that the fact with the key `by` makes. */
  | { readonly type: 'there'; readonly by: string };

/** A network interface. @see ip-link(8) */
export interface LinkFact extends FactBase {
  readonly kind: 'link';
  readonly name: string;
  readonly origin: LinkOrigin;
  /** Canonical text; empty: the kernel's choice. */
  readonly mac: string;
  /** Bytes; 0: the kernel's choice. */
  readonly mtu: number;
  /** Name of the bridge it is a port of; empty for none. */
  readonly master: string;
  readonly up: boolean;
  /** Who it belongs to, as IFLA_IFALIAS: `netloom network web`. Empty for `there`. */
  readonly alias: string;
  /** `none` keeps the kernel from giving it an IPv6 link-local address. */
  readonly addrGenMode: 'eui64' | 'none';
}

export const linkKind: FactKind<LinkFact> = {
  key: (fact) => `link ${fact.ns} ${fact.name}`,
  add(fact) {
    const { origin } = fact;
    if (origin.type === 'there') return settingStep(fact);
    const peer = origin.type === 'veth' ? origin.peer : undefined;
    // a pair's name is drawn by us and nobody else's, so that what is sent behind a refusal cannot meet a stranger
    const unique = peer !== undefined;
    return {
      via: 'rtnetlink',
      ns: fact.ns,
      needs: fact.master === '' ? [] : [fact.master],
      teaches: peer?.ns === fact.ns ? [fact.name, peer.name] : [fact.name],
      // the peer's namespace is named by a descriptor, which only the view can give
      requests: (index, kernel) => [
        linkAdd({
          name: fact.name,
          group: LINK_GROUP,
          ...(peer ? ONE_QUEUE : {}),
          ...(fact.mtu === 0 ? {} : { mtu: fact.mtu }),
          ...(fact.mac === '' ? {} : { mac: fact.mac }),
          ...(fact.master === '' ? {} : { master: index(fact.master) }),
          info: peer
            ? {
                kind: 'veth',
                peer: {
                  name: peer.name,
                  ...ONE_QUEUE,
                  netns: kernel.netns(peer.ns).fd,
                  ...(fact.mtu === 0 ? {} : { mtu: fact.mtu }),
                  ...(peer.mac === '' ? {} : { mac: peer.mac }),
                },
              }
            : { kind: 'bridge' },
        }),
        linkGet({ name: fact.name }),
        ...(unique ? settings(fact, { name: fact.name }) : []),
      ],
      learn(replies, indices) {
        learnIndex(fact, replies[1], indices);
      },
      ...(unique ? {} : { after: settingStep(fact) }),
    };
  },
  change(want, have) {
    // what a link is made of cannot be changed, only what it is set to
    if (want.origin.type !== have.origin.type) return undefined;
    return settingStep(want, have);
  },
  delete(fact) {
    const { origin } = fact;
    // `lo` was there before us and stays up: whoever else is in the namespace may use it
    if (origin.type === 'there' && origin.by === '') return undefined;
    return {
      via: 'rtnetlink',
      ns: fact.ns,
      needs: [],
      requests: () => [
        origin.type === 'there' ? linkSet({ name: fact.name }, { up: false }) : linkDelete({ name: fact.name }),
      ],
    };
  },
  async read(kernel, ns, wanted) {
    const links = (await kernel.rtnl(ns).execute(linkDump())).map(parseLink);
    const byIndex = new Map(links.map((link) => [link.index, link]));
    const there = new Set(wanted.filter((fact) => fact.ns === ns && fact.origin.type === 'there').map((f) => f.name));
    return links
      .filter((link) => isOurs(link) || there.has(link.name))
      .map((link) => factOf(link, ns, there.has(link.name), byIndex.get(link.master)?.name ?? ''));
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (want.origin.type !== have.origin.type) wrong.push('type');
    if (want.mac !== '' && want.mac !== have.mac) wrong.push('address');
    if (want.mtu !== 0 && want.mtu !== have.mtu) wrong.push('mtu');
    if (want.origin.type !== 'there' && want.master !== have.master) wrong.push('master');
    if (want.up !== have.up) wrong.push('up');
    if (want.alias !== '' && want.alias !== have.alias) wrong.push('alias');
    if (want.addrGenMode !== have.addrGenMode) wrong.push('addrgenmode');
    return wrong;
  },
  describe(fact) {
    const own = `the interface ${fact.name}${placeOf(fact.ns)}`;
    return fact.origin.type === 'veth'
      ? `${own}, or its other end ${fact.origin.peer.name}${placeOf(fact.origin.peer.ns)},`
      : own;
  },
  command(fact, verb) {
    const ip = ipIn(fact.ns);
    const name = quote(fact.name);
    if (verb === 'delete')
      return fact.origin.type === 'there' ? `${ip} link set ${name} down` : `${ip} link delete ${name}`;
    const lines: string[] = [];
    const words: string[] = [];
    const made = fact.origin.type !== 'there';
    if (made && verb === 'add') {
      lines.push(creation(fact));
    } else {
      if (fact.mac !== '' && verb === 'change') words.push(`address ${fact.mac}`);
      if (fact.mtu !== 0) words.push(`mtu ${fact.mtu}`);
      if (made) words.push(fact.master === '' ? 'nomaster' : `master ${quote(fact.master)}`);
    }
    if (fact.alias !== '') words.push(`alias ${quote(fact.alias)}`);
    if (fact.addrGenMode === 'none' || (made && verb === 'change')) words.push(`addrgenmode ${fact.addrGenMode}`);
    if (words.length > 0) lines.push(`${ip} link set dev ${name} ${words.join(' ')}`);
    // last, so that no address is generated before addrgenmode says so
    lines.push(`${ip} link set dev ${name} ${fact.up ? 'up' : 'down'}`);
    return lines.join(' && ');
  },
  within(fact) {
    const keys = fact.ns === '' ? [] : [`netns ${fact.ns}`];
    return fact.origin.type === 'there' && fact.origin.by !== '' ? [...keys, fact.origin.by] : keys;
  },
};

/** True for what we made: the group is given at creation, so not even a crash leaves a link without it. */
export function isOurs(link: Link): boolean {
  return link.group === LINK_GROUP;
}

/**
 * One queue each way. By itself the kernel makes one for every processor, each with its own objects in sysfs: a fifth of
 * what a pair costs on two processors, most of it on sixty-four. A veth without XDP transmits without locks and receives by
 * the processor's own backlog, so that it has no use for them.
 */
const ONE_QUEUE = { numTxQueues: 1, numRxQueues: 1 } as const;
const QUEUE_WORDS = 'numtxqueues 1 numrxqueues 1';

function creation(fact: LinkFact): string {
  const words = [ipIn(fact.ns), 'link add', quote(fact.name)];
  if (fact.mac !== '') words.push('address', fact.mac);
  if (fact.mtu !== 0) words.push(`mtu ${fact.mtu}`);
  words.push(`group ${LINK_GROUP}`);
  if (fact.master !== '') words.push(`master ${quote(fact.master)}`);
  if (fact.origin.type === 'bridge') words.push('type bridge');
  if (fact.origin.type === 'veth') {
    const { peer } = fact.origin;
    words.push(QUEUE_WORDS, `type veth peer name ${quote(peer.name)}`, QUEUE_WORDS);
    if (peer.mac !== '') words.push(`address ${peer.mac}`);
    if (fact.mtu !== 0) words.push(`mtu ${fact.mtu}`);
    if (peer.ns !== fact.ns) words.push(`netns ${netnsName(peer.ns)}`);
  }
  return words.join(' ');
}

/**
 * What can be set on a link that is there, in the order that matters: whether it makes itself a link-local address is
 * read at the moment it comes up, and one message applies `up` before it.
 */
function settings(fact: LinkFact, link: LinkSelector): Request[] {
  const requests: Request[] = [];
  const first: LinkChange = {
    ...(fact.alias === '' ? {} : { alias: fact.alias }),
    ...(fact.addrGenMode === 'none' ? { addrGenMode: 'none' } : {}),
  };
  if (Object.keys(first).length > 0) requests.push(linkSet(link, first));
  requests.push(linkSet(link, { up: fact.up }));
  return requests;
}

/** Sets a link that is there; with `have`, only what differs. */
function settingStep(want: LinkFact, have?: LinkFact): RtnetlinkStep {
  const wrong = new Set(have && linkKind.differences(want, have));
  return {
    via: 'rtnetlink',
    ns: want.ns,
    needs: [want.name, ...(wrong.has('master') && want.master !== '' ? [want.master] : [])],
    requests(index) {
      const link = { index: index(want.name) };
      if (!have) return settings(want, link);
      const change: LinkChange = {
        ...(wrong.has('mtu') ? { mtu: want.mtu } : {}),
        ...(wrong.has('address') ? { mac: want.mac } : {}),
        ...(wrong.has('master') ? { master: want.master === '' ? 0 : index(want.master) } : {}),
        ...(wrong.has('addrgenmode') ? { addrGenMode: want.addrGenMode } : {}),
        ...(wrong.has('alias') ? { alias: want.alias } : {}),
      };
      const requests = Object.keys(change).length > 0 ? [linkSet(link, change)] : [];
      if (wrong.has('up')) requests.push(linkSet(link, { up: want.up }));
      return requests;
    },
  };
}

function learnIndex(fact: LinkFact, reply: Reply | undefined, indices: LinkIndices): void {
  const [answer] = reply?.messages ?? [];
  if (!answer) return;
  const link = parseLinkIndex(answer);
  indices.set(fact.ns, fact.name, link.index);
  // IFLA_LINK of a veth is its peer's index in the peer's namespace
  if (fact.origin.type === 'veth' && link.link !== 0)
    indices.set(fact.origin.peer.ns, fact.origin.peer.name, link.link);
}

function factOf(link: Link, ns: string, there: boolean, master: string): LinkFact {
  const kind = link.info?.kind;
  return {
    kind: 'link',
    ns,
    object: '',
    name: link.name,
    // the peer's name and namespace cannot be read from this end, and never change on their own
    origin: there
      ? { type: 'there', by: '' }
      : kind === 'veth'
        ? { type: 'veth', peer: { ns: '', name: '', mac: '' } }
        : { type: 'bridge' },
    mac: link.mac,
    mtu: link.mtu,
    master,
    up: link.up,
    alias: link.alias,
    addrGenMode: link.addrGenMode === 'none' ? 'none' : 'eui64',
  };
}
