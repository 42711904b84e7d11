import type { Netns } from '../kernel/index.ts';
import { NETLINK, NetlinkConn, NetlinkError } from '../netlink/index.ts';
import {
  conntrackDelete,
  conntrackDump,
  type ConntrackEntry,
  type ConntrackFilter,
  conntrackGet,
  decodeConntrack,
} from './entry.ts';
import { type ConntrackTuple, fits } from './tuple.ts';

/** The connections that one namespace tracks. */
export class ConntrackConn implements Disposable {
  readonly #conn: NetlinkConn;

  private constructor(conn: NetlinkConn) {
    this.#conn = conn;
  }

  /** @param netns the namespace it belongs to; this process's own without one. @throws SyscallError */
  static open(netns?: Netns): ConntrackConn {
    return new ConntrackConn(NetlinkConn.open(NETLINK.NETFILTER, netns));
  }

  /** Every entry that the filter lets through. */
  async dump(filter: ConntrackFilter = {}): Promise<ConntrackEntry[]> {
    const entries: ConntrackEntry[] = [];
    for (const message of await this.#conn.execute(conntrackDump(filter))) {
      const entry = decodeConntrack(message)?.entry;
      if (!entry || (filter.family !== undefined && entry.family !== filter.family)) continue;
      if (filter.zone !== undefined && entry.zone !== filter.zone) continue;
      if (filter.orig && !fits(filter.orig, entry.orig)) continue;
      if (!filter.reply || fits(filter.reply, entry.reply)) entries.push(entry);
    }
    return entries;
  }

  /** The entry of a packet, of either direction; undefined where there is none. */
  async get(tuple: ConntrackTuple, zone?: number): Promise<ConntrackEntry | undefined> {
    try {
      for (const message of await this.#conn.execute(conntrackGet(tuple, zone))) {
        const event = decodeConntrack(message);
        if (event) return event.entry;
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    return undefined;
  }

  /** Forgets one connection; false where it was gone already. */
  async delete(entry: Pick<ConntrackEntry, 'orig'> & Partial<ConntrackEntry>): Promise<boolean> {
    return (await this.#deleteAll([entry])) === 1;
  }

  /** Forgets connections; how many were still there. */
  async deleteEach(entries: readonly (Pick<ConntrackEntry, 'orig'> & Partial<ConntrackEntry>)[]): Promise<number> {
    return await this.#deleteAll(entries);
  }

  /** Forgets every connection that `predicate` is true for; how many there were. */
  async deleteMatching(predicate: (entry: ConntrackEntry) => boolean, filter: ConntrackFilter = {}): Promise<number> {
    return this.#deleteAll((await this.dump(filter)).filter(predicate));
  }

  close(): void {
    this.#conn.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #deleteAll(entries: readonly (Pick<ConntrackEntry, 'orig'> & Partial<ConntrackEntry>)[]): Promise<number> {
    let deleted = 0;
    for (const { error } of await this.#conn.batch(entries.map(conntrackDelete))) {
      if (!error) deleted++;
      else if (!isGone(error)) throw error;
    }
    return deleted;
  }
}

/** As the method, for a connection at hand. */
export function deleteMatching(
  conn: ConntrackConn,
  predicate: (entry: ConntrackEntry) => boolean,
  filter?: ConntrackFilter,
): Promise<number> {
  return conn.deleteMatching(predicate, filter);
}

function isGone(error: unknown): boolean {
  return error instanceof NetlinkError && error.code === 'ENOENT';
}
