import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type NeighbourOptions,
  type NeighbourStatus,
  type RouteChange,
  Speaker,
  type SpeakerOptions,
} from '../../src/bgp/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { ipBatch, okIn, startIn } from '../lib/run.ts';
import { makeStreet, type Router, type RouterConfig, type RouterKind, wayIn } from '../lib/routers.ts';
import { until } from '../lib/wait.ts';

/** A host's speaker, and all that it told. */
export class Told implements AsyncDisposable {
  readonly speaker: Speaker;
  readonly changes: RouteChange[] = [];
  readonly turns: NeighbourStatus[] = [];

  constructor(netns: Netns, neighbours: readonly NeighbourOptions[], options: Partial<SpeakerOptions> = {}) {
    this.speaker = new Speaker(
      {
        ...{ asn: 65010, routerId: '192.0.2.1', netns },
        neighbours: neighbours.map((each) => ({ holdTime: 3, retry: 300, ...each })),
        ...options,
      },
      { routes: (changes) => this.changes.push(...changes), neighbour: (status) => this.turns.push(status) },
    );
  }
  get first(): NeighbourStatus {
    return this.speaker.neighbours[0]!;
  }
  up(): Promise<unknown> {
    return until('the session is up', () => this.first.state === 'established', { timeout: 15_000 }).catch((error) => {
      throw new Error(JSON.stringify(this.first), { cause: error });
    });
  }
  way(prefix: string): string | undefined {
    return this.speaker.routes.find((route) => route.prefix === prefix)?.nextHop;
  }
  knows(...prefixes: readonly string[]): Promise<unknown> {
    const known = (): string =>
      this.speaker.routes
        .map(({ prefix }) => prefix)
        .toSorted()
        .join();
    return until(`just ${prefixes.join()} known`, () => known() === prefixes.toSorted().join(), { timeout: 15_000 });
  }
  ended(words: RegExp): Promise<unknown> {
    return until(`an end in the words ${words}`, () => this.turns.some(({ last }) => words.test(last?.words ?? '')), {
      timeout: 15_000,
    });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.speaker.close();
  }
}

const OURS = ['10.10.0.0/24', '10.11.0.0/24', 'fd00:10::/64'];
const THEIRS = ['10.1.0.0/24', '10.2.0.0/24', 'fd00:1::/64'];
const HOPS = { nextHop: ['192.0.2.1', '2001:db8::1'] };
const PEER = { address: '192.0.2.2', asn: 65001 };
const CONFIG: RouterConfig = {
  ...{ asn: 65001, id: '192.0.2.2', networks: THEIRS },
  neighbours: [{ address: '192.0.2.1', asn: 65010 }],
};

