import type { CounterName, GaugeName, HistogramName, LabelsOf } from './definitions.ts';

/** Where the parts of an engine report what they count. */
export interface Meter {
  count<K extends CounterName>(name: K, labels: LabelsOf<K>, by?: number): void;
  observe<K extends HistogramName>(name: K, labels: LabelsOf<K>, seconds: number): void;
}

/** For an engine that nobody scrapes. */
export const NO_METER: Meter = { count() {}, observe() {} };

/** What is looked up at each scrape: gauges, and counters that the kernel or another part keeps. */
export interface Sample {
  gauge<K extends GaugeName>(name: K, labels: LabelsOf<K>, value: number): void;
  /** The counter's whole value. */
  total<K extends CounterName>(name: K, labels: LabelsOf<K>, value: number): void;
}
