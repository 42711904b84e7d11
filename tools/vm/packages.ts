import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { VmError } from './cache.ts';

/** What is run, and the Debian package that has it. */
const TOOLS: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  modprobe: 'kmod',
  xz: 'xz-utils',
  setpriv: 'util-linux',
};

/** Path of a program, or undefined. */
export function find(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((dir) => join(dir, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Sees to it that the programs are there; root gets them installed.
 *
 * @throws VmError that says which packages are needed.
 */
export function installTools(): void {
  if (process.arch !== 'x64')
    throw new VmError(`the guest is an x86-64 machine over this machine's files, which are ${process.arch}`);
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !find('apt-get')) {
    throw new VmError(`packages are missing; as root: apt-get install --no-install-recommends ${missing.join(' ')}`);
  }
  const script = join(import.meta.dirname, '../packages.sh');
  if (spawnSync('sh', [script, ...missing], { stdio: ['ignore', 2, 2] }).status !== 0) {
    throw new VmError(`packages could not be installed (above): ${missing.join(' ')}`);
  }
}

function missingPackages(): string[] {
  return Object.entries(TOOLS).flatMap(([program, name]) => {
    const path = find(program);
    return path && (program !== 'busybox' || isStatic(path)) ? [] : [name];
  });
}

/** Whether a program needs no shared libraries: its ELF header asks for no interpreter (elf(5), PT_INTERP = 3). */
function isStatic(path: string): boolean {
  const elf = readFileSync(path);
  const table = Number(elf.readBigUInt64LE(0x20));
  const [size, count] = [elf.readUInt16LE(0x36), elf.readUInt16LE(0x38)];
  return Array.from({ length: count }, (_, i) => elf.readUInt32LE(table + i * size)).every((type) => type !== 3);
}

/** The release of the emulator, as it says. */
export function emulatorVersion(): string {
  return execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).split('\n')[0]!;
}
