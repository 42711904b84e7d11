import type { Netns } from '../kernel/index.ts';
import { SyscallError } from '../kernel/index.ts';
import { headersOf, LEAST, MOST } from './message.ts';
import { type Heard, type Target, Way } from './way.ts';

/** What was found out about the way to one address of another node. */
export interface Measured {
  readonly target: Target;
  /** The answer that came back fastest; undefined where none came. */
  readonly heard?: Heard;
  /** What the network said instead: `ECONNREFUSED`, `EHOSTUNREACH`, `EMSGSIZE` … */
  readonly told: readonly string[];
  /** No datagram with a checksum was answered, and one without was. */
  readonly bare?: true;
  /** Bytes of the biggest IP packets that came through, to it and back; where any did. */
  readonly out?: number;
  readonly back?: number;
}

interface ProbeOptions {
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly port?: number;
}

/** How often a node is asked that does not answer, and for how long each time, milliseconds. */
const TRIES = 3;
const PATIENCE = 350;
/** Sizes that are tried at once. */
const COMB = 16;

/** Measures the ways to other nodes side by side; about a second where nobody answers, a few where packets get lost. */
export async function measure(
  netns: Netns | undefined,
  targets: readonly Target[],
  options: ProbeOptions,
): Promise<readonly Measured[]> {
  return await Promise.all(targets.map((target) => measureOne(netns, target, options)));
}

async function measureOne(netns: Netns | undefined, target: Target, options: ProbeOptions): Promise<Measured> {
  try {
    using way = new Way(netns, target, options);
    let first: Heard | undefined;
    for (let tries = 0; !first && tries < TRIES; tries++) first = await way.ask(LEAST, LEAST, PATIENCE);
    if (!first) {
      const heard = target.local.includes(':') ? undefined : await way.ask(LEAST, LEAST, PATIENCE, true);
      return { target, told: [...way.told], ...(heard && { heard, bare: true }) };
    }
    const sizes = await pathMtu(way, target, first);
    return { target, heard: way.best ?? first, told: [...way.told], ...sizes };
  } catch (error) {
    if (error instanceof SyscallError) return { target, told: [error.code] };
    throw error;
  }
}

async function pathMtu(way: Way, { remote, mtu }: Target, { rtt }: Heard): Promise<Pick<Measured, 'out' | 'back'>> {
  const headers = headersOf(remote);
  const full = Math.min(mtu - headers, MOST);
  const patience = Math.max(PATIENCE / 2, 4 * rtt);
  // one that was lost by chance is no limit
  const passes = async (size: number, want: number): Promise<boolean> =>
    ((await way.ask(size, want, patience)) ?? (await way.ask(size, want, patience))) !== undefined;
  if (full <= LEAST || (await passes(full, full))) return { out: full + headers, back: full + headers };
  const out = (await passes(full, LEAST)) ? full : await biggest(full, (size) => passes(size, LEAST));
  const back = (await passes(out, out)) ? out : await biggest(out, (size) => passes(out, size));
  return { out: out + headers, back: back + headers };
}

/** The biggest size that passes, of those below one that does not; `LEAST` did. */
async function biggest(tooBig: number, passes: (size: number) => Promise<boolean>): Promise<number> {
  let [good, bad] = [LEAST, tooBig];
  while (bad - good > 1) {
    const step = Math.max(1, Math.ceil((bad - good) / (COMB + 1)));
    const sizes = Array.from({ length: COMB }, (_, i) => good + (i + 1) * step).filter((size) => size < bad);
    const results = await Promise.all(sizes.map(async (size) => ({ size, passed: await passes(size) })));
    good = Math.max(good, ...results.flatMap(({ size, passed }) => (passed ? [size] : [])));
    bad = Math.min(bad, ...results.flatMap(({ size, passed }) => (!passed && size > good ? [size] : [])));
  }
  return good;
}
