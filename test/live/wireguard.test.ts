// runs: in the guest (WireGuard)
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { kindOf } from '../../src/facts/index.ts';
import { generatePrivateKey, publicKeyOf } from '../../src/keys/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NETLINK, NetlinkConn } from '../../src/netlink/index.ts';
import { parseWgDevice, wgGet, wireguardFamily, wgSet } from '../../src/wireguard/index.ts';
import { bothReach, cryptState, listen, makeCryptBed, startTraffic } from '../lib/crypt-bed.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { openShell } from '../lib/shell.ts';

checkDescriptors();

test('wg and we see the same, of few addresses and of many', async () => {
  using netns = Netns.create();
  await ipBatch(netns, ['link add wg0 type wireguard', 'link add wg1 type wireguard']);
  using conn = NetlinkConn.open(NETLINK.GENERIC, netns);
  const { id } = await wireguardFamily(conn);
  const privateKey = generatePrivateKey();
  assert.equal((await okIn(netns, ['wg', 'pubkey'], { input: privateKey })).trim(), publicKeyOf(privateKey));
  const peers = Array.from({ length: 60 }, (_, i) => ({
    publicKey: randomBytes(32).toString('base64'),
    ...(i % 2 === 0 && { presharedKey: randomBytes(32).toString('base64') }),
    endpoint: { address: i % 2 === 0 ? '192.0.2.9' : '2001:db8::9', port: 1000 + i },
    keepalive: 25,
    // one that goes on over several messages, both ways
    allowedIps: Array.from({ length: i === 30 ? 2000 : 1 }, (__, j) => `10.${i}.${j >> 8}.${j & 255}/32`),
    replaceAllowedIps: true,
  }));
  const replies = await conn.batch(
    wgSet(id, { name: 'wg0', privateKey, port: 51820, fwmark: 7, replacePeers: true, peers }),
  );
  assert.deepEqual(
    replies.map((reply) => reply.error),
    replies.map(() => undefined),
  );
  const ours = parseWgDevice(await conn.execute(wgGet(id, 'wg0')));
  const dump = (await okIn(netns, ['wg', 'show', 'wg0', 'dump']))
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
  assert.deepEqual(
    [
      [ours.privateKey, ours.publicKey, `${ours.port}`, `0x${ours.fwmark.toString(16)}`],
      ...ours.peers.map((p) => [
        p.publicKey,
        p.presharedKey ?? '(none)',
        p.endpoint?.address.includes(':')
          ? `[${p.endpoint.address}]:${p.endpoint.port}`
          : `${p.endpoint?.address}:${p.endpoint?.port}`,
        p.allowedIps.join(','),
        `${p.lastHandshake}`,
        `${p.rxBytes}`,
        `${p.txBytes}`,
        `${p.keepalive}`,
      ]),
    ],
    dump,
  );
  assert.equal(ours.peers.length, 60);
  assert.deepEqual(ours.peers.flatMap((p) => p.allowedIps).sort(), peers.flatMap((p) => p.allowedIps).sort());
  // what is missing stays, what is replaced goes
  const [one, two] = peers;
  assert.ok(one && two);
  await conn.batch(
    wgSet(id, {
      name: 'wg0',
      peers: [
        { publicKey: one.publicKey, remove: true },
        { publicKey: two.publicKey, allowedIps: ['10.99.0.0/16'] },
      ],
    }),
  );
  const after = parseWgDevice(await conn.execute(wgGet(id, 'wg0')));
  assert.equal(after.peers.length, 59);
  assert.deepEqual(
    after.peers.find((p) => p.publicKey === two.publicKey)?.allowedIps.toSorted(),
    [...two.allowedIps, '10.99.0.0/16'].sort(),
  );
  await conn.batch(wgSet(id, { name: 'wg0', privateKey: '', replacePeers: true }));
  const bare = parseWgDevice(await conn.execute(wgGet(id, 'wg0')));
  assert.deepEqual([bare.privateKey, bare.publicKey, bare.peers], [undefined, undefined, []]);
});

