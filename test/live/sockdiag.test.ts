import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostSockets } from '../../src/engine/host-sockets.ts';
import { bindUdpIn, type Fd, listenIn, Netns } from '../../src/kernel/index.ts';
import type { PublishedPort } from '../../src/model/index.ts';
import { boundSockets } from '../../src/sockdiag/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS, makeHost } from '../lib/host.ts';
import { startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

test('every listening TCP socket and every bound UDP socket is in the list', async () => {
  using netns = Netns.create();
  using _four = listenIn(netns, { address: '0.0.0.0', port: 80 });
  using _six = listenIn(netns, { address: '::', port: 81 });
  using _datagrams = bindUdpIn(netns, { address: '0.0.0.0', port: 53 });
  await using both = startIn(netns, ['socat', 'TCP6-LISTEN:82,ipv6only=0', 'STDOUT']);
  await until('socat listens', async () => (await boundSockets(netns, 'tcp')).length === 3);
  const tcp = (await boundSockets(netns, 'tcp')).toSorted((a, b) => a.port - b.port);
  assert.deepEqual(tcp, [
    { family: 4, address: '0.0.0.0', port: 80, v6only: false, scope: 0 },
    { family: 6, address: '::', port: 81, v6only: true, scope: 0 },
    { family: 6, address: '::', port: 82, v6only: false, scope: 0 },
  ]);
  assert.deepEqual(await boundSockets(netns, 'udp'), [
    { family: 4, address: '0.0.0.0', port: 53, v6only: false, scope: 0 },
  ]);
  assert.ok(both);
});

test('the list says of a port what binding to it says', async () => {
  await using host = await makeHost();
  const { netns } = host;
  const held: Fd[] = [];
  const where = ['0.0.0.0', '127.0.0.1', ADDRESS.host, '::', '::1', ADDRESS.host6];
  try {
    let port = 2000;
    for (const address of where) {
      for (const open of [listenIn, bindUdpIn]) held.push(open(netns, { address, port: port }));
      port += 10;
    }
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const hostAddress of where) {
        const at = (hostPort: number, count: number): PublishedPort => ({
          protocol,
          hostAddress,
          hostPort,
          containerPort: 1,
          count,
        });
        for (let i = 0; i < where.length; i++) {
          const bound = await new HostSockets(netns).firstHeld(at(2000 + 10 * i, 1));
          // forty before it are free: the list has taken over
          const sockets = new HostSockets(netns);
          assert.equal(await sockets.firstHeld(at(1900, 40)), undefined);
          const listed = await sockets.firstHeld(at(2000 + 10 * i, 5));
          assert.equal(listed, bound, `${protocol} ${hostAddress} beside ${where[i]}`);
        }
      }
    }
  } finally {
    for (const fd of held) fd.close();
  }
  await assert.rejects(
    new HostSockets(netns).firstHeld({
      protocol: 'tcp',
      hostAddress: '203.0.113.1',
      hostPort: 80,
      containerPort: 80,
      count: 9,
    }),
    { code: 'EADDRNOTAVAIL' },
  );
});

test('pain 6 (moby#11185): a thousand ports are one element, and one look at the host’s sockets', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const a = await bed.workload('a');
  const ports = [parsePublish('20000-20999:20000-20999'), parsePublish('20000-20999:20000-20999/udp')];
  using held = bindUdpIn(host.netns, { address: ADDRESS.host, port: 20_777 });
  await assert.rejects(engine.endpointAttach({ netns: a.path, network: 'web', ports }), {
    code: 'EPORTTAKEN',
    message: /udp port 20777 on 0\.0\.0\.0 is in use by another program/,
  });
  held.close();
  const { plan = [] } = await engine.endpointAttach({ netns: a.path, network: 'web', ports }, { explain: true });
  assert.equal(plan.filter((step) => / publish\w+ /.test(step.command)).length, 2);
});
