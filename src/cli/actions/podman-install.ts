import { join, resolve } from 'node:path';
import { ownerOfPlugin, refuseForeign } from '../cni-files.ts';
import type { CliContext } from '../context.ts';
import type { GlobalFlags } from '../flags.ts';
import { type ShimSettings, writeShim } from '../shim-file.ts';
import { putInPlace, report, shimSettings, takeAway } from './installing.ts';

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
  report(this, flags, [putInPlace(path, owner, () => writeShim(path, settings))]);
}

export async function uninstall(this: CliContext, flags: PodmanInstallFlags): Promise<void> {
  const { path, settings } = place(this, flags);
  const owner = ownerOfPlugin(path, settings);
  report(this, flags, [takeAway(path, owner, flags)]);
}

function place(context: CliContext, flags: PodmanInstallFlags): { path: string; settings: ShimSettings } {
  const [dir, name] = flags.plugin === true ? [PLUGINS, 'netloom'] : [HELPERS, 'netavark'];
  return {
    path: join(resolve(flags.dir ?? dir), name),
    settings: shimSettings(context, flags),
  };
}
