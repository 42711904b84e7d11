import type { Reply, Request } from '../netlink/index.ts';
import {
  IFF,
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
import { cryptInfo, cryptWords, isCrypt } from './link-crypt.ts';
import {
  type Below,
  below,
  infoChange,
  infoOf,
  isStacked,
  type LinkOrigin,
  type StackedOrigin,
  makeTap,
  originDifferences,
  originOf,
  originWords,
  stackedCommand,
} from './link-origin.ts';
import { isTunnel, tunnelChange, tunnelInfo, type TunnelOrigin, tunnelWords } from './link-tunnel.ts';
import { GUARDED_GROUP, isOurGroup, LINK_GROUP } from './ours.ts';
import type { FactBase, FactKind, KernelView, LinkIndices, RtnetlinkStep } from './types.ts';

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
  /** Its frames are looked at by the guard: by its group. */
  readonly guarded?: boolean;
  /** It takes every frame; missing: whatever it is. */
  readonly promisc?: boolean;
  /** It takes every multicast frame; missing: whatever it is. */
  readonly allmulti?: boolean;
  /** Packets that wait to be sent; missing: the kernel's choice. */
  readonly txQueueLength?: number;
}

export const linkKind: FactKind<LinkFact> = {
  key: (fact) => `link ${fact.ns} ${fact.name}`,
  add(fact) {
    const { origin } = fact;
    if (origin.type === 'there') return settingStep(fact);
    if (isStacked(origin)) return stackedStep(fact, origin);
    if (isTunnel(origin)) return tunnelStep(fact, origin);
    if (origin.type === 'tap' || origin.type === 'tun') {
      const make = (kernel: KernelView): Promise<void> => makeTap(kernel, fact.ns, fact.name, origin, groupOf(fact));
      return { via: 'call', run: make, after: adoptionStep(fact) };
    }
    const peer = origin.type === 'veth' ? origin.peer : undefined;
    // the name of a pair or an ifb is drawn by us and nobody else's, so that what is sent behind a refusal cannot meet a stranger
    const unique = origin.type !== 'bridge' && !isCrypt(origin);
    return {
      via: 'rtnetlink',
      ns: fact.ns,
      needs: fact.master === '' ? [] : [fact.master],
      teaches: peer?.ns === fact.ns ? [fact.name, peer.name] : [fact.name],
      // the peer's namespace is named by a descriptor, which only the view can give
      requests: (index, kernel) => [
        linkAdd({
          name: fact.name,
          group: groupOf(fact),
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
            : isCrypt(origin)
              ? cryptInfo(origin)
              : { kind: origin.type === 'ifb' ? 'ifb' : 'bridge' },
        }),
        linkGet({ name: fact.name }),
        ...(unique ? (peer ? pairSettings(fact) : settings(fact, { name: fact.name })) : []),
      ],
      learn(replies, indices) {
        learnIndex(fact, replies[1], indices);
      },
      ...(unique ? {} : { after: settingStep(fact) }),
    };
  },
  change(want, have) {
    // what a link is made of cannot be changed, only what it is set to
    const wrong = originDifferences(want.origin, have.origin);
    if (wrong.includes('type') || wrong.includes('id')) return undefined;
    return settingStep(want, have);
  },
  delete(fact) {
    const { origin } = fact;
    // `lo` was there before us and stays up: whoever else is in the namespace may use it
    if (origin.type === 'there' && origin.by === '') return undefined;
    if (isStacked(origin) && fact.ns !== '') return stackedRemoval(fact);
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
      .map((link) => factOf(link, ns, there.has(link.name), byIndex));
  },
  differences(want, have) {
    const wrong = originDifferences(want.origin, have.origin);
    if (want.mac !== '' && want.mac !== have.mac) wrong.push('address');
    if (want.mtu !== 0 && want.mtu !== have.mtu) wrong.push('mtu');
    if ((want.origin.type !== 'there' || want.master !== '') && want.master !== have.master) wrong.push('master');
    if (want.up !== have.up) wrong.push('up');
    if (want.alias !== '' && want.alias !== have.alias) wrong.push('alias');
    if (want.addrGenMode !== have.addrGenMode) wrong.push('addrgenmode');
    if (want.origin.type !== 'there' && groupOf(want) !== groupOf(have)) wrong.push('group');
    for (const [key, word] of TUNED) if (want[key] !== undefined && want[key] !== have[key]) wrong.push(word);
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
      if (fact.master !== '') words.push(`master ${quote(fact.master)}`);
      else if (made) words.push('nomaster');
      if (made) words.push(`group ${groupOf(fact)}`);
    }
    if (fact.alias !== '') words.push(`alias ${quote(fact.alias)}`);
    if (fact.addrGenMode === 'none' || (made && verb === 'change')) words.push(`addrgenmode ${fact.addrGenMode}`);
    for (const [key, word] of TUNED) {
      const value = fact[key];
      if (value !== undefined) words.push(`${word} ${typeof value === 'number' ? value : value ? 'on' : 'off'}`);
    }
    if (words.length > 0) lines.push(`${ip} link set dev ${name} ${words.join(' ')}`);
    if (verb === 'change' && isStacked(fact.origin) && fact.origin.type !== 'vlan')
      lines.push(`${ip} link set dev ${name} ${originWords(fact.origin, true)}`);
    if (verb === 'change' && isTunnel(fact.origin))
      lines.push(`${ip} link set dev ${name} ${tunnelWords(fact.origin, true)}`);
    // last, so that no address is generated before addrgenmode says so
    lines.push(`${ip} link set dev ${name} ${fact.up ? 'up' : 'down'}`);
    return lines.join(' && ');
  },
  within(fact) {
    const keys = fact.ns === '' ? [] : [`netns ${fact.ns}`];
    if (isStacked(fact.origin) || fact.origin.type === 'vxlan') keys.push(`link  ${fact.origin.parent}`);
    return fact.origin.type === 'there' && fact.origin.by !== '' ? [...keys, fact.origin.by] : keys;
  },
};

