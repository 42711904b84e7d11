/** Networks of every kind by dockerd's words: live connection, several networks, addresses, families, options, drivers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IMAGE, SERVER, startDocker } from '../lib/dockerd.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { okIn } from '../lib/run.ts';
import { fetched } from '../lib/page.ts';

/** As `basics`, of networks of every kind. */
export function networks(release: string, suite: boolean): void {
  test(`${release}: networks of every kind`, async (t) => {
    await using bed = await makeEngineBed();
    await using it = await startDocker({ netns: bed.host.netns, suite });
    const { docker, tried, api } = it;
    const create = (...words: readonly string[]): Promise<string> =>
      docker('network', 'create', '-d', 'netloom', ...words);
    const run = (name: string, network: string, ...words: readonly string[]): Promise<string> =>
      docker('run', '-d', '--name', name, '--network', network, ...words);
    const ip = (name: string, ...words: readonly string[]): Promise<string> => docker('exec', name, 'ip', ...words);
    const ping = (name: string, whom: string): Promise<string> =>
      docker('exec', name, 'ping', '-c', '1', '-W', '2', whom);

    await t.test('a container is connected to a second network and taken off it while it runs', async () => {
      await create('--subnet', '10.6.0.0/24', 'front');
      await create('--subnet', '10.7.0.0/24', 'back');
      await run('web', 'front', '-p', '8080:80', SERVER);
      await run('db', 'back', IMAGE);
      assert.notEqual((await tried('exec', 'web', 'ping', '-c', '1', '-W', '1', '10.7.0.2')).status, 0);
      await docker('network', 'connect', '--ip', '10.7.0.77', '--alias', 'shop', 'back', 'web');
      assert.match(await ip('web', 'addr', 'show', 'eth1'), /inet 10\.7\.0\.77\/24 /);
      await ping('db', 'shop');
      await ping('web', 'db');
      await ping('web', ADDRESS.internet);
      await fetched(bed.host.outside, `http://${ADDRESS.host}:8080/hostname`);
      // the way out, and with it the port, go to the other network
      await docker('network', 'disconnect', 'front', 'web');
      assert.doesNotMatch(await ip('web', 'addr'), /10\.6\.0/);
      await ping('web', ADDRESS.internet);
      await docker('network', 'disconnect', 'back', 'web');
      await docker('network', 'connect', 'front', 'web');
      await ping('web', ADDRESS.internet);
      await docker('rm', '-f', 'web', 'db');
      await it.empty();
    });

    await t.test('addresses, hardware addresses, MTU, IPv6, an internal network', async () => {
      await create(
        '--ipv6',
        '--subnet',
        '10.8.0.0/24',
        '--subnet',
        'fd00:8::/64',
        '--gateway',
        '10.8.0.254',
        '--ip-range',
        '10.8.0.128/25',
        '--aux-address',
        'printer=10.8.0.128',
        '-o',
        'com.docker.network.driver.mtu=1400',
        'six',
      );
      await run('one', 'six', '--ip', '10.8.0.200', '--ip6', 'fd00:8::77', '--mac-address', '02:42:00:00:00:77', IMAGE);
      await run('two', 'six', IMAGE);
      const inside = await ip('one', 'addr', 'show', 'eth0');
      for (const text of ['mtu 1400', 'link/ether 02:42:00:00:00:77', 'inet 10.8.0.200/24', 'inet6 fd00:8::77/64'])
        assert.ok(inside.includes(text), `${text} in ${inside}`);
      assert.match(await ip('two', 'addr', 'show', 'eth0'), /inet 10\.8\.0\.129\/24 /);
      assert.match(await ip('one', 'route'), /^default via 10\.8\.0\.254 /);
      assert.match(await ip('one', '-6', 'route'), /default via fd00:8::1 /);
      await docker('exec', 'two', 'ping', '-6', '-c', '1', '-W', '2', 'fd00:8::77');
      await docker('exec', 'two', 'ping', '-6', '-c', '1', '-W', '2', ADDRESS.internet6);

      await create('--internal', '--subnet', '10.9.0.0/24', 'inside');
      await run('three', 'inside', IMAGE);
      assert.doesNotMatch(await ip('three', 'route'), /default/);
      assert.doesNotMatch(await ip('three', 'addr'), /eth1/, 'no bridge of Docker’s own gives it a way out');
      assert.notEqual((await tried('exec', 'three', 'ping', '-c', '1', '-W', '1', ADDRESS.internet)).status, 0);
      await docker('rm', '-f', 'one', 'two', 'three');
    });

    await t.test('netloom gives the addresses, too', async () => {
      await create(
        '--ipam-driver',
        'netloom',
        '--subnet',
        '10.10.0.0/24',
        '--ip-range',
        '10.10.0.64/26',
        '--aux-address',
        'nas=10.10.0.64',
        'pooled',
      );
      await create('--ipam-driver', 'netloom', 'any');
      await run('one', 'pooled', IMAGE);
      await run('two', 'any', IMAGE);
      assert.match(await ip('one', 'addr', 'show', 'eth0'), /inet 10\.10\.0\.65\/24 /);
      const pools = await api.poolList();
      const given = pools.find(({ subnet }) => subnet === '10.10.0.0/24');
      assert.deepEqual(
        [given?.gateway, given?.ipRange, Object.values(given?.auxAddresses ?? {})],
        ['10.10.0.1', '10.10.0.64/26', ['10.10.0.64']],
      );
      assert.deepEqual(
        (await api.poolInspect(given?.id ?? '')).allocations.map(({ address }) => address),
        ['10.10.0.65/24'],
      );
      const { status, stderr } = await tried(
        'network',
        'create',
        '-d',
        'netloom',
        '--ipam-driver',
        'netloom',
        '--subnet',
        '10.10.0.0/25',
        'x',
      );
      assert.notEqual(status, 0);
      assert.match(stderr, /subnet 10\.10\.0\.0\/25 overlaps 10\.10\.0\.0\/24 of address pool/);
      await docker('rm', '-f', 'one', 'two');
      assert.deepEqual((await api.poolInspect(given?.id ?? '')).allocations, []);
      await docker('network', 'rm', 'pooled', 'any');
      assert.deepEqual(await api.poolList(), []);
    });

    await t.test('netloom’s networks choose the addresses; rates come with a connection', async () => {
      await create('--ipam-driver', 'null', 'plain');
      // the older one's driver without addresses refuses the second family by itself
      const families = suite ? ['--ipv6'] : [];
      await create('--ipam-driver', 'null', ...families, '-o', 'netloom.network=chosen', 'chosen');
      const wanted = ['driver-opt=netloom.egress_rate=10mbit', 'driver-opt=netloom.ingress_rate=20mbit'];
      await run('one', 'plain', IMAGE);
      await run('two', ['name=chosen', 'alias=second', ...wanted].join(), IMAGE);
      const { endpoints, subnets } = await api.networkInspect('chosen');
      assert.equal(subnets.length, 1 + families.length);
      assert.deepEqual(
        endpoints.map(({ rates }) => rates),
        [{ egress: 10_000_000, ingress: 20_000_000 }],
      );
      const inside = await ip('two', 'addr', 'show', 'eth0');
      for (const address of endpoints[0]?.addresses ?? [])
        assert.ok(inside.includes(address), `${address} in ${inside}`);
      const [v4, v6 = '/'] = endpoints[0]?.addresses ?? [];
      const known = '{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.GlobalIPv6Address}}{{end}}';
      assert.equal(await docker('inspect', '-f', known, 'two'), `${v4} ${v6.slice(0, v6.indexOf('/'))}`.trim());
      await ping('two', ADDRESS.internet);

      const connect = ['network', 'connect', '--driver-opt'];
      await docker(...connect, 'netloom.egress_rate=5mbit', 'chosen', 'one');
      await ping('one', 'second');
      assert.deepEqual(
        (await api.networkInspect('chosen')).endpoints.map(({ rates }) => rates.egress).toSorted((a, b) => a - b),
        [5_000_000, 10_000_000],
      );
      for (const [option, message] of [
        ['netloom.egress_rate=much', /"much" is no rate/],
        ['netloom.rate=1mbit', /no option netloom\.rate/],
      ] as const) {
        const { status, stderr } = await tried(...connect, option, 'plain', 'two');
        assert.equal(status, 1);
        assert.match(stderr, message);
      }
      assert.equal((await api.endpointList()).length, 3);
      await docker('rm', '-f', 'one', 'two');
      await docker('network', 'rm', 'plain', 'chosen');
      await it.empty();
    });

    await t.test('an endpoint on the host’s own segment: macvlan', async () => {
      await create(
        '-o',
        'netloom.driver=macvlan',
        '-o',
        'parent=eth0',
        '--subnet',
        '192.0.2.0/24',
        '--gateway',
        ADDRESS.outside,
        '--ip-range',
        '192.0.2.64/28',
        'lan',
      );
      await run('one', 'lan', IMAGE);
      assert.match(await ip('one', 'addr', 'show', 'eth0'), /inet 192\.0\.2\.6[4-9]\/24 /);
      await ping('one', ADDRESS.internet);
      // killed: its interface goes with it, and so does the endpoint
      await docker('kill', '-s', 'KILL', 'one');
      await docker('rm', '-f', 'one');
      await it.empty();
      const { status, stderr } = await tried('run', '-d', '--name', 'two', '--network', 'lan', '-p', '8080:80', IMAGE);
      assert.notEqual(status, 0);
      assert.match(stderr, /network "docker-[0-9a-f]+" is macvlan/);
      await docker('rm', '-f', 'two');
      await it.empty();
    });
    await docker('network', 'rm', 'front', 'back', 'six', 'inside', 'lan');
    assert.deepEqual((await api.networkList()).length, 2);
    assert.deepEqual((await okIn(bed.host.netns, ['ip', '-br', 'link'])).match(/^(ve|vp|br-)\w+/gm), null);
  });
}
