import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namesOf } from './names.ts';
import { parseParameters } from './parameters.ts';

function names(id: string, args: string, aliases: readonly string[] = []): string[] {
  const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: id, CNI_NETNS: '/n', CNI_IFNAME: 'eth0', CNI_ARGS: args };
  return namesOf(parseParameters(env), aliases);
}
const DRAWN = '0123456789abcdef'.repeat(4);

test('a workload has the names that its runtime says, and no id that was drawn', () => {
  assert.deepEqual(names('default-web', ''), ['default-web']);
  assert.deepEqual(names(DRAWN, ''), []);
  assert.deepEqual(names(DRAWN, 'K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop'), ['web', 'web.shop']);
  assert.deepEqual(names(DRAWN, 'IgnoreUnknown=1;K8S_POD_NAME=web;K8S_POD_NAMESPACE=web'), ['web']); // Podman
  assert.deepEqual(names('db-0', '', ['db', 'db-0']), ['db', 'db-0']);
  assert.deepEqual(names('a'.repeat(64), ''), []);
  assert.deepEqual(names(DRAWN, 'K8S_POD_NAME=a b'), []);
});
