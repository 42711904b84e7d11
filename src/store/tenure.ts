import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { NetloomError } from '../errors.ts';
import { type EtcdClient, EtcdAwayError } from '../etcd/index.ts';

/** A name that a host has in the shared store for as long as it lives, and says so. */
export interface Tenure extends AsyncDisposable {
  readonly key: string;
  /**
   * Aborted when the name may be another's by now, by this host's own clock before etcd's: `reason` is a NetloomError
   * ETENURELOST. Transactions of the store fail from then on, those under way included, until it holds a name again.
   */
  readonly lost: AbortSignal;
}

/** An etcd lease, kept alive until it is given back or cannot be. */
export class KeptLease implements AsyncDisposable {
  readonly id: string;
  readonly #client: EtcdClient;
  readonly #ttl: number;
  readonly #lost = new AbortController();
  readonly #end = new AbortController();
  readonly #keeping: Promise<void>;
  /** Seconds of the machine's run, sleep included, until which it is surely ours. */
  #until: number;

  private constructor(client: EtcdClient, id: string, ttl: number, asked: number) {
    this.#client = client;
    this.id = id;
    this.#ttl = ttl;
    this.#until = asked + ttl;
    this.#keeping = this.#keep();
  }

  /** @param ttl seconds; etcd gives 2 at least */
  static async grant(client: EtcdClient, ttl: number): Promise<KeptLease> {
    const asked = uptime();
    return new KeptLease(client, await client.leaseGrant(ttl), ttl, asked);
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Says that it is gone, whoever noticed. */
  lose(why: string): void {
    this.#end.abort();
    if (this.#lost.signal.aborted) return;
    this.#lost.abort(new NetloomError('ETENURELOST', `this host has lost its name in the cluster: ${why}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#keeping;
    // best effort: it runs out by itself
    await this.#client.leaseRevoke(this.id).catch(() => undefined);
  }

  /** At a third of its time, and then as often as it takes. */
  async #keep(): Promise<void> {
    const { signal } = this.#end;
    let pause = this.#ttl / 3;
    while (!signal.aborted) {
      // whole seconds: who has just become a second older may be nearly two
      const left = this.#until - uptime() - 1;
      await sleep(Math.max(0, Math.min(pause, left)) * 1000, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      if (uptime() + 1 >= this.#until) return this.lose(`etcd was not reached for ${this.#ttl} seconds`);
      const asked = uptime();
      try {
        // an answer that comes later than the lease can last is none
        const held = await Promise.race([
          this.#client.leaseKeepAlive(this.id),
          sleep((this.#until - asked) * 1000, undefined, { signal, ref: false }).catch(() => undefined),
        ]);
        if (held === 0) return this.lose('its lease has run out');
        if (held !== undefined) {
          this.#until = asked + this.#ttl;
          pause = this.#ttl / 3;
        }
      } catch (error) {
        if (!(error instanceof EtcdAwayError)) return this.lose(error instanceof Error ? error.message : String(error));
        pause = Math.min(0.2, this.#ttl / 10);
      }
    }
  }
}
