import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { createApiServer, OPERATIONS } from '../../src/api/server.ts';
import { httpStatus } from '../../src/api/error-table.ts';
import { NetloomError } from '../../src/errors.ts';
import { MemoryEngine, rig, type Rig } from './api-fixture.ts';

interface Answer {
  readonly status: number | undefined;
  readonly body: any; // oxlint-disable-line typescript/no-explicit-any
}

async function ask(it: Rig, line: string, body?: string, type = 'application/json'): Promise<Answer> {
  const [method = 'GET', path = '/'] = line.split(' ');
  const headers = body === undefined ? {} : { 'content-type': type };
  const sent = request({ socketPath: it.socketPath, method, path, headers, agent: false });
  sent.end(body);
  const [response] = await once(sent, 'response');
  const answered = await text(response);
  return { status: response.statusCode, body: answered === '' ? undefined : JSON.parse(answered) };
}

test('status of success: 201 for what was made, 200 for plans and questions, 204 for nothing to say', async () => {
  await using it = await rig();
  const network = JSON.stringify({ name: 'web' });
  assert.equal((await ask(it, 'POST /v1/networks', network)).status, 201);
  assert.equal((await ask(it, 'POST /v1/networks?dryRun', network)).status, 200);
  assert.equal((await ask(it, 'POST /v1/networks?explain=1', network)).status, 201);
  assert.equal((await ask(it, 'POST /v1/containers', '{"name":"blog","command":["true"]}')).status, 201);
  assert.equal((await ask(it, 'POST /v1/containers/blog/networks', '{"network":"web"}')).status, 201);
  assert.equal((await ask(it, 'POST /v1/endpoints', '{"network":"web","netns":"/run/netns/a"}')).status, 201);
  assert.equal((await ask(it, 'POST /v1/containers/blog/kill')).status, 200);
  assert.deepEqual(it.engine.calls.at(-1), ['containerKill', 'blog', 'SIGKILL', {}]);
  assert.deepEqual(await ask(it, 'POST /v1/containers/blog/exited'), { status: 204, body: undefined });
  assert.equal((await ask(it, 'DELETE /v1/networks/web?dryRun=true')).status, 200);
});

test('query words: bare, 1, true; 0 and false; nothing is sent on that was not asked', async () => {
  await using it = await rig();
  for (const [query, expected] of [
    ['?dryRun', { dryRun: true }],
    ['?dryRun=1&explain=true', { dryRun: true, explain: true }],
    ['?explain=0', { explain: false }],
    ['?explain=false', { explain: false }],
    ['', {}],
  ] as const) {
    await ask(it, `POST /v1/networks/prune${query}`);
    assert.deepEqual({ ...(it.engine.calls.at(-1)?.[1] as object) }, expected);
  }
});

