import { withoutLength } from '../addr/index.ts';
import { bridgeMac, bridgeOptions, isGuarded } from '../drivers/index.ts';
import type { Fact, ShortcutFact, SysctlFact } from '../facts/index.ts';
import type { Endpoint, Network, Overlay } from '../model/index.ts';
import { objectOf } from './underlay.ts';

/**
 * Whether TCP connections between the hosts of a network go past the rule sets of this one, once these have let them begin.
 * Without guard there would be no telling whether an endpoint is what it says.
 */
function hasShortcuts(network: Network): network is Network & { readonly overlay: Overlay } {
  const { overlay } = network;
  return overlay !== undefined && overlay.shortcut !== false && overlay.self.noShortcut === '' && isGuarded(network);
}

/**
 * At the bridge, and at every way to other hosts. Each of them holds the network's table.
 * @param ways interfaces by which packets of other hosts come in
 */
export function networkShortcuts(network: Network, ways: readonly string[]): readonly Fact[] {
  if (!hasShortcuts(network)) return [];
  const { bridge } = bridgeOptions(network);
  const object = objectOf(network);
  const base = { ...baseOf(network, object), bridge, holders: [bridge, ...ways] };
  return [
    { kind: 'sysctl', ns: '', object, ...LIBERAL } satisfies SysctlFact,
    { ...base, dev: bridge, at: 'out' } satisfies ShortcutFact,
    ...ways.flatMap((dev): ShortcutFact[] => [
      { ...base, dev, at: 'out' },
      { ...base, dev, at: 'way' },
    ]),
  ];
}

/**
 * Connection tracking sees of a connection that goes past its beginning, its end and a packet now and then: whoever goes the
 * whole way in between, as what comes by GRE or from a limited endpoint does, is no stranger for having windows it has not seen.
 * @see https://docs.kernel.org/networking/nf_conntrack-sysctl.html
 */
const LIBERAL = { name: 'net.netfilter.nf_conntrack_tcp_be_liberal', value: '1', dev: '' } as const;

/**
 * At the host's end of an endpoint's pair, or at its tap. In one segment frames for it come from the bridge's ports as well,
 * and begin their connections there.
 */
export function endpointShortcuts(network: Network, endpoint: Endpoint, object: string): readonly ShortcutFact[] {
  if (!hasShortcuts(network) || endpoint.addresses.length === 0) return [];
  const { bridge } = bridgeOptions(network);
  const segment = network.overlay.plan === 'flat';
  const base = { ...baseOf(network, object), dev: endpoint.hostIfname, bridge, holders: [bridge] };
  const port = {
    mac: endpoint.mac,
    addresses: endpoint.addresses.map(withoutLength),
    bridgeMac: bridgeMac(network),
  };
  return [...(segment ? [{ ...base, at: 'out' } as const] : []), { ...base, at: 'port', port }];
}

function baseOf({ id, overlay }: Network & { readonly overlay: Overlay }, object: string) {
  const segment = overlay.plan === 'flat' ? ({ segment: true } as const) : {};
  // tells one network's programs from another's at the same interface
  const handle = Number.parseInt(id.slice(0, 7), 16) + 1;
  return { kind: 'shortcut', ns: '', object, handle, ranges: overlay.ranges, ...segment } as const;
}
