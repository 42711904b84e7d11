/** A virtual machine on a network of netloom's, by a tap: with its own address it is a workload like any other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { bootGuest } from '../lib/guest.ts';
import { ADDRESS } from '../lib/host.ts';
import { bare, differences } from '../lib/lan.ts';
import { tcpConnect, tcpServer } from '../lib/peer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

test('a virtual machine behind a tap reaches gateway, containers and outside, and answers on its published port', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  const { value: web } = await engine.networkCreate({ name: 'web' });
  const a = await bed.workload('a');
  const { value: container } = await engine.endpointAttach({ netns: a.path, network: 'web' });
  const { value: vm } = await engine.endpointAttach({
    netns: '',
    tap: true,
    ifname: 'vm0',
    network: 'web',
    ports: [parsePublish('8080:80')],
  });
  await using _page = await tcpServer(a.netns, '0.0.0.0', 7000);
  const [gateway = ''] = vm.gateways;
  const script = `
    ip addr add ${vm.addresses[0]} dev eth0
    ip route add default via ${gateway}
    ping -c 1 -W 5 ${gateway} || exit 1
    ping -c 1 -W 5 ${bare(container.addresses)[0]} || exit 2
    ping -c 1 -W 5 ${ADDRESS.internet} || exit 3
    echo hello from inside | nc -l -p 80 -w 20 || exit 4
    exit 7`;
  const guest = bootGuest({ netns: host.netns, tap: 'vm0', mac: vm.mac, script });
  const ended = guest.then(() => true);
  const said = await until(
    'the machine answers from outside',
    async () => {
      const answer = await Promise.race([
        tcpConnect(host.outside, ADDRESS.host, 8080, { timeout: 1000 }),
        ended.then(() => undefined),
      ]);
      return answer === undefined ? 'it ended' : answer.ok;
    },
    { timeout: 45_000 },
  ).catch(String);
  const { output, exitCode } = await guest;
  assert.equal(exitCode, 7, `${output}\n${String(said)}`);
  // the machine is gone, its tap stays until it is detached
  assert.deepEqual(await differences(bed, web, [vm, container]), []);
  await engine.endpointDetach(vm.id);
});
