// runs: here in one mode (plans, and what they print)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from '../../src/engine/index.ts';
import { type ChangeOptions, type Outcome, parsePublish, type PlanStep } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { everythingOf } from '../lib/everything.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { makeReplay, type Replay, withoutIds } from '../lib/replay.ts';

checkDescriptors();

/*
 * What the commands cannot say, and the comparison leaves out:
 * - the mark on our addresses (IFA_PROTO): iproute2 learned `ip address add … proto` after 6.1, which Debian 12 has;
 * - the hardware address of a veth's end on the host: the kernel draws it, here and there.
 */

const explain = { explain: true } as const;
const EVERYTHING = [
  '8080:80',
  '127.0.0.1:7777:80',
  '192.0.2.1:7778:80',
  '[2001:db8::1]:7779:80',
  '9000-9099:9000-9099',
  '6000-6003:7000-7003',
  '5353:53/udp',
  '3868:3868/sctp',
];

/** A bed, and its replay, for one sequence of changes, each of which is first only planned. */
async function sequence(body: (go: Go, bed: EngineBed, replay: Replay) => Promise<void>): Promise<void> {
  await using bed = await makeEngineBed();
  await using replay = await makeReplay(bed);
  await body(
    async (what, change, { anyOrder = false } = {}) => {
      const before = await everythingOf(bed);
      const planned = await change({ dryRun: true });
      assert.deepEqual(await everythingOf(bed), before, `${what}: a dry run changes nothing`);
      let plan: readonly PlanStep[] | undefined;
      const value = await replay.follow(
        what,
        change(explain).then((outcome) => {
          ({ plan } = outcome);
          return outcome;
        }),
      );
      const [dry, done] = [withoutIds(planned.plan), withoutIds(plan)];
      const lines = (steps: readonly PlanStep[]): string[] => steps.map((s) => `${s.object}: ${s.command}`).sort();
      if (anyOrder) assert.deepEqual(lines(dry), lines(done), `${what}: a dry run plans what is done`);
      else assert.deepEqual(dry, done, `${what}: a dry run plans what is done`);
      return value;
    },
    bed,
    replay,
  );
}
type Go = <T>(
  what: string,
  change: (options: ChangeOptions) => Promise<Outcome<T>>,
  options?: { readonly anyOrder?: boolean },
) => Promise<T>;

test('networks of every shape, made and removed by their commands', async () => {
  await sequence(async (go, { engine }) => {
    const create = (spec: Parameters<Engine['networkCreate']>[0]) => (o: ChangeOptions) =>
      engine.networkCreate(spec, o);
    await go('IPv4', create({ name: 'v4' }));
    await go('dual stack', create({ name: 'dual', ipv6: true }));
    await go('IPv6 alone', create({ name: 'v6', ipv4: false, ipv6: true }));
    await go('internal', create({ name: 'inside', internal: true, ipv6: true }));
    await go('without traffic between endpoints', create({ name: 'apart', options: { icc: 'false' } }));
    await go(
      'hairpin, MTU, no masquerade',
      create({ name: 'odd', options: { hairpin: 'true', mtu: '1400', masquerade: 'false' } }),
    );
    await go(
      'everything fixed',
      create({
        name: 'fixed',
        options: { name: 'br.fixed' },
        subnets: [
          { subnet: '10.9.0.0/24', gateway: '10.9.0.9', ipRange: '10.9.0.128/25' },
          { subnet: 'fd00:9::/64', gateway: 'fd00:9::9' },
        ],
      }),
    );
    await go('without a gateway', create({ name: 'flat', subnets: [{ subnet: '10.10.0.0/24', gateway: 'none' }] }));
    for (const name of ['v4', 'odd', 'inside', 'apart', 'v6', 'dual', 'flat', 'fixed']) {
      await go(`remove ${name}`, (o) => engine.networkRemove(name, o));
    }
  });
});

