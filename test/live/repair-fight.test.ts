import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { makeRepairBed } from './repair-bed.ts';

checkDescriptors();

/** As firewalld's and Docker's: chains and policies that a reload takes down and puts up again. */
const FOREIGN = `
table inet firewalld {
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state established accept
  }
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    iifname "lo" accept
  }
}
table ip theirs {
  set s {
    type ipv4_addr
    elements = { 203.0.113.1 }
  }
}
`;

test('pain 33 (netavark#230): a reload as firewalld does it leaves ours complete and theirs as they made it', async () => {
  await using bed = await makeRepairBed();
  const { netns } = bed.host;
  await okIn(netns, ['nft', '-f', '-'], { input: FOREIGN });
  const theirs = async (): Promise<string> =>
    (await okIn(netns, ['nft', 'list', 'table', 'inet', 'firewalld'])) +
    (await okIn(netns, ['nft', 'list', 'table', 'ip', 'theirs']));
  const before = await theirs();
  await bed.heals('reload', () => okIn(netns, ['nft', '-f', '-'], { input: `flush ruleset\n${FOREIGN}` }));
  assert.equal(await theirs(), before);
  assert.ok(await ping(bed.a.netns, bed.gateway));
});

test('iptables -F and -X of iptables-nft beside Docker-shaped rules: nothing of ours is touched', async () => {
  await using bed = await makeRepairBed();
  const { netns } = bed.host;
  const rules = [
    '-N DOCKER-USER',
    '-A FORWARD -j DOCKER-USER',
    '-A DOCKER-USER -j RETURN',
    '-t nat -A POSTROUTING -s 172.30.0.0/16 -j MASQUERADE',
  ];
  for (const rule of rules) await okIn(netns, ['sh', '-c', `iptables-nft ${rule}`]);
  await bed.heals('iptables -F', async () => {
    await okIn(netns, ['sh', '-c', 'iptables-nft -F; iptables-nft -X DOCKER-USER; iptables-nft -t nat -F']);
    // as they left it: that is the state to compare with, which heals() took before
    for (const rule of rules) await okIn(netns, ['sh', '-c', `iptables-nft ${rule}`]);
  });
  assert.deepEqual(bed.events, [], 'no repair was needed');
});

test('another program that keeps changing the same fact: repair waits longer and longer, says who, and comes back', async () => {
  await using bed = await makeRepairBed();
  const { netns } = bed.host;
  {
    await using _enemy = startIn(netns, [
      'sh',
      '-c',
      'while :; do nft flush chain inet netloom forward 2>/dev/null; done',
    ]);
    const event = await bed.told('a back-off', (e) => e.action === 'back-off');
    assert.equal(event.attributes['kind'], 'nft-chain');
    assert.match(event.attributes['by'] ?? '', /^nft \(pid \d+\)$/);
    assert.match(event.name, /chain .*forward/);
    const repairs = (): number => bed.events.filter((e) => e.action === 'change').length;
    await until('three longer waits', () => bed.events.filter((e) => e.action === 'back-off').length >= 4);
    const then = repairs();
    await until('another wait', () => bed.events.filter((e) => e.action === 'back-off').length >= 5, {
      timeout: 10_000,
    });
    assert.ok(repairs() - then <= 2, 'no more than one repair a wait');
  }
  // whoever fought has gone: the last wait ends, and all is well
  await until(
    'the chain is whole',
    async () => /drop/.test(await okIn(netns, ['nft', 'list', 'chain', 'inet', 'netloom', 'forward'])),
    {
      timeout: 20_000,
    },
  );
});

test('a link that bears our mark and that nobody wants is removed', async () => {
  await using bed = await makeRepairBed();
  const { netns } = bed.host;
  await bed.heals('stray', () =>
    okIn(netns, ['ip', 'link', 'add', 'stray', 'group', String(0x6e6c), 'type', 'bridge']),
  );
  const event = await bed.told('the removal', (e) => e.action === 'delete');
  assert.match(event.name, /stray/);
  await okIn(netns, ['ip', 'link', 'add', 'foreign', 'type', 'bridge']);
  await bed.heals('nothing', () => okIn(netns, ['nft', 'flush', 'ruleset']));
  await okIn(netns, ['ip', 'link', 'show', 'foreign']);
});

test('what we do ourselves is no damage: attach and detach, by this engine and by another, cause no repair', async () => {
  await using bed = await makeRepairBed();
  await using other = await bed.open({ resident: false });
  const workloads = await Promise.all(Array.from({ length: 8 }, (_, i) => bed.workload(`w${i}`)));
  for (let round = 0; round < 3; round++) {
    const endpoints = await Promise.all(
      workloads.map(({ path }, i) =>
        (i % 2 === 0 ? bed.engine : other).endpointAttach({ netns: path, network: 'web' }),
      ),
    );
    await Promise.all(endpoints.map(({ value }, i) => (i % 2 === 0 ? other : bed.engine).endpointDetach(value.id)));
  }
  await bed.heals('a look at everything', () => bed.engine.gc());
  assert.deepEqual(
    bed.events.filter((e) => e.type === 'repair'),
    [],
  );
});

test(
  'damage while endpoints come and go: nothing of those that went is left, everything of those that stay is there',
  { timeout: 60_000 },
  async () => {
    await using bed = await makeRepairBed();
    await using other = await bed.open({ resident: false });
    const before = await bed.state();
    const workloads = await Promise.all(Array.from({ length: 6 }, (_, i) => bed.workload(`w${i}`)));
    const { netns } = bed.host;
    const end = performance.now() + 4000;
    let attached = 0;
    const damage = (async () => {
      while (performance.now() < end || attached < 3) {
        await okIn(netns, ['nft', 'flush', 'ruleset']);
        // room for those who attach: without a rule set nobody can
        await until('the rule set is back', () => okIn(netns, ['nft', 'list', 'table', 'bridge', 'netloom']), {
          timeout: 20_000,
        });
        await delay(200);
        await okIn(netns, ['sh', '-c', `ip link set ${bed.bridge} down; ip link set ${bed.bridge} up`]);
      }
    })();
    const refusals = new Set<string>();
    const churn = workloads.map(async ({ path }, i) => {
      const engine = i % 2 === 0 ? bed.engine : other;
      while (performance.now() < end || attached < 3) {
        // an attachment may meet the moment in which there is no rule set: it fails as a whole, then
        const port = { protocol: 'tcp' as const, hostPort: 9000 + i, containerPort: 80, count: 1 };
        const made = await engine
          .endpointAttach({ netns: path, network: 'web', ports: [port] })
          .catch((error: unknown) => void refusals.add(String(error)));
        if (made) await engine.endpointDetach(made.value.id);
        if (made) attached++;
        else await delay(5); // one refusal after another would leave nobody else a turn of the loop
      }
    });
    await Promise.all([damage, ...churn]);
    assert.ok(attached > 0, [...refusals].join('\n'));
    await until('as before', async () => JSON.stringify(await bed.state()) === JSON.stringify(before), {
      timeout: 20_000,
    }).catch(async () => assert.deepEqual(await bed.state(), before));
  },
);
