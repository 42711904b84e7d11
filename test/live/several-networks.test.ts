import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_PATHS } from '../../src/engine/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { jsonIn, run } from '../lib/run.ts';
import { etcOf, execIn, makeContainerBed, namespaceOf, plain, traces } from './containers-bed.ts';

checkDescriptors();

const SLEEP = ['sleep', '300'];

async function defaults(netns: Netns): Promise<string[]> {
  const found: string[] = [];
  for (const family of ['-4', '-6']) {
    const routes = await jsonIn<{ dst: string; dev: string }[]>(netns, [
      'ip',
      '-j',
      family,
      'route',
      'show',
      'default',
    ]);
    found.push(...routes.map((r) => `${family} ${r.dev}`));
  }
  return found;
}

test('interfaces come in the order asked, the default route goes to the first open network, by family', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'closed', internal: true });
  await engine.networkCreate({ name: 'four' });
  await engine.networkCreate({ name: 'dual', ipv6: true });
  const before = await traces(bed);
  const { value } = await engine.containerCreate({
    name: 'box',
    command: SLEEP,
    networks: [
      { network: 'closed' },
      { network: 'four', mac: '02:11:22:33:44:55' },
      { network: 'dual', ifname: 'up0' },
    ],
    ports: [parsePublish('8888:80')],
  });
  assert.deepEqual(
    value.endpoints.map((e) => e.ifname),
    ['eth0', 'eth1', 'up0'],
  );
  assert.deepEqual(
    value.endpoints.map((e) => e.ports.length),
    [0, 1, 0],
    'ports go to the first network that is not internal',
  );
  using inside = namespaceOf(bed, 'box');
  assert.deepEqual(await defaults(inside), ['-4 eth1', '-6 up0']);
  const links = await jsonIn<{ ifname: string; address: string }[]>(inside, ['ip', '-j', 'link']);
  assert.equal(links.find((l) => l.ifname === 'eth1')?.address, '02:11:22:33:44:55');
  assert.ok(await ping(inside, ADDRESS.internet));
  assert.ok(await ping(inside, ADDRESS.internet6));
  {
    await using _server = await tcpServer(inside, '0.0.0.0', 80);
    assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8888)).ok);
  }
  await engine.containerRemove('box');
  assert.deepEqual(await traces(bed), before);

  // many made together keep their order, whatever their interfaces are called
  const names = Array.from({ length: 12 }, (_, i) => `net${i}`);
  for (const name of names) await engine.networkCreate({ name });
  const { value: many } = await engine.containerCreate({
    name: 'many',
    command: SLEEP,
    networks: names.map((network, i) => (i === 0 ? { network, ifname: 'zz0' } : { network })),
  });
  assert.deepEqual(
    many.endpoints.map((e) => e.ifname),
    ['zz0', ...Array.from({ length: 11 }, (_, i) => `eth${i}`)],
  );
  using crowded = namespaceOf(bed, 'many');
  assert.deepEqual(await defaults(crowded), ['-4 zz0']);
});

test('the default route follows gateway priority, and moves as networks come and go', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  for (const name of ['a', 'b', 'c', 'd']) await engine.networkCreate({ name, ipv6: name !== 'c' });
  const before = await traces(bed);
  await engine.containerCreate({
    name: 'box',
    command: SLEEP,
    networks: [{ network: 'a' }, { network: 'b', gatewayPriority: 5 }],
  });
  await engine.containerStart('box');
  using inside = namespaceOf(bed, 'box');
  assert.deepEqual(await defaults(inside), ['-4 eth1', '-6 eth1']);
  await engine.networkConnect('box', { network: 'c', gatewayPriority: 9 });
  assert.deepEqual(await defaults(inside), ['-4 eth2', '-6 eth1'], 'a family that c does not have stays where it was');
  assert.ok(await ping(inside, ADDRESS.internet));
  assert.ok(await ping(inside, ADDRESS.internet6));
  await engine.networkConnect('box', { network: 'd', gatewayPriority: -1 });
  assert.deepEqual(await defaults(inside), ['-4 eth2', '-6 eth1'], 'lower than all: nothing moves');
  await engine.networkDisconnect('box', 'c');
  assert.deepEqual(await defaults(inside), ['-4 eth1', '-6 eth1']);
  await engine.networkDisconnect('box', 'b');
  assert.deepEqual(await defaults(inside), ['-4 eth0', '-6 eth0']);
  assert.ok(await ping(inside, ADDRESS.internet));
  assert.ok(await ping(inside, ADDRESS.internet6));
  await engine.networkDisconnect('box', 'a');
  assert.deepEqual(await defaults(inside), ['-4 eth3', '-6 eth3']);
  await engine.networkDisconnect('box', 'd');
  assert.deepEqual(await defaults(inside), []);
  assert.deepEqual((await engine.containerInspect('box')).networks, []);
  assert.equal((await engine.networkConnect('box', { network: 'b' })).value.ifname, 'eth0');
  assert.deepEqual(await defaults(inside), ['-4 eth0', '-6 eth0']);
  // what was connected is there again after a restart
  await engine.containerStop('box', { timeoutSeconds: 1 });
  const { value: again } = await engine.containerStart('box');
  const b = await engine.networkInspect('b');
  assert.deepEqual(
    again.endpoints.map((e) => e.network),
    [b.id],
  );
  await engine.containerRemove('box', { force: true });
  assert.deepEqual(await traces(bed), before);
});

