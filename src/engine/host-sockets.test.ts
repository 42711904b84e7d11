import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BoundSocket } from '../sockdiag/index.ts';
import { collides } from './host-sockets.ts';

const socket = (address: string, v6only = false): BoundSocket => ({
  family: address.includes(':') ? 6 : 4,
  address,
  port: 80,
  v6only,
  scope: 0,
});

for (const [address, other, expected] of [
  ['0.0.0.0', socket('127.0.0.1'), true],
  ['0.0.0.0', socket('0.0.0.0'), true],
  ['192.0.2.1', socket('127.0.0.1'), false],
  ['192.0.2.1', socket('0.0.0.0'), true],
  ['192.0.2.1', socket('192.0.2.1'), true],
  ['192.0.2.1', socket('::'), true],
  ['192.0.2.1', socket('::', true), false],
  ['192.0.2.1', socket('::1'), false],
  ['192.0.2.1', socket('::ffff:192.0.2.1'), true],
  ['0.0.0.0', socket('::ffff:192.0.2.1'), true],
  ['192.0.2.1', socket('::ffff:192.0.2.2'), false],
  ['::', socket('::ffff:192.0.2.1'), false],
  ['::', socket('0.0.0.0'), false],
  ['::', socket('::1'), true],
  ['::', socket('::'), true],
  ['2001:db8::1', socket('::', true), true],
  ['2001:db8::1', socket('2001:db8::2'), false],
] as const) {
  test(`${address} beside a socket on ${other.address}${other.v6only ? ', IPv6 only' : ''}`, () => {
    assert.equal(collides(address, other), expected);
  });
}
