/** dockerd and netloom restart in any order, in order and killed, and lose nothing: no packet of a running container's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { IMAGE, SERVER, startDocker } from '../lib/dockerd.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

type Daemon = 'dockerd' | 'netloom';
/** In order: who ends, by which signal, and who begins again; `both` is dockerd, and netloom while that looks for it. */
const COURSES: readonly {
  readonly what: string;
  readonly steps: readonly (readonly [Daemon | 'both', NodeJS.Signals | 'start'])[];
}[] = [
  {
    what: 'one after the other',
    steps: [
      ['netloom', 'SIGKILL'],
      ['netloom', 'start'],
      ['netloom', 'SIGTERM'],
      ['netloom', 'start'],
      ['dockerd', 'SIGTERM'],
      ['dockerd', 'start'],
    ],
  },
  {
    what: 'both killed, netloom first again',
    steps: [
      ['dockerd', 'SIGKILL'],
      ['netloom', 'SIGKILL'],
      ['netloom', 'start'],
      ['dockerd', 'start'],
    ],
  },
  {
    what: 'both killed, dockerd first again',
    steps: [
      ['netloom', 'SIGKILL'],
      ['dockerd', 'SIGKILL'],
      ['both', 'start'],
    ],
  },
];

/** Both releases are too much for one file's time. */
export function restarts(release: string, suite: boolean): void {
  for (const { what, steps } of COURSES) restart(release, suite, what, steps);
}

function restart(release: string, suite: boolean, what: string, steps: (typeof COURSES)[number]['steps']): void {
  test(`${release}: traffic goes on while they restart, ${what}`, async () => {
    await using bed = await makeEngineBed();
    await using it = await startDocker({ netns: bed.host.netns, suite, dockerd: ['--live-restore'] });
    const { docker, machine, daemons, api } = it;
    await docker('network', 'create', '-d', 'netloom', '--ipam-driver', 'netloom', '--subnet', '10.6.0.0/24', 'mynet');
    const run = (name: string, ...words: readonly string[]): Promise<string> =>
      docker('run', '-d', '--name', name, '--network', 'mynet', ...words);
    const web = await run('web', '--ip', '10.6.0.9', '-p', '8080:80', SERVER);
    // one packet every 50 ms, all of which must come back
    await run('client', IMAGE, 'sh', '-c', 'exec ping -i 0.05 10.6.0.9 >/tmp/said');
    const pid = await docker('inspect', '-f', '{{.State.Pid}}', 'client');
    const said = (): string => readFileSync(machine.path(`/proc/${pid}/root/tmp/said`), 'utf8');
    const before = (await api.endpointList()).map(({ id }) => id).sort();

    /** All is as it was, and traffic flows now. */
    const same = async (): Promise<void> => {
      const seen = said().length;
      await until('packets come back', () => said().length > seen);
      assert.equal(
        await okIn(bed.host.outside, ['curl', '-sS', '--max-time', '5', `http://${ADDRESS.host}:8080/hostname`]),
        `${web.slice(0, 12)}\n`,
      );
    };
    const end = async (which: 'dockerd' | 'netloom', signal: NodeJS.Signals): Promise<void> => {
      const { child } = daemons[which];
      const gone = once(child, 'close');
      daemons[which].kill(signal);
      await gone;
      await same();
    };
    const start = async (which: Daemon | 'both'): Promise<void> => {
      await (which === 'netloom' ? it.startNetloom() : it.startDockerd(which === 'both' ? it.startNetloom : undefined));
      await same();
      if (which !== 'dockerd') assert.deepEqual((await api.endpointList()).map(({ id }) => id).sort(), before);
    };
    for (const [which, step] of steps) await (step === 'start' ? start(which) : end(which as Daemon, step));
    assert.deepEqual((await api.endpointList()).map(({ id }) => id).sort(), before);

    // ---- Docker still knows them, and so do we: another comes, is reached by name, and all go ----
    await run('late', IMAGE);
    await docker('exec', 'late', 'ping', '-c', '1', '-W', '2', 'web');
    const lines = said().match(/seq=\d+/g) ?? [];
    assert.equal(Number(/\d+/.exec(lines.at(-1) ?? '')?.[0]) + 1, lines.length, 'a packet was lost');
    await docker('rm', '-f', 'web', 'client', 'late');
    await it.empty();
    await docker('network', 'rm', 'mynet');
    assert.deepEqual([await api.poolList(), (await api.networkList()).length], [[], 2]);
  });
}
