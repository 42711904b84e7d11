import type { Netns } from '../../src/kernel/index.ts';
import { runIn } from './run.ts';
import { until } from './wait.ts';

/** What a server answers to somebody in a namespace; it may have begun this moment, and not listen yet. */
export async function fetched(netns: Netns, url: string): Promise<string> {
  const answer = async (): Promise<{ readonly text: string } | false> => {
    const { status, stdout } = await runIn(netns, ['curl', '-sSf', '--max-time', '5', url]);
    return status === 0 && { text: stdout };
  };
  return (await until(`${url} answers`, answer, { timeout: 15_000 })).text;
}
