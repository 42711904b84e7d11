import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BridgeOptions, MacvlanOptions, Network } from './network.ts';
import { parseEndpointUpdate, parseNetworkUpdate } from './validate-update.ts';

const bridge: BridgeOptions = {
  driver: 'bridge',
  bridge: 'br0',
  mtu: 1450,
  followsUplink: true,
  icc: false,
  masquerade: false,
  hairpin: true,
  hostBinding: '127.0.0.1',
  gatewayMode4: 'routed',
};
const network = (options: Network['options'] = bridge, more: Partial<Network> = {}): Network => ({
  id: 'a'.repeat(64),
  name: 'web',
  driver: options.driver,
  created: '',
  internal: false,
  subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }],
  options,
  labels: { a: '1' },
  phase: 'ready',
  owner: '',
  ...more,
});
const changed = (options: Record<string, string>): Network['options'] =>
  parseNetworkUpdate(network(), { options }).options;

test('what is not spoken of stays', () => {
  assert.deepEqual(parseNetworkUpdate(network(), { internal: true }), {
    internal: true,
    options: bridge,
    labels: { a: '1' },
  });
  assert.deepEqual(parseNetworkUpdate(network(), { labels: {} }).labels, {});
  assert.deepEqual(changed({ icc: 'true' }), { ...bridge, icc: true });
  assert.deepEqual(changed({ 'com.docker.network.bridge.enable_ip_masquerade': '1' }), { ...bridge, masquerade: true });
});

test('an MTU that is given is not followed any more; 0 follows again', () => {
  const { followsUplink: _, ...fixed } = bridge;
  assert.deepEqual(changed({ mtu: '1300' }), { ...fixed, mtu: 1300 });
  const again = parseNetworkUpdate(network({ ...fixed, mtu: 1300 }), { options: { mtu: '0' } });
  assert.deepEqual(again.options, { ...fixed, mtu: 0, followsUplink: true });
});

test('gateway modes change among those that have a gateway', () => {
  const { gatewayMode4: _, ...nat } = bridge;
  assert.deepEqual(changed({ gateway_mode: 'nat' }), nat);
  assert.deepEqual(changed({ gateway_mode_ipv6: 'nat-unprotected' }), { ...bridge, gatewayMode6: 'nat-unprotected' });
  assert.throws(() => parseNetworkUpdate(network(), { options: { gateway_mode: 'isolated' }, internal: true }), {
    code: 'EIMMUTABLE',
  });
});

test('what only a new network can have', () => {
  const macvlan: MacvlanOptions = {
    driver: 'macvlan',
    parent: 'eth0',
    vlan: 0,
    mode: 'bridge',
    mtu: 0,
    sources: [],
    shim: [],
  };
  for (const [given, options] of [
    [network(), { name: 'br1' }],
    [network(macvlan), { parent: 'eth1' }],
    [network(macvlan), { mode: 'vepa' }],
  ] as const) {
    assert.throws(() => parseNetworkUpdate(given, { options }), { code: 'EIMMUTABLE' });
  }
  assert.deepEqual(parseNetworkUpdate(network(macvlan), { options: { mtu: '1400' } }).options, {
    ...macvlan,
    mtu: 1400,
  });
  assert.throws(
    () => parseNetworkUpdate(network({ ...macvlan, parent: '' }, { internal: true }), { internal: false }),
    {
      code: 'EIMMUTABLE',
    },
  );
  for (const update of [{}, { options: { mtuu: '1' } }, { options: { icc: 'perhaps' } }])
    assert.throws(() => parseNetworkUpdate(network(), update), { code: 'EBADOPTION' });
});

test('an endpoint’s update is checked as a whole', () => {
  for (const update of [{}, { publish: [], unpublish: [] }, { ingressRate: 1 }, { egressRate: Number.NaN }])
    assert.throws(() => parseEndpointUpdate(update), { code: 'EBADOPTION' });
  const port = { protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1 } as const;
  assert.throws(() => parseEndpointUpdate({ publish: [port, port] }), { code: 'EBADPORT' });
  const bad =
    (hostPort: number, count: number): (() => unknown) =>
    () =>
      parseEndpointUpdate({ unpublish: [{ protocol: 'tcp', hostPort, count }] });
  for (const [hostPort, count] of [
    [0, 1],
    [70_000, 1],
    [65_535, 2],
    [80, 0],
  ] as const)
    assert.throws(bad(hostPort, count), /port/, `${hostPort} ${count}`);
  assert.deepEqual(parseEndpointUpdate({ egressRate: 0 }), { publish: [], unpublish: [], egressRate: 0 });
});
