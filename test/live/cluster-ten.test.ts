/** Ten hosts: an engine each in this process, whatever this kernel can carry packets by. */
// runs: here in one mode (ten hosts side by side)
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { BROADCAST, ether, rawSocket, udp } from '../lib/frames.ts';
import { allHolds, changeBackend, type Host, makeMachines, makeNetwork, type Workload } from '../lib/machines.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const NAME = 'ten hosts: all that a backend has to show, by each of them on one live network; and on one segment';

test(NAME, { timeout: 120_000 }, async (t) => {
  await using machines = await makeMachines(10);
  const everywhere = async (label: string, network: string): Promise<Workload[]> =>
    await Promise.all(machines.hosts.map((host) => host.workload(label, network)));
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend: 'host-gw' } });
  const pods = await everywhere('w0', 'pods');
  for (const backend of ['host-gw', 'vxlan', 'udp'] as const) {
    await t.test(backend, async (each) => {
      if (backend !== 'host-gw') await changeBackend(machines, 'pods', backend);
      const { own } = await allHolds(machines, 'pods', pods);
      each.diagnostic(`${own} of the underlay's own for everybody so far`);
    });
  }
  await t.test('vxlan, plan flat', async () => {
    await makeNetwork(machines, { name: 'flat', driver: 'overlay', ipv6: true, options: { plan: 'flat' } });
    await allHolds(machines, 'flat', await everywhere('w1', 'flat'));
  });
  await t.test('what is for everybody is counted, in a tunnel and out of it', async () => {
    const [{ netns }] = machines.hosts as [Host];
    using raw = rawSocket(netns);
    const [from, to] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
    raw.send(ether(BROADCAST, from, 0x88b5, new Uint8Array(46)));
    // a VXLAN's header, and the beginning of a frame
    const text = '\x08\0\0\0\0\x10\x01\0\x01\0\x5e\0\0\x05'.padEnd(60, '.');
    raw.send(udp({ from, to, src: '192.0.2.1', dst: '192.0.2.2', sport: 9, dport: 8472, text }));
    await until('both are', async () => {
      const { tunnelled, others } = await machines.flooded();
      return tunnelled === 1 && others.join() === `${from} ${BROADCAST} 34997`;
    });
  });
});
