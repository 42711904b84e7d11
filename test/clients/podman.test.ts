/** Podman, of this release of Debian and of a later one, with the program as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { endPair, inspect, leavesNothing, makePodman, served, startPair } from '../lib/podman.ts';

checkDescriptors();

for (const [from, shim] of [
  ['distribution', true],
  ['suite', true],
  ['distribution', false],
] as const) {
  test(`${from}${shim ? ', by the shim' : ''}: two containers reach each other by name, are reached, reach outside, are killed and leave nothing`, async () => {
    await using host = await makePodman({ from, shim, door: 'netavark' });
    const { podman } = host;
    await podman('network', 'create', 'web');
    await startPair(host, 'web');
    await podman('exec', 'b', 'ping', '-c', '1', '-W', '3', 'a');
    for (const name of ['a', 'front', 'a.dns.podman', 'front.dns.podman', 'a.web'])
      assert.match(await podman('exec', 'b', 'wget', '-q', '-O', '-', `http://${name}/`), /served/, name);
    await podman('exec', 'a', 'ping', '-c', '1', '-W', '3', 'b');
    await podman('exec', 'a', 'ping', '-c', '1', '-W', '3', ADDRESS.internet);
    await served(host, 8080);
    assert.equal(await inspect<string>(host, 'a', '.NetworkSettings.Networks.web.Gateway'), '10.89.0.1');

    await endPair(host);
    await podman('network', 'rm', 'web');
    await leavesNothing(host);
    // the name and the subnet are free again
    await podman('network', 'create', '--subnet', '10.89.0.0/24', 'web');
  });
}
