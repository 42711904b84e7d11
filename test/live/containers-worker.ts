/**
 * Another process on the same store, driven by its arguments: `containers-worker.ts OPTIONS VERB ...`
 *   many PREFIX COUNT   creates, starts, checks and removes so many containers at once
 *   resolv              creates a container `box` in mode none
 *   die N VERB          does a change and kills itself after its Nth fact (0: right before it is settled)
 */
import { openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { changes } from './containers-changes.ts';
import { churn } from './containers-churn.ts';

const [json = '{}', verb = '', ...args] = process.argv.slice(2);
const { netnsPath, ...paths } = JSON.parse(json) as { netnsPath: string };
let armed = false;
let facts = 0;
await using engine = await openEngine({
  ...paths,
  netns: Netns.open(netnsPath),
  onFact() {
    if (armed && ++facts === Number(args[0])) process.kill(process.pid, 'SIGKILL');
  },
});
switch (verb) {
  case 'many':
    console.log(JSON.stringify(await churn(engine, args[0]!, Number(args[1]))));
    break;
  case 'resolv':
    await engine.containerCreate({ name: 'box', command: ['true'], networkMode: 'none' });
    break;
  case 'die':
    armed = true;
    await changes[args[1]!]!.run(engine);
    break;
  default:
    throw new Error(`no verb ${verb}`);
}
