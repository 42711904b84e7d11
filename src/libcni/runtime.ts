import { NetloomError } from '../errors.ts';
import { CACHE_DIR, cacheAdd, cachedAttachments, cachedConfig, cachedResult, cacheDel } from './cache.ts';
import { injectConf } from './conf.ts';
import { excerpt, findPlugin, type PluginArgs, runPluginFile } from './exec.ts';
import { PluginError } from './errors.ts';
import { checkAttachment, checkNetworkName } from './names.ts';
import { readResult } from './result.ts';
import type {
  CallOptions,
  CNIResult,
  ExecOptions,
  GCArgs,
  Json,
  NetworkAttachment,
  NetworkConfigList,
  PluginConfig,
  PluginInfo,
  RuntimeConf,
} from './types.ts';
import { compareVersions, CURRENT_VERSION } from './version.ts';

export interface CNIConfigOptions {
  /** Where results are kept; default: what `RuntimeConf` says, else `/var/lib/cni`. */
  readonly cacheDir?: string;
  readonly exec?: ExecOptions;
}

/**
 * What a container runtime needs to use plugins of the Container Network Interface: the reference library's whole
 * interface. It calls plugins, one after another, and keeps what came of it for those who come back.
 *
 * Errors are `PluginError` where a plugin failed, `CniError` for names that the specification does not allow, else
 * `NetloomError`; docs/libcni.md has a table.
 * @see https://github.com/containernetworking/cni/blob/spec-v1.1.0/SPEC.md
 */
export class CNIConfig {
  /** Directories of plugins, in the order of the search. */
  readonly path: readonly string[];
  readonly #cacheDir: string | undefined;
  readonly #exec: ExecOptions;

  constructor(path: readonly string[], { cacheDir, exec = {} }: CNIConfigOptions = {}) {
    this.path = path;
    this.#cacheDir = cacheDir;
    this.#exec = exec;
  }

