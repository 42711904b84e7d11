import { DYING_GROUP } from '../facts/index.ts';
import type { Netns } from '../kernel/index.ts';
import { NETLINK, NetlinkConn } from '../netlink/index.ts';
import { linkDelete, linkDump, linkSet, parseLink } from '../rtnetlink/index.ts';

/**
 * Deletes links together. Deleting one makes the kernel wait for an RCU grace period (some 30 ms, with the RTNL lock
 * held); deleting a thousand in one message waits once. So whatever is asked for while a deletion is under way is
 * collected, moved to a link group of the dying, and goes with the next message.
 */
export class Reaper implements Disposable {
  readonly #conn: NetlinkConn;
  #waiting = new Map<string, { resolve: () => void; reject: (error: unknown) => void }[]>();
  #running: Promise<void> | undefined;

  constructor(host: Netns) {
    // a connection of its own: it waits in the kernel, and nothing else should wait behind it
    this.#conn = NetlinkConn.open(NETLINK.ROUTE, host);
  }

  /** Links that wait for the next deletion. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** True while the kernel is deleting and holds the RTNL lock: others do better to wait on a thread. */
  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Resolves when the link of that name is gone; one that was not there is no error. */
  delete(ifname: string): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      const asked = this.#waiting.get(ifname) ?? [];
      asked.push({ resolve, reject });
      this.#waiting.set(ifname, asked);
    });
    // one turn of the loop, so that requests that came together go together
    this.#running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#run());
    return done;
  }

  /** Resolves when nothing is being deleted. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Deletes what an engine that was killed had given over to be deleted. */
  async sweep(): Promise<void> {
    const links = (await this.#conn.execute(linkDump())).map(parseLink);
    if (!links.some((link) => link.group === DYING_GROUP)) return;
    for (const { error } of await this.#conn.batch([linkDelete({ group: DYING_GROUP })], { lane: 'thread' })) {
      if (error && error.code !== 'ENODEV') throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch = this.#waiting;
      this.#waiting = new Map();
      try {
        await this.#delete([...batch.keys()]);
        for (const { resolve } of [...batch.values()].flat()) resolve();
      } catch (error) {
        for (const { reject } of [...batch.values()].flat()) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #delete(names: readonly string[]): Promise<void> {
    const [only] = names;
    const requests =
      names.length === 1 && only !== undefined
        ? [linkDelete({ name: only })]
        : [...names.map((name) => linkSet({ name }, { group: DYING_GROUP })), linkDelete({ group: DYING_GROUP })];
    for (const { error } of await this.#conn.batch(requests, { lane: 'thread' })) {
      if (error && error.code !== 'ENODEV') throw error;
    }
  }
}
