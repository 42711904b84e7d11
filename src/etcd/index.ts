/** A client of etcd's v3 API by its JSON gateway. */
export {
  type Condition,
  EtcdClient,
  type KeyValue,
  type RangeOptions,
  type RangeResult,
  type Span,
  TXN_MAX,
  type WatchBatch,
  type WatchEvent,
  type Write,
} from './client.ts';
export { EtcdAwayError, EtcdError, NOT_FOUND } from './errors.ts';
export type { EtcdOptions } from './gateway.ts';
