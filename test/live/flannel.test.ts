// runs: here in one mode (hosts side by side, and an etcd)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { KEYS, type Lease, leasesIn } from '../lib/flannel.ts';
import { type FlannelBed, makeFlannelBed } from '../lib/flannel-bed.ts';
import { pings } from '../lib/machines.ts';
import { okIn } from '../lib/run.ts';
import { transfer } from '../lib/transfer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** The one lease that netloom wrote. */
async function ours({ etcd }: FlannelBed): Promise<readonly [string, Lease]> {
  const found = [...(await leasesIn(etcd))].filter(([, { PublicIP }]) => PublicIP === '192.0.2.1');
  assert.equal(found.length, 1);
  return found[0]!;
}
const routes = (bed: FlannelBed): Promise<string> => okIn(bed.netns, ['ip', 'route']);

test('vxlan: flannel and we reach each other by both families; leases come, go, and are kept', async () => {
  await using bed = await makeFlannelBed('vxlan', { EnableIPv6: true, IPv6Network: 'fd00:244::/48' });
  const { etcd } = bed;
  const flannel = await bed.flannel(9, { ipv6: true });
  await bed.create();
  const [name, lease] = await ours(bed);
  assert.match(name, /^10\.244\.\d+\.0-24&fd00:244:0:[0-9a-f]+::-64$/);
  const mac = lease.BackendData!.VtepMAC!;
  const data = { VNI: 1, VtepMAC: mac };
  assert.deepEqual(lease, {
    ...{ PublicIP: '192.0.2.1', PublicIPv6: '2001:db8::1', BackendType: 'vxlan' },
    ...{ BackendData: data, BackendV6Data: data },
  });
  // for a day, as flannel's own
  const key = `${KEYS}/subnets/${name}`;
  const leaseId = async (): Promise<string> =>
    BigInt(/"lease":(\d+)/.exec(await etcd.ctl('get', key, '-w', 'json'))![1]!).toString(16);
  assert.match(await etcd.ctl('lease', 'timetolive', await leaseId()), /granted with TTL\(86400s\)/);
  await flannel.hear(name, lease);
  const prefix = name.replace(/&.*/, '').replace('-24', '/24');
  assert.match(
    readFileSync(`${bed.runDir}/overlay/pods/subnet.env`, 'utf8'),
    new RegExp(
      `^FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=${prefix.replace('.0/24', '.1/24')}\nFLANNEL_IPV6_NETWORK=fd00:244::/48\n.*\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n$`,
    ),
  );

  const w0 = await bed.workload('w0');
  for (const address of ['10.244.9.2', 'fd00:244:0:9::2'])
    await until(`we reach ${address}`, () => pings(w0.netns, address));
  for (const address of w0.addresses) assert.ok(await pings(flannel.workload, address), address);
  for (const address of w0.addresses) assert.ok(await transfer(flannel.workload, w0.netns, address, 300_000), address);
  assert.ok(await transfer(w0.netns, flannel.workload, '10.244.9.2', 300_000));
  // flannel's host itself, by the address of its tunnel
  assert.ok(await pings(flannel.netns, w0.addresses[0]!));

  // a daemon that comes again has the same lease, and what nobody touched is as it was
  await bed.restart();
  assert.deepEqual(await ours(bed), [name, lease]);
  assert.ok(await pings(w0.netns, '10.244.9.2'));

  // its lease is put back where somebody takes it away, and where it has run out
  await etcd.ctl('lease', 'revoke', await leaseId());
  await until('it is there again', async () => (await leasesIn(etcd)).has(name));
  assert.deepEqual(await ours(bed), [name, lease]);

  // what is written by others: bad, in each other's way, ours
  const put = (lease: string, value: unknown): Promise<string> =>
    etcd.ctl('put', `${KEYS}/subnets/${lease}`, typeof value === 'string' ? value : JSON.stringify(value));
  const good = {
    PublicIP: '192.0.2.77',
    PublicIPv6: '2001:db8::77',
    BackendType: 'vxlan',
    BackendData: { VNI: 1, VtepMAC: '0e:00:00:00:00:77' },
  };
  await put('10.244.77.0-24&fd00:244:0:77::-64', good);
  await put('10.244.78.0-24', good);
  await put('10.244.79.0-24', '{"PublicIP": [');
  await put('10.244.80.0-24', { ...good, PublicIP: '192.0.2.1', PublicIPv6: null });
  await put('10.244.0.0-17', { ...good, PublicIP: '192.0.2.81', PublicIPv6: null });
  await put('10.99.0.0-24', { ...good, PublicIP: '192.0.2.82', PublicIPv6: null });
  await put('10.244.83.0-24', { ...good, PublicIP: '192.0.2.83', PublicIPv6: null, BackendType: 'host-gw' });
  await put('../../x', good);
  const faults = [
    '10.244.78.0-24',
    '10.244.79.0-24',
    '10.244.80.0-24',
    '10.244.0.0-17',
    '10.99.0.0-24',
    '10.244.83.0-24',
    '../../x',
  ];
  for (const lease of faults)
    await until(`${lease} is told`, () => bed.told.some((text) => text.startsWith(`fault lease ${lease} of`)));
  const status = await bed.engine().clusterStatus();
  for (const lease of faults)
    assert.ok(
      status.faults.some((line) => line.startsWith(`lease ${lease} of flannel network pods: `)),
      lease,
    );
  const { peers = [] } = await bed.engine().networkInspect('pods');
  const names = peers.map(({ node }) => node);
  assert.ok(names.includes('10.244.77.0-24&fd00:244:0:77::-64') && !faults.some((lease) => names.includes(lease)));
  const there = await routes(bed);
  assert.match(there, /10\.244\.77\.0\/24 via 10\.244\.77\.0 dev vx4-\S+ .*onlink/);
  assert.doesNotMatch(there, /10\.244\.(78|79|80|83)\.|10\.99\.|\/17/);
  assert.ok(await pings(w0.netns, '10.244.9.2'));

  // with etcd away all goes on; what went meanwhile goes when it is back
  const told = bed.told.length;
  await etcd.kill(0);
  await until('it is said', () => bed.told.slice(told).some((text) => text.startsWith('away flannel network pods')));
  assert.ok(await pings(w0.netns, '10.244.9.2'));
  etcd.start(0);
  await until('etcd is back', async () => (await etcd.ctl('del', '--prefix', `${KEYS}/subnets/10.244.77.0-24`), true));
  await until('the route is gone', async () => !(await routes(bed)).includes('10.244.77.0/24'), { timeout: 15_000 });

  // flannel itself needs to be started anew for it, and so does the network here
  await etcd.ctl('put', `${KEYS}/config`, '{"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}');
  await until('it is said', () =>
    bed.told.some((text) => /^fault configuration of flannel network pods: .*host-gw/.test(text)),
  );
  await assert.rejects(bed.engine().networkUpdate('pods', { options: { backend: 'udp' } }), { code: 'EIMMUTABLE' });
  assert.ok(await pings(w0.netns, '10.244.9.2'));

  await assert.rejects(bed.engine().networkRemove('pods'), { code: 'ENETWORKINUSE' });
  assert.notEqual(await etcd.ctl('get', key), '');
  for (const { id } of await bed.engine().endpointList()) await bed.engine().endpointDetach(id);
  await bed.engine().networkRemove('pods');
  assert.equal(await etcd.ctl('get', key), '');
  assert.doesNotMatch(await okIn(bed.netns, ['ip', '-br', 'link']), /vx4-|br-/);
});

