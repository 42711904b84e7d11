import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { NetloomError } from '../errors.ts';
import type { AcquireOptions, DhcpOptions } from './client.ts';
import { DhcpError } from './errors.ts';
import { DhcpKeeper, nextAttempt } from './keeper.ts';
import { type DhcpLease, FOREVER } from './lease.ts';

/** A lease of 1000 seconds from `at`. */
function lease(at: number, more: Partial<DhcpLease> = {}): DhcpLease {
  return {
    ...{ address: '10.0.0.5/24', routes: [], dns: [], search: [], server: '10.0.0.1', serverMac: '' },
    ...{ obtained: at, renewAt: at + 500_000, rebindAt: at + 875_000, expiresAt: at + 1_000_000 },
    ...more,
  };
}

/** A keeper whose clock, sockets and timer are the test's. */
class Bench {
  now = 0;
  readonly log: string[] = [];
  #timers: { at: number; call: () => void }[] = [];
  /** What servers say; an error is thrown. */
  answer: (what: 'renew' | 'acquire', options: DhcpOptions | AcquireOptions) => DhcpLease | Error | Promise<DhcpLease> =
    () => new DhcpError('silence');
  opened = 0;
  readonly keeper: DhcpKeeper;
  readonly options = {
    ...{ ifname: 'eth0', mac: '02:00:00:00:00:01', clientId: 'x' },
    netns: () => {
      this.opened++;
      return { [Symbol.dispose]: () => void this.opened-- } as never;
    },
  };