test('endpoints of every shape, attached and detached by their commands', async () => {
  await sequence(async (go, { engine }, replay) => {
    await go('network', (o) =>
      engine.networkCreate(
        { name: 'web', ipv6: true, subnets: [{ subnet: '10.7.0.0/24' }, { subnet: 'fd00:7::/64' }] },
        o,
      ),
    );
    await go('network', (o) => engine.networkCreate({ name: 'apart', options: { icc: 'false', hairpin: 'true' } }, o));
    await go('network', (o) => engine.networkCreate({ name: 'inside', internal: true }, o));
    const [a, b] = [await replay.workload('a'), await replay.workload('b')];
    const plain = await go('plain', (o) => engine.endpointAttach({ netns: a.path, network: 'web' }, o));
    const fixed = await go('with ports, ranges and everything fixed', (o) =>
      engine.endpointAttach(
        {
          netns: b.path,
          network: 'web',
          addresses: ['10.7.0.77', 'fd00:7::77'],
          mac: '02:00:00:00:00:77',
          ifname: 'web0',
          ports: EVERYTHING.map(parsePublish),
        },
        o,
      ),
    );
    const isolated = await go('isolated, beside another', (o) =>
      engine.endpointAttach({ netns: a.path, network: 'apart' }, o),
    );
    const inside = await go('internal', (o) => engine.endpointAttach({ netns: a.path, network: 'inside' }, o));
    const first = await go('taking the default route', (o) =>
      engine.endpointAttach({ netns: b.path, network: 'apart', gatewayPriority: 9 }, o),
    );
    for (const [what, { id }] of Object.entries({ first, plain, inside, isolated, fixed })) {
      await go(`detach ${what}`, (o) => engine.endpointDetach(id, o));
    }
    for (const name of ['inside', 'apart']) await go(`remove ${name}`, (o) => engine.networkRemove(name, o));
    await go('prune', (o) => engine.networkPrune(o));
  });
});

test('containers made, connected, disconnected and removed by their commands', async () => {
  await sequence(async (go, { engine }) => {
    await go('network', (o) => engine.networkCreate({ name: 'web', ipv6: true }, o));
    await go('network', (o) => engine.networkCreate({ name: 'back', internal: true }, o));
    const command = ['sleep', 'infinity'];
    const ports = ['8080:80', '9000-9009:9000-9009'].map(parsePublish);
    await go('on one network', (o) =>
      engine.containerCreate({ name: 'one', command, networks: [{ network: 'web' }], ports }, o),
    );
    await go('on two networks', (o) =>
      engine.containerCreate(
        { name: 'two', command, networks: [{ network: 'back' }, { network: 'web', addresses: [] }] },
        o,
      ),
    );
    await go('on none', (o) => engine.containerCreate({ name: 'three', command, networkMode: 'none' }, o));
    await go('connect', (o) => engine.networkConnect('one', { network: 'back' }, o));
    await go('disconnect', (o) => engine.networkDisconnect('two', 'web', o));
    await go('disconnect the first', (o) => engine.networkDisconnect('one', 'web', o));
    for (const name of ['one', 'two', 'three']) await go(`remove ${name}`, (o) => engine.containerRemove(name, o));
    await go('remove', (o) => engine.networkRemove('web', o));
    await go('remove', (o) => engine.networkRemove('back', o));
  });
});

// done, the default network comes before what needs it; planned, it may as well come when that has its namespace
const anyOrder = { anyOrder: true };

test('an endpoint on the default network, which is made when it is first needed, and not by a dry run', async () => {
  await sequence(async (go, { engine }, replay) => {
    const a = await replay.workload('a');
    const { id } = await go('attach', (o) => engine.endpointAttach({ netns: a.path, network: 'bridge' }, o), anyOrder);
    await go('detach', (o) => engine.endpointDetach(id, o));
    await go('remove the network', (o) => engine.networkRemove('bridge', o));
  });
});

test('a container on the default network, likewise', async () => {
  await sequence(async (go, { engine }) => {
    await go('create', (o) => engine.containerCreate({ name: 'first', command: ['true'] }, o), anyOrder);
    await go('another', (o) => engine.containerCreate({ name: 'second', command: ['true'] }, o));
    for (const name of ['first', 'second']) await go('remove', (o) => engine.containerRemove(name, o));
  });
});

test('a dry run of prune plans the removal of all, the shared rule set with the last', async () => {
  await sequence(async (go, { engine }) => {
    for (const name of ['one', 'two', 'three']) await go(name, (o) => engine.networkCreate({ name }, o));
    await go('prune', (o) => engine.networkPrune(o));
  });
});
