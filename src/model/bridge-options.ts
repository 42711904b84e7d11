import { ifName, tryParseIp } from '../addr/index.ts';
import { badOption, oneOf, parseBoolean, parseMtu, sortOptions } from './driver-options.ts';
import type { BridgeOptions, GatewayMode } from './network.ts';

type Field = Exclude<keyof BridgeOptions, 'driver' | 'shards'>;

/** Every key that `-o` and `driver_opts` take, Docker's and ours. */
const KEYS: Readonly<Record<string, Field | 'gatewayMode'>> = {
  'com.docker.network.bridge.name': 'bridge',
  name: 'bridge',
  'com.docker.network.driver.mtu': 'mtu',
  mtu: 'mtu',
  'com.docker.network.bridge.enable_icc': 'icc',
  icc: 'icc',
  'com.docker.network.bridge.enable_ip_masquerade': 'masquerade',
  masquerade: 'masquerade',
  hairpin: 'hairpin',
  guard: 'guard',
  fair_ports: 'fairPorts',
  'com.docker.network.bridge.host_binding_ipv4': 'hostBinding',
  'com.docker.network.bridge.gateway_mode_ipv4': 'gatewayMode4',
  gateway_mode_ipv4: 'gatewayMode4',
  'com.docker.network.bridge.gateway_mode_ipv6': 'gatewayMode6',
  gateway_mode_ipv6: 'gatewayMode6',
  gateway_mode: 'gatewayMode',
};

const GATEWAY_MODES: readonly GatewayMode[] = ['nat', 'nat-unprotected', 'routed', 'isolated'];

/**
 * Reads the options of the `bridge` driver.
 * @param bridge the interface's name where the options do not say
 * @param ipv6 the network carries IPv6, which needs an MTU of 1280 (RFC 8200 section 5)
 * @param internal whether the gateway mode `isolated`, which only such a network can have, is allowed
 * @throws NetloomError EBADOPTION, EBADIFNAME
 */
export function parseBridgeOptions(
  options: Readonly<Record<string, string>>,
  { bridge, ipv6, internal = true }: { readonly bridge: string; readonly ipv6: boolean; readonly internal?: boolean },
): BridgeOptions {
  const given = sortOptions('bridge', options, KEYS);
  const gatewayMode = (text: string, key: string): GatewayMode => {
    const mode = oneOf(GATEWAY_MODES)(text, key);
    if (mode === 'isolated' && !internal)
      throw badOption(key, text, 'only an internal network can do without a gateway: create it with --internal');
    return mode;
  };
  const both = given.read('gatewayMode', gatewayMode, 'nat');
  const mode4 = given.read('gatewayMode4', gatewayMode, both);
  const mode6 = given.read('gatewayMode6', gatewayMode, both);
  return {
    driver: 'bridge',
    bridge: given.read('bridge', (text) => ifName(text), ifName(bridge)),
    mtu: given.read('mtu', (text, key) => parseMtu(key, text, ipv6), 0),
    icc: given.read('icc', parseBoolean, true),
    masquerade: given.read('masquerade', parseBoolean, true),
    hairpin: given.read('hairpin', parseBoolean, true),
    hostBinding: given.read('hostBinding', parseBinding, ''),
    ...(!given.read('guard', parseBoolean, true) && { guard: false }),
    ...(!given.read('fairPorts', parseBoolean, true) && { fairPorts: false }),
    ...(mode4 !== 'nat' && { gatewayMode4: mode4 }),
    ...(mode6 !== 'nat' && { gatewayMode6: mode6 }),
  };
}

/** What some options are about: for a change, which leaves everything else as it is. */
export function bridgeFieldsOf(options: Readonly<Record<string, string>>): readonly (Field | 'gatewayMode')[] {
  return Object.keys(options).flatMap((key) => (Object.hasOwn(KEYS, key) ? (KEYS[key] ?? []) : []));
}

function parseBinding(text: string, key: string): string {
  const ip = tryParseIp(text);
  if (ip?.family !== 4) throw badOption(key, text, 'write an IPv4 address of this host, or 0.0.0.0');
  return ip.text;
}
