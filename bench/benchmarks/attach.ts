import { startFloor } from '../lib/floor.ts';
import { median, result, timed, turns, type Result } from '../lib/measure.ts';
import { makeSite } from '../lib/site.ts';

/**
 * One endpoint in an existing namespace, against the messages alone: in this process, on a network without guard, and
 * through a daemon's socket.
 */
export async function attach(): Promise<Result[]> {
  return [
    result('attach/in-process', 'ms', ...(await one('in-process'))),
    result('attach/unguarded', 'ms', ...(await one('in-process', { guard: 'false' }))),
    result('attach/socket', 'ms', ...(await one('daemon'))),
  ];
}

/** Endpoints on the bridge at most: the kernel's own cost grows with their number, and is not what is measured. */
const CROWD = 25;
const WARM = 30; // crowds before it counts: a daemon's code is compiled after its first few hundred requests
const COUNTED = 8;

async function one(kind: 'in-process' | 'daemon', options: Record<string, string> = {}): Promise<[number, number]> {
  await using site = await makeSite(kind, options);
  await using floor = startFloor();
  const ours: number[] = [];
  const reference: number[] = [];
  for (let crowd = -WARM; crowd < COUNTED; crowd++) {
    site.prepare(CROWD);
    const endpoints: string[] = [];
    const costs = await turns({
      rounds: CROWD,
      ours: () => timed(async () => endpoints.push((await site.attach()).id)),
      reference: async () => median(await floor.attach(1)),
    });
    if (crowd >= 0) {
      ours.push(...costs.ours);
      reference.push(...costs.reference);
    }
    await Promise.all(endpoints.map((id) => site.api.endpointDetach(id)));
    await floor.detach();
  }
  return [median(ours), median(reference)];
}
