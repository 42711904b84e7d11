import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import {
  chainAdd,
  elementAdd,
  elementDelete,
  NftConn,
  type NftElement,
  type NftExpression,
  type NftMapData,
  type NftSet,
  setAdd,
  statementRuleAdd,
  tableAdd,
} from '../../src/nftables/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { keepPeer, tcpConnect, tcpServer } from '../lib/peer.ts';
import { ipBatch } from '../lib/run.ts';

checkDescriptors();

const here = { family: 'inet', table: 't' } as const;
const dport: NftExpression = { payload: { protocol: 'th', field: 'dport' } };
const l4proto: NftExpression = { meta: { key: 'l4proto' } };

/** A port asked for on `from`, and the address and port where a server answers, through each kind of map. */
const CASES: readonly {
  what: string;
  set: NftSet;
  key: NftExpression;
  element: NftElement;
  ask: readonly [string, number];
  serve: readonly [string, number];
}[] = ([4, 6] as const).flatMap((family) => {
  const [addr, proto, from, to] =
    family === 4
      ? (['ipv4_addr', 'ip', '10.1.0.1', '10.1.0.9'] as const)
      : (['ipv6_addr', 'ip6', 'fd00:1::1', 'fd00:1::9'] as const);
  const daddr: NftExpression = { payload: { protocol: proto, field: 'daddr' } };
  return [
    {
      what: `IPv${family}: address and port, by hash`,
      set: { ...here, name: 'one', type: [addr, 'inet_proto', 'inet_service'], map: [addr, 'inet_service'] },
      key: { concat: [daddr, l4proto, dport] },
      element: { key: { concat: [from, 'tcp', 8080] }, data: { concat: [to, 80] } },
      ask: [from, 8080],
      serve: [to, 80],
    },
    {
      what: `IPv${family}: any address, by hash`,
      set: { ...here, name: 'any', type: ['inet_proto', 'inet_service'], map: [addr, 'inet_service'] },
      key: { concat: [l4proto, dport] },
      element: { key: { concat: ['tcp', 8081] }, data: { concat: [to, 81] } },
      ask: [from, 8081],
      serve: [to, 81],
    },
    {
      what: `IPv${family}: a range of ports that keep their numbers`,
      set: { ...here, name: 'range', type: [addr, 'inet_proto', 'inet_service'], map: addr, flags: ['interval'] },
      key: { concat: [daddr, l4proto, dport] },
      element: { key: { concat: [from, 'tcp', { range: [9000, 9999] }] }, data: to },
      ask: [from, 9500],
      serve: [to, 9500],
    },
  ];
});

for (const { what, set, key, element, ask, serve } of CASES) {
  test(`${what}: packets go where the element says, and nowhere else without it`, async () => {
    using netns = Netns.create();
    await using _peer = keepPeer(netns);
    using conn = NftConn.open(netns);
    await ipBatch(netns, [
      'link set lo up',
      ...['10.1.0.1/32', '10.1.0.9/32'].map((a) => `addr add ${a} dev lo`),
      ...['fd00:1::1/128', 'fd00:1::9/128'].map((a) => `addr add ${a} dev lo nodad`),
    ]);
    const family = serve[0].includes(':') ? 'ip6' : 'ip';
    await conn.commit([
      tableAdd({ family: 'inet', name: 't' }),
      setAdd(set),
      chainAdd({ ...here, name: 'output', base: { type: 'nat', hook: 'output', priority: -100, policy: 'accept' } }),
      ...statementRuleAdd(
        {
          ...here,
          chain: 'output',
          statements: [
            { match: { op: '==', left: { meta: { key: 'nfproto' } }, right: family === 'ip' ? 'ipv4' : 'ipv6' } },
            { dnat: { family, addr: { map: { key, data: `@${set.name}` as NftMapData } } } },
          ],
        },
        { sets: [set] },
      ),
    ]);
    await using _server = await tcpServer(netns, ...serve, 'translated');
    const refused = { ok: false, error: 'ECONNREFUSED' };
    assert.deepEqual(await tcpConnect(netns, ...ask), refused);
    await conn.commit(elementAdd(set, [element]));
    const answer = await tcpConnect(netns, ...ask);
    assert.ok(answer.ok, JSON.stringify(answer));
    assert.deepEqual([answer.seen.reply, answer.seen.local, answer.seen.localPort], ['translated', ...serve]);
    assert.deepEqual(await tcpConnect(netns, ask[0], ask[1] + 1000), refused, 'another port');
    await conn.commit(elementDelete(set, [element]));
    assert.deepEqual(await tcpConnect(netns, ...ask), refused);
  });
}
