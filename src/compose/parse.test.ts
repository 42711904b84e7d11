import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ComposeError } from './errors.ts';
import { knownKeys, NETWORK_KEYS, PORT_KEYS, SERVICE_KEYS, SERVICE_NETWORK_KEYS } from './keys.ts';
import { type ComposeFile, parseCompose } from './parse.ts';

const variables: Record<string, string> = { PORT: '8080', YES: 'true' };
const parse = (...texts: readonly string[]): Promise<ComposeFile> =>
  parseCompose(
    texts.map((text, index) => ({ name: index === 0 ? 'compose.yaml' : `over${index}.yaml`, text })),
    (name) => variables[name],
  );
async function faults(...texts: readonly string[]): Promise<string[]> {
  const error = await parse(...texts).then(
    () => assert.fail('the file was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ComposeError);
  return error.message.split('\n');
}

test('a whole file', async () => {
  const file = await parse(`
name: shop
x-common: &common
  working_dir: app
  environment: &env { LEVEL: debug, VERSION: 1.10, FLAG: true }
networks:
  front:
    driver: bridge
    driver_opts: { com.docker.network.driver.mtu: 1400 }
    ipam:
      driver: default
      config:
        - subnet: 10.9.0.0/24
          gateway: 10.9.0.254
          ip_range: 10.9.0.128/25
          aux_addresses: { printer: 10.9.0.5 }
        - subnet: fd09::/64
    enable_ipv6: \${YES}
    labels: [ "tier=front", bare ]
  back: { internal: true }
  there: { external: true, name: somebody's }
services:
  web:
    <<: *common
    entrypoint: node --title "a b"
    command: [ server.mjs, "$$HOME", 80 ]
    environment:
      <<: *env
      LEVEL: info
      NOTHING:
    networks:
      back: { priority: 10, aliases: [ www ], ipv4_address: 10.8.0.2, gw_priority: -1, x-mine: 1, x-netloom: { ingress_rate: 10mbit, egress_rate: 500kbit } }
      front: { ipv4_address: 10.9.0.130, ipv6_address: "FD09::0:5", mac_address: 02-42-AC-00-00-01, interface_name: front0 }
      there:
    ports:
      - "\${PORT}:80"
      - 53/udp
      - { target: 443, published: "8443-8450", host_ip: 127.0.0.1, protocol: tcp, mode: host, name: tls, app_protocol: https }
      - { target: 81, published: 8081, mode: ingress }
    dns: 9.9.9.9
    dns_search: [ a.example, b.example ]
    dns_opt: [ ndots:2 ]
    extra_hosts: { one: 10.0.0.1, two: [ 10.0.0.2, "[fd00::2]" ], gw: host-gateway }
    depends_on:
      db: { condition: service_completed_successfully, restart: true }
      maybe: { condition: service_started, required: false }
    expose: [ 1 ]
    hostname: www
    labels: { a: b }
    restart: "no"
    stop_grace_period: 1m
    x-anything: { image: fine }
  db:
    command: sleep 5
    network_mode: none
    scale: 2
`);
  assert.equal(file.name, 'shop');
  assert.deepEqual(
    file.networks.map(({ key, name, external, spec }) => ({ key, name, external, spec })),
    [
      {
        key: 'front',
        name: '',
        external: false,
        spec: {
          driver: 'bridge',
          ipv6: true,
          subnets: [
            {
              subnet: '10.9.0.0/24',
              gateway: '10.9.0.254',
              ipRange: '10.9.0.128/25',
              auxAddresses: { printer: '10.9.0.5' },
            },
            { subnet: 'fd09::/64' },
          ],
          options: { 'com.docker.network.driver.mtu': '1400' },
          labels: { tier: 'front', bare: '' },
        },
      },
      { key: 'back', name: '', external: false, spec: { driver: 'bridge', internal: true } },
      { key: 'there', name: "somebody's", external: true, spec: {} },
    ],
  );
  const [web, db] = file.services;
  assert.deepEqual(web!.command, ['node', '--title', 'a b', 'server.mjs', '$HOME', '80']);
  assert.equal(web!.workingDir, 'app');
  assert.deepEqual(web!.environment, [
    {
      kind: 'values',
      values: new Map<string, string | null>([
        ['LEVEL', 'info'],
        ['VERSION', '1.10'],
        ['FLAG', 'true'],
        ['NOTHING', null],
      ]),
    },
  ]);
  assert.deepEqual(
    web!.networks.map(({ at: _, ...network }) => network),
    [
      {
        key: 'back',
        aliases: ['www'],
        addresses: ['10.8.0.2'],
        gatewayPriority: -1,
        ingressRate: 10_000_000,
        egressRate: 500_000,
      },
      { key: 'front', aliases: [], addresses: ['10.9.0.130', 'fd09::5'], mac: '02:42:ac:00:00:01', ifname: 'front0' },
      { key: 'there', aliases: [], addresses: [] },
    ],
  );
  assert.deepEqual(
    web!.ports.map((port) => port.spec),
    [
      { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 },
      { protocol: 'udp', hostPort: 0, containerPort: 53, count: 1 },
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8443, hostPortEnd: 8450, containerPort: 443, count: 1 },
      { protocol: 'tcp', hostPort: 8081, containerPort: 81, count: 1, mode: 'ingress' },
    ],
  );
  assert.deepEqual(web!.dns, { servers: ['9.9.9.9'], search: ['a.example', 'b.example'], options: ['ndots:2'] });
  assert.deepEqual(web!.extraHosts, ['one:10.0.0.1', 'two:10.0.0.2', 'two:fd00::2', 'gw:host-gateway']);
  assert.deepEqual(
    web!.dependsOn.map(({ at: _, ...rest }) => rest),
    [
      { service: 'db', condition: 'completed', required: true, restart: true },
      { service: 'maybe', condition: 'started', required: false, restart: false },
    ],
  );
  assert.equal(web!.stopSeconds, 60);
  assert.equal(db!.replicas, 2);
  assert.equal(db!.mode.kind, 'none');
});

test('every fault of a file is told, in its order, with its place and its cure', async () => {
  assert.deepEqual(
    await faults(`services:
  web:
    image: nginx
    command: "a 'b"
    enviroment: {}
    ports: ["80:http"]
    networks: [lost]
    restart: always
  idle:
    environment: {}
    depends_on: [nobody]
    mac_address: 01:00:00:00:00:01
networks:
  net:
    ipam: { config: [ { subnet: 10.0.0.0/24, gateway: 10.0.1.1 } ], driver: fancy }
    internal: maybe
volume: {}
volumes: {}
`),
    [
      'compose.yaml:3:5: services.web.image: netloom runs no images: a service is a command of this host in a network namespace of its own; remove the key, or list it under x-netloom-ignore',
      `compose.yaml:4:14: services.web.command: a quote or a backslash stands alone; close it, or write a list of words`,
      'compose.yaml:5:5: services.web.enviroment: unknown key; did you mean environment?',
      'compose.yaml:6:13: services.web.ports[0]: "http" is no port: a port is a number from 1 to 65535',
      "compose.yaml:7:16: services.web.networks: there is no network lost; add it to the file's networks (there: net)",
      'compose.yaml:8:14: services.web.restart: netloom does not restart commands that end; use a systemd unit for that; write "no", remove the key, or list restart under x-netloom-ignore',
      'compose.yaml:9:3: services.idle: there is no command to run; add command: netloom runs no images that would bring one',
      'compose.yaml:11:18: services.idle.depends_on: there is no service nobody; the file has web, idle',
      'compose.yaml:12:18: services.idle.mac_address: "01:00:00:00:00:01" is no usable MAC address: a multicast address cannot be an interface’s own; make the first byte even',
      'compose.yaml:15:55: networks.net.ipam.config[0].gateway: 10.0.1.1 is outside the subnet 10.0.0.0/24; choose one inside',
      'compose.yaml:15:77: networks.net.ipam.driver: there is no such address driver; write default or dhcp',
      'compose.yaml:16:15: networks.net.internal: expected true or false, found "maybe"',
      'compose.yaml:17:1: volume: unknown key; did you mean volumes?',
      'compose.yaml:18:1: volumes: netloom mounts nothing: containers see the host’s own file system; remove the key, or list it under x-netloom-ignore',
    ],
  );
});

test('what is no YAML, or no Compose file at all', async () => {
  assert.match((await faults('services:\n  web: [a\n'))[0]!, /^compose\.yaml:\d+:\d+: no valid YAML: /);
  assert.match((await faults('a: 1\na: 2\n'))[0]!, /^compose\.yaml:2:1: no valid YAML: .*unique/);
  assert.deepEqual(await faults(''), ['compose.yaml:1:1: the file is empty; add services with a command each']);
  assert.deepEqual(await faults('- a'), ['compose.yaml:1:1: expected keys such as services and networks']);
  assert.deepEqual(await faults('services: {}'), [
    'compose.yaml:1:1: there are no services; add services with a command each',
  ]);
  assert.deepEqual(await faults('services: 5'), [
    'compose.yaml:1:1: there are no services; add services with a command each',
    'compose.yaml:1:11: services: expected a map of keys and values, found "5"',
  ]);
  assert.match((await faults('services: { "a b": { command: x } }')).join(), /"a b" is no name/);
  assert.match(
    (await faults('services: { a: { command: *nowhere } }')).join(),
    /1:27: there is no anchor &nowhere above/,
  );
  assert.match((await faults('services: { a: &loop { command: x, x-y: *loop } }')).join(), /inside its own anchor/);
  assert.match(
    (await faults('services: { a: { command: "${GONE:?say where}" } }')).join(),
    /1:27: the variable GONE is required: say where/,
  );
});

test('aliases that multiply are stopped, not followed', async () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `x-${i + 1}: &a${i + 1} [${Array.from({ length: 9 }, () => `*a${i}`).join(', ')}]`,
  );
  const [first] = await faults(['x-0: &a0 [1, 2, 3]', ...levels, 'services: { a: { command: x } }'].join('\n'));
  assert.match(first!, /more than 200000 values/);
});

