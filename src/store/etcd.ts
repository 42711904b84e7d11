import { setTimeout as sleep } from 'node:timers/promises';
import { NetloomError } from '../errors.ts';
import {
  type Condition,
  EtcdAwayError,
  EtcdClient,
  EtcdError,
  type EtcdOptions,
  NOT_FOUND,
  TXN_MAX,
  type Write,
} from '../etcd/index.ts';
import { EtcdTx, keySpan } from './etcd-tx.ts';
import type { Change, ReadTx, Store, Tx } from './store.ts';
import { KeptLease, type Tenure } from './tenure.ts';
import { Turns } from './turns.ts';

export interface EtcdStoreOptions extends EtcdOptions {
  /** Before every key. Default `/netloom/`. */
  readonly prefix?: string;
}

/** A store that several hosts share. */
export interface SharedStore extends Store {
  /**
   * Takes a key for this host, with its value, until it is disposed of or this host is not heard of for `ttl` seconds. From
   * then on every transaction of this store has the condition that the key is still this host's: one that was frozen past
   * its time changes nothing any more. One key at a time.
   * @param mayReplace  whether what another holds it with is an earlier self of this host
   * @throws NetloomError ETENURETAKEN, ESTORETX when it holds one
   */
  hold(key: string, value: unknown, options: HoldOptions): Promise<Tenure>;
}
export interface HoldOptions {
  /** Seconds, 2 at least. */
  readonly ttl: number;
  mayReplace?(value: unknown): boolean;
}

/** How long a transaction that loses to others is tried again, milliseconds, and how often at least: one try may take as long. */
const PATIENCE = 10_000;
const TRIES = 5;
/** Seconds that etcd keeps, after its end, what a store notes of its last transaction. */
const NOTE_TTL = 600;