const BAD: readonly (readonly [string, string | undefined, string])[] = [
  ['POST /v1/networks', '{"name":"web","subnets":[{"subnet":5}]}', 'body/subnets/0/subnet must be string'],
  ['POST /v1/networks', '{"name":"web","subnets":"10.0.0.0/8"}', 'body/subnets must be array'],
  ['POST /v1/networks', '{}', "body must have required property 'name'"],
  ['POST /v1/networks', '{"name":null}', 'body/name must be string'],
  ['POST /v1/networks', '{"name":""}', 'body/name must NOT have fewer than 1 characters'],
  ['POST /v1/networks', '{"name":"web","internal":"true"}', 'body/internal must be boolean'],
  ['POST /v1/networks', '{"name":"web","subnet":"10.0.0.0/8"}', "body has no field 'subnet'"],
  ['POST /v1/networks', '{"name":"web","labels":{"a":1}}', 'body/labels/a must be string'],
  ['POST /v1/networks', '[]', 'body must be object'],
  ['POST /v1/networks', undefined, 'body must be object'],
  ['POST /v1/networks?dryRun=maybe', '{"name":"web"}', 'query/dryRun must be boolean'],
  ['POST /v1/networks?dryrun=1', '{"name":"web"}', "query has no field 'dryrun'"],
  ['POST /v1/containers', '{"command":"a"}', 'body/command must be array'],
  ['POST /v1/containers', '{"command":["a"],"dns":{"server":[]}}', "body/dns has no field 'server'"],
  [
    'POST /v1/containers',
    '{"command":["a"],"networks":[{"name":"x"}]}',
    "body/networks/0 must have required property 'network'",
  ],
  ['POST /v1/endpoints', '{"network":"web"}', "body must have required property 'netns'"],
  [
    'POST /v1/endpoints',
    '{"network":"web","netns":"/a","ports":[{"protocol":"icmp","hostPort":1,"containerPort":1,"count":1}]}',
    'body/ports/0/protocol must be one of tcp, udp, sctp',
  ],
  [
    'POST /v1/endpoints',
    '{"network":"web","netns":"/a","ports":[{"protocol":"tcp","hostPort":65536,"containerPort":1,"count":1}]}',
    'body/ports/0/hostPort must be <= 65535',
  ],
  ['GET /v1/containers/a/logs?tail=-1', undefined, 'query/tail must be >= 0'],
  ['GET /v1/containers/a/logs?tail=x', undefined, 'query/tail must be integer'],
  ['PATCH /v1/networks/web', '{"driver":"macvlan"}', "body has no field 'driver'"],
  ['PATCH /v1/networks/web', '{"options":{"mtu":1400}}', 'body/options/mtu must be string'],
  ['PATCH /v1/containers/a', '{"ingressRate":-1}', 'body/ingressRate must be >= 0'],
  ['PATCH /v1/containers/a', '{"egressRate":"10mbit"}', 'body/egressRate must be integer'],
  ['PATCH /v1/containers/a', '{"network":""}', 'body/network must NOT have fewer than 1 characters'],
  ['PATCH /v1/endpoints/a', '{"network":"web"}', "body has no field 'network'"],
  [
    'PATCH /v1/endpoints/a',
    '{"unpublish":[{"protocol":"tcp","hostPort":0,"count":1}]}',
    'body/unpublish/0/hostPort must be >= 1',
  ],
  [
    'GET /v1/events?types=network,nosuch',
    undefined,
    'query/types/1 must be one of network, endpoint, container, repair, gc, dns, dhcp, engine, cluster',
  ],
  ['GET /v1/events?types=', undefined, 'query/types must NOT have fewer than 1 items'],
  ['GET /v1/doctor?checks=a,,b', undefined, 'query/checks/1 must NOT have fewer than 1 characters'],
  ['POST /v1/rehearse', '{}', "body must have required property 'steps'"],
  [
    'POST /v1/rehearse',
    '{"steps":[{"verb":"containerKill","ref":"a"}]}',
    'body/steps/0/verb must be one of networkCreate, networkRemove, containerCreate, containerStart, containerStop, containerRemove',
  ],
  [
    'POST /v1/rehearse',
    '{"steps":[{"verb":"networkCreate","spec":{"name":5}}]}',
    'body/steps/0/spec/name must be string',
  ],
  [
    'POST /v1/rehearse',
    '{"steps":[{"verb":"networkRemove","ref":"a","force":true}]}',
    "body/steps/0 has no field 'force'",
  ],
  ['POST /v1/containers/a/stop?timeoutSeconds=soon', undefined, 'query/timeoutSeconds must be number'],
];
test('a bad request: 400, one line that names the field, and the engine hears nothing', async () => {
  await using it = await rig();
  for (const [line, body, message] of BAD) {
    const answer = await ask(it, line, body);
    assert.deepEqual([answer.status, answer.body.code, answer.body.message], [400, 'EBADREQUEST', message], line);
  }
  assert.deepEqual(it.engine.calls, []);
});

test('no JSON, another kind of body, a body that is too large, poisoned JSON', async () => {
  await using it = await rig({ bodyLimit: 1000 });
  for (const [body, type, status, code] of [
    ['{"name":', 'application/json', 400, 'EBADREQUEST'],
    ['', 'application/json', 400, 'EBADREQUEST'],
    ['name=web', 'application/x-www-form-urlencoded', 400, 'EBADREQUEST'],
    ['{"name":"web","__proto__":{"x":1}}', 'application/json', 400, 'EBADREQUEST'],
    [JSON.stringify({ name: 'x'.repeat(2000) }), 'application/json', 413, 'ETOOLARGE'],
  ] as const) {
    const answer = await ask(it, 'POST /v1/networks', body, type);
    assert.deepEqual([answer.status, answer.body.code], [status, code], body.slice(0, 40));
    assert.match(answer.body.message, /^[^\n]+$/);
  }
  assert.deepEqual(it.engine.calls, []);
  assert.equal((await ask(it, 'GET /v1/version')).status, 200);
});