test('rates: faults with their places', async () => {
  const file = (rates: string): string =>
    `services:\n  a:\n    command: x\n    networks:\n      net:\n        x-netloom: ${rates}\nnetworks: { net: }\n`;
  const { services } = await parse(file('{ ingress_rate: none, egress_rate: 64kibit }'));
  assert.equal(services[0]?.networks[0]?.ingressRate, 0);
  assert.equal(services[0]?.networks[0]?.egressRate, 65_536);
  const path = 'services.a.networks.net.x-netloom';
  assert.deepEqual(await faults(file('{ ingress_rate: 10m, egress_rate: 1kbit, ingres_rate: 1 }')), [
    `compose.yaml:6:36: ${path}.ingress_rate: "10m" is no rate; Write bits a second as 10mbit, 1gbit or 500kbit, bytes a second as 10mbps (tc(8) has the units), or none.`,
    `compose.yaml:6:54: ${path}.egress_rate: egress rate 1000: write whole bits per second, 8000 to 1000000000000, or 0 for no limit`,
    `compose.yaml:6:61: ${path}.ingres_rate: unknown key; did you mean ingress_rate?`,
  ]);
  assert.match((await faults(file('10mbit'))).join(), /expected a map of keys and values, found "10mbit"/);
});

test('a port says whether it obeys the host’s firewall', async () => {
  const file = (own: string): string =>
    `services:\n  a:\n    command: x\n    ports:\n      - target: 80\n        published: 8080\n        x-netloom: ${own}\n      - 81:81\n`;
  const { services } = await parse(file('{ firewall: open }'));
  assert.deepEqual(
    services[0]?.ports.map(({ spec }) => spec.firewall),
    ['open', undefined],
  );
  const path = 'services.a.ports[0].x-netloom';
  assert.deepEqual(await faults(file('{ firewall: closed }')), [
    `compose.yaml:7:32: ${path}.firewall: "closed" is no choice; write obey or open`,
  ]);
  assert.match((await faults(file('{ firewal: open }'))).join(), /unknown key; did you mean firewall\?/);
});

