/** Hosts whose etcd dies, forgets or is cut off, and that die, freeze and come back, while workloads talk. */
// runs: here in one mode (hosts with daemons)
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type LabHost, makeLab, type TestLab } from '../lib/lab.ts';
import { type PingedWay, Pinging } from '../lib/pinging.ts';
import { runIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

/** Milliseconds without a majority: longer than a host's name is kept. `FAULT_AWAY=60000` for a long one. */
const AWAY = Number(process.env['FAULT_AWAY'] ?? 12_000);
const HEAL = { timeout: 40_000 };
const NETWORKS = ['pods', 'flat'] as const;
const HOSTS = ['host1', 'host2', 'host3'] as const;

interface Workload {
  readonly name: string;
  readonly host: string;
  readonly network: string;
  readonly id: string;
  readonly netns: Netns;
  readonly addresses: readonly string[];
}

let lab: TestLab;
const workloads: Workload[] = [];

before(async () => {
  lab = await makeLab({ hosts: 3, etcd: 3 });
  const { client } = lab.host('host1');
  await client.networkCreate({ name: 'pods', driver: 'overlay', options: { backend: 'host-gw', plan: 'node' } });
  await client.networkCreate({ name: 'flat', driver: 'overlay', options: { backend: 'vxlan', plan: 'flat' } });
  for (const network of NETWORKS) for (const host of HOSTS) await attach(host, network, `${network}-${host}`);
  await allReachAll();
});
after(() => lab?.[Symbol.asyncDispose]());
checkDescriptors();

async function attach(host: string, network: string, name: string): Promise<Workload> {
  const machine = lab.host(host);
  await until(`${network} on ${host}`, async () =>
    (await machine.client.networkList()).some((each) => each.name === network && each.phase === 'ready'),
  );
  const { path, netns } = await machine.workload(name);
  const { value } = await machine.client.endpointAttach({ netns: path, network, aliases: [name] });
  const addresses = value.addresses.map((each) => each.split('/')[0]!);
  const workload = { name, host, network, id: value.id, netns, addresses };
  workloads.push(workload);
  return workload;
}
async function detach(workload: Workload): Promise<void> {
  await lab.host(workload.host).client.endpointDetach(workload.id);
  workloads.splice(workloads.indexOf(workload), 1);
}

/** No black hole, on no host: by address, and by name as each host answers. @returns milliseconds that it took */
async function allReachAll(): Promise<number> {
  const began = performance.now();
  await Promise.all(
    workloads.flatMap((from) =>
      workloads
        .filter((to) => to !== from && to.network === from.network)
        .map(async (to) => {
          const [address = ''] = to.addresses;
          await until(
            `${from.name} reaches ${to.name} at ${address}`,
            async () => (await runIn(from.netns, ['ping', '-c1', '-W1', address])).status === 0,
            HEAL,
          );
          await until(`${from.name} is told of ${to.name}`, async () => (await asks(from, to.name)) === address, HEAL);
        }),
    ),
  );
  await noDoubles();
  return performance.now() - began;
}

async function asks(from: Workload, name: string): Promise<string> {
  const { client } = lab.host(from.host);
  const { gateway } = (await client.networkInspect(from.network)).subnets[0]!;
  return (await runIn(from.netns, ['dig', '+short', '+tries=1', '+time=1', `@${gateway}`, name])).stdout.trim();
}

/** No address twice, no prefix twice; what a host believes is its own is its own in etcd. */
async function noDoubles(): Promise<void> {
  const addresses = workloads.flatMap((each) => each.addresses);
  assert.equal(new Set(addresses).size, addresses.length);
  const claims = await claimed();
  for (const network of NETWORKS) {
    const seen = new Set<string>();
    for (const host of HOSTS) {
      const found = await lab.host(host).client.networkInspect(network);
      for (const prefix of found.overlay!.self.prefixes) {
        assert.ok(!seen.has(prefix), `${prefix} is two hosts'`);
        seen.add(prefix);
        assert.equal(claims.get(`${found.id}/${prefix.replace('/', '_')}`), host, `${prefix} of ${host} in etcd`);
      }
    }
  }
}
async function claimed(): Promise<ReadonlyMap<string, string>> {
  const root = '/netloom/keys/claims/prefixes/';
  const lines = (await lab.etcdctl('get', '--prefix', root)).trim().split('\n');
  return new Map(
    lines.flatMap((line, i) =>
      line.startsWith(root) ? [[line.slice(root.length), (JSON.parse(lines[i + 1]!) as { node: string }).node]] : [],
    ),
  );
}

/** Pings that go on, twenty a second each; what came of them. */
/** From every workload to those of its network on other hosts. */
function everyWay(hosts: readonly string[] = HOSTS): PingedWay[] {
  const froms = workloads.filter(({ host }) => hosts.includes(host));
  return froms.flatMap((from) =>
    froms
      .filter((to) => to.network === from.network && to.host !== from.host)
      .map((to) => ({ from: from.netns, to: to.addresses[0]!, name: `${from.name} to ${to.name}` })),
  );
}

/** What a fault of etcd's, or of a daemon's, does to packets: nothing. */
async function nothingLost(t: TestContext, pings: Pinging): Promise<void> {
  const { sent, lost, ways } = await pings.stop();
  t.diagnostic(`${lost} of ${sent} packets lost`);
  assert.ok(sent > 0);
  assert.equal(lost, 0, ways.join('; '));
}

async function connected(...hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    await until(
      `${host} is connected`,
      async () => (await lab.host(host).client.clusterStatus()).state === 'connected',
      HEAL,
    );
  }
}
async function etcdIsBack(): Promise<void> {
  await until(
    'etcd has a majority',
    async () => (await lab.host('host1').ok(['etcdctl', 'endpoint', 'health', '--cluster']), true),
    HEAL,
  );
}
/** Where a daemon is slow to refuse, it is since etcd is asked first; once its name's time is over, it says that. */
async function refused(host: LabHost, what: () => Promise<unknown>): Promise<void> {
  await assert.rejects(what, (error: { code?: string; message?: string }) => {
    assert.match(error.code ?? '', /^(EETCDAWAY|ETENURELOST)$/, `${host.name}: ${error.message}`);
    assert.ok(!error.message?.includes('\n'));
    return true;
  });
}

