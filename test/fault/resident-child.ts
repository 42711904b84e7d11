/** A resident engine in a process of its own: `resident-child.ts OPTIONS` says `ready`, and lives until a signal. */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';

const { netnsPath, ...options } = JSON.parse(process.argv[2] ?? '{}') as {
  netnsPath: string;
  stateDir: string;
  runDir: string;
  netnsDir: string;
  etcNetnsDir: string;
};
const engine = await openEngine({ ...options, netns: Netns.open(netnsPath), resident: true, mode: 'daemon' });
const { finished, failed, repaired } = engine.recovery;
console.log(`ready ${JSON.stringify({ finished, failed, repaired: repaired.length })}`);
const alive = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  clearInterval(alive);
  void engine[Symbol.asyncDispose]();
});
