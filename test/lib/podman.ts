import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type EngineBed, makeEngineBed } from './engine.ts';
import { ADDRESS, type HostOptions } from './host.ts';
import { jsonIn, runIn, type RunResult } from './run.ts';
import { enterDistribution, enterSuite, type Inside, type Machine } from './suite.ts';
import { until } from './wait.ts';

export interface PodmanOptions {
  /** Whose Podman: the distribution's (4.3), or the later suite's (5.8). */
  readonly from: 'distribution' | 'suite';
  /**
   * How it comes to us: we are its netavark; netavark's own program calls us as a plugin; the CNI backend calls our plugin,
   * which only the older one still has.
   */
  readonly door: 'netavark' | 'plugin' | 'cni';
  /** Called by the shim; else by the program itself, which asks the daemon, or does it alone where there is none. */
  readonly shim?: boolean;
  /** A daemon serves; default true. */
  readonly daemon?: boolean;
  readonly host?: HostOptions;
}

/** A machine with Podman, whose networks are ours, and an image called `box` with busybox in it. */
export interface PodmanBed extends AsyncDisposable {
  readonly bed: EngineBed;
  readonly machine: Machine;
  /** Must succeed; its output without the last newline. */
  podman(...words: readonly string[]): Promise<string>;
  /** May fail. */
  tries(...words: readonly string[]): Promise<RunResult>;
  netloom(...words: readonly string[]): Promise<string>;
  /** Ends the daemon with a signal and waits for its end. */
  stopDaemon(signal: NodeJS.Signals): Promise<void>;
  startDaemon(): Promise<void>;
}

export async function makePodman({ from, door, shim = false, daemon = true, host }: PodmanOptions): Promise<PodmanBed> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed(host));
  const enter = from === 'suite' ? enterSuite : enterDistribution;
  const machine = undo.use(await enter({ netns: bed.host.netns }));
  let served: Inside | undefined;
  undo.defer(async () => served?.[Symbol.asyncDispose]());
  const ok = async (...words: readonly string[]): Promise<string> =>
    (await machine.ok(words, { timeout: 60_000 })).trim();
  const startDaemon = async (): Promise<void> => {
    served = machine.start(['netloom', 'daemon']);
    await until('the daemon serves', () => served?.output().includes('listening'), { timeout: 60_000 });
  };
  await ok('sh', '-ec', PREPARE);
  // as docs/podman.md says: Podman, and netavark, look there without being told
  if (shim) await ok('netloom', 'podman', 'install', ...(door === 'plugin' ? ['--plugin'] : []));
  else await ok('sh', '-ec', LINK);
  writeFileSync(machine.path('/etc/containers/containers.conf'), configuration(door, shim));
  writeFileSync(machine.path('/etc/containers/storage.conf'), STORAGE);
  writeFileSync(machine.path('/etc/resolv.conf'), 'nameserver 198.51.100.53\n');
  if (daemon) await startDaemon();
  const podman = (...words: readonly string[]): Promise<string> => ok('podman', ...words);
  await ok('sh', '-ec', 'tar -C /tmp/image -c . | podman import -q - box');
  const kept = undo.move();
  return {
    bed,
    machine,
    podman,
    tries: (...words) => machine.run(['podman', ...words], { timeout: 60_000 }),
    netloom: (...words) => ok('netloom', ...words),
    startDaemon,
    async stopDaemon(signal) {
      const { child } = served!;
      served?.kill(signal);
      await until('the daemon ended', () => child.exitCode !== null || child.signalCode !== null, { timeout: 20_000 });
    },
    async [Symbol.asyncDispose]() {
      // containers of a test that failed; their processes end with the machine
      await machine.run(['podman', 'rm', '-fa', '-t', '0'], { timeout: 60_000 }).catch(() => undefined);
      await kept.disposeAsync();
    },
  };
}

/** Where the programs that Podman starts are found. */
const HELPERS = '/usr/local/lib/helpers';

/** crun refuses the hybrid cgroups of some machines; there is no systemd inside, and no right to raise limits. */
function configuration(door: PodmanOptions['door'], shim: boolean): string {
  const links = !shim && door === 'netavark' ? `helper_binaries_dir = ["${HELPERS}", "/usr/lib/podman"]` : '';
  return `[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]
log_driver = "k8s-file"
default_capabilities = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "NET_RAW", "SETGID", "SETUID"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
${links}
[network]
network_backend = "${door === 'cni' ? 'cni' : 'netavark'}"
${door === 'cni' ? `cni_plugin_dirs = ["${HELPERS}"]` : ''}
${door === 'plugin' && !shim ? `netavark_plugin_dirs = ["${HELPERS}"]` : ''}
`;
}
const STORAGE = `[storage]
driver = "vfs"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
`;

