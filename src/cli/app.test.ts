import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetloomError } from '../errors.ts';
import { COMMANDS } from './commands/index.ts';
import { BLOG, ENDPOINT, FixtureEngine, WEB, ran } from './fixture.test.ts';

const line = (typed: string): string[] => typed.split(' ');

/** What the engine is asked when a person types it. */
const asked: [typed: string, method: string, ...args: unknown[]][] = [
  ['network create web', 'networkCreate', { name: 'web', driver: 'bridge' }, {}],
  [
    'network create --driver bridge --subnet 192.168.0.0/16 --gateway 192.168.0.1 mynet',
    'networkCreate',
    { name: 'mynet', driver: 'bridge', subnets: [{ subnet: '192.168.0.0/16', gateway: '192.168.0.1' }] },
    {},
  ],
  [
    'network create -d bridge --subnet 10.1.0.0/24 --subnet fd01::/64 --gateway fd01::1 --gateway 10.1.0.254 --ip-range 10.1.0.128/25 --aux-address r=10.1.0.7 --internal --ipv6 -o mtu=1400 -o icc --label a=b --label c lab',
    'networkCreate',
    {
      name: 'lab',
      driver: 'bridge',
      internal: true,
      ipv6: true,
      subnets: [
        { subnet: '10.1.0.0/24', gateway: '10.1.0.254', ipRange: '10.1.0.128/25', auxAddresses: { r: '10.1.0.7' } },
        { subnet: 'fd01::/64', gateway: 'fd01::1' },
      ],
      options: { mtu: '1400', icc: '' },
      labels: { a: 'b', c: '' },
    },
    {},
  ],
  [
    'network create --ipv4=false --ipv6 six',
    'networkCreate',
    { name: 'six', driver: 'bridge', ipv4: false, ipv6: true },
    {},
  ],
  // A gateway outside its only subnet is the engine's to judge.
  [
    'network create --subnet 10.1.0.0/24 --gateway 10.2.0.1 x',
    'networkCreate',
    { name: 'x', driver: 'bridge', subnets: [{ subnet: '10.1.0.0/24', gateway: '10.2.0.1' }] },
    {},
  ],
  ['network rm --explain web', 'networkRemove', 'web', { explain: true }],
  ['network rm --dry-run web', 'networkRemove', 'web', { dryRun: true, explain: true }],
  ['network prune -f', 'networkPrune', {}],
  [
    'network connect --ip 172.20.0.9 --ip6 fd00:20::9 --alias a --mac-address 02:00:00:00:00:01 --gw-priority -3 web blog',
    'networkConnect',
    'blog',
    {
      network: 'web',
      addresses: ['172.20.0.9', 'fd00:20::9'],
      mac: '02:00:00:00:00:01',
      aliases: ['a'],
      gatewayPriority: -3,
    },
    {},
  ],
  ['network disconnect web blog', 'networkDisconnect', 'blog', 'web', {}],
  ['run -d true', 'containerCreate', { command: ['true'] }, {}],
  [
    'run -itd --name busybox-01 --network mynet sleep 1000',
    'containerCreate',
    { name: 'busybox-01', command: ['sleep', '1000'], networks: [{ network: 'mynet' }] },
    {},
  ],
  [
    'run -itd --name busybox-01 --net bridge sleep 1000',
    'containerCreate',
    { name: 'busybox-01', command: ['sleep', '1000'], networks: [{ network: 'bridge' }] },
    {},
  ],
  [
    'run -d --rm -p 8888:80 -p 127.0.0.1::53/udp -h www --add-host db=[fd00::1] --add-host a:10.0.0.1 -e A=b -e NONE -w /srv -l x=y --dns 9.9.9.9 --dns-search example.org --dns-opt ndots:2 web --port 80',
    'containerCreate',
    {
      command: ['web', '--port', '80'],
      autoRemove: true,
      ports: [
        { protocol: 'tcp', hostPort: 8888, containerPort: 80, count: 1 },
        { protocol: 'udp', hostAddress: '127.0.0.1', hostPort: 0, containerPort: 53, count: 1 },
      ],
      hostname: 'www',
      extraHosts: ['db:fd00::1', 'a:10.0.0.1'],
      env: { A: 'b' },
      workingDir: '/srv',
      labels: { x: 'y' },
      dns: { servers: ['9.9.9.9'], search: ['example.org'], options: ['ndots:2'] },
    },
    {},
  ],
  [
    'run -d --network name=web,ip=172.20.0.9,alias=a,alias=b,gw-priority=1 --network db true',
    'containerCreate',
    {
      command: ['true'],
      networks: [
        { network: 'web', addresses: ['172.20.0.9'], aliases: ['a', 'b'], gatewayPriority: 1 },
        { network: 'db' },
      ],
    },
    {},
  ],
  [
    'run -d --network web --network db --ip 172.20.0.9 --network-alias w true',
    'containerCreate',
    { command: ['true'], networks: [{ network: 'web', addresses: ['172.20.0.9'], aliases: ['w'] }, { network: 'db' }] },
    {},
  ],
  [
    'run -d --mac-address 02:00:00:00:00:01 true',
    'containerCreate',
    { command: ['true'], networks: [{ network: 'bridge', mac: '02:00:00:00:00:01' }] },
    {},
  ],
  ['run -d --network host true', 'containerCreate', { command: ['true'], networkMode: 'host' }, {}],
  ['run -d --network container:blog true', 'containerCreate', { command: ['true'], networkMode: 'container:blog' }, {}],
  ['stop -t 2 blog', 'containerStop', 'blog', { timeoutSeconds: 2 }],
  ['kill -s term blog', 'containerKill', 'blog', 'SIGTERM', {}],
  ['kill -s 9 blog', 'containerKill', 'blog', 'SIGKILL', {}],
  ['kill blog', 'containerKill', 'blog', 'SIGKILL', {}],
  ['kill --dry-run blog', 'containerKill', 'blog', 'SIGKILL', { dryRun: true, explain: true }],
  ['stop --explain -t 0 blog', 'containerStop', 'blog', { explain: true, timeoutSeconds: 0 }],
  ['start --dry-run job', 'containerStart', 'job', { dryRun: true, explain: true }],
  [
    'network create -d macvlan -o parent=eth0.50 --ipam-driver dhcp lan',
    'networkCreate',
    { name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'eth0.50' } },
    {},
  ],
  [
    'network update -o mtu=1400 --internal=false --label a=b --label c web',
    'networkUpdate',
    'web',
    { internal: false, options: { mtu: '1400' }, labels: { a: 'b', c: '' } },
    {},
  ],
  ['network update --internal --label= web', 'networkUpdate', 'web', { internal: true, labels: {} }, {}],
  [
    'network update --dry-run --opt icc web',
    'networkUpdate',
    'web',
    { options: { icc: '' } },
    { dryRun: true, explain: true },
  ],
  [
    'publish blog 8443:443 [::1]::53/udp',
    'containerUpdate',
    'blog',
    {
      publish: [
        { protocol: 'tcp', hostPort: 8443, containerPort: 443, count: 1 },
        { protocol: 'udp', hostAddress: '::1', hostPort: 0, containerPort: 53, count: 1 },
      ],
    },
    {},
  ],
  [
    'container unpublish --explain --network web blog 8888 127.0.0.1:5000-5001/udp [fd00::1]:9/sctp',
    'containerUpdate',
    'blog',
    {
      unpublish: [
        { protocol: 'tcp', hostPort: 8888, count: 1 },
        { protocol: 'udp', hostAddress: '127.0.0.1', hostPort: 5000, count: 2 },
        { protocol: 'sctp', hostAddress: 'fd00::1', hostPort: 9, count: 1 },
      ],
      network: 'web',
    },
    { explain: true },
  ],
  [
    'update --network web --ingress-rate 1.5gbit --egress-rate none blog',
    'containerUpdate',
    'blog',
    { ingressRate: 1_500_000_000, egressRate: 0, network: 'web' },
    {},
  ],
  [
    'run -d --ingress-rate 10mbit --network web --network name=db,egress-rate=64kibit true',
    'containerCreate',
    {
      command: ['true'],
      networks: [
        { network: 'web', ingressRate: 10_000_000 },
        { network: 'db', egressRate: 65_536 },
      ],
    },
    {},
  ],
  [
    'endpoint attach --egress-rate 500kbit blue web',
    'endpointAttach',
    { network: 'web', netns: '/run/netns/blue', egressRate: 500_000 },
    {},
  ],
  [
    'endpoint attach --tap vm0 --tap-uid 1000 --mac-address 02:00:00:00:00:01 web',
    'endpointAttach',
    { network: 'web', netns: '', tap: true, tapUid: 1000, ifname: 'vm0', mac: '02:00:00:00:00:01' },
    {},
  ],
  [
    'endpoint attach --tap vm0 blue web',
    'endpointAttach',
    { network: 'web', netns: '/run/netns/blue', tap: true, ifname: 'vm0' },
    {},
  ],
  [
    'endpoint update -p 80:80 --unpublish 81/udp --ingress-rate 0 5d2a',
    'endpointUpdate',
    '5d2a',
    {
      publish: [{ protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1 }],
      unpublish: [{ protocol: 'udp', hostPort: 81, count: 1 }],
      ingressRate: 0,
    },
    {},
  ],
  ['gc --dry-run', 'gc', { dryRun: true, explain: true }],
  ['doctor clock', 'doctor', { checks: ['clock'] }],
  ['rm -f blog', 'containerRemove', 'blog', { force: true }],
  ['logs -f -n 5 blog', 'containerLogs', 'blog', { follow: true, tail: 5 }],
  ['logs --tail all blog', 'containerLogs', 'blog', { follow: false }],
  [
    'endpoint attach --ip 172.20.0.9 -p 80:80 blue web',
    'endpointAttach',
    {
      network: 'web',
      addresses: ['172.20.0.9'],
      netns: '/run/netns/blue',
      ports: [{ protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1 }],
    },
    {},
  ],
  ['endpoint attach 4711 web', 'endpointAttach', { network: 'web', netns: '/proc/4711/ns/net' }, {}],
  ['endpoint detach eeee', 'endpointDetach', 'eeee', {}],
  ['_exited cccc', 'containerExited', 'cccc'],
];
for (const [typed, ...call] of asked) {
  test(`netloom ${typed}`, async () => {
    const { calls, status, stderr } = await ran(line(typed));
    assert.equal(stderr, '');
    assert.equal(status, 0);
    assert.deepEqual(calls[0], call);
  });
}

