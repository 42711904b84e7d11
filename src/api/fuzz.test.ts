import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fastify, type FastifyInstance } from 'fastify';
import { NetloomError } from '../errors.ts';
import type {
  AllocateSpec,
  AttachSpec,
  ContainerSpec,
  EndpointSpec,
  EndpointUpdate,
  NetworkSpec,
  PoolSpec,
  ReleaseSpec,
} from '../model/index.ts';
import {
  parseAllocateSpec,
  parseAttachSpec,
  parseContainerSpec,
  parseEndpointSpec,
  parseEndpointUpdate,
  parseNetworkSpec,
  parsePoolSpec,
  parseReleaseSpec,
} from '../model/index.ts';
import { httpStatus } from './error-table.ts';
import { errorAnswer } from './failure.ts';
import { dice, type Dice, fuzzCases, mutate, mutateText } from './mutate.test.ts';
import { parseQuery, querySchema } from './operation.ts';
import { AJV, OPERATIONS } from './server.ts';
import { definitions } from './schema/index.ts';

const ID = '0123456789abcdef'.repeat(4);
const PORT = {
  protocol: 'tcp',
  hostAddress: '127.0.0.1',
  hostPort: 8000,
  hostPortEnd: 8010,
  containerPort: 80,
  count: 1,
};
const NETWORK = {
  name: 'web',
  driver: 'bridge',
  internal: false,
  ipv4: true,
  ipv6: true,
  subnets: [
    { subnet: '10.1.0.0/16', gateway: '10.1.0.1', ipRange: '10.1.2.0/24', auxAddresses: { router: '10.1.0.9' } },
    { subnet: 'fd00:1::/64' },
  ],
  options: { mtu: '1400', icc: 'false', 'com.docker.network.bridge.name': 'br9', gateway_mode: 'routed' },
  upstreams: ['9.9.9.9', '::1'],
  labels: { tier: 'front' },
};
const MACVLAN = {
  name: 'lan',
  driver: 'macvlan',
  ipam: 'dhcp',
  options: { parent: 'eth0.50', mode: 'source', sources: '02:00:00:00:00:01' },
};
const ENDPOINT = {
  network: 'web',
  addresses: ['10.1.0.7', 'fd00:1::7'],
  mac: '02:42:ac:14:00:02',
  aliases: ['www', 'a.b'],
  ifname: 'eth7',
  gatewayPriority: -3,
  ingressRate: 10_000_000,
  egressRate: 0,
};
const CONTAINER = {
  name: 'blog',
  command: ['sh', '-c', 'true'],
  env: { A: 'b' },
  workingDir: '/srv',
  hostname: 'blog',
  networks: [ENDPOINT, { network: 'db' }],
  ports: [PORT, { protocol: 'udp', hostPort: 0, containerPort: 53, count: 2 }],
  dns: { servers: ['9.9.9.9', '::1'], search: ['example.org'], options: ['ndots:2'] },
  extraHosts: ['db:10.0.0.9', 'six:fd00::9', 'gw:host-gateway'],
  labels: { a: '' },
  autoRemove: true,
};
const UPDATE = {
  publish: [PORT],
  unpublish: [{ protocol: 'sctp', hostAddress: '::1', hostPort: 9, count: 3 }],
  egressRate: 10_000,
};

/** A valid body of each operation that has one, and what reads it behind the schema where that is pure. */
const BODIES: Readonly<Record<string, { valid: readonly object[]; parse?: (body: never) => unknown }>> = {
  networkCreate: {
    valid: [NETWORK, MACVLAN],
    parse: (body: NetworkSpec) => parseNetworkSpec(body, { id: ID }),
  },
  networkUpdate: { valid: [{ options: { mtu: '1400' }, internal: true, upstreams: [], labels: { a: 'b' } }] },
  networkConnect: { valid: [ENDPOINT], parse: (body: EndpointSpec) => parseEndpointSpec(body) },
  containerCreate: {
    valid: [CONTAINER, { command: ['true'], networkMode: 'container:blog' }],
    parse: (body: ContainerSpec) => parseContainerSpec(body, { id: ID, name: 'calm_loom' }),
  },
  containerUpdate: {
    valid: [{ network: 'web', ...UPDATE }],
    parse: (body: EndpointUpdate) => parseEndpointUpdate(body),
  },
  containerExecPlan: { valid: [{ command: ['ls', '-l'] }] },
  endpointAttach: {
    valid: [
      { ...ENDPOINT, netns: '/run/netns/a', ports: [PORT] },
      { network: 'web', netns: '', tap: true, tapUid: 1000, ifname: 'vm0' },
    ],
    parse: (body: AttachSpec) => parseAttachSpec(body),
  },
  nodeJoin: {
    valid: [
      { etcd: ['http://192.0.2.10:2379'] },
      {
        etcd: ['https://a.example:2379', 'https://[2001:db8::1]:2379'],
        prefix: '/lab/',
        caFile: '/ca.pem',
        certFile: '/a.pem',
        keyFile: '/a.key',
        username: 'netloom',
        passwordFile: '/password',
        name: 'a',
        addresses: ['192.0.2.1', '2001:db8::1'],
      },
    ],
  },
  poolCreate: {
    valid: [{}, { name: 'lab', family: 6 }, { subnet: '10.7.0.0/24', ipRange: '10.7.0.128/25', gateway: 'none' }],
    parse: (body: PoolSpec) => parsePoolSpec(body),
  },
  addressAllocate: {
    valid: [{ pool: 'lab', owner: 'a', address: '10.7.0.9', as: 'auxiliary' }],
    parse: (body: AllocateSpec) => parseAllocateSpec(body),
  },
  addressRelease: { valid: [{ pool: 'lab', owner: 'a' }], parse: (body: ReleaseSpec) => parseReleaseSpec(body) },
  endpointUpdate: { valid: [UPDATE], parse: (body: EndpointUpdate) => parseEndpointUpdate(body) },
  rehearse: {
    valid: [
      {
        steps: [
          { verb: 'networkCreate', spec: NETWORK },
          { verb: 'containerRemove', ref: 'blog', force: true },
          { verb: 'containerCreate', spec: CONTAINER },
          { verb: 'containerStart', ref: 'blog' },
        ],
      },
    ],
  },
};

