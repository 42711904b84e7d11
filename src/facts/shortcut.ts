import { createHash } from 'node:crypto';
import { endianness } from 'node:os';
import { parseIp, parseMac, parsePrefix } from '../addr/index.ts';
import {
  createLruHash,
  FLOW,
  loadClassifier,
  mapsOfProgram,
  openMap,
  shapeOf,
  type ShortcutPlace,
  type ShortcutPlan,
  shortcutProgram,
} from '../bpf/index.ts';
import { hasCode } from '../errors.ts';
import { type Fd, Netns } from '../kernel/index.ts';
import { NETLINK, NetlinkConn } from '../netlink/index.ts';
import {
  bpfReplace,
  clsactEnsure,
  type Direction,
  filterDump,
  linkGet,
  parseBpf,
  parseLinkIndex,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { filterRemoval, filtersIn } from './filter.ts';
import { TC_SHORTCUT } from './ours.ts';
import type { FactBase, FactKind, KernelView } from './types.ts';

/**
 * A program at a link, by which TCP connections between the hosts of a network go past the rule sets of the host once these
 * have let them begin: src/bpf/shortcut.ts. All of a network share one table of such connections. Ours by the filter's
 * preference; which program it is, its name says. @see tc-bpf(8)
 */
export interface ShortcutFact extends FactBase {
  readonly kind: 'shortcut';
  readonly dev: string;
  /** `out` at what leaves by the link, `port` and `way` at what comes in. */
  readonly at: ShortcutPlace;
  /** Handle of the filter: other networks may have theirs at the same link. */
  readonly handle: number;
  /** The network's bridge. */
  readonly bridge: string;
  /** The network is one segment: plan `flat`. */
  readonly segment?: true;
  /** Links at whose programs the network's table is looked for, one after the other. */
  readonly holders: readonly string[];
  readonly ranges: readonly string[];
  /** `port`: who is behind it, and the gateway's hardware address. */
  readonly port?: {
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly bridgeMac: string;
  };
  /** Read from the kernel: it is another program, or has another table. */
  readonly other?: true;
}

export const shortcutKind: FactKind<ShortcutFact> = {
  key: (fact) => `shortcut ${fact.ns} ${fact.dev} ${directionOf(fact)} ${fact.handle}`,
  add: (fact) => ({ via: 'call', run: (kernel) => attach(kernel, fact) }),
  // between two packets
  change: (want) => shortcutKind.add(want),
  delete: (fact) =>
    filterRemoval(fact.ns, fact.dev, { pref: TC_SHORTCUT, handle: fact.handle, direction: directionOf(fact) }),
  async read(kernel, ns, wanted) {
    const { found } = await filtersIn(kernel.rtnl(ns), ['ingress', 'egress'], parseBpf);
    const programs = found
      .filter(({ pref }) => pref === TC_SHORTCUT)
      .map((filter) => ({ ...filter, table: tableOf(filter.id) }));
    const held = new Map(
      programs
        .filter(({ direction }) => direction === 'egress')
        .map(({ dev, handle, table }) => [`${dev} ${handle}`, table]),
    );
    const byKey = new Map(wanted.map((fact) => [shortcutKind.key(fact), fact]));
    return programs.map(({ dev, direction, handle, name, table }): ShortcutFact => {
      const at = direction === 'egress' ? 'out' : 'way';
      const base = {
        kind: 'shortcut',
        ns,
        object: '',
        dev,
        at,
        handle,
        bridge: '',
        holders: [],
        ranges: [],
        other: true,
      } as const;
      const want = byKey.get(shortcutKind.key(base));
      if (!want || name !== nameOf(want)) return base;
      const holder = want.holders.map((each) => `${each} ${handle}`).find((each) => held.has(each));
      return table !== undefined && holder !== undefined && held.get(holder) === table ? want : base;
    });
  },
  differences: (want, have) => (have.other || nameOf(want) !== nameOf(have) ? ['program'] : []),
  describe: (fact) => `the shortcut at ${fact.dev}`,
  command(fact, verb) {
    const tc = `${ipIn(fact.ns, 'tc')} filter`;
    const place = `dev ${quote(fact.dev)} ${directionOf(fact)} pref ${TC_SHORTCUT}`;
    const handle = `handle 0x${fact.handle.toString(16)} bpf`;
    if (verb === 'delete') return `${tc} delete ${place} ${handle}`;
    return (
      `${ipIn(fact.ns, 'tc')} qdisc add dev ${quote(fact.dev)} clsact; ` +
      `${tc} replace ${place} protocol all ${handle} direct-action object-pinned "$BPF/${nameOf(fact)}"`
    );
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

/**
 * Why the kernel takes no such programs from us; empty where it does. Tried in a namespace that goes at once.
 */
export async function whyNoShortcuts(): Promise<string> {
  if (endianness() !== 'LE') return 'this processor is big-endian';
  try {
    using netns = Netns.create();
    using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
    using table = createLruHash('netloom_flows', { ...FLOW, entries: 1 });
    const base = { kind: 'shortcut', ns: '', object: '', dev: 'lo', handle: 1, bridge: 'lo' } as const;
    const fact = { ...base, holders: [], ranges: TRIED };
    for (const at of ['out', 'way'] as const)
      await install(conn, { ...fact, at }, { dev: LOOPBACK, bridge: LOOPBACK, table });
    return '';
  } catch (error) {
    return hasCode(error, 'EPERM')
      ? 'programs need root, and the machine’s own user namespace'
      : String(error instanceof Error ? error.message : error);
  }
}
/** Of every network namespace. */
const LOOPBACK = 1;
const TRIED = ['192.0.2.0/24', '2001:db8::/32'];

function directionOf({ at }: Pick<ShortcutFact, 'at'>): Direction {
  return at === 'out' ? 'egress' : 'ingress';
}

/** Says what the program does: two that are called the same are the same. */
function nameOf({ at, bridge, segment, ranges, port }: ShortcutFact): string {
  revision ??= digestOf(sampleCode());
  const words = JSON.stringify([revision, at, bridge, segment ?? false, ranges, port ?? {}]);
  return `netloom-${at}-${digestOf(words).slice(0, 16)}`;
}
/** Of what src/bpf makes of plans: where another release makes something else of the same one, it is another program. */
let revision: string | undefined;

function* sampleCode(): Iterable<Uint8Array> {
  const port = { mac: '02:00:00:00:00:01', addresses: ['192.0.2.1', '2001:db8::1'], bridgeMac: '02:00:00:00:00:02' };
  for (const at of ['out', 'way', 'port'] as const) {
    for (const segment of [{}, { segment: true } as const]) {
      const plan = planOf({ at, ...segment, ranges: TRIED, ...(at === 'port' && { port }) }, 0);
      yield shortcutProgram(plan, 0);
    }
  }
}
function digestOf(parts: string | Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  for (const part of typeof parts === 'string' ? [parts] : parts) hash.update(part);
  return hash.digest('hex');
}

async function attach(kernel: KernelView, fact: ShortcutFact): Promise<void> {
  const conn = kernel.rtnl(fact.ns);
  const indexOf = async (name: string): Promise<number> =>
    kernel.indices.get(fact.ns, name) ?? parseLinkIndex((await conn.execute(linkGet({ name })))[0]!).index;
  const [dev, bridge] = [await indexOf(fact.dev), await indexOf(fact.bridge)];
  using table = (await heldTable(conn, fact, indexOf)) ?? createLruHash('netloom_flows', FLOW);
  await install(conn, fact, { dev, bridge, table });
}

interface Place {
  readonly dev: number;
  readonly bridge: number;
  readonly table: Fd;
}

async function install(conn: NetlinkConn, fact: ShortcutFact, { dev, bridge, table }: Place): Promise<void> {
  using program = loadClassifier(`netloom_${fact.at}`, shortcutProgram(planOf(fact, bridge), table.number));
  await conn.execute(clsactEnsure(dev));
  const direction = directionOf(fact);
  await conn.execute(
    bpfReplace({ index: dev, pref: TC_SHORTCUT, handle: fact.handle, direction, name: nameOf(fact) }, program.number),
  );
}

function planOf(
  { at, segment, ranges, port }: Pick<ShortcutFact, 'at' | 'segment' | 'ranges' | 'port'>,
  bridge: number,
): ShortcutPlan {
  return {
    at,
    bridge,
    ...(segment && { segment }),
    ranges: ranges.map((range) => {
      const { address, length } = parsePrefix(range);
      return { address: address.bytes, length };
    }),
    ...(port && {
      port: {
        mac: parseMac(port.mac),
        addresses: port.addresses.map((address) => parseIp(address).bytes),
        bridgeMac: parseMac(port.bridgeMac),
      },
    }),
  };
}

/** The table of the network's connections; undefined where there is none yet. */
async function heldTable(
  conn: NetlinkConn,
  { holders, handle }: ShortcutFact,
  indexOf: (name: string) => Promise<number>,
): Promise<Fd | undefined> {
  for (const name of holders) {
    let messages;
    try {
      messages = await conn.execute(filterDump(await indexOf(name), 'egress'));
    } catch {
      continue; // no such link, or no clsact there, for which the kernel has several errors
    }
    for (const message of messages) {
      const filter = parseBpf(message);
      if (filter?.pref !== TC_SHORTCUT || filter.handle !== handle) continue;
      const table = tableOf(filter.id);
      if (table === undefined) continue;
      const map = openMap(table);
      const { key, value } = shapeOf(map);
      if (key === FLOW.key && value === FLOW.value) return map;
      map.close(); // another release's, which writes down something else
    }
  }
  return undefined;
}

/** Undefined where the program is gone by now. */
function tableOf(program: number): number | undefined {
  try {
    return mapsOfProgram(program)[0];
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
