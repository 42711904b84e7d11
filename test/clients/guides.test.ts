/** The pages of docs/install, followed line by line on a machine that has the clients and nothing of netloom's. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { startContainerd } from '../lib/containerd.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Guide, openGuide } from '../lib/guide.ts';
import { ADDRESS } from '../lib/host.ts';
import { okIn } from '../lib/run.ts';
import { enterDistribution, enterSuite, type Machine, startNetloom } from '../lib/suite.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const OURS = '/usr/local/bin/netloom';

/** Follows plain.md's first two steps, and opens the page itself. */
async function installed(stack: AsyncDisposableStack, machine: Machine, page: string): Promise<Guide> {
  rmSync(machine.path(OURS));
  mkdirSync(machine.path('/etc/systemd/system'), { recursive: true });
  const services = { netloom: async () => stack.use(await startNetloom(machine)) };
  const plain = openGuide('plain', machine, services);
  assert.match(await plain.follow('systemctl'), /daemon/);
  assert.ok(existsSync(machine.path('/etc/systemd/system/netloom.socket')));
  return page === 'plain' ? plain : openGuide(page, machine, services);
}

/** The port that every page publishes, as somebody else sees it. */
async function published(bed: EngineBed): Promise<string> {
  const page = ['curl', '-sSf', '--max-time', '3', `http://${ADDRESS.host}:8080/hosts`];
  return until('the published port answers', () => okIn(bed.host.outside, page), { timeout: 10_000 });
}
async function assertNothingLeft(bed: EngineBed, machine: Machine): Promise<void> {
  assert.equal(await machine.ok(['netloom', 'endpoint', 'ls', '--format', '{{.ID}}']), '');
  const links = JSON.parse(await okIn(bed.host.netns, ['ip', '-j', 'link'])) as { ifname: string }[];
  assert.deepEqual(links.map(({ ifname }) => ifname).toSorted(), ['eth0', 'lo']);
  for (const dir of ['/opt/cni/bin', '/etc/cni/net.d']) {
    const left = existsSync(machine.path(dir)) ? readdirSync(machine.path(dir)) : [];
    assert.deepEqual(
      left.filter((name) => /netloom|nerdctl/.test(name)),
      [],
    );
  }
}

test('plain: a server on a network of its own', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await enterDistribution({ netns: bed.host.netns }));
  const guide = await installed(stack, machine, 'plain');
  assert.match(await guide.follow('ping'), /1 (packets )?received/);
  assert.match(await published(bed), /localhost/);
  await guide.follow();
  await assertNothingLeft(bed, machine);
});

test('containerd: two containers of ctr', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  const image = 'docker.io/library/busybox:latest';
  const { machine } = stack.use(await startContainerd({ netns: bed.host.netns, suite: true, image }));
  const guide = await installed(stack, machine, 'containerd');
  const printed = await guide.follow('endpoint ls');
  assert.match(printed, /1 packets received/);
  assert.match(printed, /10\.88\.0\.\d+\/16/);
  await guide.follow('endpoint update');
  assert.match(await published(bed), /localhost/);
  await guide.follow();
  await assertNothingLeft(bed, machine);
});

test('nerdctl: its chain with our plugin in it', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await enterSuite({ netns: bed.host.netns }));
  const guide = await installed(stack, machine, 'nerdctl');
  const printed = await guide.follow('netloom cni add');
  assert.match(printed, /10\.4\.2\.\d+\/24/);
  await using _server = machine.start([
    ...['ip', 'netns', 'exec', 'blue', 'busybox', 'httpd', '-f', '-p', '80', '-h', '/etc'],
  ]);
  assert.match(await published(bed), /localhost/);
  await guide.follow();
  await assertNothingLeft(bed, machine);
});

test('CRI-O: its configuration names what is there', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await enterSuite({ netns: bed.host.netns }));
  const guide = await installed(stack, machine, 'cri-o');
  await guide.follow('cni status');
  // the part of TOML that the file keeps to: one table, strings and a list of them
  const [table, ...lines] = readFileSync(machine.path('/etc/crio/crio.conf.d/10-netloom.conf'), 'utf8')
    .trim()
    .split('\n');
  assert.equal(table, '[crio.network]');
  const settings = Object.fromEntries(
    lines.map((line) => {
      const [, key, value] = /^([a-z_]+) = (.+)$/.exec(line) ?? [];
      return [key, JSON.parse(value!) as string | string[]];
    }),
  );
  assert.deepEqual(Object.keys(settings).toSorted(), ['cni_default_network', 'network_dir', 'plugin_dirs']);
  const [file] = readdirSync(machine.path(settings['network_dir'] as string));
  const conflist = JSON.parse(readFileSync(machine.path(`${String(settings['network_dir'])}${file}`), 'utf8')) as {
    readonly name: string;
    readonly plugins: readonly { readonly type: string }[];
  };
  assert.equal(conflist.name, settings['cni_default_network']);
  for (const type of [...conflist.plugins.map((plugin) => plugin.type), 'loopback'])
    assert.ok(
      (settings['plugin_dirs'] as string[]).some((dir) => existsSync(machine.path(`${dir}${type}`))),
      type,
    );
  await guide.follow();
  await assertNothingLeft(bed, machine);
});
