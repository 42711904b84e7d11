import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetloomError } from '../errors.ts';
import { parseOverlayOptions } from './overlay-options.ts';
import { parseNetworkSpec } from './validate.ts';

test('how often keys change: a number and a unit, or never', () => {
  const of = (rekey: string): number | undefined => parseOverlayOptions({ backend: 'ipsec', rekey }).rekey;
  assert.deepEqual(['60s', '90m', '24h', '7D', 'off', '0'].map(of), [60, 5400, 86400, 604_800, 0, 0]);
  assert.equal(parseOverlayOptions({ backend: 'ipsec' }).rekey, undefined);
  for (const bad of ['', '59s', '24', 'h', '1w', '-1h', '367d', '1.5h', '9999999h'])
    assert.throws(() => of(bad), { code: 'EBADOPTION', message: /rekey/ });
});

const refuses = (options: Readonly<Record<string, string>>, words: RegExp): void => {
  assert.throws(
    () => parseOverlayOptions(options),
    (error: unknown) =>
      error instanceof NetloomError &&
      /^EBAD(OPTION|ADDRESS)$/.test(error.code) &&
      words.test(error.message) &&
      !error.message.includes('\n'),
    JSON.stringify(options),
  );
};

test('what is asked of a network that hosts share', () => {
  const { plan, backend, port } = parseOverlayOptions({ backend: 'udp', port: '8285', icc: 'false' });
  assert.deepEqual([plan, backend, port], ['node', 'udp', 8285]);
  for (const backend of ['vxlan', 'udp', 'wireguard']) refuses({ backend, port: '8284' }, /8284.*nodes test the way/);
  refuses({ port: '0' }, /a port is 1 to 65535/);
  refuses({ plan: 'flat', backend: 'udp' }, /prefixes of hosts/);
});

test('where a flannel network is; what its configuration says is not asked', () => {
  const urls = 'https://192.0.2.10:2379,https://192.0.2.11:2379';
  const tls = { ca: '/ca.pem', cert: '/a.pem', key: '/a.key', user: 'u', password_file: '/p' };
  const { flannel, plan, rest } = parseOverlayOptions({
    ...{ flannel: urls, prefix: '/pods/', address: '192.0.2.1,2001:DB8::1', icc: 'false' },
    ...tls,
  });
  assert.deepEqual(flannel, {
    ...{ etcd: urls.split(','), prefix: '/pods', addresses: ['192.0.2.1', '2001:db8::1'] },
    ...{ caFile: '/ca.pem', certFile: '/a.pem', keyFile: '/a.key', username: 'u', passwordFile: '/p' },
  });
  assert.deepEqual([plan, rest], ['node', { icc: 'false' }]);
  assert.deepEqual(parseOverlayOptions({ flannel: 'http://a:1' }).flannel, {
    ...{ etcd: ['http://a:1'], prefix: '/coreos.com/network' },
  });
  for (const key of ['plan', 'backend', 'vni', 'port', 'node_prefix', 'direct_routing'])
    refuses({ flannel: 'http://a:1', [key]: key === 'backend' ? 'udp' : '1' }, /flannel’s configuration/);
  for (const key of ['prefix', 'ca', 'key', 'user', 'address']) refuses({ [key]: '/x' }, /belongs to flannel=URL/);
  refuses({ flannel: 'http://a:1', ca: 'ca.pem' }, /the whole path/);
  refuses({ flannel: 'http://a:1', user: 'u' }, /go together/);
  refuses({ flannel: 'http://a:1', cert: '/c' }, /go together/);
  refuses({ flannel: 'http://a:1', address: 'host' }, /no IP address/);
  const spec = {
    name: 'pods',
    driver: 'overlay',
    options: { flannel: 'http://a:1' },
    subnets: [{ subnet: '10.1.0.0/16' }],
  };
  assert.throws(() => parseNetworkSpec(spec, { id: '0'.repeat(64) }), { code: 'EBADSUBNET' });
});
