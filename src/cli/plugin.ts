import { runPlugin } from '../cni/index.ts';
import type { Io } from './context.ts';

/** The program as a CNI plugin, which is called without a word: by its environment. The answer is the exit status. */
export async function runAsPlugin(io: Io): Promise<number> {
  const { stdout, status } = await runPlugin({
    program: 'netloom',
    argv: [],
    env: io.env,
    stdin: await io.stdin(),
    open: () => io.open({}),
  });
  io.stdout.write(stdout);
  return status;
}
