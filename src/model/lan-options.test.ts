import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpvlanOptions, parseMacvlanOptions, splitVlan } from './lan-options.ts';
import type { NetworkSpec } from './network.ts';
import { parseNetworkSpec } from './validate-network.ts';

const id = '0123456789abcdef'.repeat(4);
const parse = (spec: Partial<NetworkSpec>): ReturnType<typeof parseNetworkSpec> =>
  parseNetworkSpec({ name: 'lan', ...spec }, { id });
const refuses = (spec: Partial<NetworkSpec>, code: string, message: RegExp): void =>
  assert.throws(
    () => parse(spec),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, code, `${JSON.stringify(spec)}: ${error.message}`);
      assert.match(error.message, message);
      return !error.message.includes('\n');
    },
  );

test('Docker’s names and ours mean the same', () => {
  const docker = { parent: 'eth0', macvlan_mode: 'vepa', 'com.docker.network.driver.mtu': '1400' };
  const ours = { parent: 'eth0', mode: 'vepa', mtu: '1400' };
  assert.deepEqual(parseMacvlanOptions(docker, false), parseMacvlanOptions(ours, false));
  assert.deepEqual(parseIpvlanOptions({ parent: 'eth0', ipvlan_mode: 'l3s', ipvlan_flag: 'VEPA' }, false), {
    driver: 'ipvlan',
    parent: 'eth0',
    vlan: 0,
    mtu: 0,
    mode: 'l3s',
    flag: 'vepa',
  });
  assert.deepEqual(parseMacvlanOptions({}, false), {
    driver: 'macvlan',
    parent: '',
    vlan: 0,
    mtu: 0,
    mode: 'bridge',
    sources: [],
    shim: [],
  });
});

test('sources and shim addresses are lists, canonical and sorted', () => {
  const { sources } = parseMacvlanOptions({ mode: 'source', sources: '02:00:00:00:00:0B, 02-00-00-00-00-0a' }, false);
  assert.deepEqual(sources, ['02:00:00:00:00:0a', '02:00:00:00:00:0b']);
  assert.deepEqual(parseMacvlanOptions({ shim: 'FD00::9,10.0.0.9' }, false).shim, ['10.0.0.9', 'fd00::9']);
});

test('a VLAN behind a dot', () => {
  assert.deepEqual(splitVlan('eth0.50'), { parent: 'eth0', vlan: 50 });
  assert.deepEqual(splitVlan('br.lan.7'), { parent: 'br.lan', vlan: 7 });
  for (const none of ['eth0', 'eth0.x', '.50', 'eth0.']) assert.equal(splitVlan(none), undefined, none);
  for (const bad of ['eth0.0', 'eth0.4095', 'eth0.99999']) assert.throws(() => splitVlan(bad), { code: 'EBADOPTION' });
});

test('what follows from a driver for subnets, gateways and the way out', () => {
  assert.equal(parse({ driver: 'macvlan' }).internal, true, 'nothing below leads nowhere');
  assert.equal(parse({ driver: 'macvlan', options: { parent: 'eth0' } }).internal, false);
  const subnets = [{ subnet: '10.0.0.0/24' }, { subnet: 'fd00::/64' }];
  const gateways = (spec: Partial<NetworkSpec>): string[] => parse({ ...spec, subnets }).subnets.map((s) => s.gateway);
  assert.deepEqual(gateways({ driver: 'ipvlan', options: { parent: 'eth0' } }), ['10.0.0.1', 'fd00::1']);
  assert.deepEqual(gateways({ driver: 'ipvlan', options: { parent: 'eth0', mode: 'l3' } }), ['', '']);
  const isolated = { gateway_mode_ipv4: 'isolated' };
  assert.deepEqual(gateways({ driver: 'bridge', internal: true, options: isolated }), ['', 'fd00::1']);
  const shim = parse({ driver: 'macvlan', options: { parent: 'eth0', shim: '10.0.0.9' }, subnets });
  assert.deepEqual(shim.subnets[0]?.auxAddresses, { 'host-shim': '10.0.0.9' }, 'never handed out');
});

test('who gives addresses', () => {
  assert.equal(parse({}).ipam, 'pool');
  assert.equal(parse({ ipam: 'default' }).ipam, 'pool');
  const dhcp = parse({ driver: 'macvlan', options: { parent: 'eth0', ipam: 'dhcp' } });
  assert.deepEqual([dhcp.ipam, dhcp.subnets, dhcp.automatic], ['dhcp', [], []]);
  assert.equal(parse({ driver: 'ipvlan', ipam: 'dhcp', options: { parent: 'eth0' } }).ipam, 'dhcp');
  assert.equal(parse({ driver: 'bridge', ipam: 'dhcp' }).ipam, 'dhcp');
  refuses({ ipam: 'dhcp', subnets: [{ subnet: '10.0.0.0/24' }] }, 'EBADSUBNET', /leave subnets out/);
  refuses({ driver: 'ipvlan', ipam: 'dhcp', options: { parent: 'e', mode: 'l3' } }, 'EBADOPTION', /no broadcasts/);
  refuses({ driver: 'macvlan', ipam: 'dhcp' }, 'EBADOPTION', /give parent/);
  refuses({ ipam: 'pool', options: { ipam: 'dhcp' } }, 'EBADOPTION', /differ/);
  refuses({ ipam: 'dhpc' }, 'EBADOPTION', /did you mean "dhcp"/);
});
