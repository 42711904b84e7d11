import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Netns } from '../../src/kernel/index.ts';
import { startIn } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';

const TRAFFIC = fileURLToPath(new URL('../build/traffic', import.meta.url));

/** bench/traffic.c listens in a namespace until the stack is disposed of. */
export async function serveTraffic(stack: AsyncDisposableStack, netns: Netns, port: number): Promise<void> {
  const server = stack.use(startIn(netns, [...on(0), TRAFFIC, 'serve', String(port)]));
  await until('the server listens', () => server.output().includes('ready'));
}

/** Where a program runs decides more than what it measures: the two ends of both sides have a processor each. */
function on(processor: number): readonly string[] {
  return availableParallelism() > processor ? ['taskset', '-c', String(processor)] : [];
}

/** Asks from a namespace: `stream ADDRESS PORT MS` in bytes a second, `rr ADDRESS PORT MS` in round trips. */
export function asker(stack: AsyncDisposableStack, netns: Netns): (question: string) => Promise<number> {
  const { child } = stack.use(startIn(netns, [...on(1), TRAFFIC, 'ask']));
  const answers = createInterface(child.stdout!)[Symbol.asyncIterator]();
  return async (question) => {
    child.stdin!.write(question + '\n');
    const { value, done } = await answers.next();
    if (done || value === '?') throw new Error(`no traffic: ${question}`);
    return Number(value);
  };
}
