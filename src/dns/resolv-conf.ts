import { type FSWatcher, existsSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { UpstreamSource } from './types.ts';

/** Where systemd-resolved, which is at 127.0.0.53 itself, writes the servers that it asks. */
const RESOLVED = '/run/systemd/resolve/resolv.conf';
const STUBS: readonly string[] = ['127.0.0.53', '127.0.0.54'];
/** What resolv.conf(5) says of a file without a server. */
const NOBODY: readonly string[] = ['127.0.0.1'];
const MOST = 8;

export interface ResolvConfOptions {
  /** Default /etc/resolv.conf. */
  readonly path?: string;
  /** What to read where `path` names nobody but the stub of systemd-resolved. */
  readonly resolved?: string;
}

/** The servers of a resolv.conf, in its order. @see resolv.conf(5) */
export function parseResolvConf(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.split('\n')) {
    const [, server] = /^nameserver[ \t]+([^\s#;]+)/.exec(line) ?? [];
    if (server !== undefined && !servers.includes(server) && servers.length < MOST) servers.push(server);
  }
  return servers;
}

/**
 * The host's servers, followed: the file may be written in place, replaced by another, or be a link that leads somewhere
 * else from now on. Every directory on the way is watched, and the file, for it may be a mount of its own; where no
 * watch can be had (ENOSPC), the file is read anew every few seconds of use.
 */
export class ResolvConf implements UpstreamSource {
  readonly #path: string;
  readonly #resolved: string;
  #watches: FSWatcher[] = [];
  #servers: readonly string[] = NOBODY;
  #timer: NodeJS.Timeout | undefined;
  #read = 0;
  #closed = false;

  constructor({ path = '/etc/resolv.conf', resolved = RESOLVED }: ResolvConfOptions = {}) {
    this.#path = resolve(path);
    this.#resolved = resolve(resolved);
    this.#look(false);
  }

  /** The same array as long as nothing changes. */
  servers(): readonly string[] {
    const now = performance.now();
    if (now - this.#read > RECHECK) this.#take(this.#readAll());
    return this.#servers;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watches.splice(0)) watcher.close();
  }

  #look(again: boolean): void {
    if (this.#closed) return;
    for (const watcher of this.#watches.splice(0)) watcher.close();
    const names = this.#watch();
    const found = this.#readAll();
    // a file that is just being written is empty for a moment
    if (found.length === 0 && this.#servers !== NOBODY && !again) return this.#later(EMPTY, true);
    this.#take(found);
    // a link may have been turned between the watch and the reading
    if (names !== this.#ways().join()) this.#later(SETTLE, false);
  }

  #later(milliseconds: number, again: boolean): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(again), milliseconds).unref();
  }

  #readAll(): string[] {
    this.#read = performance.now();
    const servers = parseResolvConf(readText(this.#path));
    if (servers.length === 0 || !servers.every((server) => STUBS.includes(server))) return servers;
    const real = parseResolvConf(readText(this.#resolved)).filter((server) => !STUBS.includes(server));
    return real.length > 0 ? real : servers; // the stub answers us as well: we ask from the host's own namespace
  }

  #take(found: readonly string[]): void {
    const servers = found.length > 0 ? found : NOBODY;
    if (servers.join() !== this.#servers.join()) this.#servers = servers;
  }

  #watch(): string {
    const ways = this.#ways();
    const places = new Map<string, Set<string>>();
    for (const way of ways) {
      let directory = dirname(way);
      let name = basename(way);
      while (!existsSync(directory) && directory !== '/') {
        name = basename(directory);
        directory = dirname(directory);
      }
      places.set(directory, (places.get(directory) ?? new Set()).add(name));
    }
    for (const [directory, names] of places) this.#add(directory, (name) => name === null || names.has(name));
    for (const way of ways) if (existsSync(way)) this.#add(way, () => true);
    return ways.join();
  }

  #add(path: string, concerns: (name: string | null) => boolean): void {
    try {
      const watcher = watch(path, { persistent: false }, (_, name) => {
        if (concerns(name)) this.#later(SETTLE, false);
      });
      watcher.on('error', () => watcher.close());
      this.#watches.push(watcher);
    } catch {
      // no watch to be had: `servers` looks by itself
    }
  }

  /** The paths whose change may change the answer: each link of the way, and its end. */
  #ways(): string[] {
    const ways: string[] = [];
    for (const start of [this.#path, this.#resolved]) {
      let path = start;
      for (let links = 0; links < 8 && !ways.includes(path); links++) {
        ways.push(path);
        try {
          path = resolve(dirname(path), readlinkSync(path));
        } catch {
          break; // EINVAL: no link; ENOENT
        }
      }
    }
    return ways;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Milliseconds: between a change and the reading, so that a change in several steps is read once; until an empty file is
 * believed; until it is read without being told. */
const SETTLE = 10;
const EMPTY = 100;
const RECHECK = 5000;
