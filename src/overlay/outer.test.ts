import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Overlay } from '../model/index.ts';
import { networkWith, OVERLAY, SELF } from './fixture.test.ts';
import { isUntracked, outersOf } from './index.ts';

const by = (overlay: Partial<Overlay>): string[] =>
  outersOf({ ...OVERLAY, ...overlay }).flatMap(({ address, outers }) =>
    outers.map(
      ({ protocol, port, whole }) =>
        `${address} ${protocol}${port === undefined ? '' : ` ${port}`}${whole ? ', in one piece' : ''}`,
    ),
  );

test('what tunnels put around packets, by each address of the host', () => {
  assert.deepEqual(by({ backend: 'vxlan' }), ['192.0.2.1 udp 8472', '2001:db8::1 udp 8472, in one piece']);
  assert.deepEqual(by({ backend: 'wireguard', port: 51821 }), [
    '192.0.2.1 udp 51821',
    '2001:db8::1 udp 51821, in one piece',
  ]);
  assert.deepEqual(by({ backend: 'udp', self: { ...SELF, addresses: ['192.0.2.1'] } }), [
    '192.0.2.1 udp 8285, in one piece',
  ]);
  assert.deepEqual(by({ backend: 'gre' }), ['192.0.2.1 gre, in one piece']);
  assert.deepEqual(by({ backend: 'ipip' }), ['192.0.2.1 ipencap, in one piece', '192.0.2.1 gre, in one piece']);
  assert.deepEqual(by({ backend: 'ipsec' }), ['192.0.2.1 esp, in one piece', '2001:db8::1 esp, in one piece']);
  for (const backend of ['host-gw', 'bgp'] as const) assert.deepEqual(by({ backend }), []);
});

test('while a backend is changed, of both', () => {
  const former = { backend: 'wireguard', port: 51820 } as const;
  assert.deepEqual(by({ backend: 'gre', former }), [
    '192.0.2.1 gre, in one piece',
    '192.0.2.1 udp 51820',
    '2001:db8::1 udp 51820, in one piece',
  ]);
});

test('untracked only where the firewall was asked, and nobody wants it otherwise', () => {
  const asked = (whyTracked: string | undefined, tracked?: true): boolean =>
    isUntracked(
      networkWith({
        ...OVERLAY,
        ...(tracked && { tracked }),
        self: { ...SELF, ...(whyTracked !== undefined && { whyTracked }) },
      }),
    );
  assert.deepEqual(
    [asked(''), asked('ufw refuses it'), asked(undefined), asked('', true)],
    [true, false, false, false],
  );
});
