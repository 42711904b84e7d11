import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheDir, makeCache, VmError } from './cache.ts';
import { archive, type ArchiveFile } from './cpio.ts';
import { type Kernel, moduleFiles } from './kernel.ts';
import { type Machine, machineArguments, type MachineOptions, quote, startMachine } from './machine.ts';
import { MODULES, PARAMETERS } from './modules.ts';
import { emulatorVersion, find } from './packages.ts';

/** Milliseconds for a guest to boot, or for its state to be written; either takes some seconds. */
export const BOOT_LIMIT = 120_000;
/** Milliseconds after which what was made for other machines, or by older versions of these files, is removed. */
const KEEP = 7 * 24 * 3600 * 1000;

/** What `startMachine` needs, made where the cache does not have it; with `boot`, a machine without a snapshot. */
export async function prepareGuest(kernel: Kernel, { boot = false }: { boot?: boolean } = {}): Promise<MachineOptions> {
  const init = readFileSync(join(import.meta.dirname, 'guest-init.sh'));
  const stem = join(cacheDir(), `guest-${machineKey(kernel, init)}`);
  const initrd = await cached(`${stem}.initrd`, (path) => writeFileSync(path, initialFiles(kernel, init)));
  if (boot) return { kernel, initrd };
  const snapshot = await cached(`${stem}.snapshot`, async (path) => {
    removeOld();
    try {
      await takeSnapshot({ kernel, initrd }, path);
    } catch (error) {
      console.error(`netloom vm: ${String(error)}; once more`); // emulated machines hang now and then while they boot
      await takeSnapshot({ kernel, initrd }, path);
    }
  });
  return { kernel, initrd, snapshot };
}

/** Boots a machine until it is `ready`, and writes its state to a file. */
async function takeSnapshot(options: MachineOptions, path: string): Promise<void> {
  await using machine = startMachine(options);
  using limit = machine.endAfter(BOOT_LIMIT);
  const ready = await machine.line();
  if (!ready?.startsWith('ready')) throw new VmError(`the guest did not boot: ${await reason(machine, limit.over)}`);
  const unloaded = ready.split(' ').slice(1);
  if (unloaded.length > 0) console.error(`netloom vm: modules that could not be loaded: ${unloaded.join(', ')}`);
  await machine.monitor('qmp_capabilities');
  await machine.monitor('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] });
  await machine.monitor('migrate-set-parameters', { 'max-bandwidth': 2 ** 40 });
  await machine.monitor('migrate', { uri: `exec:cat >${quote(path)}` });
  const status = await machine.event('MIGRATION', ['completed', 'failed']);
  if (status !== 'completed')
    throw new VmError(`no snapshot of the guest: ${status ?? (await reason(machine, limit.over))}`);
}

async function reason(machine: Machine, late: boolean): Promise<string> {
  return late ? `not within ${BOOT_LIMIT / 1000} s` : (await machine.ended) || 'QEMU ended';
}

/** Everything that a snapshot depends on: it fits the very machine, and the clock of the processor, it was taken on. */
function machineKey(kernel: Kernel, init: Buffer): string {
  const cpu = readFileSync('/proc/cpuinfo', 'utf8');
  const line = (name: string): string => new RegExp(`^${name}\\s*:.*`, 'm').exec(cpu)?.[0] ?? '';
  // The guest's TSC is the host's. A virtual processor may run at any rate under one name, and tells that rate; a real one
  // has its rate by its name, and tells how fast it runs at the moment.
  const rate = / hypervisor( |$)/m.test(line('flags')) ? line('cpu MHz') : '';
  const parts = [
    ...machineArguments({ kernel, initrd: '' }),
    ...[kernel.release, JSON.stringify([MODULES, PARAMETERS]), emulatorVersion(), line('model name'), rate],
  ];
  const hash = createHash('sha256').update(parts.join('\n')).update(init).update(readFileSync(busybox()));
  return hash.digest('hex').slice(0, 16);
}

function initialFiles(kernel: Kernel, init: Buffer): Buffer {
  const modules = moduleFiles(kernel, MODULES);
  const files: Record<string, ArchiveFile | undefined> = {
    init: { data: init, mode: 0o755 },
    'bin/busybox': { data: readFileSync(busybox()), mode: 0o755 },
    'modules/order': { data: modules.map(({ name }) => `${name} ${PARAMETERS[name] ?? ''}\n`).join('') },
  };
  for (const { name, path } of modules) files[`modules/${name}`] = { data: readFileSync(path) };
  for (const dir of ['proc', 'sys', 'dev', 'host', 'layers', 'new']) files[dir] = undefined;
  return archive(files);
}

/** Path of a file of the cache; `make` writes it where it is not there. Two who do so at once both get a whole one. */
async function cached(path: string, make: (path: string) => void | Promise<void>): Promise<string> {
  if (existsSync(path)) {
    touch(path);
    return path;
  }
  makeCache();
  const unfinished = `${path}.${process.pid}`;
  const remove = (): void => rmSync(unfinished, { force: true });
  process.on('exit', remove);
  try {
    await make(unfinished);
    renameSync(unfinished, path);
  } finally {
    remove();
    process.off('exit', remove);
  }
  return path;
}

function touch(path: string): void {
  try {
    utimesSync(path, new Date(), new Date());
  } catch {
    // another user's cache
  }
}

function removeOld(): void {
  for (const name of readdirSync(cacheDir())) {
    if (!/^(guest|kernel)-/.test(name)) continue;
    const path = join(cacheDir(), name);
    const used = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - used > KEEP) rmSync(path, { recursive: true, force: true });
  }
}

function busybox(): string {
  const path = find('busybox');
  if (!path) throw new VmError('busybox is missing');
  return path;
}
