import Type, { type TSchema } from 'typebox';
import { type EngineApi, EVENT_TYPES, type EventType } from '../model/index.ts';
import type { Named } from './schema/index.ts';

/** Every query parameter of the API. */
export interface QueryTypes {
  readonly dryRun: boolean;
  readonly explain: boolean;
  readonly all: boolean;
  readonly force: boolean;
  readonly undo: boolean;
  readonly behind: boolean;
  readonly follow: boolean;
  readonly foreground: boolean;
  readonly tail: number;
  readonly timeoutSeconds: number;
  readonly signal: string;
  readonly checks: readonly string[];
  readonly nodes: readonly string[];
  readonly networks: readonly string[];
  readonly types: readonly EventType[];
}
type QueryName = keyof QueryTypes;
export type QueryValues<K extends QueryName> = { readonly [P in K]?: QueryTypes[P] };

/** Their schemas: the parser reads the types here, the routes pick by name. */
export const QUERY: { readonly [K in QueryName]: Type.TUnsafe<QueryTypes[K]> } = {
  dryRun: flag('Plan only: nothing is stored, nothing is applied. Implies `explain`.'),
  explain: flag('The plan comes beside the result.'),
  all: flag('Those that have ended, too.'),
  force: flag('Kill a running one first; take back what was given out; whatever was found.'),
  undo: flag('The other way about.'),
  behind: flag('Answer once it is recorded, before the kernel has done it.'),
  follow: flag('Go on until the container has ended.'),
  foreground: flag("The command runs on the caller's terminal."),
  tail: Type.Unsafe<number>(Type.Integer({ minimum: 0, description: 'Only the last lines.' })),
  timeoutSeconds: Type.Unsafe<number>(Type.Number({ minimum: 0, description: 'From SIGTERM to SIGKILL; default 10.' })),
  signal: Type.Unsafe<string>(Type.String({ minLength: 1, description: '`SIGTERM`, `TERM` or `15`.' })),
  checks: Type.Unsafe<readonly string[]>({
    type: 'array',
    minItems: 1,
    items: { type: 'string', minLength: 1 },
    description: 'These checks only, with commas between them; missing: all.',
  }),
  nodes: Type.Unsafe<readonly string[]>({
    type: 'array',
    minItems: 1,
    items: { type: 'string', minLength: 1 },
    description: 'These nodes only, with commas between them; missing: all that are heard of.',
  }),
  networks: Type.Unsafe<readonly string[]>({
    type: 'array',
    minItems: 1,
    items: { type: 'string', minLength: 1 },
    description: 'These networks only, with commas between them; missing: all that have it.',
  }),
  types: Type.Unsafe<readonly EventType[]>({
    type: 'array',
    minItems: 1,
    items: { type: 'string', enum: EVENT_TYPES },
    description: 'These types only, with commas between them; missing: all but `dns`.',
  }),
};
function flag(description: string): Type.TUnsafe<boolean> {
  return Type.Unsafe<boolean>({ type: 'boolean', description });
}

/** What a handler is given, checked already. */
export interface Call<B, Q> {
  readonly engine: EngineApi;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Q;
  readonly body: B;
  /** Aborts when the daemon stops: whatever may take minutes ends then. */
  readonly stopping: AbortSignal;
}

/** Answers that are not one JSON document: bytes or lines as they come, or a text. */
export type MediaType = 'application/octet-stream' | 'application/x-ndjson' | typeof METRICS_TYPE;
/** @see https://prometheus.io/docs/instrumenting/exposition_formats/#basic-info */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** One method on one path: all that the router, the validator, the serialiser and the OpenAPI document need. */
export interface Operation<B = unknown, A = unknown, Q = unknown> {
  /** The name of the `EngineApi` verb. */
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `/v1/networks/:ref` */
  readonly path: string;
  readonly summary: string;
  readonly tag: 'system' | 'networks' | 'containers' | 'endpoints' | 'pools' | 'nodes';
  readonly query: readonly QueryName[];
  readonly body?: Named<B>;
  /** Bytes; missing: the daemon's limit, 1 MiB. */
  readonly bodyLimit?: number;
  /** Missing: 204. Else a schema of JSON, or what is not JSON by its media type. */
  readonly answer?: Type.TUnsafe<A> | MediaType;
  /** Answers 201, unless it was a dry run. */
  readonly creates: boolean;
  readonly run: (call: Call<B, Q>) => Promise<A>;
}

type Asked<B, A, K extends QueryName> = Omit<Operation<B, A, QueryValues<K>>, 'query' | 'creates'> & {
  readonly query?: readonly K[];
  readonly creates?: boolean;
};

/** Ties the handler to the schemas: it is given the body's type and must return the answer's. */
export function operation<B = undefined, A = void, K extends QueryName = never>(asked: Asked<B, A, K>): Operation {
  return { query: [], creates: false, ...asked } as unknown as Operation;
}

/** Asked of every change. */
export const CHANGE = ['dryRun', 'explain'] as const;

/** An answer that is a plain list. */
export function listOf<M>(item: Named<M>): Type.TUnsafe<readonly M[]> {
  return Type.Unsafe<readonly M[]>({ type: 'array', items: item.ref });
}

/** Schema of the names in a path. */
export function paramsSchema(path: string): TSchema | undefined {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] as string);
  if (names.length === 0) return undefined;
  const described = (name: string): string =>
    name === 'node' ? "The node's name." : 'Name, id, or unique beginning of an id.';
  return Type.Object(
    Object.fromEntries(names.map((name) => [name, Type.String({ minLength: 1, description: described(name) })])),
  );
}

/** Schema of a query string. */
export function querySchema(names: readonly QueryName[]): TSchema {
  return Type.Object(Object.fromEntries(names.map((name) => [name, Type.Optional(QUERY[name])])), {
    additionalProperties: false,
  });
}

/**
 * Reads a query string by the types of `QUERY`: `?force`, `?force=1` and `?force=true` are true. What does not read stays
 * text, and the schema refuses it by name.
 */
export function parseQuery(query: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  if (query === '') return values;
  for (const [name, value] of new URLSearchParams(query))
    values[name] = convert((QUERY as Record<string, TSchema>)[name], value);
  return values;
}

function convert(schema: TSchema | undefined, value: string): unknown {
  const type: unknown = schema !== undefined && 'type' in schema ? schema.type : undefined;
  if (type === 'boolean') {
    if (value === '' || value === '1' || value === 'true') return true;
    return value === '0' || value === 'false' ? false : value;
  }
  if (type === 'array') return value === '' ? [] : value.split(',');
  if (type === 'integer' || type === 'number') return /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return value;
}
