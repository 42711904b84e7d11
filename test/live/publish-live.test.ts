import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NftConn } from '../../src/nftables/index.ts';
import { parsePublish, type PortSpec } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpHold, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { jsonIn, okIn } from '../lib/run.ts';
import { makeContainerBed, namespaceOf } from './containers-bed.ts';

checkDescriptors();

const ports = (...texts: string[]): PortSpec[] => texts.map((text) => parsePublish(text));

async function refused(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error & { code: string }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(!error.message.includes('\n'), 'one line');
    return true;
  });
}

test('pain 24 (moby#21282): a running container publishes and unpublishes, and a restart has what it had', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  await engine.containerCreate({
    name: 'box',
    command: ['sleep', '300'],
    networks: [{ network: 'web' }],
    ports: ports('7000:80'),
  });
  const { value: running } = await engine.containerStart('box');
  const inside = namespaceOf(bed, 'box');
  await using undo = new AsyncDisposableStack();
  undo.use(inside);
  for (const any of ['0.0.0.0', '::']) undo.use(await tcpServer(inside, any, 80));
  undo.use(await udpEcho(inside, '0.0.0.0', 53));
  const reach = async (address: string, port: number): Promise<string> => {
    const answer = await tcpConnect(host.outside, address, port, { timeout: 500 });
    return answer.ok ? answer.seen.client : answer.error;
  };
  assert.equal(await reach(ADDRESS.host, 8080), 'ECONNREFUSED');

  const { value: after } = await engine.containerUpdate('box', { publish: ports('8080:80', '5353:53/udp', '80') });
  assert.equal((await engine.containerInspect('box')).state.pid, running.state.pid, 'nothing was restarted');
  assert.deepEqual(
    after.ports.filter((p) => p.hostPort === 8080).map((p) => p.hostAddress),
    ['0.0.0.0', '::'],
  );
  assert.equal(await reach(ADDRESS.host, 8080), ADDRESS.outside);
  assert.equal(await reach(ADDRESS.host6, 8080), ADDRESS.outside6);
  assert.equal(await reach(ADDRESS.host, 7000), ADDRESS.outside, 'what was published stays');
  assert.ok((await udpConnect(host.outside, ADDRESS.host, 5353)).ok);
  const random = after.ports.find((p) => p.containerPort === 80 && p.hostPort >= 49_152);
  assert.ok(random);
  assert.equal(await reach(ADDRESS.host, random.hostPort), ADDRESS.outside, 'a random one');

  // IPv6 alone, then a random one by its number, then the rest
  await engine.containerUpdate('box', {
    unpublish: [
      { protocol: 'tcp', hostPort: 8080, hostAddress: '::', count: 1 },
      { protocol: 'tcp', hostPort: random.hostPort, count: 1 },
    ],
  });
  assert.equal(await reach(ADDRESS.host6, 8080), 'ECONNREFUSED');
  assert.equal(await reach(ADDRESS.host, 8080), ADDRESS.outside);
  assert.equal(await reach(ADDRESS.host, random.hostPort), 'ECONNREFUSED');
  await engine.containerUpdate('box', { unpublish: [{ protocol: 'tcp', hostPort: 7000, count: 1 }] });
  assert.equal(await reach(ADDRESS.host, 7000), 'ECONNREFUSED');

  await undo.disposeAsync();
  await engine.containerStop('box', { timeoutSeconds: 0 });
  const { value: again } = await engine.containerStart('box');
  assert.deepEqual(
    again.endpoints.flatMap((e) => e.ports.map((p) => `${p.hostAddress} ${p.hostPort} ${p.protocol}`)).sort(),
    ['0.0.0.0 5353 udp', '0.0.0.0 8080 tcp', ':: 5353 udp'],
  );
});

test('a stopped container keeps what is published to it for its next start', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  await engine.containerCreate({
    name: 'box',
    command: ['true'],
    networks: [{ network: 'web' }],
    ports: ports('7000:80'),
  });
  await engine.containerStart('box');
  await engine.containerWait('box');
  await engine.containerExited('box');
  await refused(
    engine.containerUpdate('box', { publish: ports('7000:81') }),
    'EBADPORT',
    /7000:80.* and .*7000:81.* want the same host port/,
  );
  await refused(
    engine.containerUpdate('box', { unpublish: [{ protocol: 'udp', hostPort: 7000, count: 1 }] }),
    'EPORTNOTPUBLISHED',
    /box does not publish udp port 7000/,
  );
  const { plan } = await engine.containerUpdate(
    'box',
    { publish: ports('8000-8010:80-90'), unpublish: [{ protocol: 'tcp', hostPort: 7000, count: 1 }], egressRate: 1e6 },
    { explain: true },
  );
  assert.deepEqual(plan, []);
  const { endpoints, ports: asked, networks } = await engine.containerInspect('box');
  assert.deepEqual([endpoints, networks], [[], [{ network: 'web', egressRate: 1e6 }]]);
  assert.deepEqual(asked, ports('8000-8010:80-90'));
  await engine.containerStart('box');
  await engine.containerWait('box');
});

