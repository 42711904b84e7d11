import { type Fact, kindOf } from '../facts/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';

/** Records as the engine has them, for tests of backends. */

export const SELF: Overlay['self'] = {
  node: 'a',
  addresses: ['192.0.2.1', '2001:db8::1'],
  prefixes: ['10.244.1.0/24', 'fd00:244:1::/64'],
  backend: 'vxlan',
  mac: '02:42:0a:f4:00:01',
  direct: true,
  dev: 'eth0',
  mtu: 1500,
};

export const OVERLAY: Overlay = {
  plan: 'node',
  backend: 'vxlan',
  ranges: ['10.244.0.0/16', 'fd00:244::/32'],
  vni: 1,
  port: 0,
  directRouting: false,
  self: SELF,
};

export const PEER: Peer = {
  node: 'b',
  addresses: ['192.0.2.2', '2001:db8::2'],
  prefixes: ['10.244.2.0/24', 'fd00:244:2::/64'],
  backend: 'vxlan',
  mac: '02:42:0a:f4:00:02',
  direct: true,
};

export function networkWith(overlay: Overlay, mtu = 1450): Network {
  return {
    id: '0123456789abcdef'.repeat(4),
    name: 'shared',
    driver: 'overlay',
    created: '',
    internal: false,
    subnets: [],
    options: { driver: 'bridge', bridge: 'br0', mtu, icc: true, masquerade: true, hairpin: false, hostBinding: '' },
    overlay,
    labels: {},
    phase: 'ready',
    owner: '',
  };
}

/** Facts as a shell would be told of them: what is left out there, the live tests see. */
export function commandsOf(facts: readonly Fact[]): string[] {
  return facts.map((fact) => kindOf(fact).command(fact, 'add'));
}