/**
 * The store of several hosts, on etcd. Transactions are optimistic: what a body read is compared when its writes are made,
 * and the body runs again where somebody was faster.
 * @throws EtcdAwayError, EtcdError, NetloomError EBADETCD, EETCDTLS
 */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<SharedStore> {
  const { prefix = '/netloom/', ...rest } = options;
  const client = new EtcdClient(rest);
  try {
    const { revision } = await client.range({ key: prefix }, { countOnly: true });
    return new EtcdStore(client, prefix, revision);
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

/** A key as a change left it. */
interface Witness {
  readonly key: string;
  readonly gone: boolean;
  readonly revision: number;
}

class EtcdStore implements SharedStore {
  readonly #client: EtcdClient;
  readonly #prefix: string;
  readonly #turns = new Turns((body) => this.#write(body));
  readonly #end = new AbortController();
  /** `attempts/<id>`: which of this store's transactions was the last to be made. */
  readonly #note: { readonly key: string; revision: number };
  #lease: { readonly id: string; readonly renewed: number } | undefined;
  #attempt = 0;
  /** The key that is this host's, etcd's name of it, and what it hangs on. */
  #held: { readonly key: string; readonly at: string; readonly lease: KeptLease } | undefined;
  /** The newest revision that this store has seen. */
  #revision: number;
  /** A change that this store has seen: etcd's data is what it was for as long as it has it. */
  #witness: Witness | undefined;

  constructor(client: EtcdClient, prefix: string, revision: number) {
    this.#client = client;
    this.#prefix = prefix;
    this.#revision = revision;
    this.#note = { key: `${prefix}attempts/${crypto.randomUUID()}`, revision: 0 };
  }

  read<T>(body: (tx: ReadTx) => T | Promise<T>): Promise<T> {
    return this.#turns.exclusively(async () => {
      await this.#turns.catchUp();
      return await this.#patiently(async () => {
        const tx = new EtcdTx(this.#client, this.#prefix, false);
        return { done: await this.#run(tx, body) };
      });
    });
  }

  transact<T>(body: (tx: Tx) => T | Promise<T>): Promise<T> {
    return this.#turns.transact(body);
  }

  transactSoon(body: (tx: Tx) => void | Promise<void>): void {
    this.#turns.soon(body);
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<Change> {
    this.#turns.requireOpen();
    return this.#watch(prefix, this.#revision + 1, signal);
  }

  revision(): Promise<number> {
    return this.#turns.exclusively(async () => {
      await this.#turns.catchUp();
      const { revision } = await this.#client.range({ key: this.#prefix }, { countOnly: true });
      this.#saw(revision);
      return revision;
    });
  }

  async hold(key: string, value: unknown, { ttl, mayReplace }: HoldOptions): Promise<Tenure> {
    if (this.#held && !this.#held.lease.lost.aborted)
      throw new NetloomError('ESTORETX', `the store holds ${this.#held.key} already`);
    this.#held = undefined;
    const lease = await KeptLease.grant(this.#client, ttl);
    try {
      await this.#turns.exclusively(() =>
        this.#write(async (tx) => {
          const other = await tx.get(key);
          if (other !== undefined && !mayReplace?.(other)) {
            throw new NetloomError('ETENURETAKEN', `${key} is held by another host`, {
              hint: 'choose another name, or wait until that host has not been heard of for its time',
            });
          }
          tx.put(key, value, lease.id);
        }),
      );
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
    const held = { key, at: keySpan(this.#prefix, key).key, lease };
    this.#held = held;
    return {
      key,
      lost: lease.lost,
      [Symbol.asyncDispose]: async () => {
        if (this.#held === held) this.#held = undefined;
        await lease[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.close(async () => {
      this.#end.abort();
      await this.#held?.lease[Symbol.asyncDispose]();
      // best effort: etcd lets it run out
      if (this.#lease) await this.#client.leaseRevoke(this.#lease.id).catch(() => undefined);
      this.#client[Symbol.dispose]();
    });
  }

  /**
   * A change that was sent and not answered may be made yet, even later. So each carries a number in a key of this store's
   * own, the note, and a condition on that: of those that were sent one is made, and the note says which.
   */
  async #write<T>(body: (tx: EtcdTx) => T | Promise<T>): Promise<T> {
    const held = this.#held;
    const unsure = new Map<string, { readonly done: T }>();
    return await this.#patiently(async () => {
      held?.lease.lost.throwIfAborted();
      const tx = new EtcdTx(this.#client, this.#prefix, true);
      const done = await this.#run(tx, body);
      const { writes, conditions } = tx;
      if (writes.length === 0 && unsure.size === 0) return { done };
      const size = Math.max(writes.length + 1, conditions.length + 2);
      if (size > TXN_MAX) {
        throw new NetloomError('ESTOREBIG', `a transaction of ${size} parts: etcd takes ${TXN_MAX}`, {
          hint: 'do it in several steps',
        });
      }
      const attempt = String(++this.#attempt);
      const note: Write = { put: this.#note.key, value: attempt, lease: await this.#noteLease() };
      try {
        const revision = await this.#client.transact(
          [...conditions, this.#noteIs(), ...(held ? [stillHeld(held)] : [])],
          [...writes, note],
        );
        if (revision !== undefined) {
          this.#note.revision = revision;
          this.#saw(revision);
          this.#witnessed({ key: this.#note.key, gone: false, revision });
          return { done };
        }
      } catch (error) {
        if (error instanceof EtcdError && error.grpc === NOT_FOUND) this.#lease = undefined;
        else if (error instanceof EtcdAwayError && error.unsure) unsure.set(attempt, { done });
        else throw error;
      }
      const made = await this.#lookAtNote();
      const result = made === undefined ? undefined : unsure.get(made);
      if (held && !result) await this.#requireHeld(held);
      return result;
    });
  }

  /** What etcd says of it is the truth, whatever this host's clock does. @throws NetloomError ETENURELOST */
  async #requireHeld({ at, lease }: { readonly at: string; readonly lease: KeptLease }): Promise<void> {
    const [kv] = (await this.#client.range({ key: at })).kvs;
    if (kv?.lease !== lease.id) lease.lose(kv ? 'another has it' : 'its lease has run out');
    lease.lost.throwIfAborted();
  }

  #noteIs(): Condition {
    const { key, revision } = this.#note;
    return { key, target: 'MOD', result: 'EQUAL', revision };
  }

  /** The number of the last transaction of this store that was made. */
  async #lookAtNote(): Promise<string | undefined> {
    const [kv] = (await this.#client.range({ key: this.#note.key })).kvs;
    this.#note.revision = kv?.modRevision ?? 0;
    if (kv) this.#saw(kv.modRevision);
    return kv?.value;
  }

  /** Runs until somebody else is not faster any more. @throws NetloomError ESTOREBUSY */
  async #patiently<T>(attempt: () => Promise<{ readonly done: T } | undefined>): Promise<T> {
    const end = performance.now() + PATIENCE;
    for (let tries = 1; ; tries++) {
      try {
        const result = await attempt();
        if (result) return result.done;
      } catch (error) {
        // what it read at first is too old to read on: it took minutes
        if (!(error instanceof EtcdError) || error.code !== 'EETCDCOMPACTED') throw error;
      }
      if (tries >= TRIES && performance.now() > end) {
        throw new NetloomError('ESTOREBUSY', `others were faster ${tries} times: etcd at ${this.#prefix}`, {
          hint: 'try again',
        });
      }
      // the random part keeps two from meeting again and again
      await sleep(Math.random() * Math.min(2 ** (tries - 1), 100));
    }
  }

  async #run<T, X extends EtcdTx>(tx: X, body: (tx: X) => T | Promise<T>): Promise<T> {
    try {
      return await this.#turns.inside(tx, () => body(tx));
    } finally {
      tx.end();
      this.#saw(tx.revision);
    }
  }

  /** Kept alive as it is used: a store that does nothing has nothing to be unsure of. */
  async #noteLease(): Promise<string> {
    const now = performance.now();
    if (this.#lease && now - this.#lease.renewed < (NOTE_TTL * 1000) / 2) return this.#lease.id;
    const left = this.#lease ? await this.#client.leaseKeepAlive(this.#lease.id) : 0;
    const id = left > 0 ? this.#lease!.id : await this.#client.leaseGrant(NOTE_TTL);
    this.#lease = { id, renewed: now };
    return id;
  }

  #saw(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
  }
  #witnessed(change: Witness): void {
    if (change.revision >= (this.#witness?.revision ?? 0)) this.#witness = change;
  }

  /**
   * An operator may put etcd back to an earlier state: its revisions begin again from there, and a watch would wait for one
   * that another change has had, or that is long to come.
   * @throws NetloomError ESTOREBEHIND; what is held is lost with it
   */
  async #requireSameHistory(): Promise<void> {
    // what others of us are answered meanwhile may be newer than what this is
    const known = this.#revision;
    const { revision: now } = await this.#client.range({ key: this.#prefix }, { countOnly: true });
    const seen = this.#witness;
    let same = now >= known;
    if (same && seen) {
      // one that is compacted is told by the watch
      const found = await this.#client.range({ key: seen.key }, { revision: seen.revision }).catch((error: unknown) => {
        if (error instanceof EtcdError && error.code === 'EETCDCOMPACTED') return undefined;
        throw error;
      });
      if (found) same = seen.gone ? found.kvs.length === 0 : found.kvs[0]?.modRevision === seen.revision;
    }
    if (same) return;
    this.#held?.lease.lose('etcd was put back to an earlier state');
    this.#revision = now;
    this.#witness = undefined;
    throw new NetloomError('ESTOREBEHIND', 'the store was put back to an earlier state');
  }

  /** One connection after another, each from where the last one broke off. */
  async *#watch(prefix: string, start: number, signal: AbortSignal): AsyncGenerator<Change, void> {
    const { bare, ...span } = keySpan(this.#prefix, prefix);
    let next = start;
    let connected = false;
    const until = AbortSignal.any([signal, this.#end.signal]);
    while (!until.aborted) {
      try {
        if (connected) await this.#requireSameHistory();
        connected = true;
        for await (const { events } of this.#client.watch(span, next, until)) {
          for (const { key, value, modRevision } of events) {
            next = modRevision + 1;
            this.#saw(modRevision);
            this.#witnessed({ key, gone: value === undefined, revision: modRevision });
            yield { key: bare(key), value: value === undefined ? undefined : JSON.parse(value), revision: modRevision };
          }
        }
      } catch (error) {
        if (error instanceof EtcdError && error.code === 'EETCDCOMPACTED') {
          throw new NetloomError('ESTOREBEHIND', `changes of the store from ${next} on are lost`, { cause: error });
        }
        if (!(error instanceof EtcdAwayError)) throw error;
        await sleep(100 + Math.random() * 400, undefined, { signal: until }).catch(() => undefined);
      }
    }
    if (!signal.aborted) this.#turns.requireOpen();
  }
}
function stillHeld({ at, lease }: { readonly at: string; readonly lease: KeptLease }): Condition {
  return { key: at, target: 'LEASE', result: 'EQUAL', lease: lease.id };
}
