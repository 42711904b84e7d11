import { parseServer, type ServerAddress } from './exchange.ts';

/** Milliseconds until a server that was silent is tried first again. */
const REST = 5000;
/** Groups and servers remembered; settings change, and what they were must not pile up. */
const REMEMBERED = 512;

/** An upstream server with what we know of it. */
export class Server {
  readonly at: ServerAddress;
  /** Milliseconds to an answer, smoothed; 0 before the first. */
  #usual = 0;
  #silent = 0;
  #restsUntil = 0;

  constructor(at: ServerAddress) {
    this.at = at;
  }

  answered(milliseconds: number): void {
    this.#silent = 0;
    this.#restsUntil = 0;
    this.#usual = this.#usual === 0 ? milliseconds : this.#usual * 0.875 + milliseconds * 0.125;
  }
  /** @param refused nobody listens there: no need to wait for a second time */
  missed(now: number, refused: boolean): void {
    if (++this.#silent >= 2 || refused) this.#restsUntil = now + REST;
  }
  rests(now: number): boolean {
    return this.#restsUntil > now;
  }
  /** Milliseconds until another one is asked beside it. */
  get patience(): number {
    return this.#usual === 0 ? 1000 : Math.min(Math.max(this.#usual * 4, 250), 1000);
  }
}

/** Lists of servers, as numbers: answers of one list are not for those who ask another. */
export class ServerGroups {
  readonly #ours: (server: ServerAddress) => boolean;
  readonly #groups = new Map<string, number>();
  readonly #servers = new Map<string, Server>();
  /** Numbers are good within one epoch. */
  epoch = 0;

  /** @param ours tells a listener of our own, which must never be asked: the question would come back for ever */
  constructor(ours: (server: ServerAddress) => boolean) {
    this.#ours = ours;
  }

  /** 0 to 511; the same for an equal list. */
  of(list: readonly string[]): number {
    const key = list.join(' ');
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= REMEMBERED) {
        this.#groups.clear();
        this.epoch++;
      }
      group = this.#groups.size;
      this.#groups.set(key, group);
    }
    return group;
  }

  /** In the order to ask them: as listed, those that were silent lately behind the others. */
  order(list: readonly string[], now: number): Server[] {
    const servers: Server[] = [];
    for (const text of list) {
      const server = this.#server(text);
      if (server && !this.#ours(server.at)) servers.push(server);
    }
    return [...servers.filter((s) => !s.rests(now)), ...servers.filter((s) => s.rests(now))];
  }

  #server(text: string): Server | undefined {
    let server = this.#servers.get(text);
    if (server === undefined) {
      const at = parseServer(text);
      if (at === undefined) return undefined;
      if (this.#servers.size >= REMEMBERED) this.#servers.clear();
      server = new Server(at);
      this.#servers.set(text, server);
    }
    return server;
  }
}
