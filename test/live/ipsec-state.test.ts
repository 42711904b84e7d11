// runs: in the guest (ESP, interfaces of kind xfrm)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/engine/apply.ts';
import { kindOf } from '../../src/facts/index.ts';
import { espKeyOf } from '../../src/keys/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NETLINK, NetlinkConn, NetlinkMonitor } from '../../src/netlink/index.ts';
import { parseXfrmEvent, stateAdd, stateDelete, stateGet, parseState, XFRMNLGRP } from '../../src/xfrm/index.ts';
import { bothReach, type CryptHost, cryptState, makeCryptBed } from '../lib/crypt-bed.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { okIn } from '../lib/run.ts';
import { openShell } from '../lib/shell.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const key = Uint8Array.from({ length: 36 }, (_, i) => i + 1);
const ESP = { reqid: 28268, replayWindow: 128, aead: { name: 'rfc4106(gcm(aes))', key, icvBits: 128 } };
const ESP_IP = `proto esp spi 0x12345678 reqid 28268 mode tunnel replay-window 128 flag esn af-unspec aead rfc4106(gcm(aes)) 0x${Buffer.from(key).toString('hex')} 128`;

for (const [ends, words, spec] of [
  [{ src: '192.0.2.1', dst: '192.0.2.2' }, 'if_id 0x6e000001', { ifId: 0x6e000001 }],
  [
    { src: '2001:db8::1', dst: '2001:db8::2' },
    'limit packet-soft 5 limit packet-hard 7',
    { limits: { softPackets: 5n, hardPackets: 7n } },
  ],
] as const) {
  test(`ip and we make the same state: ${ends.src}, ${words}`, async () => {
    using byIp = Netns.create();
    using netns = Netns.create();
    using conn = NetlinkConn.open(NETLINK.XFRM, netns);
    await okIn(byIp, [
      'ip',
      'xfrm',
      'state',
      'add',
      'src',
      ends.src,
      'dst',
      ends.dst,
      ...`${ESP_IP} ${words}`.split(' '),
    ]);
    const id = { dst: ends.dst, spi: 0x12345678 };
    await conn.execute(stateAdd({ ...ends, ...id, ...ESP, ...spec }));
    const list = async (where: Netns): Promise<string> =>
      (await okIn(where, ['ip', '-s', 'xfrm', 'state'])).replaceAll(/add .* use .*/g, '');
    assert.equal(await list(netns), await list(byIp));
    await assert.rejects(conn.execute(stateAdd({ ...ends, ...id, ...ESP })), { code: 'EEXIST' });
    const [message] = await conn.execute(stateGet(id));
    assert.ok(message);
    const { added, ...state } = parseState(message);
    assert.ok(added > 0n);
    assert.deepEqual(state, {
      ...{ ...ends, ...id, ...ESP, ifId: 0, limits: {}, ...spec },
      ...{
        proto: 50,
        mode: 'tunnel',
        anyFamily: true,
        esn: true,
        sent: 0n,
        bytes: 0n,
        packets: 0n,
        replayed: 0,
        failed: 0,
      },
    });
    await conn.execute(stateDelete(id));
    assert.equal(await list(netns), '');
    await assert.rejects(conn.execute(stateDelete(id)), { code: 'ESRCH' });
  });
}

test('a state that comes to its limit is told of, and that it went', async () => {
  using netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.XFRM, netns);
  using monitor = NetlinkMonitor.open(NETLINK.XFRM, netns, [XFRMNLGRP.EXPIRE, XFRMNLGRP.SA]);
  const ends = { src: '192.0.2.1', dst: '192.0.2.2', spi: 0x1000 };
  await conn.execute(stateAdd({ ...ends, ...ESP, limits: { softSeconds: 1n, hardSeconds: 2n } }));
  const told: string[] = [];
  for await (const event of monitor) {
    for (const each of event.kind === 'messages' ? event.messages.map(parseXfrmEvent) : []) {
      if (each?.kind === 'expire') told.push(`${each.hard ? 'hard' : 'soft'} ${each.state.spi}`);
      else if (each?.kind === 'state') told.push(`${each.verb} ${each.verb === 'new' ? each.state.spi : each.id.spi}`);
    }
    if (told.some((word) => word.startsWith('hard'))) break;
  }
  assert.deepEqual(told, ['new 4096', 'soft 4096', 'hard 4096']);
});

test('by its commands it is the same, and no plan has a key', async () => {
  await using bed = await makeCryptBed('ipsec', 4);
  const [host, other] = bed.hosts;
  for (const each of bed.hosts) await each.settle();
  const shown = (): Promise<unknown> => cryptState(host.netns);
  const keys = async (): Promise<string[]> =>
    (await okIn(host.netns, ['ip', 'xfrm', 'state'])).match(/0x[0-9a-f]{72}/g)?.sort() ?? [];
  const [state, secret] = [await shown(), await keys()];
  assert.equal(secret.length, 2);
  const facts = host.facts();
  const told = JSON.stringify(
    facts.map((fact) => [fact, kindOf(fact).command(fact, 'add'), kindOf(fact).describe(fact)]),
  );
  for (const one of secret) assert.ok(!told.includes(one.slice(2)));
  await using shell = await openShell(host.netns);
  for (const fact of facts) {
    if (fact.kind !== 'xfrm-state' && (fact.kind !== 'xfrm-policy' || fact.src.includes(':'))) continue;
    await shell.ok(`${kindOf(fact).command(fact, 'delete')}\n`);
    assert.match((await host.differences())[0] ?? '', new RegExp(`^add ${fact.kind} `));
    // again: no error
    await apply(host.kernel, [{ verb: 'delete', fact }]);
    const variable =
      fact.kind === 'xfrm-state'
        ? `ESP_KEY_${fact.spi.toString(16).padStart(8, '0')}=0x${espKeyOf(fact.direction, fact.sends, fact.keyFile).toString('hex')}\n`
        : '';
    await shell.ok(`${variable}${kindOf(fact).command(fact, 'add')}\n`);
    assert.deepEqual(await host.differences(), [], 'made by hand, it reads back the same');
    // there already, as wanted: adopted
    await apply(host.kernel, [{ verb: 'add', fact }]);
  }
  assert.deepEqual(await shown(), state);
  assert.deepEqual(await keys(), secret);
  // the other one can hear what was made by hand, but for the sequence numbers that it has seen
  assert.deepEqual(await other.differences(), []);
});

test('who sends what is not its own is not heard', async () => {
  await using bed = await makeCryptBed('ipsec', 4);
  const [a, b] = bed.hosts;
  for (const host of bed.hosts) await host.settle();
  assert.ok(await bothReach(bed));
  const dropped = async (host: CryptHost): Promise<number> => {
    const counters = await okIn(host.netns, ['cat', '/proc/net/xfrm_stat']);
    return [...counters.matchAll(/XfrmIn(?:NoPols|TmplMismatch)\s+(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0);
  };
  const before = await dropped(b);
  // an address of a third host's prefix
  await okIn(a.workload, ['ip', 'addr', 'add', '10.244.3.3/32', 'dev', 'eth0']);
  await okIn(a.netns, ['ip', 'route', 'add', '10.244.3.3/32', 'dev', 'br0']);
  const spoof = okIn(a.workload, ['sh', '-c', `ping -n -c 2 -i 0.2 -W 1 -I 10.244.3.3 ${b.addresses[0]} || true`]);
  await until('it is dropped', async () => (await dropped(b)) > before, { timeout: 10_000 });
  assert.match(await spoof, /100% packet loss/);
});
