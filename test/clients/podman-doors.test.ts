/** Podman by its other ways to us: netavark's own program with us as its plugin, and the CNI backend. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { endPair, leavesNothing, makePodman, served, type PodmanBed, startPair } from '../lib/podman.ts';

checkDescriptors();

/** Two containers on a network reach each other by name, are reached, reach outside; then they are killed and leave nothing. */
async function lifeOf(host: PodmanBed, network: string): Promise<void> {
  const { podman } = host;
  await startPair(host, network);
  for (const name of ['a', 'front']) await podman('exec', 'b', 'ping', '-c', '1', '-W', '3', name);
  await podman('exec', 'a', 'ping', '-c', '1', '-W', '3', ADDRESS.internet);
  await served(host, 8080);
  await endPair(host);
}

for (const shim of [true, false]) {
  test(`netavark stays, and calls us as its plugin${shim ? ' by the shim' : ''}`, async () => {
    await using host = await makePodman({ from: 'suite', shim, door: 'plugin' });
    const { podman } = host;
    await podman('network', 'create', '-d', 'netloom', '--subnet', '10.77.0.0/24', '-o', 'mtu=1400', 'own');
    await podman('network', 'create', '-d', 'netloom', '--ipv6', 'chosen');
    const wrong = await host.tries('network', 'create', '-d', 'netloom', '-o', 'mut=1400', 'wrong');
    assert.match(wrong.stderr, /has no option "mut"; did you mean "mtu"/);
    await lifeOf(host, 'own');
    const seen = await podman('run', '--rm', '--network', 'chosen', 'box', 'ip', 'addr', 'show', 'eth0');
    assert.match(seen, /inet 172\.\d+\.0\.2\/\d+[^]*inet6 fd/);
    await podman('network', 'rm', 'own', 'chosen');
    await leavesNothing(host);
  });
}

test('the CNI backend calls our plugin', async () => {
  await using host = await makePodman({ from: 'distribution', door: 'cni' });
  writeFileSync(
    host.machine.path('/etc/cni/net.d/90-own.conflist'),
    JSON.stringify({
      cniVersion: '1.0.0',
      name: 'own',
      plugins: [
        {
          type: 'netloom',
          subnets: [{ subnet: '10.77.0.0/24' }],
          capabilities: { portMappings: true, ips: true, mac: true, aliases: true },
        },
      ],
    }),
  );
  await lifeOf(host, 'own');
});
