export { type EmbeddedStoreOptions, openEmbeddedStore } from './embedded.ts';
export type { Change, Entry, ReadTx, Store, Tx } from './store.ts';
