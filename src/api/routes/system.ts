import type { Readable } from 'node:stream';
import { eventStream } from '../event-stream.ts';
import { CHANGE, METRICS_TYPE, type Operation, operation } from '../operation.ts';
import { change, system } from '../schema/index.ts';
import { untilStopping } from '../stopping.ts';

/** A rehearsal holds a whole Compose file. */
const REHEARSAL_LIMIT = 16 * 1024 * 1024;

/** What is asked of netloom as a whole. */
export const systemRoutes: readonly Operation[] = [
  operation({
    id: 'version',
    method: 'GET',
    path: '/v1/version',
    summary: 'Versions of netloom, its API, Node and the kernel',
    tag: 'system',
    answer: change.versionInfo.ref,
    run: async ({ engine }) => ({ ...(await engine.version()), mode: 'daemon' as const }),
  }),
  operation({
    id: 'rehearse',
    method: 'POST',
    path: '/v1/rehearse',
    summary: 'Plan several steps, one upon the other, and do nothing',
    tag: 'system',
    body: change.rehearsalSpec,
    bodyLimit: REHEARSAL_LIMIT,
    answer: change.rehearsalPlans.ref,
    run: ({ engine, body }) => engine.rehearse(body.steps),
  }),
  operation({
    id: 'gc',
    method: 'POST',
    path: '/v1/gc',
    summary: 'Reclaim what the dead left, remove what nobody wants, put back what is missing',
    tag: 'system',
    query: CHANGE,
    answer: change.gcOutcome.ref,
    run: ({ engine, query }) => engine.gc(query),
  }),
  operation({
    id: 'doctor',
    method: 'GET',
    path: '/v1/doctor',
    summary: 'Look at the host and at what netloom made on it; change nothing',
    tag: 'system',
    query: ['checks'],
    answer: system.doctorReport.ref,
    run: ({ engine, query, stopping }) => untilStopping(engine.doctor(query), stopping),
  }),
  operation<undefined, Readable, 'types'>({
    id: 'events',
    method: 'GET',
    path: '/v1/events',
    summary: 'What happens from now on, a JSON object a line',
    tag: 'system',
    query: ['types'],
    answer: 'application/x-ndjson',
    run: async ({ engine, query, stopping }) => eventStream(engine, query, stopping),
  }),
  ...(['/v1/metrics', '/metrics'] as const).map((path) =>
    operation<undefined, string>({
      id: path === '/metrics' ? 'scrape' : 'metrics',
      method: 'GET',
      path,
      summary: "Metrics in Prometheus' text format",
      tag: 'system',
      answer: METRICS_TYPE,
      run: ({ engine, stopping }) => untilStopping(engine.metrics(), stopping),
    }),
  ),
];
