import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfiguration } from './configuration.ts';
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
  assert.deepEqual(names('db-0', '', ['db', 'db-0']), ['db-0', 'db']);
  assert.deepEqual(names('a'.repeat(64), ''), []);
  assert.deepEqual(names(DRAWN, 'K8S_POD_NAME=a b'), []);
});

test('capabilities are read in whichever case Go wrote their fields', () => {
  const runtimeConfig = {
    portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
    bandwidth: { IngressRate: 1000, IngressBurst: 1 },
    ipRanges: [[{ Subnet: '10.0.0.0/8' }]],
    aliases: { HostPort: ['db'] },
  };
  const conf = parseConfiguration(
    JSON.stringify({ cniVersion: '1.0.0', name: 'n', type: 'netloom', runtimeConfig }),
    'ADD',
  );
  assert.deepEqual(conf.runtimeConfig, {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }],
    bandwidth: { ingressRate: 1000, ingressBurst: 1 },
    ipRanges: [[{ subnet: '10.0.0.0/8' }]],
    aliases: { HostPort: ['db'] },
  });
});

test('what the reference library says with VERSION is taken', () => {
  const env = { CNI_COMMAND: 'VERSION', CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_PATH: 'dummy' };
  assert.equal(parseParameters(env).verb, 'VERSION');
});
