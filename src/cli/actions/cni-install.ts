import { rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parsePrefix } from '../../addr/index.ts';
import {
  type Change,
  conflist,
  launcher,
  makeDirectory,
  ownerOfConf,
  ownerOfPlugin,
  PLUGINS,
  putConf,
  putPlugin,
  refuseForeign,
} from '../cni-files.ts';
import { socketPath } from '../connect.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import { printJson, printLine } from '../output/print.ts';
import { confDir } from '../parse/cni.ts';
import type { ShimSettings } from '../shim-file.ts';

export interface UninstallFlags extends GlobalFlags {
  readonly binDir?: string;
  readonly confDir?: string;
  readonly name?: string;
  readonly force?: boolean;
}
export interface InstallFlags extends UninstallFlags {
  readonly network?: string;
  readonly subnet?: readonly string[];
  readonly print?: boolean;
}

interface Places {
  readonly plugins: readonly string[];
  readonly conf: string;
  readonly settings: ShimSettings;
}

export async function install(this: CliContext, flags: InstallFlags): Promise<void> {
  const text = conflist(
    networkName(flags),
    flags.subnet?.map((subnet) => parsePrefix(subnet, { strict: true }).text),
  );
  if (flags.print === true) return void this.io.stdout.write(text);
  const { plugins, conf, settings } = places(this, flags);
  // judged before anything is changed
  const owners = plugins.map((path) => [path, ownerOfPlugin(path, settings)] as const);
  const confOwner = ownerOfConf(conf, text);
  if (flags.force !== true) refuseForeign([...owners, [conf, confOwner]], 'installed');
  const changes: Change[] = [];
  for (const [path, owner] of owners) {
    makeDirectory(dirname(path));
    if (owner !== 'same') putPlugin(path, settings);
    changes.push({ path, done: owner === 'same' ? 'unchanged' : owner === 'none' ? 'installed' : 'replaced' });
  }
  // last: a runtime that finds it finds the plugin
  makeDirectory(dirname(conf));
  if (confOwner !== 'same') putConf(conf, text);
  changes.push({
    path: conf,
    done: confOwner === 'same' ? 'unchanged' : confOwner === 'none' ? 'installed' : 'replaced',
  });
  report(this, flags, changes);
}

export async function uninstall(this: CliContext, flags: UninstallFlags): Promise<void> {
  const { plugins, conf, settings } = places(this, flags);
  const owners = [
    [conf, ownerOfConf(conf)] as const,
    ...plugins.map((path) => [path, ownerOfPlugin(path, settings)] as const),
  ];
  const changes: Change[] = [];
  for (const [path, owner] of owners) {
    const keep = owner === 'foreign' && flags.force !== true;
    if (owner !== 'none' && !keep) rmSync(path);
    changes.push({ path, done: owner === 'none' ? 'absent' : keep ? 'kept' : 'removed' });
  }
  report(this, flags, changes);
}

function places({ io }: CliContext, flags: UninstallFlags): Places {
  const name = flags.name ?? '10-netloom.conflist';
  if (name.includes('/') || !name.endsWith('.conflist'))
    throw new UsageError(`--name: ${JSON.stringify(name)} is no name of a configuration`, 'It ends in .conflist.');
  return {
    plugins: PLUGINS.map((plugin) => join(resolve(flags.binDir ?? '/opt/cni/bin'), plugin)),
    conf: join(resolve(confDir(flags, io.env)), name),
    settings: { program: launcher(io.program), socket: join(dirname(resolve(socketPath(flags, io.env))), 'call.sock') },
  };
}

function networkName({ network = 'netloom' }: InstallFlags): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(network)) return network;
  throw new UsageError(`--network: ${JSON.stringify(network)} is no name`, 'Letters, digits, "_", "." and "-".');
}

function report(context: CliContext, flags: GlobalFlags, changes: readonly Change[]): void {
  if (flags.json === true) printJson(context, changes);
  else for (const { path, done } of changes) printLine(context, `${done} ${path}`);
}
