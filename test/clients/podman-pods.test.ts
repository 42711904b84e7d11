/** Podman's pods, what of netavark is not served, and daemons that come and go, with us as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { leavesNothing, makePodman, page, reaches, served, SERVE } from '../lib/podman.ts';

checkDescriptors();

for (const from of ['distribution', 'suite'] as const) {
  test(`${from}: a pod has one namespace, and its port`, async () => {
    await using host = await makePodman({ from, shim: true, door: 'netavark' });
    const { podman } = host;
    // instead of a program that not every machine has
    const pause = ['--infra-image', 'box', '--infra-command', '/bin/sleep 1000'];
    await podman('network', 'create', 'web');
    await podman('pod', 'create', '--name', 'p', '--network', 'web', '-p', '8080:80', ...pause);
    await podman('run', '-d', '--pod', 'p', '--name', 'a', 'box', ...SERVE);
    await podman('run', '-d', '--pod', 'p', '--name', 'b', 'box', 'sleep', '1000');
    await served(host, 8080);
    assert.match(await podman('exec', 'b', 'wget', '-q', '-O', '-', 'http://127.0.0.1/'), /served/);
    await podman('pod', 'stop', '-t', '0', 'p');
    assert.equal(await page(host, 8080), '');
    await leavesNothing(host);
    await podman('pod', 'start', 'p');
    await served(host, 8080);
    await podman('pod', 'rm', '-f', '-t', '0', 'p');
    assert.deepEqual(JSON.parse(await host.netloom('endpoint', 'ls', '--json')), []);
  });
}

test('what netavark does and we do not is refused in words that say what to leave out', async () => {
  await using host = await makePodman({ from: 'suite', shim: true, door: 'netavark' });
  await host.podman('network', 'create', '-o', 'vrf=blue', 'colour');
  await host.podman('network', 'create', '-o', 'mode=unmanaged', '--interface-name', 'theirs', 'foreign');
  for (const [network, message] of [
    ['colour', /options\.vrf: "blue" is not served.*create it without vrf/],
    ['foreign', /options\.mode: "unmanaged" is not served.*create it without mode/],
  ] as const) {
    const { status, stderr } = await host.tries('run', '--rm', '--network', network, 'box', 'true');
    assert.notEqual(status, 0);
    assert.match(stderr, message);
  }
  await leavesNothing(host);
});

test('without a daemon containers run all the same, with the host’s own servers; one that comes later serves them', async () => {
  await using host = await makePodman({ from: 'distribution', shim: true, door: 'netavark', daemon: false });
  const { podman } = host;
  await podman('network', 'create', 'web');
  await podman('run', '-d', '--name', 'a', '--network', 'web', '-p', '8080:80', 'box', ...SERVE);
  await served(host, 8080);
  assert.match(await podman('exec', 'a', 'cat', '/etc/resolv.conf'), /nameserver 198\.51\.100\.53/);
  await host.startDaemon();
  await podman('run', '-d', '--name', 'b', '--network', 'web', 'box', 'sleep', '1000');
  assert.ok(await reaches(host, 'b', 'a'));
  // and another one after it, without a word from Podman
  await host.stopDaemon('SIGKILL');
  await served(host, 8080);
  await host.startDaemon();
  assert.ok(await reaches(host, 'b', 'a'));
  await host.stopDaemon('SIGTERM');
  await podman('rm', '-f', '-t', '0', 'a', 'b');
  await leavesNothing(host);
});
