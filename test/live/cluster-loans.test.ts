/** Addresses of the plan `flat` that are asked for on one node and lie in a part that another gives out. */
// runs: here in one mode (hosts side by side, which take their time)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, ipFromValue, parseIp, parsePrefix } from '../../src/addr/index.ts';
import { hasCode, type NetloomError } from '../../src/errors.ts';
import { checkDescriptors } from '../lib/fds.ts';
import {
  allHolds,
  type Host,
  loansIn,
  type Machines,
  makeMachines,
  makeNetwork,
  type Workload,
} from '../lib/machines.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** Of four parts of eight addresses. */
const SMALL = { name: 'small', driver: 'overlay', subnets: [{ subnet: '10.9.0.0/27' }] } as const;

async function partsOf({ engine }: Host, network: string): Promise<readonly string[]> {
  return (await engine.networkInspect(network)).overlay!.self.prefixes;
}
/** The `n`th address of a prefix. */
function nth(prefix: string, n: number): string {
  const { family, first } = parsePrefix(prefix);
  return ipFromValue(family, first + BigInt(n)).text;
}
/** An endpoint with that address, and no namespace. */
async function attach({ engine }: Host, network: string, ...addresses: string[]): Promise<string> {
  const { value } = await engine.endpointAttach({ tap: true, netns: '', network, addresses });
  return value.id;
}
const free = (machines: Machines): Promise<unknown> =>
  until('all is given back', async () => (await loansIn(machines)) === '', { timeout: 20_000 });

test('any address on any node: lent by whoever gives it out, reached by address and name, and given back', async () => {
  await using machines = await makeMachines(3);
  const [one, two, three] = machines.hosts as [Host, Host, Host];
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true });
  const [four, six] = (await partsOf(two, 'pods')) as [string, string];
  const asked = [nth(four, 5), nth(six, 5)];
  const other = [nth(four, 6), nth(six, 6)];

  // a rehearsal asks nobody
  const dry = await one.engine.endpointAttach(
    { tap: true, netns: '', network: 'pods', addresses: asked },
    { dryRun: true },
  );
  assert.match(dry.plan?.map(({ command }) => command).join('\n') ?? '', /tuntap/);
  assert.equal(await loansIn(machines), '');

  const parts = [await partsOf(one, 'pods'), await partsOf(three, 'pods')];
  const workloads: Workload[] = [
    await one.workload('w0', 'pods', asked),
    await two.workload('w0', 'pods'),
    await three.workload('w0', 'pods', other),
  ];
  assert.deepEqual(workloads[0]!.addresses, asked);
  assert.deepEqual(workloads[2]!.addresses, other);
  assert.equal(await loansIn(machines), [...asked, ...other].toSorted().join(' '));
  await allHolds(machines, 'pods', workloads);
  assert.deepEqual([await partsOf(one, 'pods'), await partsOf(three, 'pods')], parts, 'no part more');

  const [mine, theirs] = [asked[0]!, other[0]!];
  for (const [host, address, who] of [
    [one, theirs, /is taken on node host2: it is lent to node host3/],
    [three, mine, /is taken on node host2: it is lent to node host1/],
    [two, mine, /is taken: it is lent to node host1/],
    [one, workloads[1]!.addresses[0]!, /is taken on node host2: the endpoint in .*w0 has it/],
    [one, '10.244.0.1', /is taken.*: it is the gateway/],
    [
      one,
      (await two.engine.networkInspect('pods')).overlay!.self.hostAddresses![0]!.split('/')[0]!,
      /node host2 itself/,
    ],
  ] as const)
    await assert.rejects(attach(host, 'pods', address), { code: 'EADDRTAKEN', message: who });

  // whoever takes the endpoint away gives the address back, and its owner can have it
  await one.engine.endpointDetach(workloads[0]!.id);
  await until('given back', async () => (await loansIn(machines)) === other.toSorted().join(' '));
  await until('it is its owner’s again', async () => (await attach(two, 'pods', mine)) !== '');
  for (const { engine } of machines.hosts) {
    const { value } = await engine.gc({ dryRun: true });
    assert.deepEqual({ ...value }, { reclaimed: [], removed: [], repaired: [], failed: [] });
  }
});

test('an address is one endpoint’s, whoever asks at the same moment', async () => {
  await using machines = await makeMachines(3);
  const [one, two, three] = machines.hosts as [Host, Host, Host];
  await makeNetwork(machines, SMALL);
  const [part] = (await partsOf(two, 'small')) as [string];
  const wanted = nth(part, 5);
  for (let i = 0; i < 5; i++) {
    const hosts = i % 2 === 0 ? [one, two, three] : [three, one, two];
    const results = await Promise.allSettled(hosts.map((host) => attach(host, 'small', wanted)));
    const given = results.flatMap((result, n) =>
      result.status === 'fulfilled' ? [[hosts[n]!, result.value] as const] : [],
    );
    assert.equal(given.length, 1, JSON.stringify(results));
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      assert.ok(hasCode(result.reason, 'EADDRTAKEN'), String(result.reason));
    }
    const [[host, id]] = given as [(typeof given)[0]];
    await host.engine.endpointDetach(id);
    await free(machines);
  }

  // nobody gets what is lent, however many the owner gives out
  await until('it can be had', async () => (await attach(one, 'small', wanted)) !== '');
  const given = new Set<string>([wanted]);
  await assert.rejects(
    async () => {
      for (const host of Array.from({ length: 8 }, () => [two, three]).flat()) {
        for (let i = 0; i < 3; i++) {
          const { value } = await host.engine.endpointAttach({ tap: true, netns: '', network: 'small' });
          const [address = ''] = value.addresses.map((each) => each.split('/')[0]!);
          assert.ok(!given.has(address), `${address} is given twice`);
          given.add(address);
        }
      }
    },
    { code: 'ERANGEEXHAUSTED' },
  );
});

