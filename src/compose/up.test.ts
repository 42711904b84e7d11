import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { composeDown, composeLogs, composePs } from './down.ts';
import { loadProject } from './load.ts';
import { linesOf } from './logs.ts';
import { MemoryEngine } from './memory-engine.test.ts';
import { isEmptyPlan, planUp } from './plan.ts';
import { ComposeRunError } from './progress.ts';
import { LABEL } from './project.ts';
import { composeUp, type UpOptions, type UpResult } from './up.ts';

interface Site {
  readonly engine: MemoryEngine;
  readonly directory: string;
  write(text: string, name?: string): Promise<void>;
  up(options?: Partial<UpOptions>): Promise<UpResult>;
  /** The actions that changed something, as `created network x`. */
  changes(options?: Partial<UpOptions>): Promise<string[]>;
  down(options?: { removeOrphans?: boolean; dryRun?: boolean }): ReturnType<typeof composeDown>;
}
async function site(t: TestContext, text: string): Promise<Site> {
  const directory = await mkdtemp(join(tmpdir(), 'compose-'));
  t.after(() => rm(directory, { recursive: true }));
  const engine = new MemoryEngine();
  const common = { files: [join(directory, 'compose.yaml')], projectName: 'shop', environment: {} };
  const made: Site = {
    engine,
    directory,
    write: (content, name = 'compose.yaml') => writeFile(join(directory, name), content),
    up: (options) => composeUp(engine, { ...common, detach: true, ...options }),
    async changes(options) {
      const { actions } = await made.up(options);
      return actions.filter(({ action }) => action !== 'unchanged').map(({ object, action }) => `${action} ${object}`);
    },
    down: (options) => composeDown(engine, { ...common, ...options }),
  };
  await made.write(text);
  return made;
}

const SHOP = `
networks: { front: {}, back: { internal: true } }
services:
  web: { command: w, networks: [front, back], depends_on: [api] }
  api: { command: a, networks: [back], depends_on: [db] }
  db: { command: d, networks: [back] }
  other: { command: o, networks: [front] }
`;

test('up: networks, then services in the order of their needs; up again: nothing', async (t) => {
  const { engine, changes } = await site(t, SHOP);
  await changes();
  assert.deepEqual(engine.calls.slice(0, 2).toSorted(), ['network create shop_back', 'network create shop_front']);
  const at = (call: string): number => engine.calls.indexOf(call);
  assert.ok(at('start shop-db-1') < at('create shop-api-1'));
  assert.ok(at('start shop-api-1') < at('create shop-web-1'));
  assert.ok(at('create shop-other-1') < at('start shop-db-1'), 'independent services do not wait for each other');
  engine.calls.length = 0;
  assert.deepEqual(await changes(), []);
  assert.deepEqual(engine.calls, []);
});

test('up after a change: only what differs', async (t) => {
  const { engine, changes, write } = await site(t, SHOP);
  await changes();
  await write(SHOP.replace('command: a', 'command: a2'));
  assert.deepEqual(await changes(), ['recreated container shop-api-1']);
  engine.end('shop-db-1', 1);
  assert.deepEqual(await changes(), ['started container shop-db-1']);
  engine.calls.length = 0;
  await write(SHOP.replace('command: a', 'command: a2').replace('front: {}', 'front: { internal: true }'));
  assert.deepEqual((await changes()).toSorted(), [
    'recreated container shop-other-1',
    'recreated container shop-web-1',
    'recreated network shop_front',
  ]);
  const order = engine.calls.filter((call) => /network|web/.test(call));
  assert.deepEqual(order, [
    'stop shop-web-1 10',
    'rm shop-web-1',
    'network rm shop_front',
    'network create shop_front',
    'create shop-web-1',
    'start shop-web-1',
  ]);
  assert.ok(!engine.calls.some((call) => /shop-(api|db)/.test(call)), 'what is on the other network stays untouched');
});

test('up: fewer replicas, orphans', async (t) => {
  const { engine, changes, up, write } = await site(t, 'services: { a: { command: x, scale: 3 }, b: { command: y } }');
  await changes();
  await write('services: { a: { command: x } }');
  const { actions, warnings } = await up();
  assert.deepEqual(
    actions
      .filter(({ action }) => action === 'removed')
      .map(({ object }) => object)
      .toSorted(),
    ['container shop-a-2', 'container shop-a-3'],
  );
  assert.match(warnings.join(), /^shop-b-1 belongs to services that the file has no longer/);
  assert.deepEqual(await changes({ removeOrphans: true }), ['removed container shop-b-1']);
  assert.deepEqual(engine.statuses(), { 'shop-a-1': 'running' });
});