test('a port that is taken is found before anything changes; a dry run changes nothing; swaps are one step', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const { value: one } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: ports('8080:80') });
  const { value: two } = await engine.endpointAttach({ netns: b.path, network: 'web' });
  await using listener = await tcpServer(host.netns, '0.0.0.0', 9000);
  const rules = async (): Promise<string> => await okIn(host.netns, ['nft', '-s', 'list', 'table', 'inet', 'netloom']);
  const before = await rules();
  await refused(
    engine.endpointUpdate(two.id, { publish: ports('9001:80', '8080:80') }),
    'EPORTTAKEN',
    /8080.* is already published by .*\/a/,
  );
  await refused(
    engine.endpointUpdate(two.id, { publish: ports('9001:80', '9000:80') }),
    'EPORTTAKEN',
    /tcp port 9000 on 0\.0\.0\.0 is in use by another program/,
  );
  await refused(
    engine.endpointUpdate(one.id, { unpublish: [{ protocol: 'tcp', hostPort: 8081, count: 1 }] }),
    'EPORTNOTPUBLISHED',
    /a does not publish tcp port 8081/,
  );
  await refused(engine.endpointUpdate(one.id, {}), 'EBADOPTION', /nothing to change/);
  assert.equal(await rules(), before);
  assert.ok(listener);

  const { plan, value } = await engine.endpointUpdate(two.id, { publish: ports('9001:80') }, { dryRun: true });
  assert.deepEqual(
    plan?.map((step) => `${step.verb} ${step.kind}`),
    ['add nft-element'],
  );
  assert.match(
    plan?.[0]?.command ?? '',
    /^nft add element inet netloom publish4_any '\{ tcp \. 9001 : [\d.]+ \. 80 \}'$/,
  );
  assert.equal(value.ports.length, 1);
  assert.equal(await rules(), before);
  assert.deepEqual((await engine.endpointList()).find((e) => e.id === two.id)?.ports, []);
  // the claim of the dry run is gone, too
  await engine.endpointUpdate(one.id, { publish: ports('9001:80') });

  // one transaction: the generation says how many there were
  const swap = await engine.endpointUpdate(
    one.id,
    { unpublish: [{ protocol: 'tcp', hostPort: 8080, count: 1 }], publish: ports('8080:81', '8082:82') },
    { explain: true },
  );
  assert.deepEqual(swap.plan?.map((s) => s.verb).toSorted(), ['add', 'change']);
  assert.deepEqual(
    swap.value.ports.map((p) => [p.hostPort, p.containerPort]),
    [
      [9001, 80],
      [8080, 81],
      [8082, 82],
    ],
  );
  await engine.endpointDetach(one.id);
  await engine.endpointDetach(two.id);
  const left = await jsonIn<{ nftables: { map?: { name: string; elem?: unknown[] } }[] }>(host.netns, [
    'nft',
    '-j',
    'list',
    'maps',
  ]);
  for (const { map } of left.nftables) assert.equal(map?.elem, undefined, map?.name);
});

test('a change of ports is one transaction of nftables', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  const a = await bed.workload('a');
  const { value } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: ports('8080:80', '8081:80') });
  using nft = NftConn.open(host.netns);
  const before = await nft.generation();
  await engine.endpointUpdate(value.id, {
    unpublish: [{ protocol: 'tcp', hostPort: 8080, count: 1 }],
    publish: ports('8081:82', '9000-9010:9000-9010', '127.0.0.1:1234:80').slice(1),
  });
  assert.equal((await nft.generation()) - before, 1);
});

test('ranges: taken back whole, not in part', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const a = await bed.workload('a');
  const { value } = await engine.endpointAttach({
    netns: a.path,
    network: 'web',
    ports: ports('8000-8010:8000-8010', '8011:80', '8013:80'),
  });
  await using server = await tcpServer(a.netns, '0.0.0.0', 8005);
  const unpublish = (hostPort: number, count: number): Promise<{ value: { ports: readonly unknown[] } }> =>
    engine.endpointUpdate(value.id, { unpublish: [{ protocol: 'tcp', hostPort, count }] });
  await refused(
    unpublish(8005, 1),
    'EPORTNOTPUBLISHED',
    /tcp port 8005 is a part of 0\.0\.0\.0:8000-8010->8000-8010\/tcp/,
  );
  await refused(unpublish(8011, 3), 'EPORTNOTPUBLISHED', /does not publish tcp port 8012/);
  assert.ok((await tcpConnect(host.outside, ADDRESS.host, server.port)).ok);
  assert.equal((await unpublish(8000, 12)).value.ports.length, 1, 'the range and the port behind it');
  assert.deepEqual(await tcpConnect(host.outside, ADDRESS.host, server.port, { timeout: 400 }), {
    ok: false,
    error: 'ECONNREFUSED',
  });
});

test('an established connection ends with its port; others go on', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const a = await bed.workload('a');
  const { value } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: ports('8080:80', '8081:80') });
  await using server = await tcpServer(a.netns, '0.0.0.0', 80);
  await using first = await tcpHold(host.outside, ADDRESS.host, 8080);
  await using second = await tcpHold(host.outside, ADDRESS.host, 8081);
  assert.ok((await first.again()).ok && (await second.again()).ok);
  await engine.endpointUpdate(value.id, { unpublish: [{ protocol: 'tcp', hostPort: 8080, count: 1 }] });
  assert.equal((await first.again(1000)).ok, false, 'it ended');
  assert.ok((await second.again()).ok, 'that one did not');
  assert.ok(server);
});