for (const backend of ['host-gw', 'udp'] as const) {
  test(`${backend}: both ways, and a lease that was reserved for this host stays when the network goes`, async () => {
    await using bed = await makeFlannelBed(backend, { SubnetMin: '10.244.9.0', SubnetMax: '10.244.10.0' });
    const { etcd } = bed;
    const flannel = await bed.flannel(9);
    await etcd.ctl('put', `${KEYS}/subnets/10.244.10.0-24`, '{"PublicIP":"192.0.2.1"}');
    await bed.create({ address: '192.0.2.1' });
    const [name, lease] = await ours(bed);
    assert.equal(name, '10.244.10.0-24');
    assert.deepEqual(lease, {
      PublicIP: '192.0.2.1',
      PublicIPv6: null,
      ...(backend === 'host-gw' && { BackendType: backend }),
    });
    await flannel.hear(name, lease);
    const w0 = await bed.workload('w0');
    await until('we reach it', () => pings(w0.netns, '10.244.9.2'));
    assert.ok(await pings(flannel.workload, w0.addresses[0]!));
    assert.ok(await transfer(flannel.workload, w0.netns, w0.addresses[0]!, 300_000));
    assert.ok(await transfer(w0.netns, flannel.workload, '10.244.9.2', 300_000));
    for (const { id } of await bed.engine().endpointList()) await bed.engine().endpointDetach(id);
    await bed.engine().networkRemove('pods');
    assert.ok((await leasesIn(etcd)).has(name));
    await etcd.ctl('del', `${KEYS}/subnets/${name}`);

    // nothing is left of a network that could not be made
    await etcd.ctl('put', `${KEYS}/subnets/10.244.10.0-24`, '{"PublicIP":"192.0.2.99"}');
    await assert.rejects(bed.create({ address: '192.0.2.1' }), { code: 'ERANGEEXHAUSTED' });
    await okIn(bed.netns, ['ip', 'route', 'add', 'unreachable', '10.244.3.0/24']);
    await assert.rejects(bed.create({ address: '192.0.2.1', prefix: '/other' }), { code: 'ENOFLANNEL' });
    await etcd.ctl('put', '/other/config', '{"Network": "10.244.0.0/16", "Backend": {"Type": "alloc"}}');
    await assert.rejects(bed.create({ address: '192.0.2.1', prefix: '/other' }), { code: 'EBADBACKEND' });
    assert.equal((await etcd.ctl('get', '--prefix', '--keys-only', '/other/subnets')).trim(), '');
  });
}
