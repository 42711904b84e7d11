import type { Network, Peer } from '../model/index.ts';
import type { Entry } from '../store/index.ts';
import { PEERS } from './overlay.ts';
import { KEYS } from './records.ts';

/** The networks that hosts share and the other hosts of each, as somebody who follows the store has heard of them. */
export class OverlayRecords {
  /** Ready ones, by their id. */
  readonly networks: Map<string, Network> = new Map();
  readonly #peers = new Map<string, Map<string, Peer>>();

  /** Where the records lie. */
  static readonly ROOTS: readonly string[] = [KEYS.networks, PEERS];

  peersOf(id: string): readonly Peer[] {
    return [...(this.#peers.get(id)?.values() ?? [])];
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.networks.clear();
    this.#peers.clear();
    for (const { key, value } of entries) this.note(key, value);
  }

  /** @returns the network that it is about */
  note(key: string, value: unknown): string {
    if (key.startsWith(KEYS.networks)) {
      const id = key.slice(KEYS.networks.length);
      const network = value as Network | undefined;
      if (network?.overlay && network.phase === 'ready') this.networks.set(id, network);
      else this.networks.delete(id);
      return id;
    }
    const [id = '', node = ''] = key.slice(PEERS.length).split('/');
    const peers = this.#peers.get(id) ?? new Map<string, Peer>();
    this.#peers.set(id, peers);
    if (value === undefined) peers.delete(node);
    else peers.set(node, value as Peer);
    return id;
  }
}
