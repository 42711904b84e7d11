import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ip, parseIp } from '../addr/index.ts';
import {
  endLoan,
  endWish,
  isTold,
  loanKey,
  ownerOf,
  partsOf,
  type PrefixClaim,
  SHARED,
  type SharedNetwork,
  type Wish,
  wishFor,
  wishKey,
} from '../cluster/index.ts';
import { NetloomError } from '../errors.ts';
import { leaseKey, LEASES } from '../ipam/index.ts';
import type { Network } from '../model/index.ts';
import type { Entry, ReadTx, SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';
import { Follower, type Reader } from './follow.ts';
import { BORROWED, borrowedKey, isWithin } from './lent.ts';
import type { Mirror } from './mirror.ts';
import { KEYS } from './records.ts';
import { Settling } from './settling.ts';

/** So long whoever is asked for an address has to answer, milliseconds. */
const DEADLINE = 5000;
/** After which what etcd did not take is tried again, milliseconds. */
const RETRY = 1000;

/**
 * Addresses of other hosts' parts that were asked for here: borrowed before an endpoint is made with one, given back when no
 * endpoint here has it any more. What etcd has forgotten is asked for again, and what somebody else has by then is told.
 */
export class Borrowing implements Reader, AsyncDisposable {
  readonly #core: Core;
  readonly #store: SharedStore;
  readonly #who: PrefixClaim;
  readonly #mirror: Mirror;
  readonly #settling: Settling;
  readonly #stop = new AbortController();
  /** For endpoints that are being made, and what is asked for again, by `borrowedKey`: how often. */
  readonly #asked = new Map<string, number>();
  /** Who waits for an answer, by the wish's key. */
  readonly #waiting = new Map<string, () => void>();
  /** Keys of this host's loans and wishes in etcd. */
  readonly #own = new Set<string>();
  /** What is borrowed, by the key of its lease. */
  readonly #leases = new Map<string, string>();
  #follower: Follower | undefined;

  constructor(core: Core, store: SharedStore, { node, nodeId }: PrefixClaim, mirror: Mirror) {
    this.#core = core;
    this.#store = store;
    this.#who = { node, nodeId };
    this.#mirror = mirror;
    this.#settling = new Settling(() => this.#settle(), RETRY);
  }

  /** The mirror has made of the records what there is of them here. */
  async begin(): Promise<void> {
    const reader: Reader = {
      load: (entries) => {
        this.#leases.clear();
        for (const { key } of entries) this.#noteBorrowed(key, true);
        this.#settling.kick();
      },
      change: (key, value) => {
        this.#noteBorrowed(key, value !== undefined);
        if (key.startsWith(BORROWED) || (value === undefined && this.#leases.has(key))) this.#settling.kick();
      },
      failed: (error) => this.#mirror.failed(error),
    };
    this.#follower = await Follower.start(this.#core.store, [BORROWED, LEASES], reader);
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#own.clear();
    const pending = new Set<string>();
    for (const { key, value } of entries) {
      this.#note(key, value);
      if (!isAnswered(value)) pending.add(key);
    }
    for (const [key, answered] of this.#waiting) if (!pending.has(key)) answered();
    if (this.#follower) this.#settling.kick();
  }
  change(key: string, value: unknown): void {
    const was = this.#own.has(key);
    this.#note(key, value);
    if ((was || this.#own.has(key)) && this.#follower) this.#settling.kick();
    if (isAnswered(value)) this.#waiting.get(key)?.();
  }
  failed(): void {
    // the mirror says so
  }

  /**
   * Borrows an address for as long as the result is not disposed of, and from then on while an endpoint here has it.
   * @returns undefined where its part is nobody's, or this host's own
   * @throws NetloomError EADDRTAKEN where its owner has it in use; ENODESILENT, naming the owner, where that does not answer;
   *   EETCDAWAY
   */
  async borrow(network: SharedNetwork, { text }: Ip): Promise<Disposable | undefined> {
    const asked = this.#ask(borrowedKey(network.id, text));
    try {
      // what is being given back is gone then
      await this.#settling.idle();
      if (await this.#obtain(network, text)) return asked;
      asked[Symbol.dispose]();
      return undefined;
    } catch (error) {
      asked[Symbol.dispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const answered of this.#waiting.values()) answered();
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#settling[Symbol.asyncDispose]();
  }

  #note(key: string, value: unknown): void {
    if (!key.startsWith(SHARED.loans) && !key.startsWith(SHARED.wishes)) return;
    if ((value as PrefixClaim | undefined)?.nodeId === this.#who.nodeId) this.#own.add(key);
    else this.#own.delete(key);
  }

  #noteBorrowed(key: string, there: boolean): void {
    if (!key.startsWith(BORROWED)) return;
    const { network, id: address } = partsOf(key, BORROWED);
    const lease = leaseKey(network, parseIp(address));
    if (there) this.#leases.set(lease, key);
    else this.#leases.delete(lease);
  }

  #ask(key: string): Disposable {
    this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#asked.get(key) ?? 1) - 1;
        if (left > 0) this.#asked.set(key, left);
        else this.#asked.delete(key);
        this.#settling.kick();
      },
    };
  }

  /** @returns false where there is nobody to be asked */
  async #obtain(network: SharedNetwork, address: string): Promise<boolean> {
    const request = randomUUID();
    const key = wishKey({ network: network.id, request });
    const answer = Promise.withResolvers<void>();
    this.#waiting.set(key, answer.resolve);
    const deadline = setTimeout(answer.resolve, DEADLINE);
    try {
      const wish = await this.#store.transact((tx) => wishFor(tx, network, address, this.#who, request));
      if (!wish) return false;
      if (!this.#stop.signal.aborted) await answer.promise;
      const outcome = await this.#store.transact((tx) => endWish(tx, wish));
      if (outcome === 'silent') throw silent(network, wish);
      if (outcome !== 'lent') throw taken(network, wish, outcome.refused);
      await this.#core.store.transact((tx) => tx.put(borrowedKey(network.id, address), 1));
      this.#noteBorrowed(borrowedKey(network.id, address), true);
      return true;
    } finally {
      clearTimeout(deadline);
      this.#waiting.delete(key);
    }
  }

  async #settle(): Promise<boolean> {
    let done = true;
    const one = async (body: () => Promise<void>): Promise<void> => {
      try {
        await body();
      } catch {
        // etcd is away, or the others are not told yet
        done = false;
      }
    };
    for (const key of await this.#unneeded()) await one(() => this.#forget(key));
    for (const key of this.#leases.values()) {
      const { network: id, id: address } = partsOf(key, BORROWED);
      const network = this.#mirror.network(id);
      const known = this.#own.has(loanKey(id, address));
      if (network && !known && !this.#asked.has(key)) void this.#askAgain(network, address);
    }
    for (const key of [...this.#own]) {
      if (key.startsWith(SHARED.wishes)) {
        // of an earlier life of this host
        if (!this.#waiting.has(key)) await one(() => this.#store.transact((tx) => tx.delete(key)));
        continue;
      }
      const { network, id: address } = partsOf(key, SHARED.loans);
      await one(() => this.#giveBack(network, address));
    }
    return done;
  }

  /** What is borrowed and no endpoint here has, or is in a part that is this host's own by now. */
  async #unneeded(): Promise<readonly string[]> {
    return await this.#core.store.read(async (tx) => {
      const keys: string[] = [];
      for (const key of this.#leases.values()) if (!this.#asked.has(key) && !(await isNeeded(tx, key))) keys.push(key);
      return keys;
    });
  }

  async #forget(key: string): Promise<void> {
    const forgotten = await this.#core.store.transact(async (tx) => {
      if (await isNeeded(tx, key)) return false;
      await tx.delete(key);
      return true;
    });
    if (!forgotten) return;
    const { network, id: address } = partsOf(key, BORROWED);
    this.#noteBorrowed(key, false);
    this.#mirror.faults.clear(nameOf(this.#mirror.network(network)?.name ?? network, address));
  }

  /** An endpoint here has it, and etcd does not know. */
  async #askAgain(network: SharedNetwork, address: string): Promise<void> {
    const what = nameOf(network.name, address);
    using _asked = this.#ask(borrowedKey(network.id, address));
    try {
      if (await this.#obtain(network, address)) this.#mirror.faults.clear(what);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#mirror.faults.note(what, error);
      await sleep(RETRY, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  /** Where nobody here needs it. What others still know an endpoint of this host by is kept until they are told. */
  async #giveBack(network: string, address: string): Promise<void> {
    const { node, nodeId } = this.#who;
    const key = borrowedKey(network, address);
    const shared = this.#mirror.network(network);
    if (!shared || this.#asked.has(key)) return; // it goes with the network
    if ((await this.#core.store.read((tx) => tx.get(key))) !== undefined) return;
    await this.#store.transact(async (tx) => {
      const own = (await ownerOf(tx, shared, parseIp(address)))?.nodeId === nodeId;
      if (!own && (await isTold(tx, network, node, address)))
        throw new NetloomError('EBUSY', `${nameOf(shared.name, address)} is being given back`);
      await endLoan(tx, network, address, nodeId);
    });
  }
}

/** An endpoint here has what is borrowed, and nothing else says that it may. */
async function isNeeded(tx: ReadTx, key: string): Promise<boolean> {
  const { network, id: address } = partsOf(key, BORROWED);
  const ip = parseIp(address);
  const here = await tx.get<Network>(KEYS.networks + network);
  return !isWithin(here?.overlay?.self.prefixes ?? [], ip) && (await tx.get(leaseKey(network, ip))) !== undefined;
}

function isAnswered(wish: unknown): boolean {
  return wish === undefined || (wish as Partial<Wish>).refused !== undefined;
}

function nameOf(network: string, address: string): string {
  return `address ${address} of network ${network}`;
}

function silent({ name }: SharedNetwork, { address, owner: { node } }: Wish): NetloomError {
  return new NetloomError(
    'ENODESILENT',
    `${nameOf(name, address)} is in a part that node ${node} gives out, which has not answered within ${DEADLINE / 1000} seconds`,
    { hint: `look at netloom node status on ${node}, or take another address` },
  );
}

function taken({ name }: SharedNetwork, { address, owner: { node } }: Wish, why: string): NetloomError {
  return new NetloomError('EADDRTAKEN', `${nameOf(name, address)} is taken on node ${node}: ${why}`, {
    hint: 'choose another, or leave it out to have a free one chosen',
  });
}
