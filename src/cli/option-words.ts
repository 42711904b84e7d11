/** Options of each driver with the values that they can have; none: whatever the user means. */
type Options = Readonly<Record<string, readonly string[]>>;

const YES_NO = ['true', 'false'];
const GATEWAY_MODES = ['nat', 'nat-unprotected', 'routed', 'isolated'];
const BRIDGE: Options = {
  name: [],
  mtu: [],
  icc: YES_NO,
  masquerade: YES_NO,
  hairpin: YES_NO,
  guard: YES_NO,
  fair_ports: YES_NO,
  gateway_mode: GATEWAY_MODES,
  gateway_mode_ipv4: GATEWAY_MODES,
  gateway_mode_ipv6: GATEWAY_MODES,
};
const BELOW: Options = { parent: [], vlan: [], mtu: [] };

/** What `-o` takes in its short form, by driver. */
export const DRIVER_OPTIONS: Readonly<Record<string, Options>> = {
  bridge: BRIDGE,
  overlay: {
    backend: ['vxlan', 'host-gw', 'udp', 'ipip', 'gre', 'wireguard', 'ipsec', 'bgp'],
    plan: ['flat', 'node'],
    node_prefix: [],
    node_prefix6: [],
    vni: [],
    port: [],
    direct_routing: YES_NO,
    shortcut: YES_NO,
    tracked: YES_NO,
    asn: [],
    neighbors: [],
    password_file: [],
    hold_time: [],
    restart_time: [],
    rekey: [],
    ...BRIDGE,
  },
  macvlan: { ...BELOW, mode: ['bridge', 'private', 'vepa', 'passthru', 'source'], sources: [], shim: [] },
  ipvlan: { ...BELOW, mode: ['l2', 'l3', 'l3s'], flag: ['bridge', 'private', 'vepa'] },
};

/**
 * What `-o` may be followed by: `backend=vxlan`, and `vni=` where the value is the user's to say.
 * @param before  the words so far, one of which may name the driver
 */
export function optionWords(before: readonly string[], partial: string): string[] {
  const options = DRIVER_OPTIONS[driverIn(before)] ?? {};
  const words = Object.entries(options).flatMap(([key, values]) =>
    values.length === 0 ? [`${key}=`] : values.map((value) => `${key}=${value}`),
  );
  // behind `vni=` nothing of ours follows
  return words.filter((word) => word.startsWith(partial) && (word !== partial || !word.endsWith('=')));
}

function driverIn(before: readonly string[]): string {
  for (const [index, word] of before.entries()) {
    if (word === '-d' || word === '--driver') return before[index + 1] ?? '';
    const attached = /^(?:-d=?|--driver=)(?<driver>.+)$/.exec(word)?.groups?.['driver'];
    if (attached !== undefined) return attached;
  }
  return 'bridge';
}