test('x-netloom-ignore: by name or all, for the file or for one service', async () => {
  const services = (extra: string): string =>
    `services:\n  a: { command: x, image: i, build: ., restart: always${extra} }\n  b: { command: y }\n`;
  await parse(`x-netloom-ignore: true\nvolumes: {}\n${services(', deploy: { resources: {} }')}`);
  await parse(services(', x-netloom-ignore: [image, build, restart]'));
  await parse(services(', x-netloom-ignore: true'));
  assert.equal((await faults(services(', x-netloom-ignore: [image]'))).length, 2);
  assert.equal((await faults(`x-netloom-ignore: [image]\n${services(', x-netloom-ignore: [build]')}`)).length, 1);
  // ignoring what netloom cannot do is no licence for typing errors
  assert.match((await faults(`x-netloom-ignore: true\n${services(', comand: z')}`)).join(), /did you mean command/);
  const healthy =
    'services:\n  a: { command: x, depends_on: { b: { condition: service_healthy } } }\n  b: { command: y, healthcheck: {} }\n';
  assert.equal((await faults(healthy)).length, 2);
  const file = await parse(`x-netloom-ignore: [healthcheck]\n${healthy}`);
  assert.equal(file.services[0]!.dependsOn[0]!.condition, 'started');
});

test('network_mode goes with nothing that needs a namespace of its own', async () => {
  const one = (mode: string, extra: string): string =>
    `services:\n  a: { command: x, network_mode: "${mode}"${extra} }\n  b: { command: y }\n`;
  for (const mode of ['none', 'host', 'bridge', 'service:b', 'container:other']) await parse(one(mode, ''));
  assert.match((await faults(one('host', ', ports: ["80:80"]'))).join(), /remove ports, or network_mode/);
  assert.match((await faults(one('bridge', ', networks: [default]'))).join(), /exclude each other/);
  assert.match((await faults(one('service:b', ', hostname: h'))).join(), /host name belongs to the service/);
  assert.match((await faults(one('service:c', ''))).join(), /there is no service c/);
  assert.match((await faults(one('front', ''))).join(), /is no network mode/);
});

