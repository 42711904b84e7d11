import { paired, timed, type Result } from '../lib/measure.ts';
import { makeSite, port, type Site } from '../lib/site.ts';

const PUBLISHED = 5000;
const PER_ENDPOINT = 100;
const FIRST = 10_000;
const RANGE = 1000;

/** What a port costs when many are published already, and what a range costs beside a port. */
export async function publish(): Promise<Result[]> {
  return [await one(), await range()];
}

/** An endpoint with one port, on a host where 5,000 are published, against one where none is. */
async function one(): Promise<Result> {
  const rounds = 100;
  const warmup = 30;
  await using crowded = await makeSite();
  await using empty = await makeSite();
  crowded.prepare(PUBLISHED / PER_ENDPOINT);
  for (let done = 0; done < PUBLISHED; done += PER_ENDPOINT) {
    // every second port, so that neighbours are never merged into a range
    await crowded.attach(Array.from({ length: PER_ENDPOINT }, (_, i) => port(FIRST + 2 * (done + i))));
  }
  // as many endpoints on the other host, so that the ports are the only difference
  empty.prepare(PUBLISHED / PER_ENDPOINT);
  for (let done = 0; done < PUBLISHED; done += PER_ENDPOINT) await empty.attach();
  return await paired({
    name: 'publish/one',
    unit: 'ms',
    rounds,
    warmup,
    ours: publisher(crowded, rounds + warmup, 1),
    reference: publisher(empty, rounds + warmup, 1),
  });
}

/** A range of 1,000 ports in one `-p`, against a single one. */
async function range(): Promise<Result> {
  const rounds = 30;
  const warmup = 15;
  await using wide = await makeSite();
  await using narrow = await makeSite();
  return await paired({
    name: 'publish/range',
    unit: 'ms',
    rounds,
    warmup,
    ours: publisher(wide, rounds + warmup, RANGE),
    reference: publisher(narrow, rounds + warmup, 1),
  });
}

/** Attaches an endpoint with ports, then takes it away again so that the next turn finds the same host. */
function publisher(site: Site, turns: number, count: number): () => Promise<number> {
  site.prepare(turns);
  return async () => {
    let id = '';
    const cost = await timed(async () => ({ id } = await site.attach([port(30_001, count)])));
    await site.api.endpointDetach(id);
    return cost;
  };
}
