import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetloomError } from '../errors.ts';
import { errorAnswer } from './failure.ts';

test('whatever is thrown becomes code, message and hint', () => {
  assert.deepEqual(errorAnswer(new NetloomError('EBUSY', 'm', { hint: 'h' })), {
    code: 'EBUSY',
    message: 'm',
    hint: 'h',
  });
  assert.deepEqual(errorAnswer(new NetloomError('EBUSY', 'm')), { code: 'EBUSY', message: 'm', hint: '' });
  assert.equal(errorAnswer(Object.assign(new Error('full'), { code: 'ENOSPC' })).code, 'ENOSPC');
  assert.equal(errorAnswer(Object.assign(new Error('bug'), { code: 'ERR_INVALID_ARG_TYPE' })).code, 'EINTERNAL');
  assert.equal(errorAnswer(Object.assign(new Error('bug'), { code: 'FST_ERR_X', statusCode: 500 })).code, 'EINTERNAL');
  for (const thrown of ['text', undefined, null, 5, {}]) assert.equal(errorAnswer(thrown).code, 'EINTERNAL');
});