/** Links to the program itself, in a place of their own. */
const LINK = `
mkdir -p ${HELPERS}
for name in netavark netloom; do ln -s "$(readlink -f "$(command -v netloom)")" ${HELPERS}/$name; done
`;
const PREPARE = `
mkdir -p /etc/containers /etc/cni/net.d /tmp/image/bin /tmp/image/etc /tmp/image/tmp
printf '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
cp "$(command -v busybox)" /tmp/image/bin/busybox
for tool in sh sleep ping ping6 nslookup wget httpd nc ip cat ls echo kill; do ln -s busybox /tmp/image/bin/$tool; done
printf 'root:x:0:0:root:/:/bin/sh\\n' >/tmp/image/etc/passwd
ln -s busybox /tmp/image/bin/true
`;

/** Serves a page at port 80 for as long as it is let. */
export const SERVE: readonly string[] = [
  'sh',
  '-c',
  'mkdir -p /www && echo served >/www/index.html && exec httpd -f -p 80 -h /www',
];

/** What a port of the host answers to somebody outside; empty where it does not. */
export async function page({ bed }: PodmanBed, port: number, address: string = ADDRESS.host): Promise<string> {
  const at = address.includes(':') ? `[${address}]` : address;
  const { stdout } = await runIn(bed.host.outside, ['curl', '-s', '-m', '5', `http://${at}:${port}/`]);
  return stdout.trim();
}

/** Waits until a port of the host answers as the containers of these tests do. */
export async function served(host: PodmanBed, port: number, address: string = ADDRESS.host): Promise<void> {
  await until(`port ${port} of ${address} answers`, async () => (await page(host, port, address)) === 'served', {
    timeout: 15_000,
  });
}

/** Names of the host's interfaces. */
export async function linksOf({ bed }: PodmanBed): Promise<string[]> {
  const links = await jsonIn<{ ifname: string }[]>(bed.host.netns, ['ip', '-j', 'link']);
  return links.map(({ ifname }) => ifname).toSorted();
}

/**
 * Waits until the host has no interface but its own: Podman does not wait for a network that goes with its last container,
 * and neither may a test take it for gone.
 */
export async function leavesNothing(host: PodmanBed): Promise<void> {
  await until(
    'nothing is left on the host',
    async () => {
      const left = (await linksOf(host)).filter((name) => !['eth0', 'lo'].includes(name));
      return left.length === 0 || Promise.reject(new Error(left.join(' ')));
    },
    { timeout: 10_000 },
  );
}

/** Whether a container's echo request to a name or an address is answered. @param wait seconds */
export async function reaches({ tries }: PodmanBed, from: string, to: string, wait = 3): Promise<boolean> {
  return (await tries('exec', from, 'ping', '-c', '1', '-W', String(wait), to)).status === 0;
}

/** What Podman says of a container. @param path as a Go template has it: `.State.Pid` */
export async function inspect<T>({ podman }: PodmanBed, name: string, path: string): Promise<T> {
  return JSON.parse(await podman('inspect', '-f', `{{json ${path}}}`, name)) as T;
}

/** Two containers on a network: `a`, or `front`, which serves a page at the host's port 8080, and `b`. */
export async function startPair({ podman }: PodmanBed, network: string): Promise<void> {
  const reached = ['-p', '8080:80', '--network-alias', 'front'];
  await podman('run', '-d', '--name', 'a', '--network', network, ...reached, 'box', ...SERVE);
  await podman('run', '-d', '--name', 'b', '--network', network, 'box', 'sleep', '1000');
}

/** Kills the pair, has it removed, and sees that it left nothing with us. */
export async function endPair(host: PodmanBed): Promise<void> {
  const { machine, podman } = host;
  for (const name of ['a', 'b']) {
    const [pid, monitor] = (await podman('inspect', '-f', '{{.State.Pid}} {{.State.ConmonPid}}', name)).split(' ');
    // without goodbye: the monitor first, which else would say it
    await machine.ok(['sh', '-c', `kill -9 ${monitor} ${pid}`]);
    await until(`${name} is gone`, async () => (await machine.run(['sh', '-c', `kill -0 ${pid}`])).status !== 0);
  }
  await podman('rm', '-f', 'a', 'b');
  assert.deepEqual(JSON.parse(await host.netloom('endpoint', 'ls', '--json')), []);
}
