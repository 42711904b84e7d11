import { type Engine, openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { until } from '../lib/wait.ts';

/** A host's engine that kills its process by SIGKILL right after a fact has reached the kernel. */
export interface DyingEngine {
  readonly engine: Engine;
  /** How many have by now. */
  facts(): number;
}

/** @param json  paths, and of the host's namespace @param at  the fact's number, from 1; 0: none. @returns once it is connected */
export async function openDying(json: string, at: string): Promise<DyingEngine> {
  const { netnsPath, ...paths } = JSON.parse(json) as { netnsPath: string };
  let facts = 0;
  const engine = await openEngine({
    ...paths,
    netns: Netns.open(netnsPath),
    resident: true,
    onFact() {
      if (++facts === Number(at)) process.kill(process.pid, 'SIGKILL');
    },
  });
  await until('connected', async () => (await engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
  return { engine, facts: () => facts };
}