test('up: a shared namespace goes with its owner, and those in it leave first', async (t) => {
  const text = 'services: { side: { command: s, network_mode: "service:main" }, main: { command: m } }';
  const { engine, changes, write } = await site(t, text);
  await changes();
  engine.calls.length = 0;
  await write(text.replace('command: m', 'command: n'));
  assert.deepEqual(await changes(), ['recreated container shop-main-1', 'recreated container shop-side-1']);
  assert.deepEqual(
    engine.calls.filter((call) => !call.startsWith('stop')),
    [
      'rm shop-side-1',
      'rm shop-main-1',
      'create shop-main-1',
      'start shop-main-1',
      'create shop-side-1',
      'start shop-side-1',
    ],
  );
});

test('up: service_completed_successfully waits for status 0, and what is done stays done', async (t) => {
  const text =
    'services: { web: { command: w, depends_on: { init: { condition: service_completed_successfully } } }, init: { command: i } }';
  const { engine, changes, up } = await site(t, text);
  engine.endsWith.set('shop-init-1', 2);
  await assert.rejects(up(), (error: unknown) => {
    assert.ok(error instanceof ComposeRunError);
    assert.equal(error.code, 'EDEPENDENCY');
    assert.match(
      error.message,
      /^service web: .*compose\.yaml:1:13: services\.web: shop-init-1 ended with status 2; see netloom logs shop-init-1\n/,
    );
    assert.match(error.message, /\nup: network shop_default, container shop-init-1; not up: container shop-web-1$/);
    return true;
  });
  engine.endsWith.set('shop-init-1', 0);
  assert.deepEqual(await changes(), ['started container shop-init-1', 'created container shop-web-1']);
  assert.deepEqual(await changes(), []);
});

test('up: a failure stops what depends on it, leaves the rest up, and says so', async (t) => {
  const { engine, up, changes } = await site(t, SHOP);
  engine.fails.set('start shop-api-1', 'EADDRTAKEN');
  await assert.rejects(up(), (error: unknown) => {
    assert.ok(error instanceof ComposeRunError);
    assert.equal(error.code, 'EADDRTAKEN');
    assert.match(error.message, /compose\.yaml:5:3: services\.api: start shop-api-1 was told to fail/);
    assert.match(error.message, /up: .*container shop-db-1.*; not up: container shop-api-1, container shop-web-1$/);
    return true;
  });
  assert.deepEqual(engine.statuses(), { 'shop-other-1': 'running', 'shop-db-1': 'running', 'shop-api-1': 'created' });
  engine.fails.clear();
  assert.deepEqual(await changes(), ['started container shop-api-1', 'created container shop-web-1']);
});

test('up: nothing is touched when the project would take over or hurt somebody else', async (t) => {
  const { engine, up, write } = await site(
    t,
    'networks: { there: { external: true } }\nservices: { a: { command: x, networks: [there, default] } }',
  );
  await engine.networkCreate({ name: 'shop_default' });
  await engine.containerCreate({ name: 'shop-a-1', command: ['z'] });
  engine.calls.length = 0;
  await assert.rejects(up(), (error: Error) => {
    assert.deepEqual(
      error.message.split('\n').map((line) => line.replace(/^.*?yaml:/, '')),
      [
        '1:13: the external network there does not exist; create it: netloom network create there',
        '1:1: the network shop_default exists and belongs to no project; write external: true to join it, or name this one differently',
        '2:13: a container shop-a-1 exists that is not of this project; remove it, or choose another name',
      ],
    );
    return true;
  });
  assert.deepEqual(engine.calls, []);
  engine.containers.length = 0;
  engine.networks.length = 0;
  await write('services: { a: { command: x } }');
  await up();
  await engine.containerCreate({ name: 'guest', command: ['z'], networks: [{ network: 'shop_default' }] });
  await write('networks: { default: { internal: true } }\nservices: { a: { command: x } }');
  await assert.rejects(up(), /the network shop_default has changed, and guest would lose it; disconnect/);
});

test('up: fixed addresses are taken before automatic ones are given out', async (t) => {
  const { engine, up } = await site(
    t,
    'services: { a: { command: x }, b: { command: y, depends_on: [a], networks: { default: { ipv4_address: 10.0.0.2 } } } }',
  );
  await up();
  assert.deepEqual(engine.calls.slice(1), ['create shop-b-1', 'create shop-a-1', 'start shop-a-1', 'start shop-b-1']);
});

