import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkFact, LinkOrigin } from '../facts/index.ts';
import { NetlinkError } from '../netlink/index.ts';
import { explainRefusal } from './refusal.ts';

const refusal = (origin: LinkOrigin, code: string): Error & { readonly hint?: string } => {
  const fact: LinkFact = {
    kind: 'link',
    ns: '',
    object: 'network lan',
    name: 'x0',
    origin,
    mac: '',
    mtu: 0,
    master: '',
    up: true,
    alias: '',
    addrGenMode: 'none',
  };
  const error = Object.assign(Object.create(NetlinkError.prototype) as NetlinkError, { code, message: code });
  return explainRefusal({ verb: 'add', fact }, error);
};

test('what a kernel lacks is named: a VLAN without 8021q, macvlan and ipvlan without their modules', () => {
  const vlan = refusal({ type: 'vlan', parent: 'eth0', id: 50 }, 'EOPNOTSUPP');
  assert.match(vlan.message, /has no 8021q: VLAN sub-interfaces need CONFIG_VLAN_8021Q/);
  const ipvlan = refusal({ type: 'ipvlan', parent: 'eth0', mode: 'l2', flag: 'bridge' }, 'EOPNOTSUPP');
  assert.match(ipvlan.message, /CONFIG_IPVLAN/);
});

test('a parent that somebody else has is named, with what would be free', () => {
  const busy = refusal({ type: 'macvlan', parent: 'eth0', mode: 'bridge', sources: [] }, 'EBUSY');
  assert.match(busy.message, /eth0 is in use by another kind/);
  const passthru = refusal({ type: 'macvlan', parent: 'eth0', mode: 'bridge', sources: [] }, 'EINVAL');
  assert.match(passthru.hint ?? '', /passthru/);
  assert.match(refusal({ type: 'vlan', parent: 'eth0', id: 5 }, 'ENETDOWN').message, /its parent eth0 is down/);
});

test('what is in the way of a tunnel is named: the port, the identifier', () => {
  const vxlan = { type: 'vxlan', id: 7, local: '192.0.2.1', parent: 'eth0', port: 8472 } as const;
  assert.match(refusal(vxlan, 'EADDRINUSE').message, /UDP port 8472 of x0/);
  assert.match(refusal(vxlan, 'EEXIST').message, /identifier 7 on UDP port 8472/);
  assert.match(refusal(vxlan, 'EOPNOTSUPP').message, /links of type vxlan/);
});
