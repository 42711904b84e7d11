import { badConfig, isObject, parseObject, textOf } from './document.ts';
import type { Json, NetworkConfigList, PluginConfig } from './types.ts';
import { compareVersions, CURRENT_VERSION } from './version.ts';

/** Reads one plugin's configuration: an entry of `plugins`, or a file of its own. @throws NetloomError ECNICONFIG */
export function pluginConfFromBytes(bytes: string): PluginConfig {
  const document = parseObject(bytes);
  const type = textOf(document, 'type') ?? '';
  if (type === '') throw badConfig('type: is missing', 'It is the name of the plugin’s file.');
  const capabilities = document['capabilities'];
  const declared: Record<string, boolean> = {};
  if (capabilities !== undefined && capabilities !== null) {
    if (!isObject(capabilities)) throw badConfig('capabilities: an object is wanted');
    for (const [name, value] of Object.entries(capabilities)) {
      if (typeof value !== 'boolean') throw badConfig(`capabilities.${name}: true or false is wanted`);
      declared[name] = value;
    }
  }
  return {
    network: {
      cniVersion: textOf(document, 'cniVersion') ?? '',
      name: textOf(document, 'name') ?? '',
      type,
      capabilities: declared,
    },
    bytes,
  };
}

/**
 * Reads a list (`.conflist`). It may have no plugins where they are to come from the directory beside the file.
 * @throws NetloomError ECNICONFIG
 */
export function confListFromBytes(bytes: string): NetworkConfigList {
  const document = parseObject(bytes);
  const name = textOf(document, 'name');
  if (name === undefined) throw badConfig('name: is missing', 'It is what the network is called.');
  const list = {
    name,
    cniVersion: versionOf(document),
    disableCheck: flagOf(document, 'disableCheck'),
    disableGC: flagOf(document, 'disableGC'),
    loadOnlyInlinedPlugins: flagOf(document, 'loadOnlyInlinedPlugins'),
    bytes,
  };
  const { plugins } = document;
  if (plugins === undefined) {
    if (list.loadOnlyInlinedPlugins)
      throw badConfig('plugins: is missing, and loadOnlyInlinedPlugins wants no other', 'Write the plugins into it.');
    return { ...list, plugins: [] };
  }
  if (!Array.isArray(plugins)) throw badConfig('plugins: a list is wanted');
  if (plugins.length === 0) throw badConfig('plugins: is empty', 'A network has one plugin at least.');
  return { ...list, plugins: plugins.map((each: unknown, i) => inlined(each, i)) };
}

function inlined(plugin: unknown, index: number): PluginConfig {
  if (!isObject(plugin)) throw badConfig(`plugins[${index}]: an object is wanted`);
  try {
    return pluginConfFromBytes(JSON.stringify(plugin));
  } catch (error) {
    const { message, hint } = error as ReturnType<typeof badConfig>;
    throw badConfig(`plugins[${index}].${message}`, hint, error);
  }
}

/** `cniVersion`, or the latest of `cniVersions` and it that is spoken here. */
function versionOf(document: Json): string {
  const said = textOf(document, 'cniVersion') ?? '';
  const versions = document['cniVersions'];
  if (versions === undefined) return said;
  if (!Array.isArray(versions) || !versions.every((each): each is string => typeof each === 'string'))
    throw badConfig('cniVersions: a list of strings is wanted');
  const offered = said === '' ? versions : [...versions, said];
  const spoken = offered.filter((version) => compareVersions(version, CURRENT_VERSION) <= 0);
  return spoken.toSorted(compareVersions).at(-1) ?? said;
}

/** True, false, or either as a string: what people have written since there were these. */
function flagOf(document: Json, key: string): boolean {
  const value = document[key];
  if (value === undefined) return false;
  if (typeof value === 'boolean') return value;
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  if (word !== 'true' && word !== 'false') throw badConfig(`${key}: true or false is wanted`);
  return word === 'true';
}

/** A list of the one plugin. @throws NetloomError ECNICONFIG */
export function confListFromConf({ network, bytes }: PluginConfig): NetworkConfigList {
  const { name, cniVersion } = network;
  return confListFromBytes(JSON.stringify({ name, cniVersion, plugins: [JSON.parse(bytes) as Json] }));
}

/** The configuration with these fields set. @throws NetloomError ECNICONFIG */
export function injectConf({ bytes }: PluginConfig, values: Json): PluginConfig {
  return pluginConfFromBytes(JSON.stringify({ ...parseObject(bytes), ...values }));
}
