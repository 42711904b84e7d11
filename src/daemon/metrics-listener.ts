import { createServer } from 'node:http';
import { once } from 'node:events';
import { NetloomError } from '../errors.ts';
import type { EngineApi } from '../model/index.ts';
import type { Logger } from './log.ts';

/** Where metrics are served besides the daemon's own socket: `127.0.0.1:9464`, `[::1]:9464`, `:9464` for every address. */
export interface MetricsAddress {
  /** Undefined: every address. */
  readonly host: string | undefined;
  readonly port: number;
}

/** @throws NetloomError EBADADDRESS */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) {
    throw new NetloomError('EBADADDRESS', `"${text}" is no address to serve metrics at`, {
      hint: 'write ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464',
    });
  }
  const host = bracketed ?? plain;
  return { host: host === '' ? undefined : host, port };
}

/** Serves `GET /metrics`, and nothing else, by TCP: what Prometheus can scrape. @throws NetloomError EADDRINUSE, EBADADDRESS */
export async function serveMetrics(engine: EngineApi, at: MetricsAddress, log: Logger): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics' || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.writeHead(404).end('there is /metrics here, and nothing else\n');
      return;
    }
    engine.metrics().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      (error: unknown) => {
        log.error({ err: error }, 'metrics could not be told');
        response.writeHead(500).end();
      },
    );
  });
  const listening = once(server, 'listening');
  server.listen(at.port, at.host);
  try {
    await listening;
  } catch (error) {
    const { code = 'EINTERNAL', message } = error as NodeJS.ErrnoException;
    throw new NetloomError(code === 'EADDRINUSE' ? code : 'EBADADDRESS', `metrics cannot be served: ${message}`, {
      cause: error,
      hint: 'choose another --metrics-listen',
    });
  }
  const address = server.address();
  log.info({ metrics: typeof address === 'object' ? `${address?.address}:${address?.port}` : address }, 'metrics');
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
