// runs: here in one mode (hosts side by side, which take their time)
/** What a host finds out before it joins others, and at any time after: real daemons' engines, a real etcd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Engine, openEngine } from '../../src/engine/index.ts';
import { bindUdpIn, type Fd, Netns } from '../../src/kernel/index.ts';
import type { EngineEvent, JoinFinding } from '../../src/model/index.ts';
import { PROBE_PORT } from '../../src/probe/index.ts';
import { makeDirs } from '../lib/dirs.ts';
import { type Etcd, startEtcd } from '../lib/etcd.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS, makeHost, type TestHost } from '../lib/host.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const DROP = `table inet t { chain i { type filter hook input priority 0; udp dport ${PROBE_PORT} drop; }; }`;

interface Site extends AsyncDisposable {
  readonly etcd: Etcd;
  readonly world: TestHost;
  /** `a` has 192.0.2.1, `b` 192.0.2.3, on one segment. */
  readonly a: Engine;
  readonly b: Engine;
  join(which: 'a' | 'b', options?: { readonly force?: boolean }): Promise<readonly JoinFinding[]>;
}

async function makeSite(): Promise<Site> {
  await using undo = new AsyncDisposableStack();
  const etcd = undo.use(await startEtcd());
  const world = undo.use(await makeHost({ neighbour: true }));
  const engine = async (netns: Netns): Promise<Engine> => {
    const dirs = undo.use(makeDirs());
    return undo.use(
      await openEngine({
        ...{ stateDir: dirs.stateDir, runDir: dirs.runDir },
        ...{ netnsDir: `${dirs.root}/netns`, etcNetnsDir: `${dirs.root}/etc` },
        netns: Netns.open(`/proc/self/fd/${netns.fd}`),
        resident: true,
      }),
    );
  };
  const a = await engine(world.netns);
  const b = await engine(world.neighbour);
  const addresses = { a: [ADDRESS.host, ADDRESS.host6], b: [ADDRESS.neighbour, ADDRESS.neighbour6] };
  const kept = undo.move();
  return {
    ...{ etcd, world, a, b },
    async join(which, options) {
      const spec = { etcd: etcd.endpoints, name: which, addresses: addresses[which] };
      return (await { a, b }[which].nodeJoin(spec, options)).findings;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function words(findings: readonly JoinFinding[]): string[] {
  return findings.map(({ check, severity, text }) => `${severity} ${check}: ${text}`);
}
const bad = (findings: readonly JoinFinding[]): string[] => words(findings).filter((line) => !line.startsWith('ok '));
const nft = (netns: Netns, rules: string): Promise<string> => okIn(netns, ['nft', '-f', '-'], { input: rules });

test('the first node has nobody to ask; the second asks it; each may ask again', async () => {
  await using site = await makeSite();
  assert.deepEqual(words(await site.join('a')), ['ok reachable: no other node is heard of']);
  const found = words(await site.join('b'));
  assert.equal(found[0], 'ok reachable: the one other node answers');
  assert.match(found[1]!, /^ok clock: /);
  assert.equal(found[2], 'ok mtu: packets of 1500 bytes come through, both ways');
  await until('a hears of b', async () => (await site.a.nodeList()).length === 2);
  for (const names of [[], ['b']]) {
    const [first, , third] = words(await site.a.nodeCheck(names));
    assert.deepEqual([first, third], [found[0], found[2]]);
  }
  await assert.rejects(site.a.nodeCheck(['c']), { code: 'ENODENOTFOUND' });
  // what it has of networks, routes by an interface of the host's among it, is in nobody's way
  await site.a.networkCreate({ name: 'plain', driver: 'overlay', options: { backend: 'host-gw', plan: 'node' } });
  await site.a.networkCreate({ name: 'vx', driver: 'overlay', options: { backend: 'vxlan' } });
  for (const engine of [site.a, site.b]) {
    await until('both are here', async () => {
      const here = (await engine.networkList()).filter(({ overlay, phase }) => overlay && phase === 'ready');
      return here.length === 2;
    });
  }
  await until('a route to the other', async () =>
    /10\.24\d\..*via/.test(await okIn(site.world.netns, ['ip', 'route'])),
  );
  for (const engine of [site.a, site.b]) assert.deepEqual(bad(await engine.nodeCheck()), []);
});

test('a host that reaches nobody does not join, and leaves nothing behind, unless it is forced to', async () => {
  await using site = await makeSite();
  await site.join('a');
  const before = await site.etcd.ctl('get', '--prefix', '/netloom/keys/');
  await nft(site.world.netns, DROP);
  await assert.rejects(site.join('b'), { code: 'ENODEUNFIT', message: /8284.*a \(192\.0\.2\.1\), a \(2001:db8::1\)/ });
  assert.equal(await site.etcd.ctl('get', '--prefix', '/netloom/keys/'), before);
  assert.equal((await site.b.clusterStatus()).state, 'none');
  await assert.rejects(site.b.nodeCheck(), { code: 'ENOCLUSTER' });
  assert.match(bad(await site.join('b', { force: true })).join('\n'), /^stop reachable: .*8284/);
  // it is in, and whoever is in is not thrown out by joining again in vain
  await assert.rejects(site.join('b'), { code: 'ENODEUNFIT' });
  await until('it is back', async () => (await site.b.clusterStatus()).state === 'connected');
});

test('what is in the way of networks on this host is told by name: ranges, ports, identifiers', async () => {
  await using site = await makeSite();
  await site.join('a');
  const vnis = { one: 5001, two: 5002 };
  for (const [name, third] of [
    ['one', 64],
    ['two', 65],
  ] as const) {
    await site.a.networkCreate({
      ...{ name, driver: 'overlay', subnets: [{ subnet: `10.${third}.0.0/16` }] },
      options: { vni: String(vnis[name]), backend: 'vxlan' },
    });
  }
  const netns = site.world.neighbour;
  await ipBatch(netns, [
    'route add 10.64.7.0/24 via 192.0.2.2',
    `link add theirs type vxlan id ${vnis.two} dstport 8472`,
  ]);
  const found = bad(await site.join('b')).join('\n');
  assert.match(
    found,
    /warn subnet: this host cannot take network one: its range 10\.64\.0\.0\/16 overlaps the route to 10\.64\.7\.0\/24/,
  );
  assert.match(found, /warn port: this host cannot take network two: theirs, a VXLAN that is not netloom's/);
  assert.match(bad(await site.b.nodeCheck()).join('\n'), /warn network: network two: /);
  // what is its own on host a is in nobody's way
  assert.deepEqual(bad(await site.a.nodeCheck()), []);
});

test('a port of the self-test that is taken is a fault that is told, and the host joins; so is the port of a tunnel', async () => {
  await using site = await makeSite();
  const events: EngineEvent[] = [];
  const stop = new AbortController();
  const heard = (async () => {
    for await (const event of site.a.events({}, stop.signal)) events.push(event);
  })();
  const held: Fd[] = [
    bindUdpIn(site.world.netns, { address: '0.0.0.0', port: PROBE_PORT }),
    bindUdpIn(site.world.neighbour, { address: '0.0.0.0', port: 8472 }),
  ];
  try {
    await site.join('a');
    await until('it is told', () => events.some(({ type, action }) => type === 'cluster' && action === 'fault'));
    await site.a.networkCreate({ name: 'pods', driver: 'overlay', options: { backend: 'vxlan' } });
    const found = bad(await site.join('b', { force: true })).join('\n');
    assert.match(found, /reachable: a|reachable: the one other node .* does not answer/);
    assert.match(found, /warn port: this host cannot take network pods: another program has its UDP port 8472/);
  } finally {
    stop.abort();
    await heard.catch(() => undefined);
    for (const fd of held) fd.close();
  }
});