test('run -d starts what it created and prints the whole id', async () => {
  const { calls, stdout } = await ran(line('run -d true'));
  assert.deepEqual(
    calls.map(([method]) => method),
    ['containerCreate', 'containerStart'],
  );
  assert.equal(stdout, `${BLOG.id}\n`);
});
test('run -d whose command cannot start leaves no container', async () => {
  const engine = new FixtureEngine();
  engine.containers = [];
  const { calls, status, stderr } = await ran(line('run -d true'), { engine });
  assert.equal(status, 125);
  assert.match(stderr, /^netloom: no container/);
  assert.deepEqual(
    calls.map(([method]) => method),
    ['containerCreate', 'containerStart', 'containerRemove'],
  );
});
test("_exited takes the container down and ends with the command's status, which the shim passes on", async () => {
  const { calls, status } = await ran(line('_exited job'));
  assert.equal(status, 3);
  assert.deepEqual(calls, [['containerExited', 'job']]);
});
test("run in the foreground ends with the command's status", async () => {
  const { calls, status } = await ran(line('run true'));
  assert.equal(status, 7);
  assert.deepEqual(calls[1], ['containerSpawnPlan', BLOG.id, { foreground: true }]);
});
test('run --rm makes sure that the record is gone', async () => {
  const left = await ran(line('run --rm true'));
  assert.equal(left.status, 7);
  assert.deepEqual(left.calls.at(-1), ['containerExited', BLOG.id]);
  const engine = new FixtureEngine();
  engine.containers = [];
  const gone = await ran(line('run --rm true'), { engine });
  assert.ok(!gone.calls.some(([method]) => method === 'containerExited'));
});
test('run -d answers 127 for a command that is not there, 126 for one that cannot be run', async () => {
  for (const [code, expected] of [
    ['ECOMMANDNOTFOUND', 127],
    ['ECOMMAND', 126],
    ['EBUSY', 125],
  ] as const) {
    const engine = new FixtureEngine();
    engine.containerStart = async () => {
      throw new NetloomError(code, 'no such file');
    };
    assert.equal((await ran(line('run -d nosuch'), { engine })).status, expected);
  }
});
test('run takes the interfaces of a command that never began down itself', async () => {
  const engine = new FixtureEngine();
  engine.spawn = { file: '/bin/sh', args: ['-c', 'exit 127'], env: {}, cwd: '/' };
  const { status, calls } = await ran(line('run nosuch'), { engine });
  assert.equal(status, 127);
  assert.deepEqual(calls.at(-1), ['containerExited', BLOG.id]);
});
test('run ends with 128 + the signal that ended the command', async () => {
  const engine = new FixtureEngine();
  engine.spawn = { file: '/bin/sh', args: ['-c', 'kill -9 $$'], env: {}, cwd: '/' };
  assert.equal((await ran(line('run true'), { engine })).status, 137);
});
test('run answers 125 when the shim itself is missing, and takes the container down', async () => {
  const engine = new FixtureEngine();
  engine.spawn = { file: '/nonexistent/shim', args: [], env: {}, cwd: '/' };
  const { status, stderr, calls } = await ran(line('run true'), { engine });
  assert.equal(status, 125);
  assert.match(stderr, /\/nonexistent\/shim cannot be started/);
  assert.deepEqual(calls.at(-1), ['containerExited', BLOG.id]);
});
test('exec passes environment and directory, and ends with the status of its command', async () => {
  const command = ['exec', '-e', 'X=5', '-w', '/tmp', 'blog', '/bin/sh', '-c', 'test "$PWD" = /tmp && exit $X'];
  assert.equal((await ran(command)).status, 5);
});

