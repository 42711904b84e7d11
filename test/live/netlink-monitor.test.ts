import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { native, Netns, openDescriptors } from '../../src/kernel/index.ts';
import {
  NETLINK,
  NetlinkConn,
  NetlinkMonitor,
  NlAttrs,
  NLM_F,
  type NlWriter,
  type Request,
} from '../../src/netlink/index.ts';
import { Rtnl } from '../../src/rtnetlink/index.ts';

const run = promisify(execFile);
const RTM = { NEWLINK: 16, DELLINK: 17 } as const;
const RTNLGRP_LINK = 1;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const link = (type: number, name: string): Request => ({
  type,
  flags: type === RTM.NEWLINK ? NLM_F.CREATE | NLM_F.EXCL : 0,
  label: name,
  body: (w: NlWriter) => {
    w.rawU32(0).rawU32(0).rawU32(0).rawU32(0).string(3, name);
    if (type === RTM.NEWLINK) w.nest(18, (info) => info.string(1, 'bridge'));
  },
});
function nameOf(payload: Uint8Array): string {
  for (const a of new NlAttrs(payload, 16)) if (a.type === 3) return a.string();
  return '';
}

test('changes of a namespace arrive in order, those of another do not', { timeout: 60_000 }, async () => {
  using netns = Netns.create();
  using elsewhere = Netns.create();
  using monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [RTNLGRP_LINK]);
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  using other = NetlinkConn.open(NETLINK.ROUTE, elsewhere);
  const seen: string[] = [];
  const reading = (async () => {
    for await (const event of monitor) {
      assert.equal(event.kind, 'messages');
      for (const m of event.kind === 'messages' ? event.messages : []) seen.push(`${m.type} ${nameOf(m.payload)}`);
      if (seen.includes('17 br1')) return;
    }
  })();
  for (const name of ['br0', 'br1']) {
    await other.execute(link(RTM.NEWLINK, `x${name}`));
    await conn.execute(link(RTM.NEWLINK, name));
    await conn.execute(link(RTM.DELLINK, name));
  }
  await reading;
  assert.deepEqual(
    seen.filter((line, i) => line !== seen[i - 1]),
    ['16 br0', '17 br0', '16 br1', '17 br1'],
  );
});

test('what came before the first read is kept', { timeout: 60_000 }, async () => {
  using netns = Netns.create();
  using monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [RTNLGRP_LINK]);
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  conn.executeSync(link(RTM.NEWLINK, 'br0'));
  const { value } = await monitor.next();
  assert.equal(value?.kind, 'messages');
});

test('a full socket is an overrun, and listening goes on', { timeout: 60_000 }, async () => {
  using netns = Netns.create();
  using monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [RTNLGRP_LINK]);
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  const fd = Number(
    openDescriptors()
      .findLast((d) => d.includes('netlink monitor'))
      ?.split(':')[0],
  );
  native.socketOption(fd, SOL_SOCKET, SO_RCVBUF, 1); // the kernel makes its least of it
  const waiting = monitor.next();
  for (let i = 0; i < 40; i++) {
    conn.executeSync(link(RTM.NEWLINK, 'br0'));
    conn.executeSync(link(RTM.DELLINK, 'br0'));
  }
  const kinds = new Set([(await waiting).value?.kind]);
  while (!kinds.has('overrun')) kinds.add((await monitor.next()).value?.kind);
  // read dry, then one more change must arrive
  const marker = (async () => {
    for await (const event of monitor) {
      if (event.kind === 'messages' && event.messages.some((m) => nameOf(m.payload) === 'last')) return 'arrived';
    }
    return 'ended';
  })();
  let done = false;
  void marker.then(() => (done = true));
  for (let i = 0; !done; i++) {
    conn.executeSync(link(i % 2 ? RTM.DELLINK : RTM.NEWLINK, 'last'));
    await new Promise(setImmediate);
  }
  assert.equal(await marker, 'arrived');
});

test('closing ends the reader', { timeout: 60_000 }, async () => {
  using netns = Netns.create();
  const monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [RTNLGRP_LINK]);
  const next = monitor.next();
  await assert.rejects(monitor.next(), /one reader/);
  monitor.close();
  assert.deepEqual(await next, { done: true, value: undefined });
  assert.deepEqual(await monitor.next(), { done: true, value: undefined });
});

test('a group that does not exist is refused', () => {
  using netns = Netns.create();
  const before = openDescriptors().length;
  assert.throws(() => NetlinkMonitor.open(NETLINK.ROUTE, netns, [9999]), { code: 'EINVAL' });
  assert.equal(openDescriptors().length, before);
});

test('only a reader that waits keeps the process alive', { timeout: 60_000 }, async () => {
  const source = (body: string): string[] => [
    '--input-type=module',
    '-e',
    `import { NetlinkMonitor } from '${fileURLToPath(new URL('../../src/netlink/index.ts', import.meta.url))}';
     const monitor = NetlinkMonitor.open(0, undefined, [1]); ${body}`,
  ];
  await run(process.execPath, source(''), { timeout: 8_000 }); // ends by itself
  const waits = source(
    "process.on('exit', () => console.log('exit')); setTimeout(() => monitor.close(), 50).unref(); await monitor.next();",
  );
  assert.equal((await run(process.execPath, waits, { timeout: 8_000 })).stdout, 'exit\n');
});

test(
  'one socket hears of every namespace that has a number in its own, and says which',
  { timeout: 60_000 },
  async () => {
    using netns = Netns.create();
    using numbered = Netns.create();
    using unknown = Netns.create();
    using rtnl = Rtnl.open(netns);
    await rtnl.nsid.set({ fd: numbered.fd }, 7);
    using monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [RTNLGRP_LINK], { allNamespaces: true });
    for (const space of [unknown, numbered, netns]) {
      using conn = NetlinkConn.open(NETLINK.ROUTE, space);
      await conn.execute(link(RTM.NEWLINK, 'br0'));
    }
    const seen = new Set<number>();
    for (let event = monitor.take(); event; event = monitor.take()) {
      assert.equal(event.kind, 'messages');
      if (event.kind === 'messages') seen.add(event.nsid);
    }
    assert.deepEqual([...seen], [7, -1]);
  },
);
