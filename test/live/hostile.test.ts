import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readDrops } from '../../src/guard/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { Endpoint } from '../../src/model/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { NftConn } from '../../src/nftables/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { advert, arp, BROADCAST, ether, icmp6, rawSocket, routerAdvert, sniff, solicit, udp } from '../lib/frames.ts';
import { ADDRESS } from '../lib/host.ts';
import { keepPeer, ping, tcpConnect, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { ipBatch, okIn, runIn } from '../lib/run.ts';

checkDescriptors();

/** One on the network, as it was given. */
interface Party {
  readonly netns: Netns;
  readonly endpoint: Endpoint;
  readonly mac: string;
  readonly ip: string;
  readonly ip6: string;
}

interface Scene extends AsyncDisposable {
  readonly bed: EngineBed;
  /** Root in its namespace, with raw sockets. */
  readonly mallory: Party;
  readonly alice: Party;
  readonly gateway: Pick<Party, 'mac' | 'ip' | 'ip6'>;
  /** How often each reason was counted since the last time. */
  drops(): Promise<Record<string, number>>;
}

async function scene(options: Record<string, string> = {}): Promise<Scene> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed({ neighbour: true }));
  const { value: network } = await bed.engine.networkCreate({ name: 'web', ipv6: true, options });
  const party = async (name: string): Promise<Party> => {
    const { netns, path } = await bed.workload(name);
    const { value: endpoint } = await bed.engine.endpointAttach({ netns: path, network: 'web' });
    const [ip, ip6] = endpoint.addresses.map((address) => address.replace(/\/.*/, ''));
    return { netns, endpoint, mac: endpoint.mac, ip: ip!, ip6: ip6! };
  };
  const [mallory, alice] = [await party('mallory'), await party('alice')];
  const bridge = network.options.driver === 'bridge' ? network.options.bridge : '';
  const mac = (await okIn(bed.host.netns, ['cat', `/sys/class/net/${bridge}/address`]).catch(() => '')).trim();
  const link = JSON.parse(await okIn(bed.host.netns, ['ip', '-j', 'link', 'show', bridge])) as { address: string }[];
  const [subnet, subnet6] = network.subnets;
  const nft = undo.use(NftConn.open(bed.host.netns));
  let last = await readDrops(nft);
  const kept = undo.move();
  return {
    bed,
    mallory,
    alice,
    gateway: { mac: link[0]?.address ?? mac, ip: subnet!.gateway, ip6: subnet6!.gateway },
    async drops() {
      const now = await readDrops(nft);
      const counts: Record<string, number> = {};
      for (const [reason, { packets }] of now) {
        const more = Number(packets - (last.get(reason)?.packets ?? 0n));
        if (more > 0) counts[reason] = more;
      }
      last = now;
      return counts;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const STRANGER = '02:00:00:00:00:66';

/** What a container says that it is not, and why that is dropped. */
const LIES: readonly {
  readonly what: string;
  readonly reason: string;
  frame(s: Scene): Uint8Array;
}[] = [
  {
    what: 'a MAC address of nobody',
    reason: 'mac',
    frame: ({ mallory: m, alice: a }) =>
      udp({ from: STRANGER, to: a.mac, src: m.ip, dst: a.ip, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: "its neighbour's MAC address, in a frame that is no IP",
    reason: 'mac',
    frame: ({ alice: a }) => ether(BROADCAST, a.mac, 0x88b5, new TextEncoder().encode('lie')),
  },
  {
    what: "its neighbour's MAC and IP address",
    reason: 'mac',
    frame: ({ alice: a, gateway: g }) =>
      udp({ from: a.mac, to: g.mac, src: a.ip, dst: ADDRESS.outside, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: "its neighbour's IPv4 address",
    reason: 'ipv4_source',
    frame: ({ mallory: m, alice: a, gateway: g }) =>
      udp({ from: m.mac, to: g.mac, src: a.ip, dst: ADDRESS.outside, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: "its neighbour's IPv6 address",
    reason: 'ipv6_source',
    frame: ({ mallory: m, alice: a, gateway: g }) =>
      udp({ from: m.mac, to: g.mac, src: a.ip6, dst: ADDRESS.outside6, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: 'a source that cannot be: 127.0.0.1',
    reason: 'ipv4_source',
    frame: ({ mallory: m, alice: a }) =>
      udp({ from: m.mac, to: a.mac, src: '127.0.0.1', dst: a.ip, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: 'a source that cannot be: broadcast',
    reason: 'ipv4_source',
    frame: ({ mallory: m, alice: a }) =>
      udp({ from: m.mac, to: a.mac, src: '255.255.255.255', dst: a.ip, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: 'a source that cannot be: ::1',
    reason: 'ipv6_source',
    frame: ({ mallory: m, alice: a }) =>
      udp({ from: m.mac, to: a.mac, src: '::1', dst: a.ip6, sport: 1, dport: 2, text: 'lie' }),
  },
  {
    what: 'no source at all, for anything but what needs none',
    reason: 'ipv4_source',
    frame: ({ mallory: m, alice: a }) =>
      udp({ from: m.mac, to: a.mac, src: '0.0.0.0', dst: a.ip, sport: 68, dport: 53, text: 'lie' }),
  },
  {
    what: 'ARP: the gateway is here',
    reason: 'arp',
    frame: ({ mallory: m, alice: a, gateway: g }) =>
      arp({ op: 'reply', from: m.mac, sender: [m.mac, g.ip], target: [a.mac, a.ip] }),
  },
  {
    what: 'ARP: the neighbour is here',
    reason: 'arp',
    frame: ({ mallory: m, alice: a, gateway: g }) =>
      arp({ op: 'request', from: m.mac, sender: [m.mac, a.ip], target: [g.mac, g.ip] }),
  },
  {
    what: 'ARP: its own address is at another MAC',
    reason: 'arp',
    frame: ({ mallory: m, alice: a }) =>
      arp({ op: 'reply', from: m.mac, sender: [STRANGER, m.ip], target: [a.mac, a.ip] }),
  },
  {
    what: 'ARP: the metadata service of the cloud is here',
    reason: 'arp',
    frame: ({ mallory: m }) =>
      arp({ op: 'reply', from: m.mac, sender: [m.mac, '169.254.169.254'], target: [BROADCAST, '169.254.169.254'] }),
  },
  {
    what: 'ND: the gateway is here',
    reason: 'nd',
    frame: ({ mallory: m, gateway: g }) => icmp6({ from: m.mac, src: m.ip6 }, 136, advert(g.ip6, m.mac)),
  },
  {
    what: 'ND: the neighbour is here, said by its own address',
    reason: 'ipv6_source',
    frame: ({ mallory: m, alice: a }) => icmp6({ from: m.mac, src: a.ip6 }, 136, advert(a.ip6, m.mac)),
  },
  {
    what: 'ND: its own address is at another MAC',
    reason: 'nd',
    frame: ({ mallory: m, alice: a }) => icmp6({ from: m.mac, src: m.ip6 }, 136, advert(m.ip6, a.mac)),
  },
  {
    what: 'ND: a question from an address that is at another MAC',
    reason: 'nd',
    frame: ({ mallory: m, alice: a }) => icmp6({ from: m.mac, src: m.ip6 }, 135, solicit(a.ip6, STRANGER)),
  },
  {
    what: "ND: its neighbour's new address is taken",
    reason: 'nd',
    frame: ({ mallory: m, alice: a }) => icmp6({ from: m.mac, src: '::' }, 135, solicit(a.ip6, m.mac)),
  },
  {
    what: 'a router',
    reason: 'router',
    frame: ({ mallory: m }) => icmp6({ from: m.mac, src: linkLocal(m.mac) }, 134, routerAdvert(m.mac)),
  },
  {
    what: 'a better way: redirect',
    reason: 'router',
    frame: ({ mallory: m, gateway: g }) =>
      icmp6({ from: m.mac, src: linkLocal(m.mac) }, 137, advert(g.ip6, m.mac).subarray(0, 20)),
  },
  {
    what: 'a DHCP server',
    reason: 'dhcp_server',
    frame: ({ mallory: m }) =>
      udp({ from: m.mac, to: BROADCAST, src: m.ip, dst: '255.255.255.255', sport: 67, dport: 68, text: 'lie' }),
  },
  {
    what: 'a DHCPv6 server',
    reason: 'dhcp_server',
    frame: ({ mallory: m, alice: a }) =>
      udp({ from: m.mac, to: a.mac, src: m.ip6, dst: a.ip6, sport: 547, dport: 546, text: 'lie' }),
  },
];

/** RFC 4291 appendix A */
function linkLocal(mac: string): string {
  const [a, b, c, d, e, f] = mac.split(':').map((part) => Number.parseInt(part, 16));
  const word = (high: number, low: number): string => ((high << 8) | low).toString(16);
  return `fe80::${word(a! ^ 2, b!)}:${word(c!, 0xff)}:${word(0xfe, d!)}:${word(e!, f!)}`;
}

test('whatever a container says that it is not, nobody hears, and is counted', async () => {
  await using s = await scene();
  const { mallory, alice } = s;
  using socket = rawSocket(mallory.netns);
  using heard = sniff(alice.netns);
  using outside = sniff(s.bed.host.outside);
  for (const [i, lie] of LIES.entries()) {
    await s.drops();
    heard.frames.length = outside.frames.length = 0;
    const frame = lie.frame(s);
    socket.send(frame);
    // a true word behind it: what was to come has come
    const marker = `true ${i} behind`;
    socket.send(
      udp({ from: mallory.mac, to: alice.mac, src: mallory.ip, dst: alice.ip, sport: 9, dport: 9, text: marker }),
    );
    const before = await heard.upTo(marker);
    assert.equal(before.filter((f) => Buffer.compare(f, frame) === 0).length, 0, `${lie.what}: the neighbour`);
    assert.ok(!outside.frames.some((f) => Buffer.from(f).includes('lie')), `${lie.what}: the outside`);
    assert.deepEqual(await s.drops(), { [lie.reason]: 1 }, lie.what);
  }
  const known = await okIn(alice.netns, ['ip', 'neigh']);
  assert.ok(!known.includes(STRANGER), known);
  assert.ok(!/169\.254/.test(known), known);
});

test('without guard, the same words are heard', async () => {
  await using s = await scene({ guard: 'false' });
  const { mallory, alice } = s;
  using socket = rawSocket(mallory.netns);
  using heard = sniff(alice.netns);
  const frames = LIES.filter(({ what }) => !/gateway is here|neighbour's MAC|its neighbour's IPv/.test(what)).map(
    (lie) => lie.frame(s),
  );
  for (const frame of frames.filter((f) => (f[0]! & 1) === 1)) {
    socket.send(frame);
    socket.send(
      udp({ from: mallory.mac, to: alice.mac, src: mallory.ip, dst: alice.ip, sport: 9, dport: 9, text: 'behind' }),
    );
    await heard.upTo('behind');
    assert.ok(
      heard.frames.some((f) => Buffer.compare(f, frame) === 0),
      Buffer.from(frame).toString('hex'),
    );
    heard.frames.length = 0;
  }
  assert.deepEqual(await s.drops(), {});
});

test('the kernel of a hostile container lies as well: another MAC, another address, a poisoned neighbour', async () => {
  await using s = await scene();
  const { mallory, alice, gateway, bed } = s;
  assert.ok(await ping(alice.netns, gateway.ip));
  assert.ok(await ping(mallory.netns, alice.ip));

  await ipBatch(mallory.netns, [`addr add ${gateway.ip}/32 dev eth0`, `addr add ${gateway.ip6}/128 dev eth0 nodad`]);
  await runIn(mallory.netns, ['sh', '-c', `ip neigh flush dev eth0; ping -n -c 1 -W 1 -I ${gateway.ip} ${alice.ip}`]);
  const neighbours = await okIn(alice.netns, ['ip', 'neigh']);
  assert.match(neighbours, new RegExp(`^${gateway.ip} .*${gateway.mac}`, 'm'));
  assert.ok(await ping(alice.netns, gateway.ip), 'the gateway is where it was');
  assert.ok((await s.drops())['arp']! > 0);

  await ipBatch(mallory.netns, [`link set eth0 down`, `link set eth0 address ${alice.mac}`, 'link set eth0 up']);
  assert.equal(await ping(mallory.netns, alice.ip, { timeout: 1 }), false);
  assert.ok((await s.drops())['mac']! > 0);
  const port = alice.endpoint.hostIfname;
  const fdb = await okIn(bed.host.netns, ['bridge', 'fdb', 'show', 'dev', port]);
  assert.match(fdb, new RegExp(`^${alice.mac} master .*static`, 'm'), 'no address moves to another port');
  assert.ok(await ping(alice.netns, gateway.ip), 'the neighbour still hears answers');
});

test("pain 16 (moby#41872): the host's loopback services are out of a hostile container's reach", async () => {
  await using s = await scene();
  const { mallory, gateway, bed } = s;
  const { netns: host } = bed.host;
  await using _4 = await udpEcho(host, '127.0.0.1', 7000);
  await using _6 = await udpEcho(host, '::1', 7000);
  using socket = rawSocket(mallory.netns);
  using heard = sniff(mallory.netns);
  const send = (src: string, dst: string): void =>
    socket.send(udp({ from: mallory.mac, to: gateway.mac, src, dst, sport: 7001, dport: 7000, text: 'x' }));
  await s.drops();
  send(mallory.ip, '127.0.0.1');
  send(mallory.ip, '127.1.2.3');
  send(mallory.ip6, '::1');
  assert.deepEqual(await s.drops(), { loopback: 2 }, "::1 is the kernel's own martian");
  // what the host does answer, behind it
  await using _open = await udpEcho(host, gateway.ip, 7000);
  send(mallory.ip, gateway.ip);
  const before = await heard.upTo('{"');
  assert.equal(before.filter((f) => Buffer.from(f).includes('"local"')).length, 0);
});

test('the metadata service is no way round by a published port', async () => {
  await using s = await scene();
  const { mallory, alice, bed } = s;
  const { host } = bed;
  // the cloud's, where a host finds it: beyond its uplink
  await ipBatch(host.outside, ['addr add 169.254.169.254/32 dev lo']);
  await ipBatch(host.netns, [`route add 169.254.169.254/32 via ${ADDRESS.outside}`]);
  const { path } = await bed.workload('eve');
  const eve = (await bed.engine.endpointAttach({ netns: path, network: 'web', ports: [parsePublish('8080:80')] }))
    .value;
  assert.equal(eve.ports.length, 2);
  // the one behind the port takes the service's address, too: nothing that asks for it is led there
  await using spaces = new AsyncDisposableStack();
  const netns = spaces.use(Netns.open(path));
  await ipBatch(netns, ['addr add 169.254.169.254/32 dev eth0']);
  await using _fake = await tcpServer(netns, '169.254.169.254', 80, 'fake');
  await using _real = await tcpServer(host.outside, '169.254.169.254', 80, 'real');
  for (const from of [host.netns, alice.netns]) {
    const answer = await tcpConnect(from, '169.254.169.254', 80);
    assert.ok(answer.ok && answer.seen.reply === 'real', JSON.stringify(answer));
  }
  const through = await tcpConnect(host.neighbour, ADDRESS.host, 8080, { timeout: 500 });
  assert.ok(!through.ok, 'a published port leads to the address that was given, and to no other');
  // and a packet from outside that wants to be led there is none of ours
  await ipBatch(host.neighbour, [`route add ${mallory.ip}/32 via ${ADDRESS.host}`]);
  assert.equal(await ping(host.neighbour, mallory.ip, { timeout: 1 }), false);
  assert.ok((await s.drops())['unpublished']! > 0);
});

/** Every port that there is, to one port of one address. */
function flood({ mallory: m, gateway: g }: Scene, family: 4 | 6 = 4): void {
  using socket = rawSocket(m.netns);
  const ends = family === 4 ? { src: m.ip, dst: ADDRESS.outside } : { src: m.ip6, dst: ADDRESS.outside6 };
  const frame = { from: m.mac, to: g.mac, ...ends, dport: 7000, text: 'x' };
  for (let sport = 1024; sport <= 65535; sport++) socket.send(udp({ ...frame, sport }));
}

/** How many of `count` questions from ports of the kernel's choice are answered at once. */
async function asks(s: Scene, count: number, port = 7000, address: string = ADDRESS.outside): Promise<number> {
  await using _echo = await udpEcho(s.bed.host.outside, address, port);
  await using _peer = keepPeer(s.alice.netns);
  let answered = 0;
  for (let i = 0; i < count; i++) if ((await udpConnect(s.alice.netns, address, port, { timeout: 300 })).ok) answered++;
  return answered;
}

for (const family of [4, 6] as const) {
  test(`whoever takes all source ports to one destination leaves half of them to others, IPv${family}`, async () => {
    await using s = await scene();
    const { netns: host } = s.bed.host;
    const outside = family === 4 ? ADDRESS.outside : ADDRESS.outside6;
    flood(s, family);
    const list = await okIn(host, ['nft', 'list', 'chain', 'inet', 'netloom', 'confined']);
    const confined = Number(/counter packets (\d+)/.exec(list)?.[1]);
    // a sample of one in sixteen: 128 of them are 2048 connections, give or take
    assert.ok(confined > 64512 - 3500, `${confined} from the lower half`);
    const busy = await okIn(host, ['nft', 'list', 'set', 'inet', 'netloom', `busy${family}`]);
    assert.ok(busy.includes(`${family === 4 ? s.mallory.ip : s.mallory.ip6} expires`), busy);
    const metrics = await s.bed.engine.metrics();
    assert.ok(metrics.includes(`netloom_confined_connections_total ${confined}\n`), metrics);
    const answered = await asks(s, 20, 7000, outside);
    assert.ok(answered >= 18, `${answered} of 20: one that meets a port that was taken before may be asked again`);
    assert.equal(await asks(s, 5, 7001, outside), 5, 'other destinations');
    // the busy one, too, gets on elsewhere
    assert.ok(await ping(s.mallory.netns, outside));
  });
}

test('without that, one container keeps all others from a destination', async () => {
  await using s = await scene({ fair_ports: 'false' });
  flood(s);
  const answered = await asks(s, 10);
  assert.ok(answered < 5, `${answered} of 10`);
  assert.equal(await asks(s, 5, 7001), 5, 'other destinations');
  const unfair = async (): Promise<boolean> =>
    (await okIn(s.bed.host.netns, ['nft', 'list', 'set', 'inet', 'netloom', 'unfair'])).includes('elements');
  assert.ok(await unfair());
  await s.bed.engine.networkUpdate('web', { options: { fair_ports: 'true' } });
  assert.equal(await unfair(), false);
});
