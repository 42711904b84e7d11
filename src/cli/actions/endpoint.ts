import { isAbsolute } from 'node:path';
import type { AttachSpec, Endpoint, UnpublishSpec } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { type EndpointFlags, endpointWords, type RateFlags } from '../endpoint-flags.ts';
import { UsageError } from '../errors.ts';
import type { ChangeFlags, ListFlags } from '../flags.ts';
import { changeOptions, printList, printOutcome } from '../output/print.ts';
import { endpointRow } from '../output/views.ts';
import type { Look, View } from '../output/views.ts';
import { endpointSpec } from '../parse/network.ts';
import { type TuningFlags, tuningOf } from '../parse/tuning.ts';
import type { PortSpec } from '../../model/index.ts';
import { endpointUpdate } from './publish.ts';
import { change, changeEach, namesOf, networkNames, withApi } from './session.ts';

const COLUMNS = [
  { title: 'ENDPOINT ID', cell: (row: View) => String(row['ID']) },
  { title: 'NETWORK', cell: (row: View) => String(row['Network']), flexible: true },
  {
    title: 'OF',
    // A tap for a virtual machine is of no container, and in the host's own namespace.
    cell: (row: View) => String(row['Container'] || row['Namespace'] || row['Name'] || row['Type']),
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

export interface AttachFlags extends ChangeFlags, EndpointFlags, TuningFlags {
  readonly name?: string;
  readonly tap?: string;
  readonly tapUid?: number;
  readonly publish?: readonly (readonly PortSpec[])[];
}

export async function attach(
  this: CliContext,
  flags: AttachFlags,
  first: string,
  second: string | undefined,
): Promise<void> {
  const { tap } = flags;
  if (tap !== undefined && flags.ifname !== undefined)
    throw new UsageError('--tap names the device already', 'Leave --ifname out.');
  if (tap === undefined && flags.tapUid !== undefined)
    throw new UsageError('--tap-uid speaks of a tap device', 'Give its name too: --tap vm0.');
  // A tap in the host's own namespace needs the network only.
  const [netns, network] = second === undefined && tap !== undefined ? ['', first] : [first, second];
  if (network === undefined)
    throw new UsageError('NETWORK is missing', 'netloom endpoint attach --help shows how it is used.');
  const tuning = tuningOf(flags);
  const spec: AttachSpec = {
    ...endpointSpec(network, endpointWords({ ...flags, ...(tap === undefined ? {} : { ifname: tap }) })),
    netns: netns === '' && tap !== undefined ? '' : netnsPath(netns),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(tap === undefined ? {} : { tap: true }),
    ...(flags.tapUid === undefined ? {} : { tapUid: flags.tapUid }),
    ...(flags.publish === undefined ? {} : { ports: flags.publish.flat() }),
    ...(tuning && { tuning }),
  };
  const outcome = await change(this, flags, `attaching ${tap ?? netns} to ${network}`, (api) =>
    api.endpointAttach(spec, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, [outcome.value.id]);
}

export async function detach(this: CliContext, flags: ChangeFlags, ...ids: string[]): Promise<void> {
  await changeEach(this, flags, ids, 'detaching', (api, id) => api.endpointDetach(id, changeOptions(flags)));
}

export interface UpdateFlags extends ChangeFlags, RateFlags {
  readonly publish?: readonly (readonly PortSpec[])[];
  readonly unpublish?: readonly UnpublishSpec[];
}

export async function update(this: CliContext, flags: UpdateFlags, ...ids: string[]): Promise<void> {
  const wanted = endpointUpdate(flags);
  await changeEach(this, flags, ids, 'changing', (api, id) => api.endpointUpdate(id, wanted, changeOptions(flags)));
}

/** A path, a process id, or a name as `ip netns` lists it. */
export function netnsPath(text: string): string {
  if (isAbsolute(text)) return text;
  return /^\d+$/.test(text) ? `/proc/${text}/ns/net` : `/run/netns/${text}`;
}
