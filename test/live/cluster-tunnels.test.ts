// runs: in the guest (this kernel lacks ipip and gre; wireguard and ipsec are in cluster-keys.test.ts)
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { allReach, makeMachines, makeNetwork, type Workload } from '../lib/machines.ts';

checkDescriptors();

test('a network is made on one host and is on the other, by each tunnel of the kernel', async (t) => {
  await using machines = await makeMachines(2);
  for (const [i, backend] of ['ipip', 'gre'].entries()) {
    await t.test(backend, async () => {
      await makeNetwork(machines, { name: backend, driver: 'overlay', ipv6: true, options: { backend } });
      const workloads: Workload[] = [];
      for (const host of machines.hosts) workloads.push(await host.workload(`w${i}`, backend));
      await allReach(workloads);
    });
  }
});
