import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { VmError } from './cache.ts';
import type { Kernel } from './kernel.ts';

export interface MachineOptions {
  readonly kernel: Kernel;
  /** Path of the initial file system. */
  readonly initrd: string;
  /** Path of a snapshot to resume, taken with the same options; without one the guest boots. */
  readonly snapshot?: string;
}
/** A deadline; `over` once it has passed. Dispose it to take it back. */
export interface Limit extends Disposable {
  readonly over: boolean;
}

/** Sockets between QEMU and this process: its descriptors 3 and on. The first three are the guest's ports. */
const CHANNELS = ['control', 'stdout', 'stderr', 'monitor'] as const;
const FIRST = 3;

/**
 * What the guest's kernel is told: start fast, draw no random layout, trust the clock that the emulator gives, spare work
 * that only a real processor does for nothing. Once QEMU has seen a huge page, each fault makes it forget all addresses.
 */
const APPEND =
  'quiet panic=-1 nokaslr no5lvl mitigations=off audit=0 nowatchdog cryptomgr.notests random.trust_cpu=on tsc=reliable ' +
  'transparent_hugepage=never init_on_alloc=0';
/**
 * As much as QEMU can emulate, but for what makes it slower: `rep movsb`, which Linux prefers where it is said to be fast,
 * is emulated byte by byte; SMAP and PKU cost something at each copy from user space and each change of process.
 */
const CPU = 'max,-erms,-fsrm,-smap,-pku';

/** Of the guest, with a GiB of memory each: one, or as many as NETLOOM_VM_PROCESSORS says. */
const PROCESSORS = Number(process.env['NETLOOM_VM_PROCESSORS'] ?? 1);
/** The guest's clock goes a nanosecond with each instruction, and forwards where there is nothing to do. */
const COUNTED = process.env['NETLOOM_VM_CLOCK'] === 'instructions';

/**
 * QEMU's words for the machine. A snapshot fits only the very machine that it was taken of.
 *
 * Emulation (TCG) alone: it is the same everywhere, and within containers there is seldom anything else. q35, since
 * microvm hangs now and then while it measures the TSC. Memory that the guest does not touch costs nothing.
 *
 * One processor: two wait for each other, for locks, grace periods and flushes of their address tables, most of all while
 * only one of them gets to run; and a kernel that has one leaves all that out. Whoever has two to give starts two guests, but
 * for what is a dozen processes with a GiB together: that gets done sooner by two, and one's memory does not hold it.
 */
export function machineArguments({ kernel, initrd }: MachineOptions): string[] {
  const share = (id: string, path: string): string[] => [
    ...['-fsdev', `local,id=${id},path=${path},security_model=none,readonly=on,multidevs=remap`],
    ...['-device', `virtio-9p-pci,fsdev=${id},mount_tag=${id}`],
  ];
  return [
    ...['-machine', 'q35,usb=off,sata=off,smbus=off,vmport=off,smm=off,graphics=off'],
    ...(COUNTED ? ['-icount', 'shift=0,sleep=off'] : []),
    ...['-accel', `tcg,thread=${COUNTED ? 'single' : 'multi'},tb-size=256`, '-cpu', CPU],
    ...['-smp', String(PROCESSORS), '-m', `${PROCESSORS}G`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-rtc', 'base=utc'],
    ...['-device', 'vmgenid,guid=auto'], // tells the kernel that it was resumed: else it goes on with the snapshot's random numbers
    ...['-kernel', kernel.image, '-initrd', initrd, '-append', APPEND],
    ...share('root', '/'),
    ...share('modules', join(kernel.root, 'lib/modules')),
    ...CHANNELS.flatMap((name, i) => ['-chardev', `socket,id=${name},fd=${FIRST + i}`]),
    ...['-mon', 'chardev=monitor,mode=control', '-device', `virtio-serial-pci,max_ports=${CHANNELS.length}`], // each has queues that QEMU polls
    ...CHANNELS.slice(0, 3).flatMap((name) => ['-device', `virtserialport,chardev=${name},name=${name}`]),
  ];
}

/** Starts QEMU. It ends with this process, however that ends, and there is no file of it. */
export function startMachine(options: MachineOptions): Machine {
  const incoming = options.snapshot ? ['-incoming', `exec:cat ${quote(options.snapshot)}`] : [];
  const argv = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...machineArguments(options), ...incoming];
  const pipes = Array<'pipe'>(2 + CHANNELS.length).fill('pipe');
  return new Machine(spawn('setpriv', argv, { stdio: ['ignore', ...pipes] }));
}

/** A running guest; dispose it to end it. */
export class Machine implements AsyncDisposable {
  /** Fulfilled with what QEMU itself said, when it has ended. */
  readonly ended: Promise<string>;
  readonly stdout: Socket;
  readonly stderr: Socket;
  readonly #child: ChildProcess;
  readonly #sockets: readonly Socket[];
  readonly #control: AsyncGenerator<string, undefined>;
  readonly #monitor: AsyncGenerator<string, undefined>;

  constructor(child: ChildProcess) {
    this.#child = child;
    let said = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    this.ended = once(child, 'close').then(() => said.trim());
    this.#sockets = child.stdio.slice(FIRST) as unknown as Socket[];
    for (const socket of this.#sockets) socket.on('error', () => undefined); // QEMU was ended: `ended` tells
    const [control, stdout, stderr, monitor] = this.#sockets as [Socket, Socket, Socket, Socket];
    this.stdout = stdout;
    this.stderr = stderr;
    this.#control = lines(control);
    this.#monitor = lines(monitor);
  }

  /** The next line from the guest; undefined when QEMU has ended. */
  async line(): Promise<string | undefined> {
    return (await this.#control.next()).value;
  }
  tell(line: string): void {
    this.#sockets[0]!.write(`${line}\n`);
  }

  /** Asks QEMU something (QMP) and waits for its answer. @throws VmError with QEMU's words. */
  async monitor(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<void> {
    this.#sockets[3]!.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    for (;;) {
      const { return: result, error } = await this.#said();
      if (result !== undefined) return;
      if (error) throw new VmError(`QEMU refused ${execute}: ${error.desc}`);
    }
  }
  /** Waits until QEMU reports an event with one of these statuses, and returns that. */
  async event(name: string, statuses: readonly string[]): Promise<string> {
    for (;;) {
      const { event, data } = await this.#said();
      if (event === name && data?.status && statuses.includes(data.status)) return data.status;
    }
  }

  /** Ends the machine after so many milliseconds. */
  endAfter(milliseconds: number): Limit {
    const limit = { over: false, [Symbol.dispose]: () => clearTimeout(timer) };
    const timer = setTimeout(() => {
      limit.over = true;
      this.#child.kill('SIGKILL');
    }, milliseconds);
    return limit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  async #said(): Promise<QmpMessage> {
    const { value } = await this.#monitor.next();
    if (value === undefined) throw new VmError(`QEMU ended: ${(await this.ended) || 'it said nothing'}`);
    return JSON.parse(value) as QmpMessage;
  }
}

/** A word for the shell that QEMU starts. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

interface QmpMessage {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: { readonly status?: string };
}

async function* lines(socket: Socket): AsyncGenerator<string, undefined> {
  let rest = '';
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      const [...whole] = (rest + chunk.toString()).split('\n');
      rest = whole.pop()!;
      yield* whole;
    }
  } catch {
    // reset by QEMU's end
  }
  return undefined;
}
