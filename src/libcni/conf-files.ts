import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { confListFromBytes, confListFromConf, pluginConfFromBytes } from './conf.ts';
import { badConfig, ConfFileError } from './document.ts';
import { checkNetworkName } from './names.ts';
import type { NetworkConfigList, PluginConfig } from './types.ts';

/** Files that hold a list, and those that hold one plugin. */
const LISTS = ['.conflist'];
const SINGLES = ['.conf', '.json'];

/** Paths of a directory's files with one of these extensions, in lexical order; none where there is no directory. */
export function confFiles(dir: string, extensions: readonly string[]): string[] {
  let entries;
  try {
    entries = readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(dir, error);
  }
  const names = entries.filter((entry) => !entry.isDirectory() && extensions.includes(extname(entry.name)));
  return names.map(({ name }) => join(dir, name)).toSorted();
}

/** One plugin's file. @throws NetloomError ECNICONFIG with the file's name */
export function confFromFile(file: string): PluginConfig {
  return inFile(file, () => pluginConfFromBytes(read(file)));
}

/**
 * A list's file, with the plugins from the directory of the network's name beside it, unless it wants none.
 * @throws NetloomError ECNICONFIG with the file's name
 */
export function confListFromFile(file: string): NetworkConfigList {
  return inFile(file, () => {
    const list = confListFromBytes(read(file));
    const more = list.loadOnlyInlinedPlugins ? [] : pluginsBeside(dirname(file), list.name);
    const plugins = [...list.plugins, ...more];
    if (plugins.length === 0)
      throw badConfig('there are no plugins', `In it ("plugins"), or as ${join(dirname(file), list.name)}/*.conf.`);
    return { ...list, plugins };
  });
}

/** `DIR/NETWORK/*.conf`: plugins that others add to a network. */
function pluginsBeside(dir: string, network: string): PluginConfig[] {
  checkNetworkName(network); // it becomes a path
  return confFiles(join(dir, network), ['.conf']).map(confFromFile);
}

/** The one plugin's file with that network's name. @throws NetloomError ECNICONFIG, ECNINONETWORK */
export function loadConf(dir: string, name: string): PluginConfig {
  for (const file of confFiles(dir, SINGLES)) {
    const conf = confFromFile(file);
    if (conf.network.name === name) return conf;
  }
  return notFound(dir, name);
}

/**
 * The network of that name: of the first list that has it, else of the first file of one plugin. A file that comes before
 * and cannot be read ends the search, since it could be the one.
 * @throws NetloomError ECNICONFIG, ECNINONETWORK
 */
export function loadNetworkConf(dir: string, name: string): NetworkConfigList {
  for (const file of confFiles(dir, LISTS)) {
    const list = confListFromFile(file);
    if (list.name === name) return list;
  }
  return confListFromConf(loadConf(dir, name));
}

/** The older name of `loadNetworkConf`. */
export const loadConfList: typeof loadNetworkConf = loadNetworkConf;

/** What a directory offers: each file with its network, or with what is wrong with it. */
export interface ConfEntry {
  readonly file: string;
  readonly list?: NetworkConfigList;
  readonly error?: NetloomError;
}

/** Every network of a directory, in the order of the search. */
export function listConfs(dir: string): ConfEntry[] {
  const entry = (file: string, load: () => NetworkConfigList): ConfEntry => {
    try {
      return { file, list: load() };
    } catch (error) {
      if (error instanceof NetloomError) return { file, error };
      throw error;
    }
  };
  return [
    ...confFiles(dir, LISTS).map((file) => entry(file, () => confListFromFile(file))),
    ...confFiles(dir, SINGLES).map((file) => entry(file, () => confListFromConf(confFromFile(file)))),
  ];
}

function notFound(dir: string, name: string): never {
  const names = listConfs(dir).flatMap(({ list }) => (list === undefined ? [] : [list.name]));
  throw new NetloomError('ECNINONETWORK', `no configuration in ${dir} has the network "${name}"`, {
    hint:
      names.length === 0
        ? `There is none at all: put NAME.conflist there, or name another directory (NETCONFPATH, --conf-dir).`
        : `There are ${names.join(', ')}.`,
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}
function unreadable(path: string, error: unknown): ConfFileError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new ConfFileError(path, `cannot be read: ${message.replace(/, \w+ '.*'$/s, '')}`, {
    cause: error,
    ...(code === 'EACCES' && { hint: 'Only another user can read it: root, most likely.' }),
  });
}

/** Errors of what is read there name the file. */
function inFile<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof NetloomError) || error instanceof ConfFileError) throw error;
    throw new ConfFileError(file, error.message, { cause: error, hint: error.hint.replace('FILE', file) });
  }
}
