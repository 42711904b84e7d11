import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, udpConnect } from '../lib/peer.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { closed, denied, golden, iptables, nft, timeout, town, XTABLES } from './host-firewall-bed.ts';

checkDescriptors();

test('pain 1 (moby#22054): a published port that the host’s firewall refuses is closed to the outside, and to nobody else', async () => {
  await using t = await town();
  await closed(t.host);
  const { endpoint, warnings } = await t.publish('8080:80', '22:80', '5353:53/udp', '127.0.0.1:8081:80');
  assert.deepEqual(denied(endpoint), ['0.0.0.0:8080->80/tcp', '0.0.0.0:5353->53/udp']);
  assert.equal(warnings.length, 2);
  assert.match(
    warnings[0]!,
    /^0\.0\.0\.0:8080->80\/tcp stays closed to the outside, since iptables refuses such connections \(table ip filter, chain INPUT, its policy\); publish with firewall=open, or allow them there: iptables -I INPUT -i eth0 -p tcp --dport 8080 -j ACCEPT$/,
  );
  assert.equal(await t.outside(8080), false, 'the host says no');
  assert.equal((await udpConnect(t.bed.host.neighbour, ADDRESS.host, 5353, { timeout })).ok, false);
  assert.equal(await t.outside(22), true, 'what the firewall accepts is open');
  for (const address of ['127.0.0.1', ADDRESS.host])
    assert.ok((await tcpConnect(t.host, address, 8080)).ok, `the host itself, by ${address}`);
  assert.ok((await udpConnect(t.host, '127.0.0.1', 5353)).ok);
  assert.ok((await tcpConnect(t.host, '127.0.0.1', 8081)).ok, 'on loopback nobody is asked');

  // a workload beside it, and one on another network
  await t.bed.engine.networkCreate({ name: 'other' });
  for (const network of ['web', 'other']) {
    const { netns, path } = await t.bed.workload(`box-${network}`);
    await t.bed.engine.endpointAttach({ netns: path, network });
    assert.ok((await tcpConnect(netns, ADDRESS.host, 8080)).ok, `a workload on ${network}`);
  }

  // the cure that it names
  const [, cure = ''] = /: (iptables .*)$/.exec(warnings[0]!) ?? [];
  await okIn(t.host, ['sh', '-ec', cure], XTABLES);
  const { value } = await t.bed.engine.endpointUpdate(endpoint.id, {
    unpublish: [{ protocol: 'tcp', hostPort: 8080, count: 1 }],
    publish: [parsePublish('8080:80')],
  });
  assert.deepEqual(denied(value), ['0.0.0.0:5353->53/udp']);
  assert.equal(await t.outside(8080), true);
});

test('pain 1 (moby#22054): the choice of the port, and of the engine', async () => {
  await using t = await town();
  await closed(t.host);
  const open = await t.publish('published=8080,target=80,protocol=tcp,firewall=open');
  assert.deepEqual([denied(open.endpoint), open.warnings], [[], []]);
  assert.equal(await t.outside(8080), true);

  await using lax = await t.bed.open({ publishedPorts: 'open' });
  const { value, warnings } = await lax.endpointUpdate(open.endpoint.id, {
    publish: [parsePublish('8081:80'), parsePublish('published=8082,target=80,firewall=obey')],
  });
  assert.deepEqual(denied(value), ['0.0.0.0:8082->80/tcp']);
  assert.equal(warnings?.length, 1);
  assert.deepEqual([await t.outside(8081), await t.outside(8082)], [true, false]);
});

test('ufw as it is when it is enabled, and what its own command would add', async () => {
  await using t = await town();
  await okIn(t.host, ['iptables-nft-restore'], { input: golden('ufw.rules'), ...XTABLES });
  await iptables(t.host, '-A ufw-user-forward -i eth0 -j ACCEPT', '-A ufw-user-input -p tcp --dport 8443 -j ACCEPT');
  const { endpoint, warnings } = await t.publish('8080:80', '8443:80');
  assert.deepEqual(denied(endpoint), ['0.0.0.0:8080->80/tcp']);
  assert.match(warnings.join(), /since ufw refuses .*: ufw allow in on eth0 to any port 8080 proto tcp$/);
  assert.deepEqual([await t.outside(8080), await t.outside(8443)], [false, true]);
});