test('several files: maps join, lists grow, commands and equal ports are replaced, !reset and !override', async () => {
  const base = `
services:
  web:
    command: [a, b]
    environment: [ONE=1, TWO=2]
    ports: ["80:80", "81:81"]
    dns: 1.1.1.1
    networks: [front]
    depends_on: [db]
    labels: { keep: "1", gone: "2" }
    working_dir: old
  db: { command: d, ports: ["90:90"] }
networks: { front: {}, back: {} }
`;
  const over = `
services:
  web:
    command: c
    environment: { TWO: 3, THREE: 3 }
    ports: [{ target: 81, published: 81 }, "82:82"]
    dns: [8.8.8.8]
    networks: { back: { ipv4_address: 10.0.0.2 } }
    labels: { gone: !reset null }
    working_dir: !reset null
  db: { ports: !override ["91:91"] }
`;
  const [web, db] = (await parse(base, over)).services;
  assert.deepEqual(web!.command, ['c']);
  assert.deepEqual(web!.environment, [
    {
      kind: 'values',
      values: new Map([
        ['ONE', '1'],
        ['TWO', '3'],
        ['THREE', '3'],
      ]),
    },
  ]);
  assert.deepEqual(
    web!.ports.map((port) => port.spec.hostPort),
    [80, 81, 82],
  );
  assert.deepEqual(web!.dns.servers, ['1.1.1.1', '8.8.8.8']);
  assert.deepEqual(
    web!.networks.map((network) => network.key),
    ['back', 'front'],
  );
  assert.deepEqual(
    web!.dependsOn.map((dependency) => dependency.service),
    ['db'],
  );
  assert.deepEqual(web!.labels, { keep: '1' });
  assert.equal(web!.workingDir, '');
  assert.deepEqual(
    db!.ports.map((port) => port.spec.hostPort),
    [91],
  );
  assert.match((await faults(base, 'services: { web: { image: x } }'))[0]!, /^over1\.yaml:1:20: services\.web\.image/);
});

test('variables without a value are a warning, once each', async () => {
  const { warnings } = await parse('services:\n  a: { command: "x $GONE", hostname: "$GONE" }\n');
  assert.deepEqual(
    warnings.map(({ at, message }) => [at.line, at.column, message]),
    [[2, 17, 'the variable GONE is not set and counts as empty']],
  );
});

test('docs/compose.md names every key', async () => {
  const text = await readFile(new URL('../../docs/compose.md', import.meta.url), 'utf8');
  for (const table of [SERVICE_KEYS, NETWORK_KEYS, SERVICE_NETWORK_KEYS, PORT_KEYS]) {
    for (const key of knownKeys(table))
      assert.ok(text.includes(`\`${key}\``), `docs/compose.md does not mention ${key}`);
  }
});
