/**
 * sh tools/vm/run.sh [--timeout SECONDS] [--boot] [--verbose] [--] COMMAND [ARGUMENT...]
 * sh tools/vm/run.sh --prepare    only fills the cache, and prints where that is
 *
 * Runs a command in a virtual machine with Debian's kernel, which has what many kernels lack (ipvlan, VLAN, tunnels,
 * WireGuard, IPVS, netem, …). The machine's files are this machine's, in the same place: they can be read, and what is
 * written is gone with the guest. Its network is `lo` alone. Standard output and error come through apart; standard
 * input is empty. Inside, NETLOOM_TEST_GUEST is 1; of the variables outside, those named NETLOOM_… are set, and PATH.
 *
 * The guest has one processor and 1 GiB of memory; with NETLOOM_VM_PROCESSORS=2 two and 2 GiB, and so on. With
 * NETLOOM_VM_CLOCK=instructions its clock counts instructions: what is measured there is no matter of how fast they are
 * emulated, nor of what else the machine does. That takes one processor.
 *
 * The first run boots a guest and keeps it as a snapshot in the cache (cache.ts), later ones resume that; --boot boots.
 *
 * Ends with the command's status; 124 when it took longer than SECONDS (default 600); 125 when there is no guest.
 */
import { randomBytes } from 'node:crypto';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { cacheDir, VmError } from './cache.ts';
import { prepareKernel } from './kernel.ts';
import { type Machine, quote, startMachine } from './machine.ts';
import { installTools } from './packages.ts';
import { prepareGuest } from './snapshot.ts';

const USAGE =
  'usage: sh tools/vm/run.sh [--timeout SECONDS] [--boot] [--verbose] [--] COMMAND [ARGUMENT...], or --prepare';
const NO_GUEST = 125;
const LATE = 124;
/** Milliseconds for the guest to be there, and for what a command left running to let go of its output. */
const START_LIMIT = 120_000;
const DRAIN_LIMIT = 3000;

const began = performance.now();
// QEMU ends with this process, and what it was writing is removed at its exit
for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(signal, () => process.exit(128 + number));
}
try {
  const { timeout, boot, verbose, prepare, command } = parse(process.argv.slice(2));
  const note = (what: string): void => {
    if (verbose) console.error(`netloom vm: ${Math.round(performance.now() - began)} ms: ${what}`);
  };
  installTools();
  const options = await prepareGuest(prepareKernel(), { boot });
  note('prepared');
  if (prepare) console.log(cacheDir());
  else process.exitCode = await runCommand(startMachine(options), command, timeout, note);
  note('over');
} catch (error) {
  console.error(error instanceof VmError ? `netloom vm: ${error.message}` : error);
  process.exitCode = NO_GUEST;
}

interface Options {
  /** Seconds. */
  readonly timeout: number;
  readonly boot: boolean;
  readonly verbose: boolean;
  readonly prepare: boolean;
  readonly command: readonly string[];
}

function parse(argv: readonly string[]): Options {
  // what follows the command's name is the command's
  let end = 0;
  while (argv[end]?.startsWith('-') && argv[end] !== '--') end += argv[end] === '--timeout' ? 2 : 1;
  const command = argv.slice(argv[end] === '--' ? end + 1 : end);
  const options = {
    timeout: { type: 'string', default: '600' },
    boot: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    prepare: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: argv.slice(0, end), options });
    const timeout = Number(values.timeout);
    if (!(timeout > 0)) throw new Error(`--timeout ${values.timeout}: a number of seconds was expected`);
    if (command.length === 0 && !values.prepare) throw new Error('no command given');
    return { ...values, timeout, command };
  } catch (error) {
    throw new VmError(`${(error as Error).message}; ${USAGE}`);
  }
}

/** Runs the command in the guest, ends the guest, and returns the command's status. */
async function runCommand(
  guest: Machine,
  command: readonly string[],
  timeout: number,
  note: (what: string) => void,
): Promise<number> {
  await using machine = guest;
  const outputs = [
    [machine.stdout, process.stdout],
    [machine.stderr, process.stderr],
  ] as const;
  for (const [from, to] of outputs) from.pipe(to, { end: false });
  const now = Math.floor(Date.now() / 1000);
  machine.tell(`${now} ${randomBytes(32).toString('base64')} ${Buffer.from(script(command)).toString('base64')}`);

  let status: number | undefined;
  let started = false;
  let limit = machine.endAfter(START_LIMIT);
  const nextLimit = (milliseconds: number): void => {
    limit[Symbol.dispose]();
    limit = machine.endAfter(milliseconds);
  };
  for (let line = await machine.line(); line !== undefined && line !== 'end'; line = await machine.line()) {
    const [word, ...rest] = line.split(' ');
    if (word === 'failed') throw new VmError(`the guest cannot use this machine's files: ${rest.join(' ')}`);
    if (word === 'started') {
      started = true;
      note('the command starts');
      nextLimit(timeout * 1000);
    } else if (word === 'exit') {
      status = Number(rest[0]);
      note(`the command ended with ${status}`);
      nextLimit(DRAIN_LIMIT);
    }
  }
  limit[Symbol.dispose]();
  await machine[Symbol.asyncDispose]();
  await Promise.allSettled(outputs.map(([from]) => finished(from)));

  if (status !== undefined) return status;
  if (limit.over && started) {
    console.error(`netloom vm: ended: the command was not over after ${timeout} s`);
    return LATE;
  }
  if (limit.over) throw new VmError(`the guest was not there after ${START_LIMIT / 1000} s`);
  throw new VmError(
    `the guest went away: ${(await machine.ended) || 'its kernel has panicked or was told to power off'}`,
  );
}

/** What the guest's shell runs: the caller's directory, some of its variables, the command. */
function script(command: readonly string[]): string {
  const variables = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C', // any other is a dozen files that every program opens
    TERM: process.env['TERM'] ?? 'dumb',
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('NETLOOM_'))),
    NETLOOM_TEST_GUEST: '1',
  };
  return [
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value ?? '')}`),
    `cd ${quote(process.cwd())} || exit 125`,
    `exec ${command.map(quote).join(' ')}`,
    '',
  ].join('\n');
}
