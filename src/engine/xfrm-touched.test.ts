import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NlMessage } from '../netlink/index.ts';
import { touchedByXfrm } from './xfrm-touched.ts';

const KEYS = [
  'xfrm-state  192.0.2.2 192.0.2.1 0x00001000',
  'xfrm-state  192.0.2.1 192.0.2.2 0x00001000',
  'xfrm-state  192.0.2.1 192.0.2.2 0x00002000',
  'xfrm-policy  out 0.0.0.0/0 10.244.2.0/24 0x6e000005',
];
const index = { keysUnder: (prefix: string): string[] => KEYS.filter((key) => key.startsWith(prefix)) };
const message = (type: number, payload: Uint8Array = new Uint8Array()): NlMessage => ({
  type,
  flags: 0,
  seq: 0,
  pid: 7,
  payload,
});

/** struct xfrm_usersa_id @see linux/xfrm.h */
function usersaId(dst: readonly number[], spi: number): Uint8Array {
  const bytes = Buffer.alloc(24);
  bytes.set(dst, 0);
  bytes.writeUInt32BE(spi, 16);
  bytes.writeUInt16LE(2, 20);
  bytes[22] = 50;
  return bytes;
}

test('a state that went is found by where to and by which SPI; a flush is of all', () => {
  const gone = touchedByXfrm([message(0x11, usersaId([192, 0, 2, 2], 0x1000))], index);
  assert.deepEqual(gone, [{ key: KEYS[1], what: 'xfrm state deleted', pid: 7 }]);
  assert.deepEqual(touchedByXfrm([message(0x11, usersaId([192, 0, 2, 9], 0x1000))], index), []);
  const flush = touchedByXfrm([message(0x1c, new Uint8Array([50])), message(0x1d)], index);
  assert.deepEqual(flush.map(({ key }) => key).sort(), [...KEYS].sort());
  assert.deepEqual(
    touchedByXfrm([message(0x14)], index).map(({ key, what }) => [key, what]),
    [[KEYS[3], 'xfrm policy delete']],
  );
});
