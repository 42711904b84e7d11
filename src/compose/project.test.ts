import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCompose } from './parse.ts';
import { buildProject, configHash, LABEL, type Project, projectNameOf } from './project.ts';

async function project(text: string, options: { services?: string[]; profiles?: string[] } = {}): Promise<Project> {
  const file = await parseCompose([{ name: 'compose.yaml', text }], () => undefined);
  return buildProject(file, {
    name: 'shop',
    directory: '/srv/shop',
    files: ['/srv/shop/compose.yaml'],
    environments: new Map([['web', { A: '1' }]]),
    ...options,
  });
}

test('names, labels, aliases and the implicit network are those of Docker Compose', async () => {
  const { networks, services } = await project(
    `
networks: { front: {}, other: { name: given }, there: { external: true }, unused: {} }
services:
  web: { command: node s.mjs, working_dir: app, networks: { front: { aliases: [www, web] }, other: {}, there: {} }, depends_on: [db], stop_grace_period: 3s }
  db: { command: d, scale: 2 }
  own: { command: o, container_name: mine, network_mode: service:web, mac_address: }
`.replace(', mac_address: ', ''),
  );
  assert.deepEqual(
    networks.map(({ name, spec }) => [name, spec?.labels?.[LABEL.network]]),
    [
      ['shop_front', 'front'],
      ['given', 'other'],
      ['there', undefined],
      ['shop_default', 'default'],
    ],
  );
  assert.deepEqual(
    services.map((service) => service.containers.map((container) => container.name)),
    [['shop-db-1', 'shop-db-2'], ['shop-web-1'], ['mine']],
  );
  const web = services[1]!.containers[0]!.spec;
  assert.deepEqual(web.networks, [
    { network: 'shop_front', aliases: ['web', 'www'] },
    { network: 'given', aliases: ['web'] },
    { network: 'there', aliases: ['web'] },
  ]);
  assert.equal(web.workingDir, '/srv/shop/app');
  assert.deepEqual(web.env, { A: '1' });
  assert.deepEqual(web.labels, {
    [LABEL.project]: 'shop',
    [LABEL.service]: 'web',
    [LABEL.number]: '1',
    [LABEL.hash]: services[1]!.containers[0]!.hash,
    [LABEL.dependsOn]: 'db:service_started:false',
    [LABEL.workingDir]: '/srv/shop',
    [LABEL.files]: '/srv/shop/compose.yaml',
    [LABEL.stopSeconds]: '3',
  });
  const own = services[2]!.containers[0]!.spec;
  assert.equal(own.networkMode, 'container:shop-web-1');
  assert.equal(own.networks, undefined);
  assert.equal(own.workingDir, '/srv/shop');
});

test('modes: none and host join nothing, bridge joins the default network with its MAC address', async () => {
  const { networks, services } = await project(`
services:
  a: { command: x, network_mode: none }
  b: { command: x, network_mode: host }
  c: { command: x, network_mode: bridge, mac_address: "02:42:00:00:00:09" }
  d: { command: x, network_mode: container:somebody }
`);
  assert.deepEqual(networks, []);
  assert.deepEqual(
    services.map(({ containers: [container] }) => container!.spec.networkMode ?? container!.spec.networks),
    ['none', 'host', [{ network: 'bridge', mac: '02:42:00:00:00:09' }], 'container:somebody'],
  );
});

test('a service alone brings what it needs; profiles keep the rest away', async () => {
  const text = `
services:
  web: { command: x, depends_on: { db: { required: true }, tool: { required: false } } }
  db: { command: x }
  other: { command: x }
  tool: { command: x, profiles: [debug] }
  needy: { command: x, profiles: [more], depends_on: [tool] }
`;
  const names = async (options: Parameters<typeof project>[1]): Promise<string[]> =>
    (await project(text, options)).services.map((service) => service.name);
  assert.deepEqual(await names({}), ['db', 'web', 'other']);
  assert.deepEqual(await names({ services: ['web'] }), ['db', 'web']);
  assert.deepEqual(await names({ services: ['tool'] }), ['tool']);
  assert.deepEqual(await names({ profiles: ['debug'] }), ['db', 'tool', 'web', 'other']);
  assert.deepEqual(await names({ profiles: ['*'] }), ['db', 'tool', 'web', 'other', 'needy']);
  await assert.rejects(
    names({ profiles: ['more'] }),
    /compose\.yaml:7:\d+: services\.needy\.depends_on: needy needs tool, which belongs to the profile debug/,
  );
  await assert.rejects(
    names({ services: ['wbe'] }),
    /there is no service wbe; the file has web, db, other, tool, needy/,
  );
});

test('a cycle is named with every step of it', async () => {
  const text = `services:
  a: { command: x, depends_on: [b] }
  b: { command: x, depends_on: [c] }
  c: { command: x, network_mode: "service:b" }
`;
  await assert.rejects(project(text), {
    code: 'ECOMPOSE',
    message:
      'compose.yaml:3:33: services.b.depends_on: services wait for each other: b -> c (compose.yaml:3:33) -> b (compose.yaml:4:34); take one of these dependencies out',
  });
  await assert.rejects(project('services:\n  a: { command: x, depends_on: [a] }'), /a -> a \(compose\.yaml:2:33\)/);
});

test('two services on one host port are found before anything starts', async () => {
  const two = (a: string, b: string): string =>
    `services:\n  a: { command: x, ports: ["${a}"] }\n  b: { command: x, ports: ["${b}"] }\n`;
  await assert.rejects(project(two('80:80', '127.0.0.1:80:1')), {
    message:
      'compose.yaml:3:28: services.b.ports[0]: 127.0.0.1:80/tcp is published by a (line 2) as well; choose another host port',
  });
  await project(two('80:80', '80:80/udp'));
  await assert.rejects(
    project('services: { a: { command: x, ports: ["80:80"], scale: 2 } }'),
    /another container of a.*give a range/,
  );
  await project('services: { a: { command: x, ports: ["80-81:80"], scale: 2 } }');
});

test('the hash follows what matters and nothing else', async () => {
  const hash = async (text: string): Promise<string> =>
    (await project(`services: { web: { command: x, ${text} } }`)).services[0]!.containers[0]!.hash;
  assert.equal(
    await hash('hostname: h, labels: { a: b, c: d }'),
    await hash('labels: [c=d, a=b], hostname: h, expose: [1]'),
  );
  const different = await Promise.all(
    [
      'hostname: h',
      'ports: ["80:80"]',
      'labels: { a: b }',
      'dns: 1.1.1.1',
      'working_dir: w',
      'networks: { default: { aliases: [z] } }',
      'networks: { default: { x-netloom: { egress_rate: 1mbit } } }',
    ].map(hash),
  );
  assert.equal(new Set(different).size, different.length);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string()), (labels) => {
      const turned = Object.fromEntries(Object.entries(labels).toReversed());
      assert.equal(configHash({ name: 'n', labels }), configHash({ labels: turned, name: 'n' }));
    }),
  );
});

test('rates of a service’s networks are those of its endpoints', async () => {
  const rates = '{ x-netloom: { ingress_rate: 10mbit, egress_rate: 2mbit } }';
  const { services } = await project(`services: { web: { command: x, networks: { default: ${rates} } } }`);
  const [endpoint] = services[0]?.containers[0]?.spec.networks ?? [];
  assert.equal(endpoint?.ingressRate, 10_000_000);
  assert.equal(endpoint?.egressRate, 2_000_000);
});

test('project names from folders', () => {
  assert.deepEqual(['/srv/My Shop!', '/srv/_x-1', '/'].map(projectNameOf), ['myshop', 'x-1', '']);
});
