import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainRefusal } from '../../src/engine/refusal.ts';
import { BRIDGE_TABLE } from '../../src/facts/index.ts';
import { jhashMod } from '../../src/guard/jhash.ts';
import { readDrops } from '../../src/guard/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NetlinkError } from '../../src/netlink/index.ts';
import { NftConn } from '../../src/nftables/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { BROADCAST, ETHER, icmp6, rawSocket, sniff, type Sniffer, udp } from '../lib/frames.ts';
import { ADDRESS } from '../lib/host.ts';
import { kernelSettles } from '../lib/kernel-state.ts';
import { ping, udpConnect, udpEcho } from '../lib/peer.ts';
import { ipBatch, okIn } from '../lib/run.ts';

checkDescriptors();

async function dropped(netns: Netns): Promise<Record<string, number>> {
  using conn = NftConn.open(netns);
  const drops = [...(await readDrops(conn))].map(([reason, { packets }]) => [reason, Number(packets)] as const);
  return Object.fromEntries(drops.filter(([, packets]) => packets > 0));
}

test('what an endpoint has to say in its own name, it says, and nothing is counted', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const attach = async (netns: string): Promise<{ mac: string; ip: string; ip6: string }> => {
    const { value } = await bed.engine.endpointAttach({ netns, network: 'web' });
    const [ip, ip6] = value.addresses.map((address) => address.replace(/\/.*/, ''));
    return { mac: value.mac, ip: ip!, ip6: ip6! };
  };
  const [ea, eb] = [await attach(a.path), await attach(b.path)];
  const text = await okIn(b.netns, ['ip', '-6', 'addr', 'show', 'dev', 'eth0']);
  const linkLocal = /inet6 (fe80::[0-9a-f:]+)/.exec(text)?.[1];
  assert.ok(linkLocal, text);
  for (const address of [eb.ip, eb.ip6, `${linkLocal}%eth0`, ADDRESS.outside])
    assert.ok(await ping(a.netns, address, { timeout: 5 }), address);
  assert.ok(await ping(bed.host.netns, ea.ip6));

  // groups, of both families, and who has no address yet
  using heard = sniff(b.netns);
  using socket = rawSocket(a.netns);
  const group = { from: ea.mac, to: '01:00:5e:00:00:fb', src: ea.ip, dst: '224.0.0.251', sport: 5353, dport: 5353 };
  socket.send(udp({ ...group, text: 'mdns' }));
  await heard.upTo('mdns');
  socket.send(
    udp({ ...group, to: BROADCAST, src: '0.0.0.0', dst: '255.255.255.255', sport: 68, dport: 67, text: 'discover' }),
  );
  await heard.upTo('discover');
  socket.send(icmp6({ from: ea.mac, to: '33:33:00:00:00:16', src: '::', dst: 'ff02::16' }, 143, new Uint8Array(4)));
  // duplicate address detection, and a neighbour that nobody knows: both ask by ND
  await ipBatch(a.netns, [`addr del ${ea.ip6}/64 dev eth0`, `addr add ${ea.ip6}/64 dev eth0`, 'neigh flush dev eth0']);
  // until then the kernel has no address to speak with but ::1, which is nobody's
  await kernelSettles([a.netns]);
  assert.ok(await ping(a.netns, eb.ip6, { timeout: 8 }));
  assert.deepEqual(await dropped(bed.host.netns), {});
});

test('with twenty endpoints, a question and an answer between two are heard by no other', async () => {
  await using bed = await makeEngineBed();
  const { value: network } = await bed.engine.networkCreate({ name: 'web' });
  using heard = new DisposableStack();
  const all: { netns: Netns; ip: string; sniffer: Sniffer; unknown: Sniffer }[] = [];
  for (let i = 0; i < 20; i++) {
    const { netns, path } = await bed.workload(`c${i}`);
    const { value } = await bed.engine.endpointAttach({ netns: path, network: 'web' });
    all.push({
      netns,
      ip: value.addresses[0]!.replace(/\/.*/, ''),
      sniffer: heard.use(sniff(netns, ETHER.arp)),
      unknown: heard.use(sniff(netns, 0x88b5)),
    });
  }
  const [a, b, ...others] = all;
  assert.ok(await ping(a!.netns, b!.ip));
  assert.ok(await ping(b!.netns, a!.ip));
  // a frame for an address that nobody has goes nowhere, and one for all comes behind it
  const mac = (JSON.parse(await okIn(a!.netns, ['ip', '-j', 'link', 'show', 'eth0'])) as { address: string }[])[0]!
    .address;
  using socket = rawSocket(a!.netns);
  const frame = (to: string, text: string): Uint8Array =>
    Uint8Array.from([
      ...Buffer.from((to + mac).replaceAll(':', ''), 'hex'),
      0x88,
      0xb5,
      ...Buffer.from(text.padEnd(46)),
    ]);
  socket.send(frame('02:00:00:00:00:77', 'for nobody'));
  socket.send(frame(BROADCAST, 'for all'));
  for (const { unknown, sniffer, ip } of others) {
    assert.deepEqual(await unknown.upTo('for all'), [], `${ip}: a frame for an unknown address`);
    assert.deepEqual(sniffer.frames, [], `${ip}: ARP`);
  }
  const asked = b!.sniffer.frames.filter((frame) => frame[21] === 1);
  assert.deepEqual(asked, [], 'not even the one who is asked for: the bridge answers');
  assert.equal(network.driver, 'bridge');
});

