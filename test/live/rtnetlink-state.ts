import { strict as assert } from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import { Netns } from '../../src/kernel/index.ts';
import type { Request } from '../../src/netlink/index.ts';
import { addressAdd, type Link, linkAdd, linkSet, Rtnl } from '../../src/rtnetlink/index.ts';
import { okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

/** One state of a namespace, made in two ways. */
export interface State {
  readonly name: string;
  /** Lines for `ip -batch`, then `ip -6 -batch`, then `bridge -batch`. */
  readonly ip: readonly string[];
  readonly ip6?: readonly string[];
  readonly bridge?: readonly string[];
  /** Ask iproute2 about links only. */
  readonly linksOnly?: boolean;
  /** Requests of one burst, then of the next: later ones may need the indices of links made before. */
  readonly ours: readonly ((index: (name: string) => number) => readonly Request[])[];
}

/** What links are given, so that chance gives them nothing. */
export const MACS = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:00:0c'] as const;
const [A, B, C] = MACS;

/** A veth pair, up, with nothing of the kernel's own choice: what other states stand on. */
export const PAIR_IP: readonly string[] = [
  `link add eth0 address ${A} type veth peer name eth1 address ${B}`,
  'link set eth0 addrgenmode none',
  'link set eth1 addrgenmode none',
  'link set eth0 up',
  'link set eth1 up',
  'addr add 10.0.0.1/24 dev eth0',
  'addr add fd00::1/64 dev eth0 nodad',
];
export const PAIR: State['ours'] = [
  () => [
    linkAdd({ name: 'eth0', mac: A, info: { kind: 'veth', peer: { name: 'eth1', mac: B } } }),
    linkSet({ name: 'eth0' }, { addrGenMode: 'none' }),
    linkSet({ name: 'eth1' }, { addrGenMode: 'none' }),
    linkSet({ name: 'eth0' }, { up: true }),
    linkSet({ name: 'eth1' }, { up: true }),
  ],
  (index) => [
    addressAdd({ index: index('eth0'), address: '10.0.0.1/24' }),
    addressAdd({ index: index('eth0'), address: 'fd00::1/64', flags: ['nodad'] }),
  ],
];

/** A bridge above the pair's end `eth1`. */
export const BRIDGE_IP: readonly string[] = [
  `link add br0 address ${C} type bridge`,
  'link set br0 addrgenmode none',
  'link set eth1 master br0',
];
export const BRIDGE: State['ours'] = [
  () => [linkAdd({ name: 'br0', mac: C, info: { kind: 'bridge' } }), linkSet({ name: 'br0' }, { addrGenMode: 'none' })],
  (index) => [linkSet({ name: 'eth1' }, { master: index('br0') })],
];

/** Makes the state by iproute2 in one namespace and by us in another; both must read back the same, with both readers. */
export async function assertSame(state: State): Promise<void> {
  using theirs = Netns.create();
  using ours = Netns.create();
  const batch = async (argv: readonly string[], lines: readonly string[] = []): Promise<unknown> =>
    lines.length > 0 && okIn(theirs, [...argv, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  await batch(['ip'], state.ip);
  await batch(['ip', '-6'], state.ip6);
  await batch(['bridge'], state.bridge);
  await make(ours, state.ours);
  await assertSettled(`${state.name}: read by our decoder`, readByUs, ours, theirs);
  const commands = state.linksOnly === true ? LINKS : EVERYTHING;
  await assertSettled(`${state.name}: read by iproute2`, (netns) => readByIp(netns, commands), ours, theirs);
}

/** The kernel finishes IPv6 addresses (their routes, their multicast groups) on a work queue of its own. */
async function assertSettled(
  what: string,
  read: (netns: Netns) => Promise<unknown>,
  ours: Netns,
  theirs: Netns,
): Promise<void> {
  let [a, b]: unknown[] = [];
  const same = async (): Promise<boolean> => {
    [a, b] = await Promise.all([read(ours), read(theirs)]);
    return isDeepStrictEqual(a, b);
  };
  await until(what, same, { timeout: 3000 }).catch(() => undefined);
  assert.deepEqual(a, b, what);
}

/** Sends each burst in turn. @throws NetlinkError of the first request that was refused */
export async function make(netns: Netns, bursts: State['ours']): Promise<void> {
  using rtnl = Rtnl.open(netns);
  for (const burst of bursts) {
    const links = await rtnl.link.list();
    const replies = await rtnl.conn.batch(
      burst((name) => {
        const link = links.find((candidate) => candidate.name === name);
        assert.ok(link, `no link ${name}`);
        return link.index;
      }),
    );
    for (const { error } of replies) if (error) throw error;
  }
}

/** Everything in the namespace by our decoders, indices turned to names, without what time or chance decides. */
export async function readByUs(netns: Netns): Promise<unknown> {
  using rtnl = Rtnl.open(netns);
  const links = await rtnl.link.list();
  const nameOf = (index: number): string => links.find((link) => link.index === index)?.name ?? `${index}`;
  const named = <T extends object>(list: readonly T[]): unknown[] =>
    list.map((entry) => {
      const out = { ...entry } as Record<string, unknown>;
      for (const key of ['index', 'oif', 'iif', 'master', 'via', 'dev']) {
        if (typeof out[key] === 'number') out[key] = nameOf(out[key]);
      }
      return out;
    });
  const still = (link: Link): unknown => {
    const { flags: _flags, operState: _state, index: _index, port, ...rest } = link;
    const { state: _portState, ...settings } = port ?? {};
    const below = link.linkNetnsid === undefined ? nameOf(link.link) : 'elsewhere';
    const info = link.info && named([link.info])[0];
    return { ...rest, link: below, master: nameOf(link.master), port: port && settings, info };
  };
  return {
    links: links.map(still).sort(byName),
    addresses: named(await rtnl.address.list()),
    routes: named((await rtnl.route.list()).map((route) => ({ ...route, flags: 0 }))).sort(byText),
    rules: await rtnl.rule.list(),
    neighbours: named(
      [...(await rtnl.neighbour.list()), ...(await rtnl.neighbour.list({ proxy: true }))].filter(isSaid),
    ).sort(byText),
    fdb: named(await rtnl.fdb.list()).sort(byText),
  };
}

/** The same by iproute2: what each command prints, by the command. */
async function readByIp(netns: Netns, commands: readonly string[]): Promise<unknown> {
  // one shell for all, since a process costs more than its question; `ip` prints nothing where there is nothing
  const script = `set -e; ${commands.map((command) => `${command}; echo;`).join(' ')}`;
  const answers = (await okIn(netns, ['sh', '-c', script])).split(/\n+(?=\[|$)/).filter((text) => text !== '');
  return answers.map((text) => {
    const list = settled(JSON.parse(text)) as { dst?: string }[];
    return list.filter((entry) => entry.dst === undefined || isSaid({ dst: entry.dst })).sort(byText);
  });
}
const LINKS = ['ip -j -d link'];
const EVERYTHING = [
  ...LINKS,
  'ip -j -d address',
  'ip -j -d route show table all',
  'ip -6 -j -d route show table all',
  'ip -j -d rule',
  'ip -6 -j -d rule',
  'ip -j neigh show nud all',
  'ip -j neigh show proxy',
  'bridge -j -d fdb',
];

/** What two namespaces never have in common: numbers of interfaces, clocks, addresses by lot, and how far a carrier has come. */
const CHANCE = /^(ifindex|link_index|operstate|state|.*_timer|permaddr)$/;
const CARRIER = new Set(['LOWER_UP', 'NO-CARRIER', 'RUNNING', 'linkdown', 'dead']);

function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !CARRIER.has(item as string)).map(settled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !CHANCE.test(key))
      .map(([key, item]) => [key, settled(item)]),
  );
}

/** Not one that the kernel notes when it happens to send multicast of its own. */
function isSaid(neighbour: { dst: string }): boolean {
  return !/^(ff|22[4-9]\.|23\d\.)/.test(neighbour.dst);
}

function byName(a: unknown, b: unknown): number {
  return (a as { name: string }).name < (b as { name: string }).name ? -1 : 1;
}
function byText(a: unknown, b: unknown): number {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? `${item}` : item));
  return text(a) < text(b) ? -1 : 1;
}
