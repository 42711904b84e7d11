/** dockerd with netloom as its network driver: the distribution's release and a later one. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/index.ts';
import { type Dockerd, IMAGE, SERVER, startDocker } from '../lib/dockerd.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { stateOf } from '../lib/kernel-state.ts';
import { fetched } from '../lib/page.ts';
import { okIn, runIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

interface Inspected {
  readonly Internal: boolean;
  readonly EnableIPv6: boolean;
  readonly IPAM: { readonly Config: readonly { readonly Subnet: string; readonly Gateway: string }[] };
  readonly Containers: Readonly<
    Record<string, { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string }>
  >;
}
async function inspect({ docker }: Dockerd, network: string): Promise<Inspected> {
  return (JSON.parse(await docker('network', 'inspect', network)) as [Inspected])[0];
}
/** Endpoints as netloom has them. */
async function ours({ api }: Dockerd): Promise<readonly Endpoint[]> {
  return await api.endpointList();
}
const urlOf = (port: number): string => `http://${ADDRESS.host}:${port}/hostname`;
const page = (port: number): string[] => ['curl', '-sS', '--max-time', '5', urlOf(port)];

/** What the host has that is not the same by chance: addresses of Docker's own bridge and its rules among it. */
async function hostState(bed: EngineBed): Promise<unknown> {
  return ((await stateOf([bed.host.netns])) as Record<string, unknown>[]).map(({ parameters: _, ...rest }) => rest);
}

