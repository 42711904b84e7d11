/**
 * The daemon of one host dies after every fact, before and after every write to etcd, while the backend of a live network is
 * changed, while it takes a network and while one is taken away. The next start brings it to what all hosts agree upon,
 * nothing is left over, and what others say to each other is not disturbed.
 */
// runs: here in one mode (a process for each kill; who does it changes nothing)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BackendName } from '../../src/model/index.ts';
import { gather } from '../lib/crowd.ts';
import type { Fate } from '../lib/etcd-proxy.ts';
import { checkDescriptors } from '../lib/fds.ts';
import {
  changeBackend,
  changed,
  type Host,
  type Machines,
  makeMachines,
  makeNetwork,
  type Workload,
} from '../lib/machines.ts';
import { Pinging } from '../lib/pinging.ts';
import { start } from '../lib/run.ts';
import { snapshot } from '../lib/snapshot.ts';
import { FIRST, STRIDE } from '../lib/stride.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const LONG = { timeout: STRIDE === 1 ? 2_000_000 : 200_000 };

const CHILD = fileURLToPath(new URL('cluster-kill-child.ts', import.meta.url));

/** Where the daemon dies; `none`: it comes to the end. */
type Death = { readonly fact: number } | { readonly write: number; readonly when: 'before' | 'after' } | 'none';

interface Counted {
  readonly facts: number;
  readonly writes: number;
}

/** The daemon of the second host in a process of its own, while its engine here is stopped. */
async function live(
  machines: Machines,
  death: Death,
  backend: BackendName | '-',
  networks: readonly string[],
): Promise<Counted | undefined> {
  const [, victim] = machines.hosts as [Host, Host];
  const [, proxy] = machines.proxies;
  const options = JSON.stringify({ ...victim.paths, netnsPath: `/proc/${process.pid}/fd/${victim.netns.fd}` });
  const at = death !== 'none' && 'fact' in death ? death.fact : 0;
  const argv = [process.execPath, '--no-warnings', CHILD, options, String(at), backend, ...networks];
  await using child = start(argv);
  let writes = 0;
  proxy!.onChange = (): Fate => {
    const die = (): void => void child.child.kill('SIGKILL');
    return death !== 'none' && 'write' in death && ++writes === death.write ? { [death.when]: die } : {};
  };
  if (death === 'none') proxy!.onChange = (): Fate => (writes++, {});
  await until('the daemon has ended', () => child.child.exitCode !== null || child.child.signalCode !== null, {
    timeout: 40_000,
  });
  proxy!.onChange = undefined;
  if (child.child.signalCode === 'SIGKILL') return undefined;
  assert.equal(child.child.exitCode, 0, child.output());
  return { facts: Number(/facts (\d+)/.exec(child.output())![1]), writes };
}

/** Every death that there is on a way, or those of them that this run takes. */
function deaths({ facts, writes }: Counted): Death[] {
  const each: Death[] = [];
  for (let fact = 1; fact <= facts; fact++) each.push({ fact });
  for (let write = 1; write <= writes; write++) each.push({ write, when: 'before' }, { write, when: 'after' });
  // few: each is a process, and a change of three hosts
  const stride = STRIDE === 1 ? 1 : 6 * STRIDE;
  return each.filter((_, i) => i % stride === FIRST % stride);
}

/** What a leak could show in: the kernel of the host, its store, and what etcd has of it. */
async function everything({ hosts, etcd }: Machines): Promise<Record<string, unknown>> {
  const [, { engine, netns }] = hosts as [Host, Host];
  const { ruleset, ...kernel } = await snapshot(netns);
  const found = {
    ...kernel,
    // elements of a set come in no order
    ruleset: ruleset.split('\n').map((line) => line.replaceAll(/elements = |[{},]/g, '').trim()),
    networks: (await engine.networkList()).map(({ name, phase, overlay }) => [name, phase, overlay?.self]),
    endpoints: (await engine.endpointList()).map(({ id, phase }) => [id, phase]),
    claims: (await etcd.ctl('get', '--prefix', '/netloom/keys/claims/')).split('\n'),
    members: (await etcd.ctl('get', '--prefix', '/netloom/keys/cluster/members/')).split('\n'),
    shared: (await etcd.ctl('get', '--prefix', '--keys-only', '/netloom/keys/cluster/'))
      .split('\n')
      .filter((key) => key !== '' && !key.includes('/removed/')),
    collected: (await engine.gc({ dryRun: true })).value,
  };
  // a network that is made again is another
  let text = JSON.stringify(found);
  for (const { name, id } of await engine.networkList())
    for (const part of [64, 12, 11]) text = text.replaceAll(id.slice(0, part), name);
  // as is what each host is known by on it, which is drawn
  const drawn = /members\/(?<network>\w+)\/(?<node>\w+)","[^ ]*?mac[\\"]*:[\\"]*(?<mac>[0-9a-f:]{17})/g;
  for (const { groups } of text.matchAll(drawn))
    text = text.replaceAll(groups!['mac']!, `MAC of ${groups!['node']} on ${groups!['network']}`);
  text = text.replaceAll(/[0-9a-f]{64}/g, 'ID');
  const lines = (value: unknown): unknown =>
    Array.isArray(value) ? value.map((each) => JSON.stringify(each)).toSorted() : value;
  const plain = Object.entries(JSON.parse(text) as Record<string, unknown>);
  return Object.fromEntries(plain.map(([what, value]) => [what, lines(value)]));
}
/** The store says what is wanted a moment before the kernel has it. */
async function isAgain(machines: Machines, wanted: Record<string, unknown>, after: string): Promise<void> {
  await until(after, async () => {
    const found = await everything(machines);
    for (const [what, value] of Object.entries(wanted)) assert.deepEqual(found[what], value, `${what} ${after}`);
    return true;
  });
}