test('a network may be without guard, and a host without the table of it', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'open', ipv6: true, options: { guard: 'false' } });
  assert.ok(!(await okIn(host.netns, ['nft', 'list', 'tables'])).includes('bridge'));
  const a = await bed.workload('a');
  const endpoint = (await engine.endpointAttach({ netns: a.path, network: 'open' })).value;
  assert.equal(await okIn(host.netns, ['ip', 'neigh', 'show', 'nud', 'permanent']), '');
  await ipBatch(a.netns, ['addr add 172.18.0.99/24 dev eth0', 'link set eth0 address 02:00:00:00:00:77']);
  assert.ok(await ping(host.netns, '172.18.0.99'), 'it may take what it likes');

  // beside a guarded one
  const { value: web } = await engine.networkCreate({ name: 'web' });
  const b = await bed.workload('b');
  const other = (await engine.endpointAttach({ netns: b.path, network: 'web' })).value;
  assert.ok(await ping(host.netns, '172.18.0.99'), 'the guard of others is none of its business');
  await using _server = await udpEcho(b.netns, '0.0.0.0', 7000);
  assert.ok((await udpConnect(host.netns, other.addresses[0]!.replace(/\/.*/, ''), 7000)).ok);

  await engine.endpointDetach(other.id);
  await engine.endpointDetach(endpoint.id);
  assert.ok(!(await okIn(host.netns, ['nft', 'list', 'table', 'bridge', 'netloom'])).includes('elements'));
  await engine.networkRemove(web.name);
  await engine.networkRemove('open');
  assert.equal(await okIn(host.netns, ['nft', 'list', 'tables']), '');
});

test('the guard of a network comes and goes while its endpoints are there', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', options: { guard: 'false' } });
  const a = await bed.workload('a');
  const { value } = await engine.endpointAttach({ netns: a.path, network: 'web' });
  const own = value.addresses[0]!.replace(/\/.*/, '');
  await ipBatch(a.netns, ['addr add 172.18.0.99/24 dev eth0']);
  const reach = async (): Promise<readonly boolean[]> => [
    await ping(host.netns, own, { timeout: 1 }),
    await ping(host.netns, '172.18.0.99', { timeout: 1 }),
  ];
  assert.deepEqual(await reach(), [true, true]);
  await engine.networkUpdate('web', { options: { guard: 'true' } });
  assert.deepEqual(await reach(), [true, false]);
  assert.ok((await dropped(host.netns))['ipv4_source']! > 0);
  await engine.networkUpdate('web', { options: { guard: 'false' } });
  assert.deepEqual(await reach(), [true, true]);
});

test('foreign bridges, and what is plugged into ours by hand, are left alone', async () => {
  await using bed = await makeEngineBed();
  const { host } = bed;
  const { value: web } = await bed.engine.networkCreate({ name: 'web', subnets: [{ subnet: '10.9.0.0/24' }] });
  const bridge = web.options.driver === 'bridge' ? web.options.bridge : '';
  const [x, y] = [await bed.workload('x'), await bed.workload('y')];
  await ipBatch(host.netns, [
    'link add foreign up type bridge',
    `link add px up master foreign type veth peer name eth0 netns /proc/${process.pid}/fd/${x.netns.fd}`,
    `link add py up master ${bridge} type veth peer name eth0 netns /proc/${process.pid}/fd/${y.netns.fd}`,
    'addr add 10.8.0.1/24 dev foreign',
  ]);
  await ipBatch(x.netns, ['addr add 10.8.0.2/24 dev eth0', 'link set eth0 up']);
  await ipBatch(y.netns, ['addr add 10.9.0.77/24 dev eth0', 'link set eth0 up']);
  assert.ok(await ping(host.netns, '10.8.0.2'));
  assert.ok(await ping(host.netns, '10.9.0.77'));
  assert.deepEqual(await dropped(host.netns), {});
});

test("the hash is the kernel's", async () => {
  using netns = Netns.create();
  const seed = 0x6e6c_6164;
  const mod = 0xffff_ffff;
  const hash = jhashMod(Uint8Array.from([10, 1, 2, 3, 10, 1, 2, 4]), mod, seed);
  // the kernel puts the hash of source and destination into the mark, and counts the one that we say
  const rules = `table ip t {
    chain c {
      type filter hook output priority 0;
      meta mark set jhash @nh,96,64 mod ${mod} seed ${seed}
      meta mark ${hash} counter
    }
  }
`;
  await okIn(netns, ['nft', '-f', '-'], { input: rules });
  await ipBatch(netns, ['link set lo up', 'addr add 10.1.2.3/32 dev lo', 'addr add 10.1.2.4/32 dev lo']);
  assert.ok(await ping(netns, '10.1.2.4', { source: '10.1.2.3' }));
  assert.match(await okIn(netns, ['nft', 'list', 'ruleset']), /counter packets 1 /);
});

test('a kernel without the family says so, and what to do', () => {
  const refused = new NetlinkError({ errno: 95, request: 'NFT_MSG_NEWTABLE bridge netloom' });
  const fact = { kind: 'nft-table', ns: '', object: 'netloom', table: BRIDGE_TABLE } as const;
  const error = explainRefusal({ verb: 'add', fact }, refused);
  assert.equal(error.code, 'EUNSUPPORTED');
  assert.match(`${error.message} ${error.hint}`, /nf_tables for bridges.*guard=false/);
});
