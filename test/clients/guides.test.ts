/** The pages of docs/install, followed line by line on a machine that has the clients and nothing of netloom's. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startContainerd } from '../lib/containerd.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Guide, openGuide } from '../lib/guide.ts';
import { ADDRESS } from '../lib/host.ts';
import { writeRootfs } from '../lib/image.ts';
import { okIn } from '../lib/run.ts';
import { enterDistribution, enterSuite, type Inside, type Machine, startNetloom } from '../lib/suite.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const OURS = '/usr/local/bin/netloom';

/**
 * Follows plain.md's first two steps, and opens the page itself. `systemctl` starts netloom by the unit's own line.
 * @param others how the page's other services are started
 */
async function installed(
  stack: AsyncDisposableStack,
  machine: Machine,
  page: string,
  others: Readonly<Record<string, () => Promise<unknown>>> = {},
): Promise<Guide> {
  rmSync(machine.path(OURS));
  mkdirSync(machine.path('/etc/systemd/system'), { recursive: true });
  let running: Inside | undefined;
  stack.defer(async () => running?.[Symbol.asyncDispose]());
  const netloom = async (): Promise<void> => {
    await running?.[Symbol.asyncDispose]();
    running = await startNetloom(machine, startLine(machine));
  };
  const services = { ...others, netloom };
  const plain = openGuide('plain', machine, services);
  assert.match(await plain.follow('systemctl'), /daemon/);
  return page === 'plain' ? plain : openGuide(page, machine, services);
}

/** `ExecStart` of the unit, or of the last file beside it that has one. */
function startLine(machine: Machine): string[] {
  const unit = machine.path('/etc/systemd/system/netloom.service');
  const dir = `${unit}.d`;
  const files = [unit, ...(existsSync(dir) ? readdirSync(dir).map((name) => `${dir}/${name}`) : [])];
  const lines = files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/^ExecStart=(.+)$/gm)]);
  return lines.at(-1)![1]!.split(' ');
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

test('Docker: a network of our drivers', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await enterSuite({ netns: bed.host.netns }));
  const docker = async (): Promise<void> => {
    const daemon = machine.start(['dockerd', '--storage-driver=overlay2', '--bridge=none']);
    stack.use(daemon);
    await until('dockerd answers', () => machine.ok(['docker', 'version']), { timeout: 30_000 }).catch((error) => {
      throw new Error(daemon.output(), { cause: error });
    });
    writeRootfs(machine.path('/tmp/box.tar'));
    await machine.ok(['docker', 'import', '--change', 'ENV PATH=/bin', '/tmp/box.tar', 'busybox']);
  };
  const guide = await installed(stack, machine, 'docker', { docker });
  const printed = await guide.follow('endpoint ls');
  assert.match(printed, /1 packets received/);
  assert.match(printed, /10\.6\.0\.\d+\/24/);
  assert.match(await published(bed), /hello|localhost/);
  await guide.follow();
  await assertNothingLeft(bed, machine);
});

/** What the machines of tests need, and others do not: no systemd, no right to raise limits, files in memory. */
const PODMAN = `[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;
const STORAGE = `[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
`;

test('Podman: its networks, with us in place of netavark', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  const machine = stack.use(await enterSuite({ netns: bed.host.netns }));
  writeFileSync(machine.path('/etc/containers/containers.conf'), PODMAN);
  writeFileSync(machine.path('/etc/containers/storage.conf'), STORAGE);
  writeRootfs(machine.path('/tmp/box.tar'));
  await machine.ok(['podman', 'import', '-q', '/tmp/box.tar', 'docker.io/library/busybox:latest']);
  const guide = await installed(stack, machine, 'podman');
  assert.match(await guide.follow('podman info'), /\/usr\/local\/libexec\/podman\/netavark/);
  const printed = await guide.follow('endpoint ls');
  assert.match(printed, /localhost/);
  assert.match(printed, /10\.89\.5\.\d+\/24/);
  assert.match(await published(bed), /hello|localhost/);
  await guide.follow();
  await assertNothingLeft(bed, machine);
});
