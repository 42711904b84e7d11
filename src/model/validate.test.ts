import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePrefix } from '../addr/index.ts';
import type { ContainerSpec, NetworkSpec, PortSpec } from './index.ts';
import {
  checkPorts,
  formatPort,
  formatPublish,
  matchRef,
  newId,
  overlapCheck,
  parseAttachSpec,
  parseContainerSpec,
  parseExtraHost,
  parseNetworkMode,
  parseNetworkSpec,
  parsePublish,
  randomName,
  shortId,
  subnetOf,
} from './index.ts';

const id = '0123456789abcdef'.repeat(4);
const parse = (spec: Partial<NetworkSpec>): ReturnType<typeof parseNetworkSpec> =>
  parseNetworkSpec({ name: 'web', ...spec }, { id });

test('a network of no more than a name', () => {
  assert.deepEqual(parse({}), {
    name: 'web',
    driver: 'bridge',
    internal: false,
    subnets: [],
    automatic: [4],
    ipam: 'pool',
    labels: {},
    options: {
      driver: 'bridge',
      bridge: 'br-0123456789ab',
      mtu: 0,
      icc: true,
      masquerade: true,
      hairpin: true,
      hostBinding: '',
    },
  });
});

test('a network with everything, canonical and IPv4 first', () => {
  const parts = parse({
    internal: true,
    subnets: [
      { subnet: 'FD00:1::/64' },
      { subnet: '10.1.0.0/16', gateway: '10.1.0.254', ipRange: '10.1.5.0/24', auxAddresses: { router: '10.1.0.9' } },
    ],
    options: {
      'com.docker.network.bridge.name': 'br0',
      mtu: '9000',
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': '0',
      'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
      hairpin: 'f',
      guard: 'false',
      fair_ports: '0',
    },
    labels: { a: 'b' },
  });
  assert.deepEqual(parts.subnets, [
    { subnet: '10.1.0.0/16', gateway: '10.1.0.254', ipRange: '10.1.5.0/24', auxAddresses: { router: '10.1.0.9' } },
    { subnet: 'fd00:1::/64', gateway: 'fd00:1::1' },
  ]);
  assert.deepEqual(parts.automatic, []);
  assert.deepEqual(parts.options, {
    driver: 'bridge',
    bridge: 'br0',
    mtu: 9000,
    icc: false,
    masquerade: false,
    hairpin: false,
    hostBinding: '127.0.0.1',
    guard: false,
    fairPorts: false,
  });
});

test('families: what is wanted and not given is automatic', () => {
  assert.deepEqual(parse({ ipv6: true }).automatic, [4, 6]);
  assert.deepEqual(parse({ ipv4: false, ipv6: true }).automatic, [6]);
  assert.deepEqual(parse({ subnets: [{ subnet: 'fd00::/64' }] }).automatic, [4]);
  assert.deepEqual(parse({ subnets: [{}] }).automatic, [4]);
  assert.equal(parse({ subnets: [{ subnet: '10.1.0.0/24', gateway: 'none' }] }).subnets[0]?.gateway, '');
  assert.deepEqual(subnetOf(parsePrefix('172.18.5.0/24')), { subnet: '172.18.5.0/24', gateway: '172.18.5.1' });
});

test('predefined networks are the engine’s alone', () => {
  assert.deepEqual(parseNetworkSpec({ name: 'host', driver: 'host' }, { id, predefined: true }).options, {
    driver: 'host',
  });
  assert.equal(
    parseNetworkSpec({ name: 'bridge', options: { name: 'netloom0' } }, { id, predefined: true }).name,
    'bridge',
  );
});

