import { DYING_GROUP } from '../facts/index.ts';
import type { Netns } from '../kernel/index.ts';
import { NETLINK, NetlinkConn, type NetlinkError, type Reply, type Request } from '../netlink/index.ts';
import { linkDelete, linkDump, linkSet, parseLink } from '../rtnetlink/index.ts';

/** One deletion on the host: what is asked of the kernel, and the link's name where it is a link that goes. */
export interface Doomed {
  readonly request: Request;
  readonly link: string | undefined;
}

/**
 * Deletes links together, with what goes before them. Deleting one makes the kernel wait for an RCU grace period (some
 * 30 ms, with the RTNL lock held); deleting a thousand in one message waits once. So whatever is asked for while a deletion
 * is under way is collected, its links are moved to a link group of the dying, and it goes with the next message.
 */
export class Reaper implements Disposable {
  readonly #conn: NetlinkConn;
  #waiting: Order[] = [];
  #running: Promise<void> | undefined;

  constructor(host: Netns) {
    // a connection of its own: it waits in the kernel, and nothing else should wait behind it
    this.#conn = NetlinkConn.open(NETLINK.ROUTE, host);
  }

  /** Links that wait for the next deletion. */
  get waiting(): number {
    return this.#waiting.reduce((sum, { doomed }) => sum + doomed.filter(({ link }) => link !== undefined).length, 0);
  }

  /** True while the kernel is deleting and holds the RTNL lock: others do better to wait on a thread. */
  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Deletions that belong together; what came of each, in their order, once all of them were tried. */
  readonly reap = (doomed: readonly Doomed[]): Promise<readonly Reply[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Reply[]>();
    this.#waiting.push({ doomed, resolve, reject });
    // one turn of the loop, so that requests that came together go together
    this.#running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#run());
    return promise;
  };

  /** Resolves when nothing is being deleted. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Deletes what an engine that was killed had given over to be deleted. */
  async sweep(): Promise<void> {
    const links = (await this.#conn.execute(linkDump())).map(parseLink);
    if (!links.some((link) => link.group === DYING_GROUP)) return;
    const error = await this.#deleteDying();
    if (error) throw error;
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const orders = this.#waiting;
      this.#waiting = [];
      try {
        const replies = await this.#delete(orders.flatMap(({ doomed }) => doomed));
        let at = 0;
        for (const { doomed, resolve } of orders) resolve(replies.slice(at, (at += doomed.length)));
      } catch (error) {
        for (const { reject } of orders) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #delete(doomed: readonly Doomed[]): Promise<readonly Reply[]> {
    const links = doomed.filter(({ link }) => link !== undefined).length;
    if (links <= 1) {
      const requests = doomed.map(({ request }) => request);
      return await this.#conn.batch(requests, { lane: 'thread' });
    }
    const moved = doomed.map(({ request, link }) =>
      link === undefined ? request : linkSet({ name: link }, { group: DYING_GROUP }),
    );
    const replies = await this.#conn.batch(moved, { lane: 'thread' });
    const error = await this.#deleteDying();
    if (error === undefined) return replies;
    return replies.map((reply, i) => (doomed[i]?.link === undefined || reply.error ? reply : { ...reply, error }));
  }

  async #deleteDying(): Promise<NetlinkError | undefined> {
    const [reply] = await this.#conn.batch([linkDelete({ group: DYING_GROUP })], { lane: 'thread' });
    // another engine was quicker
    return reply?.error?.code === 'ENODEV' ? undefined : reply?.error;
  }
}

interface Order {
  readonly doomed: readonly Doomed[];
  resolve(replies: readonly Reply[]): void;
  reject(error: unknown): void;
}
