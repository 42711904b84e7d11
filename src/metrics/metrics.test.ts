import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Definition, METRICS } from './definitions.ts';
import { PrometheusMeter } from './prometheus.ts';

test('names follow the conventions', () => {
  for (const [name, { type, labels, help, buckets }] of Object.entries<Definition>(METRICS)) {
    assert.match(name, /^netloom_[a-z0-9_]+$/);
    assert.equal(name.endsWith('_total'), type === 'counter', `${name}: counters, and no others, end in _total`);
    if (type === 'histogram') assert.match(name, /_seconds$/);
    assert.equal(buckets !== undefined, type === 'histogram', name);
    for (const label of labels) assert.match(label, /^[a-z_]+$/);
    assert.match(help, /\.$/);
  }
});

test('counters add up, totals replace, gauges of what is gone vanish', async () => {
  const meter = new PrometheusMeter();
  meter.count('netloom_repairs_total', { kind: 'link', verb: 'add' });
  meter.count('netloom_repairs_total', { kind: 'link', verb: 'add' }, 2);
  meter.observe('netloom_operation_duration_seconds', { verb: 'networkCreate' }, 0.003);
  const first = await meter.exposition(async (sample) => {
    sample.gauge('netloom_endpoints', { network: 'web' }, 4);
    sample.total('netloom_dropped_packets_total', { reason: 'spoofed' }, 7);
  });
  assert.match(first, /^netloom_repairs_total\{kind="link",verb="add"\} 3$/m);
  assert.match(first, /^netloom_endpoints\{network="web"\} 4$/m);
  assert.match(first, /^netloom_dropped_packets_total\{reason="spoofed"\} 7$/m);
  assert.match(first, /^netloom_operation_duration_seconds_bucket\{le="0.005",verb="networkCreate"\} 1$/m);
  assert.match(first, /^netloom_operation_duration_seconds_bucket\{le="0.002",verb="networkCreate"\} 0$/m);
  const second = await meter.exposition(async (sample) => {
    sample.total('netloom_dropped_packets_total', { reason: 'spoofed' }, 9);
  });
  assert.doesNotMatch(second, /netloom_endpoints\{/);
  assert.match(second, /^netloom_dropped_packets_total\{reason="spoofed"\} 9$/m);
  assert.match(second, /^netloom_repairs_total\{kind="link",verb="add"\} 3$/m);
});

test('every metric is in the reference', () => {
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  for (const [name, { help }] of Object.entries<Definition>(METRICS)) {
    assert.ok(
      page.includes(`\`${name}\``) && page.includes(help),
      `${name}: run node src/metrics/docs.ts > docs/metrics.md`,
    );
  }
});
