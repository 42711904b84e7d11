/** What Podman does with networks while its containers run, with us as its netavark. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { ipBatch, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import {
  inspect,
  leavesNothing,
  linksOf,
  makePodman,
  page,
  type PodmanBed,
  reaches,
  served,
  SERVE,
} from '../lib/podman.ts';

checkDescriptors();

/** Servers beyond the host that answer `who.test` each by its own last number. The host's own is 53. */
async function nameServers({ bed }: PodmanBed, numbers: readonly number[]): Promise<AsyncDisposable> {
  const outside = bed.host.outside;
  await ipBatch(
    outside,
    numbers.map((number) => `addr add 198.51.100.${number}/32 dev lo`),
  );
  const stack = new AsyncDisposableStack();
  for (const number of numbers)
    stack.use(
      startIn(outside, [
        ...[
          'dnsmasq',
          '--keep-in-foreground',
          '--conf-file=/dev/null',
          '--no-resolv',
          '--no-hosts',
          '--bind-interfaces',
        ],
        ...[
          '--user=root',
          '--pid-file=',
          `--listen-address=198.51.100.${number}`,
          `--address=/who.test/203.0.113.${number}`,
        ],
      ]),
    );
  return stack;
}
async function asked({ tries }: PodmanBed, container: string): Promise<string> {
  const { stdout } = await tries('exec', container, 'nslookup', 'who.test');
  return /203\.0\.113\.(\d+)/.exec(stdout)?.[1] ?? stdout;
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
    await until('the network of nobody is gone', async () => {
      const bridges = (await linksOf(host)).filter((name) => name.startsWith('podman'));
      return bridges.join() === 'podman2';
    });
    // Podman 4.3 has no words for a network's servers
    if (from === 'suite') {
      await using _servers = await nameServers(host, [53, 54]);
      await podman('run', '-d', '--name', 'c', '--network', 'two', '--dns', '198.51.100.54', 'box', 'sleep', '1000');
      await until('the host’s server is asked', async () => (await asked(host, 'b')) === '53');
      await podman('network', 'update', '--dns-add', '198.51.100.54', 'two');
      assert.deepEqual([await asked(host, 'b'), await asked(host, 'c')], ['54', '54']);
      await podman('network', 'update', '--dns-drop', '198.51.100.54', 'two');
      assert.deepEqual([await asked(host, 'b'), await asked(host, 'c')], ['53', '54'], 'the container’s own stays');
      assert.ok(await reaches(host, 'c', 'a'), 'names of containers are answered all along');
      await podman('rm', '-f', '-t', '0', 'c');
    }
    await podman('network', 'disconnect', 'two', 'a');
    assert.equal(await page(host, 8080), '');
    await podman('rm', '-f', '-t', '0', 'a', 'b');
    await leavesNothing(host);
  });
}