test('--explain prints a script with the object as heading and the result as comment', async () => {
  const { stdout } = await ran(line('network create --explain web'));
  assert.equal(
    stdout,
    `# network web\nip link add br-web type bridge\nip addr add 172.20.0.1/16 dev br-web\n# endpoint eth0 of blog\nip link add veth0 type veth peer eth0\n# ${WEB.id}\n`,
  );
});
test('--dry-run of run prints the plan and starts nothing', async () => {
  const { stdout, calls } = await ran(line('run --dry-run true'));
  assert.match(stdout, /^# network web\nip link add/);
  assert.deepEqual(
    calls.map(([method]) => method),
    ['containerCreate'],
  );
  assert.deepEqual(calls[0]?.[2], { dryRun: true, explain: true });
});
test('every verb that changes networks, containers or endpoints by the contract has --explain and --dry-run', () => {
  const changing = [
    'network create',
    'network rm',
    'network prune',
    'network connect',
    'network disconnect',
    'network update',
    'run',
    'start',
    'stop',
    'kill',
    'publish',
    'unpublish',
    'update',
    'rm',
    'endpoint attach',
    'endpoint detach',
    'endpoint update',
    'gc',
    'up',
    'down',
  ];
  for (const path of changing) {
    const command = COMMANDS.find((each) => each.path.join(' ') === path);
    assert.ok(command !== undefined && 'explain' in command.flags && 'dryRun' in command.flags, path);
  }
});
test('--json with a plan is one document', async () => {
  const { stdout } = await ran(line('network rm --json --dry-run web host'));
  const document = JSON.parse(stdout) as { dryRun: boolean; result: unknown[]; plan: unknown[] };
  assert.equal(document.dryRun, true);
  assert.equal(document.result.length, 2);
  assert.equal(document.plan.length, 6);
});

test('ps fits 80 columns', async () => {
  const { stdout } = await ran(line('ps -a'), { columns: 80 });
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 3);
  for (const each of lines) assert.ok(each.length <= 80, each);
  assert.match(stdout, /^CONTAINER ID +COMMAND +CREATED +STATUS +PORTS +NAMES\n/);
  assert.match(stdout, /cccccccccccc .*blog$/m);
  assert.match(stdout, /dddddddddddd .*job$/m);
});
test('ps into a pipe cuts nothing but what Docker cuts', async () => {
  const { stdout } = await ran(line('ps'));
  assert.equal(
    stdout,
    'CONTAINER ID   COMMAND                  CREATED          STATUS         PORTS                                                                     NAMES\n' +
      'cccccccccccc   "python3 -m http.ser…"   30 minutes ago   Up 5 minutes   0.0.0.0:8888->80/tcp, [::]:8888->80/tcp, 127.0.0.1:5000-5001->53-54/udp   blog\n',
  );
});
const printed: [typed: string, stdout: string][] = [
  ['ps -q', 'cccccccccccc\n'],
  ['ps -aq --no-trunc', `${'c'.repeat(64)}\n${'d'.repeat(64)}\n`],
  ['network ls -q', 'aaaaaaaaaaaa\nbbbbbbbbbbbb\n'],
  [
    'network ls',
    'NETWORK ID     NAME   DRIVER   SCOPE   SUBNETS\naaaaaaaaaaaa   web    bridge   local   172.20.0.0/16, fd00:20::/64\nbbbbbbbbbbbb   host   host     local\n',
  ],
  [
    'endpoint ls',
    'ENDPOINT ID    NETWORK   OF     INTERFACE   ADDRESSES\neeeeeeeeeeee   web       blog   eth0        172.20.0.2/16, fd00:20::2/64\n',
  ],
  ['port blog', '80/tcp -> 0.0.0.0:8888\n80/tcp -> [::]:8888\n53/udp -> 127.0.0.1:5000\n54/udp -> 127.0.0.1:5001\n'],
  ['port blog 80', '0.0.0.0:8888\n[::]:8888\n'],
  ['port blog 54/udp', '127.0.0.1:5001\n'],
  ['logs blog', 'one\ntwo\n'],
  ['wait job blog', '3\n0\n'],
  ['start blog', 'blog\n'],
  ['network prune', 'Deleted Networks:\nweb\n'],
  ['network update -o mtu=1400 web', 'web\n'],
  ['publish blog 8888:80', '80/tcp -> 0.0.0.0:8888\n80/tcp -> [::]:8888\n'],
  ['unpublish blog 8888', ''],
  ['update --egress-rate 1mbit blog job', 'blog\njob\n'],
  ['endpoint update --egress-rate 1mbit eeee', 'eeee\n'],
  ['stop blog job', 'blog\njob\n'],
  ['gc', 'reclaimed: endpoint eth0 of blog: its namespace is gone\nremoved: link nl0123456789\n'],
  [
    'doctor kernel-features clock',
    '✔ kernel-features: everything is there\n? clock: no time server was asked\n1 unknown, 1 ok\n',
  ],
  ['doctor -v kernel-features', '✔ kernel-features: everything is there\n    seen:\n      nf_tables\n1 ok\n'],
  ['metrics', '# HELP netloom_endpoints Endpoints.\n# TYPE netloom_endpoints gauge\nnetloom_endpoints 1\n'],
];
for (const [typed, expected] of printed) {
  test(`netloom ${typed} prints`, async () => {
    const { stdout, stderr, status } = await ran(line(typed));
    assert.deepEqual({ stdout, stderr, status }, { stdout: expected, stderr: '', status: 0 });
  });
}

