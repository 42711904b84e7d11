import { rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Change, launcher, makeDirectory, ownerOfPlugin, putPlugin, refuseForeign } from '../cni-files.ts';
import { socketPath } from '../connect.ts';
import type { CliContext } from '../context.ts';
import type { GlobalFlags } from '../flags.ts';
import { printJson, printLine } from '../output/print.ts';
import type { ShimSettings } from '../shim-file.ts';

export interface PodmanInstallFlags extends GlobalFlags {
  readonly dir?: string;
  readonly plugin?: boolean;
  readonly force?: boolean;
}

/** Where Podman looks first for its helpers, and netavark for its plugins, as both are built. @see containers.conf(5) */
const HELPERS = '/usr/local/libexec/podman';
const PLUGINS = '/usr/local/libexec/netavark';

/** Puts the shim where Podman takes it for netavark, or netavark for a plugin. */
export async function install(this: CliContext, flags: PodmanInstallFlags): Promise<void> {
  const { path, settings } = place(this, flags);
  const owner = ownerOfPlugin(path, settings);
  if (flags.force !== true) refuseForeign([[path, owner]], 'installed');
  makeDirectory(dirname(path));
  if (owner !== 'same') putPlugin(path, settings);
  report(this, flags, { path, done: owner === 'same' ? 'unchanged' : owner === 'none' ? 'installed' : 'replaced' });
}

export async function uninstall(this: CliContext, flags: PodmanInstallFlags): Promise<void> {
  const { path, settings } = place(this, flags);
  const owner = ownerOfPlugin(path, settings);
  const keep = owner === 'foreign' && flags.force !== true;
  if (owner !== 'none' && !keep) rmSync(path);
  report(this, flags, { path, done: owner === 'none' ? 'absent' : keep ? 'kept' : 'removed' });
}

function place({ io }: CliContext, flags: PodmanInstallFlags): { path: string; settings: ShimSettings } {
  const [dir, name] = flags.plugin === true ? [PLUGINS, 'netloom'] : [HELPERS, 'netavark'];
  return {
    path: join(resolve(flags.dir ?? dir), name),
    settings: { program: launcher(io.program), socket: join(dirname(resolve(socketPath(flags, io.env))), 'call.sock') },
  };
}

function report(context: CliContext, flags: GlobalFlags, change: Change): void {
  if (flags.json === true) printJson(context, [change]);
  else printLine(context, `${change.done} ${change.path}`);
}
