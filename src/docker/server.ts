import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { NetloomError } from '../errors.ts';
import type { EngineApi } from '../model/index.ts';
import { IpamDriver } from './ipam-driver.ts';
import { type Fields, parseRequest } from './message.ts';
import { NetworkDriver, type Scope } from './network-driver.ts';

/** @see https://docs.docker.com/engine/extend/plugin_api/ */
const MEDIA_TYPE = 'application/vnd.docker.plugins.v1.2+json';
/** Bytes: Docker sends a few kilobytes. */
const BODY_MAX = 1 << 20;

/** What the door tells: pino fits. */
export interface DockerLog {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
export interface DockerDoorOptions {
  readonly engine: EngineApi;
  /** Default local. */
  readonly scope?: Scope;
  readonly log?: DockerLog;
}

type Method = (request: Fields) => Fields | Promise<Fields>;

/**
 * Docker's plugin protocol in front of an engine, not listening yet: requests are POSTed to the name of what is asked
 * for, and answered by a JSON object. Whoever can connect can do all of this.
 */
export function createDockerDoor({ engine, scope = 'local', log }: DockerDoorOptions): Server {
  const methods = methodsOf(engine, scope);
  return createServer((request, response) => {
    const name = (request.url ?? '').slice(1);
    const began = performance.now();
    answer(methods.get(name), name, request)
      .then(
        (fields) => {
          log?.debug({ method: name, ms: Math.round((performance.now() - began) * 10) / 10 }, 'docker asked');
          send(response, 200, fields);
        },
        (error: unknown) => {
          // what this release of ours does not know a newer Docker takes as it is
          const known = methods.has(name);
          if (known) log?.warn({ method: name, err: error }, 'docker was refused');
          // network drivers and address management have a word each for it
          const text = textOf(error);
          send(response, known ? 500 : 404, { Err: text, Error: text });
        },
      )
      .catch((error: unknown) => log?.warn({ err: error }, 'docker went away before it was answered'));
  });
}

function methodsOf(engine: EngineApi, scope: Scope): ReadonlyMap<string, Method> {
  const network = new NetworkDriver(engine, scope);
  const ipam = new IpamDriver(engine);
  return new Map<string, Method>([
    ['Plugin.Activate', () => ({ Implements: ['NetworkDriver', 'IpamDriver'] })],
    ['NetworkDriver.GetCapabilities', () => network.GetCapabilities()],
    ['NetworkDriver.GwAllocCheck', (request) => network.GwAllocCheck(request)],
    ['NetworkDriver.AllocateNetwork', (request) => network.AllocateNetwork(request)],
    ['NetworkDriver.FreeNetwork', () => network.FreeNetwork()],
    ['NetworkDriver.CreateNetwork', (request) => network.CreateNetwork(request)],
    ['NetworkDriver.DeleteNetwork', (request) => network.DeleteNetwork(request)],
    ['NetworkDriver.CreateEndpoint', (request) => network.CreateEndpoint(request)],
    ['NetworkDriver.DeleteEndpoint', (request) => network.DeleteEndpoint(request)],
    ['NetworkDriver.EndpointOperInfo', (request) => network.EndpointOperInfo(request)],
    ['NetworkDriver.Join', (request) => network.Join(request)],
    ['NetworkDriver.Leave', () => network.Leave()],
    ['NetworkDriver.ProgramExternalConnectivity', (request) => network.ProgramExternalConnectivity(request)],
    ['NetworkDriver.RevokeExternalConnectivity', (request) => network.RevokeExternalConnectivity(request)],
    ['NetworkDriver.DiscoverNew', () => network.DiscoverNew()],
    ['NetworkDriver.DiscoverDelete', () => network.DiscoverDelete()],
    ['IpamDriver.GetCapabilities', () => ipam.GetCapabilities()],
    ['IpamDriver.GetDefaultAddressSpaces', () => ipam.GetDefaultAddressSpaces()],
    ['IpamDriver.RequestPool', (request) => ipam.RequestPool(request)],
    ['IpamDriver.ReleasePool', (request) => ipam.ReleasePool(request)],
    ['IpamDriver.RequestAddress', (request) => ipam.RequestAddress(request)],
    ['IpamDriver.ReleaseAddress', (request) => ipam.ReleaseAddress(request)],
  ]);
}

async function answer(method: Method | undefined, name: string, request: IncomingMessage): Promise<Fields> {
  const body = await readAll(request);
  if (!method || request.method !== 'POST') throw new NetloomError('EDOCKER', `netloom has no ${name}`);
  return await method(parseRequest(body));
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > BODY_MAX) throw new NetloomError('ETOOLARGE', `the request has more than ${BODY_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, fields: Fields): void {
  response.writeHead(status, { 'content-type': MEDIA_TYPE }).end(JSON.stringify(fields));
}

/** One line, with what to do about it: Docker prints it as it is. */
function textOf(error: unknown): string {
  if (!(error instanceof NetloomError)) return error instanceof Error ? error.message : String(error);
  const { message, hint } = error;
  return hint === '' || hint === undefined ? message : `${message} (${hint})`;
}
