import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish, type PlanStep } from '../../src/model/index.ts';
import { everythingOf } from '../lib/everything.ts';
import { makeContainerBed } from './containers-bed.ts';

const SLEEP = ['sleep', '300'];

const has = (plan: readonly PlanStep[] | undefined, kind: string, verb: string): boolean =>
  (plan ?? []).some((step) => step.kind === kind && step.verb === verb);

test('steps are planned one upon the other, and nothing of it is left', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const before = await everythingOf(bed);
  const web = { name: 'web', command: SLEEP, networks: [{ network: 'front' }], ports: [parsePublish('8080:80')] };
  const plans = await engine.rehearse([
    { verb: 'networkCreate', spec: { name: 'front' } },
    { verb: 'networkCreate', spec: { name: 'back' } },
    { verb: 'containerCreate', spec: web },
    { verb: 'containerCreate', spec: { name: 'db', command: SLEEP, networks: [{ network: 'front' }] } },
    { verb: 'containerCreate', spec: { name: 'side', command: SLEEP, networkMode: 'container:web' } },
    { verb: 'containerStart', ref: 'web' },
    { verb: 'containerRemove', ref: 'web', force: true },
    { verb: 'containerCreate', spec: web },
  ]);
  const text = (steps: readonly PlanStep[] | undefined): string => (steps ?? []).map((s) => s.command).join('\n');
  assert.equal(plans.length, 8);
  assert.match(text(plans[0]), /add table inet netloom/);
  assert.doesNotMatch(text(plans[1]), /add table/, 'the rule set comes once');
  const address = (steps: readonly PlanStep[] | undefined): string =>
    /addr(?:ess)? add ([\d.]+)\/\d+ dev eth0/.exec(text(steps))?.[1] ?? 'none';
  assert.notEqual(address(plans[2]), address(plans[3]), 'each container has an address of its own');
  assert.match(text(plans[2]), /8080/);
  assert.match(text(plans[5]), /netns\/web sleep 300$/);
  assert.ok(has(plans[6], 'netns', 'delete'));
  assert.match(text(plans[7]), /8080/, 'what was given back can be had again');
  assert.deepEqual(await everythingOf(bed), before);
  // the first that cannot be done is named
  await assert.rejects(
    engine.rehearse([
      { verb: 'networkCreate', spec: { name: 'front' } },
      { verb: 'networkCreate', spec: { name: 'front' } },
    ]),
    { code: 'ENAMETAKEN', message: 'step 2 (networkCreate front): network "front" exists already' },
  );
});

test('start, stop, kill and remove --force tell their plans, and a dry run of them does nothing', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  await engine.containerCreate({ name: 'box', command: SLEEP, networks: [{ network: 'web' }] });
  const explain = { explain: true };
  const dryRun = { dryRun: true };
  const commands = (plan: readonly PlanStep[] | undefined): string[] => (plan ?? []).map((s) => s.command);

  const created = await everythingOf(bed);
  const start = await engine.containerStart('box', dryRun);
  assert.match(commands(start.plan).join('\n'), /^nsenter --net=\S+\/box sleep 300$/);
  assert.equal(start.value.state.status, 'created');
  assert.deepEqual(await everythingOf(bed), created);
  await engine.containerStart('box');

  const { pid } = (await engine.containerInspect('box')).state;
  const running = await everythingOf(bed);
  assert.deepEqual(commands((await engine.containerKill('box', 'HUP', dryRun)).plan), [`kill -1 ${pid}`]);
  const stop = await engine.containerStop('box', dryRun);
  assert.equal(commands(stop.plan)[0], `kill -15 ${pid}`);
  assert.ok(has(stop.plan, 'netns', 'delete'));
  const force = await engine.containerRemove('box', { force: true, dryRun: true });
  assert.equal(commands(force.plan)[0], `kill -9 ${pid}`);
  await assert.rejects(engine.containerRemove('box', dryRun), { code: 'ECONTAINERRUNNING' });
  assert.equal((await engine.containerInspect('box')).state.status, 'running');
  assert.deepEqual(await everythingOf(bed), running);

  const stopped = await engine.containerStop('box', { timeoutSeconds: 1, ...explain });
  assert.deepEqual(commands(stopped.plan).length, commands(stop.plan).length);
  // started anew, namespace and endpoint are part of the plan
  const again = await engine.containerStart('box', dryRun);
  assert.ok(has(again.plan, 'netns', 'add'));
  assert.deepEqual(commands((await engine.containerStart('box', explain)).plan).length, commands(again.plan).length);
});
