import { once } from 'node:events';
import type { Server } from 'node:http';
import { dirname, join } from 'node:path';
import { DEFAULT_SOCKET } from '../api/client.ts';
import { createApiServer } from '../api/server.ts';
import type { EngineApi } from '../model/index.ts';
import type { Scope } from '../docker/index.ts';
import { activationDescriptor } from './activation.ts';
import { CallServer } from './calls.ts';
import { serveDocker } from './docker-listener.ts';
import { watchLife } from './life.ts';
import { type Logger, openLog } from './log.ts';
import { parseMetricsAddress, serveMetrics } from './metrics-listener.ts';
import { boundPath, claimSocketPath, giveToGroup, listenOnPath } from './socket-file.ts';

export interface DaemonOptions {
  /** The engine, or how to open one: called once the socket is known to be ours. The daemon disposes of it. */
  readonly engine: EngineApi | ((log: Logger) => Promise<EngineApi>);
  /** Default /run/netloom/netloom.sock. Not used where systemd passes a socket. */
  readonly socketPath?: string;
  /** Where namespaces of callers get a path that have none here; default: beside the socket. */
  readonly runDir?: string;
  /** pino's names; default `info`. */
  readonly logLevel?: string;
  /** Instead of one made from `logLevel`. */
  readonly log?: Logger;
  /** The group that may use the socket, where the machine has it; default `netloom`. */
  readonly group?: string;
  /** Milliseconds for requests in flight at the stop; default 10,000. */
  readonly stopDeadline?: number;
  /** Serve metrics by TCP, too: `127.0.0.1:9464`. */
  readonly metricsListen?: string;
  /** Serve Docker's plugin protocol on this socket, too, to root alone: `/run/docker/plugins/netloom.sock`. */
  readonly dockerSocket?: string;
  /** Whether Docker takes networks for this host's or a swarm's; default local. */
  readonly dockerScope?: Scope;
  /** Stops the daemon as SIGTERM does. */
  readonly signal?: AbortSignal;
  /** Called once requests are answered. */
  readonly onListening?: () => void;
}

/**
 * Serves an engine on a unix socket until SIGTERM, SIGINT or `signal`; resolves when everything is put away: requests
 * in flight answered, the engine closed, the socket file removed (systemd's own stays).
 * @throws NetloomError EDAEMONRUNNING, ENOTSOCK, ENAMETOOLONG, EINVAL, and what opening the engine raises.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const log = options.log ?? openLog({ level: options.logLevel ?? 'info' });
  const metricsAt = options.metricsListen === undefined ? undefined : parseMetricsAddress(options.metricsListen);
  const descriptor = activationDescriptor();
  const socketPath = options.socketPath ?? DEFAULT_SOCKET;
  using life = watchLife(log, options.signal);
  using _claim = descriptor === undefined ? await claimSocketPath(socketPath) : undefined;
  const directory = dirname((descriptor !== undefined && boundPath(descriptor)) || socketPath);
  const callPath = join(directory, 'call.sock');
  using _callClaim = await claimSocketPath(callPath);
  await using engine = typeof options.engine === 'function' ? await options.engine(log) : options.engine;
  const { version } = await engine.version();
  const telling = new AbortController();
  const told = logEvents(engine, log, telling.signal);
  await using _telling = new AsyncDisposableStack();
  _telling.defer(async () => {
    telling.abort();
    await told;
  });
  await using _docker =
    options.dockerSocket === undefined
      ? undefined
      : await serveDocker(engine, options.dockerSocket, options.dockerScope, log);
  await using _metrics = metricsAt && (await serveMetrics(engine, metricsAt, log));
  const api = await createApiServer({ engine, log, version });
  if (life.stop.aborted) return void (await api.stop(0));

  // first: whoever is answered by the API may call
  const calls = new CallServer({ engine, log, path: callPath, runDir: options.runDir ?? directory });
  try {
    if (descriptor === undefined) await listenOnOwn(api.http, socketPath, options.group ?? 'netloom', log);
    else await listenOnDescriptor(api.http, descriptor);
  } catch (error) {
    await calls.stop(0);
    throw error;
  }
  log.info({ socket: descriptor === undefined ? socketPath : `fd ${descriptor}`, version }, 'listening');
  options.onListening?.();

  if (!life.stop.aborted) await once(life.stop, 'abort');
  const deadline = options.stopDeadline ?? 10_000;
  const cut = (await Promise.all([api.stop(deadline), calls.stop(deadline)])).reduce((sum, each) => sum + each);
  if (cut > 0) log.warn({ connections: cut }, 'requests did not end in time and were cut');
  log.info({}, 'stopped');
}

/** What happened without anybody's request belongs in the log. */
async function logEvents(engine: EngineApi, log: Logger, signal: AbortSignal): Promise<void> {
  for await (const event of engine.events({ types: ['repair', 'gc', 'dhcp', 'engine'] }, signal)) {
    const { type, action, name, attributes } = event;
    const bad = action === 'fault' || action === 'back-off' || action === 'behind';
    log[bad ? 'warn' : 'info']({ ...attributes, what: name }, `${type} ${action}`);
  }
}

async function listenOnOwn(server: Server, path: string, group: string, log: Logger): Promise<void> {
  await listenOnPath(server, path);
  try {
    if (!giveToGroup(path, group)) log.debug({ group }, 'no such group: the socket is for its owner only');
  } catch (error) {
    log.warn({ err: error, group }, 'the socket could not be given to the group');
  }
}

function listenOnDescriptor(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
