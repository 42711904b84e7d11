/** What netloom counts and measures. `prometheus.ts` is loaded by those who write it out only. */
export { type CounterName, type Definition, type GaugeName, type HistogramName, METRICS } from './definitions.ts';
export { type Meter, NO_METER, type Sample } from './meter.ts';
