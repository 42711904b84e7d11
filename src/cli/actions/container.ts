import type { ContainerDetail } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { hasCode } from '../../errors.ts';
import { UsageError } from '../errors.ts';
import type { ChangeFlags, GlobalFlags, InspectFlags, ListFlags } from '../flags.ts';
import { drained } from '../output/drained.ts';
import { portLine, portLines } from '../output/ports.ts';
import { changeOptions, printInspect, printJson, printLine, printList } from '../output/print.ts';
import { containerInspect, containerRow } from '../output/views.ts';
import type { Look, View } from '../output/views.ts';
import { changeEach, networkNames, withApi } from './session.ts';

export interface PsFlags extends ListFlags {
  readonly all?: boolean;
}

const COLUMNS = [
  { title: 'CONTAINER ID', cell: (row: View) => String(row['ID']) },
  { title: 'COMMAND', cell: (row: View) => String(row['Command']), flexible: true },
  { title: 'CREATED', cell: (row: View) => String(row['RunningFor']), flexible: true },
  { title: 'STATUS', cell: (row: View) => String(row['Status']), flexible: true },
  { title: 'PORTS', cell: (row: View) => String(row['Ports']), flexible: true },
  { title: 'NAMES', cell: (row: View) => String(row['Names']), flexible: true },
];

export async function ps(this: CliContext, flags: PsFlags): Promise<void> {
  await withApi(this, flags, async (api) => {
    const all = await api.containerList({ all: flags.all ?? false });
    const records = all.filter(({ pod }) => !pod).sort((a, b) => (a.created < b.created ? 1 : -1));
    const names = flags.format === undefined ? new Map<string, string>() : await networkNames(api);
    const look: Look = { noTrunc: flags.noTrunc ?? false, now: this.io.now(), networkNames: names };
    printList<ContainerDetail>(this, flags, {
      records,
      id: (container) => container.id,
      row: (container) => containerRow(container, look),
      columns: COLUMNS,
    });
  });
}

export async function inspect(this: CliContext, flags: InspectFlags, ...refs: string[]): Promise<void> {
  await withApi(this, flags, async (api) => {
    const names = await networkNames(api);
    const records: ContainerDetail[] = [];
    for (const ref of refs) records.push(await api.containerInspect(ref));
    printInspect(this, flags, records, (container) => containerInspect(container, names));
  });
}

export async function start(this: CliContext, flags: ChangeFlags, ...refs: string[]): Promise<void> {
  await changeEach(this, flags, refs, 'starting', (api, ref) => api.containerStart(ref, changeOptions(flags)), true);
}

export interface StopFlags extends ChangeFlags {
  readonly time?: number;
}

export async function stop(this: CliContext, flags: StopFlags, ...refs: string[]): Promise<void> {
  const options = { ...changeOptions(flags), ...(flags.time === undefined ? {} : { timeoutSeconds: flags.time }) };
  await changeEach(this, flags, refs, 'stopping', (api, ref) => api.containerStop(ref, options), true);
}

export interface KillFlags extends ChangeFlags {
  readonly signal?: string;
}

export async function kill(this: CliContext, flags: KillFlags, ...refs: string[]): Promise<void> {
  const signal = flags.signal ?? 'SIGKILL';
  await changeEach(
    this,
    flags,
    refs,
    'killing',
    (api, ref) => api.containerKill(ref, signal, changeOptions(flags)),
    true,
  );
}

export async function wait(this: CliContext, flags: GlobalFlags, ...refs: string[]): Promise<void> {
  await withApi(this, flags, async (api) => {
    const statuses = await Promise.all(refs.map((ref) => api.containerWait(ref)));
    if (flags.json === true) printJson(this, statuses);
    else for (const status of statuses) printLine(this, String(status));
  });
}

export interface RmFlags extends ChangeFlags {
  readonly force?: boolean;
}

export async function rm(this: CliContext, flags: RmFlags, ...refs: string[]): Promise<void> {
  const options = { ...changeOptions(flags), force: flags.force ?? false };
  await changeEach(this, flags, refs, 'removing', (api, ref) => api.containerRemove(ref, options));
}

export async function port(this: CliContext, flags: GlobalFlags, ref: string, wanted?: string): Promise<void> {
  const container = await withApi(this, flags, (api) => api.containerInspect(ref));
  const [number, protocol = 'tcp'] = (wanted ?? '').split('/');
  const published = container.endpoints.flatMap((endpoint) => endpoint.ports);
  const lines = portLines(
    published,
    (each, ofProtocol) => wanted === undefined || (String(each) === number && ofProtocol === protocol.toLowerCase()),
  );
  if (wanted !== undefined && lines.length === 0)
    throw new UsageError(
      `${container.name} publishes no port ${number ?? ''}/${protocol}`,
      `netloom port ${container.name} shows what it publishes.`,
    );
  if (flags.json === true) printJson(this, wanted === undefined ? published : lines.map((line) => line.outside));
  else for (const line of lines) printLine(this, wanted === undefined ? portLine(line) : line.outside);
}

export interface LogsFlags extends GlobalFlags {
  readonly follow?: boolean;
  /** -1 for every line. */
  readonly tail?: number;
}

export async function logs(this: CliContext, flags: LogsFlags, ref: string): Promise<void> {
  await withApi(this, flags, async (api) => {
    const options = {
      follow: flags.follow ?? false,
      ...(flags.tail === undefined || flags.tail < 0 ? {} : { tail: flags.tail }),
    };
    const chunks: Uint8Array[] = [];
    for await (const chunk of api.containerLogs(ref, options)) {
      if (flags.json === true) chunks.push(chunk);
      // A reader slower than the log is waited for, or the whole log would gather in memory.
      else if (this.io.stdout.write(chunk) === false) await drained(this.io.stdout);
    }
    if (flags.json === true) printJson(this, { log: Buffer.concat(chunks).toString('utf8') });
  });
}

/**
 * Hidden: the process shim turns into it when a command has ended, so that its own exit status is what `run` in the
 * foreground sees: the command's. The daemon may have ended before the command did.
 */
export async function exited(this: CliContext, flags: GlobalFlags, ref: string): Promise<void> {
  const { socket: _, ...own } = flags;
  await using api = await this.io.open(flags).catch(async (error: unknown) => {
    if (!hasCode(error, 'ENODAEMON')) throw error;
    return await this.io.open(own);
  });
  const { state } = await api.containerInspect(ref);
  await api.containerExited(ref);
  this.process.exitCode = state.exitCode;
}
