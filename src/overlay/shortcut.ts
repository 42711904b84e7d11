import { withoutLength } from '../addr/index.ts';
import { bridgeMac, bridgeOptions, isGuarded } from '../drivers/index.ts';
import type { ShortcutFact } from '../facts/index.ts';
import type { Endpoint, Network, Overlay } from '../model/index.ts';
import { objectOf } from './underlay.ts';

/** An interface by which packets of other hosts come in, and whether they come as Ethernet's frames. */
export interface Way {
  readonly dev: string;
  readonly ethernet: boolean;
}

/**
 * Whether TCP connections between the hosts of a network go past the rule sets of this one, once these have let them begin. In
 * one segment (plan `flat`) frames are bridged, which no program can ask the bridge for. Without guard there would be no
 * telling whether an endpoint is what it says.
 */
function hasShortcuts(network: Network): network is Network & { readonly overlay: Overlay } {
  const { overlay } = network;
  return overlay?.plan === 'node' && overlay.shortcut !== false && overlay.self.noShortcut === '' && isGuarded(network);
}

/** At the bridge, and at every way to other hosts. Each of them holds the network's table. */
export function networkShortcuts(network: Network, ways: readonly Way[]): readonly ShortcutFact[] {
  if (!hasShortcuts(network)) return [];
  const { bridge } = bridgeOptions(network);
  const object = objectOf(network);
  const base = {
    kind: 'shortcut',
    ns: '',
    object,
    bridge,
    holders: [bridge, ...ways.map(({ dev }) => dev)],
    handle: handleOf(network),
    ranges: network.overlay.ranges,
  } as const;
  return [
    { ...base, dev: bridge, at: 'out' },
    ...ways.flatMap(({ dev, ethernet }): ShortcutFact[] => [
      { ...base, dev, at: 'out' },
      { ...base, dev, at: 'way', ethernet },
    ]),
  ];
}

/** At the host's end of an endpoint's pair, or at its tap. */
export function endpointShortcuts(network: Network, endpoint: Endpoint, object: string): readonly ShortcutFact[] {
  if (!hasShortcuts(network) || endpoint.addresses.length === 0) return [];
  const { bridge } = bridgeOptions(network);
  return [
    {
      kind: 'shortcut',
      ns: '',
      object,
      dev: endpoint.hostIfname,
      at: 'port',
      bridge,
      holders: [bridge],
      handle: handleOf(network),
      ranges: network.overlay.ranges,
      port: {
        mac: endpoint.mac,
        addresses: endpoint.addresses.map(withoutLength),
        bridgeMac: bridgeMac(network),
      },
    },
  ];
}

/** By which one network's programs are told from another's at the same interface. */
function handleOf({ id }: Network): number {
  return Number.parseInt(id.slice(0, 7), 16) + 1;
}