/** True for what we made: the group is given at creation, so not even a crash leaves a link without it. */
export function isOurs(link: Link): boolean {
  return isOurGroup(link.group);
}

/** What a link may be set to beside what it is, and how ip(8) calls it. */
const TUNED = [
  ['promisc', 'promisc'],
  ['allmulti', 'allmulticast'],
  ['txQueueLength', 'txqueuelen'],
] as const;

/** Those of them that are `wanted`, as a change. */
function tuningOf(fact: LinkFact, wanted: (word: (typeof TUNED)[number][1]) => boolean = () => true): LinkChange {
  const { promisc, allmulti, txQueueLength } = fact;
  return {
    ...(promisc !== undefined && wanted('promisc') && { promisc }),
    ...(allmulti !== undefined && wanted('allmulticast') && { allmulticast: allmulti }),
    ...(txQueueLength !== undefined && wanted('txqueuelen') && { txQueueLen: txQueueLength }),
  };
}

function groupOf(fact: LinkFact): number {
  return fact.guarded === true ? GUARDED_GROUP : LINK_GROUP;
}

/**
 * One queue each way. By itself the kernel makes one for every processor, each with its own objects in sysfs: a fifth of
 * what a pair costs on two processors, most of it on sixty-four. A veth without XDP transmits without locks and receives by
 * the processor's own backlog, so that it has no use for them.
 */
const ONE_QUEUE = { numTxQueues: 1, numRxQueues: 1 } as const;
const QUEUE_WORDS = 'numtxqueues 1 numrxqueues 1';

