/**
 * The daemon of a host in a cluster, killed while it borrows or lends an address: `cluster-loans-child.ts OPTIONS AT NETWORK
 * [ADDRESS]` dies by SIGKILL right after the ATth fact has reached the kernel. Connected, it says so; with an address it makes
 * an endpoint with that, says how many facts there were, and ends once others are told. Without, it stays.
 */
import { until } from '../lib/wait.ts';
import { openDying } from './dying-engine.ts';

const [json = '{}', at = '0', network = '', address] = process.argv.slice(2);
const dying = await openDying(json, at);
await using engine = dying.engine;
console.log('connected');
if (address === undefined) await new Promise((resolve) => process.once('SIGTERM', resolve));
else {
  await engine.endpointAttach({ tap: true, netns: '', network, addresses: [address] });
  await until('others are told', async () => {
    const node = (await engine.nodeList()).find(({ self }) => self);
    return node?.networks.some(({ endpoints }) => endpoints > 0);
  });
  console.log(`facts ${dying.facts()}`);
}