test('firewalld as it is when it is started, and what its own command would add', async () => {
  await using t = await town();
  await nft(t.host, golden('firewalld.nft'));
  await nft(t.host, 'add rule inet firewalld filter_IN_public_allow tcp dport 8443 accept\n');
  const { endpoint, warnings } = await t.publish('8080:80', '8443:80');
  assert.deepEqual(denied(endpoint), ['0.0.0.0:8080->80/tcp']);
  assert.match(
    warnings.join(),
    /since firewalld refuses .*: firewall-cmd --permanent --zone=public --add-port=8080\/tcp && firewall-cmd --reload$/,
  );
  assert.deepEqual([await t.outside(8080), await t.outside(8443)], [false, true]);
});

test('IPv6 has a firewall of its own', async () => {
  await using t = await town({}, true);
  await okIn(
    t.host,
    [
      'sh',
      '-ec',
      'ip6tables-nft -A INPUT -p ipv6-icmp -j ACCEPT; ip6tables-nft -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT; ip6tables-nft -P INPUT DROP',
    ],
    XTABLES,
  );
  const { endpoint, warnings } = await t.publish('8080:80');
  assert.deepEqual(denied(endpoint), ['[::]:8080->80/tcp']);
  assert.match(warnings.join(), /table ip6 filter, chain INPUT.*ip6tables -I INPUT -i eth0/);
  assert.deepEqual([await t.outside(8080), await t.outside(8080, ADDRESS.host6)], [true, false]);
  assert.ok((await tcpConnect(t.host, ADDRESS.host6, 8080)).ok);
  await okIn(t.host, ['ip6tables-nft', '-P', 'INPUT', 'ACCEPT'], XTABLES);
  const { value } = await t.bed.engine.endpointUpdate(endpoint.id, { publish: [parsePublish('[::]:8081:80')] });
  assert.deepEqual(denied(value), ['[::]:8080->80/tcp'], 'nobody listens: what was decided stays');
  assert.equal(await t.outside(8081, ADDRESS.host6), true);
});

test('a port that only some may reach is closed, and one that only some may not is open', async () => {
  await using t = await town();
  await nft(
    t.host,
    `table inet mine {
  set bans { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 198.51.100.7 } }
  chain in {
    type filter hook input priority 0; policy drop;
    ip saddr @bans drop
    ip saddr 10.0.0.0/8 tcp dport 8080 accept
    tcp dport 8081 limit rate over 100/second drop
    tcp dport 8081 accept
    tcp dport 8082 ip saddr != 10.0.0.0/8 drop
    tcp dport 8082 accept
    tcp dport 8083 limit rate 100/second accept
  }
}
`,
  );
  const { endpoint, warnings } = await t.publish('8080:80', '8081:80', '8082:80', '8083:80');
  assert.deepEqual(denied(endpoint), ['0.0.0.0:8080->80/tcp', '0.0.0.0:8082->80/tcp']);
  assert.match(warnings[0]!, /8080.*nftables refuses most such connections \(table inet mine, chain in, its policy\)/);
  assert.match(
    warnings[1]!,
    /8082.*refuses most .*chain in, rule \d+: tcp dport 8082 .*ip saddr != 10\.0\.0\.0\/8 drop\)/,
  );
  assert.deepEqual(await Promise.all([8080, 8081, 8082, 8083].map((port) => t.outside(port))), [
    false,
    true,
    false,
    true,
  ]);
});

test('a range is one element, and closed where one of its ports is', async () => {
  await using t = await town();
  await iptables(t.host, '-A INPUT -p tcp --dport 9003 -j DROP', '-A INPUT -p sctp --dport 7000 -j DROP');
  const given = [
    '9000-9004:9000-9004',
    '9100-9104:9100-9104',
    '20000-29999:20000-29999/udp',
    '7000:7000/sctp',
    '7001:7001/sctp',
  ];
  const outcome = await t.bed.engine.endpointAttach(
    { netns: t.web.path, network: 'web', ports: given.map(parsePublish) },
    { explain: true },
  );
  assert.deepEqual(denied(outcome.value), ['0.0.0.0:9000-9004->9000-9004/tcp', '0.0.0.0:7000->7000/sctp']);
  const elements = outcome.plan!.filter(({ command }) => /denied4/.test(command));
  assert.deepEqual(
    elements.map(({ object, command }) => [object, /\{ (.*) \}/.exec(command)?.[1]]),
    [
      [`endpoint eth0 of ${t.web.path}`, '0.0.0.0/0 . tcp . 9000-9004'],
      [`endpoint eth0 of ${t.web.path}`, 'sctp . 7000'],
    ],
    'the plan shows them',
  );
});

