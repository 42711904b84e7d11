import { hasCode } from '../errors.ts';
import type { Netns } from '../kernel/index.ts';
import { type AcquireOptions, dhcpAcquire, type DhcpOptions, dhcpRenew } from './client.ts';
import { DhcpError } from './errors.ts';
import { addressOf, type DhcpLease } from './lease.ts';

/** As for `dhcpAcquire`; the namespace may be opened afresh for every message, and is closed again behind it. */
export interface KeepOptions extends Omit<AcquireOptions, 'netns' | 'signal' | 'timeoutMs' | 'requested'> {
  readonly netns: Netns | (() => Netns);
}

/** The lease as it is now; undefined where there is none any more, and the address must not be used. */
export type LeaseListener = (key: string, lease: DhcpLease | undefined) => void;

/** What the keeper does its work with: a test gives others. */
export interface KeeperParts {
  now(): number;
  renew(lease: DhcpLease, options: DhcpOptions): Promise<DhcpLease>;
  acquire(options: AcquireOptions): Promise<DhcpLease>;
  /** Calls back once, after so many milliseconds. */
  later(ms: number, call: () => void): { cancel(): void };
}

/**
 * Keeps leases alive: renews them at T1, asks any server at T2, and when one is lost, says so and gets another. Holds
 * no socket between messages and has one timer for all. A lease of an earlier process is taken up by `add`; one that ran
 * out meanwhile is asked for again first. Does not keep the process alive.
 */
export class DhcpKeeper implements Disposable {
  readonly #parts: KeeperParts;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<LeaseListener>();
  readonly #troubles = new Set<(key: string, error: unknown) => void>();
  #timer: { cancel(): void } | undefined;
  #running = 0;

  constructor(parts: Partial<KeeperParts> = {}) {
    this.#parts = { now: Date.now, renew: dhcpRenew, acquire: dhcpAcquire, later, ...parts };
  }

