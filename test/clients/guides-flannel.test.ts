/** docs/flannel.md, followed on a host that was flannel's, beside one that still is: that one is made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { KEYS, leasesIn, makeFlannelHost } from '../lib/flannel.ts';
import { follow } from '../lib/follow.ts';
import { etcdService, fetched, GUIDE, HOSTNAME, twoHosts } from '../lib/guide-lab.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

test('flannel.md: a host that was flannel’s; another stays', async () => {
  await using stack = new AsyncDisposableStack();
  const lab = await twoHosts(stack);
  const [a, b] = [lab.host('a'), lab.host('b')];
  const url = 'http://192.0.2.10:2379';
  await a.ok([
    'sh',
    '-c',
    `printf 'ETCD_LISTEN_CLIENT_URLS=${url}\\nETCD_ADVERTISE_CLIENT_URLS=${url}\\n' >/etc/default/etcd`,
  ]);
  await etcdService(stack)(a);
  const keys = {
    ctl: (...words: readonly string[]) => a.ok(['env', 'ETCDCTL_API=3', 'etcdctl', `--endpoints=${url}`, ...words]),
  };
  await keys.ctl('put', `${KEYS}/config`, '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}');
  using wire = Netns.open(lab.place.netns('wire'));
  await using flannel = await makeFlannelHost({ etcd: keys, wire, bridge: 'lan', number: 12, backend: 'vxlan' });
  // what flannel leaves when it ends
  const data = { VNI: 1, VtepMAC: '0e:00:00:00:00:33' };
  const left = { PublicIP: '192.0.2.10', PublicIPv6: null, BackendType: 'vxlan', BackendData: data };
  const [, id = ''] = /lease (\w+) granted/.exec(await keys.ctl('lease', 'grant', '86400')) ?? [];
  await keys.ctl('put', `${KEYS}/subnets/10.244.33.0-24`, JSON.stringify(left), `--lease=${id}`);
  await ipBatch(a.netns, [
    'link add flannel.1 address 0e:00:00:00:00:33 type vxlan id 1 dev eth0 local 192.0.2.10 dstport 8472 nolearning',
    'addr add 10.244.33.0/32 dev flannel.1',
    'link set flannel.1 up',
  ]);
  const page = follow('flannel.md', '## Moving from flannel', {
    hosts: { a },
    cwd: GUIDE,
    services: { flanneld: () => Promise.resolve() },
  });
  assert.match(await page.next('subnet.env'), /^10\.244\.33\.0\/24 *\n[^]*FLANNEL_SUBNET=10\.244\.33\.1\/24\n/m);
  await page.next('run -d');
  const lease = (await leasesIn(keys)).get('10.244.33.0-24')!;
  assert.notDeepEqual(lease, left);
  await flannel.hear('10.244.33.0-24', lease);
  const fetch = ['curl', '-sSf', '--max-time', '3', 'http://10.244.33.2/hostname'];
  assert.match(await until('flannel’s workload reaches it', () => okIn(flannel.workload, fetch)), HOSTNAME);
  await b.ok(['netloom', 'node', 'join', '--etcd', url]);
  await page.next();
  assert.deepEqual([...(await leasesIn(keys)).keys()], ['10.244.12.0-24']);
  assert.match(await until('b knows its name', () => fetched(b, 'apps', 'web')), HOSTNAME);
});
