import { type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import swagger from '@fastify/swagger';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, FastifySchemaCompiler } from 'fastify';
import type { EngineApi } from '../model/index.ts';
import { errorAnswer } from './failure.ts';
import { httpStatus } from './error-table.ts';
import { type MediaType, METRICS_TYPE, type Operation, paramsSchema, parseQuery, querySchema } from './operation.ts';
import { containerRoutes } from './routes/containers.ts';
import { endpointRoutes } from './routes/endpoints.ts';
import { networkRoutes } from './routes/networks.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { poolRoutes } from './routes/pools.ts';
import { systemRoutes } from './routes/system.ts';
import type { ErrorBody } from './schema/change.ts';
import { change, definitions, system } from './schema/index.ts';

/** Every path of the API but the OpenAPI document itself. */
export const OPERATIONS: readonly Operation[] = [
  ...systemRoutes,
  ...networkRoutes,
  ...containerRoutes,
  ...endpointRoutes,
  ...poolRoutes,
  ...nodeRoutes,
];

/** Values are taken as they are and unknown fields are refused: a wish is never dropped or bent in silence. */
export const AJV: { readonly customOptions: Readonly<Record<string, boolean>> } = {
  customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, discriminator: true },
};

/** What the server tells: pino fits. */
export interface ApiLog {
  isLevelEnabled(level: string): boolean;
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
export interface ApiServerOptions {
  readonly engine: EngineApi;
  readonly log?: ApiLog;
  /** Shown in the OpenAPI document. */
  readonly version?: string;
  /** Bytes; default 1 MiB. */
  readonly bodyLimit?: number;
  /** Milliseconds that an idle connection stays open; default 72 s. Says nothing about requests in flight. */
  readonly keepAliveTimeout?: number;
}

/** The API in front of an engine, not listening yet: give `http` an address or a descriptor. */
export interface ApiServer {
  readonly http: Server;
  /** The OpenAPI 3.1 document. */
  readonly document: () => object;
  /**
   * Accepts nothing more, answers what is in flight (waits and followed logs end with ESTOPPING at once), and cuts
   * what has not ended after `deadline` milliseconds; how many connections were cut.
   */
  stop(deadline: number): Promise<number>;
}

/** Compiles routes and schemas; a few tens of milliseconds. */
export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const stopping = new AbortController();
  const app = fastify({
    logger: false,
    bodyLimit: options.bodyLimit ?? 1024 * 1024,
    keepAliveTimeout: options.keepAliveTimeout ?? 72_000,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    clientErrorHandler: answerNoHttp,
    frameworkErrors: (error, _request, reply) => void sendFailure(reply, errorAnswer(error)),
    routerOptions: { querystringParser: parseQuery, maxParamLength: 512 },
    ajv: AJV,
  });
  // The compiler has checked every answer against its schema already; a compiled serialiser a route is no faster on
  // answers of this size, and costs 10 MB and 100 ms at the start.
  app.setSerializerCompiler(() => JSON.stringify);
  answerErrors(app, options.log);
  logRequests(app, options.log);
  app.addHook('onSend', (_request, reply, _payload, done) => {
    // A connection that goes idle after the stop began would hold it up.
    if (stopping.signal.aborted) reply.header('connection', 'close');
    done();
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'netloom',
        description: 'The netloom daemon, on its unix socket.',
        version: options.version ?? '0.0.0',
      },
      servers: [{ url: '/', description: 'curl --unix-socket /run/netloom/netloom.sock http://netloom/v1/version' }],
      tags: ['system', 'networks', 'containers', 'endpoints', 'pools', 'nodes'].map((name) => ({ name })),
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, index) => String(json['$id'] ?? `def-${index}`) },
  });
  for (const { schema } of definitions) app.addSchema(schema);
  for (const operation of OPERATIONS) addRoute(app, operation, options.engine, stopping.signal);
  addDocumentRoute(app);
  await app.ready();
  return {
    http: app.server,
    document: () => app.swagger(),
    stop: (deadline) => stop(app, stopping, deadline),
  };
}

function addRoute(app: FastifyInstance, operation: Operation, engine: EngineApi, stopping: AbortSignal): void {
  app.route({
    method: operation.method,
    url: operation.path,
    schema: routeSchema(operation),
    ...(operation.bodyLimit === undefined ? {} : { bodyLimit: operation.bodyLimit }),
    ...(operation.id === 'endpointAttach' ? {} : { validatorCompiler: lazyValidators(app) }),
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      const query = request.query as Record<string, unknown>;
      const params = request.params as Record<string, string>;
      const value = await operation.run({ engine, params, query, body: request.body, stopping });
      if (operation.answer === undefined) return reply.code(204).send();
      if (typeof operation.answer === 'string') {
        reply.type(operation.answer);
        return value instanceof Readable ? sendStream(reply, value) : reply.send(value);
      }
      return reply.code(operation.creates && query['dryRun'] !== true ? 201 : 200).send(value);
    },
  });
}

const FAILURE = { description: 'Failure', content: { 'application/json': { schema: change.errorBody.ref } } };