const formats: [command: string[], stdout: string][] = [
  [['ps', '--format', '{{.Names}}: {{.Status}}'], 'blog: Up 5 minutes\n'],
  [['ps', '-a', '--format', '{{.Names}} {{.State}} {{.Networks}}'], 'blog running web\njob exited none\n'],
  [['ps', '--format', 'table {{.Names}}\\t{{.State}}'], 'NAMES   STATE\nblog    running\n'],
  [['network', 'ls', '--format', '{{.Name}} {{.IPv6}}'], 'web true\nhost false\n'],
  [['inspect', '-f', '{{.State.Status}} {{.State.Pid}} {{.Config.Hostname}}', 'blog'], 'running 4711 blog\n'],
  [
    [
      'inspect',
      '--format={{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}} {{.MacAddress}}{{end}}',
      'blog',
    ],
    '172.20.0.2/16 02:42:ac:14:00:02\n',
  ],
  [['inspect', '-f', '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', 'blog'], '8888\n'],
  [['inspect', '-f', '{{.State.ExitCode}}', 'job'], '3\n'],
  [
    ['network', 'inspect', '-f', '{{range .IPAM.Config}}{{.Subnet}},{{.Gateway}} {{end}}', 'web'],
    '172.20.0.0/16,172.20.0.1 fd00:20::/64,fd00:20::1 \n',
  ],
  [
    ['network', 'inspect', '-f', '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}', 'web'],
    'blog 172.20.0.2/16\n',
  ],
  [['network', 'inspect', '-f', '{{json .Options}}', 'host'], '{}\n'],
];
for (const [command, expected] of formats) {
  test(`netloom ${command.join(' ')}`, async () => {
    const { stdout, stderr } = await ran(command);
    assert.deepEqual({ stdout, stderr }, { stdout: expected, stderr: '' });
  });
}
test('--format json is one object a line, --json one document of the API', async () => {
  const lines = (await ran(line('ps -a --format json'))).stdout.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((each) => (JSON.parse(each) as { Names: string }).Names),
    ['blog', 'job'],
  );
  assert.deepEqual(JSON.parse((await ran(line('ps --json'))).stdout), [BLOG]);
  assert.deepEqual(JSON.parse((await ran(line('--json endpoint ls'))).stdout), [ENDPOINT]);
  assert.deepEqual(JSON.parse((await ran(line('--json logs blog'))).stdout), { log: 'one\ntwo\n' });
  assert.equal((JSON.parse((await ran(line('inspect blog'))).stdout) as { Id: string }[])[0]?.Id, BLOG.id);
});

