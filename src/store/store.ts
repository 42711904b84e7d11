/**
 * The one contract under every store: keys that sort, plain JSON values, transactions, a watch. The embedded store
 * implements it on SQLite; etcd implements it across hosts.
 *
 * Keys are paths: `networks/<id>`, `endpoints/<id>`, `leases/<network>/<family and address in hex>`. The first part
 * decides how durable a key is: `networks`, `pools` and `meta` survive a power cut, the rest survives a crash of the process but
 * not of the machine. Keys sort by the bytes of their UTF-8.
 */
export interface Store extends AsyncDisposable {
  /** A consistent view of one moment. Not inside another transaction of the same store. @throws NetloomError ESTORETX */
  read<T>(body: (tx: ReadTx) => T | Promise<T>): Promise<T>;
  /**
   * All or nothing, one at a time across every process on the store. The body may run again when it lost a race: it
   * must do nothing but use `tx`, and begin no other transaction. Where nothing was changed, the revision stays.
   * @throws whatever the body throws, ESTORETX, ESTOREBUSY, ENOSPC, EACCES, ESTORECORRUPT; nothing is changed then.
   */
  transact<T>(body: (tx: Tx) => T | Promise<T>): Promise<T>;
  /**
   * A transaction that nobody waits for: it is part of the next one that this process begins, or a moment later one of its
   * own. Whoever asks this store from now on sees what it did; other processes see it then. Killed before, it was never
   * there; where the store refuses it, it is tried again. The body may run several times and must not throw.
   */
  transactSoon(body: (tx: Tx) => void | Promise<void>): void;
  /**
   * Changes under `prefix` made by anyone, in order, from now on; ends when `signal` aborts. The next step throws
   * ESTOREBEHIND when changes were lost (read everything and watch again), ESTORECLOSED when the store was closed.
   */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<Change>;
  /** Grows with every change by anyone, for as long as the machine runs; cheap to ask. */
  revision(): Promise<number>;
}

export interface ReadTx {
  get<T>(key: string): T | undefined | Promise<T | undefined>;
  /** In key order. `start` is inclusive, as a full key. */
  list<T>(
    prefix: string,
    options?: { readonly start?: string; readonly limit?: number },
  ): Entry<T>[] | Promise<Entry<T>[]>;
  count(prefix: string): number | Promise<number>;
}
export interface Tx extends ReadTx {
  /** @throws NetloomError EEXIST when the key is there: the store's own guard against a double lease. */
  create(key: string, value: unknown): void | Promise<void>;
  put(key: string, value: unknown): void | Promise<void>;
  /** A missing key is no error. */
  delete(key: string): void | Promise<void>;
}
export interface Entry<T> {
  readonly key: string;
  readonly value: T;
}
export interface Change {
  readonly key: string;
  /** Undefined when deleted. */
  readonly value: unknown;
  readonly revision: number;
}
