/**
 * Every backend between daemons: ten hosts by what this machine's kernel has, in the guest three by the tunnels that it lacks;
 * or as many as NETLOOM_LAB_HOSTS says (test/vm/README.md).
 */
// runs: here and in the guest (vxlan, host-gw, udp, bgp; ipip, gre, wireguard, ipsec)
// runs: here in one mode (ten hosts, which take their time)
import { after, before, test } from 'node:test';
import { allHolds, changeBackend, makeNetwork, type Workload } from '../lib/cluster.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { BROADCAST, ether, rawSocket, udp } from '../lib/frames.ts';
import { type LabCluster, makeLabCluster } from '../lib/lab-cluster.ts';
import { until } from '../lib/wait.ts';
import type { BackendName } from '../../src/model/index.ts';

const GUEST = process.env['NETLOOM_TEST_GUEST'] === '1';
const HOSTS = Number(process.env['NETLOOM_LAB_HOSTS'] ?? (GUEST ? 3 : 10));
const BACKENDS: readonly BackendName[] = GUEST
  ? ['ipip', 'gre', 'wireguard', 'ipsec']
  : ['host-gw', 'vxlan', 'udp', 'bgp'];

let cluster: LabCluster;
before(async () => (cluster = await makeLabCluster(HOSTS)));
after(() => cluster?.[Symbol.asyncDispose]());
checkDescriptors();

async function everywhere(label: string, network: string): Promise<Workload[]> {
  return await Promise.all(cluster.hosts.map((host) => host.workload(label, network)));
}

test('one live network, by each backend in turn', async (t) => {
  const [first, ...others] = BACKENDS;
  await makeNetwork(cluster, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend: first! } });
  const pods = await everywhere('w0', 'pods');
  for (const backend of [first!, ...others]) {
    await t.test(backend, async (each) => {
      if (backend !== first) await changeBackend(cluster, 'pods', backend);
      const { own } = await allHolds(cluster, 'pods', pods);
      each.diagnostic(`${own} of the underlay's own for everybody so far`);
    });
  }
  if (!BACKENDS.includes('vxlan')) return;
  await t.test('vxlan, plan flat', async () => {
    await makeNetwork(cluster, { name: 'flat', driver: 'overlay', ipv6: true, options: { plan: 'flat' } });
    await allHolds(cluster, 'flat', await everywhere('w1', 'flat'));
  });
});

test('what is for everybody is counted, in a tunnel and out of it', async () => {
  using raw = rawSocket(cluster.lab.host('host1').netns);
  const [from, to] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
  raw.send(ether(BROADCAST, from, 0x88b5, new Uint8Array(46)));
  // a VXLAN's header, and the beginning of a frame
  const text = '\x08\0\0\0\0\x10\x01\0\x01\0\x5e\0\0\x05'.padEnd(60, '.');
  raw.send(udp({ from, to, src: '192.0.2.1', dst: '192.0.2.2', sport: 9, dport: 8472, text }));
  await until('both are', async () => {
    const { tunnelled, others } = await cluster.flooded();
    return tunnelled === 1 && others.join() === `${from} ${BROADCAST} 34997`;
  });
});
