// runs: here in one mode (an example)
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Sandboxes } from '../../examples/sandbox/sandbox.ts';
import { Netns } from '../../src/kernel/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
import { namesIn } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

function open(bed: EngineBed): Promise<Sandboxes> {
  const netns = Netns.open(`/proc/self/fd/${bed.host.netns.fd}`); // the engine closes the descriptor that it is given
  return Sandboxes.open({ ...bed.paths, netns }, bed.paths.netnsDir);
}
const links = (bed: EngineBed): Promise<string> => okIn(bed.host.netns, ['ip', '-br', 'link']);

test('a sandbox is reached by its port, reaches what it may and nobody else, and leaves nothing', async () => {
  await using bed = await makeEngineBed();
  const before = await links(bed);
  {
    await using service = await open(bed);
    await using sandbox = await service.create({
      command: ['busybox', 'httpd', '-f', '-p', '8000', '-h', '/etc'],
      port: 8000,
      egress: [{ to: `${ADDRESS.internet}/32`, tcpPort: 443 }],
      rate: 50_000_000,
    });
    await using other = await service.create({ command: ['sleep', '1000'] });
    const url = `http://${ADDRESS.host}:${sandbox.hostPort}/hosts`;
    const page = await until('the server answers', () =>
      okIn(bed.host.outside, ['curl', '-sSf', '--max-time', '3', url]),
    );
    assert.match(page, /localhost/);

    await using _allowed = await tcpServer(bed.host.outside, ADDRESS.internet, 443);
    await using _denied = await tcpServer(bed.host.outside, ADDRESS.internet, 80);
    using inside = Netns.open(sandbox.endpoint.netns);
    assert.ok((await tcpConnect(inside, ADDRESS.internet, 443)).ok);
    assert.deepEqual(await tcpConnect(inside, ADDRESS.internet, 80), { ok: false, error: 'ECONNREFUSED' });
    assert.equal(await ping(inside, ADDRESS.outside, { timeout: 0.5 }), false);
    const neighbour = other.endpoint.addresses[0]!.replace(/\/.*/, '');
    assert.equal(await ping(inside, neighbour, { timeout: 0.5 }), false);

    // whoever is inside cannot change that
    await using breaker = await service.create({ command: ['nft', 'flush', 'ruleset'] });
    const { process } = breaker;
    if (process.exitCode === null) await once(process, 'exit');
    assert.notEqual(process.exitCode, 0);
    using theirs = Netns.open(breaker.endpoint.netns);
    assert.match(await okIn(theirs, ['nft', 'list', 'ruleset']), /table inet egress/);
  }
  assert.deepEqual(await bed.engine.endpointList(), []);
  assert.deepEqual(namesIn(bed.paths.netnsDir), []);
  assert.equal(await links(bed), before);
  assert.equal(await okIn(bed.host.netns, ['nft', 'list', 'ruleset']), '');
});

test('what a service left that was killed, the next one removes', async () => {
  await using bed = await makeEngineBed();
  const first = await open(bed);
  const { process } = await first.create({ command: ['sleep', '1000'], port: 8000 });
  process.kill('SIGKILL');
  await once(process, 'exit');
  await first[Symbol.asyncDispose](); // as far as a killed one: its sandbox is not disposed of
  assert.equal((await bed.engine.endpointList()).length, 1);
  {
    await using _second = await open(bed);
    assert.deepEqual(namesIn(bed.paths.netnsDir), []);
  }
  assert.deepEqual(await bed.engine.endpointList(), []);
  assert.equal(await okIn(bed.host.netns, ['nft', 'list', 'ruleset']), '');
});
