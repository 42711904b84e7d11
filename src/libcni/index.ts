/**
 * netloom as a runtime's library for CNI plugins: any plugins, not only netloom's.
 *
 * ```ts
 * import { CNIConfig, loadNetworkConf } from 'netloom/cni';
 * const cni = new CNIConfig(['/opt/cni/bin']);
 * const network = loadNetworkConf('/etc/cni/net.d', 'dbnet');
 * const result = await cni.addNetworkList(network, { containerID: 'box', netns: '/run/netns/box', ifName: 'eth0' });
 * ```
 */
export { CNI_CODES, type CniCode, CniError, type ResultDns, type ResultInterface } from '../cni/index.ts';
export type { ResultIp, ResultRoute } from '../cni/index.ts';
export { NetloomError } from '../errors.ts';
export { CACHE_DIR } from './cache.ts';
export { confListFromBytes, confListFromConf, injectConf, pluginConfFromBytes } from './conf.ts';
export {
  type ConfEntry,
  confFiles,
  confFromFile,
  confListFromFile,
  listConfs,
  loadConf,
  loadConfList,
  loadNetworkConf,
} from './conf-files.ts';
export { ConfFileError } from './document.ts';
export { PluginError } from './errors.ts';
export { findPlugin } from './exec.ts';
export { convertResult } from './result.ts';
export { CNIConfig, type CNIConfigOptions } from './runtime.ts';
export type {
  CallOptions,
  CNIResult,
  ExecOptions,
  GCArgs,
  GCAttachment,
  ListResult,
  NetworkAttachment,
  NetworkConfigList,
  OldAddress,
  OldResult,
  PluginConf,
  PluginConfig,
  PluginInfo,
  RuntimeConf,
} from './types.ts';
export { CURRENT_VERSION } from './version.ts';
