import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Engine } from '../../src/engine/index.ts';
import type { ContainerSpec, EngineEvent } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Background, okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { type ContainerBed, execIn, makeContainerBed } from './containers-bed.ts';

checkDescriptors();
const SLEEP = ['sleep', '300'];

/** A bed whose containers are kept by a resident engine. */
async function residentBed(): Promise<{ bed: ContainerBed; engine: Engine } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const bed = stack.use(await makeContainerBed());
  const engine = stack.use(await bed.open({ resident: true }));
  const kept = stack.move();
  return { bed, engine, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The outside's name server, which knows of example.test only. */
async function nameServer(bed: ContainerBed): Promise<Background> {
  const server = startIn(bed.host.outside, [
    'dnsmasq',
    '--keep-in-foreground',
    '--no-resolv',
    '--no-hosts',
    '--port=53',
    '--pid-file=',
    '--log-facility=-',
    '--user=',
    '--group=',
    '--host-record=example.test,203.0.113.7',
    '--local=/test/',
  ]);
  await until('dnsmasq', () => server.output().includes('started'));
  return server;
}

async function up(engine: Engine, spec: Omit<ContainerSpec, 'command'>): Promise<void> {
  await engine.containerCreate({ command: SLEEP, dns: { servers: ['192.0.2.2'] }, ...spec });
  await engine.containerStart(spec.name!);
}

/** What dig says, in short; without +search, so that the resolver itself is asked. */
async function dig(engine: Engine, box: string, ...question: string[]): Promise<string[]> {
  const text = await execIn(engine, box, ['dig', '+short', '+tries=1', '+time=3', ...question]);
  return text.trim().split('\n').filter(Boolean).sort();
}

test('names, aliases, several addresses, reverse and SRV, each as the asker may see it', async () => {
  await using site = await residentBed();
  const { bed, engine } = site;
  await using _server = await nameServer(bed);
  for (const name of ['front', 'back']) await engine.networkCreate({ name, ipv6: true });
  await up(engine, { name: 'web1', networks: [{ network: 'front', aliases: ['web'] }] });
  await up(engine, {
    name: 'web2',
    networks: [{ network: 'front', aliases: ['web'] }, { network: 'back' }],
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  await up(engine, { name: 'db', networks: [{ network: 'back', aliases: ['Postgres'] }] });
  const addressOf = async (name: string, network: string, family = 4): Promise<string> => {
    const { id } = await engine.networkInspect(network);
    const endpoint = (await engine.containerInspect(name)).endpoints.find((e) => e.network === id)!;
    return endpoint.addresses.find((a) => a.includes(':') === (family === 6))!.split('/')[0]!;
  };
  const web = [await addressOf('web1', 'front'), await addressOf('web2', 'front')].sort();

  assert.deepEqual(await dig(engine, 'web1', 'web'), web, 'a service has several addresses');
  assert.deepEqual(await dig(engine, 'web1', 'web2', 'AAAA'), [await addressOf('web2', 'front', 6)]);
  assert.deepEqual(await dig(engine, 'web1', '-x', web[0]!), ['web1.front.']);
  assert.deepEqual(await dig(engine, 'web1', 'web2.front'), [await addressOf('web2', 'front')]);
  assert.deepEqual(await dig(engine, 'web2', 'postgres'), [await addressOf('db', 'back')], 'on any of its networks');
  assert.deepEqual(await dig(engine, 'db', 'web2'), [await addressOf('web2', 'back')], 'where the asker is');
  assert.deepEqual(await dig(engine, 'web1', '_http._tcp.web2', 'SRV'), ['0 0 80 web2.']);
  assert.deepEqual(await dig(engine, 'web1', 'db'), [], 'not on the networks of the asker');
  assert.deepEqual(await dig(engine, 'web1', '+tcp', 'web2'), [await addressOf('web2', 'front')]);
  // the C library's way, by the files that the command sees
  assert.match(
    await execIn(engine, 'web1', ['getent', 'ahostsv4', 'web2']),
    new RegExp(await addressOf('web2', 'front')),
  );
  const orders = new Set<string>();
  for (let i = 0; i < 12; i++) orders.add(await execIn(engine, 'web1', ['dig', '+short', 'web']));
  assert.equal(orders.size, 2, 'in rotation');

  // what changes while it runs
  await engine.networkConnect('web1', { network: 'back' });
  assert.deepEqual(await dig(engine, 'web1', 'db'), [await addressOf('db', 'back')]);
  await engine.networkDisconnect('web1', 'front');
  assert.deepEqual(
    await dig(engine, 'web1', 'postgres'),
    [await addressOf('db', 'back')],
    'by the gateway that is left',
  );
  await engine.containerStop('db', { timeoutSeconds: 0.2 });
  assert.deepEqual(await dig(engine, 'web1', 'postgres'), []);
});

test('what is not ours goes to the servers that were asked for; internal networks ask nobody', async () => {
  await using site = await residentBed();
  const { bed, engine } = site;
  await using _server = await nameServer(bed);
  await engine.networkCreate({ name: 'web' });
  await engine.networkCreate({ name: 'vault', internal: true });
  await up(engine, { name: 'box', networks: [{ network: 'web' }], dns: { servers: ['192.0.2.2'] } });
  await up(engine, { name: 'safe', networks: [{ network: 'vault' }], dns: { servers: ['192.0.2.2'] } });
  const queries: EngineEvent[] = [];
  const stop = new AbortController();
  const listening = (async () => {
    for await (const event of engine.events({ types: ['dns'] }, stop.signal)) queries.push(event);
  })();
  assert.deepEqual(await dig(engine, 'box', 'example.test'), ['203.0.113.7']);
  assert.match(await execIn(engine, 'box', ['dig', 'gone.test']), /status: NXDOMAIN/);
  assert.match(await execIn(engine, 'safe', ['dig', 'example.test']), /status: NXDOMAIN/);
  assert.ok((await dig(engine, 'safe', 'safe')).length === 1);
  await until('the query log', () => queries.length >= 4);
  stop.abort();
  await listening;
  const [first] = queries;
  assert.deepEqual(
    [first?.type, first?.action, first?.name, first?.attributes['container'], first?.attributes['source']],
    ['dns', 'query', 'example.test', 'box', 'upstream'],
  );
  assert.match(await engine.metrics(), /^netloom_dns_queries_total\{source="upstream",rcode="NXDOMAIN"\} 1$/m);
});

test('without a resident engine the hosts file has the names, and again when it ends', async () => {
  await using bed = await makeContainerBed();
  const hosts = (box: string): string => readFileSync(`${bed.paths.etcNetnsDir}/${box}/hosts`, 'utf8');
  const resolv = (box: string): string => readFileSync(`${bed.paths.etcNetnsDir}/${box}/resolv.conf`, 'utf8');
  await bed.engine.networkCreate({ name: 'web' });
  for (const name of ['a', 'b']) {
    await bed.engine.containerCreate({ name, command: SLEEP, networks: [{ network: 'web' }] });
    await bed.engine.containerStart(name);
  }
  const gateway = (await bed.engine.networkInspect('web')).subnets[0]!.gateway;
  assert.match(hosts('a'), /\tb /);
  assert.ok(!resolv('a').includes(gateway));
  {
    await using resident = await bed.open({ resident: true });
    assert.doesNotMatch(hosts('a'), /\tb /);
    assert.ok(resolv('a').includes(`nameserver ${gateway}\n`) && resolv('a').includes('ndots:0'));
    assert.match(await execIn(resident, 'a', ['getent', 'ahostsv4', 'b']), /\sb/, 'the files are those that it sees');
  }
  assert.match(hosts('a'), /\tb /);
  assert.ok(!resolv('a').includes(gateway));
  assert.match(await execIn(bed.engine, 'a', ['getent', 'ahostsv4', 'b']), /\sb/);
});

/** A name server of the host's own, at every address it has. */
async function hostServer(bed: ContainerBed): Promise<Background> {
  const server = startIn(bed.host.netns, [
    'dnsmasq',
    '--keep-in-foreground',
    '--no-resolv',
    '--no-hosts',
    '--host-record=theirs.test,203.0.113.9',
    '--port=53',
    '--pid-file=',
    '--log-facility=-',
    '--user=',
    '--group=',
  ]);
  await until('dnsmasq', () => server.output().includes('started'));
  return server;
}

/** Where the rule set leads questions to, a line each. */
async function led(bed: ContainerBed): Promise<string> {
  const maps = await Promise.all(
    [4, 6].map((family) => okIn(bed.host.netns, ['nft', 'list', 'map', 'inet', 'netloom', `resolver${family}`])),
  );
  return (
    maps
      .join('')
      .match(/elements = \{[^}]*\}/g)
      ?.join('\n') ?? ''
  );
}

test('pain 33 (netavark#230): where another program has port 53, names are answered all the same, and it is said', async () => {
  await using bed = await makeContainerBed();
  await using stack = new AsyncDisposableStack();
  const other = stack.use(await hostServer(bed));
  const engine = stack.use(await bed.open({ resident: true }));
  const told: EngineEvent[] = [];
  const stop = new AbortController();
  const listening = (async () => {
    for await (const event of engine.events({ types: ['engine', 'repair'] }, stop.signal)) told.push(event);
  })();
  const { value: network } = await engine.networkCreate({ name: 'web', ipv6: true });
  const gateways = network.subnets.map(({ gateway }) => gateway);
  const fault = await until('the fault', () => told.find(({ action }) => action === 'fault'));
  assert.match(fault.attributes['error'] ?? '', /port 53 of .* is taken by dnsmasq/);
  assert.match(fault.attributes['instead'] ?? '', /port 20053/);
  for (const name of ['a', 'b']) await up(engine, { name, networks: [{ network: 'web' }] });
  const resolv = (): string => readFileSync(`${bed.paths.etcNetnsDir}/a/resolv.conf`, 'utf8');
  const address = (await engine.containerInspect('b')).endpoints[0]!.addresses.map((a) => a.replace(/\/.*/, ''));
  await until('asked at its gateway', () => gateways.every((gateway) => resolv().includes(gateway)));
  const ask = async (from = engine): Promise<void> => {
    for (const at of gateways) {
      for (const way of ['+notcp', '+tcp'])
        assert.deepEqual(await dig(from, 'a', way, `@${at}`, 'b'), [address[0]], `${at} ${way}`);
    }
  };
  await ask();
  assert.match(await execIn(engine, 'a', ['getent', 'ahostsv4', 'b']), new RegExp(address[0]!));
  // the host's own program still answers the host
  const host = await okIn(bed.host.netns, ['dig', '+short', '@127.0.0.1', 'theirs.test']);
  assert.equal(host.trim(), '203.0.113.9');
  assert.equal((await okIn(bed.host.netns, ['dig', '+short', `@${gateways[0]}`, 'theirs.test'])).trim(), '203.0.113.9');

  const report = await engine.doctor({ checks: ['resolvers'] });
  assert.equal(report.findings.length, 2);
  for (const { summary, object } of report.findings) {
    assert.match(summary, /taken by dnsmasq \(pid \d+\).*led to port 20053/);
    assert.equal(object, 'network web');
  }
  // under repair's eye
  const before = await led(bed);
  await okIn(bed.host.netns, ['nft', 'flush', 'map', 'inet', 'netloom', 'resolver4']);
  await until('led again', async () => (await led(bed)) === before);
  assert.ok(told.some(({ type, name }) => type === 'repair' && name.includes('resolver4')));
  await ask();

  // another engine finds it as it was, and all is there at once
  stop.abort();
  await listening;
  await engine[Symbol.asyncDispose]();
  const next = stack.use(await bed.open({ resident: true }));
  assert.ok(gateways.every((gateway) => resolv().includes(gateway)));
  await ask(next);
  assert.equal(await led(bed), before);

  // and back, when the other one has left
  await other[Symbol.asyncDispose]();
  await until('no detour', async () => (await led(bed)) === '', { timeout: 15_000 });
  await ask(next);
  assert.deepEqual((await next.networkInspect('web')).resolverPorts, undefined);
  const after = (await next.doctor({ checks: ['resolvers'] })).findings;
  assert.deepEqual(
    after.map(({ summary }) => summary),
    ['no other program has port 53 of a gateway'],
  );
});
