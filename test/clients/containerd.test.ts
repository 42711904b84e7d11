/** containerd's `ctr run --cni` with our plugin: the distribution's release and a later one, with a daemon and with none. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { IMAGE, startContainerd } from '../lib/containerd.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { stateOf } from '../lib/kernel-state.ts';
import { runIn } from '../lib/run.ts';
import { fetched } from '../lib/page.ts';
import { startNetloom } from '../lib/suite.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const RESOLVER = '10.5.0.1';

for (const { release, suite, resident } of [
  { release: 'the later containerd', suite: true, resident: true },
  { release: 'the later containerd', suite: true, resident: false },
  { release: "the distribution's containerd", suite: false, resident: true },
]) {
  test(`${release}, ${resident ? 'a daemon' : 'no daemon'}: two containers, a port, the outside, and no goodbye`, async () => {
    await using bed = await makeEngineBed();
    const before = await stateOf([bed.host.netns]);
    await using stack = new AsyncDisposableStack();
    const { machine, daemon, ctr } = stack.use(
      await startContainerd({ netns: bed.host.netns, suite, subnet: '10.5.0.0/16' }),
    );
    if (resident) stack.use(await startNetloom(machine));
    const endpoints = async (): Promise<string[]> =>
      (await machine.ok(['netloom', 'endpoint', 'ls', '--format', '{{.Addresses}}'])).split('\n').filter(Boolean);
    let execs = 0;
    const inside = (container: string, ...command: readonly string[]): Promise<string> =>
      ctr('task', 'exec', '--exec-id', `e${++execs}`, container, ...command);

    // ctr writes no resolv.conf into its containers: this is the one that its user gives them
    writeFileSync(machine.path('/etc/resolv-pods.conf'), `nameserver ${RESOLVER}\n`);
    const resolv = ['--mount', 'type=bind,src=/etc/resolv-pods.conf,dst=/etc/resolv.conf,options=rbind:ro'];
    const start = (name: string, ...command: readonly string[]): Promise<string> =>
      ctr('run', '-d', '--cni', ...resolv, IMAGE, name, ...command);
    await Promise.all([start('web', 'httpd', '-f', '-p', '80', '-h', '/etc'), start('client')]);
    const at = async (name: string): Promise<string> =>
      /inet (10\.5\.[0-9.]+)/.exec(await inside(name, 'ip', 'addr', 'show', 'eth0'))?.[1] ?? '';
    const [web, client] = [await at('web'), await at('client')];
    assert.deepEqual((await endpoints()).sort(), [`${client}/16`, `${web}/16`].sort());

    // ---- each other, by name where somebody answers; the outside ----
    await inside('web', 'ping', '-c', '1', '-W', '2', resident ? 'default-client' : client);
    await inside('client', 'ping', '-c', '1', '-W', '2', resident ? 'default-web.pods' : web);
    await inside('client', 'ping', '-c', '1', '-W', '2', ADDRESS.internet);

    // ---- a port: ctr has no word for one, netloom has ----
    await machine.ok(['netloom', 'endpoint', 'update', '-p', '8080:80', 'cni:pods:default-web:eth0']);
    const url = `http://${ADDRESS.host}:8080/resolv.conf`;
    const page = ['curl', '-sS', '--max-time', '5', url];
    assert.equal(await fetched(bed.host.outside, url), `nameserver ${RESOLVER}\n`);

    // ---- a goodbye: DEL ----
    assert.match(await ctr('run', '--rm', '--cni', IMAGE, 'short', 'ip', 'addr', 'show', 'eth0'), /inet 10\.5\./);
    assert.equal((await endpoints()).length, 2);

    // ---- none: containers, their shims and containerd are killed ----
    const tasks = (await ctr('task', 'ls', '-q')).split('\n').filter(Boolean);
    assert.deepEqual(tasks.sort(), ['client', 'web']);
    const pids = [...(await ctr('task', 'ls')).matchAll(/^\S+\s+(\d+)\s+RUNNING/gm)].map(([, pid]) => pid!);
    assert.equal(pids.length, 2);
    daemon.kill('SIGKILL');
    await machine.ok([
      'sh',
      '-ec',
      'for pid in "$@"; do shims="$shims $(sed -n "s/^PPid:[[:space:]]*//p" "/proc/$pid/status")"; done; kill -9 $shims "$@"',
      'kill',
      ...pids,
    ]);
    await until('their namespaces are gone', () =>
      pids.every((pid) => !existsSync(machine.path(`/proc/${pid}/ns/net`))),
    );
    await machine.ok(['netloom', 'gc']);
    assert.deepEqual(await endpoints(), []);
    assert.notEqual((await runIn(bed.host.outside, page)).status, 0);
    await machine.ok(['netloom', 'network', 'rm', 'pods']);
    await stack.disposeAsync();
    assert.deepEqual(withoutForwarding(await stateOf([bed.host.netns])), withoutForwarding(before));
  });
}

/** Forwarding is never set back (docs/architecture.md). */
function withoutForwarding(state: unknown): unknown {
  return (state as Record<string, unknown>[]).map(({ parameters: _parameters, ...rest }) => rest);
}
