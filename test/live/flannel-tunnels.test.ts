// runs: in the guest (this kernel lacks ipip and wireguard)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { leasesIn } from '../lib/flannel.ts';
import { makeFlannelBed } from '../lib/flannel-bed.ts';
import { pings } from '../lib/machines.ts';
import { okIn } from '../lib/run.ts';
import { transfer } from '../lib/transfer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

test("ipip and wireguard: a host of flannel and one of ours reach each other, with flannel's MTU", async (t) => {
  await using bed = await makeFlannelBed('ipip');
  for (const [backend, mtu, number] of [
    ['ipip', 1480, 9],
    ['wireguard', 1420, 10],
  ] as const) {
    await t.test(backend, async () => {
      await bed.configure(backend);
      const flannel = await bed.flannel(number, { backend });
      await bed.create({ address: '192.0.2.1' });
      const [name, lease] = [...(await leasesIn(bed.etcd))].find(([, { PublicIP }]) => PublicIP === '192.0.2.1')!;
      assert.equal(lease.BackendType, backend);
      await flannel.hear(name, lease);
      const workload = await bed.workload(`w${number}`);
      assert.match(await okIn(workload.netns, ['ip', '-o', 'link', 'show', 'eth0']), new RegExp(`mtu ${mtu} `));
      const theirs = `10.244.${number}.2`;
      await until('we reach it', () => pings(workload.netns, theirs));
      assert.ok(await pings(flannel.workload, workload.addresses[0]!));
      assert.ok(await transfer(flannel.workload, workload.netns, workload.addresses[0]!, 200_000));
      assert.ok(await transfer(workload.netns, flannel.workload, theirs, 200_000));
      for (const { id } of await bed.engine().endpointList()) await bed.engine().endpointDetach(id);
      await bed.engine().networkRemove('pods');
    });
  }
});