  /** ADD of each plugin, each told what the one before it came to; the last one's result, which is kept. */
  async addNetworkList(list: NetworkConfigList, rt: RuntimeConf, options: CallOptions = {}): Promise<CNIResult> {
    let result: CNIResult | undefined;
    for (const plugin of list.plugins)
      result = await this.#add(list.name, list.cniVersion, plugin, result, rt, options);
    if (result === undefined) throw noPlugins(list);
    await cacheAdd(this.#dir(rt), list.name, rt, list.bytes, result);
    return result;
  }

  /**
   * CHECK of each plugin against the kept result.
   * @throws NetloomError ECNIVERSION where the configuration is of a version before 0.4.0
   */
  async checkNetworkList(list: NetworkConfigList, rt: RuntimeConf, options: CallOptions = {}): Promise<void> {
    wantCheck(list.cniVersion);
    if (list.disableCheck) return;
    const kept = await this.getNetworkListCachedResult(list, rt);
    for (const plugin of list.plugins) await this.#check(list.name, list.cniVersion, plugin, kept, rt, options);
  }

  /** DEL of each plugin, last first, with the kept result, which is then forgotten. */
  async delNetworkList(list: NetworkConfigList, rt: RuntimeConf, options: CallOptions = {}): Promise<void> {
    const kept = await this.#keptForDel(list.name, list.cniVersion, rt);
    for (const plugin of list.plugins.toReversed())
      await this.#run(list.name, list.cniVersion, plugin, kept, 'DEL', rt, options);
    await cacheDel(this.#dir(rt), list.name, rt);
  }

  /** What ADD came to, in the configuration's version; nothing where nothing is kept. */
  async getNetworkListCachedResult(list: NetworkConfigList, rt: RuntimeConf): Promise<CNIResult | undefined> {
    return await cachedResult(this.#dir(rt), list.name, list.cniVersion, rt);
  }

  /** The configuration's text at the time of ADD, and `rt` with the arguments of ADD; nothing where nothing is kept. */
  async getNetworkListCachedConfig(
    list: NetworkConfigList,
    rt: RuntimeConf,
  ): Promise<{ readonly config: string; readonly runtime: RuntimeConf } | undefined> {
    return await cachedConfig(this.#dir(rt), list.name, rt);
  }

  /** As `addNetworkList`, for a single plugin whose configuration has the network's name. */
  async addNetwork(plugin: PluginConfig, rt: RuntimeConf, options: CallOptions = {}): Promise<CNIResult> {
    const { name, cniVersion } = plugin.network;
    const result = await this.#add(name, cniVersion, plugin, undefined, rt, options);
    await cacheAdd(this.#dir(rt), name, rt, plugin.bytes, result);
    return result;
  }

  async checkNetwork(plugin: PluginConfig, rt: RuntimeConf, options: CallOptions = {}): Promise<void> {
    const { name, cniVersion } = plugin.network;
    wantCheck(cniVersion);
    await this.#check(name, cniVersion, plugin, await this.getNetworkCachedResult(plugin, rt), rt, options);
  }

  async delNetwork(plugin: PluginConfig, rt: RuntimeConf, options: CallOptions = {}): Promise<void> {
    const { name, cniVersion } = plugin.network;
    const kept = await this.#keptForDel(name, cniVersion, rt);
    await this.#run(name, cniVersion, plugin, kept, 'DEL', rt, options);
    await cacheDel(this.#dir(rt), name, rt);
  }

  async getNetworkCachedResult({ network }: PluginConfig, rt: RuntimeConf): Promise<CNIResult | undefined> {
    return await cachedResult(this.#dir(rt), network.name, network.cniVersion, rt);
  }

  async getNetworkCachedConfig(
    { network }: PluginConfig,
    rt: RuntimeConf,
  ): Promise<{ readonly config: string; readonly runtime: RuntimeConf } | undefined> {
    return await cachedConfig(this.#dir(rt), network.name, rt);
  }

  /**
   * Whether every plugin is there and speaks the configuration's version; the capabilities that are declared, sorted.
   * @throws NetloomError ECNINOPLUGIN, ECNIVERSION; AggregateError of several
   */
  async validateNetworkList(list: NetworkConfigList, options: CallOptions = {}): Promise<string[]> {
    const errors: unknown[] = [];
    for (const { network } of list.plugins) {
      try {
        await this.#validate(network.type, list.cniVersion, options);
      } catch (error) {
        errors.push(error);
      }
    }
    throwAll(errors);
    return [...new Set(list.plugins.flatMap(declared))].toSorted();
  }

  async validateNetwork(plugin: PluginConfig, options: CallOptions = {}): Promise<string[]> {
    await this.#validate(plugin.network.type, plugin.network.cniVersion, options);
    return declared(plugin).toSorted();
  }

  /**
   * Takes away what is not on the list of the valid: by DEL what the cache has of this network, then, from version 1.1.0
   * on, by GC of each plugin whatever else it holds. All of it is tried before anything is thrown. Nothing given, nothing
   * is valid, and GC is told no list.
   * @throws Error the one that went wrong; AggregateError of several
   */
  async gcNetworkList(list: NetworkConfigList, args?: GCArgs, options: CallOptions = {}): Promise<void> {
    if (list.disableGC) return;
    const valid = args?.validAttachments ?? [];
    const errors: unknown[] = [];
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        errors.push(error);
      }
    };
    for (const { network, containerID, ifName, netns, cniArgs, capabilityArgs } of await this.getCachedAttachments()) {
      if (network !== list.name) continue;
      if (valid.some((each) => each.containerID === containerID && each.ifname === ifName)) continue;
      const rt: RuntimeConf = { containerID, netns, ifName, args: cniArgs, capabilityArgs };
      await attempt(() => this.delNetworkList(list, rt, options));
    }
    if (compareVersions(list.cniVersion, '1.1.0') >= 0) {
      // the specification's first print called it by the other name
      const attachments = { 'cni.dev/valid-attachments': valid, 'cni.dev/attachments': valid };
      for (const plugin of list.plugins)
        await attempt(() => this.#tell(list, plugin, 'GC', args === undefined ? {} : attachments, options));
    }
    throwAll(errors);
  }

  /** Whether every plugin could serve an ADD now; before version 1.1.0 nobody can tell. @throws PluginError with code 50, 51 */
  async getStatusNetworkList(list: NetworkConfigList, options: CallOptions = {}): Promise<void> {
    if (compareVersions(list.cniVersion, '1.1.0') < 0) return;
    for (const plugin of list.plugins) await this.#tell(list, plugin, 'STATUS', {}, options);
  }

  /** What is kept: of one container, or all; in the order of the files' names. */
  async getCachedAttachments(containerID = ''): Promise<NetworkAttachment[]> {
    return await cachedAttachments(this.#cacheDir ?? CACHE_DIR, containerID);
  }

  /** Which versions a plugin speaks. @throws NetloomError ECNINOPLUGIN; PluginError */
  async getVersionInfo(type: string, options: CallOptions = {}): Promise<PluginInfo> {
    // old plugins want these before they say anything
    const args = { command: 'VERSION', netns: 'dummy', ifName: 'dummy', path: 'dummy' };
    let stdout;
    try {
      stdout = await this.#exe(type, args, JSON.stringify({ cniVersion: CURRENT_VERSION }), options);
    } catch (error) {
      // older than the question
      if (error instanceof PluginError && error.msg === 'unknown CNI_COMMAND: VERSION')
        return { cniVersion: '0.1.0', supportedVersions: ['0.1.0'] };
      throw error;
    }
    const { cniVersion, supportedVersions } = printed(type, 'VERSION', stdout) as Json;
    const versions = Array.isArray(supportedVersions) ? supportedVersions.map(String) : [];
    if (typeof cniVersion === 'string' && versions.length > 0) return { cniVersion, supportedVersions: versions };
    if (cniVersion === '0.2.0') return { cniVersion, supportedVersions: ['0.1.0', '0.2.0'] };
    throw unreadable(type, 'VERSION', stdout, 'cniVersion or supportedVersions is missing');
  }

  async #add(
    name: string,
    version: string,
    plugin: PluginConfig,
    previous: CNIResult | undefined,
    rt: RuntimeConf,
    options: CallOptions,
  ): Promise<CNIResult> {
    const { type } = plugin.network;
    const stdout = await this.#run(name, version, plugin, previous, 'ADD', rt, options);
    const document = printed(type, 'ADD', stdout);
    try {
      return readResult(document, version);
    } catch (error) {
      throw unreadable(type, 'ADD', stdout, (error as Error).message, error);
    }
  }

  async #check(
    name: string,
    version: string,
    plugin: PluginConfig,
    kept: CNIResult | undefined,
    rt: RuntimeConf,
    options: CallOptions,
  ): Promise<void> {
    await this.#run(name, version, plugin, kept, 'CHECK', rt, options);
  }

  async #run(
    name: string,
    version: string,
    plugin: PluginConfig,
    previous: CNIResult | undefined,
    command: string,
    rt: RuntimeConf,
    options: CallOptions,
  ): Promise<string> {
    checkNetworkName(name);
    checkAttachment(rt);
    const { bytes } = injectConf(plugin, {
      name,
      cniVersion: version,
      ...(previous !== undefined && { prevResult: previous }),
      ...runtimeConfig(plugin, rt),
    });
    const { containerID, netns, ifName, args } = rt;
    const given = {
      command,
      containerID,
      netns,
      ifName,
      ...(args !== undefined && { args }),
      path: this.path.join(':'),
    };
    return await this.#exe(plugin.network.type, given, bytes, options);
  }

  /** A command that is about the network, and about no attachment. */
  async #tell(
    list: NetworkConfigList,
    plugin: PluginConfig,
    command: string,
    values: Json,
    options: CallOptions,
  ): Promise<void> {
    checkNetworkName(list.name);
    const { bytes } = injectConf(plugin, { name: list.name, cniVersion: list.cniVersion, ...values });
    await this.#exe(plugin.network.type, { command, path: this.path.join(':') }, bytes, options);
  }

  async #exe(type: string, args: PluginArgs, stdin: string, options: CallOptions): Promise<string> {
    return await runPluginFile(findPlugin(type, this.path), type, args, stdin, this.#exec, options);
  }

  async #validate(type: string, version: string, options: CallOptions): Promise<void> {
    const wanted = version === '' ? '0.1.0' : version;
    const { supportedVersions } = await this.getVersionInfo(type, options);
    if (supportedVersions.includes(wanted)) return;
    throw new NetloomError('ECNIVERSION', `plugin ${type} does not speak version ${wanted}`, {
      hint: `It speaks ${supportedVersions.join(', ')}: set cniVersion to one of these.`,
    });
  }

  /** For DEL: what cannot be read any more is no reason not to take the rest away. */
  async #keptForDel(name: string, version: string, rt: RuntimeConf): Promise<CNIResult | undefined> {
    checkNetworkName(name);
    checkAttachment(rt);
    if (compareVersions(version, '0.4.0') < 0) return undefined;
    try {
      return await cachedResult(this.#dir(rt), name, version, rt);
    } catch (error) {
      if (!(error instanceof NetloomError)) throw error;
      await cacheDel(this.#dir(rt), name, rt);
      return undefined;
    }
  }

  #dir({ cacheDir }: RuntimeConf): string {
    return this.#cacheDir ?? cacheDir ?? CACHE_DIR;
  }
}

/** Of what the runtime has, that which the plugin declares to understand. */
function runtimeConfig(plugin: PluginConfig, { capabilityArgs = {} }: RuntimeConf): Json {
  const known = declared(plugin).filter((name) => Object.hasOwn(capabilityArgs, name));
  if (known.length === 0) return {};
  return { runtimeConfig: Object.fromEntries(known.map((name) => [name, capabilityArgs[name]])) };
}
function declared({ network }: PluginConfig): string[] {
  return Object.entries(network.capabilities).flatMap(([name, is]) => (is ? [name] : []));
}

function printed(plugin: string, command: string, stdout: string): unknown {
  try {
    return JSON.parse(stdout);
  } catch (error) {
    throw unreadable(plugin, command, stdout, 'it is no JSON', error);
  }
}
function unreadable(plugin: string, command: string, stdout: string, why: string, cause?: unknown): PluginError {
  const what = stdout.trim() === '' ? 'printed nothing' : `printed what is no result: ${why}: ${excerpt(stdout)}`;
  return new PluginError({ plugin, command, code: 0, msg: what, details: '' }, { cause });
}

function wantCheck(version: string): void {
  if (compareVersions(version, '0.4.0') >= 0) return;
  const said = version === '' ? 'none is 0.1.0' : version;
  throw new NetloomError('ECNIVERSION', `the configuration's version (${said}) has no CHECK`, {
    hint: 'CHECK came with 0.4.0: raise cniVersion, if the plugins speak it.',
  });
}
function noPlugins({ name }: NetworkConfigList): NetloomError {
  return new NetloomError('ECNICONFIG', `network "${name}" has no plugins`);
}

function throwAll(errors: readonly unknown[]): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map((each) => (each as Error).message).join('; '));
}