for (const family of [4, 6] as const) {
  test(`two hosts over IPv${family}: both families inside, nothing in the clear, a new key without loss, nothing left`, async () => {
    await using bed = await makeCryptBed('wireguard', family);
    const { hosts } = bed;
    const before = await Promise.all(hosts.map(({ netns }) => cryptState(netns)));
    for (const host of hosts) await host.settle();
    for (const host of hosts) assert.deepEqual(await host.differences(), [], 'it reads back');
    const heard = await listen(hosts[0]);
    assert.ok(await bothReach(bed));
    const lines = await heard.lines(/UDP.*[\s\S]*UDP.*[\s\S]*UDP/);
    for (const line of lines) assert.match(line, /\.51820[ :].*UDP|ICMP6, (neighbor|router)|igmp|HBH/, 'in the clear');
    // what nobody holds goes nowhere, and not out in the clear
    assert.match(await okIn(hosts[0].netns, ['ip', 'route', 'get', '10.244.9.9']), /dev wg-0123456789ab /);

    await using traffic = startTraffic(bed);
    await traffic.goesOn();
    // the host first, then those that it tells
    hosts[0].words = { ...hosts[0].words, ...bed.newKey() };
    await hosts[0].settle();
    await hosts[1].settle();
    await traffic.goesOn();
    assert.deepEqual((await traffic.stop()).ways, []);
    for (const host of hosts) assert.deepEqual(await host.differences(), [], 'after the change');
    const shown = await okIn(hosts[1].netns, ['wg', 'show', 'all', 'peers']);
    assert.equal(shown.trim().split(/\s+/)[1], hosts[0].words.publicKey);

    const secret = readFileSync(hosts[0].words.keyFile, 'utf8').trim();
    for (const host of hosts) {
      const told = JSON.stringify(
        host.facts().map((fact) => [fact, kindOf(fact).command(fact, 'add'), kindOf(fact).describe(fact)]),
      );
      assert.ok(!told.includes(secret), 'no plan has the key');
    }
    for (const host of hosts) await host.remove();
    assert.deepEqual(await Promise.all(hosts.map(({ netns }) => cryptState(netns))), before);
    for (const host of hosts) await host.remove(); // again: no error
  });
}

test('by its commands it is the same, and every verb of it is tried', async () => {
  await using bed = await makeCryptBed('wireguard', 4);
  const [host] = bed.hosts;
  await host.settle();
  const conf = await okIn(host.netns, ['wg', 'showconf', 'wg-0123456789ab']);
  const facts = host.facts();
  for (const fact of facts) {
    if (fact.kind !== 'wg-device' && fact.kind !== 'wg-peer') continue;
    await using shell = await openShell(host.netns);
    await shell.ok(`${kindOf(fact).command(fact, 'delete')}\n`);
    const [gone] = await host.differences();
    assert.match(gone ?? '', new RegExp(`^add ${fact.kind} `));
    await shell.ok(`${kindOf(fact).command(fact, 'add')}\n`);
    assert.deepEqual(await host.differences(), []);
    assert.equal(await okIn(host.netns, ['wg', 'showconf', 'wg-0123456789ab']), conf);
  }
  // somebody changed it: what differs is said, and put right in place
  const peer = facts.find((fact) => fact.kind === 'wg-peer');
  assert.ok(peer?.kind === 'wg-peer');
  await okIn(host.netns, [
    'wg',
    'set',
    peer.dev,
    'listen-port',
    '999',
    'peer',
    peer.publicKey,
    'allowed-ips',
    '10.7.0.0/16',
    'persistent-keepalive',
    '0',
  ]);
  assert.deepEqual(
    (await host.differences()).map((d) => d.split(' ').slice(0, 2).join(' ')),
    ['change wg-device', 'change wg-peer'],
  );
  // a key file that is another's: one clear line, nothing changed
  const { words } = host;
  host.words = { ...words, keyFile: bed.newKey().keyFile, publicKey: publicKeyOf(generatePrivateKey()) };
  await assert.rejects(host.settle(), { code: 'EBADKEY', message: /others were told/ });
});
