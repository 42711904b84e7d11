import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../model/index.ts';
import { bucketOf, rateFacts } from './rates.ts';

const endpoint = (rates: Endpoint['rates'], hostIfname = 've0'): Endpoint => ({
  id: 'a'.repeat(64),
  network: '',
  container: '',
  type: hostIfname === '' ? 'macvlan' : 'veth',
  netns: '/run/netns/web',
  netnsId: '',
  ifname: 'eth0',
  hostIfname,
  mac: '',
  addresses: [],
  gateways: [],
  aliases: [],
  gatewayPriority: 0,
  ports: [],
  rates,
  created: '',
  phase: 'ready',
  owner: '',
});
const network = { options: { driver: 'host' } } as const;
const shown = (given: Endpoint): string[] =>
  rateFacts(network, given, 'test').map((fact) => {
    const place = fact.ns === '' ? 'host' : 'inside';
    if (fact.kind === 'link') return `${place} link ${fact.name} ${fact.origin.type}`;
    if (fact.kind === 'qdisc') return `${place} qdisc ${fact.dev} ${Math.round(fact.tbf.rate / 1e4) / 100}`;
    return fact.kind === 'redirect' ? `${place} redirect ${fact.dev} ${fact.to}` : fact.kind;
  });

test('nothing for an endpoint without rates', () => {
  assert.deepEqual(shown(endpoint({ ingress: 0, egress: 0 })), []);
});

test('towards the workload by the host’s end, from it by an ifb', () => {
  assert.deepEqual(shown(endpoint({ ingress: 10e6, egress: 0 })), ['host qdisc ve0 10.29']);
  assert.deepEqual(shown(endpoint({ ingress: 10e6, egress: 20e6 })), [
    'host qdisc ve0 10.29',
    'host link ifaaaaaaaaaaa ifb',
    'host qdisc ifaaaaaaaaaaa 20.57',
    'host redirect ve0 ifaaaaaaaaaaa',
  ]);
});

test('without an end at the host, inside, and the other way round', () => {
  assert.deepEqual(shown(endpoint({ ingress: 10e6, egress: 20e6 }, '')), [
    'inside qdisc eth0 20.57',
    'inside link ifaaaaaaaaaaa ifb',
    'inside qdisc ifaaaaaaaaaaa 10.29',
    'inside redirect eth0 ifaaaaaaaaaaa',
  ]);
});

test('a bucket takes a frame, a queue takes the largest packet, and no number is too large for the kernel', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8000, max: 1e12 }), fc.constantFrom(0, 68, 1280, 1500, 9000, 65_535), (rate, mtu) => {
      const { rate: framed, burst, limit } = bucketOf(rate, mtu);
      assert.ok(framed > rate);
      assert.ok(burst >= (mtu || 1500) + 14 && burst < 2 ** 31);
      assert.ok(limit >= 65_536 + burst || limit === 2 ** 31 - 1);
      assert.ok(Number.isInteger(framed) && Number.isInteger(burst) && Number.isInteger(limit) && limit < 2 ** 31);
    }),
  );
});
