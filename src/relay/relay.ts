import { type Ip, network, parseIp, parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { type Netns, relaySocketIn, RelayThreads, type RelayCounters, tunCreate } from '../kernel/index.ts';
import { type Behind, tableOf } from './table.ts';

export interface RelayOptions {
  /** Where device and sockets are; missing: this process's own. */
  readonly netns?: Netns;
  /** Name of the TUN device. One that is not there is made, and goes with the relay. */
  readonly device: string;
  /** Our own of the underlay, one a family at most: datagrams come to them, and go from them. */
  readonly addresses: readonly string[];
  /** The UDP port at each of them; flannel's is 8285. */
  readonly port: number;
  /** The device was deleted: the relay carries nothing any more, and is to be disposed of. */
  readonly lost?: () => void;
}

/** A prefix of addresses, and who has it. */
export interface RelayEntry {
  readonly prefix: string;
  /** The peer's address of the underlay, and its UDP port. */
  readonly address: string;
  readonly port: number;
}

/**
 * Carries IP packets between a TUN device and peers, each packet bare in a UDP datagram of its own, as flannel's backend
 * `udp` does. Packets go to the peer that has the longest prefix of their destination; those of a peer are taken when
 * their source is behind that very peer. Threads of the addon carry them, not the event loop.
 */
export class Relay implements Disposable {
  readonly #threads: RelayThreads;
  readonly #families: ReadonlySet<number>;
  readonly #entries = new Map<string, Behind>();

  private constructor(threads: RelayThreads, families: ReadonlySet<number>) {
    this.#threads = threads;
    this.#families = families;
  }

  /**
   * @throws SyscallError EBUSY (somebody else carries for that device), EADDRINUSE (the port is taken), EPERM, EINVAL (the
   * device is no TUN device); UnsupportedError without /dev/net/tun
   */
  static start({ netns, device, addresses, port, lost }: RelayOptions): Relay {
    const own = addresses.map(parseIp);
    const [v4, v6] = ([4, 6] as const).map((family) => own.filter((address) => address.family === family));
    if (own.length === 0 || v4!.length > 1 || v6!.length > 1)
      throw new NetloomError('EBADADDRESS', `a relay has one address a family, not ${addresses.join(', ') || 'none'}`);
    using tun = tunCreate(netns, device, { mode: 'tun' });
    using socket4 = v4![0] && relaySocketIn(netns, { address: v4![0].text, port });
    using socket6 = v6![0] && relaySocketIn(netns, { address: v6![0].text, port });
    const sockets = { ...(socket4 && { v4: socket4 }), ...(socket6 && { v6: socket6 }) };
    return new Relay(RelayThreads.start(netns, tun, sockets, lost), new Set(own.map(({ family }) => family)));
  }

  /** @throws NetloomError EBADPREFIX, EBADADDRESS, also for an address of a family that the relay has none of */
  set(prefix: string, address: string, port: number): void {
    const entry = this.#read({ prefix, address, port });
    this.#entries.set(entry.prefix.text, entry);
    this.#hand();
  }
  /** False where there was none. */
  delete(prefix: string): boolean {
    const had = this.#entries.delete(network(parsePrefix(prefix)).text);
    if (had) this.#hand();
    return had;
  }
  /** These and no others, in one step. @throws as `set`; then nothing is changed */
  replace(entries: readonly RelayEntry[]): void {
    const read = entries.map((entry) => this.#read(entry));
    this.#entries.clear();
    for (const entry of read) this.#entries.set(entry.prefix.text, entry);
    this.#hand();
  }
  stats(): RelayCounters {
    return this.#threads.counters();
  }

  [Symbol.dispose](): void {
    this.#threads.stop();
  }

  #hand(): void {
    this.#threads.table(tableOf([...this.#entries.values()]));
  }
  #read({ prefix, address, port }: RelayEntry): Behind {
    const at: Ip = parseIp(address);
    if (!this.#families.has(at.family))
      throw new NetloomError('EBADADDRESS', `the relay has no IPv${at.family} address from which to reach ${at.text}`);
    return { prefix: network(parsePrefix(prefix)), address: at, port };
  }
}
