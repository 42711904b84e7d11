import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BgpOptions, Network, Overlay } from '../model/index.ts';
import { covering, speakerPlan, type Spoken } from './bgp-plan.ts';

const OPTIONS: BgpOptions = { asn: 64_512, neighbors: [], passwordFile: '/p', holdTime: 9, restartTime: 60 };
function spoken(
  id: string,
  range: string,
  prefix: string,
  more: Partial<BgpOptions> = {},
  addresses = ['192.0.2.1'],
): Spoken {
  const self: Overlay['self'] = {
    ...{ node: 'a', addresses, prefixes: [prefix], backend: 'bgp', mac: '', direct: true, dev: 'eth0', mtu: 1500 },
  };
  const overlay: Overlay = {
    ...{ plan: 'node', backend: 'bgp', ranges: [range], vni: 1, port: 0, directRouting: false, self },
    bgp: { ...OPTIONS, ...more },
  };
  const peer = { node: 'b', addresses: ['192.0.2.2'], prefixes: [], backend: 'bgp', mac: '', direct: true } as const;
  const network = { id, created: id, name: id } as Network;
  return { network, overlay, peers: [{ ...peer, bgp: { asn: 64_520, mesh: true } }] };
}

test('nothing is said where no network has it', () => assert.equal(speakerPlan([]), undefined));

test('one speaker for all networks, and for each neighbour once', () => {
  const plan = speakerPlan([spoken('2', '10.9.0.0/16', '10.9.1.0/24'), spoken('1', '10.8.0.0/16', '10.8.1.0/24')]);
  assert.deepEqual(plan?.identity, { asn: 64_512, routerId: '192.0.2.1', listen: ['192.0.2.1'], restartTime: 60 });
  assert.deepEqual(plan.neighbours, [
    {
      ...{ address: '192.0.2.2', asn: 64_520, source: '192.0.2.1', holdTime: 9, retry: 2000, allowOwnAs: 1 },
      ...{ accept: ['10.9.0.0/16', '10.8.0.0/16'], extendedNextHop: false },
    },
  ]);
  assert.deepEqual([...plan.nodes], [['192.0.2.2', 'b']]);
  assert.deepEqual(plan.prefixes.toSorted(), ['10.8.1.0/24', '10.9.1.0/24']);
});

test('a host is no neighbour of its own; one without IPv4 has an identifier all the same', () => {
  const neighbors = ['2001:db8::1', '2001:db8::2'].map((address) => ({ address, asn: 64_512 }));
  const six = (address: string): ReturnType<typeof speakerPlan> =>
    speakerPlan([spoken('1', '10.8.0.0/16', '10.8.1.0/24', { neighbors }, [address])]);
  const plan = six('2001:db8::1');
  assert.deepEqual(
    plan?.neighbours.map(({ address, allowOwnAs, extendedNextHop }) => ({ address, allowOwnAs, extendedNextHop })),
    [{ address: '2001:db8::2', allowOwnAs: undefined, extendedNextHop: true }],
  );
  assert.match(plan.identity.routerId, /^[1-9]\d*(\.\d+){3}$/);
  assert.equal(plan.identity.routerId, six('2001:db8::1')?.identity.routerId);
  assert.notEqual(plan.identity.routerId, six('2001:db8::2')?.identity.routerId);
});

test('the way to a prefix is that of the smallest one around it', () => {
  const table = new Map(
    Object.entries({ '10.244.0.0/16': 'all', '10.244.4.0/22': 'some', '10.244.4.0/24': 'one', 'fd00::/32': 'six' }),
  );
  for (const [prefix, expected] of [
    ['10.244.4.0/24', 'one'],
    ['10.244.5.0/24', 'some'],
    ['10.244.8.0/24', 'all'],
    ['10.245.0.0/24', undefined],
    ['fd00:0:1::/64', 'six'],
    ['fd01::/64', undefined],
  ] as const)
    assert.equal(covering(table, prefix), expected, prefix);
});