test('up --dry-run and --explain', async (t) => {
  const { engine, up, write } = await site(t, SHOP);
  const dry = await up({ dryRun: true });
  assert.deepEqual(engine.calls, []);
  assert.deepEqual(dry.warnings, []);
  assert.equal(dry.actions.filter(({ action }) => action === 'created').length, 6);
  const real = await up({ explain: true });
  const commands = (result: UpResult): string[] => result.plan!.map((step) => step.command).toSorted();
  assert.deepEqual(commands(dry), commands(real));
  assert.equal(real.plan!.length, 10);
  assert.deepEqual(
    dry.actions.map((a) => `${a.action} ${a.object}`).toSorted(),
    real.actions.map((a) => `${a.action} ${a.object}`).toSorted(),
  );
  engine.calls.length = 0;
  await write(SHOP.replace('front: {}', 'front: { internal: true }'));
  const again = await up({ dryRun: true });
  assert.deepEqual(engine.calls, []);
  const anew = again.actions.filter(({ action }) => action === 'recreated').map(({ object }) => object);
  assert.deepEqual(anew.toSorted(), ['container shop-other-1', 'container shop-web-1', 'network shop_front']);
  assert.deepEqual(again.warnings, []);
  const planned = again.plan!.map((step) => step.command);
  const order = ['rm shop-web-1', 'network rm shop_front', 'network create shop_front', 'create shop-web-1'];
  assert.deepEqual(
    planned.filter((step) => order.includes(step)),
    order,
  );
});

test('up --dry-run names the object and the place in the file that cannot be had', async (t) => {
  const { engine, up, directory } = await site(t, SHOP);
  engine.fails.set('shop-api-1', 'EPORTTAKEN');
  await assert.rejects(up({ dryRun: true }), (error: unknown) => {
    assert.ok(error instanceof ComposeRunError);
    const place = `${join(directory, 'compose.yaml')}:5:3: services.api`;
    assert.equal(error.message, `container shop-api-1: ${place}: shop-api-1 was told to fail`);
    assert.equal(error.code, 'EPORTTAKEN');
    return true;
  });
  assert.deepEqual([engine.calls, engine.networks, engine.containers], [[], [], []]);
});

test('up in the foreground: prefixed output, exit codes, stop on the signal', async (t) => {
  const { engine, up } = await site(
    t,
    'services: { web: { command: w }, longer: { command: l }, quiet: { command: q, attach: false } }',
  );
  engine.output.set('shop-web-1', 'one\r\ntwo\nthree');
  engine.output.set('shop-longer-1', 'x\n');
  engine.output.set('shop-quiet-1', 'not shown\n');
  engine.endsWith.set('shop-longer-1', 5);
  const stop = new AbortController();
  let text = '';
  const stdout = {
    write(part: string): void {
      text += part;
      if (text.includes('longer-1 exited') && text.includes('two')) stop.abort();
    },
  };
  const { exitCodes } = await up({ detach: false, signal: stop.signal, stdout });
  assert.deepEqual(text.split('\n').toSorted(), [
    '',
    'longer-1  | x',
    'longer-1 exited with code 5',
    'web-1     | one',
    'web-1     | three',
    'web-1     | two',
    'web-1 exited with code 143',
  ]);
  assert.deepEqual(exitCodes, { 'shop-web-1': 143, 'shop-longer-1': 5, 'shop-quiet-1': 143 });
  assert.deepEqual(new Set(Object.values(engine.statuses())), new Set(['exited']));

  text = '';
  for (const name of Object.keys(engine.statuses())) engine.endsWith.set(name, 0);
  await up({ detach: false, stdout: { ...stdout, isTTY: true } });
  assert.ok(text.includes('mweb-1     | \u001b[0mone\n'), JSON.stringify(text));
});

test('an interrupted up starts nothing more', async (t) => {
  const { engine, up } = await site(
    t,
    'services: { web: { command: w, depends_on: { init: { condition: service_completed_successfully } } }, init: { command: i } }',
  );
  const stop = new AbortController();
  await assert.rejects(up({ signal: stop.signal, onProgress: ({ status }) => status === 'waiting' && stop.abort() }), {
    code: 'EABORTED',
  });
  assert.deepEqual(engine.statuses(), { 'shop-init-1': 'running' });
});

