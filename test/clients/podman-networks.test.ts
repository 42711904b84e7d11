/** What Podman does with networks while its containers run, with us as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { linksOf, makePodman, page, type PodmanBed, SERVE } from '../lib/podman.ts';

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
    assert.equal(await page(host, 8080), 'served', 'after the reload');
    await podman('network', 'disconnect', 'one', 'a');
    assert.equal(await page(host, 8080), 'served', 'by the network that is left');
    assert.ok(await reaches(host, 'a', ADDRESS.internet));
    assert.deepEqual(await linksOf(host).then((links) => links.filter((name) => name.startsWith('podman'))), [
      'podman2',
    ]);
    await podman('network', 'disconnect', 'two', 'a');
    assert.equal(await page(host, 8080), '');
    await podman('rm', '-f', '-t', '0', 'a', 'b');
    // the same names, other networks
    await podman('network', 'rm', 'one', 'two');
    await podman('network', 'create', '--subnet', '10.123.0.0/24', 'one');
    const answer = await podman('run', '--rm', '--network', 'one', 'box', 'ip', '-4', 'addr', 'show', 'eth0');
    assert.match(answer, /10\.123\.0\.\d+\/24/);
    await podman('network', 'rm', 'one');
    assert.deepEqual(await linksOf(host), ['eth0', 'lo']);
  });

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
    assert.equal(await page(host, 8080), 'served');
    assert.equal(await page(host, 8080, ADDRESS.host6), 'served');
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
    assert.deepEqual(await linksOf(host), ['eth0', 'lo']);
  });
}
