import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type CounterName, type Definition, type GaugeName, type HistogramName, METRICS } from './definitions.ts';
import type { Meter, Sample } from './meter.ts';

/** Counts in a registry of its own, and writes it out. */
export class PrometheusMeter implements Meter, Sample {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Histogram>();

  constructor() {
    const registers = [this.#registry];
    for (const [name, definition] of Object.entries<Definition>(METRICS)) {
      const { type, help, labels, buckets = [] } = definition;
      const common = { name, help, labelNames: [...labels], registers };
      if (type === 'counter') this.#counters.set(name, new Counter(common));
      else if (type === 'gauge') this.#gauges.set(name, new Gauge(common));
      else this.#histograms.set(name, new Histogram({ ...common, buckets: [...buckets] }));
    }
  }

  count(name: CounterName, labels: Readonly<Record<string, string>>, by = 1): void {
    this.#counters.get(name)?.inc(labels, by);
  }
  observe(name: HistogramName, labels: Readonly<Record<string, string>>, seconds: number): void {
    this.#histograms.get(name)?.observe(labels, seconds);
  }
  gauge(name: GaugeName, labels: Readonly<Record<string, string>>, value: number): void {
    this.#gauges.get(name)?.set(labels, value);
  }
  total(name: CounterName, labels: Readonly<Record<string, string>>, value: number): void {
    this.#counters.get(name)?.remove(labels);
    this.#counters.get(name)?.inc(labels, value);
  }

  /** The text format, after `fill` has looked up what is only known now. */
  async exposition(fill: (sample: Sample) => Promise<void>): Promise<string> {
    for (const gauge of this.#gauges.values()) gauge.reset(); // what is gone must not be told for ever
    await fill(this);
    return await this.#registry.metrics();
  }
}
