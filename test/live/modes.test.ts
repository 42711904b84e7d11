import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { jsonIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { parsePublish } from '../../src/model/index.ts';
import { execIn, logOf, makeContainerBed, namespaceOf, traces } from './containers-bed.ts';

checkDescriptors();

const SLEEP = ['sleep', '300'];

test('none: a namespace with lo and nothing else', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const before = await traces(bed);
  await engine.containerCreate({ name: 'box', command: SLEEP, networkMode: 'none' });
  await engine.containerStart('box');
  using inside = namespaceOf(bed, 'box');
  const links = await jsonIn<{ ifname: string; flags: string[] }[]>(inside, ['ip', '-j', 'link']);
  assert.deepEqual(
    links.map((l) => l.ifname),
    ['lo'],
  );
  assert.ok(links[0]?.flags.includes('UP'));
  assert.deepEqual(await jsonIn(inside, ['ip', '-j', 'route']), []);
  assert.ok(await ping(inside, '127.0.0.1'));
  assert.ok(await ping(inside, '::1'));
  await assert.rejects(engine.networkConnect('box', { network: 'bridge' }), { code: 'EBADMODE' });
  await engine.containerRemove('box', { force: true });
  const after = (await traces(bed)) as { netns: unknown };
  assert.deepEqual(after.netns, (before as typeof after).netns);
});

test('host: the namespace, names and files of the host, but for what was asked', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const before = await traces(bed);
  await engine.containerCreate({
    name: 'plain',
    command: ['sh', '-c', 'readlink /proc/self/ns/net; hostname; cat /etc/hosts /etc/resolv.conf'],
    networkMode: 'host',
  });
  assert.deepEqual((await engine.containerInspect('plain')).endpoints, []);
  await engine.containerStart('plain');
  assert.equal(await engine.containerWait('plain'), 0);
  const lines = (await logOf(engine, 'plain')).split('\n');
  assert.equal(lines[0], `net:[${bed.host.netns.inode}]`);
  assert.equal(lines[1], hostname());
  assert.equal(
    lines.slice(2).join('\n'),
    readFileSync('/etc/hosts', 'utf8') + readFileSync('/etc/resolv.conf', 'utf8'),
  );
  await engine.containerRemove('plain');

  await engine.containerCreate({
    name: 'asked',
    command: ['sh', '-c', 'hostname; cat /etc/hostname /etc/resolv.conf /etc/hosts'],
    networkMode: 'host',
    hostname: 'other',
    dns: { servers: ['192.0.2.53'] },
    extraHosts: ['db:192.0.2.9', 'me:host-gateway'],
  });
  await engine.containerStart('asked');
  assert.equal(await engine.containerWait('asked'), 0);
  const text = await logOf(engine, 'asked');
  assert.match(text, /^other\nother\n/);
  assert.match(text, /^nameserver 192\.0\.2\.53$/m);
  assert.match(text, /^192\.0\.2\.9\tdb$/m);
  assert.match(text, /^127\.0\.0\.1\tme$/m);
  assert.match(text, /localhost/);
  assert.equal(text.split('nameserver').length, 2);
  await engine.containerRemove('asked');
  assert.deepEqual(await traces(bed), before);
});

test('container:NAME shares namespace, hostname, hosts and resolv.conf', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await traces(bed);
  await engine.containerCreate({
    name: 'target',
    command: SLEEP,
    hostname: 'shared',
    networks: [{ network: 'web' }],
    ports: [parsePublish('8888:80')],
    dns: { servers: ['192.0.2.53'], search: ['example.org'] },
    extraHosts: ['db:192.0.2.9'],
  });
  // its namespace is there before its command runs
  await engine.containerCreate({ name: 'sharer', command: SLEEP, networkMode: 'container:target' });
  await engine.containerStart('target');
  await engine.containerStart('sharer');
  for (const command of [
    ['readlink', '/proc/self/ns/net'],
    ['hostname'],
    ['cat', '/etc/hosts'],
    ['cat', '/etc/resolv.conf'],
    ['cat', '/etc/hostname'],
    ['ip', 'addr'],
  ]) {
    assert.equal(await execIn(engine, 'sharer', command), await execIn(engine, 'target', command), command.join(' '));
  }
  assert.equal(await execIn(engine, 'sharer', ['hostname']), 'shared\n');
  assert.match(
    await execIn(engine, 'sharer', ['cat', '/etc/resolv.conf']),
    /^nameserver 192\.0\.2\.53\nsearch example\.org$/m,
  );
  assert.deepEqual((await engine.containerInspect('sharer')).endpoints, []);
  await assert.rejects(engine.networkConnect('sharer', { network: 'web' }), { code: 'EBADMODE' });
  using inside = namespaceOf(bed, 'target');
  {
    await using _server = await tcpServer(inside, '0.0.0.0', 80);
    assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8888)).ok);
  }
  // neighbours reach both in the file that both see
  await engine.containerCreate({ name: 'late', command: SLEEP, networks: [{ network: 'web' }] });
  assert.match(await execIn(engine, 'sharer', ['cat', '/etc/hosts']), /\tlate /);
  // the sharer's end takes nothing of the target
  await engine.containerRemove('sharer', { force: true });
  assert.match(await execIn(engine, 'target', ['ip', '-o', 'addr', 'show', 'eth0']), /inet /);
  assert.ok(existsSync(join(bed.paths.etcNetnsDir, 'target', 'hosts')));
  await engine.containerRemove('late');
  await engine.containerRemove('target', { force: true });
  assert.deepEqual(await traces(bed), before);
});

