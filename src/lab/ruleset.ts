import { parseIp, withoutLength } from '../addr/index.ts';
import type { Netns } from '../kernel/index.ts';
import type { Request } from '../netlink/index.ts';
import {
  chainAdd,
  elementAdd,
  type NftChain,
  NftConn,
  type NftKey,
  type NftSet,
  type NftStatement,
  setAdd,
  statementRuleAdd,
  tableAdd,
  tableDelete,
} from '../nftables/index.ts';
import type { Cut } from './cuts.ts';
import type { LabPlan, Machine } from './plan.ts';

const TABLE = { family: 'bridge', name: 'lab' } as const;
/** NF_BR_PRI_FILTER_BRIDGED: where br_netfilter is loaded, packets of IP never come to chains from its own priority, 0, on. */
const PRIORITY = -200;
const CHAIN: NftChain = {
  family: 'bridge',
  table: TABLE.name,
  name: 'forward',
  base: { type: 'filter', hook: 'forward', priority: PRIORITY, policy: 'accept' },
};
const set = (name: string, type: NftSet['type']): NftSet => ({ family: 'bridge', table: TABLE.name, name, type });
/** By port: whatever goes from the one to the other on a segment. */
const PORTS = set('cut', ['ifname', 'ifname']);
/** By address: what goes between them by a router. */
const PAIRS4 = set('cut4', ['ipv4_addr', 'ipv4_addr']);
const PAIRS6 = set('cut6', ['ipv6_addr', 'ipv6_addr']);
const SETS = [PORTS, PAIRS4, PAIRS6];
/** Losses are told apart in so many steps. */
const STEPS = 1_000_000;

/** Puts cuts and losses into force, all at once, in the place of those that were. */
export async function applyRules(wire: Netns, plan: LabPlan, cuts: readonly Cut[]): Promise<void> {
  using nft = NftConn.open(wire);
  await nft.commit(rules(plan, cuts));
}

/** The whole table, so that what is in force never depends on what was. */
export function rules(plan: LabPlan, cuts: readonly Cut[]): Request[] {
  const rule = (...statements: NftStatement[]): Request[] =>
    statementRuleAdd({ family: 'bridge', table: TABLE.name, chain: CHAIN.name, statements }, { sets: SETS });
  const drop: NftStatement[] = [{ counter: null }, { drop: null }];
  const keys = cutKeys(plan, cuts);
  return [
    // a table that is not there cannot be deleted
    tableAdd(TABLE),
    tableDelete(TABLE),
    tableAdd(TABLE),
    ...SETS.flatMap((each) => [
      setAdd(each),
      ...elementAdd(
        each,
        keys(each).map((key) => ({ key })),
      ),
    ]),
    chainAdd(CHAIN),
    ...rule(
      {
        match: {
          op: '==',
          left: { concat: [{ meta: { key: 'iifname' } }, { meta: { key: 'oifname' } }] },
          right: '@cut',
        },
      },
      ...drop,
    ),
    ...rule(
      { match: { op: '==', left: { concat: [field('ip', 'saddr'), field('ip', 'daddr')] }, right: '@cut4' } },
      ...drop,
    ),
    ...rule(
      { match: { op: '==', left: { concat: [field('ip6', 'saddr'), field('ip6', 'daddr')] }, right: '@cut6' } },
      ...drop,
    ),
    // each cable loses by itself: what crosses two of them is lost by either
    ...plan.machines
      .flatMap(({ links }) => links.filter(({ loss }) => loss > 0))
      .flatMap(({ port, loss }) =>
        (['iifname', 'oifname'] as const).flatMap((way) =>
          rule(
            { match: { op: '==', left: { meta: { key: way } }, right: port } },
            {
              match: {
                op: '<',
                left: { numgen: { mode: 'random', mod: STEPS } },
                right: Math.round(loss * STEPS),
              },
            },
            ...drop,
          ),
        ),
      ),
  ];
}

function field(protocol: string, name: string): { payload: { protocol: string; field: string } } {
  return { payload: { protocol, field: name } };
}

function cutKeys(plan: LabPlan, cuts: readonly Cut[]): (of: NftSet) => NftKey[] {
  const machines = new Map(plan.machines.map((machine) => [machine.name, machine]));
  const pairs = cuts.flatMap(({ from, to }): [Machine, Machine][] => {
    const [a, b] = [machines.get(from), machines.get(to)];
    return a && b ? [[a, b]] : [];
  });
  const ports = (machine: Machine): string[] => machine.links.map(({ port }) => port);
  const addresses = (machine: Machine, family: 4 | 6): string[] =>
    machine.links
      .flatMap((link) => link.addresses.map(withoutLength))
      .filter((address) => parseIp(address).family === family);
  const product = (values: (machine: Machine) => string[]): NftKey[] =>
    pairs.flatMap(([a, b]) => values(a).flatMap((x) => values(b).map((y): NftKey => ({ concat: [x, y] }))));
  return (of) => product(of === PORTS ? ports : (machine) => addresses(machine, of === PAIRS4 ? 4 : 6));
}