test('down: dependants first, then networks; orphans and their networks only where asked for', async (t) => {
  const { engine, up, down, write } = await site(t, SHOP);
  await up();
  engine.calls.length = 0;
  const dry = await down({ dryRun: true });
  assert.deepEqual(engine.calls, []);
  assert.equal(dry.plan!.filter((step) => step.command.startsWith('rm')).length, 4);
  await write(SHOP.replace(/.*other.*\n/, ''));
  const { warnings } = await down();
  const at = (call: string): number => engine.calls.indexOf(call);
  assert.ok(at('rm shop-web-1') < at('stop shop-api-1 10') && at('rm shop-api-1') < at('stop shop-db-1 10'));
  assert.deepEqual(warnings, [
    'shop-other-1 stay: the file has no such services; remove them with --remove-orphans',
    'network shop_front stays: shop-other-1 uses it',
  ]);
  assert.deepEqual(
    engine.networks.map((network) => network.name),
    ['shop_front'],
  );
  await down({ removeOrphans: true });
  assert.deepEqual([engine.networks, engine.containers], [[], []]);
  assert.deepEqual((await down()).actions, []);
});

test('down works on a file with faults, and without a file by the name alone', async (t) => {
  const { engine, up, down, write, directory } = await site(t, SHOP);
  await up();
  await write(`${SHOP}  broken: { image: x, depends_on: [nobody] }\n`);
  await down();
  assert.deepEqual(engine.containers, []);
  await write(SHOP);
  await up();
  await rm(join(directory, 'compose.yaml'));
  await assert.rejects(down(), { code: 'ENOENT', message: /there is no Compose file/ });
  await composeDown(engine, { files: [], projectDirectory: directory, projectName: 'shop' });
  assert.deepEqual([engine.networks, engine.containers], [[], []]);
});

test('down gets through labels that form a circle', async (t) => {
  const { engine, down } = await site(t, 'services: { a: { command: x } }');
  const labels = (service: string, needs: string): Record<string, string> => ({
    [LABEL.project]: 'shop',
    [LABEL.service]: service,
    [LABEL.dependsOn]: `${needs}:service_started:false`,
  });
  for (const [name, needs] of [
    ['a', 'c'],
    ['b', 'a'],
    ['c', 'b'],
    ['d', 'd'],
  ] as const) {
    await engine.containerCreate({ name, command: ['x'], labels: labels(name, needs) });
  }
  await down({ removeOrphans: true });
  assert.deepEqual(engine.containers, []);
});

test('stop_grace_period is used, and known without the file', async (t) => {
  const { engine, up, down } = await site(t, 'services: { a: { command: x, stop_grace_period: 1m5s } }');
  await up();
  await down();
  assert.ok(engine.calls.includes('stop shop-a-1 65'));
});

test('ps and logs', async (t) => {
  const { engine, up, directory } = await site(
    t,
    'services: { b: { command: x, scale: 2 }, a: { command: x, container_name: named } }',
  );
  await up();
  const source = { files: [join(directory, 'compose.yaml')], projectName: 'shop' };
  assert.deepEqual(
    (await composePs(engine, source)).map((container) => container.name),
    ['named', 'shop-b-1', 'shop-b-2'],
  );
  engine.output.set('shop-b-2', 'hello\n');
  let text = '';
  await composeLogs(engine, { ...source, services: ['b'], stdout: { write: (part: string) => void (text += part) } });
  assert.equal(text, 'b-2  | hello\n');
});

test('.env, env_file, project name and default files', async (t) => {
  const { directory, write } = await site(
    t,
    'services: { web: { command: "w $FROM_DOTENV $BOTH", env_file: [a.env, { path: gone.env, required: false }], environment: { X: 1, BOTH: } } }',
  );
  await write('FROM_DOTENV=file\nBOTH=file\n', '.env');
  await write('X=0\nY=$BOTH\n', 'a.env');
  const load = async (
    environment: Record<string, string>,
    files: string[] = [],
  ): Promise<{ name: string; spec: unknown }> => {
    const { project } = await loadProject({ files, projectDirectory: directory, environment });
    const { command, env } = project.services[0]!.containers[0]!.spec;
    return { name: project.name, spec: { command, env } };
  };
  const loaded = await load({ BOTH: 'outer', COMPOSE_PROJECT_NAME: 'named' });
  assert.deepEqual(loaded, {
    name: 'named',
    spec: { command: ['w', 'file', 'outer'], env: { X: '1', Y: 'outer', BOTH: 'outer' } },
  });
  await assert.rejects(load({ COMPOSE_PROJECT_NAME: 'No!' }), { code: 'EPROJECTNAME' });
  await write('services: { web: { command: over } }', 'compose.override.yaml');
  assert.deepEqual((await load({ COMPOSE_PROJECT_NAME: 'n' })).spec, {
    command: ['over'],
    env: { X: '1', Y: 'file', BOTH: 'file' },
  });
  await write('services: { web: { command: w, env_file: gone.env } }');
  await assert.rejects(
    load({ COMPOSE_PROJECT_NAME: 'n' }, [join(directory, 'compose.yaml')]),
    /services\.web\.env_file: there is no file .*gone\.env; create it, or write required: false/,
  );
});