test('a target that stops or goes takes the network along, not the sharers; they join it again at their next start', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await traces(bed);
  const target = { name: 'target', command: SLEEP, networks: [{ network: 'web' }] };
  await engine.containerCreate(target);
  await engine.containerStart('target');
  await engine.containerCreate({ name: 'sharer', command: SLEEP, networkMode: 'container:target' });
  await engine.containerCreate({ name: 'second', command: SLEEP, networkMode: 'container:sharer' });
  await engine.containerStart('sharer');
  await engine.containerStart('second');
  const namespace = await execIn(engine, 'sharer', ['readlink', '/proc/self/ns/net']);
  assert.equal(await execIn(engine, 'second', ['readlink', '/proc/self/ns/net']), namespace, 'shared by a sharer');

  // as Docker does: the target may be removed; sharers keep the namespace, without its interfaces
  await engine.containerRemove('target', { force: true });
  assert.equal((await engine.containerInspect('sharer')).state.status, 'running');
  const left = await until('interfaces gone', async () => {
    const links = (await execIn(engine, 'sharer', ['ip', '-o', 'link'])).trim().split('\n');
    return links.length === 1 && links;
  });
  assert.match(left[0]!, /lo/);
  assert.equal(await execIn(engine, 'sharer', ['readlink', '/proc/self/ns/net']), namespace);
  await engine.containerStop('sharer', { timeoutSeconds: 1 });
  await assert.rejects(engine.containerStart('sharer'), {
    code: 'ECONTAINERNOTFOUND',
    message: 'no container "target"',
  });

  await engine.containerCreate(target);
  await engine.containerStart('target');
  await engine.containerStart('sharer');
  assert.match(await execIn(engine, 'sharer', ['ip', '-o', 'addr', 'show', 'eth0']), /inet /);
  await engine.containerStop('sharer', { timeoutSeconds: 1 });
  await engine.containerStop('target', { timeoutSeconds: 1 });
  await assert.rejects(engine.containerStart('sharer'), {
    code: 'ECONTAINERNOTRUNNING',
    message: /"target" has no network namespace now, for "sharer" to share/,
  });
  await assert.rejects(engine.containerCreate({ name: 'third', command: SLEEP, networkMode: 'container:target' }), {
    code: 'ECONTAINERNOTRUNNING',
  });
  await assert.rejects(engine.containerCreate({ name: 'third', command: SLEEP, networkMode: 'container:nobody' }), {
    code: 'ECONTAINERNOTFOUND',
  });
  for (const name of ['second', 'sharer', 'target']) await engine.containerRemove(name, { force: true });
  assert.deepEqual(await traces(bed), before);
});

test('sharing with a container in host mode is host mode', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.containerCreate({ name: 'target', command: SLEEP, networkMode: 'host', extraHosts: ['db:192.0.2.9'] });
  await engine.containerCreate({ name: 'sharer', command: ['cat', '/etc/hosts'], networkMode: 'container:target' });
  assert.equal((await engine.containerInspect('sharer')).netns, '');
  await engine.containerStart('sharer');
  assert.equal(await engine.containerWait('sharer'), 0);
  assert.match(await logOf(engine, 'sharer'), /192\.0\.2\.9\tdb/);
});
