import { createReadStream, existsSync, readFileSync } from 'node:fs';
import type { Cut, LabStatus, MachineStatus, Program } from '../../lab/index.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import { foreground } from '../foreground.ts';
import { drained } from '../output/drained.ts';
import { labColumns } from '../output/lab.ts';
import { printJson, printLine } from '../output/print.ts';
import { renderTable, tableWidth } from '../output/table.ts';
import { choosePlace, chooseSpec, type LabFlags, type LabSpecFlags } from '../parse/lab.ts';

export type UpFlags = LabSpecFlags;
export interface CutFlags extends LabFlags {
  readonly oneWay?: boolean;
  readonly partition?: boolean;
}
export interface HealFlags extends LabFlags {
  readonly oneWay?: boolean;
}
export interface LogsFlags extends LabFlags {
  readonly tail?: number;
}

export async function up(this: CliContext, flags: UpFlags): Promise<void> {
  const { place, spec } = await chooseSpec(flags, this.io.env);
  const { labStatus, labUp } = await import('../../lab/index.ts');
  const { COMMANDS } = await import('../commands/index.ts');
  await labUp(place, spec, {
    program: program(this),
    canJoin: COMMANDS.some(({ path }) => path.join(' ') === 'node join'),
    onStep: steps(this, flags),
  });
  const status = await labStatus(place);
  if (flags.json === true) printJson(this, status);
  else printMachines(this, status);
}

export async function down(this: CliContext, flags: LabFlags): Promise<void> {
  const place = await choosePlace(flags, this.io.env);
  const { labDown } = await import('../../lab/index.ts');
  await labDown(place, steps(this, flags));
  if (flags.json === true) printJson(this, { name: place.name });
  else printLine(this, place.name);
}

export async function ls(this: CliContext, flags: GlobalFlags): Promise<void> {
  const { allLabs } = await import('../../lab/index.ts');
  const labs = await allLabs();
  if (flags.json === true) return printJson(this, labs);
  this.io.stdout.write(
    renderTable(
      [
        { title: 'NAME', cell: (lab: LabStatus) => lab.name },
        { title: 'UP', cell: (lab: LabStatus) => `${count(lab, 'up')}/${lab.machines.length}` },
        { title: 'HOSTS', cell: (lab: LabStatus) => String(ofKind(lab, 'host')) },
        { title: 'ETCD', cell: (lab: LabStatus) => String(ofKind(lab, 'etcd')) },
        { title: 'CUT', cell: (lab: LabStatus) => String(lab.cuts.length) },
        { title: 'FOLDER', cell: (lab: LabStatus) => lab.dir, flexible: true },
      ],
      labs,
      tableWidth(this.io.stdout, this.io.env),
    ),
  );
}

export async function status(this: CliContext, flags: LabFlags): Promise<void> {
  const place = await choosePlace(flags, this.io.env);
  const { labStatus } = await import('../../lab/index.ts');
  const found = await labStatus(place);
  if (flags.json === true) printJson(this, found);
  else printMachines(this, found);
}

export async function exec(this: CliContext, flags: LabFlags, name: string, ...rest: string[]): Promise<void> {
  const [command, ...args] = rest[0] === '--' ? rest.slice(1) : rest;
  if (command === undefined)
    throw new UsageError('COMMAND is missing', 'netloom lab exec --help shows how it is used.');
  const place = await choosePlace(flags, this.io.env);
  const { execPlan, machineOf } = await import('../../lab/index.ts');
  const { plan } = place.mustRead();
  const how = execPlan(place, plan, machineOf(plan, name), [command, ...args], { env: this.io.env });
  this.process.exitCode = await foreground({ ...how, cwd: '' }, { stdin: true, terminal: this.io.stdinIsTTY });
}

export async function cut(this: CliContext, flags: CutFlags, ...names: string[]): Promise<void> {
  const { cutLinks, partition } = await import('../../lab/index.ts');
  if (flags.partition === true && flags.oneWay === true)
    throw new UsageError('--partition cuts both ways', 'Leave --one-way out.');
  if (flags.partition !== true && names.length > 2)
    throw new UsageError(`"${names[2]}" is one argument too many`, 'A cut is between two; --partition takes groups.');
  const place = await choosePlace(flags, this.io.env);
  const cuts =
    flags.partition === true
      ? await partition(
          place,
          names.map((group) => group.split(',')),
        )
      : await cutLinks(place, between(names, flags));
  printCuts(this, flags, cuts);
}

export async function heal(this: CliContext, flags: HealFlags, ...names: string[]): Promise<void> {
  if (names.length > 2) throw new UsageError(`"${names[2]}" is one argument too many`, 'A cut is between two.');
  const place = await choosePlace(flags, this.io.env);
  const { heal: undo } = await import('../../lab/index.ts');
  printCuts(this, flags, await undo(place, names.length === 0 ? undefined : between(names, flags)));
}

export async function logs(this: CliContext, flags: LogsFlags, name: string): Promise<void> {
  const place = await choosePlace(flags, this.io.env);
  const { machineOf } = await import('../../lab/index.ts');
  machineOf(place.mustRead().plan, name);
  const file = place.of(name, 'service/log');
  const there = existsSync(file);
  if (flags.json === true || (flags.tail !== undefined && flags.tail >= 0)) {
    const lines = there ? readFileSync(file, 'utf8').split(/(?<=\n)/) : [];
    const log = lines
      .slice(flags.tail === undefined || flags.tail < 0 ? 0 : Math.max(0, lines.length - flags.tail))
      .join('');
    if (flags.json === true) printJson(this, { log });
    else this.io.stdout.write(log);
    return;
  }
  if (!there) return;
  for await (const chunk of createReadStream(file))
    if (this.io.stdout.write(chunk as Uint8Array) === false) await drained(this.io.stdout);
}

function between(
  [a = '', b]: readonly string[],
  { oneWay = false }: HealFlags,
): { a: string; b?: string; oneWay: boolean } {
  return { a, ...(b !== undefined && { b }), oneWay };
}

/** This very program, for daemons. */
function program(context: CliContext): Program {
  return {
    node: [process.execPath, '--max-semi-space-size=2', '--disable-warning=ExperimentalWarning'],
    main: context.io.program,
  };
}

function steps(context: CliContext, flags: GlobalFlags): (text: string) => void {
  return (text) => {
    if (flags.json !== true) context.io.stderr.write(`${text}\n`);
  };
}

function printMachines(context: CliContext, lab: LabStatus): void {
  context.io.stdout.write(renderTable(labColumns(lab), lab.machines, tableWidth(context.io.stdout, context.io.env)));
}

/** What is cut now, a line each. */
function printCuts(context: CliContext, flags: GlobalFlags, cuts: readonly Cut[]): void {
  if (flags.json === true) printJson(context, cuts);
  else for (const each of cuts) printLine(context, `${each.from} -> ${each.to}`);
}

function count(lab: LabStatus, state: MachineStatus['state']): number {
  return lab.machines.filter((machine) => machine.state === state).length;
}
function ofKind(lab: LabStatus, kind: MachineStatus['kind']): number {
  return lab.machines.filter((machine) => machine.kind === kind).length;
}