test('a port on an address of its own is asked for there; without a default route, too', async () => {
  await using t = await town();
  await ipBatch(t.host, [
    'link add lan0 type veth peer name lan1',
    'addr add 10.9.0.1/24 dev lan0',
    'link set lan0 up',
    'link set lan1 up',
  ]);
  await iptables(t.host, '-A INPUT -i eth0 -j DROP');
  const { endpoint } = await t.publish('10.9.0.1:8080:80', '192.0.2.1:8080:80', '8081:80');
  assert.deepEqual(denied(endpoint), ['192.0.2.1:8080->80/tcp', '0.0.0.0:8081->80/tcp']);
  await ipBatch(t.host, ['route del default', 'route del ::/0']);
  const { value } = await t.bed.engine.endpointUpdate(endpoint.id, { publish: [parsePublish('8082:80')] });
  assert.ok(denied(value).includes('0.0.0.0:8082->80/tcp'));
});

test('a dry run says what would be, and changes nothing; a detach takes the element along', async () => {
  await using t = await town();
  await closed(t.host);
  const spec = { netns: t.web.path, network: 'web', ports: [parsePublish('8080:80')] };
  const dry = await t.bed.engine.endpointAttach(spec, { dryRun: true });
  assert.equal(dry.warnings?.length, 1);
  assert.match(dry.plan!.map(({ command }) => command).join('\n'), /nft add element inet netloom denied4_any/);
  const elements = async (): Promise<boolean> =>
    /elements/.test(await okIn(t.host, ['nft', 'list', 'set', 'inet', 'netloom', 'denied4_any']));
  assert.equal(await elements(), false);
  const { value } = await t.bed.engine.endpointAttach(spec);
  assert.equal(await elements(), true);
  await t.bed.engine.endpointDetach(value.id);
  assert.equal(await elements(), false);
});

test('a container is judged at each start', async () => {
  await using bed = await makeEngineBed({ neighbour: true });
  await bed.engine.networkCreate({ name: 'web' });
  const spec = { name: 'box', command: ['true'], networks: [{ network: 'web' }], ports: [parsePublish('8080:80')] };
  await closed(bed.host.netns);
  const made = await bed.engine.containerCreate(spec);
  assert.equal(made.warnings?.length, 1);
  assert.deepEqual(made.value.endpoints.flatMap(denied), ['0.0.0.0:8080->80/tcp']);
  assert.equal((await bed.engine.containerStart('box')).warnings, undefined, 'told once');
  await bed.engine.containerWait('box');
  await bed.engine.containerStop('box');
  await bed.engine.containerExited('box');
  await iptables(bed.host.netns, '-P INPUT ACCEPT');
  const { value } = await bed.engine.containerStart('box');
  assert.deepEqual(value.endpoints.flatMap(denied), []);
});

test('bad choices are one clear line, and nothing is changed', async () => {
  await using t = await town();
  for (const [text, message] of [
    ['published=8080,target=80,firewall=maybe', /firewall is "maybe"; write obey/],
    ['published=8080,target=80,wall=open', /"wall=open" is none of published=/],
    ['published=8080,firewall=open', /port is missing/],
    ['published=8080,target=80,target=81', /target is there twice/],
    ['published=8080,target=80,mode=none', /there is no mode "none"/],
  ] as const)
    assert.throws(() => parsePublish(text), { code: 'EBADPORT', message });
  const port = { ...parsePublish('8080:80'), firewall: 'no' as 'obey' };
  await assert.rejects(t.bed.engine.endpointAttach({ netns: t.web.path, network: 'web', ports: [port] }), {
    code: 'EBADPORT',
    message: /firewall is "no"/,
  });
  assert.deepEqual(await t.bed.engine.endpointList(), []);
});
