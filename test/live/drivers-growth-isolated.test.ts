import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { bare, fill } from '../lib/lan.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';

checkDescriptors();

/** A thousand endpoints take a while on a busy machine. */
const LONG = { timeout: 140_000 };

test('endpoints that may not talk to each other may not across bridges, either', LONG, async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', options: { icc: 'false' }, subnets: [{ subnet: '172.30.0.0/16' }] });
  const [first, last, next] = [await bed.workload('first'), await bed.workload('last'), await bed.workload('next')];
  const { value: begin } = await engine.endpointAttach({ netns: first.path, network: 'web' });
  await fill(engine, 'web', 1000);
  const { value: far } = await engine.endpointAttach({
    netns: last.path,
    network: 'web',
    ports: [parsePublish('8080:80')],
  });
  const { value: beside } = await engine.endpointAttach({ netns: next.path, network: 'web' });
  assert.match(far.bridge ?? '', /^brs1-/);
  for (const [from, to] of [
    [first, far],
    [last, begin],
    [last, beside],
  ] as const) {
    for (const address of bare(to.addresses)) assert.ok(!(await ping(from.netns, address, { timeout: 1 })), address);
  }
  for (const { netns } of [first, last]) assert.ok(await ping(netns, '172.30.0.1', { timeout: 5 }));
  for (const address of bare(far.addresses)) assert.ok(await ping(host.netns, address, { timeout: 5 }));
  await using _server = await tcpServer(last.netns, '0.0.0.0', 80);
  assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8080)).ok);
});