const refused: [typed: string, status: number, message: RegExp][] = [
  ['netwrok ls', 2, /^netloom: unknown command "netwrok"\n {2}Did you mean "network"\?\n$/],
  ['network crate web', 2, /Did you mean "network create"\?/],
  ['zzzzzz', 2, /netloom --help lists the commands/],
  ['--bogus', 2, /unknown flag --bogus/],
  ['ps --al', 2, /unknown flag --al\n {2}Did you mean --all\?/],
  ['run --pubish 80:80 true', 125, /Did you mean --publish\?/],
  ['ps -Z', 2, /unknown flag -Z/],
  ['network create', 2, /NETWORK is missing/],
  ['network create a b', 2, /"b" is one argument too many/],
  ['network create --subnet', 2, /--subnet needs a value/],
  ['rm', 2, /CONTAINER is missing/],
  ['run', 125, /COMMAND is missing/],
  ['exec blog', 125, /COMMAND is missing/],
  ['run -p nonsense:80 true', 125, /--publish: "nonsense" is no port/],
  ['run --network web,ip=1 true', 125, /--network/],
  ['run --network host --network web true', 125, /--network host allows no other network/],
  ['run --network none --ip 10.0.0.1 true', 125, /no address of its own/],
  ['run --add-host nonsense true', 125, /--add-host: "nonsense" is no host/],
  ['run --env-file /nonexistent true', 125, /--env-file \/nonexistent cannot be read/],
  ['network create --gateway 10.0.0.1 x', 2, /lies in no --subnet/],
  ['network create --subnet 10.0.0.0/8 --gateway 10.0.0.1 --gateway 10.0.0.2 x', 2, /two gateways/],
  ['network create --label =b x', 2, /not KEY=VALUE/],
  ['network update web', 2, /nothing to change\n {2}Say what/],
  ['network update -o =1 web', 2, /not KEY=VALUE/],
  ['update blog', 2, /nothing to change/],
  ['endpoint update eeee', 2, /nothing to change/],
  [
    'update --egress-rate 10MB blog',
    2,
    /--egress-rate: "10MB" is no rate\n {2}Write bits a second as 10mbit, .*10mbps/,
  ],
  ['update --egress-rate 10m blog', 2, /is no rate/],
  ['update --ingress-rate -1 blog', 2, /--ingress-rate: "-1" is no rate/],
  ['update --ingress-rate 7 blog', 2, /less than a byte a second/],
  ['update --ingress-rate 99999999tbit blog', 2, /too large/],
  ['run --network name=a,egress-rate=fast true', 125, /"fast" is no rate/],
  ['run --network host --egress-rate 1mbit true', 125, /no address of its own/],
  ['run --network name=a,egress-rate=1mbit --egress-rate 2mbit true', 125, /network a is given its egress rate twice/],
  ['publish blog', 2, /CONTAINER PORT is missing/],
  ['publish blog 80:80 http', 2, /"http" is no port/],
  ['publish blog 8000-8002:80-81', 2, /3 host ports for 2 container ports/],
  ['unpublish blog 80:80', 2, /"80:80" is no published port\n {2}Write the port of the host/],
  ['unpublish blog 80/icmp', 2, /It is one of tcp, udp, sctp/],
  ['unpublish blog ::1:80', 2, /is no published port/],
  ['unpublish blog 9-8', 2, /9-8/],
  ['endpoint attach blue', 2, /NETWORK is missing/],
  ['endpoint attach --tap vm0 --ifname eth0 web', 2, /--tap names the device already/],
  ['endpoint attach --tap-uid 0 blue web', 2, /--tap-uid speaks of a tap device/],
  ['endpoint attach --tap vm0 --tap-uid root web', 2, /"root" is no user's number/],
  ['events --type nonsense', 2, /--type cannot be "nonsense"\n {2}It is one of network, endpoint,/],
  ['events --format {{.Nope}}', 2, /no field \.Nope/],
  ['stop -t soon blog', 2, /--time: "soon" is no number of seconds/],
  ['kill -s NOPE blog', 2, /"NOPE" is no signal/],
  ['logs -n few blog', 2, /no number of lines/],
  ['daemon --log-level loud', 2, /--log-level cannot be "loud"\n {2}It is one of trace/],
  ['completion tcsh', 2, /no completion for "tcsh"/],
  ['ps --format {{.Nope}}', 2, /no field \.Nope/],
  ['port blog 81', 2, /publishes no port 81\/tcp/],
  ['inspect nobody', 1, /^netloom: no container "nobody"\n {2}netloom ps -a lists them\.\n$/],
  ['exec nobody true', 125, /no container "nobody"/],
];
for (const [typed, status, message] of refused) {
  test(`netloom ${typed} is refused`, async () => {
    const result = await ran(line(typed));
    assert.match(result.stderr, message);
    assert.equal(result.status, status);
    assert.equal(result.stdout, '');
    assert.ok(!result.calls.some(([method]) => method === 'networkCreate' || method === 'containerCreate'));
  });
}
test('with --json an error is a document too', async () => {
  const failed = await ran(line('--json inspect nobody'));
  assert.deepEqual(JSON.parse(failed.stdout), {
    error: { code: 'ECONTAINERNOTFOUND', message: 'no container "nobody"', hint: 'netloom ps -a lists them.' },
  });
  assert.match(failed.stderr, /^netloom: no container/);
  assert.equal(
    (JSON.parse((await ran(line('ps --nope --json'))).stdout) as { error: { code: string } }).error.code,
    'EUSAGE',
  );
});
test('of several objects those that fail are told, those that work are done', async () => {
  const plain = await ran(line('rm -f nobody blog noone'));
  assert.equal(plain.status, 1);
  assert.equal(plain.stdout, 'blog\n');
  assert.match(plain.stderr, /"nobody"[^]*"noone"/);
  const document = JSON.parse((await ran(line('stop --json nobody blog'))).stdout) as {
    errors: unknown[];
    results: unknown[];
  };
  assert.equal(document.errors.length, 1);
  assert.equal(document.results.length, 1);
});