/** What every release of dockerd is shown with; one file each, since both take longer than a file may. */
export function basics(release: string, suite: boolean): void {
  test(`${release}: the seed's commands with -d netloom; names, a port, the outside; what inspect says`, async () => {
    await using bed = await makeEngineBed();
    await using it = await startDocker({ netns: bed.host.netns, suite });
    const { docker } = it;
    const before = await hostState(bed);

    // ---- seed 004, its driver changed ----
    const subnet = ['--subnet', '192.168.0.0/16', '--gateway', '192.168.0.1'];
    const id = await docker('network', 'create', '--driver', 'netloom', ...subnet, 'mynet');
    const one = await docker('run', '-itd', '--name', 'busybox-01', '--network', 'mynet', IMAGE);
    const two = await docker('run', '-itd', '--name', 'busybox-02', '--network', 'mynet', IMAGE);
    const three = await docker('run', '-itd', '--name=mynginx', '--network', 'mynet', '-p', '8888:80', SERVER);

    await docker('exec', 'busybox-01', 'ping', '-c', '1', '-W', '2', 'busybox-02');
    await docker('exec', 'busybox-02', 'ping', '-c', '1', '-W', '2', 'mynginx');
    await docker('exec', 'busybox-01', 'ping', '-c', '1', '-W', '2', ADDRESS.internet);
    assert.equal(await fetched(bed.host.outside, urlOf(8888)), `${three.slice(0, 12)}\n`);
    await docker('exec', 'busybox-01', 'wget', '-q', '-O', '-', `http://${ADDRESS.host}:8888/hostname`);
    assert.match(await docker('exec', 'busybox-01', 'ip', 'route'), /^default via 192\.168\.0\.1 dev eth0/);

    // ---- what Docker says, what netloom says and what is there are one ----
    const told = await inspect(it, 'mynet');
    assert.deepEqual(told.IPAM.Config, [{ Subnet: '192.168.0.0/16', Gateway: '192.168.0.1' }]);
    const endpoints = await ours(it);
    assert.deepEqual(Object.keys(told.Containers).sort(), [one, two, three].sort());
    for (const [container, { EndpointID, IPv4Address, MacAddress }] of Object.entries(told.Containers)) {
      const own = endpoints.find(({ name }) => name === `docker:${EndpointID}`);
      assert.deepEqual([own?.addresses, own?.mac], [[IPv4Address], MacAddress]);
      const inside = await docker('exec', container, 'ip', 'addr', 'show', 'eth0');
      assert.ok(inside.includes(`inet ${IPv4Address} `) && inside.includes(`link/ether ${MacAddress} `), inside);
      // the bridge is netloom's, by its own name
      await okIn(bed.host.netns, ['ip', 'link', 'show', 'dev', own?.hostIfname ?? '']);
    }
    const mine = JSON.parse(await it.netloom('network', 'inspect', `docker-${id.slice(0, 12)}`)) as unknown;
    assert.match(JSON.stringify(mine), /"192\.168\.0\.0\/16"/);

    // ---- a goodbye ----
    await docker('stop', '-t', '0', 'mynginx');
    await until('the port is closed', async () => (await runIn(bed.host.outside, page(8888))).status !== 0);
    await docker('start', 'mynginx');
    assert.equal(await fetched(bed.host.outside, urlOf(8888)), `${three.slice(0, 12)}\n`);
    await docker('rm', '-f', 'busybox-01', 'busybox-02', 'mynginx');
    await it.empty();
    await docker('network', 'rm', 'mynet');
    assert.deepEqual(await hostState(bed), before);
  });

  test(`${release}: killed without goodbye, containers, their shims and dockerd, leave nothing`, async () => {
    await using bed = await makeEngineBed();
    await using it = await startDocker({ netns: bed.host.netns, suite });
    const { docker, machine } = it;
    const before = await hostState(bed);
    await docker('network', 'create', '-d', 'netloom', '--subnet', '10.6.0.0/24', 'mynet');
    const run = (name: string, ...words: readonly string[]): Promise<string> =>
      docker('run', '-d', '--name', name, '--network', 'mynet', ...words);
    const pidOf = (name: string): Promise<string> => docker('inspect', '-f', '{{.State.Pid}}', name);
    const kill =
      'for pid in "$@"; do shims="$shims $(sed -n "s/^PPid:[[:space:]]*//p" "/proc/$pid/status")"; done; kill -9 $shims "$@"';

    // ---- the process alone, Docker looking on ----
    await run('one', '--ip', '10.6.0.9', '-p', '8080:80', SERVER);
    await fetched(bed.host.outside, urlOf(8080));
    await machine.ok(['kill', '-9', await pidOf('one')]);
    await it.empty();
    await docker('rm', 'one');

    // ---- containers and their shims, and dockerd first: nobody says DeleteEndpoint ----
    await Promise.all([run('one', '--ip', '10.6.0.9', '-p', '8080:80', SERVER), run('two', IMAGE)]);
    const pids = await Promise.all(['one', 'two'].map(pidOf));
    it.daemons.dockerd.kill('SIGKILL');
    await machine.ok(['sh', '-ec', kill, 'kill', ...pids]);
    await until('their namespaces are gone', () =>
      pids.every((pid) => !existsSync(machine.path(`/proc/${pid}/ns/net`))),
    );
    // a name of dockerd's keeps the namespace itself
    await machine.ok(['sh', '-c', 'umount /var/run/docker/netns/*; rm /var/run/docker/netns/*']);
    await it.empty();
    assert.notEqual((await runIn(bed.host.outside, page(8080))).status, 0);

    await it.startDockerd();
    await docker('rm', '-f', 'one', 'two');
    await run('one', '--ip', '10.6.0.9', '-p', '8080:80', SERVER);
    await fetched(bed.host.outside, urlOf(8080));
    await docker('rm', '-f', 'one');
    await docker('network', 'rm', 'mynet');
    await it.empty();
    assert.deepEqual(await hostState(bed), before);
  });

  test(`${release}: what cannot be is refused in words that a person can use, and leaves nothing`, async () => {
    await using bed = await makeEngineBed();
    await using it = await startDocker({ netns: bed.host.netns, suite });
    const { docker, tried } = it;
    const refused = async (words: readonly string[], message: RegExp): Promise<void> => {
      const { status, stderr } = await tried(...words);
      assert.notEqual(status, 0, words.join(' '));
      assert.match(stderr, message);
    };
    const before = await hostState(bed);
    const create = ['network', 'create', '-d', 'netloom'];
    await refused(
      [...create, '--subnet', '192.0.2.0/24', 'x'],
      /subnet 192\.0\.2\.0\/24 overlaps 192\.0\.2\.0\/24 of the (route|address).*choose another subnet/,
    );
    await refused([...create, '-o', 'mtu=many', 'x'], /mtu.*many/);
    await refused([...create, '-o', 'colour=red', 'x'], /colour/);
    await refused([...create, '-o', 'netloom.driver=overlay', 'x'], /in no cluster \(netloom node join/);
    await it.netloom('network', 'create', '--subnet', '10.7.0.0/24', 'own');
    await refused([...create, '--subnet', '10.7.0.128/25', 'x'], /overlaps 10\.7\.0\.0\/24 of network own/);
    await it.netloom('network', 'rm', 'own');
    assert.equal(await docker('network', 'ls', '-q', '--filter', 'driver=netloom'), '');
    assert.deepEqual(await hostState(bed), before);

    await docker(...create, '--subnet', '10.6.0.0/24', 'mynet');
    await docker('run', '-d', '--name', 'web', '--network', 'mynet', '--ip', '10.6.0.9', '-p', '8080:80', SERVER);
    const loaded = await hostState(bed);
    const run = (...words: readonly string[]): string[] => ['run', '--rm', '--network', 'mynet', ...words];
    await refused(
      run('-p', '8080:80', SERVER),
      /8080->80\/tcp is already published by docker:.*choose another host port/,
    );
    // Docker's own books
    await refused(run('--ip', '10.6.0.9', IMAGE), /in use/i);
    await refused(['network', 'rm', 'mynet'], /active endpoints/);
    await until('only one endpoint is left', async () => (await ours(it)).length === 1);
    assert.deepEqual(await hostState(bed), loaded);
    await fetched(bed.host.outside, urlOf(8080));
  });
}