test('a member of etcd is killed, frozen, cut off from the others: nothing is lost, changes go on', async (t) => {
  await using pings = new Pinging(everyWay());
  for (const [i, fault] of (['killed', 'frozen', 'cut off'] as const).entries()) {
    const member = `etcd${i + 1}`;
    const others = ['etcd1', 'etcd2', 'etcd3'].filter((name) => name !== member);
    if (fault === 'killed') await lab.host(member).signal('SIGKILL');
    else if (fault === 'frozen') await lab.host(member).signal('SIGSTOP');
    else await lab.partition([member], others);
    const began = performance.now();
    const host = HOSTS[i]!;
    const made = await until(`attached while ${member} is ${fault}`, () => attach(host, 'pods', `more-${i}`), HEAL);
    await allReachAll();
    t.diagnostic(`${member} ${fault}: all reach the new one after ${Math.round(performance.now() - began)} ms`);
    if (fault === 'frozen') await lab.host(member).signal('SIGCONT');
    else if (fault === 'cut off') await lab.heal();
    else await lab.up();
    await etcdIsBack();
    await detach(made);
  }
  await nothingLost(t, pings);
});

test('without a majority: what needs no other host is done, the rest refused in one line; it catches up', async (t) => {
  const host = lab.host('host2');
  await connected(...HOSTS);
  await using pings = new Pinging(everyWay());
  await Promise.all(['etcd2', 'etcd3'].map((member) => lab.host(member).signal('SIGKILL')));
  const began = performance.now();
  const made = [await attach('host2', 'pods', 'away-pods'), await attach('host2', 'flat', 'away-flat')];
  await refused(host, () =>
    host.client.networkCreate({ name: 'more', driver: 'overlay', options: { backend: 'vxlan' } }),
  );
  await refused(host, () => host.client.networkRemove('pods'));
  await until('it says that etcd is away', async () => (await host.client.clusterStatus()).state !== 'connected', HEAL);
  await refused(host, () =>
    host.client.networkCreate({ name: 'more', driver: 'overlay', options: { backend: 'vxlan' } }),
  );
  await detach(made[0]!);
  made.push(await attach('host3', 'pods', 'away-later'));
  await sleep(Math.max(0, AWAY - (performance.now() - began))); // the fault's own length
  await lab.up();
  const back = performance.now();
  await etcdIsBack();
  await connected(...HOSTS);
  await allReachAll();
  t.diagnostic(`all caught up ${Math.round(performance.now() - back)} ms after etcd was started`);
  for (const workload of made.slice(1)) await detach(workload);
  await nothingLost(t, pings);
});

test('a daemon is frozen past its time and thawed; killed and started again: packets go on, nothing is leased twice', async (t) => {
  await using pings = new Pinging(everyWay());
  await lab.host('host3').signal('SIGSTOP');
  await until(
    'it is not heard of',
    async () => (await lab.host('host1').client.nodeInspect('host3')).state === 'down',
    HEAL,
  );
  const made = await attach('host1', 'flat', 'meanwhile');
  await lab.host('host3').signal('SIGCONT');
  const thawed = performance.now();
  await connected('host3');
  await allReachAll();
  t.diagnostic(`frozen: caught up ${Math.round(performance.now() - thawed)} ms after it was thawed`);
  await lab.host('host2').signal('SIGKILL');
  await lab.up();
  await connected('host2');
  await allReachAll();
  await detach(made);
  await nothingLost(t, pings);
});

