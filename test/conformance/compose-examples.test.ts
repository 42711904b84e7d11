// runs: here in one mode (examples, which are files)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sandbox } from '../../examples/library/sandbox.ts';
import { composeDown, composeUp, type UpOptions, type UpResult } from '../../src/compose/index.ts';
import type { PlanStep } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { withoutIds } from '../lib/replay.ts';
import { okIn, runIn } from '../lib/run.ts';
import { namesIn } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';
import type { Netns } from '../../src/kernel/index.ts';

/** The examples as people run them: `up` on a machine of the test's own, asked from outside with curl. */
const exampleFile = (name: string): string =>
  fileURLToPath(new URL(`../../examples/${name}/compose.yaml`, import.meta.url));

interface Example extends AsyncDisposable {
  readonly bed: EngineBed;
  up(options?: Partial<UpOptions>): Promise<UpResult>;
  down(): Promise<void>;
  /** What a service has said when its command has ended, or so far. */
  log(container: string): Promise<string>;
}
async function example(name: string): Promise<Example> {
  const bed = await makeEngineBed({ neighbour: true });
  const source = { files: [exampleFile(name)], environment: {} };
  const down = async (): Promise<void> => void (await composeDown(bed.engine, { ...source, timeoutSeconds: 2 }));
  return {
    bed,
    up: (options) => composeUp(bed.engine, { ...source, detach: true, ...options }),
    down,
    async log(container) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of bed.engine.containerLogs(container)) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    },
    async [Symbol.asyncDispose]() {
      // what the test found wrong matters more than what this stumbles over because of it
      await down().catch((error: unknown) => console.error(error));
      await bed[Symbol.asyncDispose]();
    },
  };
}

async function curl(from: Netns, url: string): Promise<string> {
  return until(`${url} answers`, () => okIn(from, ['curl', '-sSf', '--max-time', '3', '--noproxy', '*', url]));
}
/** Nothing of the project is left: no container, no network, no name, no bridge, no table. */
async function assertNothingLeft({ engine, host, paths }: EngineBed): Promise<void> {
  assert.deepEqual(await engine.containerList({ all: true }), []);
  assert.deepEqual(
    (await engine.networkList()).map((network) => network.name).filter((name) => name !== 'host' && name !== 'none'),
    [],
  );
  assert.deepEqual(await engine.endpointList(), []);
  assert.deepEqual(namesIn(paths.netnsDir), []);
  const links = JSON.parse(await okIn(host.netns, ['ip', '-j', 'link'])) as { ifname: string }[];
  assert.deepEqual(links.map((link) => link.ifname).toSorted(), ['eth0', 'lo']);
  assert.equal((await okIn(host.netns, ['nft', 'list', 'ruleset'])).trim(), '');
}
const changes = (result: UpResult): string[] =>
  result.actions.filter(({ action }) => action !== 'unchanged').map(({ object, action }) => `${action} ${object}`);

interface Reply {
  readonly service: string;
  readonly address: string;
  readonly client: string;
  readonly neighbour?: { readonly address: string; readonly answer: Reply; readonly error?: string };
}

