/** Podman's ipvlan networks. The gateway that Podman gives every one of them is nobody's where everything goes by the interface. */
// runs: in the guest (ipvlan)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProgramAnswer } from '../../src/model/index.ts';
import { lent } from '../../src/daemon/lent.ts';
import { runProgram } from '../../src/daemon/programs.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { podmanNetwork, podmanRequest } from '../lib/netavark.ts';
import { ping } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';

checkDescriptors();

const MODES = [
  { mode: 'l2', subnet: '192.0.2.0/24', gateway: ADDRESS.outside, end: '192.0.2.101' },
  { mode: 'l3', subnet: '10.44.0.0/24', gateway: '10.44.0.1', end: '10.44.0.2' },
] as const;

test('ipvlan l2 and l3: set up with the way out of each, and nothing left', async () => {
  await using bed = await makeEngineBed();
  const { netns, path } = await bed.workload('a');
  // in this process: one of its own takes half a minute in the guest
  const call = (verb: 'setup' | 'teardown', request: object): Promise<ProgramAnswer> =>
    runProgram({
      ...{ program: 'netavark', argv: [verb, path], env: {}, stdin: JSON.stringify(request) },
      open: () => Promise.resolve(lent(bed.engine)),
    });
  for (const { mode, subnet, gateway, end } of MODES) {
    const network = podmanNetwork(`wire-${mode}`, {
      driver: 'ipvlan',
      network_interface: 'eth0',
      subnets: [{ subnet, gateway }],
      dns_enabled: false,
      options: { mode },
    });
    const request = podmanRequest('c', [[network, { static_ips: [end] }]]);
    const { status, stdout } = await call('setup', request);
    assert.equal(status, 0, stdout);
    const [block] = Object.values(
      JSON.parse(stdout) as Record<string, { interfaces: { eth0: { subnets: object[] } } }>,
    );
    assert.deepEqual(block?.interfaces.eth0.subnets, [{ ...(mode === 'l2' && { gateway }), ipnet: `${end}/24` }]);
    const route = await okIn(netns, ['ip', 'route', 'show', 'default']);
    assert.match(route, mode === 'l2' ? /^default via 192\.0\.2\.2 dev eth0 / : /^default dev eth0 /);
    if (mode === 'l2') assert.ok(await ping(netns, ADDRESS.internet));
    const { status: gone, after } = await call('teardown', request);
    await after?.();
    assert.equal(gone, 0);
    assert.deepEqual(await bed.engine.endpointList(), []);
    assert.ok(!(await bed.engine.networkList()).some(({ name }) => name.startsWith('wire')));
  }
});
