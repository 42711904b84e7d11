export { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
export { type EtcdStoreOptions, type HoldOptions, openEtcdStore, type SharedStore } from './etcd.ts';
export type { Tenure } from './tenure.ts';
export type { Change, Entry, ReadTx, Store, Tx } from './store.ts';
