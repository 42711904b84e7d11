/** What Podman does with networks while its containers run, with us as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { linksOf, makePodman, page, served, type PodmanBed, SERVE } from '../lib/podman.ts';

checkDescriptors();

async function reaches({ tries }: PodmanBed, from: string, to: string, wait = 3): Promise<boolean> {
  return (await tries('exec', from, 'ping', '-c', '1', '-W', String(wait), to)).status === 0;
}
async function inspect<T>({ podman }: PodmanBed, name: string, path: string): Promise<T> {
  return JSON.parse(await podman('inspect', '-f', `{{json ${path}}}`, name)) as T;
}

for (const from of ['distribution', 'suite'] as const) {
  test(`${from}: networks are connected, disconnected and reloaded under a running container, whose port goes along`, async () => {
    await using host = await makePodman({ from, shim: true, door: 'netavark' });
    const { podman } = host;
    for (const name of ['one', 'two']) await podman('network', 'create', name);
    await podman('run', '-d', '--name', 'a', '--network', 'one', '-p', '8080:80', 'box', ...SERVE);
    await podman('run', '-d', '--name', 'b', '--network', 'two', 'box', 'sleep', '1000');
    assert.ok(
      !(await reaches(host, 'b', await inspect<string>(host, 'a', '.NetworkSettings.Networks.one.IPAddress'), 1)),
    );
    await podman('network', 'connect', '--alias', 'later', 'two', 'a');
    assert.ok(await reaches(host, 'b', 'a'));
    assert.ok(await reaches(host, 'b', 'later.dns.podman'));
    await podman('network', 'reload', 'a');
    assert.ok(await reaches(host, 'b', 'later'));
    await served(host, 8080);
    await podman('network', 'disconnect', 'one', 'a');
    await served(host, 8080);
    assert.ok(await reaches(host, 'a', ADDRESS.internet));
    assert.deepEqual(await linksOf(host).then((links) => links.filter((name) => name.startsWith('podman'))), [
      'podman2',
    ]);
    await podman('network', 'disconnect', 'two', 'a');
    assert.equal(await page(host, 8080), '');
    await podman('rm', '-f', '-t', '0', 'a', 'b');
    assert.deepEqual(await linksOf(host), ['eth0', 'lo']);
  });
}
