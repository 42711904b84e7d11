/**
 * The daemon of a host in a cluster, killed while it borrows or lends an address: `cluster-loans-child.ts OPTIONS AT NETWORK
 * [ADDRESS]` dies by SIGKILL right after the ATth fact has reached the kernel. Connected, it says so; with an address it makes
 * an endpoint with that, says how many facts there were, and ends once others are told. Without, it stays.
 */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { until } from '../lib/wait.ts';

const [json = '{}', at = '0', network = '', address] = process.argv.slice(2);
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
await until('connected', async () => (await engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
console.log('connected');
if (address === undefined) await new Promise((resolve) => process.once('SIGTERM', resolve));
else {
  await engine.endpointAttach({ tap: true, netns: '', network, addresses: [address] });
  await until('others are told', async () => {
    const node = (await engine.nodeList()).find(({ self }) => self);
    return node?.networks.some(({ endpoints }) => endpoints > 0);
  });
  console.log(`facts ${facts}`);
}