test('bad networks: one clear line each', () => {
  const table: [Partial<NetworkSpec>, string, RegExp][] = [
    [{ name: '' }, 'EBADNAME', /empty/],
    [{ name: 'a/b' }, 'EBADNAME', /leave out "\/"/],
    [{ name: '-a' }, 'EBADNAME', /begin it/],
    [{ name: 'x'.repeat(64) }, 'EBADNAME', /shorten it to 63/],
    [{ name: 'bridge' }, 'EPREDEFINED', /choose another/],
    [{ driver: 'vxlan' }, 'EBADDRIVER', /not in this release/],
    [{ driver: 'brdige' }, 'EBADDRIVER', /did you mean "bridge"/],
    [{ driver: 'host' }, 'EBADDRIVER', /use that one/],
    [{ options: { hairpinn: 'true' } }, 'EBADOPTION', /did you mean "hairpin"/],
    [
      { options: { 'com.docker.network.bridge.enable_ic': 'true' } },
      'EBADOPTION',
      /did you mean "com\.docker\.network\.bridge\.enable_icc"/,
    ],
    [{ options: { toString: 'x' } }, 'EBADOPTION', /no option "toString"/],
    [{ options: { mtu: '67' } }, 'EBADOPTION', /68 to 65535/],
    [{ options: { mtu: '65536' } }, 'EBADOPTION', /68 to 65535/],
    [{ options: { mtu: '1279' }, ipv6: true }, 'EBADOPTION', /1280 to/],
    [{ options: { mtu: '1279' }, subnets: [{ subnet: 'fd00::/64' }] }, 'EBADOPTION', /1280 to/],
    [{ options: { mtu: '1e3' } }, 'EBADOPTION', /MTU/],
    [{ options: { icc: 'yes' } }, 'EBADOPTION', /true or false/],
    [{ options: { mtu: '1400', 'com.docker.network.driver.mtu': '1500' } }, 'EBADOPTION', /mean the same/],
    [{ options: { name: 'a-very-long-bridge' } }, 'EBADIFNAME', /shorten it to 15/],
    [{ options: { 'com.docker.network.bridge.host_binding_ipv4': '::1' } }, 'EBADOPTION', /IPv4 address/],
    [{ subnets: [{ subnet: '10.0.0.1/24' }] }, 'EBADPREFIX', /^network web: .*the network is 10\.0\.0\.0\/24/],
    [{ subnets: [{ subnet: '10.0.0/24' }] }, 'EBADPREFIX', /no address prefix/],
    [{ subnets: [{ subnet: '10.0.0.0/31' }] }, 'EBADSUBNET', /30 at most/],
    [{ subnets: [{ subnet: 'fd00::/127' }] }, 'EBADSUBNET', /126 at most/],
    [{ subnets: [{ subnet: '127.1.0.0/16' }] }, 'EBADSUBNET', /loopback/],
    [{ subnets: [{ subnet: '224.0.0.0/24' }] }, 'EBADSUBNET', /multicast/],
    [{ subnets: [{ subnet: '0.0.0.0/0' }] }, 'EBADSUBNET', /overlaps/],
    [{ subnets: [{ subnet: 'fe80::/64' }] }, 'EBADSUBNET', /link-local/],
    [
      { subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.1.1' }] },
      'EBADGATEWAY',
      /outside the subnet 10\.0\.0\.0\/24/,
    ],
    [{ subnets: [{ subnet: '10.0.0.0/24', gateway: 'fd00::1' }] }, 'EBADGATEWAY', /outside/],
    [{ subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.0' }] }, 'EBADGATEWAY', /network address/],
    [{ subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.255' }] }, 'EBADGATEWAY', /broadcast/],
    [{ subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.01' }] }, 'EBADADDRESS', /gateway: .*leading zeros/],
    [{ subnets: [{ subnet: '10.0.0.0/24', ipRange: '10.0.1.0/28' }] }, 'EBADSUBNET', /not inside/],
    [{ subnets: [{ subnet: '10.0.0.0/24', ipRange: '10.0.0.0/16' }] }, 'EBADSUBNET', /not inside/],
    [{ subnets: [{ subnet: '10.0.0.0/24', auxAddresses: { r: '10.0.1.1' } }] }, 'EADDROUTSIDE', /r=10\.0\.1\.1/],
    [{ subnets: [{ subnet: '10.0.0.0/24', auxAddresses: { r: '10.0.0.1' } }] }, 'EBADSUBNET', /gateway's/],
    [{ subnets: [{ subnet: '10.0.0.0/16' }, { subnet: '10.0.5.0/24' }] }, 'ESUBNETOVERLAP', /overlap/],
    [{ subnets: [{ subnet: '10.0.0.0/24' }, { subnet: '10.0.5.0/24' }] }, 'EBADSUBNET', /one per family/],
    [{ subnets: [{ gateway: '10.0.0.1' }] }, 'EBADSUBNET', /needs its subnet/],
    [{ ipv6: false, subnets: [{ subnet: 'fd00::/64' }] }, 'EBADSUBNET', /switched off/],
    [{ ipv4: false, subnets: [{ subnet: '10.0.0.0/24' }] }, 'EBADSUBNET', /switched off/],
    [{ ipv4: false }, 'EBADSUBNET', /keep one/],
  ];
  for (const [spec, code, message] of table) {
    assert.throws(
      () => parse(spec),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, code, `${JSON.stringify(spec)}: ${error.message}`);
        assert.match(error.message, message);
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
  }
});

test('overlap names the network before the route, and no default route blocks', () => {
  const others = [
    { kind: 'route', label: 'the default route', prefix: parsePrefix('0.0.0.0/0') },
    { kind: 'route', label: 'a VPN', prefix: parsePrefix('128.0.0.0/1') },
    { kind: 'route', label: 'the route of tun0', prefix: parsePrefix('172.18.0.0/16') },
    { kind: 'network', label: 'network blog', prefix: parsePrefix('172.18.3.0/24') },
  ] as const;
  assert.throws(() => overlapCheck(parsePrefix('172.18.0.0/20'), others), {
    code: 'ESUBNETOVERLAP',
    message: /172\.18\.3\.0\/24 of network blog/,
  });
  assert.throws(() => overlapCheck(parsePrefix('172.18.4.0/24'), others), { code: 'EROUTEOVERLAP', message: /tun0/ });
  overlapCheck(parsePrefix('172.19.0.0/24'), others);
});

test('-p: every form that Docker takes', () => {
  const table: [string, PortSpec][] = [
    ['80', { protocol: 'tcp', hostPort: 0, containerPort: 80, count: 1 }],
    [
      'published=8080,target=80,mode=ingress',
      { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1, mode: 'ingress' },
    ],
    ['target=80,mode=host', { protocol: 'tcp', hostPort: 0, containerPort: 80, count: 1, mode: 'host' }],
    ['8080:80', { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
    ['8080:80/udp', { protocol: 'udp', hostPort: 8080, containerPort: 80, count: 1 }],
    ['8080:80/SCTP', { protocol: 'sctp', hostPort: 8080, containerPort: 80, count: 1 }],
    ['0:80', { protocol: 'tcp', hostPort: 0, containerPort: 80, count: 1 }],
    ['127.0.0.1:8080:80', { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, containerPort: 80, count: 1 }],
    ['127.0.0.1::80', { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 0, containerPort: 80, count: 1 }],
    [':80:80', { protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1 }],
    ['[::1]:80:80', { protocol: 'tcp', hostAddress: '::1', hostPort: 80, containerPort: 80, count: 1 }],
    ['[0::0]::80', { protocol: 'tcp', hostAddress: '::', hostPort: 0, containerPort: 80, count: 1 }],
    ['8000-8010:80-90', { protocol: 'tcp', hostPort: 8000, containerPort: 80, count: 11 }],
    [
      '127.0.0.1:8080-8090:80-90/tcp',
      { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, containerPort: 80, count: 11 },
    ],
    ['8000-8010:80', { protocol: 'tcp', hostPort: 8000, hostPortEnd: 8010, containerPort: 80, count: 1 }],
    ['80-90', { protocol: 'tcp', hostPort: 0, containerPort: 80, count: 11 }],
  ];
  for (const [text, port] of table) {
    assert.deepEqual(parsePublish(text), port, text);
    assert.deepEqual(parsePublish(formatPublish(port)), port, text);
    assert.deepEqual(checkPorts([port]), [port]);
  }
});

test('-p: what it refuses, with the text', () => {
  for (const text of [
    '',
    ':',
    '80:',
    '8080:0',
    '70000:80',
    '80:70000',
    '80/icmp',
    '80/',
    '1.2.3:80:80',
    'localhost:80:80',
    '::1:80:80',
    '[::1]:80',
    '[::1:80:80',
    '8000-8001:80-90',
    '8000:80-90',
    '90-80',
    '80:90-80',
    '1:2:3:4',
    'a:b',
    '[fe80::1%eth0]:80:80',
    '8080:80 ',
  ]) {
    assert.throws(
      () => parsePublish(text),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'EBADPORT', text);
        assert.ok(error.message.includes(`"${text}"`), error.message);
        return true;
      },
    );
  }
});

test('-p: whatever is printed is read back', () => {
  const port = fc
    .record({
      protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
      hostAddress: fc.option(fc.constantFrom('0.0.0.0', '::', '127.0.0.1', 'fd00::1'), { nil: undefined }),
      hostPort: fc.integer({ min: 0, max: 60000 }),
      containerPort: fc.integer({ min: 1, max: 60000 }),
      count: fc.integer({ min: 1, max: 5000 }),
      firewall: fc.constantFrom(undefined, 'obey', 'open'),
    })
    .map(({ hostAddress, firewall, ...rest }): PortSpec => ({
      ...rest,
      ...(firewall !== undefined && { firewall: firewall === 'obey' ? 'obey' : 'open' }),
      ...(hostAddress !== undefined && { hostAddress }),
    }));
  fc.assert(fc.property(port, (spec) => assert.deepEqual(parsePublish(formatPublish(spec)), spec)));
});

test('ports of one container that want the same host port', () => {
  const clash = (...texts: string[]): void => void checkPorts(texts.map(parsePublish));
  for (const texts of [
    ['80:80', '80:81'],
    ['127.0.0.1:80:80', '80:80'],
    ['0.0.0.0:80:80', '127.0.0.1:80:81'],
    ['8000-8010:80-90', '8010:1'],
    ['[::]:80:80', '[::1]:80:80'],
  ]) {
    assert.throws(() => clash(...texts), { code: 'EBADPORT', message: /same host port/ }, texts.join(' '));
  }
  clash('80:80', '80:80/udp', '81:80', '80', '80');
  clash('127.0.0.1:80:80', '127.0.0.2:80:80', '[::1]:80:80');
  clash('0.0.0.0:80:80', '[::]:80:80');
  assert.throws(() => checkPorts([{ protocol: 'tcp', hostPort: 65535, containerPort: 80, count: 2 }]), {
    code: 'EBADPORT',
  });
});

test('published ports as tables show them', () => {
  assert.equal(
    formatPort({ protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8080, containerPort: 80, count: 1 }),
    '0.0.0.0:8080->80/tcp',
  );
  assert.equal(
    formatPort({ protocol: 'udp', hostAddress: '::', hostPort: 8000, containerPort: 80, count: 11 }),
    '[::]:8000-8010->80-90/udp',
  );
});

const run = (spec: Partial<ContainerSpec>): ReturnType<typeof parseContainerSpec> =>
  parseContainerSpec({ command: ['sleep', '1'], ...spec }, { id, name: 'calm-otter' });

test('a container of no more than a command', () => {
  assert.deepEqual(run({}), {
    name: 'calm-otter',
    mode: { kind: 'networks' },
    hostname: '0123456789ab',
    command: ['sleep', '1'],
    env: {},
    workingDir: '',
    dns: { servers: [], search: [], options: [] },
    extraHosts: [],
    labels: {},
    autoRemove: false,
    networks: [{ network: 'bridge' }],
    ports: [],
  });
});

test('container modes', () => {
  assert.deepEqual(parseNetworkMode('container:web'), { kind: 'container', container: 'web' });
  assert.deepEqual(run({ networkMode: 'host' }).mode, { kind: 'host' });
  assert.deepEqual(run({ networkMode: 'host' }).networks, []);
  assert.deepEqual(run({ networkMode: 'none', hostname: 'h' }).mode, { kind: 'none' });
  assert.deepEqual(run({ networkMode: 'default' }).networks, [{ network: 'bridge' }]);
  assert.deepEqual(run({ networkMode: 'blog', ports: [parsePublish('80:80')] }).networks, [{ network: 'blog' }]);
});

test('endpoints become canonical', () => {
  const { networks } = run({
    networks: [
      {
        network: 'a',
        addresses: ['FD00::0005', '10.0.0.5'],
        mac: '02-42-AC-12-00-02',
        aliases: ['db', 'my_db'],
        ifname: 'eth1',
        gatewayPriority: 5,
      },
      { network: 'b' },
    ],
  });
  assert.deepEqual(networks, [
    {
      network: 'a',
      addresses: ['10.0.0.5', 'fd00::5'],
      mac: '02:42:ac:12:00:02',
      aliases: ['db', 'my_db'],
      ifname: 'eth1',
      gatewayPriority: 5,
    },
    { network: 'b' },
  ]);
  assert.deepEqual(parseAttachSpec({ network: 'a', netns: '/run/netns/x', ports: [parsePublish('80')] }), {
    network: 'a',
    netns: '/run/netns/x',
    ports: [parsePublish('80')],
  });
  assert.throws(() => parseAttachSpec({ network: 'a', netns: 'x' }), { code: 'EBADNETNS' });
  const named = { network: 'a', netns: '/run/netns/x', name: 'cni:a:b:eth0', request: '00ff' };
  assert.deepEqual(parseAttachSpec(named), named);
  for (const request of ['', 'FF', 'x', '0'.repeat(65)])
    assert.throws(() => parseAttachSpec({ ...named, request }), { code: 'EBADOPTION' });
  assert.throws(() => parseAttachSpec({ network: 'a', netns: '/x', request: '00' }), { code: 'EBADOPTION' });
});

test('extra hosts', () => {
  assert.equal(parseExtraHost('db:10.0.0.5'), 'db:10.0.0.5');
  assert.equal(parseExtraHost('db=10.0.0.5'), 'db:10.0.0.5');
  assert.equal(parseExtraHost('db:FD00::5'), 'db:fd00::5');
  assert.equal(parseExtraHost('db:[::1]'), 'db:::1');
  assert.equal(parseExtraHost('gw:host-gateway'), 'gw:host-gateway');
  for (const text of ['db', 'db:', ':10.0.0.1', 'd b:10.0.0.1'])
    assert.throws(() => parseExtraHost(text), { code: 'EBADHOST' }, text);
  assert.throws(() => parseExtraHost('db:10.0.0'), { code: 'EBADADDRESS', message: /extra host/ });
});

test('bad containers: one clear line each', () => {
  const port = parsePublish('80:80');
  const table: [Partial<ContainerSpec>, string, RegExp][] = [
    [{ name: 'a b' }, 'EBADNAME', /leave out " "/],
    [{ command: [] }, 'EBADCOMMAND', /no command/],
    [{ command: [''] }, 'EBADCOMMAND', /no command/],
    [{ hostname: 'under_score' }, 'EBADHOSTNAME', /letters, digits/],
    [{ hostname: `${'a'.repeat(60)}.${'b'.repeat(10)}` }, 'EBADHOSTNAME', /Linux takes 64/],
    [{ workingDir: 'here' }, 'EBADPATH', /begins with \//],
    [{ env: { 'A=B': 'c' } }, 'EBADENV', /"A=B"/],
    [{ dns: { servers: ['dns.example'] } }, 'EBADADDRESS', /DNS server/],
    [{ dns: { search: ['-x-'] } }, 'EBADDNS', /no domain/],
    [{ dns: { options: ['ndots 2'] } }, 'EBADDNS', /resolver option/],
    [{ networkMode: 'container:' }, 'EBADMODE', /container:NAME/],
    [{ networkMode: 'ns:/x' }, 'EBADMODE', /no network mode/],
    [{ networkMode: 'host', networks: [{ network: 'a' }] }, 'EBADMODE', /exclude/],
    [{ networkMode: 'b', networks: [{ network: 'a' }] }, 'EBADMODE', /exclude/],
    [{ networkMode: 'host', ports: [port] }, 'EBADMODE', /host’s own/],
    [{ networkMode: 'none', ports: [port] }, 'EBADMODE', /no network/],
    [{ networkMode: 'container:web', ports: [port] }, 'EBADMODE', /that container/],
    [{ networkMode: 'container:web', hostname: 'h' }, 'EBADMODE', /hostname/],
    [{ networkMode: 'container:web', dns: { servers: [], search: ['a.b'] } }, 'EBADMODE', /DNS/],
    [{ networkMode: 'container:web', extraHosts: ['a:1.2.3.4'] }, 'EBADMODE', /extra hosts/],
    [{ networks: [{ network: 'host' }] }, 'EBADMODE', /stands alone/],
    [{ networks: [{ network: '' }] }, 'EBADNAME', /needs its network/],
    [{ networks: [{ network: 'a' }, { network: 'a' }] }, 'EBADOPTION', /network a is given twice/],
    [
      {
        networks: [
          { network: 'a', ifname: 'eth0' },
          { network: 'b', ifname: 'eth0' },
        ],
      },
      'EBADOPTION',
      /eth0 is given twice/,
    ],
    [{ networks: [{ network: 'a', ifname: 'lo' }] }, 'EBADIFNAME', /loopback/],
    [{ networks: [{ network: 'a', addresses: ['10.0.0.1/8'] }] }, 'EBADADDRESS', /prefix length/],
    [{ networks: [{ network: 'a', addresses: ['127.0.0.1'] }] }, 'EBADADDRESS', /loopback/],
    [{ networks: [{ network: 'a', addresses: ['10.0.0.1', '10.0.0.2'] }] }, 'EBADADDRESS', /give one/],
    [{ networks: [{ network: 'a', mac: '01:00:00:00:00:01' }] }, 'EBADMAC', /multicast/],
    [{ networks: [{ network: 'a', aliases: ['a b'] }] }, 'EBADNAME', /alias/],
    [{ networks: [{ network: 'a', gatewayPriority: 1.5 }] }, 'EBADOPTION', /whole number/],
  ];
  for (const [spec, code, message] of table) {
    assert.throws(
      () => run(spec),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, code, `${JSON.stringify(spec)}: ${error.message}`);
        assert.match(error.message, message);
        return true;
      },
    );
  }
});

test('references: name, id, beginning of an id', () => {
  const objects = [
    { id: 'aaa111', name: 'web' },
    { id: 'aab222', name: 'aaa' },
    { id: 'bbb', name: 'b1' },
    { id: 'bbb333', name: 'b2' },
  ];
  assert.equal(matchRef('web', objects)?.id, 'aaa111');
  assert.equal(matchRef('aaa', objects)?.name, 'aaa', 'a name goes before the beginning of an id');
  assert.equal(matchRef('aaa1', objects)?.name, 'web');
  assert.equal(matchRef('bbb', objects)?.name, 'b1', 'a whole id goes before the beginning of another');
  assert.equal(matchRef('we', objects), undefined);
  assert.equal(matchRef('', objects), undefined);
  assert.throws(() => matchRef('aa', objects), { code: 'EAMBIGUOUS', message: /web \(aaa111\), aaa \(aab222\)/ });
});

test('ids and names from a given randomness', () => {
  const zeros = (count: number): Uint8Array => new Uint8Array(count);
  assert.equal(newId(zeros), '0'.repeat(64));
  assert.equal(shortId(newId(zeros)), '0'.repeat(12));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      const name = randomName(() => bytes);
      assert.match(name, /^[a-z]+-[a-z]+$/);
      assert.equal(run({ name }).name, name);
    }),
  );
});
