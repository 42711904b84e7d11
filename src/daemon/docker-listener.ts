import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Scope } from '../docker/index.ts';
import type { EngineApi } from '../model/index.ts';
import type { Logger } from './log.ts';
import { claimSocketPath, listenOnPath } from './socket-file.ts';

/** Milliseconds for requests in flight at the end; Docker asks again what it had no answer to. */
const DEADLINE = 5_000;

/**
 * Serves Docker's plugin protocol on a socket that only root can connect to: who can, can give any process of the host any
 * network. @throws as `claimSocketPath`
 */
export async function serveDocker(
  engine: EngineApi,
  path: string,
  scope: Scope | undefined,
  log: Logger,
): Promise<AsyncDisposable> {
  const { createDockerDoor } = await import('../docker/index.ts');
  // as Docker makes it, where we are first: others may go through and see nothing
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  const claim = await claimSocketPath(path);
  const server = createDockerDoor({ engine, log, ...(scope !== undefined && { scope }) });
  try {
    await listenOnPath(server, path, 0o600);
  } catch (error) {
    claim.close();
    throw error;
  }
  log.info({ socket: path }, 'docker’s drivers');
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), DEADLINE);
      await closed;
      clearTimeout(timer);
      claim.close();
    },
  };
}
