import { age, type Answer } from './answer.ts';

/** What a cached answer costs besides its records: the entry, its typed arrays, its place in the map, as the heap shows. */
const OVERHEAD = 720;

class Entry {
  readonly name: string;
  readonly tag: number;
  readonly answer: Answer;
  readonly size: number;
  /** Second in which it ends, and second that its TTLs are counted down to. */
  readonly ends: number;
  stamp: number;
  /** Asked for since the hand passed. */
  visited = false;
  /** The same name with another tag. */
  more: Entry | undefined;
  newer: Entry | undefined;
  older: Entry | undefined;

  constructor(name: string, tag: number, answer: Answer, now: number) {
    this.name = name;
    this.tag = tag;
    this.answer = answer;
    this.size = OVERHEAD + name.length + answer.records.length + answer.ttls.byteLength;
    this.stamp = now;
    this.ends = now + answer.life;
  }
}

export interface CacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  /** Given up for others before their time. */
  readonly evicted: number;
}

/**
 * Answers by name and tag (a number that stands for all the rest of the question), until their TTL is over. Bounded by
 * entries and by bytes; what goes first is what was not asked for since it came, so that names which are asked once
 * (a flood of random ones) do not drive out the others. Pure: told the time, in whole seconds that only grow.
 *
 * The order of eviction is SIEVE: a queue by age, and a hand that moves from old to new and takes the first entry that
 * was not asked for since it passed. A hit sets one flag, where LRU would move the entry.
 */
export class Cache {
  readonly #names = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #newest: Entry | undefined;
  #oldest: Entry | undefined;
  #hand: Entry | undefined;
  #entries = 0;
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  #evicted = 0;

  constructor(limits: { readonly entries: number; readonly bytes: number }) {
    this.#maxEntries = Math.max(1, limits.entries);
    this.#maxBytes = limits.bytes;
  }

  /** The answer with its TTLs counted down, or undefined. It is the cache's own: copy it out at once. */
  get(name: string, tag: number, now: number): Answer | undefined {
    for (let entry = this.#names.get(name); entry; entry = entry.more) {
      if (entry.tag !== tag) continue;
      if (entry.ends <= now) {
        this.#remove(entry);
        break;
      }
      if (entry.stamp !== now) {
        age(entry.answer, now - entry.stamp);
        entry.stamp = now;
      }
      entry.visited = true;
      this.#hits++;
      return entry.answer;
    }
    this.#misses++;
    return undefined;
  }

  /** Keeps an answer for its life, in place of the one before. The cache owns it from now on. */
  set(name: string, tag: number, answer: Answer, now: number): void {
    for (let old = this.#names.get(name); old; old = old.more) {
      if (old.tag === tag) {
        this.#remove(old);
        break;
      }
    }
    if (answer.life <= 0) return;
    const entry = new Entry(name, tag, answer, now);
    if (entry.size > this.#maxBytes / 16) return; // one giant is not worth many others
    entry.more = this.#names.get(name);
    this.#names.set(name, entry);
    entry.older = this.#newest;
    if (this.#newest) this.#newest.newer = entry;
    else this.#oldest = entry;
    this.#newest = entry;
    this.#entries++;
    this.#bytes += entry.size;
    while (this.#entries > this.#maxEntries || this.#bytes > this.#maxBytes) this.#evict(now);
  }

  clear(): void {
    this.#names.clear();
    this.#newest = this.#oldest = this.#hand = undefined;
    this.#entries = this.#bytes = 0;
  }

  stats(): CacheStats {
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      hits: this.#hits,
      misses: this.#misses,
      evicted: this.#evicted,
    };
  }

  #evict(now: number): void {
    let hand = this.#hand ?? this.#oldest!;
    while (hand.visited && hand.ends > now) {
      hand.visited = false;
      hand = hand.newer ?? this.#oldest!;
    }
    this.#hand = hand;
    if (hand.ends > now) this.#evicted++;
    this.#remove(hand);
  }

  #remove(entry: Entry): void {
    const first = this.#names.get(entry.name);
    if (first === entry) {
      if (entry.more) this.#names.set(entry.name, entry.more);
      else this.#names.delete(entry.name);
    } else {
      let before = first!;
      while (before.more !== entry) before = before.more!;
      before.more = entry.more;
    }
    if (this.#hand === entry) this.#hand = entry.newer;
    if (entry.newer) entry.newer.older = entry.older;
    else this.#newest = entry.older;
    if (entry.older) entry.older.newer = entry.newer;
    else this.#oldest = entry.newer;
    this.#entries--;
    this.#bytes -= entry.size;
  }
}
