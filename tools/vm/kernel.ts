import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { kernelOf } from './bzimage.ts';
import { cacheDir, makeCache, VmError } from './cache.ts';

/** A kernel that guests can boot. */
export interface Kernel {
  /** `6.1.0-56-amd64`. */
  readonly release: string;
  /** Path of the ELF file. */
  readonly image: string;
  /** Path of the directory that holds `lib/modules/RELEASE`. */
  readonly root: string;
}
/** A module's file, in the order in which they have to be loaded. */
export interface ModuleFile {
  readonly name: string;
  readonly path: string;
}

/** The cached kernel, or undefined. */
export function cachedKernel(): Kernel | undefined {
  const root = join(cacheDir(), 'kernel');
  const image = join(root, 'vmlinux');
  if (!existsSync(image)) return undefined;
  return { root, image, release: readdirSync(join(root, 'lib/modules'))[0]! };
}

/** The cached kernel, fetched first where there is none (some 40 MB; the package is not installed). */
export function prepareKernel(): Kernel {
  const there = cachedKernel();
  if (there) return there;
  const root = mkdtempSync(join(makeCache(), 'kernel-'));
  try {
    chmodSync(root, 0o755);
    const script = join(import.meta.dirname, 'fetch-kernel.sh');
    if (spawnSync('sh', [script, root], { stdio: ['ignore', 2, 2] }).status !== 0) {
      throw new VmError('no kernel for the guest (above)');
    }
    const boot = join(root, 'boot');
    writeFileSync(join(root, 'vmlinux'), kernelOf(readFileSync(join(boot, readdirSync(boot)[0]!))));
    rmSync(boot, { recursive: true });
    renameSync(root, join(cacheDir(), 'kernel'));
  } catch (error) {
    if (!cachedKernel()) throw error; // else another process was quicker
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return cachedKernel()!;
}

/**
 * The files of these modules and of all that they need. What is built into the kernel has none.
 *
 * @throws VmError naming the modules that this kernel does not have.
 */
export function moduleFiles(kernel: Kernel, names: readonly string[]): readonly ModuleFile[] {
  const { status, stdout } = spawnSync(
    'modprobe',
    ['-d', kernel.root, '-S', kernel.release, '--show-depends', '--all', '--', ...names],
    { encoding: 'utf8' },
  );
  if (status !== 0) {
    const missing = names.filter((name) => !hasModule(kernel, name));
    throw new VmError(`kernel ${kernel.release} has no module ${missing.join(', ')}`);
  }
  const paths = stdout.split('\n').flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  return [...new Set(paths)].map((path) => ({
    name: basename(path)
      .replace(/\.ko.*$/, '')
      .replaceAll('-', '_'),
    path,
  }));
}

function hasModule(kernel: Kernel, name: string): boolean {
  try {
    execFileSync('modprobe', ['-d', kernel.root, '-S', kernel.release, '-q', '--show-depends', name], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
