/**
 * One change, killed in the middle: `kill-child.ts OPTIONS OPERATION N` dies by SIGKILL right after the Nth fact has
 * reached the kernel, and exits with 0 when there were fewer.
 */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { operations } from './operations.ts';

const [json = '{}', name = '', at = '0'] = process.argv.slice(2);
const { netnsPath, ...options } = JSON.parse(json) as {
  netnsPath: string;
  stateDir: string;
  runDir: string;
  netnsDir: string;
  etcNetnsDir: string;
};
let armed = false;
let facts = 0;
await using engine = await openEngine({
  ...options,
  netns: Netns.open(netnsPath),
  onFact() {
    if (armed && ++facts === Number(at)) process.kill(process.pid, 'SIGKILL');
  },
});
armed = true;
const operation = operations[name];
if (!operation) throw new Error(`no operation ${name}`);
await operation.run(engine, options.netnsDir);
