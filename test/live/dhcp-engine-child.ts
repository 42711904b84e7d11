/** A resident engine in a process of its own: `dhcp-engine-child.ts OPTIONS [SPEC]` says `ready`, and attaches SPEC. */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { AttachSpec } from '../../src/model/index.ts';

const [json = '{}', spec] = process.argv.slice(2);
const { netnsPath, ...paths } = JSON.parse(json) as { netnsPath: string };
const engine = await openEngine({ ...paths, netns: Netns.open(netnsPath), resident: true, mode: 'daemon' });
console.log('ready');
const alive = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  clearInterval(alive);
  void engine[Symbol.asyncDispose]();
});
if (spec !== undefined) await engine.endpointAttach(JSON.parse(spec) as AttachSpec);