/** Lines that `ip monitor route` has of a prefix, from now on. */
async function watched(netns: Netns, prefix: string): Promise<AsyncDisposable & { lines(): readonly string[] }> {
  await using undo = new AsyncDisposableStack();
  const monitor = undo.use(startIn(netns, ['ip', '-4', 'monitor', 'route']));
  // it says nothing of its own: a route of ours shows that it listens. The kernel tells nobody of one that is there already
  const probe = '203.0.113.0/24';
  await until('ip monitor listens', async () => {
    await ipBatch(netns, [`route add ${probe} dev lo`, `route del ${probe} dev lo`]);
    return monitor.output().includes(probe);
  });
  const kept = undo.move();
  return {
    lines: () =>
      monitor
        .output()
        .split('\n')
        .filter((line) => line.includes(prefix)),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What each router says of its first neighbour. */
const SHOW: Readonly<Record<string, string>> = {
  FRR: 'show bgp neighbors 192.0.2.1 json',
  BIRD: 'show protocols all n0',
};
/** Segments that a kernel dropped since their signature was wrong or missing. */
async function badSignatures(netns: Netns): Promise<number> {
  const [names = '', values = ''] = (await okIn(netns, ['cat', '/proc/net/netstat'])).split('\n');
  const at = names.split(' ').indexOf('TCPMD5Failure');
  return Number(values.split(' ')[at]);
}

/** What holds for every real router. */
export function routerTests(name: string, make: RouterKind): void {
  const inKernel = (there: Netns, prefix: string, hop: string | undefined): Promise<unknown> =>
    until(`${prefix} via ${hop} in the router's kernel`, async () => (await wayIn(there, prefix)) === hop, {
      timeout: 15_000,
    });

  test(`${name}: prefixes both ways, each family, withdrawn both ways, and asked for again`, async () => {
    await using street = await makeStreet(2);
    const [host, there] = street.machines as [Netns, Netns];
    await using router = await make(there, street.dir, CONFIG);
    await using us = new Told(host, [PEER], { listen: [{ address: '192.0.2.1' }] });
    us.speaker.announce(OURS, { ...HOPS, communities: ['65010:7'], med: 5 });
    us.speaker.start();
    await us.up();
    const { session, prefixes, last } = us.first;
    assert.deepEqual([session?.id, session?.holdTime, session?.families], ['192.0.2.2', 3, [4, 6]]);
    assert.equal(session?.restartTime, 120);
    await us.knows(...THEIRS);
    assert.deepEqual(
      THEIRS.map((prefix) => us.way(prefix)),
      ['192.0.2.2', '192.0.2.2', '2001:db8::2'],
    );
    await inKernel(there, '10.10.0.0/24', '192.0.2.1');
    await inKernel(there, 'fd00:10::/64', '2001:db8::1');
    assert.deepEqual([prefixes.unsendable, last], [0, undefined]);
    await us.speaker.settled;

    us.speaker.withdraw(['10.10.0.0/24', 'fd00:10::/64']);
    await inKernel(there, '10.10.0.0/24', undefined);
    await inKernel(there, 'fd00:10::/64', undefined);
    await inKernel(there, '10.11.0.0/24', '192.0.2.1');
    us.changes.splice(0);
    await router.announce(['10.2.0.0/24', '10.3.0.0/24']);
    await us.knows('10.2.0.0/24', '10.3.0.0/24');
    const gone = us.changes.filter(({ route }) => !route).map(({ prefix }) => prefix);
    assert.deepEqual(gone.toSorted(), ['10.1.0.0/24', 'fd00:1::/64']);

    // more than one message holds
    const many = Array.from({ length: 2000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`);
    us.speaker.announce(many);
    await inKernel(there, '10.100.0.0/24', '192.0.2.1');
    await inKernel(there, many.at(-1)!, '192.0.2.1');
    us.speaker.withdraw(many);
    await inKernel(there, many.at(-1)!, undefined);
    const updates = async (): Promise<number> => {
      const [, messages, routes] =
        /"updatesRecv":\s*(\d+)|Import updates:\s+(\d+)/.exec(await router.ask(SHOW[name]!)) ?? [];
      return Number(messages ?? routes);
    };
    const before = await updates();
    await router.refresh();
    await until('told again', async () => (await updates()) > before);
    // several hold times went by, most of them without anything to say
    await until('a hold time', () => Date.now() - us.first.since > 4000, { timeout: 10_000 });
    assert.deepEqual([us.first.state, us.first.last], ['established', undefined]);

    await us.speaker.close({ words: 'back at five' });
    await inKernel(there, '10.11.0.0/24', undefined);
    assert.match(
      await router.ask(name === 'FRR' ? 'show bgp neighbors 192.0.2.1' : 'show protocols all n0'),
      /Shutdown|shutdown/,
    );
  });

  test(`${name}: the wrong AS on either side, in words; and a password`, async () => {
    await using street = await makeStreet(3);
    const [host, there, other] = street.machines as [Netns, Netns, Netns];
    const secret = [{ address: '192.0.2.1', asn: 65010, password: 'open-sesame' }];
    await using _router = await make(there, street.dir, CONFIG);
    await using _secret = await make(other, street.dir, { ...CONFIG, asn: 65002, id: '192.0.2.3', neighbours: secret });
    {
      await using us = new Told(host, [{ ...PEER, asn: 65099 }]);
      us.speaker.start();
      await us.ended(/^OPEN: bad peer AS: it is AS 65001, and AS 65099 is expected$/);
      const found = us.turns.find(({ last }) => last?.words.startsWith('OPEN'));
      assert.deepEqual([found?.last?.by, us.first.session], ['us', undefined]);
    }
    {
      await using us = new Told(host, [PEER], { asn: 65011 });
      us.speaker.start();
      await us.ended(/^OPEN: bad peer AS$/);
      assert.equal(us.turns.find(({ last }) => last?.words === 'OPEN: bad peer AS')?.last?.by, 'peer');
    }
    const keyed = { address: '192.0.2.3', asn: 65002 };
    {
      // both sides connect, and both are signed
      await using us = new Told(host, [{ ...keyed, password: 'open-sesame' }], { listen: [{ address: '0.0.0.0' }] });
      us.speaker.start();
      await us.up();
    }
    {
      await using us = new Told(host, [{ ...keyed, password: 'open-sesame', passive: true }], {
        listen: [{ address: '0.0.0.0' }],
      });
      us.speaker.start();
      await us.up();
      // with another key nobody gets through, with the right one again
      us.speaker.setNeighbours([{ ...keyed, password: 'other', retry: 300 }]);
      const before = await badSignatures(other);
      await until('a wrong signature', async () => (await badSignatures(other)) > before);
      assert.equal(us.first.session, undefined);
      us.speaker.setNeighbours([{ ...keyed, password: 'open-sesame', retry: 300 }]);
      await us.up();
    }
  });

  test(`${name}: frozen, it is given up when its hold time is over; thawed, it is back`, async () => {
    await using street = await makeStreet(2);
    const [host, there] = street.machines as [Netns, Netns];
    await using router = await make(there, street.dir, CONFIG);
    await using us = new Told(host, [PEER]);
    us.speaker.start();
    await us.knows(...THEIRS);
    router.signal('SIGSTOP');
    try {
      await us.ended(/^hold timer expired: nothing was heard for 3 s$/);
      await us.knows();
    } finally {
      router.signal('SIGCONT');
    }
    await us.up();
    await us.knows(...THEIRS);
  });

  test(`${name}: it restarts, and its routes stay meanwhile; what it does not tell again goes`, async () => {
    await using street = await makeStreet(2);
    const [host, there] = street.machines as [Netns, Netns];
    await using router = await make(there, street.dir, CONFIG);
    await using us = new Told(host, [PEER], { listen: [{ address: '0.0.0.0' }] });
    us.speaker.announce(['10.10.0.0/24'], HOPS);
    us.speaker.start();
    await us.knows(...THEIRS);
    await until('all told', () => us.speaker.settled.then(() => true));
    us.changes.splice(0);
    await router.kill();
    await us.ended(/closed the connection|ECONNRESET/);
    assert.deepEqual([us.first.prefixes.received, us.first.prefixes.stale, us.changes], [3, 3, []]);
    await router.restart(['10.1.0.0/24', 'fd00:1::/64']);
    await us.knows('10.1.0.0/24', 'fd00:1::/64');
    assert.deepEqual(us.changes, [{ prefix: '10.2.0.0/24' }]);
    assert.equal(us.first.prefixes.stale, 0);
  });

  test(`${name}: we restart, and our routes stay with it; what we do not tell again goes`, async () => {
    await using street = await makeStreet(2);
    const [host, there] = street.machines as [Netns, Netns];
    await using _router: Router = await make(there, street.dir, CONFIG);
    {
      await using before = new Told(host, [PEER]);
      before.speaker.announce(['10.10.0.0/24', '10.11.0.0/24'], HOPS);
      before.speaker.start();
      await before.up();
      await inKernel(there, '10.10.0.0/24', '192.0.2.1');
      await inKernel(there, '10.11.0.0/24', '192.0.2.1');
      await before.speaker.settled;
      await before.speaker.close({ keep: true });
    }
    await using monitor = await watched(there, '10.10.0.0/24');
    assert.equal(await wayIn(there, '10.11.0.0/24'), '192.0.2.1', 'kept while nobody is there');
    await using us = new Told(host, [PEER], { restart: { resumed: true } });
    us.speaker.announce(['10.10.0.0/24'], HOPS);
    us.speaker.start();
    await us.up();
    await inKernel(there, '10.11.0.0/24', undefined);
    assert.equal(await wayIn(there, '10.10.0.0/24'), '192.0.2.1');
    assert.deepEqual(
      monitor.lines().filter((line) => line.startsWith('Deleted')),
      [],
    );
    await us.knows(...THEIRS);
  });

  test(`${name}: over IPv6, within one AS, IPv4 by an IPv6 next hop`, async () => {
    await using street = await makeStreet(2);
    const [host, there] = street.machines as [Netns, Netns];
    const neighbours = [{ address: '2001:db8::1', asn: 65001, extendedNextHop: true }];
    await using _router = await make(there, street.dir, { ...CONFIG, neighbours });
    await using us = new Told(host, [{ address: '2001:db8::2', asn: 65001, extendedNextHop: true }], {
      ...{ asn: 65001, listen: [{ address: '::' }] },
    });
    us.speaker.announce(['10.10.0.0/24', 'fd00:10::/64'], { localPref: 300 });
    us.speaker.start();
    await us.up();
    assert.equal(us.first.session?.internal, true);
    await us.knows(...THEIRS);
    assert.equal(us.way('10.1.0.0/24'), '2001:db8::2');
    await inKernel(there, 'fd00:10::/64', '2001:db8::1');
    await inKernel(there, '10.10.0.0/24', '2001:db8::1');
  });
}
