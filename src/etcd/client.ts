import { EtcdError, NOT_FOUND } from './errors.ts';
import { Gateway, type EtcdOptions } from './gateway.ts';

/** A key's value as etcd has it. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The store's revision at its last change. */
  readonly modRevision: number;
  /** The lease that it goes with; `0` for none. */
  readonly lease: string;
}

/** `[key, end)`; without `end` the one key. */
export interface Span {
  readonly key: string;
  readonly end?: string;
}

/** What must hold of every key of a span for a transaction to be carried out; a key that is not there has revision 0. */
export type Condition = Span &
  (
    | { readonly target: 'MOD'; readonly result: 'EQUAL' | 'LESS'; readonly revision: number }
    | { readonly target: 'LEASE'; readonly result: 'EQUAL'; readonly lease: string }
  );

export type Write =
  | { readonly put: string; readonly value: string; readonly lease?: string }
  | { readonly delete: string };

export interface RangeResult {
  /** The store's revision when it was asked, not the one that was asked for. */
  readonly revision: number;
  readonly kvs: readonly KeyValue[];
  /** Of all keys of the span, whatever the limit. */
  readonly count: number;
}
export interface RangeOptions {
  /** Of that revision; 0 or missing: the newest. */
  readonly revision?: number;
  readonly limit?: number;
  readonly countOnly?: boolean;
}

export interface WatchEvent {
  readonly key: string;
  /** Undefined when deleted. */
  readonly value: string | undefined;
  readonly modRevision: number;
}
export interface WatchBatch {
  /** The store's revision, as far as this watch has come where it brings events. */
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

/** How many conditions, and how many writes, a transaction may have. @see etcd --max-txn-ops */
export const TXN_MAX = 128;

/** etcd's v3 API, as far as netloom uses it: texts for keys and values, numbers for revisions. Failures are the Gateway's. */
export class EtcdClient implements Disposable {
  readonly #gateway: Gateway;

  constructor(options: EtcdOptions) {
    this.#gateway = new Gateway(options);
  }

  [Symbol.dispose](): void {
    this.#gateway[Symbol.dispose]();
  }

  /** Linearizable. @throws EtcdError EETCDCOMPACTED for a revision that is no more */
  async range(span: Span, options: RangeOptions = {}): Promise<RangeResult> {
    const {
      header,
      kvs = [],
      count = '0',
    } = await this.#gateway.call<RangeAnswer>('/v3/kv/range', {
      ...spanOf(span),
      ...(options.revision && { revision: String(options.revision) }),
      ...(options.limit && { limit: String(options.limit) }),
      ...(options.countOnly && { count_only: true }),
    });
    return { revision: Number(header.revision), kvs: kvs.map(keyValueOf), count: Number(count) };
  }

  /** All or nothing: undefined where a condition does not hold, else the revision. @throws EtcdAwayError with `unsure` */
  async transact(conditions: readonly Condition[], writes: readonly Write[]): Promise<number | undefined> {
    const { header, succeeded } = await this.#gateway.call<{ header: Header; succeeded?: boolean }>(
      '/v3/kv/txn',
      {
        compare: conditions.map((condition) => ({
          ...spanOf(condition),
          ...{ target: condition.target, result: condition.result },
          ...(condition.target === 'MOD' ? { mod_revision: String(condition.revision) } : { lease: condition.lease }),
        })),
        success: writes.map((write) =>
          'put' in write
            ? {
                request_put: {
                  key: base64(write.put),
                  value: base64(write.value),
                  ...(write.lease !== undefined && { lease: write.lease }),
                },
              }
            : { request_delete_range: { key: base64(write.delete) } },
        ),
      },
      true,
    );
    return succeeded === true ? Number(header.revision) : undefined;
  }

  /**
   * Changes from the revision `start` on, in order; those of one transaction come in one batch. The first batch is empty
   * and says that the watch stands. @throws EtcdError EETCDCOMPACTED where `start` is no more; EtcdAwayError when it breaks off
   */
  async *watch(span: Span, start: number, signal: AbortSignal): AsyncIterable<WatchBatch> {
    const body = { create_request: { ...spanOf(span), start_revision: String(start), fragment: false } };
    for await (const answer of this.#gateway.stream<WatchAnswer>('/v3/watch', body, signal)) {
      if (answer.canceled === true) {
        const compacted = Number(answer.compact_revision ?? 0);
        throw compacted > 0
          ? new EtcdError(11, `revision ${start} is compacted, up to ${compacted}`)
          : new EtcdError(7, answer.cancel_reason ?? 'the watch was refused');
      }
      const events = (answer.events ?? []).map(({ type, kv }): WatchEvent => ({
        key: text(kv.key),
        value: type === 'DELETE' ? undefined : text(kv.value ?? ''),
        modRevision: Number(kv.mod_revision),
      }));
      yield { revision: Number(answer.header.revision), events };
    }
  }

  /** @param ttl seconds @returns the lease's id */
  async leaseGrant(ttl: number): Promise<string> {
    return (await this.#gateway.call<{ ID: string }>('/v3/lease/grant', { TTL: String(ttl) })).ID;
  }
  /** Seconds that are left; 0 where there is no such lease any more. */
  async leaseKeepAlive(id: string): Promise<number> {
    return Number((await this.#gateway.call<{ TTL?: string }>('/v3/lease/keepalive', { ID: id })).TTL ?? 0);
  }
  /** Its keys go with it; one that is gone is no error. */
  async leaseRevoke(id: string): Promise<void> {
    await this.#gateway.call('/v3/lease/revoke', { ID: id }).catch((error: unknown) => {
      if (!(error instanceof EtcdError) || error.grpc !== NOT_FOUND) throw error;
    });
  }
}

// ---- the gateway's JSON: bytes in base64, int64 as texts, defaults left out ----

interface Header {
  readonly revision: string;
}
interface KvAnswer {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: string;
  readonly lease?: string;
}
interface RangeAnswer {
  readonly header: Header;
  readonly kvs?: readonly KvAnswer[];
  readonly count?: string;
}
interface WatchAnswer {
  readonly header: Header;
  readonly canceled?: boolean;
  readonly cancel_reason?: string;
  readonly compact_revision?: string;
  readonly events?: readonly { readonly type?: 'PUT' | 'DELETE'; readonly kv: KvAnswer }[];
}

function spanOf({ key, end }: Span): { key: string; range_end?: string } {
  return { key: base64(key), ...(end !== undefined && { range_end: base64(end) }) };
}
function keyValueOf({ key, value = '', mod_revision, lease = '0' }: KvAnswer): KeyValue {
  return {
    key: text(key),
    value: text(value),
    modRevision: Number(mod_revision),
    lease,
  };
}
function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}
function text(value: string): string {
  return Buffer.from(value, 'base64').toString();
}