  constructor() {
    const ask = async (what: 'renew' | 'acquire', options: DhcpOptions | AcquireOptions): Promise<DhcpLease> => {
      const wish = 'requested' in options ? ` ${options.requested}` : '';
      this.log.push(`${this.now / 1000}: ${what}${wish} for ${options.timeoutMs} ms`);
      const said = await this.answer(what, options);
      if (said instanceof Error) throw said;
      return said;
    };
    this.keeper = new DhcpKeeper({
      now: () => this.now,
      renew: (_, options) => ask('renew', options),
      acquire: (options) => ask('acquire', options),
      later: (ms, call) => {
        const timer = { at: this.now + ms, call };
        this.#timers.push(timer);
        return { cancel: () => void (this.#timers = this.#timers.filter((t) => t !== timer)) };
      },
    });
    this.keeper.onChange((key, now) => this.log.push(`${this.now / 1000}: ${key} ${now?.address ?? 'lost'}`));
    this.keeper.onTrouble((key, error) => this.log.push(`${this.now / 1000}: ${key} ${(error as Error).message}`));
  }
  get timers(): number {
    return this.#timers.length;
  }
  /** Moves the clock to `to` seconds, with everything that is due on the way. */
  async run(to: number): Promise<string[]> {
    for (;;) {
      await turn();
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (!next || next.at > to * 1000) break;
      this.now = Math.max(this.now, next.at);
      this.#timers = this.#timers.filter((t) => t !== next);
      next.call();
    }
    this.now = to * 1000;
    return this.log.splice(0);
  }
}

test('renewed at T1, again and again; nothing before, one timer for all', async () => {
  using bench = Object.assign(new Bench(), { [Symbol.dispose]: () => undefined });
  bench.answer = () => lease(bench.now);
  bench.keeper.add('a', lease(0), bench.options);
  bench.keeper.add('b', lease(-100_000), bench.options);
  assert.deepEqual(await bench.run(399), []);
  assert.equal(bench.timers, 1);
  assert.deepEqual(await bench.run(600), [
    '400: renew for 6000 ms',
    '400: b 10.0.0.5/24',
    '500: renew for 6000 ms',
    '500: a 10.0.0.5/24',
  ]);
  assert.equal(bench.keeper.get('a')?.obtained, 500_000);
  bench.keeper.remove('b');
  assert.deepEqual(await bench.run(1600), [
    '1000: renew for 6000 ms',
    '1000: a 10.0.0.5/24',
    '1500: renew for 6000 ms',
    '1500: a 10.0.0.5/24',
  ]);
  assert.equal(bench.opened, 0, 'every namespace that was opened is closed');
  bench.keeper[Symbol.dispose]();
  assert.deepEqual([bench.timers, bench.keeper.size], [0, 0]);
});

test('silence: half of what is left, any server from T2 on, lost at the end, then asked for anew with longer pauses', async () => {
  const bench = new Bench();
  bench.keeper.add('a', lease(0), bench.options);
  const log = await bench.run(1100);
  const at = (word: string): number[] => log.filter((l) => l.includes(word)).map((l) => Number.parseFloat(l));
  assert.deepEqual(at('renew').map(Math.round), [500, 688, 781, 828, 875, 938, 969, 984]);
  assert.deepEqual(at('lost'), [1000]);
  // at 1000 at once, then after 10, 20 and 40 s
  assert.deepEqual(at('acquire'), [1000, 1010, 1030, 1070]);
  assert.equal(log.filter((l) => l.includes('silence')).length, 12);
  bench.answer = () => lease(bench.now, { address: '10.0.0.77/24' });
  assert.deepEqual((await bench.run(1160)).slice(-1), ['1150: a 10.0.0.77/24']);
  bench.answer = () => new DhcpError('silence');
  bench.keeper.remove('a');
  assert.deepEqual(await bench.run(9000), []);
});

test('a short lease whose server is silent: T1, T2, and lost when it ends, not later', async () => {
  const bench = new Bench();
  bench.answer = (_, { timeoutMs = 0 }) => {
    bench.now += timeoutMs + 3; // a timer is late
    return new DhcpError('silence');
  };
  bench.keeper.add('a', lease(0, { renewAt: 2000, rebindAt: 3500, expiresAt: 4000 }), bench.options);
  assert.deepEqual((await bench.run(4.5)).slice(0, 5), [
    ...['2: renew for 1500 ms', '3.503: a silence', '3.503: renew for 497 ms', '4.003: a silence', '4.003: a lost'],
  ]);
});

test('refused: lost at once, and another lease at once', async () => {
  const bench = new Bench();
  bench.answer = (what) =>
    what === 'renew' ? new DhcpError('no', { refused: true }) : lease(bench.now, { address: '10.0.0.9/24' });
  bench.keeper.add('a', lease(0), bench.options);
  assert.deepEqual(await bench.run(501), [
    ...['500: renew for 6000 ms', '500: a no', '500: a lost', '500: acquire for 15000 ms', '500: a 10.0.0.9/24'],
  ]);
});

test('a record of an earlier process: overdue is renewed now, run out is asked for again first', async () => {
  for (const [answer, told] of [
    ['10.0.0.5/24', ['a 10.0.0.5/24']],
    ['10.0.0.9/24', ['a lost', 'a 10.0.0.9/24']],
  ] as const) {
    const bench = new Bench();
    bench.answer = () => lease(bench.now, { address: answer });
    bench.keeper.add('a', lease(-2_000_000), bench.options);
    assert.deepEqual(await bench.run(1), ['0: acquire 10.0.0.5 for 15000 ms', ...told.map((line) => `0: ${line}`)]);
  }
  const silent = new Bench();
  silent.keeper.add('a', lease(-2_000_000), silent.options);
  assert.deepEqual(await silent.run(1), [
    '0: acquire 10.0.0.5 for 15000 ms',
    '0: a silence',
    '0: a lost',
    '0: acquire for 15000 ms',
    '0: a silence',
  ]);
  const late = new Bench();
  late.answer = () => lease(late.now);
  late.keeper.add('a', lease(-900_000), late.options);
  assert.deepEqual(await late.run(1), ['0: renew for 6000 ms', '0: a 10.0.0.5/24']);
});

test('a lease without end is never renewed; a namespace that is gone is no hurry', async () => {
  const bench = new Bench();
  bench.keeper.add('a', lease(0, { renewAt: FOREVER, rebindAt: FOREVER, expiresAt: FOREVER }), bench.options);
  assert.deepEqual(await bench.run(10_000_000), []);
  bench.keeper.remove('a');
  const gone = {
    ...bench.options,
    netns: () => {
      throw new NetloomError('ENOENT', 'no such namespace');
    },
  };
  bench.keeper.add('b', lease(bench.now - 2_000_000), gone);
  assert.deepEqual(await bench.run(10_000_009), ['10000000: b no such namespace', '10000000: b lost']);
  assert.equal((await bench.run(10_000_011)).length, 1);
});

test('removed or replaced while a message is under way: its answer counts no more', async () => {
  const bench = new Bench();
  const waiting: { resolve: (lease: DhcpLease) => void; signal: AbortSignal | undefined }[] = [];
  bench.answer = (_, { signal }) => new Promise((resolve) => waiting.push({ resolve, signal }));
  bench.keeper.add('a', lease(-600_000), bench.options);
  assert.deepEqual(await bench.run(1), ['0: renew for 6000 ms']);
  assert.equal(waiting.length, 1);
  bench.keeper.add('a', lease(0, { address: '10.0.0.7/24' }), bench.options);
  assert.equal(waiting[0]?.signal?.aborted, true);
  waiting[0]?.resolve(lease(0, { address: '10.0.0.6/24' }));
  assert.deepEqual(await bench.run(2), []);
  assert.equal(bench.keeper.get('a')?.address, '10.0.0.7/24');
  bench.keeper.remove('a');
});

test('a listener that throws, or removes the lease, does not disturb the keeping', async () => {
  const bench = new Bench();
  bench.answer = () => lease(bench.now);
  bench.keeper.onChange((key) => {
    if (key === 'b') bench.keeper.remove('b');
    else throw new Error('no room in the store');
  });
  bench.keeper.add('a', lease(0), bench.options);
  bench.keeper.add('b', lease(0), bench.options);
  const log = await bench.run(1400);
  assert.deepEqual(
    log.filter((line) => line.includes(' renew')).map((line) => Number.parseInt(line, 10)),
    [500, 500, 1000],
  );
  assert.equal(log.filter((line) => line.includes('no room in the store')).length, 2);
  assert.deepEqual([bench.keeper.size, bench.keeper.get('a')?.obtained], [1, 1_000_000]);
});

test('a thousand overdue leases: 128 at a time, and all of them', async () => {
  const bench = new Bench();
  let open = 0;
  let most = 0;
  bench.answer = async () => {
    most = Math.max(most, ++open);
    await turn();
    open--;
    return lease(bench.now);
  };
  for (let i = 0; i < 1000; i++) bench.keeper.add(`k${i}`, lease(-600_000 + i), bench.options);
  for (let i = 0; i < 60; i++) await bench.run(1);
  assert.equal(most, 128);
  for (let i = 0; i < 1000; i++) assert.ok(bench.keeper.get(`k${i}`)!.obtained >= 0, `k${i}`);
});

test('the next attempt: not sooner than a minute, an eighth where leases are short, and never past T2 or the end', () => {
  const long = lease(0);
  assert.equal(nextAttempt(long, 500_000), 687_500);
  assert.equal(nextAttempt(long, 800_000), 846_875);
  assert.equal(nextAttempt(long, 874_000), 875_000);
  assert.equal(nextAttempt(long, 999_000), 1_000_000);
  const day = lease(0, { renewAt: 43_200_000, rebindAt: 75_600_000, expiresAt: 86_400_000 });
  assert.equal(nextAttempt(day, 75_590_000), 75_600_000);
  assert.equal(nextAttempt(day, 75_500_000), 75_560_000);
  const short = lease(0, { renewAt: 2000, rebindAt: 3500, expiresAt: 4000 });
  assert.equal(nextAttempt(short, 2000), 3000);
  assert.equal(nextAttempt(short, 3600), 4000);
});