interface Validator {
  (value: unknown): boolean;
  errors?: { readonly message?: string }[] | null;
}
/** As the daemon checks them. */
async function validators(): Promise<{ bodies: Map<string, Validator>; queries: Map<string, Validator> }> {
  const app: FastifyInstance = fastify({ ajv: AJV });
  for (const { schema } of definitions) app.addSchema(schema);
  app.post('/', { schema: { body: { type: 'object' } } }, () => undefined);
  await app.ready();
  const compile = (schema: object, httpPart: string): Validator =>
    app.validatorCompiler?.({ schema, method: 'POST', url: '/', httpPart } as never) as unknown as Validator;
  const bodies = new Map<string, Validator>();
  const queries = new Map<string, Validator>();
  for (const { id, body, query } of OPERATIONS) {
    if (body !== undefined) bodies.set(id, compile(body.ref, 'body'));
    queries.set(id, compile(querySchema(query), 'querystring'));
  }
  return { bodies, queries };
}

/** One line, with a code that is no fault of ours. */
function checkRefusal(error: unknown, id: string, asked: unknown): void {
  const { code, message } = errorAnswer(error);
  if (httpStatus(code) < 500 && ONE_LINE.test(message)) return;
  assert.fail(`${code}: ${message}, for ${id} ${JSON.stringify(asked)}`);
}
const ONE_LINE = /^[^\n\r]{1,4000}$/;

/** Runs `batch` cases a seed, so that fast-check's own work is a small part of a million. */
function forSeeds(cases: number, one: (roll: Dice) => void): void {
  const batch = 100;
  const property = fc.property(fc.integer(), (seed) => {
    const roll = dice(seed);
    for (let index = 0; index < batch; index++) one(roll);
  });
  fc.assert(property, { numRuns: Math.ceil(cases / batch), endOnFailure: true });
}

test('every operation with a body has a valid one here', async () => {
  const { bodies } = await validators();
  assert.deepEqual([...bodies.keys()].toSorted(), Object.keys(BODIES).toSorted());
  for (const [id, { valid, parse }] of Object.entries(BODIES)) {
    for (const body of valid) {
      assert.equal(bodies.get(id)?.(body), true, `${id}: ${JSON.stringify(bodies.get(id)?.errors)}`);
      parse?.(body as never);
    }
  }
});

test('bodies: mutated ones are taken as they are or refused in one line, and what reads them refuses as clearly', async () => {
  const { bodies } = await validators();
  const ids = Object.keys(BODIES);
  let accepted = 0;
  forSeeds(fuzzCases(80_000), (roll) => {
    const id = ids[roll(ids.length)] ?? '';
    const { valid, parse } = BODIES[id] ?? { valid: [] };
    const body = mutate(valid[roll(valid.length)], roll);
    const check = bodies.get(id) as Validator;
    const before = roll(8) === 0 ? JSON.stringify(body) : undefined;
    if (!check(body)) {
      checkRefusal({ validation: check.errors, validationContext: 'body', statusCode: 400 }, id, body);
      return;
    }
    accepted++;
    if (before !== undefined) assert.equal(JSON.stringify(body), before, 'a wish was bent');
    try {
      parse?.(body as never);
    } catch (error) {
      assert.ok(error instanceof NetloomError, `${String(error)}, for ${id} ${JSON.stringify(body)}`);
      checkRefusal(error, id, body);
    }
  });
  assert.ok(accepted > 1000, `only ${accepted} bodies got past the schema`);
  assert.equal(({} as Record<string, unknown>)['x'], undefined);
});

test('queries: mutated ones are read by their types or refused in one line', async () => {
  const { queries } = await validators();
  const all =
    'dryRun=1&explain&all=true&force=0&follow&foreground&tail=5&timeoutSeconds=0.5&signal=TERM&checks=a,b&types=dns,gc';
  const ids = [...queries.keys()];
  forSeeds(fuzzCases(20_000), (roll) => {
    const parts = all.split('&');
    const start = roll(parts.length);
    const text = mutateText(parts.slice(start, start + 1 + roll(3)).join('&'), roll, '=&%,+;.-\0é0');
    const query = parseQuery(text);
    const id = ids[roll(ids.length)] ?? '';
    const check = queries.get(id) as Validator;
    if (!check(query))
      checkRefusal({ validation: check.errors, validationContext: 'querystring', statusCode: 400 }, id, text);
  });
});
