import { parseIp } from '../addr/index.ts';
import {
  type Answer,
  endLoan,
  isTold,
  lend,
  type Loan,
  loanKey,
  type NodeRecord,
  type PrefixClaim,
  putBackLoan,
  refuse,
  SHARED,
  type SharedNetwork,
  type Wish,
} from '../cluster/index.ts';
import type { Network } from '../model/index.ts';
import type { Entry, SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';
import type { Reader } from './follow.ts';
import { isWithin, LENT, type Lent } from './lent.ts';
import { GRACE, type Mirror } from './mirror.ts';
import { KEYS } from './records.ts';
import { setAside, takeBack } from './set-aside.ts';
import { Settling } from './settling.ts';
import { TAKING } from './shared-networks.ts';

/** After which what cannot be answered yet is tried again, milliseconds. */
const RETRY = 250;
/** So long a wish is kept that this host is not ready to answer, milliseconds. */
const PATIENCE = 4000;

/**
 * Addresses of this host's parts that others ask for: lent where nobody has them here, and kept for the borrower until it
 * gives them back. First it is written here that an address is lent, then in etcd; so nobody is ever told of an address that
 * may be given out.
 */
export class Lending implements Reader, AsyncDisposable {
  readonly #core: Core;
  readonly #store: SharedStore;
  readonly #who: PrefixClaim;
  readonly #mirror: Mirror;
  readonly #settling: Settling;
  /** Keys of loans that were taken away while this host looked, and the ids of the nodes that had them. */
  readonly #ended = new Map<string, string>();
  /** What this host is asked for and has not answered, by key, and since when. */
  readonly #wishes = new Map<string, { readonly wish: Wish; readonly since: number }>();
  #loaded = 0;
  #begun = false;

  constructor(core: Core, store: SharedStore, { node, nodeId }: PrefixClaim, mirror: Mirror) {
    this.#core = core;
    this.#store = store;
    this.#who = { node, nodeId };
    this.#mirror = mirror;
    this.#settling = new Settling(() => this.#settle(), RETRY);
  }

  /** The mirror has made of the records what there is of them here. */
  begin(): void {
    this.#begun = true;
    this.#settling.kick();
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#ended.clear();
    this.#wishes.clear();
    this.#loaded = performance.now();
    for (const { key, value } of entries) this.#note(key, value);
    if (this.#begun) this.#settling.kick();
  }
  /** Told before the mirror is. */
  change(key: string, value: unknown): void {
    if (this.#note(key, value) && this.#begun) this.#settling.kick();
  }
  failed(): void {
    // the mirror says so
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settling[Symbol.asyncDispose]();
  }

  /** @returns whether it is about what this host may have to do */
  #note(key: string, value: unknown): boolean {
    if (key.startsWith(SHARED.loans)) {
      const before = this.#mirror.records.get(key) as Loan | undefined;
      if (value === undefined && before) this.#ended.set(key, before.nodeId);
      else this.#ended.delete(key);
      return true;
    }
    if (!key.startsWith(SHARED.wishes)) return key.startsWith(SHARED.nodes) && value === undefined;
    const wish = value as Wish | undefined;
    const asked = wish?.owner.nodeId === this.#who.nodeId && wish.refused === undefined;
    if (asked) this.#wishes.set(key, { wish, since: performance.now() });
    else this.#wishes.delete(key);
    return asked;
  }

  async #settle(): Promise<boolean> {
    const kept = await this.#settleLoans();
    return (await this.#answerWishes()) && kept;
  }

  /** What is lent here and what etcd says of it is the same again. */
  async #settleLoans(): Promise<boolean> {
    const ended = [...this.#ended.keys()];
    const here = await this.#core.store.read((tx) => tx.list<Lent>(LENT));
    let done = true;
    for (const { key, value } of here) {
      const network = this.#mirror.network(key.slice(LENT.length));
      if (!network) continue; // it goes with the network
      for (const [address, loan] of Object.entries(value))
        if (!(await this.#settleLoan(network, address, loan))) done = false;
    }
    for (const key of ended) this.#ended.delete(key);
    return done;
  }

  async #settleLoan(network: SharedNetwork, address: string, loan: Loan): Promise<boolean> {
    const key = loanKey(network.id, address);
    const there = this.#mirror.records.has(key);
    const borrower = this.#mirror.records.get(SHARED.nodes + loan.node) as NodeRecord | undefined;
    const known = borrower?.id === loan.nodeId;
    if (there && known) return true;
    if (this.#ended.get(key) !== loan.nodeId) {
      if (known) {
        // whoever does not need it any more gives it back
        await this.#store.transact((tx) => putBackLoan(tx, network, address, loan, this.#who));
        return true;
      }
      // it may be about to write itself down again
      if (performance.now() - this.#loaded < GRACE) return false;
      await this.#store.transact((tx) => endLoan(tx, network.id, address, loan.nodeId));
    }
    // of loans of its parts this host alone makes new ones, one thing after another
    const gone = await this.#store.read(async (tx) => (await tx.get(key)) === undefined);
    if (gone) await this.#core.store.transact((tx) => takeBack(tx, network.id, address));
    return true;
  }

  async #answerWishes(): Promise<boolean> {
    let done = true;
    for (const { wish, since } of [...this.#wishes.values()]) if (!(await this.#answer(wish, since))) done = false;
    return done;
  }

  /** @returns false where it is to be looked at again */
  async #answer(wish: Wish, since: number): Promise<boolean> {
    const network = this.#mirror.network(wish.network);
    if (!network) return true; // it goes with the network
    const { node, nodeId, address } = wish;
    // what the host itself speaks from is chosen in the same turn
    const aside = await this.#core.turns.run(TAKING, () =>
      this.#core.store.transact(async (tx) => {
        const here = await tx.get<Network>(KEYS.networks + network.id);
        const own = isWithin(here?.overlay?.self.prefixes ?? [], parseIp(address));
        return here && own ? await setAside(tx, here, address, { node, nodeId }) : 'later';
      }),
    );
    const answer = typeof aside === 'object' || aside === 'later' ? aside : await this.#lend(network, wish);
    if (answer === 'lent') return true;
    if (aside === 'new') await this.#core.store.transact((tx) => takeBack(tx, network.id, address));
    if (answer === 'silent') return true;
    if (answer === 'later' && performance.now() - since < PATIENCE) return false;
    const refused = answer === 'later' ? `node ${this.#who.node} is not ready to lend it` : answer.refused;
    await this.#store.transact((tx) => refuse(tx, wish, refused));
    return true;
  }

  /** Not while others may still know an endpoint of this host by the address that nobody here has any more. */
  #lend(network: SharedNetwork, wish: Wish): Promise<Answer | 'later'> {
    return this.#store.transact(async (tx) =>
      (await isTold(tx, network.id, this.#who.node, wish.address)) ? 'later' : await lend(tx, network, wish),
    );
  }
}