function routeSchema(operation: Operation): FastifySchema {
  const ok = successAnswers(operation);
  const params = paramsSchema(operation.path);
  return {
    operationId: operation.id,
    summary: operation.summary,
    tags: [operation.tag],
    ...(params === undefined ? {} : { params }),
    querystring: querySchema(operation.query),
    ...(operation.body === undefined ? {} : { body: operation.body.ref }),
    response: { ...ok, '4xx': FAILURE, '5xx': FAILURE },
  };
}

/**
 * Compiles a schema when the first request needs it: all of them at once are a third of the time that the daemon takes
 * to start. Attaching, which has a budget, is compiled ahead (and brings Fastify's own compiler into being).
 */
function lazyValidators(app: FastifyInstance): FastifySchemaCompiler<FastifySchema> {
  return (route) => {
    let compiled: Validator | undefined;
    const check: Validator = (value) => {
      compiled ??= app.validatorCompiler?.(route) as Validator;
      const valid = compiled(value);
      check.errors = compiled.errors;
      return valid;
    };
    return check as ReturnType<FastifySchemaCompiler<FastifySchema>>;
  };
}
interface Validator {
  (value: unknown): unknown;
  errors?: unknown;
}

const MEDIA: Readonly<Record<MediaType, string>> = {
  'application/octet-stream': 'Bytes',
  'application/x-ndjson': 'A JSON object a line, as it happens',
  [METRICS_TYPE]: 'Metrics',
};

function successAnswers({ answer, creates }: Operation): Record<string, object> {
  if (answer === undefined) return { 204: { type: 'null', description: 'Done' } };
  if (typeof answer === 'string') {
    const schema =
      answer === 'application/x-ndjson' ? system.engineEvent.ref : { type: 'string', contentMediaType: answer };
    return { 200: { description: MEDIA[answer], content: { [answer]: { schema } } } };
  }
  return creates
    ? {
        200: { description: 'The plan; nothing was changed (dryRun)', ...answer },
        201: { description: 'Created', ...answer },
      }
    : { 200: { description: 'Done', ...answer } };
}

function sendStream(reply: FastifyReply, stream: Readable): FastifyReply {
  // Headers go now: the first line of a followed log may be hours away.
  reply.raw.once('pipe', () => reply.raw.flushHeaders());
  return reply.send(stream);
}

function addDocumentRoute(app: FastifyInstance): void {
  app.route({
    method: 'GET',
    url: '/v1/openapi.json',
    schema: {
      operationId: 'openapi',
      summary: 'This document',
      tags: ['system'],
      response: {
        200: { description: 'OpenAPI 3.1', type: 'object', additionalProperties: true },
        '5xx': FAILURE,
      },
    },
    handler: (_request, reply) => reply.send(app.swagger()),
  });
}

function answerErrors(app: FastifyInstance, log: ApiLog | undefined): void {
  app.setErrorHandler((error, request, reply) => {
    const body = errorAnswer(error);
    const status = httpStatus(body.code);
    if (status === 500) log?.error({ err: error, method: request.method, url: request.url }, body.message);
    return sendFailure(reply, body);
  });
  app.setNotFoundHandler((request, reply) =>
    reply.code(httpStatus('ENOROUTE')).send({
      code: 'ENOROUTE',
      message: `the API has no ${request.method} ${request.url.split('?')[0]}`,
      hint: 'GET /v1/openapi.json lists every path',
    }),
  );
}

function sendFailure(reply: FastifyReply, body: ErrorBody): FastifyReply {
  return reply.code(httpStatus(body.code)).type('application/json; charset=utf-8').send(body);
}

/** What the parser of HTTP refuses never becomes a request: answered here, in the same form, and the connection ended. */
function answerNoHttp(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [code, message] = NO_HTTP[error.code ?? ''] ?? ['EBADREQUEST', 'the request is no HTTP that the daemon reads'];
  if (!socket.writable) return void socket.destroy();
  const body = JSON.stringify({ code, message, hint: '' });
  const status = httpStatus(code);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
const NO_HTTP: Readonly<Record<string, readonly [code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: ['ETOOLARGE', 'the headers are larger than the daemon reads'],
  ERR_HTTP_REQUEST_TIMEOUT: ['ETIMEDOUT', 'the request took too long to arrive'],
};

function logRequests(app: FastifyInstance, log: ApiLog | undefined): void {
  if (log === undefined) return;
  app.addHook('onResponse', (request, reply, done) => {
    if (log.isLevelEnabled('debug')) {
      const { method, url } = request;
      log.debug({ method, url, status: reply.statusCode, ms: Number(reply.elapsedTime.toFixed(2)) }, 'request');
    }
    done();
  });
}

async function stop(app: FastifyInstance, stopping: AbortController, deadline: number): Promise<number> {
  stopping.abort();
  const closed = app.close().then(() => true);
  const timer = new AbortController();
  const late = delay(deadline, false, { signal: timer.signal }).catch(() => true);
  const inTime = await Promise.race([closed, late]);
  timer.abort();
  if (inTime) return 0;
  const open = await new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)));
  app.server.closeAllConnections();
  await closed;
  return open;
}
