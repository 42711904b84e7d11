/** Podman, of this release of Debian and of a later one, with the program as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { linksOf, makePodman, served, SERVE } from '../lib/podman.ts';
import { until } from '../lib/wait.ts';

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
    await podman(
      'run',
      '-d',
      '--name',
      'a',
      '--network',
      'web',
      '-p',
      '8080:80',
      '--network-alias',
      'front',
      'box',
      ...SERVE,
    );
    await podman('run', '-d', '--name', 'b', '--network', 'web', 'box', 'sleep', '1000');
    await podman('exec', 'b', 'ping', '-c', '1', '-W', '3', 'a');
    for (const name of ['a', 'front', 'a.dns.podman', 'front.dns.podman', 'a.web'])
      assert.match(await podman('exec', 'b', 'wget', '-q', '-O', '-', `http://${name}/`), /served/, name);
    await podman('exec', 'a', 'ping', '-c', '1', '-W', '3', 'b');
    await podman('exec', 'a', 'ping', '-c', '1', '-W', '3', ADDRESS.internet);
    await served(host, 8080);
    assert.deepEqual(
      JSON.parse(await podman('inspect', '-f', '{{json .NetworkSettings.Networks.web.Gateway}}', 'a')),
      '10.89.0.1',
    );

    // without goodbye: the monitor first, which else would say it
    for (const name of ['a', 'b']) {
      const [pid, monitor] = (await podman('inspect', '-f', '{{.State.Pid}} {{.State.ConmonPid}}', name)).split(' ');
      await host.machine.ok(['sh', '-c', `kill -9 ${monitor} ${pid}`]);
      await until(`${name} is gone`, async () => {
        const { status } = await host.machine.run(['sh', '-c', `kill -0 ${pid}`]);
        return status !== 0;
      });
    }
    await podman('rm', '-f', 'a', 'b');
    assert.deepEqual(JSON.parse(await host.netloom('endpoint', 'ls', '--json')), []);
    await podman('network', 'rm', 'web');
    assert.deepEqual(await linksOf(host), ['eth0', 'lo']);
    // the name and the subnet are free again
    await podman('network', 'create', '--subnet', '10.89.0.0/24', 'web');
  });
}
