// runs: here in one mode (hosts side by side, which take their time)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/engine/apply.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ETHER, sniff } from '../lib/frames.ts';
import { makeOverlayBed, type OverlayHost, type OverlayOptions } from '../lib/overlay-bed.ts';
import { carries, explained, forgets, leaks, unanswered } from '../lib/overlay-checks.ts';
import { ping, udpEcho } from '../lib/peer.ts';
import { ipBatch, runIn } from '../lib/run.ts';
import { snapshot } from '../lib/snapshot.ts';

checkDescriptors();

/** UDP to VXLAN's port over Ethernet, whichever family. */
function isVxlan(frame: Uint8Array): boolean {
  const type = (frame[12]! << 8) | frame[13]!;
  const at = type === ETHER.ip ? 14 + 20 : type === ETHER.ip6 ? 14 + 40 : 0;
  return at !== 0 && frame[at + 2] === 8472 >> 8 && frame[at + 3] === (8472 & 0xff);
}

const VXLAN: readonly (readonly [string, OverlayOptions])[] = [
  ['a prefix for each host', { backend: 'vxlan' }],
  ['a prefix for each host, over IPv6', { backend: 'vxlan', underlay: [6] }],
  ['one segment', { backend: 'vxlan', plan: 'flat', workloads: [2, 1, 1, 1] }],
  ['one segment, over IPv6', { backend: 'vxlan', plan: 'flat', underlay: [6], workloads: [2, 1, 1, 1] }],
];

for (const [what, options] of VXLAN) {
  test(`vxlan, ${what}: all reach all, whole packets, and nobody's broadcasts leave`, async () => {
    await using bed = await makeOverlayBed(options);
    await bed.apply();
    assert.deepEqual(await bed.differences(), [], 'it reads back as it is wanted');
    assert.deepEqual(await unanswered(bed), []);
    const [first, last] = [bed.workloads[0]!, bed.workloads.at(-1)!];
    await carries(bed, first, last);
    assert.equal(await leaks(bed, first, last, isVxlan), 0);
    if (options.plan !== 'flat')
      for (const address of last.addresses) assert.ok(await ping(bed.hosts[0]!.netns, address), 'from the host itself');
  });
}

for (const options of [
  { backend: 'vxlan' },
  { backend: 'vxlan', plan: 'flat' },
  { backend: 'vxlan', directRouting: true },
  { backend: 'host-gw' },
  { backend: 'host-gw', underlay: [6] },
] as const satisfies OverlayOptions[]) {
  const what = Object.values(options).join(' ');
  test(`${what}: a host that goes leaves nothing behind`, async () => {
    await using bed = await makeOverlayBed({ ...options, workloads: [1, 1, 1] });
    await forgets(bed, 'node2');
  });
  test(`${what}: its commands make the same`, () => explained(options));
}

test('host-gw: all on the segment reach all, without a tunnel', async () => {
  for (const underlay of [[4, 6], [6]] as const) {
    await using bed = await makeOverlayBed({ backend: 'host-gw', underlay, workloads: [1, 1, 1] });
    await bed.apply();
    assert.deepEqual(await bed.differences(), []);
    assert.deepEqual(await unanswered(bed), [], 'IPv4 by gateways of IPv6, too');
    await carries(bed, bed.workloads[0]!, bed.workloads[2]!);
  }
});

test('vxlan with direct routing: a tunnel only where a router is between', async () => {
  await using bed = await makeOverlayBed({ backend: 'vxlan', directRouting: true });
  await bed.apply();
  assert.deepEqual(await bed.differences(), []);
  assert.deepEqual(await unanswered(bed), []);
  const [one, two, , four] = bed.workloads;
  const tunnelled = async (to: string): Promise<number> => {
    using heard = sniff(bed.segment, ETHER.all, 'port1');
    const pattern = Buffer.from('netloom').toString('hex');
    assert.equal((await runIn(one!.netns, ['ping', '-n', '-c1', '-W2', '-p', pattern, to])).status, 0);
    await heard.upTo('netloom');
    return heard.frames.filter(isVxlan).length;
  };
  for (const i of [0, 1]) {
    assert.equal(await tunnelled(two!.addresses[i]!), 0);
    assert.ok((await tunnelled(four!.addresses[i]!)) > 0);
  }
});

test('one segment whose endpoints may not talk to each other: nor do they across hosts', async () => {
  await using bed = await makeOverlayBed({ backend: 'vxlan', plan: 'flat', icc: false, workloads: [2, 1] });
  await bed.apply();
  assert.deepEqual(await bed.differences(), []);
  const { workloads } = bed;
  assert.equal((await unanswered(bed)).length, workloads.length * (workloads.length - 1) * 2);
  for (const w of workloads) assert.ok(await ping(w.netns, '10.244.0.1'), 'their gateway they reach');
});

test('an endpoint that moves is found where it is', async () => {
  await using bed = await makeOverlayBed({ backend: 'vxlan', plan: 'flat', workloads: [1, 1] });
  await bed.apply();
  const [one] = bed.hosts;
  assert.ok(one);
  // where it was before: the entry of a forwarding database is replaced, not added to
  const stale = one
    .about('node2')
    .map((fact) => (fact.kind === 'fdb' && fact.table === 'self' ? { ...fact, dst: '192.0.2.99' } : fact));
  await apply(
    one.kernel,
    stale.map((fact) => ({ verb: 'add', fact })),
  );
  assert.equal((await unanswered(bed)).length, 4);
  await bed.apply();
  assert.deepEqual(await bed.differences(), []);
  assert.deepEqual(await unanswered(bed), []);
});

test('what is in the way of a tunnel is named, and nothing is changed', async () => {
  await using bed = await makeOverlayBed({ backend: 'vxlan', workloads: [0, 1] });
  const [{ netns, kernel, shared }] = bed.hosts as [OverlayHost];
  const adding = (): Promise<void> =>
    apply(
      kernel,
      shared.filter((fact) => fact.kind !== 'sysctl').map((fact) => ({ verb: 'add', fact })),
    );
  const before = await snapshot(netns);
  {
    await using _taken = await udpEcho(netns, '0.0.0.0', 8472);
    await assert.rejects(adding(), {
      code: 'EPORTTAKEN',
      message: /^the UDP port 8472 of vx4-\w+ is another program's$/,
    });
    assert.deepEqual(await snapshot(netns), before);
  }
  await ipBatch(netns, ['link add flannel.1 type vxlan id 4097 local 192.0.2.11 dev eth0 dstport 8472 nolearning']);
  const other = await snapshot(netns);
  await assert.rejects(adding(), { code: 'ECONFLICT', message: /a VXLAN with the identifier 4097 on UDP port 8472/ });
  assert.deepEqual(await snapshot(netns), other);
});
