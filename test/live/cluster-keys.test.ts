// runs: in the guest (this kernel lacks ESP and wireguard)
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Overlay } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { allReach, type Host, makeMachines, makeNetwork, type Workload } from '../lib/machines.ts';
import { Pinging } from '../lib/pinging.ts';
import { okIn, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const PATIENT = { timeout: 120_000 } as const;

test('ipsec and wireguard: nothing in the clear, keys change without loss, a lost state is made up for, nothing is left', async (t) => {
  await using machines = await makeMachines(2);
  const [one, two] = machines.hosts;
  assert.ok(one && two);
  const selfOf = async ({ engine }: Host, network: string): Promise<Overlay['self']> => {
    const { overlay } = await engine.networkInspect(network);
    assert.ok(overlay);
    return overlay.self;
  };

  // a guest that is short of time loses its names, and takes them again
  const connected = async (): Promise<void> => {
    for (const { engine, name } of machines.hosts)
      await until(`${name} is connected`, async () => (await engine.clusterStatus()).state === 'connected', PATIENT);
  };
  await t.test('a rehearsal draws no key', async () => {
    await connected();
    const { plan } = await one.engine.networkCreate(
      { name: 'ipsec', driver: 'overlay', options: { backend: 'ipsec' } },
      { dryRun: true, explain: true },
    );
    assert.ok(plan?.some(({ command }) => command.includes('type xfrm')));
    assert.ok(!existsSync(join(one.paths.stateDir, 'keys')));
  });

  const workloads: Workload[] = [];
  await connected();
  await makeNetwork(machines, { name: 'ipsec', driver: 'overlay', ipv6: true, options: { backend: 'ipsec' } });
  await t.test('what goes from host to host is ESP', async () => {
    const heard = startIn(one.netns, ['tcpdump', '-n', '-l', '-i', 'eth0', 'ip or ip6']);
    await until('tcpdump listens', () => heard.output().includes('listening on'), PATIENT);
    for (const host of machines.hosts) workloads.push(await host.workload('w0', 'ipsec'));
    await allReach(workloads);
    const gateway = (await one.engine.networkInspect('ipsec')).subnets[0]?.gateway ?? '';
    const [near, far] = workloads;
    assert.ok(near && far);
    const ask = ['dig', '+short', '+tries=1', '+time=5', `@${gateway}`, 'w0-host2'];
    await until('the name', async () => (await runIn(near.netns, ask)).stdout.trim() === far.addresses[0], PATIENT);
    await until('ESP is heard', () => /ESP\(spi[\s\S]*ESP\(spi[\s\S]*ESP\(spi/.test(heard.output()), PATIENT);
    await heard[Symbol.asyncDispose]();
    const others = heard
      .output()
      .split('\n')
      .filter((line) => / IP6? /.test(line) && !/ESP\(spi=0x|ICMP6, (neighbor|router)|igmp|HBH/.test(line));
    assert.deepEqual(others, [], 'in the clear');
  });

  const [a, b] = workloads;
  assert.ok(a && b);
  const bothWays = [
    { from: a.netns, to: b.addresses[0] ?? '' },
    { from: b.netns, to: a.addresses[1] ?? '' },
  ];
  await using traffic = new Pinging(bothWays, 0.2);
  await traffic.goesOn(PATIENT);

  await t.test('epochs change under way, over a restart', async () => {
    await connected();
    const before = await selfOf(one, 'ipsec');
    assert.equal(before.epochs?.length, 1);
    const [told] = await one.engine.nodeRotateKeys();
    assert.deepEqual([told?.name, told?.publicKey], ['ipsec', before.publicKey]);
    const begun = await selfOf(one, 'ipsec');
    assert.equal(begun.epochs?.length, 2);
    assert.equal(begun.epochs[0], before.epochs[0]);
    // whoever comes after goes on
    await one.restart();
    await until('all is new', async () => (await selfOf(one, 'ipsec')).coming === undefined, PATIENT);
    assert.deepEqual((await selfOf(one, 'ipsec')).epochs, [begun.epochs[1]]);
    await traffic.goesOn(PATIENT);
    for (const { netns } of machines.hosts)
      await until('one state each way', async () => (await statesIn(netns)).length === 2, PATIENT);
    assert.deepEqual((await traffic.stop()).ways, []);
  });

  await t.test('a state that somebody deletes is made up for by a new epoch', async () => {
    const { epochs: [old = ''] = [] } = await selfOf(one, 'ipsec');
    const [state = ''] = await statesIn(one.netns);
    await okIn(one.netns, ['ip', 'xfrm', 'state', 'delete', ...state.split(' ')]);
    await until(
      'another epoch',
      async () => {
        const { epochs = [], coming } = await selfOf(one, 'ipsec');
        return coming === undefined && !epochs.includes(old);
      },
      PATIENT,
    );
    await allReach(workloads);
  });

  await t.test('it becomes wireguard, whose key pair changes', async () => {
    await connected();
    await one.engine.networkUpdate('ipsec', { options: { backend: 'wireguard', rekey: '7d' } });
    const settled = async ({ engine }: Host): Promise<boolean> => {
      const { overlay } = await engine.networkInspect('ipsec');
      return overlay?.backend === 'wireguard' && overlay.former === undefined && overlay.rekey === 7 * 86400;
    };
    for (const host of machines.hosts) await until('all have changed', () => settled(host), PATIENT);
    await allReach(workloads);
    for (const { netns } of machines.hosts)
      await until('no state is left', async () => (await statesIn(netns)).length === 0, PATIENT);
    const before = await selfOf(one, 'ipsec');
    assert.equal(before.epochs, undefined);
    await using pings = new Pinging(bothWays, 0.2);
    await pings.goesOn(PATIENT);
    await connected();
    const [told] = await one.engine.nodeRotateKeys(['ipsec']);
    assert.notEqual(told?.publicKey, before.publicKey);
    const known = async (): Promise<string> => await okIn(two.netns, ['wg', 'show', 'all', 'peers']);
    await until('the other has heard', async () => (await known()).includes(told?.publicKey ?? '-'), PATIENT);
    await pings.goesOn(PATIENT);
    assert.deepEqual((await pings.stop()).ways, []);
    const { keyFile = '' } = await selfOf(one, 'ipsec');
    assert.deepEqual(
      readdirSync(join(keyFile, '..')).filter((name) => name.endsWith('.key')),
      ['2.key'],
      'the old one is gone',
    );
  });

  await t.test('it goes with its keys', async () => {
    for (const { engine } of machines.hosts)
      for (const { id } of await engine.endpointList()) await engine.endpointDetach(id);
    await until(
      'nobody has it any more',
      async () => {
        await one.engine.networkRemove('ipsec');
        return true;
      },
      PATIENT,
    );
    for (const {
      engine,
      netns,
      paths: { stateDir },
    } of machines.hosts) {
      await until(
        'it is gone',
        async () => !(await engine.networkList()).some(({ name }) => name === 'ipsec'),
        PATIENT,
      );
      assert.equal(await okIn(netns, ['ip', 'xfrm', 'policy']), '');
      assert.deepEqual((await okIn(netns, ['ip', '-br', 'link'])).match(/wg-|xf-/g), null);
      assert.deepEqual(readdirSync(join(stateDir, 'keys')), []);
    }
  });
});

/** As `ip xfrm state delete` has them. */
async function statesIn(netns: Host['netns']): Promise<string[]> {
  const text = await okIn(netns, ['ip', 'xfrm', 'state']);
  return [...text.matchAll(/^src (\S+) dst (\S+)\n\s+proto esp spi (\S+)/gm)].map(
    ([, src, dst, spi]) => `src ${src} dst ${dst} proto esp spi ${spi}`,
  );
}
