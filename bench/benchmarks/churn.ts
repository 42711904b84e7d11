import { readdirSync, readFileSync } from 'node:fs';
import { result, type Result } from '../lib/measure.ts';
import { makeSite } from '../lib/site.ts';

const CYCLES = 5000;
const AT_ONCE = 50;
/** Cycles before memory and descriptors are looked at first: caches and compiled code have their size by then. */
const SETTLED = 2500;

/** Endpoints that come and go, fifty at a time, through the daemon: how long the slowest wait, and what is left behind. */
export async function churn(): Promise<Result[]> {
  await using site = await makeSite('daemon');
  site.prepare(CYCLES);
  const costs: number[] = [];
  let before: Footprint | undefined;
  for (let done = 0; done < CYCLES; done += AT_ONCE) {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        const began = performance.now();
        const { id } = await site.attach();
        costs.push(performance.now() - began);
        await site.api.endpointDetach(id);
      }),
    );
    if (done + AT_ONCE === SETTLED) before = footprint(site.pid);
  }
  const after = footprint(site.pid);
  const at = (part: number): number => costs.toSorted((a, b) => a - b)[Math.floor(costs.length * part)]!;
  return [
    result('churn/attach-p99-to-p50', 'ms', at(0.99), at(0.5)),
    result('churn/memory', 'MB', after.megabytes, before!.megabytes),
    result('churn/descriptors', '', after.descriptors, before!.descriptors),
  ];
}

interface Footprint {
  readonly megabytes: number;
  readonly descriptors: number;
}

function footprint(pid: number): Footprint {
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  return { megabytes: kilobytes / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
