import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Netns } from '../../src/kernel/index.ts';
import { writeImage } from './image.ts';
import { enterDistribution, enterSuite, type Inside, type Machine } from './suite.ts';
import { until } from './wait.ts';

/** The image that every container here is made of. */
export const IMAGE = 'docker.io/library/box:1';

/** A machine with containerd on it, an image in it, and the places for CNI plugins. */
export interface Containerd extends AsyncDisposable {
  readonly machine: Machine;
  readonly daemon: Inside;
  /** `ctr` with these words; its output. @throws Error with what it said */
  ctr(...words: readonly string[]): Promise<string>;
}

export interface ContainerdOptions {
  readonly netns: Netns;
  /** The later suite's containerd, 2.1, or the distribution's, 1.6. */
  readonly suite: boolean;
  /** Written to /etc/cni/net.d. */
  readonly conflist: object;
  /** Where /opt/cni/bin/netloom leads; default: the program itself. */
  readonly plugin?: string;
}

export async function startContainerd({ netns, suite, conflist, plugin }: ContainerdOptions): Promise<Containerd> {
  await using undo = new AsyncDisposableStack();
  const machine = undo.use(await (suite ? enterSuite : enterDistribution)({ netns }));
  for (const dir of ['/etc/cni/net.d', '/opt/cni/bin', '/etc/containerd'])
    mkdirSync(machine.path(dir), { recursive: true });
  writeFileSync(machine.path('/etc/cni/net.d/10-netloom.conflist'), JSON.stringify(conflist));
  symlinkSync(plugin ?? '/usr/local/bin/netloom', machine.path('/opt/cni/bin/netloom'));
  // without a section of its own the machine's would be read: `version` alone is one
  writeFileSync(machine.path('/etc/containerd/config.toml'), 'version = 2\n');
  const daemon = undo.use(machine.start(['containerd']));
  const ctr = (...words: readonly string[]): Promise<string> => machine.ok(['ctr', ...words]);
  await until('containerd answers', () => ctr('version'), { timeout: 15_000 }).catch((error: unknown) => {
    throw new Error(`containerd: ${daemon.output()}`, { cause: error });
  });
  writeImage(machine.path('/tmp/box.tar'), IMAGE);
  await ctr('image', 'import', '/tmp/box.tar');
  const kept = undo.move();
  return { machine, daemon, ctr, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
