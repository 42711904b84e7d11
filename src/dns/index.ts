export type { CacheStats } from './cache.ts';
export type { DnsStats, Histogram, QueryCount, RefusedAsker, Rejection, UpstreamStats } from './counters.ts';
export { findHolder, type Holder } from './holder.ts';
export { parseResolvConf, ResolvConf, type ResolvConfOptions } from './resolv-conf.ts';
export { DnsServer } from './server.ts';
export {
  type AnswerSource,
  type Asker,
  type AskerPolicy,
  DEFAULT_LIMITS,
  type DnsLimits,
  type DnsName,
  type DnsOptions,
  type DnsProtocol,
  type NameView,
  type QueryLogEntry,
  type SrvTarget,
  type UpstreamSource,
} from './types.ts';