test('a stopped container is connected and disconnected, too: from its next start on', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  // names that are the beginnings of each other, and of ids
  for (const name of ['a', 'b', 'ab'])
    await engine.networkCreate({ name, subnets: [{ subnet: `10.9.${name.length}${name.charCodeAt(0) - 96}.0/24` }] });
  await engine.containerCreate({
    name: 'box',
    command: SLEEP,
    networks: ['a', 'b', 'ab'].map((network) => ({ network })),
  });
  await engine.containerStart('box');
  await engine.containerStop('box', { timeoutSeconds: 1 });
  const idle = await traces(bed);
  const ids = new Map((await engine.networkList()).map((n) => [n.name, n.id]));
  await engine.networkDisconnect('box', ids.get('a')!);
  assert.deepEqual(
    (await engine.containerInspect('box')).networks.map((n) => n.network),
    ['b', 'ab'],
    'only the one',
  );
  await assert.rejects(engine.networkDisconnect('box', 'a'), {
    code: 'ENOTCONNECTED',
    message: 'container "box" is not connected to network "a"',
  });
  await assert.rejects(engine.networkConnect('box', { network: ids.get('b')!.slice(0, 12) }), {
    code: 'EALREADYCONNECTED',
    message: /connected to network "b" already/,
  });
  await assert.rejects(engine.networkConnect('box', { network: 'a', addresses: ['192.0.2.77'] }), {
    code: 'EADDROUTSIDE',
  });
  await engine.networkConnect('box', { network: 'a', addresses: ['10.9.11.77'] });
  assert.deepEqual(await traces(bed), idle, 'nothing is taken meanwhile');
  const { endpoints } = (await engine.containerStart('box')).value;
  assert.deepEqual(
    endpoints.map((e) => e.network),
    [ids.get('b'), ids.get('ab'), ids.get('a')],
  );
  assert.equal(endpoints[2]?.addresses[0], '10.9.11.77/24');
  await assert.rejects(engine.networkConnect('box', { network: 'a' }), { code: 'EALREADYCONNECTED' });
  await assert.rejects(engine.networkConnect('box', { network: 'nowhere' }), { code: 'ENETWORKNOTFOUND' });
  assert.equal((await engine.endpointList()).length, 3);
});

test('two that connect the same network at once: one does, the other is told', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await using other = await bed.open();
  await engine.networkCreate({ name: 'a' });
  await engine.networkCreate({ name: 'b' });
  await engine.containerCreate({ name: 'box', command: SLEEP, networks: [{ network: 'a' }] });
  for (let i = 0; i < 5; i++) {
    const results = await Promise.allSettled(
      [engine, other, engine, other].map((e) => e.networkConnect('box', { network: 'b' })),
    );
    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1);
    for (const r of results)
      if (r.status === 'rejected') assert.equal((r.reason as { code: string }).code, 'EALREADYCONNECTED');
    assert.equal((await engine.endpointList()).length, 2);
    const left = await Promise.allSettled([engine, other].map((e) => e.networkDisconnect('box', 'b')));
    assert.deepEqual(left.map((r) => r.status).sort(), ['fulfilled', 'rejected']);
  }
  using inside = namespaceOf(bed, 'box');
  assert.deepEqual(await defaults(inside), ['-4 eth0']);
});

test('a port that lost its network is published again by the next that is open', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  for (const name of ['a', 'b']) await engine.networkCreate({ name });
  await engine.containerCreate({
    name: 'box',
    command: SLEEP,
    networks: [{ network: 'a' }],
    ports: [parsePublish('8888:80')],
  });
  await engine.containerStart('box');
  await engine.networkDisconnect('box', 'a');
  const { value } = await engine.networkConnect('box', { network: 'b' });
  assert.equal(value.ports[0]?.hostPort, 8888);
  using inside = namespaceOf(bed, 'box');
  await using _server = await tcpServer(inside, '0.0.0.0', 80);
  assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8888)).ok);
});

