import { ifName, tryParseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { nearest } from './names.ts';
import type { BridgeOptions } from './network.ts';

type Field = Exclude<keyof BridgeOptions, 'driver'>;

/** Every key that `-o` and `driver_opts` take, Docker's and ours. */
const KEYS: Readonly<Record<string, Field>> = {
  'com.docker.network.bridge.name': 'bridge',
  name: 'bridge',
  'com.docker.network.driver.mtu': 'mtu',
  mtu: 'mtu',
  'com.docker.network.bridge.enable_icc': 'icc',
  icc: 'icc',
  'com.docker.network.bridge.enable_ip_masquerade': 'masquerade',
  masquerade: 'masquerade',
  hairpin: 'hairpin',
  'com.docker.network.bridge.host_binding_ipv4': 'hostBinding',
};

/**
 * Reads the options of the `bridge` driver.
 * @param bridge the interface's name where the options do not say
 * @param ipv6 the network carries IPv6, which needs an MTU of 1280 (RFC 8200 section 5)
 * @throws NetloomError EBADOPTION, EBADIFNAME
 */
export function parseBridgeOptions(
  options: Readonly<Record<string, string>>,
  { bridge, ipv6 }: { readonly bridge: string; readonly ipv6: boolean },
): BridgeOptions {
  const given = new Map<Field, { readonly key: string; readonly text: string }>();
  for (const [key, text] of Object.entries(options)) {
    const field = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (field === undefined) throw unknown(key);
    if (typeof text !== 'string') throw bad(key, text, 'write its value as text');
    const other = given.get(field);
    if (other && other.text !== text) {
      throw new NetloomError(
        'EBADOPTION',
        `options ${other.key}=${other.text} and ${key}=${text} mean the same and differ: give one`,
      );
    }
    given.set(field, { key, text });
  }
  const value = <T>(field: Field, parse: (text: string, key: string) => T, otherwise: T): T => {
    const entry = given.get(field);
    return entry ? parse(entry.text, entry.key) : otherwise;
  };
  return {
    driver: 'bridge',
    bridge: value('bridge', (text) => ifName(text), ifName(bridge)),
    mtu: value('mtu', (text, key) => parseMtu(key, text, ipv6), 0),
    icc: value('icc', parseBoolean, true),
    masquerade: value('masquerade', parseBoolean, true),
    hairpin: value('hairpin', parseBoolean, true),
    hostBinding: value('hostBinding', parseBinding, ''),
  };
}

function parseMtu(key: string, text: string, ipv6: boolean): number {
  const mtu = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  if (mtu === 0) return 0;
  // linux/if_ether.h ETH_MIN_MTU and ETH_MAX_MTU
  const least = ipv6 ? 1280 : 68;
  if (mtu < least || mtu > 65535) {
    throw bad(
      key,
      text,
      `an MTU is ${least} to 65535 bytes${ipv6 ? ' where there is IPv6' : ''}, or 0 for the uplink’s`,
    );
  }
  return mtu;
}

/** The words that Docker takes. */
function parseBoolean(text: string, key: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw bad(key, text, 'write true or false');
}

function parseBinding(text: string, key: string): string {
  const ip = tryParseIp(text);
  if (ip?.family !== 4) throw bad(key, text, 'write an IPv4 address of this host, or 0.0.0.0');
  return ip.text;
}

function unknown(key: string): NetloomError {
  const near = nearest(key, Object.keys(KEYS));
  return new NetloomError(
    'EBADOPTION',
    `the bridge driver has no option "${key}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    {
      hint: `it has: ${Object.keys(KEYS).join(', ')}`,
    },
  );
}

function bad(key: string, text: unknown, cure: string): NetloomError {
  return new NetloomError('EBADOPTION', `option ${key}=${String(text)}: ${cure}`);
}
