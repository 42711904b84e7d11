import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendName } from '../model/index.ts';
import { OVERLAY, SELF } from './fixture.test.ts';
import { BACKEND_NAMES, backendOf, mtuOf } from './index.ts';

/** Bytes of an underlay of 1500 that are left, over IPv4 and over IPv6. */
const LEFT: { readonly [K in BackendName]?: readonly [number, number] } = {
  'host-gw': [1500, 1500],
  vxlan: [1450, 1430],
  ipip: [1476, 1476],
  gre: [1472, 1472],
};

test('what each backend leaves of a packet', () => {
  for (const backend of BACKEND_NAMES) {
    const left = LEFT[backend];
    if (!left) continue; // of others, their own tests say it
    const overlay = { ...OVERLAY, backend };
    assert.equal(mtuOf(overlay, [4]), left[0], `${backend} over IPv4`);
    assert.equal(mtuOf(overlay, [6]), left[1], `${backend} over IPv6`);
    assert.equal(mtuOf(overlay), Math.min(...left), `${backend} over whichever it is`);
    assert.equal(mtuOf({ ...overlay, self: { ...SELF, mtu: 9000 } }, [4]), left[0] + 7500, 'jumbo frames');
    assert.equal(mtuOf({ ...overlay, self: { ...SELF, addresses: ['192.0.2.1'] } }), left[0]);
  }
  assert.equal(mtuOf({ ...OVERLAY, backend: 'host-gw' }, [4], ['host-gw', 'vxlan']), 1450, 'while hosts change');
});

test('a backend that is not there is named, with those that are', () => {
  assert.equal(backendOf('vxlan').name, 'vxlan');
  for (const name of ['nonsense', 'constructor', ''])
    assert.throws(() => backendOf(name), { code: 'EBADBACKEND', message: `no backend "${name}"`, hint: /host-gw/ });
});