function creation(fact: LinkFact): string {
  if (fact.origin.type === 'tap' || fact.origin.type === 'tun') {
    const { type } = fact.origin;
    const user = fact.origin.type === 'tun' || fact.origin.uid < 0 ? '' : ` user ${fact.origin.uid}`;
    const rest = [`group ${groupOf(fact)}`];
    if (fact.mac !== '') rest.push(`address ${fact.mac}`);
    if (fact.mtu !== 0) rest.push(`mtu ${fact.mtu}`);
    if (fact.master !== '') rest.push(`master ${quote(fact.master)}`);
    const ip = ipIn(fact.ns);
    return `${ip} tuntap add dev ${quote(fact.name)} mode ${type}${user} && ${ip} link set dev ${quote(fact.name)} ${rest.join(' ')}`;
  }
  if (isStacked(fact.origin)) {
    const rest = [`group ${groupOf(fact)}`];
    if (fact.mac !== '') rest.unshift(`address ${fact.mac}`);
    if (fact.mtu !== 0) rest.push(`mtu ${fact.mtu}`);
    return stackedCommand(fact.ns, fact.name, fact.origin, rest, tagOf(fact));
  }
  const words = [ipIn(fact.ns), 'link add', quote(fact.name)];
  if (fact.mac !== '') words.push('address', fact.mac);
  if (fact.mtu !== 0) words.push(`mtu ${fact.mtu}`);
  words.push(`group ${groupOf(fact)}`);
  if (fact.master !== '') words.push(`master ${quote(fact.master)}`);
  if (isTunnel(fact.origin)) words.push(tunnelWords(fact.origin));
  if (fact.origin.type === 'bridge' || fact.origin.type === 'ifb') words.push(`type ${fact.origin.type}`);
  if (isCrypt(fact.origin)) words.push(cryptWords(fact.origin));
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
  // the end of a pair was born with what the pair has, and may be wanted with less
  const mtu = fact.origin.type === 'there' && fact.mtu !== 0 ? { mtu: fact.mtu } : {};
  if (Object.keys(first).length > 0) requests.push(linkSet(link, first));
  requests.push(linkSet(link, { up: fact.up, ...mtu, ...tuningOf(fact) }));
  return requests;
}

/**
 * As `settings`, in one message: a pair's first end has no carrier before the other is up, too, and without one nothing
 * makes a link-local address.
 */
function pairSettings(fact: LinkFact): Request[] {
  const { name, alias, addrGenMode, up } = fact;
  return [linkSet({ name }, { up, ...(alias !== '' && { alias }), ...(addrGenMode === 'none' && { addrGenMode }) })];
}

/**
 * A link on top of one of the host's. In another namespace it is born under a name of its own and renamed there: kernels
 * before 6.13 make it in the host's first, where the name wanted is often taken. A name that is taken where it is wanted is
 * asked for at once, so that the kernel refuses it.
 */
function stackedStep(fact: LinkFact, origin: StackedOrigin): RtnetlinkStep {
  let under: Below = { link: 0 };
  let born = fact.name;
  return {
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [],
    teaches: [fact.name],
    async prepare(kernel) {
      under = await below(kernel, fact.ns, origin.parent);
      if (fact.ns !== '' && !(await linkNamed(kernel, fact.ns, fact.name))) born = birthName(fact);
    },
    requests: () => [
      linkAdd({
        name: born,
        group: groupOf(fact),
        ...under,
        ...(fact.mtu === 0 ? {} : { mtu: fact.mtu }),
        ...(fact.mac === '' ? {} : { mac: fact.mac }),
        info: infoOf(origin),
      }),
      linkGet({ name: born }),
    ],
    learn: (replies, indices) => learnIndex(fact, replies[1], indices),
    after: {
      via: 'rtnetlink',
      ns: fact.ns,
      needs: [fact.name],
      requests(index) {
        const link = { index: index(fact.name) };
        return [...(born === fact.name ? [] : [linkSet(link, { name: fact.name })]), ...settings(fact, link)];
      },
    },
  };
}

/** Its name is its network's, and nobody else's as a rule: it is set up once the kernel has accepted that it is new. */
function tunnelStep(fact: LinkFact, origin: TunnelOrigin): RtnetlinkStep {
  return {
    via: 'rtnetlink',
    ns: fact.ns,
    needs: fact.master === '' ? [origin.parent] : [origin.parent, fact.master],
    teaches: [fact.name],
    requests: (index) => [
      linkAdd({
        name: fact.name,
        group: groupOf(fact),
        ...(fact.mtu === 0 ? {} : { mtu: fact.mtu }),
        ...(fact.mac === '' ? {} : { mac: fact.mac }),
        ...(fact.master === '' ? {} : { master: index(fact.master) }),
        info: tunnelInfo(origin, index(origin.parent)),
      }),
      linkGet({ name: fact.name }),
    ],
    learn: (replies, indices) => learnIndex(fact, replies[1], indices),
    after: settingStep(fact),
  };
}

/** Deletes it, or what there is of it; never a stranger that has its name in the workload's namespace. */
function stackedRemoval(fact: LinkFact): RtnetlinkStep {
  let doomed: LinkSelector = { name: birthName(fact) };
  return {
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [],
    async prepare(kernel) {
      const there = await linkNamed(kernel, fact.ns, fact.name);
      if (there && isOurs(there)) doomed = { index: there.index };
    },
    requests: () => [linkDelete(doomed)],
  };
}

