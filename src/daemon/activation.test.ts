import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activationDescriptor } from './activation.ts';

test('descriptor 3 when the variables are for this process; they are taken away then', () => {
  const env = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'netloom.socket', HOME: '/' };
  assert.equal(activationDescriptor(env, 42), 3);
  assert.deepEqual(env, { HOME: '/' });
  assert.equal(activationDescriptor(env, 42), undefined);
});

test('variables for another process, or none, or nonsense', () => {
  const other = { LISTEN_PID: '41', LISTEN_FDS: '1' };
  assert.equal(activationDescriptor(other, 42), undefined);
  assert.deepEqual(other, { LISTEN_PID: '41', LISTEN_FDS: '1' });
  assert.equal(activationDescriptor({}, 42), undefined);
  for (const count of ['0', '', 'x', '-1', '1.5'])
    assert.equal(activationDescriptor({ LISTEN_PID: '42', LISTEN_FDS: count }, 42), undefined);
});

test('more than one socket', () => {
  assert.throws(() => activationDescriptor({ LISTEN_PID: '42', LISTEN_FDS: '2' }, 42), { code: 'EINVAL' });
});
