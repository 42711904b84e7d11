import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConntrackConn, conntrackDump } from '../../src/conntrack/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { parsePublish, type PortSpec } from '../../src/model/index.ts';
import { NETLINK, NetlinkConn } from '../../src/netlink/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpHold, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
import { makeContainerBed, namespaceOf, plain } from './containers-bed.ts';

checkDescriptors();

const ports = (...texts: string[]): PortSpec[] => texts.map((text) => ({ ...parsePublish(text), firewall: 'open' }));

/** What the host tracks, as conntrack(8) does not abbreviate it: `17 192.0.2.2:5000 -> 192.0.2.1:53 by 172.18.0.2:53`. */
async function entriesOf(netns: Netns): Promise<string[]> {
  using conn = ConntrackConn.open(netns);
  return (await conn.dump())
    .filter(({ orig }) => orig.dport !== undefined)
    .map(
      ({ orig, reply }) =>
        `${orig.protocol} ${orig.src}:${orig.sport} -> ${orig.dst}:${orig.dport} by ${reply.src}:${reply.sport}`,
    )
    .sort();
}
/** As a client that keeps its port, whom an old entry serves for ever. */
const ask = (from: Netns, port = 5353, address: string = ADDRESS.host): ReturnType<typeof udpConnect> =>
  udpConnect(from, address, port, { sourcePort: 40_000, timeout: 400 });

test('pain 8 (moby#8795): a port published under a client that sends already answers it', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  const a = await bed.workload('a');
  await using v4 = await udpEcho(a.netns, '0.0.0.0', 53);
  await using v6 = await udpEcho(a.netns, '::', 53);
  // a firewall that says nothing keeps the entry, as a lost answer would; published ports do not ask it
  await okIn(host.netns, ['nft', 'add table inet fw; add chain inet fw in { type filter hook input priority 0; }']);
  await okIn(host.netns, ['nft', 'add rule inet fw in udp dport { 5353, 5354 } counter drop']);
  await okIn(host.netns, ['conntrack', '-I', ...entry(ADDRESS.outside, ADDRESS.host, 5353)]);
  await okIn(host.netns, ['conntrack', '-I', ...entry(ADDRESS.outside6, ADDRESS.host6, 5353)]);
  await okIn(host.netns, ['conntrack', '-I', ...entry(ADDRESS.outside, ADDRESS.host, 5354)]);
  await okIn(host.netns, ['conntrack', '-I', ...entry(ADDRESS.outside, ADDRESS.internet, 5353)]);
  assert.equal((await ask(host.outside)).ok, false, 'nobody is there yet');

  const { value } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: ports('5353:53/udp') });
  const left = await entriesOf(host.netns);
  assert.deepEqual(left, [
    `17 ${ADDRESS.outside}:40000 -> ${ADDRESS.host}:5354 by ${ADDRESS.host}:5354`,
    `17 ${ADDRESS.outside}:40000 -> ${ADDRESS.internet}:5353 by ${ADDRESS.internet}:5353`,
  ]);
  assert.ok((await ask(host.outside)).ok, 'IPv4');
  assert.ok((await ask(host.outside, 5353, ADDRESS.host6)).ok, 'IPv6');
  // the same for one that is published later
  await engine.endpointUpdate(value.id, { publish: ports('5354:53/udp') });
  assert.ok((await ask(host.outside, 5354)).ok);
  assert.ok(v4 && v6);
});
const entry = (src: string, dst: string, dport: number): string[] =>
  `-p udp -s ${src} -d ${dst} --sport 40000 --dport ${dport} -t 600 -u SEEN_REPLY`.split(' ');

test('pain 8 (kubernetes#125467): a UDP client follows its port from one endpoint to the next', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  await using one = await udpEcho(a.netns, '0.0.0.0', 53, 'one');
  await using two = await udpEcho(b.netns, '0.0.0.0', 53, 'two');
  const said = async (): Promise<string> => {
    const answer = await ask(host.outside);
    return answer.ok ? answer.seen.reply : answer.error;
  };
  const { value: first } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: ports('5353:53/udp') });
  const { value: second } = await engine.endpointAttach({ netns: b.path, network: 'web' });
  assert.equal(await said(), 'one');
  await engine.endpointUpdate(first.id, { unpublish: [{ protocol: 'udp', hostPort: 5353, count: 1 }] });
  assert.notEqual(await said(), 'one', 'it is published no more');
  await engine.endpointUpdate(second.id, { publish: ports('5353:53/udp') });
  assert.equal(await said(), 'two');
  await engine.endpointDetach(second.id);
  await engine.endpointUpdate(first.id, { publish: ports('5353:53/udp') });
  assert.equal(await said(), 'one');
  await engine.endpointDetach(first.id);
  assert.deepEqual(
    (await entriesOf(host.netns)).filter((line) => line.includes(plain(first.addresses[0]))),
    [],
  );
  assert.ok(one && two);
});