test('paths that are not there', async () => {
  await using it = await rig();
  for (const line of ['GET /', 'GET /v2/networks', 'PUT /v1/networks', 'POST /v1/networks/web', 'GET /v1/networks?']) {
    const answer = await ask(it, line);
    if (line === 'GET /v1/networks?') assert.equal(answer.status, 200);
    else assert.deepEqual([answer.status, answer.body.code], [404, 'ENOROUTE'], line);
  }
});

test('every code answers the status of the table; an unknown one 500, and is logged', async () => {
  const logged: string[] = [];
  const log = {
    isLevelEnabled: () => false,
    debug: () => undefined,
    error: (_: object, message: string) => void logged.push(message),
  };
  await using it = await rig({ log });
  for (const [code, status] of [
    ['ENOENT', 404],
    ['EEXIST', 409],
    ['EADDRINUSE', 409],
    ['EINVAL', 400],
    ['EPERM', 403],
    ['EACCES', 403],
    ['EUNSUPPORTED', 501],
    ['ENOSPC', 507],
    ['EAGAIN', 503],
    ['EINTERNAL', 500],
    ['ENEVERHEARD', 500],
  ] as const) {
    assert.equal(httpStatus(code), status);
    it.engine.failure = new NetloomError(code, `message of ${code}`, { hint: 'h' });
    const answer = await ask(it, 'GET /v1/networks');
    assert.deepEqual(answer, { status, body: { code, message: `message of ${code}`, hint: 'h' } });
  }
  assert.deepEqual(logged, ['message of EINTERNAL', 'message of ENEVERHEARD']);
});

test('success is logged at debug level only', async () => {
  const lines: unknown[] = [];
  let level = 'info';
  const log = {
    isLevelEnabled: (asked: string) => asked === level,
    debug: (fields: object) => void lines.push(fields),
    error: () => undefined,
  };
  await using it = await rig({ log });
  await ask(it, 'GET /v1/networks');
  assert.deepEqual(lines, []);
  level = 'debug';
  await ask(it, 'GET /v1/networks?');
  const [line] = lines as { method: string; url: string; status: number; ms: number }[];
  assert.deepEqual([line?.method, line?.url, line?.status, typeof line?.ms], ['GET', '/v1/networks?', 200, 'number']);
});

test('the OpenAPI document says all about every route', async () => {
  await using it = await rig();
  const { body: document } = await ask(it, 'GET /v1/openapi.json');
  assert.equal(document.openapi, '3.1.0');
  assert.equal(document.info.version, '9.9.9');
  const ids = new Set<string>();
  let routes = 0;
  for (const [path, methods] of Object.entries<Record<string, Answer['body']>>(document.paths)) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    for (const [method, route] of Object.entries(methods)) {
      const where = `${method} ${path}`;
      routes += 1;
      ids.add(route.operationId);
      assert.match(route.summary, /^[A-Z]/, where);
      const inPath = (route.parameters ?? []).filter((parameter: { in: string }) => parameter.in === 'path');
      assert.deepEqual(
        inPath.map((parameter: { name: string }) => parameter.name),
        names,
        where,
      );
      assert.ok(
        inPath.every((parameter: { required: boolean }) => parameter.required),
        where,
      );
      assert.ok(
        Object.keys(route.responses).some((status) => status.startsWith('2')),
        where,
      );
      for (const status of path === '/v1/openapi.json' ? ['5XX'] : ['4XX', '5XX']) {
        assert.deepEqual(
          route.responses[status]?.content,
          { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
          where,
        );
      }
      for (const answer of Object.values<{ description: string }>(route.responses))
        assert.ok(answer.description, where);
      const isDryRun = (parameter: { name: string }): boolean => parameter.name === 'dryRun';
      if (
        /^(gc|(network|endpoint|container)(Create|Update|Remove|Prune|Connect|Disconnect|Attach|Detach|Start|Stop|Kill))$/.test(
          route.operationId,
        )
      ) {
        assert.ok(route.parameters.some(isDryRun), where);
      }
    }
  }
  assert.equal(ids.size, routes);
  for (const { id } of OPERATIONS) assert.ok(ids.has(id), id);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] as string);
  for (const reference of references) {
    assert.ok(document.components.schemas[reference.replace('#/components/schemas/', '')], reference);
  }
});

test('the document is there before anything listens', async () => {
  const api = await createApiServer({ engine: new MemoryEngine(), version: '1.2.3' });
  assert.equal((api.document() as { info: { version: string } }).info.version, '1.2.3');
  await api.stop(0);
});