test('webserver: answers outside, host and localhost, reaches its neighbour by name, and a second up does nothing', async () => {
  await using site = await example('webserver');
  const { bed } = site;
  const { host, engine } = bed;
  assert.deepEqual(changes(await site.up()), [
    'created network webserver_mynet',
    'created container webserver-api-1',
    'created container webserver-web-1',
  ]);
  const addressOf = async (name: string): Promise<string> =>
    (await engine.containerInspect(name)).endpoints[0]!.addresses[0]!.replace(/\/.*/, '');
  const [web, api] = [await addressOf('webserver-web-1'), await addressOf('webserver-api-1')];

  // the host reaches what is not published, too; and from here on api listens
  await curl(host.netns, `http://${api}:8080/`);
  const asked: [Netns, string, string][] = [
    [host.outside, `http://${ADDRESS.host}:8888/`, ADDRESS.outside],
    [host.neighbour, `http://${ADDRESS.host}:8888/`, ADDRESS.neighbour],
    [host.netns, `http://${ADDRESS.host}:8888/`, ''],
    [host.netns, 'http://localhost:8888/', ''],
  ];
  for (const [from, url, client] of asked) {
    const reply = JSON.parse(await curl(from, url)) as Reply;
    assert.equal(reply.service, (await engine.containerInspect('webserver-web-1')).hostname);
    assert.equal(reply.address, web);
    // the outside's address is kept
    if (client !== '') assert.equal(reply.client, client);
    assert.equal(reply.neighbour?.address, api, `the name api leads to ${api}: ${JSON.stringify(reply.neighbour)}`);
    assert.equal(reply.neighbour.answer.client, web);
  }
  // what is not published is not reached, even by somebody who knows the way
  await okIn(host.neighbour, ['ip', 'route', 'add', '10.188.0.0/24', 'via', ADDRESS.host]);
  assert.notEqual(
    (await runIn(host.neighbour, ['curl', '-s', '--max-time', '0.5', '--noproxy', '*', `http://${api}:8080/`])).status,
    0,
  );

  const pids = async (): Promise<number[]> =>
    (await engine.containerList()).map((container) => container.state.pid).toSorted((a, b) => a - b);
  const before = await pids();
  assert.deepEqual(changes(await site.up()), []);
  assert.deepEqual(await pids(), before);

  await site.down();
  await assertNothingLeft(bed);
});

test('webserver: --dry-run changes nothing and --explain tells the commands', async () => {
  await using site = await example('webserver');
  const { plan = [] } = await site.up({ dryRun: true });
  const bridge = (steps: readonly PlanStep[]): boolean =>
    steps.some(({ kind, command }) => kind === 'link' && /type bridge/.test(command));
  assert.ok(bridge(plan), plan.map((step) => step.command).join('\n'));
  await assertNothingLeft(site.bed);
  const { plan: real = [], warnings } = await site.up({ explain: true });
  assert.deepEqual(warnings, []);
  // services come up side by side: their steps may mix, and the process's own start has no order
  const lines = (steps: readonly PlanStep[]): string[] =>
    withoutIds(steps)
      .map(({ object, command }) => `${object}: ${command}`)
      .sort();
  assert.deepEqual(
    lines(plan),
    lines(real),
    'all of it is planned, containers of networks that are not there included',
  );
  assert.ok(
    bridge(real) &&
      real.some(({ command }) => command.includes('10.188.0.1/24')) &&
      real.some(({ command }) => /\b8888\b/.test(command)),
  );
});

test('webserver in the foreground: output with prefixes until the signal, then nothing runs', async () => {
  await using site = await example('webserver');
  const stop = new AbortController();
  let text = '';
  const stdout = {
    write(part: string): void {
      text += part;
      if (/^web-1 .*listening/m.test(text) && /^api-1 .*listening/m.test(text)) stop.abort();
    },
  };
  const { exitCodes } = await site.up({ detach: false, signal: stop.signal, stdout });
  assert.deepEqual(
    text
      .split('\n')
      .filter((line) => line.includes('|'))
      .toSorted(),
    ['api-1  | listening on port 8080', 'web-1  | listening on port 80'],
  );
  assert.deepEqual(exitCodes, { 'webserver-api-1': 143, 'webserver-web-1': 143 });
  assert.deepEqual(await site.bed.engine.endpointList(), []);
});