test('pain 8 (moby#8795): whoever gets a container’s address does not get its connections', async () => {
  await using bed = await makeContainerBed({ neighbour: true });
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  await engine.networkCreate({ name: 'other', ipv6: true });
  const other = await bed.workload('other');
  await engine.endpointAttach({ netns: other.path, network: 'other' });
  await engine.containerCreate({
    name: 'box',
    command: ['sleep', '300'],
    networks: [{ network: 'web' }],
    ports: ports('8080:80', '5353:53/udp'),
  });
  const { value } = await engine.containerStart('box');
  const [endpoint] = value.endpoints;
  const addresses = (endpoint?.addresses ?? []).map(plain);
  {
    using inside = namespaceOf(bed, 'box');
    await using server = await tcpServer(inside, '0.0.0.0', 80);
    await using udp = await udpEcho(inside, '0.0.0.0', 53);
    await using outer = await udpEcho(host.outside, ADDRESS.internet, 7000);
    await using outer6 = await udpEcho(host.outside, ADDRESS.internet6, 7000);
    assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8080)).ok);
    assert.ok((await ask(host.outside)).ok);
    for (const from of [inside, other.netns]) {
      assert.ok((await udpConnect(from, ADDRESS.internet, 7000)).ok);
      assert.ok((await udpConnect(from, ADDRESS.internet6, 7000)).ok);
    }
    assert.ok(server && udp && outer && outer6);
  }
  const ours = (line: string): boolean => addresses.some((address) => line.includes(`${address}:`));
  const before = await entriesOf(host.netns);
  assert.ok(before.filter(ours).length >= 4, before.join('\n'));
  await engine.containerStop('box', { timeoutSeconds: 0 });
  await engine.containerExited('box');
  assert.deepEqual(
    await entriesOf(host.netns),
    before.filter((line) => !ours(line)),
    'exactly its own went',
  );
});

test('many at once: one look at the table; a large table is not read as a whole', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const workloads = await Promise.all(Array.from({ length: 6 }, (_, i) => bed.workload(`w${i}`)));
  const endpoints = [];
  for (const { path } of workloads)
    endpoints.push((await engine.endpointAttach({ netns: path, network: 'web' })).value);
  // 3,000 of somebody else's, and two of each of ours
  const lines = Array.from(
    { length: 3000 },
    (_, i) => `-I -p udp -s 10.9.${i >> 8}.${i & 255} -d 10.8.0.1 --sport 1000 --dport 53 -t 600`,
  );
  for (const { addresses } of endpoints) {
    const address = plain(addresses[0]);
    const last = address.split('.')[3];
    lines.push(`-I -p udp -s ${address} -d 10.8.0.1 --sport 1000 --dport 53 -t 600`);
    lines.push(
      `-I -p udp -s 10.8.0.1 -d 192.0.2.1 --sport 1${last} --dport 54 -r ${address} -q 10.8.0.1 ` +
        `--reply-port-src 54 --reply-port-dst 1${last} -t 600`,
    );
  }
  const file = join(bed.dirs.root, 'entries');
  writeFileSync(file, lines.join('\n') + '\n');
  await okIn(host.netns, ['conntrack', '-R', file]);
  assert.equal((await entriesOf(host.netns)).length, 3012);
  await engine.endpointDetach(endpoints[0]!.id);
  assert.equal((await entriesOf(host.netns)).length, 3010, 'one by itself');
  await Promise.all(endpoints.slice(1).map(({ id }) => engine.endpointDetach(id)));
  assert.equal((await entriesOf(host.netns)).length, 3000, 'the others together');

  // the kernel, not we, does the choosing
  using conn = NetlinkConn.open(NETLINK.NETFILTER, host.netns);
  const count = async (filter: Parameters<typeof conntrackDump>[0]): Promise<number> =>
    (await conn.execute(conntrackDump(filter))).length;
  assert.equal(await count({ family: 4, orig: { src: '10.9.0.7' } }), 1);
  assert.equal(await count({ family: 4, reply: { src: '10.8.0.1' } }), 3000);
  assert.equal(await count({ family: 4, reply: { src: '10.8.0.2' } }), 0);
  assert.equal(await count({ family: 4, orig: { protocol: 17, dport: 53 } }), 3000);
  assert.equal(await count({ family: 4, orig: { protocol: 17, dport: 54 } }), 0);
  assert.equal(await count({ family: 4, orig: { protocol: 6 } }), 0);
  assert.equal(await count({ family: 6, orig: { protocol: 17 } }), 0);
});

test('a held connection to an endpoint that goes ends; its neighbour’s stays', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const { value } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: ports('8080:80') });
  await engine.endpointAttach({ netns: b.path, network: 'web', ports: ports('8081:80') });
  await using one = await tcpServer(a.netns, '0.0.0.0', 80);
  await using two = await tcpServer(b.netns, '0.0.0.0', 80);
  await using first = await tcpHold(host.outside, ADDRESS.host, 8080);
  await using second = await tcpHold(host.outside, ADDRESS.host, 8081);
  await engine.endpointDetach(value.id);
  assert.equal((await first.again(1000)).ok, false);
  assert.ok((await second.again()).ok);
  assert.ok(one && two);
});
