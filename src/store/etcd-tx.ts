import { NetloomError } from '../errors.ts';
import type { Condition, EtcdClient, KeyValue, RangeOptions, RangeResult, Span, Write } from '../etcd/index.ts';
import { endOf, requireUsable } from './keys.ts';
import type { Entry, Tx } from './store.ts';

/** Below the store's own prefix, beside its keys: `gone/<directory>/` is written whenever a key of the directory goes. */
const GONE = 'gone/';
const KEYS = 'keys/';

/**
 * The transaction that a body sees: what was there at one revision, and over it what the body did. Nothing is sent before
 * the end; what was read becomes the conditions under which the writes are made.
 *
 * That nothing was added to a list, or changed in it, etcd can compare: no key of the span is younger than the revision.
 * That nothing went cannot be seen by what is left; so whoever deletes a key writes another in its stead (`gone/`), which
 * the list's reader compares as well.
 */
export class EtcdTx implements Tx {
  readonly #client: EtcdClient;
  readonly #prefix: string;
  readonly #writable: boolean;
  /** JSON texts by key; null: deleted. */
  readonly #writes = new Map<string, string | null>();
  readonly #leases = new Map<string, string>();
  readonly #conditions = new Map<string, Condition>();
  readonly #seen = new Map<string, KeyValue | undefined>();
  /** 0: nothing was read yet, and the first to read decides. */
  #revision = 0;
  #first: Promise<unknown> | undefined;
  #active = true;

  constructor(client: EtcdClient, prefix: string, writable: boolean) {
    this.#client = client;
    this.#prefix = prefix;
    this.#writable = writable;
  }

  get active(): boolean {
    return this.#active;
  }
  get revision(): number {
    return this.#revision;
  }
  get conditions(): readonly Condition[] {
    return [...this.#conditions.values()];
  }
  get writes(): readonly Write[] {
    const directories = new Set<string>();
    const writes = [...this.#writes].map(([key, json]): Write => {
      const lease = this.#leases.get(key);
      if (json !== null) return { put: this.#key(key), value: json, ...(lease !== undefined && { lease }) };
      directories.add(directoryOf(key));
      return { delete: this.#key(key) };
    });
    return [...writes, ...[...directories].map((name) => ({ put: this.#prefix + GONE + name, value: '' }))];
  }
  end(): void {
    this.#active = false;
  }

  async get<T>(key: string): Promise<T | undefined> {
    this.#requireActive();
    const own = this.#writes.get(key);
    const json = own === undefined ? (await this.#look(key))?.value : own;
    return json === undefined || json === null ? undefined : (JSON.parse(json) as T);
  }

  async list<T>(
    prefix: string,
    options: { readonly start?: string; readonly limit?: number } = {},
  ): Promise<Entry<T>[]> {
    this.#requireActive();
    const { start = '', limit } = options;
    const own = this.#ownUnder(prefix, start);
    const gone = own.filter(([, json]) => json === null).length;
    const from = start > prefix ? start : prefix;
    const span = { key: this.#key(from), end: endOf(this.#key(prefix)) };
    // what the body deleted makes room for others
    const { kvs } = await this.#range(span, limit === undefined ? {} : { limit: limit + gone });
    this.#expectNothingNew(prefix);
    const entries = new Map(kvs.map(({ key, value }) => [this.#bare(key), value]));
    for (const [key, json] of own) {
      if (json === null) entries.delete(key);
      else entries.set(key, json);
    }
    return [...entries]
      .toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .slice(0, limit)
      .map(([key, json]) => ({ key, value: JSON.parse(json) as T }));
  }

  async count(prefix: string): Promise<number> {
    this.#requireActive();
    if (this.#ownUnder(prefix, '').length > 0) return (await this.list(prefix)).length;
    const { count } = await this.#range({ key: this.#key(prefix), end: endOf(this.#key(prefix)) }, { countOnly: true });
    this.#expectNothingNew(prefix);
    return count;
  }

  async create(key: string, value: unknown): Promise<void> {
    this.#requireWritable();
    if ((await this.get(key)) !== undefined) throw new NetloomError('EEXIST', `the store already has ${key}`);
    this.#write(key, JSON.stringify(value));
  }
  /** @param lease  it goes with that */
  put(key: string, value: unknown, lease?: string): void {
    this.#requireWritable();
    this.#write(key, JSON.stringify(value));
    if (lease !== undefined) this.#leases.set(key, lease);
  }
  /** Looks first: what is not there leaves no trace. */
  async delete(key: string): Promise<void> {
    this.#requireWritable();
    if ((await this.get(key)) === undefined) return;
    if ((await this.#look(key)) === undefined) this.#writes.delete(key);
    else this.#write(key, null);
  }

  /** The latest change of a key counts, at its place in the order of changes. */
  #write(key: string, json: string | null): void {
    this.#requireWritable();
    this.#writes.delete(key);
    this.#writes.set(key, json);
  }

  async #look(key: string): Promise<KeyValue | undefined> {
    if (!this.#seen.has(key)) {
      const { kvs } = await this.#range({ key: this.#key(key) });
      this.#seen.set(key, kvs[0]);
      const revision = kvs[0]?.modRevision ?? 0;
      this.#conditions.set(`=${key}`, { key: this.#key(key), target: 'MOD', result: 'EQUAL', revision });
    }
    return this.#seen.get(key);
  }

  /** All of one revision: two that begin at once must not see two. */
  async #range(span: Span, options: RangeOptions = {}): Promise<RangeResult> {
    if (this.#revision === 0 && this.#first) await this.#first;
    const asking = this.#client.range(span, { ...options, revision: this.#revision });
    this.#first ??= asking.catch(() => undefined);
    const result = await asking;
    if (this.#revision === 0) this.#revision = result.revision;
    return result;
  }

  #expectNothingNew(prefix: string): void {
    const under = (start: string): Condition => ({
      ...{ key: start, end: endOf(start) },
      ...{ target: 'MOD', result: 'LESS', revision: this.#revision + 1 },
    });
    this.#conditions.set(`*${prefix}`, under(this.#key(prefix)));
    const directory = directoryOf(prefix);
    this.#conditions.set(`-${directory}`, under(this.#prefix + GONE + directory));
  }

  #ownUnder(prefix: string, start: string): [string, string | null][] {
    const from = Buffer.from(start);
    return [...this.#writes].filter(([key]) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), from) >= 0);
  }

  #key(key: string): string {
    return this.#prefix + KEYS + key;
  }
  #bare(key: string): string {
    return key.slice(this.#prefix.length + KEYS.length);
  }

  #requireActive(): void {
    requireUsable(this.#active);
  }
  #requireWritable(): void {
    requireUsable(this.#active, this.#writable);
  }
}

/** The span of the store's keys that begin with `prefix`, and what it puts before each. */
export function keySpan(storePrefix: string, prefix: string): Span & { readonly bare: (key: string) => string } {
  const start = storePrefix + KEYS;
  return { key: start + prefix, end: endOf(start + prefix), bare: (key) => key.slice(start.length) };
}

/** `leases/net/` of `leases/net/2`, and of itself. */
function directoryOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}
