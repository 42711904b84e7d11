// runs: in the guest (ipvlan)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addOnParent } from '../lib/cni.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';

checkDescriptors();

test('ipvlan l2: the parent’s hardware address and MTU, the segment’s router', async () => {
  await using bed = await makeEngineBed();
  const { interfaces, ips, routes, parentMac } = await addOnParent(bed, 'ipvlan', 'l2');
  assert.deepEqual([interfaces.length, interfaces[0]?.mtu, interfaces[0]?.mac], [1, 1400, parentMac]);
  assert.equal(ips[0]?.gateway, '10.12.0.1');
  assert.deepEqual(routes, [{ dst: '0.0.0.0/0', gw: '10.12.0.1' }]);
});

test('ipvlan l3: everything goes by the interface, and that is no gateway', async () => {
  await using bed = await makeEngineBed();
  const { interfaces, ips, routes, parentMac } = await addOnParent(bed, 'ipvlan', 'l3');
  assert.deepEqual([interfaces.length, interfaces[0]?.mtu, interfaces[0]?.mac], [1, 1400, parentMac]);
  assert.equal(ips[0]?.gateway, undefined);
  assert.deepEqual(routes, [{ dst: '0.0.0.0/0' }]);
});
