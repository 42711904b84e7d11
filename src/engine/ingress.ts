import { endpointKey, type PortClaim, SHARED, type SharedEndpoint } from '../cluster/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import type { Endpoint, PublishedPort } from '../model/index.ts';
import type { Entry, SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';
import { Follower, type Reader } from './follow.ts';
import { everywhere, HELD, keysOf } from './ingress-ports.ts';
import type { Mirror } from './mirror.ts';
import { hostClaimant } from './ports.ts';
import { KEYS } from './records.ts';
import { Settling } from './settling.ts';

/** How many are claimed at once: etcd takes 128 operations. */
const BATCH = 40;
/** After which what etcd did not take is tried again, milliseconds. */
const RETRY = 1000;
/**
 * Which ports of every node are this node's: claimed before they are published, given back when no endpoint here has them
 * any more. What etcd has forgotten is claimed again, and what somebody else has by then is told.
 */
export class Ingress implements Reader, AsyncDisposable {
  readonly #core: Core;
  readonly #store: SharedStore;
  readonly #who: PortClaim;
  readonly #mirror: Mirror;
  readonly #settling: Settling;
  /** By endpoint. */
  readonly #wanted = new Map<string, readonly string[]>();
  /** By port: the endpoint that had it last, as others may know it yet. */
  readonly #last = new Map<string, string>();
  /** Of endpoints that are being made. */
  readonly #asked = new Map<string, number>();
  readonly #held = new Set<string>();
  #follower: Follower | undefined;

  private constructor(core: Core, store: SharedStore, who: PortClaim, mirror: Mirror) {
    this.#core = core;
    this.#store = store;
    this.#who = who;
    this.#mirror = mirror;
    this.#settling = new Settling(() => this.#settle(), RETRY);
  }

  static async start(core: Core, store: SharedStore, { node, nodeId }: PortClaim, mirror: Mirror): Promise<Ingress> {
    const ingress = new Ingress(core, store, { node, nodeId }, mirror);
    const there = await store.read((tx) => tx.list<PortClaim>(SHARED.ports));
    const own = there.flatMap(({ key, value }) => (value.nodeId === nodeId ? [key.slice(SHARED.ports.length)] : []));
    for (const key of own) ingress.#held.add(key);
    await core.store.transact(async (tx) => {
      for (const { key } of await tx.list(HELD)) await tx.delete(key);
      for (const key of own) await tx.put(HELD + key, 1);
    });
    ingress.#follower = await Follower.start(core.store, [KEYS.endpoints], ingress);
    return ingress;
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#wanted.clear();
    for (const { value } of entries) this.#note(value as Endpoint);
    this.#settling.kick();
  }
  change(key: string, value: unknown): void {
    const id = key.slice(KEYS.endpoints.length);
    const had = this.#wanted.get(id);
    if (value === undefined) this.#wanted.delete(id);
    else this.#note(value as Endpoint);
    if (had?.join() !== this.#wanted.get(id)?.join()) this.#settling.kick();
  }
  failed(error: unknown): void {
    this.#mirror.failed(error);
  }

  /**
   * Claims ports for as long as the result is not disposed of, and from then on while an endpoint here has them.
   * @throws NetloomError EPORTTAKEN naming the node that has one; EETCDAWAY
   */
  async claim(ports: readonly PublishedPort[]): Promise<Disposable> {
    const keys = keysOf(ports);
    for (const key of keys) this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1);
    const end = (): void => {
      for (const key of keys) {
        const left = (this.#asked.get(key) ?? 1) - 1;
        if (left > 0) this.#asked.set(key, left);
        else this.#asked.delete(key);
      }
      this.#settling.kick();
    };
    try {
      await this.#settling.run(() => this.#claim(keys));
      return { [Symbol.dispose]: end };
    } catch (error) {
      end();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#settling[Symbol.asyncDispose]();
  }

  #note({ id, network, ports }: Endpoint): void {
    const keys = everywhere({ ports });
    if (keys.length > 0) this.#wanted.set(id, keys);
    else this.#wanted.delete(id);
    for (const key of keys) this.#last.set(key, endpointKey({ network, node: this.#who.node, id }));
  }

  async #claim(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += BATCH) {
      const some = keys.slice(at, at + BATCH);
      for (let again = true; again;) {
        again = false;
        try {
          await this.#store.transact(async (tx) => {
            for (const key of some) {
              const claim = await tx.get<PortClaim>(SHARED.ports + key);
              if (claim && claim.nodeId !== this.#who.nodeId) throw takenBy(key, claim.node);
              if (!claim) await tx.create(SHARED.ports + key, this.#who);
            }
          });
        } catch (error) {
          if (!hasCode(error, 'EEXIST')) throw error; // another node was faster
          again = true;
        }
      }
      await this.#core.store.transact(async (tx) => {
        for (const key of some) await tx.put(HELD + key, 1);
      });
      for (const key of some) this.#held.add(key);
    }
  }

  /** Gives a port back that nobody here has. What others still know of is kept until they are told. */
  async #release(key: string): Promise<void> {
    const [protocol, port] = partsOf(key);
    const free = await this.#core.store.transact(async (tx) => {
      for (const hostAddress of ['0.0.0.0', '::']) {
        const claim = await hostClaimant(tx, { protocol, hostAddress, hostPort: port, containerPort: port, count: 1 });
        const endpoint = claim && (await tx.get<Endpoint>(KEYS.endpoints + claim.endpoint));
        // attached a moment ago, and not heard of yet
        if (endpoint && everywhere(endpoint).includes(key)) return false;
      }
      await tx.delete(HELD + key);
      return true;
    });
    if (!free) return;
    this.#held.delete(key);
    await this.#store.transact(async (tx) => {
      const last = this.#last.get(key);
      const told = last === undefined ? undefined : await tx.get<SharedEndpoint>(last);
      if (told?.ports && keysOf(told.ports).includes(key) && told.node === this.#who.node) {
        this.#held.add(key);
        throw new NetloomError('EBUSY', `port ${key} is being unpublished`);
      }
      if ((await tx.get<PortClaim>(SHARED.ports + key))?.nodeId === this.#who.nodeId)
        await tx.delete(SHARED.ports + key);
    });
    this.#last.delete(key);
  }

  #isWanted(key: string): boolean {
    return this.#asked.has(key) || [...this.#wanted.values()].some((keys) => keys.includes(key));
  }

  /** What is wanted is claimed, and what is not is given back. */
  async #settle(): Promise<boolean> {
    const wanted = new Set([...[...this.#wanted.values()].flat(), ...this.#asked.keys()]);
    let done = true;
    for (const key of [...wanted].filter((each) => !this.#held.has(each))) {
      const what = `port ${nameOf(key)} of every node`;
      try {
        await this.#claim([key]);
        this.#mirror.faults.clear(what);
      } catch (error) {
        done = false;
        this.#mirror.faults.note(what, error);
      }
    }
    for (const key of [...this.#held].filter((each) => !wanted.has(each))) {
      if (this.#isWanted(key)) continue;
      try {
        await this.#release(key);
      } catch {
        // etcd is away, or the others are not told yet
        this.#held.add(key);
        done = false;
      }
    }
    return done;
  }
}

function takenBy(key: string, node: string): NetloomError {
  return new NetloomError('EPORTTAKEN', `port ${nameOf(key)} of every node is published on node ${node}`, {
    hint: 'choose another port, or publish it on this host alone: mode=host',
  });
}

function partsOf(key: string): readonly [PublishedPort['protocol'], number] {
  const [protocol = 'tcp', port = '0'] = key.split('/');
  return [protocol as PublishedPort['protocol'], Number(port)];
}

/** `8080/tcp` */
function nameOf(key: string): string {
  const [protocol, port] = partsOf(key);
  return `${port}/${protocol}`;
}
