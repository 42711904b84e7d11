import type { AddressPool, AddressPoolDetail, PoolSpec } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import type { GlobalFlags, InspectFlags, ListFlags } from '../flags.ts';
import { ago } from '../output/duration.ts';
import { printInspect, printList, printOutcome } from '../output/print.ts';
import { type Look, shortId, type View } from '../output/views.ts';
import { pairs } from '../parse/network.ts';
import { change, changeEach, withApi } from './session.ts';

export interface CreateFlags extends GlobalFlags {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddress?: readonly string[];
  readonly ipv6?: boolean;
}

export async function create(this: CliContext, flags: CreateFlags, name?: string): Promise<void> {
  const spec: PoolSpec = {
    ...(name !== undefined && { name }),
    ...(flags.subnet !== undefined && { subnet: flags.subnet }),
    ...(flags.gateway !== undefined && { gateway: flags.gateway }),
    ...(flags.ipRange !== undefined && { ipRange: flags.ipRange }),
    ...(flags.auxAddress !== undefined && { auxAddresses: pairs(flags.auxAddress, '--aux-address') }),
    ...(flags.ipv6 === true && { family: 6 as const }),
  };
  const value = await change(this, flags, `making address pool ${name ?? ''}`, (api) => api.poolCreate(spec));
  printOutcome(this, flags, { value }, [value.id]);
}

const COLUMNS = [
  { title: 'POOL ID', cell: (row: View) => String(row['ID']) },
  { title: 'NAME', cell: (row: View) => String(row['Name']), flexible: true },
  { title: 'SUBNET', cell: (row: View) => String(row['Subnet']) },
  { title: 'GATEWAY', cell: (row: View) => String(row['Gateway']) },
  { title: 'RANGE', cell: (row: View) => String(row['IPRange']) },
];

export async function ls(this: CliContext, flags: ListFlags): Promise<void> {
  const records = await withApi(this, flags, (api) => api.poolList());
  const look = { noTrunc: flags.noTrunc ?? false, now: this.io.now() };
  printList<AddressPool>(this, flags, {
    records,
    id: ({ id }) => id,
    row: (pool) => poolRow(pool, look),
    columns: COLUMNS,
  });
}

export async function inspect(this: CliContext, flags: InspectFlags, ...refs: string[]): Promise<void> {
  await withApi(this, flags, async (api) => {
    const records: AddressPoolDetail[] = [];
    for (const ref of refs) records.push(await api.poolInspect(ref));
    printInspect(this, flags, records, poolInspect);
  });
}

export async function release(this: CliContext, flags: GlobalFlags, ...words: string[]): Promise<void> {
  const [pool = '', ...addresses] = words;
  await changeEach(this, flags, addresses, 'releasing address', async (api, address) => {
    await api.addressRelease({ pool, address });
    return { value: { pool, address } };
  });
}

export interface RemoveFlags extends GlobalFlags {
  readonly force?: boolean;
}

export async function rm(this: CliContext, flags: RemoveFlags, ...refs: string[]): Promise<void> {
  const { force = false } = flags;
  await changeEach(this, flags, refs, 'removing address pool', async (api, ref) => ({
    value: await api.poolRemove(ref, force ? { force } : {}),
  }));
}

function poolRow(pool: AddressPool, look: Pick<Look, 'noTrunc' | 'now'>): View {
  const aux = Object.entries(pool.auxAddresses ?? {});
  return {
    ID: shortId(pool.id, look),
    Name: pool.name,
    Subnet: pool.subnet,
    Gateway: pool.gateway,
    IPRange: pool.ipRange ?? '',
    AuxAddresses: aux.map((each) => each.join('=')).join(','),
    CreatedAt: pool.created,
    RunningFor: ago(pool.created, look.now),
  };
}

function poolInspect(pool: AddressPoolDetail): View {
  return {
    Name: pool.name,
    Id: pool.id,
    Created: pool.created,
    Subnet: pool.subnet,
    ...(pool.gateway !== '' && { Gateway: pool.gateway }),
    ...(pool.ipRange !== undefined && { IPRange: pool.ipRange }),
    ...(pool.auxAddresses !== undefined && { AuxiliaryAddresses: pool.auxAddresses }),
    Allocations: pool.allocations.map(({ address, owner }) => ({ Address: address, Owner: owner })),
  };
}
