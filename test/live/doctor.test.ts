import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping } from '../lib/peer.ts';
import { snapshot } from '../lib/snapshot.ts';
import { ipBatch, okIn } from '../lib/run.ts';

checkDescriptors();

async function look(bed: EngineBed, check: string): Promise<readonly Finding[]> {
  const { findings } = await bed.engine.doctor({ checks: [check] });
  assert.ok(findings.length > 0, `${check} says something`);
  for (const finding of findings) {
    assert.equal(finding.check, check);
    assert.doesNotMatch(finding.summary, /\n/);
    if (finding.status === 'failure' || finding.status === 'warning')
      assert.ok(finding.cure.length > 0 && finding.evidence.length > 0, `${finding.summary}: evidence and cure`);
  }
  return findings;
}
const statuses = (findings: readonly Finding[]): string[] => findings.map((f) => f.status);

test('a host in order has no failure, and looking at it changes nothing', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  const box = await bed.workload('box');
  await bed.engine.endpointAttach({ network: 'web', netns: box.path });
  const before = await snapshot(bed.host.netns);
  const { findings, kernel } = await bed.engine.doctor();
  assert.match(kernel, /^\d+\.\d+/);
  const bad = findings.filter((f) => f.status === 'failure' && f.check !== 'upstream-dns' && f.check !== 'clock');
  assert.deepEqual(bad, []);
  assert.deepEqual(
    findings.filter((f) => f.status === 'unknown'),
    [],
  );
  assert.deepEqual(await snapshot(bed.host.netns), before);
  await assert.rejects(bed.engine.doctor({ checks: ['mtus'] }), { code: 'EBADCHECK' });
});

test('forwarding that was switched off is found, and its cure cures', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  assert.deepEqual(statuses(await look(bed, 'forwarding')), ['ok', 'ok']);
  await okIn(bed.host.netns, ['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
  const [finding] = await look(bed, 'forwarding');
  assert.equal(finding?.status, 'failure');
  assert.match(finding.summary, /web/);
  await okIn(bed.host.netns, ['sh', '-ec', finding.cure.join('\n')]);
  assert.deepEqual(statuses(await look(bed, 'forwarding')), ['ok', 'ok']);
});

test('pain 10 (for-linux#1426): an MTU above the uplink, and a port of another MTU, are found', async () => {
  await using bed = await makeEngineBed({ mtu: 1400 });
  const { value: web } = await bed.engine.networkCreate({ name: 'web', options: { mtu: '1500', name: 'br-web' } });
  const [finding] = await look(bed, 'mtu');
  assert.equal(finding?.status, 'warning');
  assert.deepEqual(finding.evidence[0], 'br-web mtu 1500');
  assert.equal(finding.object, 'network web');
  const box = await bed.workload('box');
  const { value } = await bed.engine.endpointAttach({ network: web.name, netns: box.path });
  await ipBatch(bed.host.netns, [`link set ${value.hostIfname} mtu 1300`]);
  assert.ok((await look(bed, 'mtu')).some((f) => f.status === 'failure' && /1 of its ports/.test(f.summary)));
});

test('a router that swallows large packets is found', async () => {
  await using bed = await makeEngineBed();
  const ok = await look(bed, 'mtu');
  assert.ok(
    ok.some((f) => /packets of 1500 bytes reach the router/.test(f.summary)),
    JSON.stringify(ok),
  );
  // the router takes small packets only, and does not say so
  await okIn(bed.host.outside, [
    'nft',
    'add table inet hole; add chain inet hole in { type filter hook input priority 0; }; add rule inet hole in meta length > 1400 drop',
  ]);
  const hole = (await look(bed, 'mtu')).find((f) => f.status === 'failure');
  assert.match(hole?.summary ?? '', /large transfers hang/);
});

test('pain 15 (moby#46615): a route that came after the network is found', async () => {
  await using bed = await makeEngineBed();
  const { value } = await bed.engine.networkCreate({ name: 'web' });
  assert.deepEqual(statuses(await look(bed, 'address-overlaps')), ['ok']);
  const [a, b] = value.subnets[0]!.subnet.split('.');
  await ipBatch(bed.host.netns, [`route add ${a}.${b}.0.0/20 dev eth0 table 77`]);
  const [finding] = await look(bed, 'address-overlaps');
  assert.equal(finding?.status, 'failure');
  assert.match(finding.evidence.join(), /\/20/);
});

test('limits that are near, links and chains that others left, are found', async () => {
  await using bed = await makeEngineBed();
  await ipBatch(bed.host.netns, ['link add veth1234567 type veth peer name gone', 'link set veth1234567 up']);
  await okIn(bed.host.netns, ['nft', 'add table ip nat; add chain ip nat CNI-HOSTPORT-DNAT']);
  const found = await look(bed, 'leftovers');
  assert.ok(found.some((f) => /veth end/.test(f.summary) && f.evidence.some((e) => e.startsWith('veth1234567 '))));
  assert.ok(found.some((f) => f.evidence.includes('ip nat CNI-HOSTPORT-DNAT')));
  const orphan = found.find((f) => /veth end/.test(f.summary))!;
  await okIn(bed.host.netns, ['sh', '-ec', orphan.cure.join('\n')]);
  assert.ok(!(await look(bed, 'leftovers')).some((f) => /veth end/.test(f.summary)));
  assert.equal(
    (await look(bed, 'limits')).some((f) => f.status === 'unknown'),
    false,
  );
});

test('pains 1 and 11 (moby#39439): a foreign rule in our way is named, and its remedy lets packets through', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web' });
  const box = await bed.workload('box');
  await bed.engine.endpointAttach({
    network: 'web',
    netns: box.path,
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  const drops = async (): Promise<Finding[]> =>
    (await look(bed, 'foreign-drops')).filter((f) => f.status === 'failure');
  assert.deepEqual(await drops(), []);
  await okIn(bed.host.netns, ['iptables', '-P', 'FORWARD', 'DROP']);
  const found = await drops();
  assert.ok(found.length >= 2, 'outwards, and to the published port');
  assert.match(found[0]?.evidence.join() ?? '', /table ip filter, chain FORWARD: its policy/);
  assert.equal(await ping(box.netns, ADDRESS.internet, { timeout: 0.5 }), false);
  for (const line of new Set(found.flatMap((f) => f.cure))) await okIn(bed.host.netns, ['sh', '-ec', line]);
  assert.deepEqual(await drops(), []);
  assert.equal(await ping(box.netns, ADDRESS.internet), true);
});
