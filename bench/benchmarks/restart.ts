import { Netns } from '../../src/kernel/index.ts';
import { ADDRESS } from '../../test/lib/host.ts';
import { startTraffic } from '../../test/lib/traffic.ts';
import { median, type Result } from '../lib/measure.ts';
import { makeResident } from '../lib/resident.ts';

const COUNT = Number(process.env['NETLOOM_BENCH_ENDPOINTS'] ?? 1000);
const ROUNDS = 5;
/** What the issue asks for, milliseconds. */
const GOAL_MS = 1000;

/** 1,000 endpoints; the daemon killed and started again, while traffic goes through a published port. */
export async function restart(): Promise<Result[]> {
  await using site = await makeResident(COUNT);
  using server = Netns.open(site.spaces[0]!);
  await using traffic = await startTraffic({
    client: site.host.outside,
    server,
    serverPort: 80,
    address: ADDRESS.host,
    port: site.endpoints[0]!.ports[0]!.hostPort,
  });
  const ready: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await site.end(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
    ready.push(await site.start());
  }
  const { lost, broken, refused } = await traffic.stop();
  const ms = median(ready);
  return [
    { name: 'restart/ready', unit: 'ms', ours: ms, reference: GOAL_MS, ratio: ms / GOAL_MS },
    // nothing to compare with: none is allowed
    { name: 'restart/lost', unit: 'packets', ours: lost, reference: 0, ratio: lost },
    { name: 'restart/broken', unit: 'connections', ours: broken + refused, reference: 0, ratio: broken + refused },
  ];
}