test('log lines survive any cut between their bytes', async () => {
  const text = fc.array(
    fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll(/[\r\n]/g, '')),
    { minLength: 1 },
  );
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 5 }), async (lines, size) => {
      const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''));
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      }
      const seen: string[] = [];
      for await (const line of linesOf(chunks())) seen.push(line);
      // a byte order mark at the very beginning is no text
      assert.deepEqual(
        seen,
        lines.map((line, index) => (index === 0 ? line.replace(/^\ufeff/, '') : line)),
      );
    }),
  );
});

/** A project in which service i may depend on, or share the namespace of, those with a smaller number. */
const anyProject = fc
  .array(
    fc.record({
      networks: fc.subarray(['one', 'two', 'three']),
      needs: fc.array(fc.nat({ max: 7 }), { maxLength: 3 }),
      restart: fc.boolean(),
      share: fc.boolean(),
      replicas: fc.integer({ min: 0, max: 3 }),
      word: fc.constantFrom('a', 'b'),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .chain((services) => fc.record({ services: fc.constant(services), internal: fc.subarray(['one', 'two', 'three']) }))
  .map(({ services, internal }) => {
    const networks = Object.fromEntries(
      ['one', 'two', 'three'].map((name) => [name, { internal: internal.includes(name) }]),
    );
    const entries = services.map((service, index) => {
      const needs = [...new Set(service.needs.filter((other) => other < index))];
      const provider = service.share ? needs.find((other) => services[other]!.replicas > 0) : undefined;
      const place = provider === undefined ? { networks: service.networks } : { network_mode: `service:s${provider}` };
      const depends_on = Object.fromEntries(
        needs.map((other) => [`s${other}`, { condition: 'service_started', restart: service.restart }]),
      );
      return [`s${index}`, { command: service.word, scale: service.replicas, depends_on, ...place }];
    });
    return JSON.stringify({ networks, services: Object.fromEntries(entries) });
  });

test('property: from whatever was up before, one up is enough, and the plan after it is empty', async (t) => {
  const { engine, up, write, down, directory } = await site(t, '{}');
  await fc.assert(
    fc.asyncProperty(anyProject, anyProject, fc.nat(), async (before, after, seed) => {
      await write(before);
      await up();
      // some commands end in between
      engine.containers
        .filter((_, index) => (seed >> index) % 2 === 1)
        .forEach(({ name, state }) => state.status === 'running' && engine.end(name, 1));
      await write(after);
      engine.calls.length = 0;
      engine.rehearsed.length = 0;
      const dry = await up({ removeOrphans: true, dryRun: true });
      assert.deepEqual([engine.calls, dry.warnings], [[], []]);
      await up({ removeOrphans: true });
      // a stop has its time to wait behind it, which a plan has not
      const deeds = (calls: readonly string[]): string[] =>
        calls.map((call) => call.replace(/^(stop \S+) \d+$/, '$1')).toSorted();
      assert.deepEqual(deeds(engine.rehearsed), deeds(engine.calls));
      const { project } = await loadProject({ files: [join(directory, 'compose.yaml')], projectName: 'shop' });
      const observed = {
        networks: engine.networks,
        containers: engine.containers,
        endpoints: await engine.endpointList(),
      };
      assert.ok(isEmptyPlan(planUp(project, observed)));
      assert.ok(Object.values(engine.statuses()).every((status) => status === 'running'));
      const wanted = project.services.flatMap((service) => service.containers.map((container) => container.name));
      assert.deepEqual(Object.keys(engine.statuses()).toSorted(), wanted.toSorted());
      engine.calls.length = 0;
      engine.rehearsed.length = 0;
      await down({ dryRun: true });
      await down();
      assert.deepEqual(deeds(engine.rehearsed), deeds(engine.calls));
      assert.deepEqual([engine.networks, engine.containers], [[], []]);
    }),
    { numRuns: 150 },
  );
});
