/** Podman, of this release of Debian and of a later one, with the program as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { makePodman, type PodmanBed } from '../lib/podman.ts';
import { jsonIn, runIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** Serves a page at port 80 for as long as it is let. */
const SERVE = ['sh', '-c', 'mkdir -p /www && echo served >/www/index.html && exec httpd -f -p 80 -h /www'];

/** What a port of the host answers to somebody outside; empty where it does not. */
async function page({ bed }: PodmanBed, port: number, address: string = ADDRESS.host): Promise<string> {
  const { stdout } = await runIn(bed.host.outside, ['curl', '-s', '-m', '5', `http://${address}:${port}/`]);
  return stdout.trim();
}

async function linksOf({ bed }: PodmanBed): Promise<string[]> {
  const links = await jsonIn<{ ifname: string }[]>(bed.host.netns, ['ip', '-j', 'link']);
  return links.map(({ ifname }) => ifname).toSorted();
}

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
    assert.equal(await page(host, 8080), 'served', 'the published port');
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