test('a host that is down or silent lends nothing, and gives what it has lent to nobody, when it restarts or reboots', async () => {
  await using machines = await makeMachines(2, { proxied: true });
  const [one, two] = machines.hosts as [Host, Host];
  const [near, far] = machines.proxies;
  await makeNetwork(machines, SMALL);
  const [part] = (await partsOf(two, 'small')) as [string];
  const [lent, wanted] = [nth(part, 5), nth(part, 6)];
  const id = await attach(one, 'small', lent);
  assert.equal(await loansIn(machines), lent);

  // cut off, it is heard of for some seconds yet
  far!.cut = true;
  await assert.rejects(attach(one, 'small', wanted), {
    code: 'ENODESILENT',
    message: /node host2 gives out, which has not answered within 5 seconds/,
  });
  assert.equal(await loansIn(machines), lent, 'nothing is asked for any more');
  await until(
    'it is down',
    async () => /host2 down/.test((await one.engine.nodeList()).map(({ name, state }) => `${name} ${state}`).join()),
    {
      timeout: 30_000,
    },
  );
  await assert.rejects(attach(one, 'small', wanted), {
    code: 'ENODESILENT',
    message: /host2 gives out, which is down/,
  });

  // it knows by itself what it has lent, without etcd
  await two.reboot();
  await two.start();
  const refused = { code: 'EADDRTAKEN', message: /lent to node host1/ } as const;
  await assert.rejects(attach(two, 'small', lent), refused);
  far!.cut = false;
  const connected = async (): Promise<void> =>
    void (await until('connected', async () => (await two.engine.clusterStatus()).state === 'connected', {
      timeout: 20_000,
    }));
  await connected();
  await assert.rejects(attach(two, 'small', lent), refused);
  await two.restart();
  await connected();
  await assert.rejects(attach(two, 'small', lent), refused);
  assert.equal(await loansIn(machines), lent);
  assert.deepEqual(
    (await one.engine.endpointList()).map((each) => each.id),
    [id],
  );

  // away from etcd nothing is asked, and what is given up is told when it is back
  near!.cut = true;
  await until('it notices', async () => (await one.engine.clusterStatus()).state !== 'connected', { timeout: 30_000 });
  await assert.rejects(attach(one, 'small', wanted), (error: NetloomError) =>
    ['EETCDAWAY', 'ETENURELOST'].includes(error.code),
  );
  await one.engine.endpointDetach(id);
  near!.cut = false;
  await free(machines);
  await until('it is its owner’s again', async () => (await attach(two, 'small', lent)) !== '');
  await until('and what it lends is had', async () => (await attach(one, 'small', wanted)) !== '');
});

test('whoever borrowed is taken out: all is free; whoever lent is taken out: what is lent stays lent', async () => {
  await using machines = await makeMachines(3);
  const [one, two, three] = machines.hosts as [Host, Host, Host];
  await makeNetwork(machines, SMALL);
  const [part] = (await partsOf(two, 'small')) as [string];
  const [first, second] = [nth(part, 5), nth(part, 6)];
  await attach(one, 'small', first);
  const kept = await attach(three, 'small', second);
  assert.equal(await loansIn(machines), [first, second].join(' '));
  await one.stop();
  await until('it is down', async () => (await three.engine.nodeInspect('host1')).state === 'down', {
    timeout: 30_000,
  });
  await three.engine.nodeRemove('host1', { force: true });
  assert.equal(await loansIn(machines), second);
  await until('it is its owner’s again', async () => (await attach(two, 'small', first)) !== '');

  await two.stop();
  await until('it is down', async () => (await three.engine.nodeInspect('host2')).state === 'down', {
    timeout: 30_000,
  });
  await three.engine.nodeRemove('host2', { force: true });
  assert.equal(await loansIn(machines), second);
  // another host takes the part, and knows
  await one.start();
  await until('connected', async () => (await one.engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
  await until('it hears of it', async () => (await three.engine.nodeList()).some(({ name }) => name === 'host1'));
  await assert.rejects(attach(one, 'small', second), { code: 'EADDRTAKEN', message: /lent to node host3/ });
  assert.ok((await partsOf(one, 'small')).includes(part));
  const ip = parseIp(second);
  assert.ok(contains(parsePrefix(part), ip));
  for (let i = 0; i < 8; i++) {
    const { value } = await one.engine.endpointAttach({ tap: true, netns: '', network: 'small' });
    assert.notEqual(value.addresses[0], `${second}/27`);
  }
  await three.engine.endpointDetach(kept);
  await free(machines);
  await until('it is the new owner’s', async () => (await attach(one, 'small', second)) !== '');
});

test('what etcd forgot of loans is written down again', async () => {
  await using machines = await makeMachines(2);
  const [one, two] = machines.hosts as [Host, Host];
  await makeNetwork(machines, SMALL);
  const [part] = (await partsOf(two, 'small')) as [string];
  const address = nth(part, 5);
  const id = await attach(one, 'small', address);
  // while nobody looks
  for (const stopped of [[two], [one], [one, two]]) {
    for (const host of stopped) await host.stop();
    await machines.etcd.ctl('del', '--prefix', '/netloom/keys/cluster/loans/');
    for (const host of stopped) await host.start();
    await until('it is there again', async () => (await loansIn(machines)) === address, { timeout: 20_000 });
    await assert.rejects(attach(two, 'small', address), { code: 'EADDRTAKEN', message: /lent to node host1/ });
  }
  await one.engine.endpointDetach(id);
  await free(machines);
  await until('it is its owner’s again', async () => (await attach(two, 'small', address)) !== '');
});
