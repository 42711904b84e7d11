// runs: in the guest (this kernel lacks ipip and gre)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../../src/engine/apply.ts';
import { missing } from '../../src/engine/diff.ts';
import type { LinkFact } from '../../src/facts/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ETHER } from '../lib/frames.ts';
import { makeOverlayBed, type OverlayHost } from '../lib/overlay-bed.ts';
import { carries, explained, forgets, leaks, unanswered } from '../lib/overlay-checks.ts';
import { ping } from '../lib/peer.ts';
import { ipBatch } from '../lib/run.ts';
import { snapshot } from '../lib/snapshot.ts';

checkDescriptors();

/** IPv4 packets of these protocols, as /etc/protocols numbers them. */
const PROTOCOLS = { ipip: [4, 47], gre: [47] } as const;

for (const backend of ['ipip', 'gre'] as const) {
  test(`${backend}: all reach all, whole packets, and nobody's broadcasts leave`, async () => {
    await using bed = await makeOverlayBed({ backend, workloads: [1, 1, 0, 1] });
    await bed.apply();
    assert.deepEqual(await bed.differences(), [], 'it reads back as it is wanted');
    assert.deepEqual(await unanswered(bed), []);
    const [first, last] = [bed.workloads[0]!, bed.workloads.at(-1)!];
    await carries(bed, first, last);
    for (const address of last.addresses) assert.ok(await ping(bed.hosts[0]!.netns, address), 'from the host itself');
    const isTunnelled = (frame: Uint8Array): boolean =>
      ((frame[12]! << 8) | frame[13]!) === ETHER.ip && PROTOCOLS[backend].some((number) => number === frame[23]);
    assert.equal(await leaks(bed, first, last, isTunnelled), 0);
  });

  test(`${backend}: a host that goes leaves nothing behind, and its commands make the same`, async () => {
    await using bed = await makeOverlayBed({ backend, workloads: [1, 1] });
    await forgets(bed, 'node2');
    await explained({ backend, workloads: [1, 1] });
  });

  test(`${backend}: what a device is set to can be changed, but not what it is`, async () => {
    await using bed = await makeOverlayBed({ backend, workloads: [0, 1] });
    const [{ kernel, shared, netns }] = bed.hosts as [OverlayHost];
    await ipBatch(netns, ['addr add 192.0.2.99/24 dev eth0']);
    const adding = (): Promise<void> =>
      apply(
        kernel,
        shared.map((fact) => ({ verb: 'add', fact })),
      );
    const before = await snapshot(netns);
    for (const link of shared.filter((fact): fact is LinkFact => fact.kind === 'link')) {
      const { origin } = link;
      assert.ok(origin.type === 'ipip' || origin.type === 'gre');
      await apply(kernel, [{ verb: 'add', fact: link }]);
      const moved: LinkFact = { ...link, origin: { ...origin, local: '192.0.2.99' }, mtu: 1300, up: false };
      const changes = await missing(kernel, [moved]);
      assert.deepEqual(
        changes.map(({ verb }) => verb),
        ['change'],
      );
      await apply(kernel, changes);
      assert.deepEqual(await missing(kernel, [moved]), []);
      const other: LinkFact = { ...link, origin: { ...origin, key: 5 } };
      if (origin.type === 'gre') {
        const anew = await missing(kernel, [other]);
        assert.deepEqual(
          anew.map(({ verb }) => verb),
          ['delete', 'add'],
        );
        await apply(kernel, anew);
        assert.deepEqual(await missing(kernel, [other]), []);
      }
      await apply(kernel, [{ verb: 'delete', fact: link }]);
    }
    assert.deepEqual(await snapshot(netns), before);
    // what others have of it is theirs
    const key = backend === 'gre' ? ' key 4097' : '';
    await ipBatch(netns, [`link add theirs type ${backend} local 192.0.2.11 dev eth0${key}`]);
    const theirs = await snapshot(netns);
    await assert.rejects(adding(), {
      code: 'ECONFLICT',
      message: /another (ipip|gre) with the local address 192\.0\.2\.11/,
    });
    assert.deepEqual((await snapshot(netns)).links, theirs.links);
  });
}
