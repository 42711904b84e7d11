/**
 * The daemon of a host in a cluster, killed in the middle: `cluster-kill-child.ts OPTIONS AT BACKEND NETWORK...` dies by
 * SIGKILL right after the ATth fact has reached the kernel. BACKEND is what it changes the first network to, or `-`. Once
 * those networks, and no other shared ones, are there and settled, it says how many facts there were and ends.
 */
import { until } from '../lib/wait.ts';
import { openDying } from './dying-engine.ts';

const [json = '{}', at = '0', backend = '-', ...names] = process.argv.slice(2);
const dying = await openDying(json, at);
await using engine = dying.engine;
const [first = ''] = names;
if (backend !== '-') await engine.networkUpdate(first, { options: { backend } });
await until(
  'all is settled',
  async () => {
    const there = (await engine.networkList()).filter(({ overlay }) => overlay);
    const settled = there.every(
      ({ phase, overlay }) => phase === 'ready' && !overlay?.former && overlay?.self.backend === overlay?.backend,
    );
    return (
      settled &&
      there
        .map(({ name }) => name)
        .sort()
        .join() === names.toSorted().join()
    );
  },
  { timeout: 20_000 },
);
console.log(`facts ${dying.facts()}`);
