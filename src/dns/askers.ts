import { ipFromBytes } from '../addr/index.ts';
import type { Asker } from './types.ts';

/** A question of an asker that waits; the forwarder knows the rest of it. */
export interface Waiting {
  readonly asker: AskerState;
}

/** One asker with what it uses up. */
export class AskerState implements Asker {
  readonly network: string;
  readonly address: string;
  /** Questions that wait for upstream servers, the oldest first. */
  readonly waiting: Set<Waiting> = new Set();
  /** TCP connections. */
  connections = 0;
  /** Questions that got no answer because of a limit. */
  refused = 0;
  /** The batch of packets that `spent` counts in. */
  turn = 0;
  spent = 0;
  /** What the policy said last, and which group of servers that is. */
  upstreams: readonly string[] | undefined = undefined;
  group = 0;
  epoch = -1;

  constructor(network: string, address: string) {
    this.network = network;
    this.address = address;
  }
  get idle(): boolean {
    return this.waiting.size === 0 && this.connections === 0;
  }
}

/** Askers of one network that are remembered; addresses can be invented, so that more must not cost more. */
const REMEMBERED = 4096;
const AF_INET = 2;

/** The askers of one network, found by the address that the kernel puts beside a packet. */
export class Askers {
  readonly network: string;
  readonly #four = new Map<number, AskerState>();
  readonly #texts = new Map<string, AskerState>();
  #last: AskerState | undefined;
  #lastFour = -1;

  constructor(network: string) {
    this.network = network;
  }

  /** @param at where a struct sockaddr_in or sockaddr_in6 begins */
  ofPeer(peers: Uint8Array, at: number): AskerState {
    if (peers[at] !== AF_INET) return this.ofText(ipFromBytes(peers.subarray(at + 8, at + 24)).text);
    const key = peers[at + 4]! * 0x100_0000 + ((peers[at + 5]! << 16) | (peers[at + 6]! << 8) | peers[at + 7]!);
    if (key === this.#lastFour) return this.#last!;
    let asker = this.#four.get(key);
    if (asker === undefined) {
      asker = this.ofText(`${peers[at + 4]}.${peers[at + 5]}.${peers[at + 6]}.${peers[at + 7]}`);
      this.#four.set(key, asker);
    }
    this.#last = asker;
    this.#lastFour = key;
    return asker;
  }

  ofText(address: string): AskerState {
    let asker = this.#texts.get(address);
    if (asker === undefined) {
      if (this.#texts.size >= REMEMBERED) this.#forget();
      asker = new AskerState(this.network, address);
      this.#texts.set(address, asker);
    }
    return asker;
  }

  [Symbol.iterator](): Iterator<AskerState> {
    return this.#texts.values();
  }

  /** Whoever holds nothing is as good as new. */
  #forget(): void {
    for (const [text, asker] of this.#texts) if (asker.idle) this.#texts.delete(text);
    this.#four.clear();
    this.#last = undefined;
    this.#lastFour = -1;
    for (const asker of this.#texts.values()) {
      const ip = asker.address.split('.').map(Number);
      if (ip.length === 4) this.#four.set(ip[0]! * 0x100_0000 + ((ip[1]! << 16) | (ip[2]! << 8) | ip[3]!), asker);
    }
  }
}