test('a link cut one way, a partition: whoever is cut off loses packets, the others none; all heals', async (t) => {
  // by datagrams, too: a relay knows its hosts as long as etcd is away, and after
  await lab.host('host1').client.networkCreate({ name: 'datagrams', driver: 'overlay', options: { backend: 'udp' } });
  const relayed: Workload[] = [];
  for (const host of HOSTS) relayed.push(await attach(host, 'datagrams', `datagrams-${host}`));
  await allReachAll();
  await using others = new Pinging(everyWay(['host1', 'host2']));
  for (const oneWay of [true, false]) {
    const made: Workload[] = [];
    if (oneWay) await lab.cut('host3', undefined, { oneWay });
    else await lab.partition(['host3'], ['host1', 'host2', 'etcd1', 'etcd2', 'etcd3']);
    await until(
      'it is not heard of',
      async () => (await lab.host('host1').client.nodeInspect('host3')).state === 'down',
      HEAL,
    );
    made.push(await attach('host3', 'pods', `alone-${oneWay}`), await attach('host1', 'flat', `others-${oneWay}`));
    await lab.heal();
    const healed = performance.now();
    await connected(...HOSTS);
    await allReachAll();
    t.diagnostic(`${oneWay ? 'one way' : 'both ways'}: healed after ${Math.round(performance.now() - healed)} ms`);
    for (const workload of made) await detach(workload);
  }
  await nothingLost(t, others);
  for (const workload of relayed) await detach(workload);
  await until('nobody has it any more', async () => {
    await lab.host('host1').client.networkRemove('datagrams');
    return true;
  });
});

test('etcd is put back to an old snapshot: hosts write down again what is their own', async (t) => {
  const first = lab.host('etcd1');
  const endpoint = `ETCDCTL_ENDPOINTS=http://${first.address4}:2379`;
  await first.ok(['env', endpoint, 'etcdctl', 'snapshot', 'save', '/run/kept.db']);
  // since then: a network, with workloads
  await lab.host('host1').client.networkCreate({ name: 'late', driver: 'overlay', options: { backend: 'vxlan' } });
  for (const host of HOSTS) await attach(host, 'late', `late-${host}`);
  const removed = await attach('host1', 'pods', 'late-pods');
  await allReachAll();
  await using pings = new Pinging(everyWay());
  const members = ['etcd1', 'etcd2', 'etcd3'];
  const cluster = members.map((name) => `${name}=http://${lab.host(name).address4}:2380`).join();
  const snapshot = await first.ok(['base64', '-w0', '/run/kept.db'], { timeout: 20_000 });
  await Promise.all(members.map((name) => lab.host(name).signal('SIGKILL')));
  for (const name of members) {
    const member = lab.host(name);
    await member.ok(['sh', '-c', 'base64 -d >/run/restore.db && rm -rf /run/etcd'], { input: snapshot });
    await member.ok([
      ...(['etcdctl', 'snapshot', 'restore', '/run/restore.db', '--data-dir=/run/etcd', `--name=${name}`] as const),
      ...[`--initial-cluster=${cluster}`, `--initial-advertise-peer-urls=http://${member.address4}:2380`],
    ]);
  }
  await lab.up();
  const back = performance.now();
  await etcdIsBack();
  await connected(...HOSTS);
  await until(
    'the network is in etcd again',
    async () => /"name":"late"/.test(await lab.etcdctl('get', '--prefix', '/netloom/keys/cluster/networks/')),
    HEAL,
  );
  await until(
    'so are all endpoints',
    async () =>
      (await lab.etcdctl('get', '--prefix', '--keys-only', '/netloom/keys/cluster/endpoints/')).match(/\S+/g)
        ?.length === workloads.length,
    HEAL,
  );
  await allReachAll();
  t.diagnostic(`all written down again ${Math.round(performance.now() - back)} ms after etcd was started`);
  // what leads to others is looked through once more after a while, and stays
  await nothingLost(t, pings);
  await detach(removed);
});

test('a host dies: its node is removed by another, its routes go, its prefixes are free; a new one by its name joins', async () => {
  const pods = await lab.host('host3').client.networkInspect('pods');
  const [prefix = ''] = pods.overlay!.self.prefixes;
  const routes = (): Promise<string> => lab.host('host1').ok(['ip', 'route']);
  assert.ok((await routes()).includes(prefix));
  const one = lab.host('host1').client;
  await assert.rejects(one.nodeRemove('host3'), { code: 'ENODEINUSE' });
  await lab.host('host3').signal('SIGKILL');
  await until('it is not heard of', async () => (await one.nodeInspect('host3')).state === 'down', HEAL);
  await assert.rejects(one.nodeRemove('host3'), { code: 'ENODEINUSE' });
  await one.nodeRemove('host3', { force: true });
  await until('its routes are gone', async () => !(await routes()).includes(prefix), HEAL);
  assert.ok(![...(await claimed()).values()].includes('host3'));
  assert.deepEqual(
    (await one.nodeList()).map(({ name }) => name),
    ['host1', 'host2'],
  );
  // it comes back with its workloads: what it had is free still
  await lab.up();
  await connected('host3');
  await allReachAll();
});
