import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpServer } from '../lib/peer.ts';
import { until } from '../lib/wait.ts';
import { etcOf, execIn, makeContainerBed, namespaceOf, traces } from './containers-bed.ts';

checkDescriptors();
const SLEEP = ['sleep', '300'];

test('a pod holds a namespace without a process: its containers share it, come and go, and are found by name', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  const before = await traces(bed);
  const { value: pod } = await engine.containerCreate({
    name: 'shop',
    pod: true,
    command: [],
    networks: [{ network: 'web' }],
    ports: [parsePublish('8080:80')].flat(),
  });
  assert.deepEqual([pod.pod, pod.state.status, pod.state.pid], [true, 'created', 0]);
  {
    // its ports are open before any of its containers is there
    using inside = namespaceOf(bed, 'shop');
    await using _server = await tcpServer(inside, '0.0.0.0', 80, 'served');
    assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8080)).ok);
  }
  for (const name of ['api', 'db']) {
    const { value } = await engine.containerCreate({ name, command: SLEEP, networkMode: 'container:shop' });
    assert.deepEqual(value.mode, { kind: 'container', container: pod.id });
    await engine.containerStart(name);
  }
  assert.equal(
    await execIn(engine, 'api', ['readlink', '/proc/self/ns/net']),
    await execIn(engine, 'db', ['readlink', '/proc/self/ns/net']),
  );
  // neighbours know the pod and each of its containers
  await engine.containerCreate({ name: 'near', command: SLEEP, networks: [{ network: 'web' }] });
  assert.match(etcOf(bed, 'near', 'hosts'), /\tshop .*\bapi db$/m);
  await engine.containerRemove('db', { force: true });
  await engine.containerStop('api', { timeoutSeconds: 1 });
  await engine.containerStart('api');
  assert.match(await execIn(engine, 'api', ['ip', '-o', 'addr', 'show', 'eth0']), /inet /, 'the pod stayed');

  await assert.rejects(engine.containerRemove('shop'), { code: 'EPODINUSE', message: /api/ });
  const { value: stopped } = await engine.containerStop('shop', { timeoutSeconds: 1 });
  assert.deepEqual(stopped.endpoints, []);
  assert.equal((await engine.containerInspect('api')).state.status, 'exited');
  await assert.rejects(engine.containerStart('api'), { code: 'ECONTAINERNOTRUNNING', message: /shop/ });
  const { value: again } = await engine.containerStart('shop');
  assert.equal(again.endpoints[0]?.addresses.length, 2);
  assert.deepEqual(again.endpoints[0]?.ports, pod.endpoints[0]?.ports);
  await engine.containerStart('api');
  await engine.containerRemove('near');
  await engine.containerRemove('shop', { force: true });
  assert.deepEqual(await traces(bed), before);
});

test('a pod on the network of the host, and one on none', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  const before = await traces(bed);
  const identity = async (name: string): Promise<string> =>
    (await execIn(engine, name, ['readlink', '/proc/self/ns/net'])).trim();
  for (const networkMode of ['host', 'none']) {
    await engine.containerCreate({ name: networkMode, pod: true, command: [], networkMode });
    await engine.containerCreate({ name: 'in', command: SLEEP, networkMode: `container:${networkMode}` });
    await engine.containerStart('in');
    const mine = `net:[${host.netns.id.split(':')[1]}]`;
    if (networkMode === 'host') assert.equal(await identity('in'), mine);
    else assert.notEqual(await identity('in'), mine);
    await engine.containerRemove(networkMode, { force: true });
  }
  assert.deepEqual(await traces(bed), before);
});

test('what a pod cannot do is refused, and changes nothing', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const before = await traces(bed);
  const pod = { name: 'shop', pod: true, command: [], networkMode: 'none' };
  await assert.rejects(engine.containerCreate({ ...pod, command: SLEEP }), { code: 'EBADPOD' });
  await assert.rejects(engine.containerCreate({ ...pod, autoRemove: true }), { code: 'EBADPOD' });
  await assert.rejects(engine.containerCreate({ ...pod, networkMode: 'container:x' }), { code: 'EBADPOD' });
  assert.deepEqual(await traces(bed), before);
  await engine.containerCreate(pod);
  await assert.rejects(engine.containerExecPlan('shop', ['true']), { code: 'EPOD' });
  await assert.rejects(engine.containerKill('shop', 'SIGTERM'), { code: 'EPOD' });
  await assert.rejects(engine.containerWait('shop'), { code: 'EPOD' });
  await assert.rejects(engine.containerSpawnPlan('shop', { foreground: true }), { code: 'EPOD' });
  await engine.containerRemove('shop');
  assert.deepEqual(await traces(bed), before);
});

test('a resident engine answers the names of its containers, and gives a lost namespace its name back', async () => {
  await using bed = await makeContainerBed();
  await using engine = await bed.open({ resident: true });
  await engine.networkCreate({ name: 'web' });
  const { value: pod } = await engine.containerCreate({
    name: 'shop',
    pod: true,
    command: [],
    networks: [{ network: 'web' }],
  });
  await engine.containerCreate({ name: 'near', command: SLEEP, networks: [{ network: 'web' }] });
  await engine.containerStart('near');
  // a name that is nobody's is asked of servers that are not there
  const ask = async (name: string): Promise<string> =>
    await execIn(engine, 'near', ['dig', '+short', '+tries=1', '+time=1', name]).then(
      (text) => text.trim(),
      () => '',
    );
  assert.equal(await ask('api'), '');
  await engine.containerCreate({ name: 'api', command: SLEEP, networkMode: 'container:shop' });
  await engine.containerStart('api');
  const address = pod.endpoints[0]?.addresses[0]?.replace(/\/.*/, '');
  await until('the name of one of its containers', async () => (await ask('api')) === address);

  Netns.unpin(pod.netns);
  await until('its name is back', async () => {
    try {
      using netns = Netns.open(pod.netns);
      return netns.id === pod.endpoints[0]?.netnsId;
    } catch {
      return false;
    }
  });
  assert.match(await execIn(engine, 'api', ['ip', '-o', 'addr', 'show', 'eth0']), /inet /);
  await engine.containerRemove('api', { force: true });
  await until('it is forgotten with its container', async () => (await ask('api')) === '');
  await engine.containerRemove('near', { force: true });
  await engine.containerRemove('shop');
});
