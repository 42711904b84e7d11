import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The kernel's own cost of endpoints, from bench/attach_floor.c: a process in a host namespace of its own. */
export interface Floor extends AsyncDisposable {
  /** Makes `count` endpoints (1000 at most until `detach`); milliseconds of each. */
  attach(count: number): Promise<number[]>;
  /** Deletes all of them in one message; milliseconds. */
  detach(): Promise<number>;
}

export function startFloor(): Floor {
  const program = fileURLToPath(new URL('../build/attach_floor', import.meta.url));
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<number[]> => {
    child.stdin.write(question + '\n');
    const { value, done } = await answers.next();
    if (done) throw new Error(`attach_floor ended at: ${question}`);
    return value.split(' ').map(Number);
  };
  return {
    attach: (count) => ask(`attach ${count}`),
    detach: async () => (await ask('detach'))[0]!,
    [Symbol.asyncDispose]: async () => {
      const gone = once(child, 'close');
      child.stdin.end();
      await gone;
    },
  };
}
