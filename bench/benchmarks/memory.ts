import { readFileSync } from 'node:fs';
import { result, type Result } from '../lib/measure.ts';
import { makeSite, type Site } from '../lib/site.ts';

const COUNT = 1000;

/** Resident memory of the daemon with 1,000 endpoints, against the same daemon with none. */
export async function memory(): Promise<Result[]> {
  {
    await using _first = await makeSite('daemon'); // fills the compile cache: without it, Node loads a compiler too
  }
  await using site = await makeSite('daemon');
  await site.api.endpointList();
  const empty = resident(site);
  site.prepare(COUNT);
  for (let done = 0; done < COUNT; done += 50) await Promise.all(Array.from({ length: 50 }, () => site.attach()));
  await site.api.endpointList();
  return [result('memory', 'MB', resident(site), empty)];
}

/** @see proc_pid_status(5) VmRSS, in kB */
function resident({ pid }: Site): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
}
