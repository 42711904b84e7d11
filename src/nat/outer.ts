import { hexOf, parseIp } from '../addr/index.ts';
import { type ChainPlan, type Fact, plannedChain, RAW_TABLES } from '../facts/index.ts';
import type { Network, Outer } from '../model/index.ts';
import type { NftExpression, NftSet, NftStatement } from '../nftables/index.ts';

/**
 * What keeps the packets that a network's tunnels put around others' out of connection tracking: two chains for each protocol,
 * before it. They are told by the host's own address, as their target or their source: what is only forwarded, as a tunnel of
 * a workload's, is tracked as before. Networks with the same address and protocol share them; of UDP each has a port.
 *
 * Every packet of the host comes by, so there is nothing but comparisons, and nothing that is not needed: looking an address up
 * in a set costs a packet by WireGuard, which comes in many small ones, two hundredths of all that is done with it.
 */
export function outerFacts(network: Network, address: string, outers: readonly Outer[]): readonly Fact[] {
  const { family } = parseIp(address);
  return outers.flatMap((outer): Fact[] => {
    const { protocol, port } = outer;
    const ports = port === undefined ? undefined : portsOf(address);
    const sets = ports ? [ports] : [];
    const shared = { ns: '', object: 'netloom' };
    return [
      { kind: 'nft-table', ...shared, table: RAW_TABLES[family] },
      ...sets.map((set): Fact => ({ kind: 'nft-set', ...shared, set })),
      ...(['prerouting', 'output'] as const).map((hook) =>
        plannedChain(RAW_TABLES[family], sets, chainAt(hook, address, protocol, ports)),
      ),
      ...sets.map((set): Fact => {
        const object = `network ${network.name}`;
        return { kind: 'nft-element', ns: '', object, set, element: { key: port! } };
      }),
    ];
  });
}

/** IANA's numbers: not every host has a file with their names. */
const PROTOCOLS: { readonly [P in Outer['protocol']]: number } = { udp: 17, gre: 47, ipencap: 4, esp: 50 };

/** Of tunnels in UDP, the ports. The kernel keeps a bit for each there can be. */
function portsOf(address: string): NftSet {
  const { family, name: table } = RAW_TABLES[parseIp(address).family];
  return { family, table, name: `ports_${hexOf(address)}`, type: 'inet_service' };
}

const dport: NftExpression = { payload: { protocol: 'th', field: 'dport' } };
const is = (left: NftExpression, right: string | number): NftStatement => ({ match: { op: '==', left, right } });

function chainAt(
  hook: 'prerouting' | 'output',
  address: string,
  protocol: Outer['protocol'],
  ports: NftSet | undefined,
): ChainPlan {
  const field = hook === 'prerouting' ? 'daddr' : 'saddr';
  const own: NftExpression = { payload: { protocol: address.includes(':') ? 'ip6' : 'ip', field } };
  const tunnels = [is({ meta: { key: 'l4proto' } }, PROTOCOLS[protocol]), is(own, address)];
  return {
    name: `${hook}_${protocol}_${hexOf(address)}`,
    // fragments are one packet by then
    base: { type: 'filter', hook, priority: -300, policy: 'accept' },
    rules: [[...tunnels, ...(ports ? [is(dport, `@${ports.name}`)] : []), { notrack: null }]],
  };
}