test('hosts files follow the neighbours in place: names, hostnames and aliases, of each network only', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await using other = await bed.open();
  await engine.networkCreate({ name: 'front', ipv6: true });
  await engine.networkCreate({ name: 'back' });
  const { value: web } = await engine.containerCreate({
    name: 'web',
    command: SLEEP,
    networks: [{ network: 'front' }],
    extraHosts: ['gw:host-gateway', 'db:192.0.2.9'],
    dns: { servers: ['192.0.2.53', '2001:db8::53'], search: ['example.org', 'example.net'], options: ['ndots:2'] },
  });
  await engine.containerStart('web');
  const file = join(bed.paths.etcNetnsDir, 'web', 'hosts');
  const { ino } = statSync(file);
  const [own4, own6] = web.endpoints[0]!.addresses.map(plain);
  const base = [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    `${own4}\t${web.hostname} web`,
    `${own6}\t${web.hostname} web`,
    `${web.endpoints[0]!.gateways[0]}\tgw`,
    '192.0.2.9\tdb',
  ];
  const entries = (name: string): string[] => etcOf(bed, name, 'hosts').trim().split('\n').slice(1);
  assert.deepEqual(entries('web'), base);
  assert.deepEqual(etcOf(bed, 'web', 'resolv.conf').trim().split('\n').slice(1), [
    'nameserver 192.0.2.53',
    'nameserver 2001:db8::53',
    'search example.org example.net',
    'options ndots:2',
  ]);

  // a neighbour that another engine makes, with aliases that differ by network
  const { value: app } = await other.containerCreate({
    name: 'app',
    hostname: 'app.example.org',
    command: SLEEP,
    networks: [
      { network: 'front', aliases: ['service'] },
      { network: 'back', aliases: ['hidden'] },
    ],
  });
  const seen = app.endpoints[0]!.addresses.map((a) => `${plain(a)}\tapp app.example.org service`);
  assert.deepEqual(entries('web'), [...base, ...seen]);
  assert.equal(
    await execIn(engine, 'web', ['cat', '/etc/hosts']),
    readFileSync(file, 'utf8'),
    'the running command sees it',
  );
  assert.equal(statSync(file).ino, ino, 'the same file');
  assert.match(
    await execIn(engine, 'web', ['getent', 'hosts', 'service']),
    new RegExp(plain(app.endpoints[0]!.addresses[1])),
  );
  assert.ok(entries('app').includes(`${own4}\tweb ${web.hostname}`));

  await engine.networkDisconnect('app', 'front');
  assert.deepEqual(entries('web'), base);
  assert.ok(!entries('app').some((l) => l.includes('web')), 'and it has lost its neighbour');
  await engine.networkConnect('web', { network: 'back' });
  assert.ok(entries('web').includes(`${plain(app.endpoints[1]!.addresses[0])}\tapp app.example.org hidden`));
  await engine.containerRemove('app');
  assert.equal(entries('web').filter((l) => l.includes('app')).length, 0);
  assert.equal(statSync(file).ino, ino);
});

test('ip netns exec works on a container, with its names', async () => {
  await using bed = await makeContainerBed();
  // the places that ip netns knows: private to the wrapper that tests run in
  const { netnsDir, etcNetnsDir } = DEFAULT_PATHS;
  await using engine = await bed.open({
    netnsDir,
    etcNetnsDir,
    stateDir: `${bed.dirs.root}/state2`,
    runDir: `${bed.dirs.root}/run2`,
  });
  await engine.networkCreate({ name: 'web' });
  const { value } = await engine.containerCreate({
    name: 'box',
    command: SLEEP,
    networks: [{ network: 'web' }],
    dns: { servers: ['192.0.2.53'] },
  });
  try {
    const exec = async (...command: string[]): Promise<string> => {
      const { status, stdout, stderr } = await run(['ip', 'netns', 'exec', 'box', ...command]);
      assert.equal(status, 0, stderr);
      return stdout;
    };
    assert.match(
      await exec('cat', '/etc/hosts'),
      new RegExp(`^${plain(value.endpoints[0]!.addresses[0])}\t${value.hostname} box$`, 'm'),
    );
    assert.match(await exec('cat', '/etc/resolv.conf'), /^nameserver 192\.0\.2\.53$/m);
    assert.match(await exec('ip', '-o', 'addr', 'show', 'eth0'), new RegExp(value.endpoints[0]!.addresses[0]!));
    assert.match((await run(['ip', 'netns'])).stdout, /^box\b/m);
    assert.match(await exec('ping', '-nc1', '-W2', ADDRESS.internet), /1 received/);
  } finally {
    await engine.containerRemove('box', { force: true });
    await engine.networkRemove('web');
  }
  assert.ok(!(await run(['ip', 'netns'])).stdout.includes('box'));
});
