import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BGP_DEFAULTS, parseBgpNeighbors, parseOverlayOptions } from './index.ts';

test('what is written of BGP, and nothing else', () => {
  assert.deepEqual(parseOverlayOptions({ backend: 'bgp' }).bgp, {});
  const { plan, bgp } = parseOverlayOptions({
    ...{ backend: 'bgp', asn: '4200000001', neighbors: '192.0.2.254:64513, [2001:DB8::fe]:64514,' },
    ...{ password_file: '/etc/netloom/bgp', hold_time: '0', restart_time: '600' },
  });
  assert.equal(plan, 'node');
  assert.deepEqual(bgp, {
    asn: 4_200_000_001,
    neighbors: [
      { address: '192.0.2.254', asn: 64_513 },
      { address: '2001:db8::fe', asn: 64_514 },
    ],
    ...{ passwordFile: '/etc/netloom/bgp', holdTime: 0, restartTime: 600 },
  });
  // back to how it is without
  const empty = parseOverlayOptions({ backend: 'bgp', neighbors: '', password_file: '' }).bgp;
  assert.deepEqual(empty, { neighbors: BGP_DEFAULTS.neighbors, passwordFile: BGP_DEFAULTS.passwordFile });
});

const refused: [options: Record<string, string>, message: RegExp][] = [
  [{ asn: '0' }, /an AS number is 1 to 4294967294, not 0/],
  [{ asn: '4294967295' }, /an AS number is 1 to 4294967294/],
  [{ asn: '23456' }, /AS 23456 is reserved/],
  [{ asn: '65535' }, /AS 65535 is reserved/],
  [{ asn: 'AS1' }, /"AS1" is no AS number/],
  [{ asn: '-1' }, /"-1" is no AS number/],
  [{ neighbors: '192.0.2.254' }, /"192\.0\.2\.254" is no BGP neighbor/],
  [{ neighbors: '192.0.2.256:64513' }, /192\.0\.2\.256/],
  [{ neighbors: '2001:db8::fe:64513' }, /is no BGP neighbor/],
  [{ neighbors: '[192.0.2.1]:64513' }, /its address is none/],
  [{ neighbors: '[fe80::1]:64513' }, /its address is none/],
  [{ neighbors: '192.0.2.1:0' }, /an AS number is/],
  [{ neighbors: 'router:64513' }, /is no BGP neighbor/],
  [{ neighbors: '192.0.2.1:1,192.0.2.1:2' }, /192\.0\.2\.1 is there twice/],
  [{ neighbors: Array.from({ length: 65 }, (_, i) => `192.0.2.${i}:1`).join() }, /64 are the most/],
  [{ password_file: 'password' }, /begins with \//],
  [{ hold_time: '2' }, /3 to 65535 seconds/],
  [{ hold_time: '65536' }, /3 to 65535 seconds/],
  [{ restart_time: '4096' }, /1 to 4095 seconds/],
  [{ restart_time: '1m' }, /1 to 4095 seconds/],
  [{ neighbours: '192.0.2.1:1' }, /./],
  [{ plan: 'flat' }, /plan=flat has none/],
  [{ backend: 'vxlan', plan: 'node', asn: '64512' }, /backend vxlan has no option "asn": it is of backend=bgp/],
];
for (const [options, message] of refused) {
  test(`refused: ${JSON.stringify(options).slice(0, 80)}`, () => {
    const read = (): unknown => {
      const { rest } = parseOverlayOptions({ backend: 'bgp', ...options });
      // what is nobody's is the bridge's to refuse
      if (Object.keys(rest).length > 0) throw new Error('left over');
      return rest;
    };
    assert.throws(read, { message });
  });
}

test('neighbours of a node, as they are given to join', () => {
  assert.deepEqual(parseBgpNeighbors([' 192.0.2.254:1 ', '']), [{ address: '192.0.2.254', asn: 1 }]);
  assert.throws(() => parseBgpNeighbors(['192.0.2.254']), { code: 'EBADOPTION', hint: /192\.0\.2\.254:64513/ });
});
