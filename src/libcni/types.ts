import type { ResultDns, ResultInterface, ResultIp, ResultRoute } from '../cni/index.ts';

export type Json = Readonly<Record<string, unknown>>;

/** What one attachment is, apart from the network's configuration. */
export interface RuntimeConf {
  readonly containerID: string;
  /** Path of the network namespace; empty for DEL where it is gone. */
  readonly netns: string;
  readonly ifName: string;
  /** `CNI_ARGS`, in this order. */
  readonly args?: readonly (readonly [key: string, value: string])[];
  /** By capability: a plugin is told of those that its configuration declares, as `runtimeConfig`. */
  readonly capabilityArgs?: Json;
  /** Where results are kept, if the CNIConfig does not say. */
  readonly cacheDir?: string;
}

/** One plugin's part of a configuration. */
export interface PluginConfig {
  readonly network: PluginConf;
  /** The document itself, as JSON text: what nobody here reads reaches the plugin, too. */
  readonly bytes: string;
}
/** What is read of a plugin's configuration. */
export interface PluginConf {
  /** Empty where it does not say. */
  readonly cniVersion: string;
  /** Of the network; empty inside a list, which has it. */
  readonly name: string;
  readonly type: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
}

/** A network: its plugins in the order of ADD. */
export interface NetworkConfigList {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  /** No plugins from the directory of the network's name beside the file. */
  readonly loadOnlyInlinedPlugins: boolean;
  readonly plugins: readonly PluginConfig[];
  /** The file's text. */
  readonly bytes: string;
}

/** What ADD came to, in the words of its version. */
export type CNIResult = ListResult | OldResult;
/** Since 0.3.0. */
export interface ListResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly ResultInterface[];
  /** `version` ("4", "6") before 1.0.0. */
  readonly ips?: readonly (ResultIp & { readonly version?: string })[];
  readonly routes?: readonly ResultRoute[];
  readonly dns?: ResultDns;
}
/** Before 0.3.0: one address a family. */
export interface OldResult {
  readonly cniVersion: string;
  readonly ip4?: OldAddress;
  readonly ip6?: OldAddress;
  readonly dns?: ResultDns;
}
export interface OldAddress {
  readonly ip: string;
  readonly gateway?: string;
  readonly routes?: readonly ResultRoute[];
}

/** An attachment as the cache has it. */
export interface NetworkAttachment {
  readonly containerID: string;
  readonly network: string;
  readonly ifName: string;
  /** The configuration at the time of ADD. */
  readonly config: string;
  readonly netns: string;
  readonly cniArgs: readonly (readonly [string, string])[];
  readonly capabilityArgs: Json;
}

export interface GCAttachment {
  readonly containerID: string;
  readonly ifname: string;
}
export interface GCArgs {
  readonly validAttachments: readonly GCAttachment[];
}

/** What a plugin says of itself. */
export interface PluginInfo {
  readonly cniVersion: string;
  readonly supportedVersions: readonly string[];
}

/** How plugins are run. */
export interface ExecOptions {
  /** What plugins inherit beside CNI_*; default: this process's own environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds for each plugin, after which it is killed; default: as long as it takes. */
  readonly timeout?: number;
  /** Characters that a plugin may print; default 4 MiB. */
  readonly outputMax?: number;
  /** What a plugin that succeeded said on standard error; default: dropped. */
  readonly stderr?: (text: string, plugin: string) => void;
}
/** Of one call. */
export interface CallOptions {
  /** Ends the plugin that runs, and runs no other. */
  readonly signal?: AbortSignal;
  /** Milliseconds for each plugin; in place of `ExecOptions.timeout`. */
  readonly timeout?: number;
}