test('two-networks: isolation, fixed and dual-stack addresses, a range of ports, an internal network', async () => {
  await using site = await example('two-networks');
  const { bed } = site;
  const { engine, host } = bed;
  await site.up();
  await Promise.all(['from-front', 'from-back'].map((name) => engine.containerWait(`two-networks-${name}-1`)));
  const front = await engine.containerInspect('two-networks-from-front-1');
  const [v4, v6] = front.endpoints[0]!.addresses.map((address) => address.replace(/\/.*/, ''));
  const [byName, byAddress, hidden] = (await site.log('two-networks-from-front-1')).trim().split('\n');
  // the name has an address of each family, and the resolver chooses
  const either = [
    `gateway:8090: open, "10.189.1.10 port 8090 answers ${v4}"`,
    `gateway:8090: open, "fd4e:6c6f:6f6d:1::10 port 8090 answers ${v6}"`,
  ];
  assert.ok(either.includes(byName!), byName);
  assert.equal(byAddress, `[fd4e:6c6f:6f6d:1::10]:8092: open, "fd4e:6c6f:6f6d:1::10 port 8092 answers ${v6}"`);
  assert.equal(hidden, '10.189.2.10:7000: no answer');
  const [store = '', door = '', outside] = (await site.log('two-networks-from-back-1')).trim().split('\n');
  assert.match(store, /^store:7000: open, "10\.189\.2\.10 port 7000 answers 10\.189\.2\.(12[89]|1[3-9]\d|2\d\d)"$/);
  assert.match(door, /^door:8091: open, "10\.189\.2\.\d+ port 8091 answers 10\.189\.2\.\d+"$/);
  assert.equal(outside, '192.0.2.2:80: ENETUNREACH');

  const read = (from: Netns, address: string, port: number): Promise<{ status: number; stdout: string }> =>
    runIn(from, ['ncat', '--recv-only', '-w', '1', address, String(port)]);
  for (const port of [8090, 8091, 8092]) {
    assert.equal(
      (await read(host.outside, ADDRESS.host, port)).stdout,
      `10.189.1.10 port ${port} answers ${ADDRESS.outside}\n`,
    );
    assert.match(
      (await read(host.outside, ADDRESS.host6, port)).stdout,
      new RegExp(`^fd4e:6c6f:6f6d:1::10 port ${port} answers ${ADDRESS.outside6}`),
    );
  }
  assert.match((await read(host.netns, '127.0.0.1', 18090)).stdout, /^10\.189\.1\.10 port 8090 answers /);
  assert.notEqual((await read(host.outside, ADDRESS.host, 18090)).status, 0);

  const gateway = await engine.containerInspect('two-networks-gateway-1');
  const routes = JSON.parse(await okIn(host.netns, ['nsenter', `--net=${gateway.netns}`, 'ip', '-j', 'route'])) as {
    dst: string;
    gateway?: string;
  }[];
  assert.deepEqual(
    routes.filter(({ dst }) => dst === 'default').map((route) => route.gateway),
    ['10.189.1.1'],
  );
  await site.down();
  await assertNothingLeft(bed);
});

test('modes: a network, another container’s namespace, none, the host’s own', async () => {
  await using site = await example('modes');
  const { bed } = site;
  await site.up();
  await Promise.all(['sidecar', 'alone', 'host'].map((name) => bed.engine.containerWait(`modes-${name}-1`)));
  const said = async (name: string): Promise<{ interfaces: Record<string, string[]>; answer?: string }> => {
    const line = await until(`${name} has said something`, () => site.log(`modes-${name}-1`));
    return JSON.parse(line) as { interfaces: Record<string, string[]>; answer?: string };
  };
  const [main, sidecar, alone, host] = [
    await said('main'),
    await said('sidecar'),
    await said('alone'),
    await said('host'),
  ];
  const [address = ''] = (await bed.engine.containerInspect('modes-main-1')).endpoints[0]!.addresses;
  assert.ok(main.interfaces['eth0']?.includes(address));
  assert.deepEqual(sidecar.interfaces, main.interfaces);
  assert.equal(sidecar.answer, 'main is here');
  assert.deepEqual(Object.keys(alone.interfaces), ['lo']);
  assert.deepEqual(
    Object.keys(host.interfaces)
      .filter((name) => ['eth0', 'lo'].includes(name))
      .toSorted(),
    ['eth0', 'lo'],
  );
  assert.ok(host.interfaces['eth0']?.includes(`${ADDRESS.host}/24`), "the host's own uplink");
  await site.down();
  await assertNothingLeft(bed);
});

test('library: a namespace of its own maker gets an address and a port, and gives both back', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('unused');
  assert.match(
    await sandbox(bed.engine, bed.paths.netnsDir),
    /^[\d.]+\/\d+ and f[cd][\da-f:]+\/64, port 80 published as \d+(,\d+)?$/,
  );
  const { Netns: netns } = await import('../../src/kernel/index.ts');
  netns.unpin(path);
  await assertNothingLeft(bed);
});
