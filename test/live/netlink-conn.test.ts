import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { Netns, SyscallError } from '../../src/kernel/index.ts';
import {
  NETLINK,
  NetlinkConn,
  NetlinkError,
  NlAttrs,
  NLM_F,
  type NlWriter,
  type Request,
} from '../../src/netlink/index.ts';

/** linux/rtnetlink.h, linux/if_link.h: as much of it as these tests need. */
const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18 } as const;
const IFLA = { IFNAME: 3, LINKINFO: 18 } as const;
const ifinfomsg = (w: NlWriter, index = 0): NlWriter => w.rawU32(0).rawI32(index).rawU32(0).rawU32(0);
const add = (name: string, kind = 'bridge', flags: number = NLM_F.CREATE | NLM_F.EXCL): Request => ({
  type: RTM.NEWLINK,
  flags,
  label: `RTM_NEWLINK name=${name}`,
  body: (w) =>
    void ifinfomsg(w)
      .string(IFLA.IFNAME, name)
      .nest(IFLA.LINKINFO, (info) => info.string(1, kind)),
});
const remove = (name: string): Request => ({
  type: RTM.DELLINK,
  flags: 0,
  label: `RTM_DELLINK name=${name}`,
  body: (w) => void ifinfomsg(w).string(IFLA.IFNAME, name),
});
const dump: Request = { type: RTM.GETLINK, flags: NLM_F.DUMP, label: 'RTM_GETLINK', body: (w) => void ifinfomsg(w) };
function nameOf(payload: Uint8Array): string {
  for (const a of new NlAttrs(payload, 16)) if (a.type === IFLA.IFNAME) return a.string();
  return '';
}
const names = async (conn: NetlinkConn): Promise<string[]> =>
  (await conn.execute(dump)).map((m) => nameOf(m.payload)).sort();

test('a refusal is told with its request, errno and the words of the kernel', async () => {
  using netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  await conn.execute(add('br0'));
  await assert.rejects(conn.execute(add('br0')), (error) => {
    assert.ok(error instanceof NetlinkError);
    assert.equal(error.code, 'EEXIST');
    assert.equal(error.request, 'RTM_NEWLINK name=br0');
    return true;
  });
  await assert.rejects(conn.execute(add('x0', 'nosuchkind')), (error) => {
    assert.ok(error instanceof NetlinkError);
    assert.equal(error.code, 'EOPNOTSUPP');
    assert.match(error.extAck, /Unknown device type/);
    return true;
  });
  assert.throws(
    () => conn.executeSync(remove('br9')),
    (error) => hasCode(error, 'ENODEV'),
  );
});

test('a batch answers for each request, over several bursts, on either lane', async () => {
  for (const lane of ['thread', 'here'] as const) {
    using netns = Netns.create();
    using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
    const wanted = Array.from({ length: 130 }, (_, i) => `br${i % 10}`); // more than one burst, most of it refused
    const replies = await conn.batch(
      wanted.map((name) => add(name)),
      { lane },
    );
    assert.deepEqual(
      replies.map((r) => r.error?.code),
      wanted.map((_, i) => (i < 10 ? undefined : 'EEXIST')),
      lane,
    );
    assert.equal((await names(conn)).length, 11);
  }
});

test('calls keep their order, whatever their lane', async () => {
  using netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 10; i++) {
    calls.push(conn.execute(add('br0'), { lane: i % 2 ? 'here' : 'thread' }));
    calls.push(conn.execute(remove('br0'), { lane: i % 3 ? 'here' : 'thread' }));
  }
  await Promise.all(calls); // EEXIST or ENODEV if two changed places
  assert.deepEqual(await names(conn), ['lo']);
});

test('a call on this thread does not take the answers of one that is under way', async () => {
  using netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  const slow = conn.execute(add('br0'));
  assert.throws(
    () => conn.executeSync(dump),
    (error) => hasCode(error, 'EBUSY'),
  );
  await slow;
  assert.equal(conn.executeSync(dump).length, 2);
});

test('closing does not disturb a call that is under way', async () => {
  using netns = Netns.create();
  using other = NetlinkConn.open(NETLINK.ROUTE, netns);
  const conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  const call = conn.execute(add('br0'));
  conn.close();
  await call;
  assert.deepEqual(await names(other), ['br0', 'lo']);
  await assert.rejects(conn.execute(dump), /used after close/);
});

test('a dump of many links is whole', async () => {
  using netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  // one recv holds some twenty
  const wanted = Array.from({ length: 60 }, (_, i) => `br${i}`);
  await conn.batch(wanted.map((name) => add(name)));
  assert.deepEqual(await names(conn), [...wanted, 'lo'].sort());
});

test('deletions that wait in the kernel leave the threads of Node free', async () => {
  const spaces = Array.from({ length: 8 }, () => Netns.create());
  const conns = spaces.map((netns) => NetlinkConn.open(NETLINK.ROUTE, netns));
  await Promise.all(conns.map((conn) => conn.batch([add('va', 'veth'), add('vb', 'veth')])));
  const order: string[] = [];
  const deletions = conns.map(async (conn) => {
    await conn.batch([remove('va'), remove('vb')]);
    order.push('deleted');
  });
  await stat('/proc/self').then(() => order.push('stat'));
  await Promise.all(deletions);
  // behind eight jobs in Node's own pool of four, at least five would come first
  assert.ok(order.indexOf('stat') < 5, order.join(' '));
  for (const each of [...conns, ...spaces]) each.close();
});

test('a family that the kernel lacks is refused when the connection opens', () => {
  assert.throws(
    () => NetlinkConn.open(31),
    (error) => error instanceof SyscallError && error.code === 'EPROTONOSUPPORT',
  );
});
