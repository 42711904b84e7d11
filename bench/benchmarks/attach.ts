import { startFloor } from '../lib/floor.ts';
import { median, paired, timed, type Result } from '../lib/measure.ts';
import { makeSite } from '../lib/site.ts';

/** One endpoint in an existing namespace, against the messages alone: in this process, and through a daemon's socket. */
export async function attach(): Promise<Result[]> {
  return [await one('in-process'), await one('daemon')];
}

async function one(kind: 'in-process' | 'daemon'): Promise<Result> {
  const rounds = 150;
  const warmup = 30; // the compiler of JavaScript needs that many
  await using site = await makeSite(kind);
  await using floor = startFloor();
  site.prepare(rounds + warmup);
  return await paired({
    name: kind === 'daemon' ? 'attach/socket' : 'attach/in-process',
    unit: 'ms',
    rounds,
    warmup,
    ours: () => timed(() => site.attach()),
    reference: async () => median(await floor.attach(1)),
  });
}
