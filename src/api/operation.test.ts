import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { paramsSchema, parseQuery, querySchema } from './operation.ts';

test('parseQuery reads by type, and leaves what it cannot read for the schema to refuse', () => {
  assert.deepEqual(parseQuery('dryRun&explain=false&tail=10&timeoutSeconds=0.5&signal=9'), {
    dryRun: true,
    explain: false,
    tail: 10,
    timeoutSeconds: 0.5,
    signal: '9',
  });
  assert.deepEqual(parseQuery('dryRun=yes&tail=1e3&tail2=1'), { dryRun: 'yes', tail: '1e3', tail2: '1' });
  assert.deepEqual(parseQuery(''), {});
});

test('parseQuery takes any text without throwing', () => {
  fc.assert(fc.property(fc.string(), (text) => typeof parseQuery(text) === 'object'));
  const polluted = parseQuery('__proto__=1&constructor=2');
  assert.equal(({} as Record<string, unknown>)['1'], undefined);
  assert.equal(Object.getPrototypeOf(polluted), Object.prototype);
});

test('schemas of path and query', () => {
  assert.equal(paramsSchema('/v1/networks'), undefined);
  assert.deepEqual((paramsSchema('/a/:ref/b/:network') as unknown as { required: string[] }).required, [
    'ref',
    'network',
  ]);
  const { properties, additionalProperties } = querySchema(['all']) as unknown as {
    properties: object;
    additionalProperties: boolean;
  };
  assert.deepEqual([Object.keys(properties), additionalProperties], [['all'], false]);
});
