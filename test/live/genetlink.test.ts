import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyDump, genlFamily, parseFamily } from '../../src/genetlink/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NETLINK, NetlinkConn, NetlinkMonitor } from '../../src/netlink/index.ts';
import {
  parsePolicy,
  parseXfrmEvent,
  policyAdd,
  policyDelete,
  policyDump,
  policyUpdate,
  type XfrmEvent,
  XFRMNLGRP,
} from '../../src/xfrm/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, okIn, startIn } from '../lib/run.ts';

checkDescriptors();

// Families beside rtnetlink, as far as every kernel has them: WireGuard and ESP are in the guest's tests.

test('the controller says which family has which number, and which is missing', async () => {
  using conn = NetlinkConn.open(NETLINK.GENERIC);
  const own = await genlFamily(conn, 'nlctrl', '');
  assert.deepEqual([own.id, own.name], [0x10, 'nlctrl']);
  assert.ok((own.groups.get('notify') ?? 0) > 0);
  const all = (await conn.execute(familyDump())).map(parseFamily);
  assert.deepEqual(
    all.find((family) => family.name === 'nlctrl'),
    own,
  );
  await assert.rejects(genlFamily(conn, 'nonesuch', 'load the module nonesuch (CONFIG_NONESUCH, Linux 5.6)'), {
    code: 'EUNSUPPORTED',
    message: 'the running kernel has no generic netlink family nonesuch',
    hint: 'load the module nonesuch (CONFIG_NONESUCH, Linux 5.6)',
  });
});

const V4 = { src: '192.0.2.1', dst: '192.0.2.2', reqid: 28268 };
const V6 = { src: '2001:db8::1', dst: '2001:db8::2', reqid: 28268 };
const TMPL = 'proto esp reqid 28268 mode tunnel';

test('ip and we make the same policies', async () => {
  using byIp = Netns.create();
  using netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.XFRM, netns);
  const out = { dir: 'out', src: '0.0.0.0/0', dst: '10.244.2.0/24', ifId: 0x6e000001, priority: 7, tmpl: V4 } as const;
  const fwd = { dir: 'fwd', src: 'fd00:2::/64', dst: '::/0', priority: 8, tmpl: V6 } as const;
  const shown = (where: Netns): Promise<string> => okIn(where, ['ip', 'xfrm', 'policy']);
  const same = async (line: string): Promise<void> => {
    await ipBatch(byIp, [`xfrm policy ${line}`]);
    assert.equal(await shown(netns), await shown(byIp), line);
  };
  await conn.execute(policyAdd(out));
  await same(
    `add src 0.0.0.0/0 dst 10.244.2.0/24 dir out priority 7 tmpl src 192.0.2.1 dst 192.0.2.2 ${TMPL} if_id 0x6e000001`,
  );
  await conn.execute(policyAdd(fwd));
  await same(`add src fd00:2::/64 dst ::/0 dir fwd priority 8 tmpl src 2001:db8::1 dst 2001:db8::2 ${TMPL}`);
  await assert.rejects(conn.execute(policyAdd(out)), { code: 'EEXIST' });
  await conn.execute(policyUpdate({ ...out, tmpl: V6 }));
  await same(
    `update src 0.0.0.0/0 dst 10.244.2.0/24 dir out priority 7 tmpl src 2001:db8::1 dst 2001:db8::2 ${TMPL} if_id 0x6e000001`,
  );
  const read = (await conn.execute(policyDump())).map(parsePolicy);
  const found = (dir: string): unknown => read.find((policy) => policy?.dir === dir);
  const { tmpl: _, ...rest } = out;
  assert.deepEqual(found('out'), { ...rest, action: 'allow', tmpls: [V6] });
  const { tmpl: __, ...others } = fwd;
  assert.deepEqual(found('fwd'), { ...others, ifId: 0, action: 'allow', tmpls: [V6] });
  // one without the interface's id is another
  const { ifId: ___, ...bare } = out;
  await assert.rejects(conn.execute(policyDelete(bare)), { code: 'ENOENT' });
  await conn.execute(policyDelete(out));
  await same('delete src 0.0.0.0/0 dst 10.244.2.0/24 dir out if_id 0x6e000001');
});

for (const [family, tmpl, dst, address] of [
  [4, V4, '10.9.0.0/16', '10.9.0.1'],
  [6, V6, 'fd00:9::/64', 'fd00:9::1'],
] as const) {
  test(`a packet that meets a policy and no state asks for one: IPv${family}`, async () => {
    using netns = Netns.create();
    const own = family === 4 ? `${tmpl.src}/24` : `${tmpl.src}/64 nodad`;
    await ipBatch(netns, [
      'link set lo up',
      'link add eth0 type veth peer name eth1',
      'link set eth1 up',
      'link set eth0 up',
      `addr add ${own} dev eth0`,
      `route add ${dst} dev eth0`,
    ]);
    using conn = NetlinkConn.open(NETLINK.XFRM, netns);
    using monitor = NetlinkMonitor.open(NETLINK.XFRM, netns, [XFRMNLGRP.ACQUIRE, XFRMNLGRP.POLICY]);
    const any = family === 4 ? '0.0.0.0/0' : '::/0';
    await conn.execute(policyAdd({ dir: 'out', src: any, dst, priority: 1, tmpl }));
    await using _ping = startIn(netns, ['ping', '-n', '-i', '0.2', address]);
    const told: XfrmEvent[] = [];
    for await (const event of monitor) {
      for (const each of event.kind === 'messages' ? event.messages.map(parseXfrmEvent) : []) if (each) told.push(each);
      if (told.some((each) => each.kind === 'acquire')) break;
    }
    const [made, asked] = told;
    assert.ok(made?.kind === 'policy' && made.verb === 'new' && made.policy.dst === dst);
    assert.ok(asked?.kind === 'acquire');
    assert.deepEqual([asked.src, asked.dst], [tmpl.src, tmpl.dst]);
    assert.equal(asked.selector?.dst, `${address}/${family === 4 ? 32 : 128}`);
  });
}
