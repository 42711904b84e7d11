import { once } from 'node:events';
import type { Netns } from '../../src/kernel/index.ts';
import { type Background, startIn } from './run.ts';
import { until, type WaitOptions } from './wait.ts';

/** From where to which address; for people, its name. */
export interface PingedWay {
  readonly from: Netns;
  readonly to: string;
  readonly name?: string;
}

/** What became of it. */
export interface Pinged {
  readonly sent: number;
  /** Packets that nobody answered, without those that were under way at the end. */
  readonly lost: number;
  /** `a to b: 7, 8`: their numbers. */
  readonly ways: readonly string[];
}

/** ping(8) on some ways at once, until it is stopped. */
export class Pinging implements AsyncDisposable {
  readonly #running: readonly { readonly name: string; readonly ping: Background }[];

  /** @param every seconds */
  constructor(ways: readonly PingedWay[], every = 0.05) {
    this.#running = ways.map(({ from, to, name = `to ${to}` }) => ({
      name,
      ping: startIn(from, ['ping', '-n', '-i', String(every), to]),
    }));
  }

  /** Resolves when each way has had some more answers. */
  async goesOn(options: WaitOptions = { timeout: 10_000 }): Promise<void> {
    const before = this.#running.map(({ ping }) => answered(ping).size);
    for (const [i, { name, ping }] of this.#running.entries())
      await until(`pings ${name} are answered`, () => answered(ping).size > (before[i] ?? 0) + 4, options);
  }

  async stop(): Promise<Pinged> {
    let sent = 0;
    let lost = 0;
    const ways: string[] = [];
    for (const { name, ping } of this.#running) {
      const end = once(ping.child, 'close');
      ping.child.kill('SIGINT');
      await end;
      const out = Number(/(\d+) packets transmitted/.exec(ping.output())?.[1]);
      const seen = answered(ping);
      const missing = Array.from({ length: out - 1 }, (_, k) => k + 1).filter((number) => !seen.has(number));
      sent += out;
      lost += missing.length;
      if (missing.length > 0) ways.push(`${name}: ${missing.join(', ')}`);
    }
    return { sent, lost, ways };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { ping } of this.#running) await ping[Symbol.asyncDispose]();
  }
}

function answered(ping: Background): ReadonlySet<number> {
  return new Set([...ping.output().matchAll(/bytes from .*icmp_seq=(\d+)/g)].map(([, number]) => Number(number)));
}
