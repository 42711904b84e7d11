// runs: here in one mode (plans, and what they print)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { makeReplay, type Replay } from '../lib/replay.ts';
import { ipBatch } from '../lib/run.ts';

checkDescriptors();

const explain = { explain: true } as const;
/** The uplink's own segment, in both machines. */
const SEGMENT = [
  { subnet: '192.0.2.0/24', gateway: '192.0.2.2', ipRange: '192.0.2.128/25' },
  { subnet: '2001:db8::/64', gateway: '2001:db8::2', ipRange: '2001:db8::8000/113' },
];

test('macvlan networks and endpoints of every mode, made and removed by their commands', async () => {
  await using bed = await makeEngineBed();
  await using replay = await makeReplay(bed);
  await sameUplinks(bed, replay);
  const { engine } = bed;
  // what every network shares, once: it takes many processes
  await replay.follow('base', engine.networkCreate({ name: 'base', options: { guard: 'false' } }, explain));
  const a = await replay.workload('a');
  const modes = {
    bridge: { parent: 'eth0', shim: '192.0.2.9,2001:db8::9' },
    private: { parent: 'eth0', macvlan_mode: 'private', mtu: '1400' },
    vepa: { parent: 'eth0', macvlan_mode: 'vepa' },
    source: { parent: 'eth0', macvlan_mode: 'source', sources: '02:00:00:00:00:02,02:00:00:00:00:01' },
    'source of nobody': { parent: 'eth0', macvlan_mode: 'source' },
    passthru: { parent: 'eth0', macvlan_mode: 'passthru' },
  };
  for (const [what, options] of Object.entries(modes)) {
    const network = { name: 'lan', driver: 'macvlan', subnets: SEGMENT, options };
    // whose parent is there needs nothing of the host
    if ('shim' in options) await replay.follow(`${what}: network`, engine.networkCreate(network, explain));
    else assert.deepEqual((await engine.networkCreate(network, explain)).plan, []);
    const mac = what === 'passthru' ? {} : { mac: '02:00:00:00:00:77' };
    const one = await replay.follow(
      `${what}: endpoint`,
      engine.endpointAttach({ netns: a.path, network: 'lan', ...mac }, explain),
    );
    if (what === 'bridge') {
      const two = await replay.follow(
        'a second one inside the same workload',
        engine.endpointAttach({ netns: a.path, network: 'lan', gatewayPriority: 1 }, explain),
      );
      await replay.follow('detached', engine.endpointDetach(two.id, explain));
    }
    await replay.follow(`${what}: detached`, engine.endpointDetach(one.id, explain));
    if ('shim' in options) await replay.follow(`${what}: removed`, engine.networkRemove('lan', explain));
    else assert.deepEqual((await engine.networkRemove('lan', explain)).plan, []);
  }
  const alone = { name: 'alone', driver: 'macvlan', ipv6: true };
  await replay.follow('without a parent', engine.networkCreate(alone, explain));
  await replay.follow('attached to it', engine.endpointAttach({ netns: a.path, network: 'alone' }, explain));
  assert.equal((await engine.endpointList()).length, 1);
});

test('bridge networks of every gateway mode, with ports, and taps, made and removed by their commands', async () => {
  await using bed = await makeEngineBed();
  await using replay = await makeReplay(bed);
  const { engine } = bed;
  // what every network shares, once: it takes many processes
  await replay.follow('base', engine.networkCreate({ name: 'base', options: { guard: 'false' } }, explain));
  const a = await replay.workload('a');
  const ports = ['8080:80', '9000-9009:9000-9009', '6000-6001:7000-7001/udp'].map(parsePublish);
  for (const mode of ['nat-unprotected', 'routed']) {
    const network = { name: 'web', ipv6: true, options: { gateway_mode: mode, guard: 'false' } };
    await replay.follow(mode, engine.networkCreate(network, explain));
    const { id } = await replay.follow(
      `${mode}: endpoint`,
      engine.endpointAttach({ netns: a.path, network: 'web', ports }, explain),
    );
    const tap = await replay.follow(
      `${mode}: tap`,
      engine.endpointAttach(
        { netns: '', tap: true, tapUid: 0, ifname: 'vm0', network: 'web', ports: [parsePublish('8081:80')] },
        explain,
      ),
    );
    await replay.follow(`${mode}: tap detached`, engine.endpointDetach(tap.id, explain));
    await replay.follow(`${mode}: detached`, engine.endpointDetach(id, explain));
    await replay.follow(`${mode}: removed`, engine.networkRemove('web', explain));
  }
  const isolated = {
    name: 'web',
    internal: true,
    ipv6: true,
    options: { gateway_mode: 'isolated', icc: 'false', guard: 'false' },
  };
  await replay.follow('isolated', engine.networkCreate(isolated, explain));
  await replay.follow('isolated: endpoint', engine.endpointAttach({ netns: a.path, network: 'web' }, explain));
});

/** An endpoint that takes its parent's hardware address has the same on both machines. */
async function sameUplinks(bed: EngineBed, replay: Replay): Promise<void> {
  for (const { netns } of [bed.host, replay.host]) await ipBatch(netns, ['link set eth0 address 02:00:00:00:00:01']);
}
