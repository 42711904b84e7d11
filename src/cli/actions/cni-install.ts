import { join, resolve } from 'node:path';
import { parsePrefix } from '../../addr/index.ts';
import { NAME } from '../../cni/index.ts';
import { conflist, ownerOfConf, ownerOfPlugin, PLUGINS, putConf, refuseForeign } from '../cni-files.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import type { GlobalFlags } from '../flags.ts';
import { confDir } from '../parse/cni.ts';
import { type ShimSettings, writeShim } from '../shim-file.ts';
import { putInPlace, report, shimSettings, takeAway } from './installing.ts';

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
  const changes = owners.map(([path, owner]) => putInPlace(path, owner, () => writeShim(path, settings)));
  // last: a runtime that finds it finds the plugin
  changes.push(putInPlace(conf, confOwner, () => putConf(conf, text)));
  report(this, flags, changes);
}

export async function uninstall(this: CliContext, flags: UninstallFlags): Promise<void> {
  const { plugins, conf, settings } = places(this, flags);
  const owners = [
    [conf, ownerOfConf(conf)] as const,
    ...plugins.map((path) => [path, ownerOfPlugin(path, settings)] as const),
  ];
  const changes = owners.map(([path, owner]) => takeAway(path, owner, flags));
  report(this, flags, changes);
}

function places(context: CliContext, flags: UninstallFlags): Places {
  const name = flags.name ?? '10-netloom.conflist';
  if (name.includes('/') || !name.endsWith('.conflist'))
    throw new UsageError(`--name: ${JSON.stringify(name)} is no name of a configuration`, 'It ends in .conflist.');
  return {
    plugins: PLUGINS.map((plugin) => join(resolve(flags.binDir ?? '/opt/cni/bin'), plugin)),
    conf: join(resolve(confDir(flags, context.io.env)), name),
    settings: shimSettings(context, flags),
  };
}

function networkName({ network = 'netloom' }: InstallFlags): string {
  if (NAME.test(network)) return network;
  throw new UsageError(`--network: ${JSON.stringify(network)} is no name`, 'Letters, digits, "_", "." and "-".');
}
