/** Pages about several hosts, followed on hosts of a lab: every block on the hosts that it names, as it stands. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { follow, type FollowOptions } from '../lib/follow.ts';
import { etcdService, fetched, GUIDE, HOSTNAME, twoHosts } from '../lib/guide-lab.ts';
import type { LabHost, TestLab } from '../lib/lab.ts';
import { until } from '../lib/wait.ts';

const stack = new AsyncDisposableStack();
let lab: TestLab;
let a: LabHost;
let b: LabHost;
let options: FollowOptions;
before(async () => {
  lab = await twoHosts(stack);
  [a, b] = [lab.host('a'), lab.host('b')];
  const services = { etcd: etcdService(stack) };
  options = { hosts: { a, b }, cwd: GUIDE, services, skip: /^apt-get / };
});
after(() => stack.disposeAsync());
checkDescriptors();

const has = (host: LabHost, name: string): Promise<boolean> =>
  until(`${host.name} has ${name}`, async () => (await host.client.networkList()).some((each) => each.name === name));

test('nodes.md: two machines in ten minutes', async () => {
  const page = follow('nodes.md', '## Two machines in ten minutes', options);
  assert.match(await page.next('node join'), /192\.0\.2\.10[^]*192\.0\.2\.11/);
  const listed = await page.next('network create');
  assert.match(listed, /^a\b.*ready/m);
  assert.match(listed, /^b\b.*ready/m);
  await page.next('run -d');
  await has(b, 'shared');
  assert.match(await page.next(), HOSTNAME);
});

test('docker-overlay.md', async () => {
  const page = follow('docker-overlay.md', '## Step by step', options);
  await page.next('netloom up');
  await has(b, 'app');
  assert.match(await page.next(), HOSTNAME);
});

test('nodes.md: etcd with TLS and users; nothing of the cluster is made anew', async () => {
  const page = follow('nodes.md', '## etcd with TLS and users', options);
  await page.next('auth enable');
  for (const file of ['ca.pem', 'b.pem', 'b.key', 'password'])
    copyFileSync(lab.place.of('a', `${GUIDE.slice(1)}/${file}`), lab.place.of('b', `${GUIDE.slice(1)}/${file}`));
  const state = async (host: LabHost): Promise<string> => (await host.client.clusterStatus()).state;
  await page.next();
  assert.deepEqual([await state(a), await state(b)], ['connected', 'connected']);
  const nodes = (await b.client.nodeList()).map((node) => `${node.name} ${node.state}`);
  assert.deepEqual(nodes, ['a ready', 'b ready']);
  assert.match(await fetched(b, 'app', 'web'), HOSTNAME);
});
