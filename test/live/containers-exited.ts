/** What the shim runs when a command has ended, as `netloom _exited` does: `containers-exited.ts OPTIONS ID`. */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';

const [json = '{}', id = ''] = process.argv.slice(2);
const { netnsPath, ...paths } = JSON.parse(json) as { netnsPath: string };
await using engine = await openEngine({ ...paths, netns: Netns.open(netnsPath) });
await engine.containerExited(id);
