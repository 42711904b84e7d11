import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import {
  CONNTRACK_GROUPS,
  ConntrackConn,
  type ConntrackEntry,
  decodeConntrack,
  deleteMatching,
  matches,
} from '../../src/conntrack/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NETLINK, NetlinkMonitor } from '../../src/netlink/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, okIn } from '../lib/run.ts';

checkDescriptors();

/** Entries that conntrack(8) makes: TCP with translation, UDP over IPv6, ICMP, SCTP in a zone. */
const INSERTS = [
  '-I -p tcp -s 192.0.2.9 -d 192.0.2.1 --sport 40000 --dport 8080 -r 172.18.0.2 -q 192.0.2.9 --reply-port-src 80 --reply-port-dst 40000 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300 -m 7',
  '-I -p udp -s 2001:db8::9 -d 2001:db8::1 --sport 5000 --dport 53 -t 60',
  '-I -p icmp -s 192.0.2.9 -d 192.0.2.1 --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 30',
  '-I -p sctp -s 192.0.2.9 -d 192.0.2.2 --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 -t 120 -w 5',
];

async function insert(netns: Netns, which: readonly string[] = INSERTS): Promise<void> {
  for (const line of which) await okIn(netns, ['conntrack', ...line.split(' ')]);
}

test('what conntrack(8) inserts reads back, field by field', async () => {
  using netns = Netns.create();
  using conn = ConntrackConn.open(netns);
  await insert(netns);
  const entries = await conn.dump();
  const by = (protocol: number): ConntrackEntry => entries.find((e) => e.orig.protocol === protocol)!;
  assert.equal(entries.length, INSERTS.length);
  const tcp = by(6);
  assert.deepEqual(tcp.orig, { src: '192.0.2.9', dst: '192.0.2.1', protocol: 6, sport: 40_000, dport: 8080 });
  assert.deepEqual(tcp.reply, { src: '172.18.0.2', dst: '192.0.2.9', protocol: 6, sport: 80, dport: 40_000 });
  assert.deepEqual(
    tcp.status.filter((s) => s === 'assured' || s === 'seen-reply'),
    ['seen-reply', 'assured'],
  );
  assert.equal(tcp.tcpState, 'ESTABLISHED');
  assert.equal(tcp.mark, 7);
  assert.equal(tcp.zone, 0);
  assert.ok(tcp.timeout! > 290 && tcp.timeout! <= 300);
  assert.deepEqual(by(17).orig, { src: '2001:db8::9', dst: '2001:db8::1', protocol: 17, sport: 5000, dport: 53 });
  assert.equal(by(17).family, 6);
  assert.deepEqual(by(1).orig.icmp, { id: 77, type: 8, code: 0 });
  assert.equal(by(132).zone, 5);
  assert.equal(new Set(entries.map((e) => e.id)).size, INSERTS.length);
});

test('a dump is filtered by family, mark and zone; a single entry is found by either direction', async () => {
  using netns = Netns.create();
  using conn = ConntrackConn.open(netns);
  await insert(netns);
  const protocols = async (filter: Parameters<ConntrackConn['dump']>[0]): Promise<number[]> =>
    (await conn.dump(filter)).map((e) => e.orig.protocol).toSorted((a, b) => a - b);
  assert.deepEqual(await protocols({ family: 6 }), [17]);
  assert.deepEqual(await protocols({ family: 4 }), [1, 6, 132]);
  assert.deepEqual(await protocols({ mark: { value: 3, mask: 3 } }), [6]);
  assert.deepEqual(await protocols({ mark: { value: 4, mask: 3 } }), []);
  assert.deepEqual(await protocols({ zone: 5 }), [132]);
  const [tcp] = await conn.dump({ mark: { value: 7, mask: 0xff } });
  assert.equal((await conn.get(tcp!.orig))?.id, tcp!.id);
  assert.equal((await conn.get(tcp!.reply))?.id, tcp!.id);
  assert.equal(await conn.get({ ...tcp!.orig, sport: 1 }), undefined);
});

test('entries are deleted one by one, and by what they look like', async () => {
  using netns = Netns.create();
  using conn = ConntrackConn.open(netns);
  await insert(netns);
  const [udp] = await conn.dump({ family: 6 });
  assert.equal(
    await conn.delete({ orig: udp!.orig, id: udp!.id + 1 }),
    false,
    'another connection with the same tuple',
  );
  assert.equal(await conn.delete(udp!), true);
  assert.equal(await conn.delete(udp!), false);
  assert.equal(await deleteMatching(conn, matches({ origDst: '192.0.2.1', origDport: 8081 })), 0);
  assert.equal(await conn.deleteMatching(matches({ replySrc: '172.18.0.0/16', protocol: 6 })), 1);
  assert.equal(await conn.deleteMatching(matches({ zone: 5, origDst: '192.0.2.2', origDport: 2 })), 1);
  assert.deepEqual(
    (await conn.dump()).map((e) => e.orig.protocol),
    [1],
  );
  assert.match(await okIn(netns, ['conntrack', '-C']), /^1$/m);
});

test('hundreds of entries go in a few bursts', async () => {
  using netns = Netns.create();
  using conn = ConntrackConn.open(netns);
  const lines = Array.from(
    { length: 300 },
    (_, i) => `-I -p udp -s 192.0.2.9 -d 192.0.2.1 --sport ${1000 + i} --dport ${i % 2 === 0 ? 53 : 54} -t 60`,
  );
  await okIn(netns, ['sh', '-e'], { input: lines.map((line) => `conntrack ${line} >/dev/null 2>&1`).join('\n') });
  assert.equal(await conn.deleteMatching(matches({ origDport: 53 })), 150);
  assert.equal((await conn.dump()).length, 150);
});

test('real packets are counted, and events tell what begins and ends', async () => {
  using netns = Netns.create();
  using conn = ConntrackConn.open(netns);
  await ipBatch(netns, ['link set lo up']);
  // a rule that asks for the state makes the namespace track connections
  await okIn(netns, ['nft', '-f', '-'], {
    input: 'table ip t { chain c { type filter hook output priority 0; ct state new; }; }',
  });
  await okIn(netns, ['sh', '-c', 'echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct']);
  const { NEW, DESTROY } = CONNTRACK_GROUPS;
  using monitor = NetlinkMonitor.open(NETLINK.NETFILTER, netns, [NEW, DESTROY]);
  await okIn(netns, ['sh', '-c', 'echo hello | ncat -u -w 1 127.0.0.1 9999; true']);
  const [entry] = await conn.dump();
  assert.equal(entry!.orig.dport, 9999);
  assert.deepEqual(entry!.counters, { orig: { packets: 1n, bytes: 34n }, reply: { packets: 0n, bytes: 0n } });
  assert.equal(await conn.delete(entry!), true);
  const changes: string[] = [];
  for await (const event of monitor) {
    if (event.kind === 'overrun') continue;
    for (const message of event.messages) {
      const decoded = decodeConntrack(message);
      if (decoded?.entry.id === entry!.id) changes.push(decoded.change);
    }
    if (changes.includes('destroy')) break;
  }
  assert.deepEqual(changes, ['new', 'destroy']);
});
