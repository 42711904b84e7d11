/** One figure of a benchmark, beside what it is compared with. */
export interface Result {
  /** `attach/in-process`. */
  readonly name: string;
  /** `ours` ÷ `reference`, whatever the unit: a cost is better small, a rate (`…/s`) is better large. */
  readonly ratio: number;
  readonly ours: number;
  readonly reference: number;
  readonly unit: string;
}

/** One side of a comparison: does the thing once and says what it cost, or how fast it was, in the result's unit. */
export type Side = () => number | Promise<number>;

export interface Pairing {
  readonly name: string;
  readonly unit: string;
  /** Turns of each side. */
  readonly rounds: number;
  /** Turns before that, which do not count. */
  readonly warmup?: number;
  readonly ours: Side;
  readonly reference: Side;
}

/**
 * Takes turns (ours, reference, reference, ours, …), so that whatever else the machine does falls on both, and compares
 * the medians. The ratio holds on a noisy machine; the two figures are only as good as the machine.
 */
export async function paired({ name, unit, rounds, warmup = 3, ours, reference }: Pairing): Promise<Result> {
  await turns({ rounds: warmup, ours, reference });
  const costs = await turns({ rounds, ours, reference });
  return result(name, unit, median(costs.ours), median(costs.reference));
}

/** As `paired`, where the machine's pace drifts more than the two sides differ: the ratio is the median of the rounds'. */
export async function sideBySide(pairing: Pairing): Promise<Result> {
  const { name, unit, rounds, warmup = 3, ours, reference } = pairing;
  await turns({ rounds: warmup, ours, reference });
  const costs = await turns({ rounds, ours, reference });
  const ratio = median(costs.ours.map((cost, i) => cost / costs.reference[i]!));
  return { ...result(name, unit, median(costs.ours), median(costs.reference)), ratio };
}

/** What each turn of each side cost. */
export async function turns(
  sides: Pick<Pairing, 'rounds' | 'ours' | 'reference'>,
): Promise<{ readonly ours: number[]; readonly reference: number[] }> {
  const costs = { ours: [] as number[], reference: [] as number[] };
  for (let round = 0; round < sides.rounds; round++) {
    const order = round % 2 === 0 ? (['ours', 'reference'] as const) : (['reference', 'ours'] as const); // neither always follows
    for (const side of order) costs[side].push(await sides[side]());
  }
  return costs;
}

export function result(name: string, unit: string, ours: number, reference: number): Result {
  if (!(ours > 0) || !(reference > 0)) throw new Error(`${name}: nothing was measured (${ours}, ${reference})`);
  return { name, ratio: ours / reference, ours, reference, unit };
}

/** Milliseconds that a call takes. */
export async function timed(call: () => unknown): Promise<number> {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The smallest that `p` per cent of the values do not exceed. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * p) / 100) - 1)]!;
}

/** `attach/in-process: 1.40 (ours 0.870 ms, reference 0.620 ms)` */
export function line({ name, ratio, ours, reference, unit }: Result): string {
  return `${name}: ${ratio.toFixed(2)} (ours ${figure(ours)} ${unit}, reference ${figure(reference)} ${unit})`;
}

/** The same for programs: one object a line. */
export function json(r: Result): string {
  const { name, unit } = r;
  return JSON.stringify({
    name,
    ratio: rounded(r.ratio),
    ours: rounded(r.ours),
    reference: rounded(r.reference),
    unit,
  });
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
function figure(value: number): string {
  return value >= 1000 ? String(Math.round(value)) : value.toPrecision(3);
}
