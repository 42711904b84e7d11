import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OUR_TABLE } from '../../src/facts/index.ts';
import { NETLINK, NetlinkMonitor } from '../../src/netlink/index.ts';
import { concernsTable, decodeGeneration, NFNLGRP_NFTABLES } from '../../src/nftables/index.ts';
import { parseEvent, RTNLGRP } from '../../src/rtnetlink/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { kernelSettles, stateOf } from '../lib/kernel-state.ts';
import { type Background, okIn, startIn } from '../lib/run.ts';
import { startTraffic } from '../lib/traffic.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const CHILD = fileURLToPath(new URL('resident-child.ts', import.meta.url));

/** A resident engine in a process of its own, ready; what it found to do. */
async function startResident(bed: EngineBed): Promise<Background & { readonly repaired: number }> {
  const options = JSON.stringify({ ...bed.paths, netnsPath: `/proc/${process.pid}/fd/${bed.host.netns.fd}` });
  const child = startIn(bed.host.netns, [process.execPath, '--no-warnings', CHILD, options]);
  const line = await until(
    'the engine is ready',
    () => {
      if (child.child.exitCode !== null) throw new Error(child.output());
      return /^ready (.*)$/m.exec(child.output())?.[1];
    },
    { timeout: 30_000 },
  );
  return { ...child, repaired: (JSON.parse(line) as { repaired: number }).repaired };
}

const WAYS = ['SIGTERM', 'SIGKILL', 'SIGKILL', 'SIGTERM'] as const;

test(
  'pain 4 (moby#34660), pain 31 (cilium#30609): stop, kill -9 and start lose no packet and break no connection',
  { timeout: 120_000 },
  async () => {
    await using bed = await makeEngineBed();
    await bed.engine.networkCreate({ name: 'web', ipv6: true });
    const [server, other] = [await bed.workload('server'), await bed.workload('other')];
    const ports = (['tcp', 'udp'] as const).map((protocol) => ({
      protocol,
      hostPort: 8080,
      containerPort: 80,
      count: 1,
    }));
    const { value: endpoint } = await bed.engine.endpointAttach({ netns: server.path, network: 'web', ports });
    await bed.engine.endpointAttach({ netns: other.path, network: 'web' });
    const before = await stateOf([bed.host.netns, server.netns, other.netns]);
    await using published = await startTraffic({
      client: bed.host.outside,
      server: server.netns,
      serverPort: 80,
      address: ADDRESS.host,
      port: 8080,
    });
    await using inside = await startTraffic({
      client: other.netns,
      server: server.netns,
      serverPort: 81,
      address: (endpoint.addresses[0] ?? '').replace(/\/.*/, ''),
      port: 81,
    });
    for (const signal of WAYS) {
      const daemon = await startResident(bed);
      assert.equal(daemon.repaired, 0, 'nothing was wrong');
      daemon.child.kill(signal);
      await until(`gone after ${signal}`, () => daemon.child.exitCode !== null || daemon.child.signalCode !== null);
      await daemon[Symbol.asyncDispose]();
    }
    for (const [name, traffic] of Object.entries({ published, inside })) {
      const report = await traffic.stop();
      assert.ok(
        report.sent > 500 && report.opened > 50 && report.bytes > 100_000,
        `${name}: ${JSON.stringify(report)}`,
      );
      assert.deepEqual(
        { lost: report.lost, broken: report.broken, refused: report.refused },
        { lost: 0, broken: 0, refused: 0 },
        `${name}: ${JSON.stringify(report)}`,
      );
    }
    assert.deepEqual(await stateOf([bed.host.netns, server.netns, other.netns]), before);
  },
);

test('a start writes nothing where all is right', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  const a = await bed.workload('a');
  await bed.engine.endpointAttach({
    netns: a.path,
    network: 'web',
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  using ruleset = NetlinkMonitor.open(NETLINK.NETFILTER, bed.host.netns, [NFNLGRP_NFTABLES]);
  const groups = [RTNLGRP.LINK, RTNLGRP.IPV4_IFADDR, RTNLGRP.IPV6_IFADDR, RTNLGRP.IPV4_ROUTE, RTNLGRP.IPV6_ROUTE];
  using links = NetlinkMonitor.open(NETLINK.ROUTE, bed.host.netns, groups);
  using inside = NetlinkMonitor.open(NETLINK.ROUTE, a.netns, groups);
  await kernelSettles([bed.host.netns, a.netns]);
  for (const monitor of [ruleset, links, inside]) drain(monitor);
  await using engine = await bed.open({ resident: true });
  assert.deepEqual(engine.recovery.repaired, []);
  await engine.gc();
  assert.deepEqual([drain(ruleset), drain(links), drain(inside)], [0, 0, 0]);
});

test('an upgrade: what another version left in the table is replaced in one transaction, without a lost packet', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web' });
  const server = await bed.workload('server');
  const ports = (['tcp', 'udp'] as const).map((protocol) => ({
    protocol,
    hostPort: 8080,
    containerPort: 80,
    count: 1,
  }));
  await bed.engine.endpointAttach({ netns: server.path, network: 'web', ports });
  const before = await stateOf([bed.host.netns]);
  // a set and a chain that this version does not have, and a rule more in one that it has
  await okIn(bed.host.netns, ['nft', '-f', '-'], {
    input: `table inet netloom {
      set old {
        type ifname
      }
      chain old_input {
        type filter hook input priority 0; policy accept;
        iifname @old counter
      }
    }
    insert rule inet netloom forward iifname @old counter accept
    `,
  });
  await using traffic = await startTraffic({
    client: bed.host.outside,
    server: server.netns,
    serverPort: 80,
    address: ADDRESS.host,
    port: 8080,
  });
  using ruleset = NetlinkMonitor.open(NETLINK.NETFILTER, bed.host.netns, [NFNLGRP_NFTABLES]);
  await using daemon = await startResident(bed);
  assert.equal(daemon.repaired, 3);
  let transactions = 0;
  for (let event = ruleset.take(); event; event = ruleset.take())
    if (event.kind === 'messages')
      transactions += event.messages.filter((m) => decodeGeneration(m) !== undefined).length;
  assert.equal(transactions, 1);
  assert.deepEqual(await stateOf([bed.host.netns]), before);
  const { lost, broken, refused } = await traffic.stop();
  assert.deepEqual({ lost, broken, refused }, { lost: 0, broken: 0, refused: 0 });
});

/** How many messages wait that speak of what is ours. */
function drain(monitor: NetlinkMonitor): number {
  let count = 0;
  for (let event = monitor.take(); event; event = monitor.take()) {
    if (event.kind === 'overrun') throw new Error('messages were lost');
    for (const message of event.messages) {
      if (concernsTable(message, [OUR_TABLE]) || decodeGeneration(message) !== undefined) count++;
      else if (parseEvent(message) !== undefined && message.type < 2560) count++;
    }
  }
  return count;
}