/** The end of an endpoint's id, as its alias has it. */
function tagOf(fact: LinkFact): string {
  return fact.alias.slice(-11).replace(/[^0-9a-z]/g, '-');
}

function birthName(fact: LinkFact): string {
  return `nl-${tagOf(fact)}`;
}

async function linkNamed(kernel: KernelView, ns: string, name: string): Promise<Link | undefined> {
  const [reply] = await kernel.rtnl(ns).batch([linkGet({ name })], { lane: 'here' });
  const [answer] = reply?.messages ?? [];
  return answer && parseLink(answer);
}

/** Marks a device that was made without netlink as ours, and sets it up. */
function adoptionStep(fact: LinkFact): RtnetlinkStep {
  const link = { name: fact.name };
  return {
    via: 'rtnetlink',
    ns: fact.ns,
    needs: fact.master === '' ? [] : [fact.master],
    teaches: [fact.name],
    requests: (index) => [
      linkSet(link, {
        group: groupOf(fact),
        ...(fact.mtu === 0 ? {} : { mtu: fact.mtu }),
        ...(fact.mac === '' ? {} : { mac: fact.mac }),
        ...(fact.master === '' ? {} : { master: index(fact.master) }),
      }),
      linkGet(link),
      ...settings(fact, link),
    ],
    learn: (replies, indices) => learnIndex(fact, replies[1], indices),
  };
}

/** Sets a link that is there; with `have`, only what differs. */
function settingStep(want: LinkFact, have?: LinkFact): RtnetlinkStep {
  const wrong = new Set(have && linkKind.differences(want, have));
  return {
    via: 'rtnetlink',
    ns: want.ns,
    // what was made here has its master from birth
    needs: [
      want.name,
      ...((have ? wrong.has('master') : want.origin.type === 'there') && want.master !== '' ? [want.master] : []),
      ...(wrong.has('local') && isTunnel(want.origin) ? [want.origin.parent] : []),
    ],
    requests(index) {
      const link = { index: index(want.name) };
      if (!have) {
        const master = want.origin.type === 'there' && want.master !== '';
        return [...(master ? [linkSet(link, { master: index(want.master) })] : []), ...settings(want, link)];
      }
      const change: LinkChange = {
        ...(wrong.has('mtu') ? { mtu: want.mtu } : {}),
        ...(wrong.has('address') ? { mac: want.mac } : {}),
        ...(wrong.has('master') ? { master: want.master === '' ? 0 : index(want.master) } : {}),
        ...(wrong.has('addrgenmode') ? { addrGenMode: want.addrGenMode } : {}),
        ...(wrong.has('alias') ? { alias: want.alias } : {}),
        ...(wrong.has('group') ? { group: groupOf(want) } : {}),
        ...tuningOf(want, (word) => wrong.has(word)),
      };
      const requests = Object.keys(change).length > 0 ? [linkSet(link, change)] : [];
      if (wrong.has('mode') && isStacked(want.origin)) requests.push(linkSet(link, { info: infoChange(want.origin) }));
      if (wrong.has('local') && isTunnel(want.origin))
        requests.push(linkSet(link, { info: tunnelChange(want.origin, index(want.origin.parent)) }));
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

function factOf(link: Link, ns: string, there: boolean, byIndex: ReadonlyMap<number, Link>): LinkFact {
  // one that was not looked at is no less there
  const nameOf = (index: number): string => (index === 0 ? '' : (byIndex.get(index)?.name ?? `if${index}`));
  return {
    kind: 'link',
    ns,
    object: '',
    name: link.name,
    origin: there ? { type: 'there', by: '' } : originOf(link, nameOf),
    mac: link.mac,
    mtu: link.mtu,
    master: nameOf(link.master),
    up: link.up,
    alias: link.alias,
    addrGenMode: link.addrGenMode === 'none' ? 'none' : 'eui64',
    ...(link.group === GUARDED_GROUP && { guarded: true }),
    promisc: (link.flags & IFF.PROMISC) !== 0,
    allmulti: (link.flags & IFF.ALLMULTI) !== 0,
    txQueueLength: link.txQueueLen,
  };
}
