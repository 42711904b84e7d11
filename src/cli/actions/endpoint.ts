import { isAbsolute } from 'node:path';
import type { AttachSpec, Endpoint } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import type { ChangeFlags, ListFlags } from '../flags.ts';
import { changeOptions, printList, printOutcome } from '../output/print.ts';
import { endpointRow } from '../output/views.ts';
import type { Look, View } from '../output/views.ts';
import { endpointSpec } from '../parse/network.ts';
import type { PortSpec } from '../../model/index.ts';
import { change, changeEach, namesOf, networkNames, withApi } from './session.ts';

const COLUMNS = [
  { title: 'ENDPOINT ID', cell: (row: View) => String(row['ID']) },
  { title: 'NETWORK', cell: (row: View) => String(row['Network']), flexible: true },
  {
    title: 'OF',
    cell: (row: View) => String(row['Container'] === '' ? row['Namespace'] : row['Container']),
    flexible: true,
  },
  { title: 'INTERFACE', cell: (row: View) => String(row['Interface']) },
  { title: 'ADDRESSES', cell: (row: View) => String(row['Addresses']), flexible: true },
];

export async function ls(this: CliContext, flags: ListFlags): Promise<void> {
  await withApi(this, flags, async (api) => {
    const records = await api.endpointList();
    const look: Look = { noTrunc: flags.noTrunc ?? false, now: this.io.now(), networkNames: await networkNames(api) };
    const names = namesOf(await api.containerList({ all: true }));
    printList<Endpoint>(this, flags, {
      records,
      id: (endpoint) => endpoint.id,
      row: (endpoint) => endpointRow(endpoint, look, names),
      columns: COLUMNS,
    });
  });
}

export interface AttachFlags extends ChangeFlags {
  readonly ip?: string;
  readonly ip6?: string;
  readonly alias?: readonly string[];
  readonly macAddress?: string;
  readonly gwPriority?: number;
  readonly ifname?: string;
  readonly publish?: readonly (readonly PortSpec[])[];
}

export async function attach(this: CliContext, flags: AttachFlags, netns: string, network: string): Promise<void> {
  const spec: AttachSpec = {
    ...endpointSpec(network, {
      ip: flags.ip,
      ip6: flags.ip6,
      mac: flags.macAddress,
      aliases: flags.alias,
      priority: flags.gwPriority,
      ifname: flags.ifname,
    }),
    netns: netnsPath(netns),
    ...(flags.publish === undefined ? {} : { ports: flags.publish.flat() }),
  };
  const outcome = await change(this, flags, `attaching ${netns} to ${network}`, (api) =>
    api.endpointAttach(spec, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, [outcome.value.id]);
}

export async function detach(this: CliContext, flags: ChangeFlags, ...ids: string[]): Promise<void> {
  await changeEach(this, flags, ids, 'detaching', (api, id) => api.endpointDetach(id, changeOptions(flags)));
}

/** A path, a process id, or a name as `ip netns` lists it. */
export function netnsPath(text: string): string {
  if (isAbsolute(text)) return text;
  return /^\d+$/.test(text) ? `/proc/${text}/ns/net` : `/run/netns/${text}`;
}
