import { parsePrefix } from '../addr/index.ts';
import type { AddressPool, Network, Occupied } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import { KEYS } from './records.ts';

/** What a new subnet must leave alone because networks have it. */
export function occupiedBy(networks: readonly Network[]): Occupied[] {
  return networks.flatMap(({ name, subnets }) =>
    subnets.map(({ subnet }): Occupied => ({ kind: 'network', label: `network ${name}`, prefix: parsePrefix(subnet) })),
  );
}

/** The same of address pools. */
export async function occupiedByPools(tx: ReadTx): Promise<Occupied[]> {
  return (await tx.list<AddressPool>(KEYS.pools)).map(({ value: { name, subnet } }) => ({
    kind: 'network',
    label: `address pool ${name}`,
    prefix: parsePrefix(subnet),
  }));
}