  /** Keeps a lease from now on, in place of what was kept under that key. Nothing is sent before it is due. */
  add(key: string, lease: DhcpLease, options: KeepOptions): void {
    this.remove(key);
    this.#entries.set(key, {
      key,
      lease,
      options,
      due: lease.renewAt,
      failures: 0,
      tried: false,
      rebound: false,
      abort: undefined,
    });
    this.#arm();
  }

  /** Forgets a lease; a message under way is given up. Does not release it. */
  remove(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    entry.abort?.abort();
    this.#arm();
  }

  /** The lease under that key as it is now. */
  get(key: string): DhcpLease | undefined {
    return this.#entries.get(key)?.lease;
  }
  get size(): number {
    return this.#entries.size;
  }

  /** Told of every renewal, loss and replacement, so that the record can be stored and the address set. Ends it when called. */
  onChange(listener: LeaseListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  /** Told of every attempt that failed; the next one comes by itself. */
  onTrouble(listener: (key: string, error: unknown) => void): () => void {
    this.#troubles.add(listener);
    return () => void this.#troubles.delete(listener);
  }

  [Symbol.dispose](): void {
    for (const key of [...this.#entries.keys()]) this.remove(key);
    this.#listeners.clear();
    this.#troubles.clear();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#running >= AT_ONCE) return; // whoever ends arms it
    let due = Infinity;
    for (const entry of this.#entries.values()) if (!entry.abort) due = Math.min(due, entry.due);
    if (due === Infinity) return;
    // the wall clock may be set meanwhile: look again within the hour
    const wait = Math.min(Math.max(due - this.#parts.now(), 0), HOUR);
    this.#timer = this.#parts.later(wait, () => this.#run());
  }

  #run(): void {
    const now = this.#parts.now();
    const waiting = [...this.#entries.values()].filter((entry) => !entry.abort && entry.due <= now);
    waiting.sort((a, b) => a.due - b.due);
    for (const entry of waiting.slice(0, AT_ONCE - this.#running)) void this.#attend(entry);
    this.#arm();
  }

  async #attend(entry: Entry): Promise<void> {
    this.#running++;
    entry.abort = new AbortController();
    const { signal } = entry.abort;
    try {
      await this.#attempt(entry, signal);
    } catch (error) {
      if (!signal.aborted) this.#failed(entry, error);
    } finally {
      entry.abort = undefined;
      this.#running--;
      this.#arm();
    }
  }

  async #attempt(entry: Entry, signal: AbortSignal): Promise<void> {
    const { lease, options } = entry;
    const now = this.#parts.now();
    const { netns } = options;
    using opened = typeof netns === 'function' ? netns() : undefined;
    const common = { ...options, netns: opened ?? (netns as Netns), signal };
    if (lease && now < lease.expiresAt) {
      entry.tried = true;
      entry.rebound = now >= lease.rebindAt;
      // at T2 it is any server's turn
      const end = entry.rebound ? lease.expiresAt : lease.rebindAt;
      const timeoutMs = Math.max(1, Math.min(ANSWER_MS, end - now));
      const renewed = await this.#parts.renew(lease, { ...common, timeoutMs });
      if (!signal.aborted) this.#hold(entry, renewed);
      return;
    }
    if (lease && entry.tried) {
      this.#lose(entry);
      return;
    }
    // without a lease, or with one that ran out while nobody looked after it
    const requested = lease ? { requested: addressOf(lease) } : {};
    // the address is still on the interface and needs no probe
    const probeMs = lease ? { probeMs: 0 } : {};
    const fresh = await this.#parts.acquire({ ...common, ...requested, ...probeMs, timeoutMs: ACQUIRE_MS });
    if (signal.aborted) return;
    if (lease && addressOf(fresh) !== addressOf(lease)) this.#tell(entry.key, undefined);
    if (!signal.aborted) this.#hold(entry, fresh);
  }

  #hold(entry: Entry, lease: DhcpLease): void {
    Object.assign(entry, { lease, due: lease.renewAt, failures: 0, tried: false, rebound: false });
    this.#tell(entry.key, lease);
  }

  #failed(entry: Entry, error: unknown): void {
    for (const listener of this.#troubles) listener(entry.key, error);
    const now = this.#parts.now();
    const refused = error instanceof DhcpError && error.refused;
    const { lease } = entry;
    if (lease && (refused || now >= lease.expiresAt)) {
      this.#lose(entry);
      // the namespace or the interface is gone: no hurry
      if (hasCode(error, 'ENOENT', 'ENODEV')) entry.due = now + FIRST_RETRY;
      return;
    }
    entry.failures++;
    if (!lease) entry.due = now + Math.min(FIRST_RETRY * 2 ** (entry.failures - 1), LAST_RETRY);
    // its own server was waited for until T2: now any, and at once
    else entry.due = now >= lease.rebindAt && !entry.rebound ? now : nextAttempt(lease, now);
  }

  #lose(entry: Entry): void {
    Object.assign(entry, { lease: undefined, due: this.#parts.now(), failures: 0, tried: false, rebound: false });
    this.#tell(entry.key, undefined);
  }

  #tell(key: string, lease: DhcpLease | undefined): void {
    for (const listener of this.#listeners) {
      // the lease is as it is, whatever a listener makes of it
      try {
        listener(key, lease);
      } catch (error) {
        for (const trouble of this.#troubles) trouble(key, error);
      }
    }
  }
}

/**
 * When a renewal that was not answered is tried again, ms since 1970: after half of the time left until T2, or until the
 * end, but not sooner than a minute (RFC 2131 section 4.4.5), or an eighth of that stretch where leases are short.
 */
export function nextAttempt(lease: DhcpLease, now: number): number {
  const [from, to] = now < lease.rebindAt ? [lease.renewAt, lease.rebindAt] : [lease.rebindAt, lease.expiresAt];
  const least = Math.min(60_000, Math.max(1000, (to - from) / 8));
  return Math.min(to, now + Math.max((to - now) / 2, least));
}

interface Entry {
  readonly key: string;
  readonly options: KeepOptions;
  lease: DhcpLease | undefined;
  due: number;
  failures: number;
  /** Its server was asked already, in vain: at the end of the lease nothing is left to try. */
  tried: boolean;
  /** Any server was. */
  rebound: boolean;
  abort: AbortController | undefined;
}

function later(ms: number, call: () => void): { cancel(): void } {
  const timer = setTimeout(call, ms).unref();
  return { cancel: () => clearTimeout(timer) };
}

/** Messages under way at the same time: after a restart everything may be due at once. */
const AT_ONCE = 128;
/** How long a renewal waits: two messages. */
const ANSWER_MS = 6000;
/** How long a new lease is waited for: four messages. */
const ACQUIRE_MS = 15_000;
const FIRST_RETRY = 10_000;
const LAST_RETRY = 300_000;
const HOUR = 3_600_000;
