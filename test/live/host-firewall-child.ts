/**
 * A resident engine in a process of its own: `host-firewall-child.ts OPTIONS` says `ready`, and kills itself as soon as an
 * element of a set of denied ports has reached the kernel, or has left it.
 */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';

const { netnsPath, ...paths } = JSON.parse(process.argv[2] ?? '{}') as { netnsPath: string };
await openEngine({
  ...paths,
  netns: Netns.open(netnsPath),
  resident: true,
  mode: 'daemon',
  onFact({ fact }) {
    if (fact.kind === 'nft-element' && fact.set.name.startsWith('denied')) process.kill(process.pid, 'SIGKILL');
  },
});
console.log('ready');
setInterval(() => undefined, 60_000);
