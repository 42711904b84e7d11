/** `node src/metrics/docs.ts > docs/metrics.md` */
import { type Definition, METRICS } from './definitions.ts';

const rows = Object.entries<Definition>(METRICS).map(
  ([name, { type, labels, help }]) =>
    `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
);
process.stdout.write(`# Metrics

\`netloom metrics\`, or \`GET /metrics\` on the daemon's socket, in Prometheus' text format. Times are seconds, sizes bytes.
Generated from src/metrics/definitions.ts.

| name | type | labels | meaning |
|---|---|---|---|
${rows.join('\n')}
`);