/** Its engine is here again, and all hosts agree that `pods` has that backend, and no other any more. */
async function settled(machines: Machines, backend: BackendName): Promise<void> {
  const [, { engine }] = machines.hosts as [Host, Host];
  await until('connected', async () => (await engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
  const has = async (): Promise<BackendName | undefined> => (await engine.networkInspect('pods')).overlay?.backend;
  // it may have died before anybody was told
  await until('it is told', async () => {
    if ((await has()) !== backend) await engine.networkUpdate('pods', { options: { backend } });
    return true;
  });
  await changed(machines, 'pods', backend);
}

const NOTHING = JSON.stringify({ reclaimed: [], removed: [], repaired: [], failed: [] });

/** What the daemon finds when it comes: `pods` is to be changed, and another network is there, or there no more. */
const CYCLE = [
  { backend: 'vxlan', more: true },
  { backend: 'udp', more: true },
  { backend: 'host-gw', more: false },
] as const;
type Way = (typeof CYCLE)[number];

/** Made, with an endpoint on it, or taken away, by the first host. */
async function setMore({ hosts }: Machines, more: boolean): Promise<void> {
  const [{ engine }, , three] = hosts as [Host, Host, Host];
  const there = (await engine.networkList()).some(({ name }) => name === 'more');
  if (there === more) return;
  if (more) {
    const subnets = [{ subnet: '10.99.0.0/16' }, { subnet: 'fd99::/48' }];
    await engine.networkCreate({ name: 'more', driver: 'overlay', subnets, options: { plan: 'flat' } });
    await engine.endpointAttach({ tap: true, netns: '', network: 'more' });
  } else {
    for (const { id, type } of await engine.endpointList()) if (type === 'tap') await engine.endpointDetach(id);
    await until('nobody has it any more', async () => (await engine.networkRemove('more'), true));
  }
  await until('so it is on the third', async () => {
    const list = await three.engine.networkList();
    return list.some(({ name, phase }) => name === 'more' && phase === 'ready') === more;
  });
}

test('SIGKILL at every step of a change of backend, of taking a network and of letting one go', LONG, async (t) => {
  await using machines = await makeMachines(3, { proxied: true });
  const [, victim] = machines.hosts as [Host, Host];
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend: 'host-gw' } });
  const workloads: Workload[] = [];
  for (const host of machines.hosts) workloads.push(await host.workload('w0', 'pods'));
  await using crowd = await gather(workloads);
  await crowd.reach();
  const [from, , to] = workloads as [Workload, Workload, Workload];
  await using others = new Pinging([{ from: from.netns, to: to.addresses[0]! }]);

  const change = async (death: Death, { backend, more }: Way): Promise<Counted | undefined> => {
    await victim.stop();
    await setMore(machines, more);
    const counted = await live(machines, death, backend, more ? ['pods', 'more'] : ['pods']);
    await victim.start();
    await settled(machines, backend);
    return counted;
  };
  const wanted = new Map<Way, Record<string, unknown>>();
  const ways = new Map<Way, Death[]>();
  for (const way of CYCLE) {
    const counted = await change('none', way);
    assert.ok(counted && counted.facts > 0 && counted.writes > 0);
    t.diagnostic(`${JSON.stringify(way)}: ${counted.facts} facts, ${counted.writes} writes`);
    ways.set(way, deaths(counted));
    // what is left of the former goes a moment after the record of it
    const gc = async (): Promise<string> => JSON.stringify((await victim.engine.gc({ dryRun: true })).value);
    await until('nothing is surplus', async () => (await gc()) === NOTHING);
    wanted.set(way, await everything(machines));
  }
  let killed = 0;
  while ([...ways.values()].some(({ length }) => length > 0)) {
    for (const way of CYCLE) {
      const death = ways.get(way)!.shift() ?? 'none';
      const what = `${JSON.stringify(way)}, killed: ${JSON.stringify(death)}`;
      if (death !== 'none') assert.equal(await change(death, way), undefined, what);
      else {
        await setMore(machines, way.more);
        await changeBackend(machines, 'pods', way.backend);
      }
      await isAgain(machines, wanted.get(way)!, what);
      if (death === 'none') continue;
      killed++;
      await crowd.reach();
    }
  }
  const pinged = await others.stop();
  t.diagnostic(`killed ${killed} times; ${pinged.lost} of ${pinged.sent} packets of others lost`);
  // a packet may be lost where a relay begins
  assert.ok(pinged.sent > 0 && pinged.lost <= killed + 3, pinged.ways.join());
});
