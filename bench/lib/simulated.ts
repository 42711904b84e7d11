import { parsePrefix } from '../../src/addr/index.ts';
import {
  type AliveRecord,
  claimPrefixes,
  endpointKey,
  FORMAT,
  type Member,
  type NodeRecord,
  nthPrefix,
  SHARED,
  type SharedEndpoint,
  type SharedNetwork,
} from '../../src/cluster/index.ts';
import { openEtcdStore, type SharedStore, type Tx } from '../../src/store/index.ts';
import { VERSION } from '../../src/version.ts';

/** Endpoints of each node. */
export const EACH = 100;
/** A transaction of etcd takes 128 writes. */
const AT_ONCE = 100;
const WRITERS = 4;

/** Nodes that only write what a real one would: their own record, their place in a network, and their endpoints. */
export class Simulated implements AsyncDisposable {
  readonly #stores: readonly SharedStore[];
  readonly #network: SharedNetwork;
  readonly #own: readonly string[];
  #count = 0;

  private constructor(stores: readonly SharedStore[], network: SharedNetwork, own: readonly string[]) {
    this.#stores = stores;
    this.#network = network;
    this.#own = own;
  }

  /** @param own prefixes of the real node */
  static async open(etcd: readonly string[], network: SharedNetwork, own: readonly string[]): Promise<Simulated> {
    const stores: SharedStore[] = [];
    for (let i = 0; i < WRITERS; i++) stores.push(await openEtcdStore({ endpoints: etcd }));
    return new Simulated(stores, network, own);
  }

  /** As many nodes as that, each with its endpoints. */
  async growTo(nodes: number): Promise<void> {
    const from = this.#count;
    this.#count = nodes;
    const each = async (store: SharedStore, writer: number): Promise<void> => {
      for (let i = from + writer; i < nodes; i += WRITERS) {
        await store.transact((tx) => this.#node(tx, i));
        for (let done = 0; done < EACH; done += AT_ONCE)
          await store.transact(async (tx) => {
            for (let k = done; k < Math.min(done + AT_ONCE, EACH); k++) await this.#endpoint(tx, i, k);
          });
      }
    };
    await Promise.all(this.#stores.map(each));
  }

  /** One endpoint more of the first node; its address. */
  async endpoint(k: number): Promise<string> {
    return await this.#stores[0]!.transact((tx) => this.#endpoint(tx, 0, EACH + k));
  }

  /** One node more; its prefix. */
  async node(): Promise<string> {
    const i = this.#count++;
    return await this.#stores[0]!.transact((tx) => this.#node(tx, i));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const store of this.#stores) await store[Symbol.asyncDispose]();
  }

  async #node(tx: Tx, i: number): Promise<string> {
    const name = `node${i}`;
    const addresses = [`172.16.${1 + (i >> 8)}.${i & 255}`];
    const node: NodeRecord = {
      ...{ name, id: `id${i}`, addresses, reason: 'simulated', dev: 'eth0', mtu: 1500 },
      ...{ version: VERSION, joined: '2026-01-01T00:00:00.000Z', format: FORMAT },
    };
    const prefix = this.#prefix(i);
    const { id, backend } = this.#network;
    const member: Member = { node: name, addresses, prefixes: [prefix], backend, mac: macOf(i, 0xffff) };
    await claimPrefixes(tx, this.#network, { node: name, nodeId: node.id }, [prefix]);
    await tx.put(SHARED.nodes + name, node);
    await tx.put(SHARED.alive + name, { id: node.id } satisfies AliveRecord);
    await tx.put(`${SHARED.members}${id}/${name}`, member);
    return prefix;
  }

  async #endpoint(tx: Tx, i: number, k: number): Promise<string> {
    const { id: network, plan, ranges } = this.#network;
    const id = `${i.toString(16).padStart(4, '0')}${k.toString(16).padStart(4, '0')}`.repeat(8);
    const { length } = parsePrefix(plan === 'flat' ? ranges[0]!.subnet : this.#prefix(i));
    const ip = nthPrefix(parsePrefix(this.#prefix(i)), 32, k + 2).address.text;
    const names = [`w${k}-node${i}`];
    const value: SharedEndpoint = {
      ...{ id, network, node: `node${i}`, addresses: [`${ip}/${length}`], mac: macOf(i, k), names },
    };
    await tx.put(endpointKey(value), value);
    return ip;
  }

  /** What the real node has is left out. */
  #prefix(i: number): string {
    const range = parsePrefix(this.#network.ranges[0]!.subnet);
    const length = this.#network.nodeLengths[0]!;
    const skipped = (index: number): boolean => this.#own.includes(nthPrefix(range, length, index).text);
    const at = i + 1;
    for (let index = 1; index <= at; index++) if (skipped(index)) return nthPrefix(range, length, at + 1).text;
    return nthPrefix(range, length, at).text;
  }
}

function macOf(i: number, k: number): string {
  const bytes = [2, 0, i >> 8, i & 255, k >> 8, k & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
