import type { Network, NetworkDetail, NetworkSpec, NetworkUpdate } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { type EndpointFlags, endpointWords } from '../endpoint-flags.ts';
import { UsageError } from '../errors.ts';
import type { ChangeFlags, InspectFlags, ListFlags } from '../flags.ts';
import { changeOptions, printInspect, printList, printOutcome } from '../output/print.ts';
import { networkInspect, networkRow } from '../output/views.ts';
import type { Look, View } from '../output/views.ts';
import { endpointSpec, pairs, subnetSpecs } from '../parse/network.ts';
import { change, changeEach, namesOf, withApi } from './session.ts';

export interface CreateFlags extends ChangeFlags {
  readonly driver?: string;
  readonly subnet?: readonly string[];
  readonly gateway?: readonly string[];
  readonly ipRange?: readonly string[];
  readonly ipamDriver?: string;
  readonly auxAddress?: readonly string[];
  readonly attachable?: boolean;
  readonly internal?: boolean;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly opt?: readonly string[];
  readonly label?: readonly string[];
}

export async function create(this: CliContext, flags: CreateFlags, name: string): Promise<void> {
  const subnets = subnetSpecs(flags);
  const spec: NetworkSpec = {
    name,
    driver: flags.driver ?? 'bridge',
    ...(flags.internal === true ? { internal: true } : {}),
    ...(flags.ipv4 === undefined ? {} : { ipv4: flags.ipv4 }),
    ...(flags.ipv6 === undefined ? {} : { ipv6: flags.ipv6 }),
    ...(flags.ipamDriver === undefined ? {} : { ipam: ipamOf(flags.ipamDriver) }),
    ...(subnets.length > 0 ? { subnets } : {}),
    ...(flags.opt === undefined ? {} : { options: pairs(flags.opt, '--opt', { bare: true }) }),
    ...(flags.label === undefined ? {} : { labels: pairs(flags.label, '--label', { bare: true }) }),
  };
  const outcome = await change(this, flags, `creating network ${name}`, (api) =>
    api.networkCreate(spec, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, [outcome.value.id]);
}

/** Docker's word for its own pools is `default`. */
function ipamOf(driver: string): string {
  return driver === 'default' ? 'pool' : driver;
}

const COLUMNS = [
  { title: 'NETWORK ID', cell: (row: View) => String(row['ID']) },
  { title: 'NAME', cell: (row: View) => String(row['Name']), flexible: true },
  { title: 'DRIVER', cell: (row: View) => String(row['Driver']) },
  { title: 'SCOPE', cell: (row: View) => String(row['Scope']) },
  { title: 'SUBNETS', cell: (row: View) => String(row['Subnets']), flexible: true },
];

export async function ls(this: CliContext, flags: ListFlags): Promise<void> {
  const records = await withApi(this, flags, (api) => api.networkList());
  const look: Look = { noTrunc: flags.noTrunc ?? false, now: this.io.now(), networkNames: new Map() };
  printList<Network>(this, flags, {
    records,
    id: (network) => network.id,
    row: (network) => networkRow(network, look),
    columns: COLUMNS,
  });
}

export async function inspect(this: CliContext, flags: InspectFlags, ...refs: string[]): Promise<void> {
  await withApi(this, flags, async (api) => {
    const names = namesOf(await api.containerList({ all: true }));
    const records: NetworkDetail[] = [];
    for (const ref of refs) records.push(await api.networkInspect(ref));
    printInspect(this, flags, records, (network) => networkInspect(network, names));
  });
}

export interface RemoveFlags extends ChangeFlags {
  readonly force?: boolean;
}

export async function rm(this: CliContext, flags: RemoveFlags, ...refs: string[]): Promise<void> {
  await changeEach(this, flags, refs, 'removing network', (api, ref) => api.networkRemove(ref, changeOptions(flags)));
}

export async function prune(this: CliContext, flags: ChangeFlags): Promise<void> {
  const outcome = await change(this, flags, 'removing unused networks', (api) =>
    api.networkPrune(changeOptions(flags)),
  );
  const names = outcome.value.map((network) => network.name);
  printOutcome(this, flags, outcome, names.length > 0 ? ['Deleted Networks:', ...names] : []);
}

export interface UpdateFlags extends ChangeFlags {
  readonly internal?: boolean;
  readonly opt?: readonly string[];
  readonly label?: readonly string[];
}

export async function update(this: CliContext, flags: UpdateFlags, ref: string): Promise<void> {
  const wanted: NetworkUpdate = {
    ...(flags.internal === undefined ? {} : { internal: flags.internal }),
    ...(flags.opt === undefined ? {} : { options: pairs(flags.opt, '--opt', { bare: true }) }),
    ...(flags.label === undefined ? {} : { labels: labels(flags.label) }),
  };
  if (Object.keys(wanted).length === 0)
    throw new UsageError('nothing to change', 'Say what: -o mtu=1400, --internal=false or --label KEY=VALUE.');
  const outcome = await change(this, flags, `changing network ${ref}`, (api) =>
    api.networkUpdate(ref, wanted, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, [ref]);
}

/** They replace all that are there: a single empty one leaves none. */
function labels(words: readonly string[]): Record<string, string> {
  return words.length === 1 && words[0] === '' ? {} : pairs(words, '--label', { bare: true });
}

export interface ConnectFlags extends ChangeFlags, EndpointFlags {}

export async function connect(
  this: CliContext,
  flags: ConnectFlags,
  network: string,
  container: string,
): Promise<void> {
  const spec = endpointSpec(network, endpointWords(flags));
  const outcome = await change(this, flags, `connecting ${container} to ${network}`, (api) =>
    api.networkConnect(container, spec, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, []);
}

export async function disconnect(
  this: CliContext,
  flags: ChangeFlags,
  network: string,
  container: string,
): Promise<void> {
  const outcome = await change(this, flags, `disconnecting ${container} from ${network}`, (api) =>
    api.networkDisconnect(container, network, changeOptions(flags)),
  );
  printOutcome(this, flags, outcome, []);
}
