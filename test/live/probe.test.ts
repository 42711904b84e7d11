/** The way between two nodes, over a router that does to packets what routers do. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { bindUdpIn, Netns } from '../../src/kernel/index.ts';
import {
  judge,
  LEAST,
  measure,
  type Measured,
  PROBE_PORT,
  readMessage,
  Responder,
  writeMessage,
} from '../../src/probe/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const ID = 'b2f1c9a4-5a52-4b5c-8ad0-5a2b6a8d7f00';
const A = { four: '192.0.2.1', six: '2001:db8:a::1' };
const B = { four: '198.51.100.1', six: '2001:db8:b::1' };
const now = (): number => Date.now();

interface World extends Disposable {
  readonly a: Netns;
  readonly router: Netns;
  readonly b: Netns;
}

/** a eth0 – a-side router b-side – eth0 b */
async function makeWorld(): Promise<World> {
  using undo = new DisposableStack();
  const [a, router, b] = [undo.use(Netns.create()), undo.use(Netns.create()), undo.use(Netns.create())];
  // link-local addresses, too, are there at once
  for (const each of [a, router, b]) await okIn(each, ['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0']);
  for (const [name, netns, { four, six }] of [
    ['a', a, A],
    ['b', b, B],
  ] as const) {
    const gateway = { four: four.replace(/1$/, '254'), six: six.replace(/1$/, '254') };
    await ipBatch(router, [
      `link add ${name}-side type veth peer name eth0 netns /proc/${process.pid}/fd/${netns.fd}`,
      `link set ${name}-side up`,
      `addr add ${gateway.four}/24 dev ${name}-side`,
      `addr add ${gateway.six}/64 dev ${name}-side nodad`,
    ]);
    await ipBatch(netns, [
      'link set lo up',
      'link set eth0 up',
      `addr add ${four}/24 dev eth0`,
      `addr add ${six}/64 dev eth0 nodad`,
      `route add default via ${gateway.four}`,
      `route add ::/0 via ${gateway.six}`,
    ]);
  }
  await okIn(router, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  const kept = undo.move();
  return { a, router, b, [Symbol.dispose]: () => kept.dispose() };
}

function answering({ b }: World, options: { readonly now?: () => number } = {}): Responder {
  return new Responder(b, { addresses: [B.four, B.six], id: ID, now, ...options });
}

async function asked({ a }: World, id = ID): Promise<readonly [Measured, Measured]> {
  const target = { node: 'b', id, mtu: 1500 };
  const [four, six] = await measure(
    a,
    [
      { ...target, local: A.four, remote: B.four },
      { ...target, local: A.six, remote: B.six },
    ],
    { now },
  );
  assert.ok(four && six);
  return [four, six];
}

function sizes(measured: readonly Measured[]): (readonly [number | undefined, number | undefined])[] {
  return measured.map(({ out, back }) => [out, back] as const);
}
function found(measured: readonly Measured[]): string {
  return judge(measured)
    .map(({ check, severity, text }) => `${severity} ${check}: ${text}`)
    .join('\n');
}
const nft = (netns: Netns, rules: string): Promise<string> => okIn(netns, ['nft', '-f', '-'], { input: rules });

test('by both families, whole packets come through, from the address that is ours; a wrong clock is seen', async () => {
  using world = await makeWorld();
  using _ = answering(world, { now: () => now() - 90_000 });
  const measured = await asked(world);
  assert.deepEqual(sizes(measured), [
    [1500, 1500],
    [1500, 1500],
  ]);
  assert.deepEqual(
    measured.map(({ heard }) => heard?.address),
    [A.four, A.six],
  );
  const { ahead, rtt } = measured[0].heard!;
  assert.ok(Math.abs(ahead + 90_000) <= rtt / 2 + 2, `${ahead} by ${rtt}`);
  assert.match(
    found(measured),
    /^ok reachable.*\nwarn clock: the clock of this host is 90\.\d s .* ahead of that of b/,
  );
});

test("a port that a firewall drops, that is nobody's, that our own firewall refuses: each is told from the others", async () => {
  using world = await makeWorld();
  assert.match(found(await asked(world)), /is reached, and nobody answers there/);
  using _ = answering(world);
  await nft(world.b, `table inet t { chain i { type filter hook input priority 0; udp dport ${PROBE_PORT} drop; }; }`);
  assert.match(
    found(await asked(world)),
    /^stop reachable: the one other node .* b \(198\.51\.100\.1\), b \(2001:db8:b::1\)/,
  );
  await nft(world.b, 'delete table inet t');
  await nft(world.a, `table ip t { chain o { type filter hook output priority 0; udp dport ${PROBE_PORT} drop; }; }`);
  assert.match(
    found(await asked(world)),
    /^warn reachable: b \(198\.51\.100\.1\) .*a firewall of this host's refuses it/,
  );
});

test('a small link on the way is measured to the byte, whether routers say so or not, and the way back by itself', async () => {
  using world = await makeWorld();
  using _ = answering(world);
  await ipBatch(world.router, ['link set b-side mtu 1400']);
  const told = await asked(world);
  assert.deepEqual(
    told.map(({ out }) => out),
    [1400, 1400],
  );
  assert.match(
    found(told),
    /warn mtu: packets of 1500 bytes to b \(198\.51\.100\.1\) do not come through, 1400 bytes do/,
  );
  await nft(
    world.router,
    'table inet t { chain o { type filter hook output priority 0; meta l4proto icmp drop; icmpv6 type packet-too-big drop; }; }',
  );
  for (const netns of [world.a, world.b]) await okIn(netns, ['ip', 'route', 'flush', 'cache']);
  const hole = await asked(world);
  assert.deepEqual(
    hole.map(({ out }) => out),
    [1400, 1400],
  );
  assert.match(found(hole), /no router says so, 1400 bytes do/);
  // the other way: what leaves by the link to us
  await ipBatch(world.router, ['link set b-side mtu 1500', 'link set a-side mtu 1300']);
  await nft(
    world.router,
    'table inet u { chain f { type filter hook forward priority 0; iifname "b-side" meta length > 1350 drop; }; }',
  );
  await ipBatch(world.router, ['link set a-side mtu 1500']);
  const back = await asked(world);
  assert.deepEqual(sizes(back), [
    [1500, 1350],
    [1500, 1350],
  ]);
  assert.match(found(back), /warn mtu: packets of 1500 bytes from b .* 1350 bytes do/);
});

test('an address that is translated on the way is seen', async () => {
  using world = await makeWorld();
  using _ = answering(world);
  await nft(
    world.router,
    'table ip t { chain p { type nat hook postrouting priority 100; oifname "b-side" masquerade; }; }',
  );
  assert.match(
    found(await asked(world)),
    /warn address: b sees packets of 192\.0\.2\.1 come from 198\.51\.100\.254: .*NAT/,
  );
});

test('where checksums are wrong, datagrams without one tell so', async () => {
  using world = await makeWorld();
  using _ = answering(world);
  // as an interface that computes them wrongly: those that stay partial are not looked at
  await okIn(world.a, ['ethtool', '-K', 'eth0', 'tx', 'off']);
  await nft(
    world.router,
    'table ip t { chain f { type filter hook forward priority 0; iifname "a-side" meta l4proto udp @th,48,16 != 0 @th,48,16 set 0xbeef; }; }',
  );
  const measured = await asked(world);
  assert.deepEqual(
    measured.map(({ bare }) => bare),
    [true, undefined],
  );
  assert.match(found(measured), /warn checksum: b \(198\.51\.100\.1\) answers nothing but datagrams without checksum/);
});

test('a stranger gets no answer; a friend gets no more bytes than it sent, and not as often as it likes', async () => {
  using world = await makeWorld();
  using _ = answering(world);
  assert.throws(() => answering(world), { code: 'EADDRINUSE' });
  assert.match(found(await asked(world, `${ID.slice(0, -1)}1`)), /^stop reachable/);
  const socket = createSocket('udp4');
  try {
    const answers: number[] = [];
    socket.on('message', (bytes) => answers.push(readMessage(bytes, ID)?.kind === 'answer' ? bytes.length : -1));
    socket.bind({ fd: bindUdpIn(world.a, { address: A.four, port: 0 }).release() });
    const ask = (length: number): Promise<void> => {
      const whole = new Uint8Array(Math.max(length, LEAST));
      writeMessage(whole, { kind: 'question', nonce: '0011223344556677', want: 9000 }, ID);
      const bytes = whole.subarray(0, length);
      return new Promise((done, failed) =>
        socket.send(bytes, PROBE_PORT, B.four, (error) => (error ? failed(error) : done())),
      );
    };
    for (const length of [LEAST, 500, LEAST - 1, 1472]) await ask(length);
    await until('three are answered', () => answers.length === 3);
    assert.deepEqual(answers, [LEAST, 500, 1472]);
    const begun = performance.now();
    for (let i = 0; i < 4000; i++) await ask(LEAST);
    // whenever the responder is willing again
    await until('it answers again', async () => {
      await ask(200);
      return answers.includes(200);
    });
    const seconds = (performance.now() - begun) / 1000;
    const { length } = answers;
    assert.ok(length > 100 && length <= 1010 + 500 * seconds, `${length} answers within ${seconds} s`);
  } finally {
    socket.close();
  }
});
