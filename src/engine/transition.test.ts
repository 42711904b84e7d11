import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fact, LinkFact } from '../facts/index.ts';
import { SETS } from '../nat/index.ts';
import { transition } from './transition.ts';

const at = (ns: string): { ns: string; object: string } => ({ ns, object: '' });
const link = (name: string, mtu: number): LinkFact => ({
  ...at(''),
  kind: 'link',
  name,
  origin: { type: 'bridge' },
  mac: '',
  mtu,
  master: '',
  up: true,
  alias: '',
  addrGenMode: 'none',
});
const route = (via: string): Fact => ({ ...at('/n'), kind: 'route', family: 4, dst: 'default', via, dev: 'eth0' });
const port = (number: number, to: string): Fact => ({
  ...at(''),
  kind: 'nft-element',
  set: SETS.publish4_any,
  element: { key: { concat: ['tcp', number] }, data: { concat: [to, 80] } },
});
const shown = (before: Fact[], after: Fact[]): string[] =>
  transition(before, after, ({ fact }) => (fact.kind === 'link' && fact.name === 'b' ? -1 : 0)).map(
    ({ verb, fact }) => `${verb} ${fact.kind}`,
  );

test('what is the same stays; what differs is changed, or made anew where it cannot be', () => {
  assert.deepEqual(shown([link('a', 1500), route('10.0.0.1')], [link('a', 1500), route('10.0.0.1')]), []);
  assert.deepEqual(shown([link('a', 1500)], [link('a', 1400)]), ['change link']);
  assert.deepEqual(shown([route('10.0.0.1')], [route('10.0.0.2')]), ['change route']);
  assert.deepEqual(shown([], [route('10.0.0.1')]), ['add route']);
  assert.deepEqual(shown([route('10.0.0.1')], []), ['delete route']);
});

test('the rule set is last and in one piece; what goes with something else that goes is left out', () => {
  const qdisc: Fact = { ...at(''), kind: 'qdisc', dev: 'c', tbf: { rate: 8e6, burst: 5000, limit: 70_000 } };
  assert.deepEqual(
    shown(
      [port(1, '10.0.0.2'), link('c', 1500), qdisc, port(2, '10.0.0.2'), link('a', 1500)],
      [port(2, '10.0.0.3'), link('a', 1400), port(3, '10.0.0.2'), link('b', 1500)],
    ),
    ['delete link', 'add link', 'change link', 'delete nft-element', 'change nft-element', 'add nft-element'],
  );
});

test('a key goes when its successor is there', () => {
  const peer = (publicKey: string, address: string): Fact => ({
    ...at(''),
    kind: 'wg-peer',
    dev: 'wg0',
    publicKey,
    endpoint: { address, port: 51820 },
    allowedIps: ['10.1.0.0/16'],
    keepalive: 0,
  });
  const changes = transition(
    [peer('old', '192.0.2.1'), route('10.0.0.1')],
    [peer('new', '192.0.2.1'), port(1, '10.0.0.2')],
  );
  assert.deepEqual(
    changes.map(({ verb, fact }) => `${verb} ${fact.kind === 'wg-peer' ? fact.publicKey : fact.kind}`),
    ['delete route', 'add new', 'delete old', 'add nft-element'],
  );
});
