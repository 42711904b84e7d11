/**
 * The daemon of a host in a cluster, killed in the middle: `cluster-kill-child.ts OPTIONS AT BACKEND NETWORK...` dies by
 * SIGKILL right after the ATth fact has reached the kernel. BACKEND is what it changes the first network to, or `-`. Once
 * those networks, and no other shared ones, are there and settled, it says how many facts there were and ends.
 */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { until } from '../lib/wait.ts';

const [json = '{}', at = '0', backend = '-', ...names] = process.argv.slice(2);
const { netnsPath, ...paths } = JSON.parse(json) as { netnsPath: string };
let facts = 0;
await using engine = await openEngine({
  ...paths,
  netns: Netns.open(netnsPath),
  resident: true,
  onFact() {
    if (++facts === Number(at)) process.kill(process.pid, 'SIGKILL');
  },
});
const [first = ''] = names;
await until('connected', async () => (await engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
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
console.log(`facts ${facts}`);
