/** Podman's networks of every kind, and fixed addresses on them, with us as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { inspect, leavesNothing, makePodman, reaches, served, SERVE } from '../lib/podman.ts';

checkDescriptors();

for (const from of ['distribution', 'suite'] as const) {
  test(`${from}: fixed addresses, both families, internal and isolated networks, the segment’s own`, async () => {
    await using host = await makePodman({ from, shim: true, door: 'netavark' });
    const { podman } = host;
    await podman('network', 'create', '--ipv6', '--subnet', '10.55.0.0/16', '--subnet', 'fd55::/64', 'dual');
    await podman('network', 'create', '--internal', 'inner');
    await podman('network', 'create', '-o', 'isolate=true', '-o', 'mtu=1400', 'apart');
    await podman(
      'network',
      'create',
      '-d',
      'macvlan',
      '-o',
      'parent=eth0',
      '--subnet',
      '192.0.2.0/24',
      '--gateway',
      ADDRESS.outside,
      'wire',
    );

    const fixed = ['--ip', '10.55.0.77', '--ip6', 'fd55::77', '--mac-address', '02:11:22:33:44:55'];
    await podman('run', '-d', '--name', 'a', '--network', 'dual', ...fixed, '-p', '8080:80', 'box', ...SERVE);
    const { IPAddress, GlobalIPv6Address, MacAddress } = await inspect<Record<string, string>>(
      host,
      'a',
      '.NetworkSettings.Networks.dual',
    );
    assert.deepEqual([IPAddress, GlobalIPv6Address, MacAddress], ['10.55.0.77', 'fd55::77', '02:11:22:33:44:55']);
    await served(host, 8080);
    await served(host, 8080, ADDRESS.host6);
    await podman('run', '-d', '--name', 'b', '--network', 'dual', '--network', 'inner', 'box', 'sleep', '1000');
    assert.ok(await reaches(host, 'b', 'fd55::77'));
    assert.ok(await reaches(host, 'b', 'a'));

    await podman('run', '-d', '--name', 'c', '--network', 'inner', 'box', 'sleep', '1000');
    assert.ok(await reaches(host, 'c', 'b'));
    assert.ok(!(await reaches(host, 'c', ADDRESS.outside, 1)), 'no way out');

    await podman('run', '-d', '--name', 'd', '--network', 'apart', 'box', 'sleep', '1000');
    assert.match(await podman('exec', 'd', 'ip', 'link', 'show', 'eth0'), /mtu 1400/);
    assert.ok(!(await reaches(host, 'd', '10.55.0.77', 1)), 'networks are apart');

    await podman('run', '-d', '--name', 'e', '--network', 'wire', '--ip', '192.0.2.99', 'box', 'sleep', '1000');
    assert.ok(await reaches(host, 'e', ADDRESS.outside));
    assert.ok(await reaches(host, 'e', ADDRESS.internet));
    await podman('rm', '-fa', '-t', '0');
    await leavesNothing(host);
  });
}
