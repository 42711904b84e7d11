import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Netns } from '../../src/kernel/index.ts';
import { end, enter, run } from './run.ts';

/** A shell in a namespace, with names of namespaces of its own: what a person would type, apart from everything else. */
export interface Shell extends AsyncDisposable {
  /** Runs a script by `sh -e`; its output. @throws Error with the script and what it said. */
  ok(script: string): Promise<string>;
  /** A namespace that the shell sees under this path. Close it. */
  open(path: string): Netns;
}

/**
 * @param hide directories that are empty for this shell: whatever is named in them is gone with it, and two shells may
 *   give one name to two namespaces. `/run/netns` is always among them.
 */
export async function openShell(netns: Netns, hide: readonly string[] = []): Promise<Shell> {
  const mounts = ['/run/netns', ...hide]
    .map((dir) => `mkdir -p ${dir}; mount -t tmpfs -o mode=755 tmpfs ${dir}; `)
    .join('');
  const holder = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', '--', 'sh', '-ec', `${mounts}echo ready; exec cat`],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  await ready(holder);
  const { pid } = holder;
  return {
    async ok(script) {
      const argv = ['nsenter', `--mount=/proc/${pid}/ns/mnt`, ...enter(netns).slice(1), 'sh', '-e'];
      const { status, stdout, stderr } = await run(argv, { input: script, cwd: '/' });
      if (status !== 0) throw new Error(`status ${status}: ${stderr.trim()}\n${script}`);
      return stdout;
    },
    open: (path) => Netns.open(`/proc/${pid}/root${path}`),
    [Symbol.asyncDispose]: () => end(holder),
  };
}

async function ready(child: ChildProcess): Promise<void> {
  const gone = once(child, 'close').then(([code]) => {
    throw new Error(`no mount namespace: unshare ended with ${code}`);
  });
  gone.catch(() => undefined);
  await Promise.race([once(child.stdout!, 'data'), gone]);
}
