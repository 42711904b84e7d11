import { parseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { BGP_KEYS, readBgpOptions } from './bgp-options.ts';
import { badOption, type GivenOptions, oneOf, parseBoolean, sortOptions } from './driver-options.ts';
import { PROBE_PORT } from './cluster.ts';
import type { AddressPlan, BackendName, BgpOptions, FlannelPlace } from './overlay.ts';

/** What is asked of a network that hosts share, beside what is asked of its bridges. */
export interface OverlayWish {
  readonly plan: AddressPlan;
  readonly backend: BackendName;
  /** Of each host's prefix in the plan `node`, by family. */
  readonly nodeLength: { readonly 4: number; readonly 6: number };
  /** 0: one that no other network has. */
  readonly vni: number;
  /** 0: the backend's own. */
  readonly port: number;
  readonly directRouting: boolean;
  /** Connections between hosts may go past rule sets that have let them begin. */
  readonly shortcut: boolean;
  /** What tunnels put around packets goes through connection tracking. */
  readonly tracked: boolean;
  /** What was written for the backend bgp. */
  readonly bgp: Partial<BgpOptions>;
  /** Seconds between changes of keys, 0 for never; undefined: as usual for the backend. */
  readonly rekey?: number;
  /** It is flannel's, which says all of the above. */
  readonly flannel?: FlannelPlace;
  /** The other options, as they were written: the bridge's. */
  readonly rest: Readonly<Record<string, string>>;
}

const KEYS = {
  plan: 'plan',
  backend: 'backend',
  node_prefix: 'nodePrefix',
  node_prefix6: 'nodePrefix6',
  vni: 'vni',
  // Docker's word for it
  'com.docker.network.driver.overlay.vxlanid_list': 'vni',
  port: 'port',
  direct_routing: 'directRouting',
  shortcut: 'shortcut',
  tracked: 'tracked',
  ...BGP_KEYS,
  rekey: 'rekey',
  flannel: 'flannel',
  prefix: 'prefix',
  ca: 'ca',
  cert: 'cert',
  key: 'key',
  user: 'user',
  address: 'address',
} as const;
type Field = (typeof KEYS)[keyof typeof KEYS];

/** What flannel's configuration says. */
const FLANNELS: readonly Field[] = [
  ...(['plan', 'backend', 'nodePrefix', 'nodePrefix6', 'vni', 'port', 'directRouting'] as const),
  ...(['asn', 'neighbors', 'holdTime', 'restartTime', 'rekey'] as const),
];
/** Of where that is, beside a password, which sessions of BGP have as well. */
const PLACE: readonly Field[] = ['prefix', 'ca', 'cert', 'key', 'user', 'address'];

const PLANS: readonly AddressPlan[] = ['node', 'flat'];
const BACKENDS: readonly BackendName[] = ['vxlan', 'host-gw', 'udp', 'ipip', 'gre', 'wireguard', 'ipsec', 'bgp'];

/**
 * Reads what of the options is the overlay's; the rest is the bridge's.
 * @throws NetloomError EBADOPTION
 */
export function parseOverlayOptions(options: Readonly<Record<string, string>>): OverlayWish {
  const own = Object.entries(options).filter(([key]) => Object.hasOwn(KEYS, key));
  const rest = Object.fromEntries(Object.entries(options).filter(([key]) => !Object.hasOwn(KEYS, key)));
  const given = sortOptions('overlay', Object.fromEntries(own), KEYS);
  const flannel = flannelOf(given);
  const number =
    (least: number, most: number, what: string) =>
    (text: string, key: string): number => {
      const value = /^\d{1,8}$/.test(text) ? Number(text) : -1;
      if (value < least || value > most) throw badOption(key, text, `${what} is ${least} to ${most}`);
      return value;
    };
  const backend = given.read('backend', oneOf(BACKENDS), 'vxlan');
  const plan = given.read('plan', oneOf(PLANS), backend === 'vxlan' && !flannel ? 'flat' : 'node');
  if (plan === 'flat' && backend !== 'vxlan') {
    throw new NetloomError('EBADOPTION', `backend ${backend} carries prefixes of hosts, and plan=flat has none`, {
      hint: 'leave plan=flat out, or take backend=vxlan',
    });
  }
  const bgpKey = Object.values(BGP_KEYS).flatMap((field) => given.keyOf(field) ?? [])[0];
  if (bgpKey !== undefined && backend !== 'bgp' && !flannel)
    throw new NetloomError('EBADOPTION', `backend ${backend} has no option "${bgpKey}": it is of backend=bgp`);
  const rekey = given.read('rekey', parseInterval, undefined);
  return {
    plan,
    backend,
    nodeLength: {
      4: given.read('nodePrefix', number(8, 30, "the length of a host's IPv4 prefix"), 24),
      6: given.read('nodePrefix6', number(16, 126, "the length of a host's IPv6 prefix"), 64),
    },
    vni: given.read('vni', number(1, 2 ** 24 - 1, 'a VNI'), 0),
    port: given.read('port', (text, key) => freePort(number(1, 65535, 'a port')(text, key), key), 0),
    directRouting: given.read('directRouting', parseBoolean, false),
    shortcut: given.read('shortcut', parseBoolean, true),
    tracked: given.read('tracked', parseBoolean, false),
    bgp: flannel ? {} : readBgpOptions(given),
    ...(rekey !== undefined && { rekey }),
    ...(flannel && { flannel }),
    rest,
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400 };

/** `24h`, `90m`, `7d`; `0` and `off` for never. @returns seconds */
function parseInterval(text: string, key: string): number {
  if (/^(0|off)$/i.test(text)) return 0;
  const [, digits = '', unit = ''] = /^(\d{1,6})([smhd])$/i.exec(text) ?? [];
  const seconds = Number(digits) * (UNITS[unit.toLowerCase()] ?? 0);
  // one change of keys takes half of the least
  if (seconds < 60 || seconds > 366 * 86400)
    throw badOption(key, text, 'write an interval from 60s to 366d, such as 24h, or off');
  return seconds;
}

function freePort(port: number, key: string): number {
  if (port !== PROBE_PORT) return port;
  throw badOption(key, String(port), 'nodes test the way to each other there: choose another port');
}

/** Undefined: it is no flannel network. @throws NetloomError EBADOPTION */
function flannelOf(given: GivenOptions<Field>): FlannelPlace | undefined {
  const text = (field: Field): string | undefined =>
    given.read(field, (value) => value, undefined as string | undefined);
  const urls = text('flannel');
  for (const field of urls === undefined ? PLACE : FLANNELS) {
    const key = given.keyOf(field);
    if (key === undefined) continue;
    throw badOption(
      key,
      text(field)!,
      urls === undefined ? 'it belongs to flannel=URL' : 'flannel’s configuration in etcd says that: leave it out',
    );
  }
  if (urls === undefined) return undefined;
  const path = (field: Field): string | undefined =>
    given.read(
      field,
      (value, key) => {
        if (value.startsWith('/')) return value;
        throw badOption(key, value, 'write the whole path, from / on: the daemon reads it');
      },
      undefined as string | undefined,
    );
  const [caFile, certFile, keyFile, passwordFile] = [path('ca'), path('cert'), path('key'), path('passwordFile')];
  const username = text('user');
  if ((username === undefined) !== (passwordFile === undefined))
    throw badOption('user', username ?? '', 'user and password_file go together');
  if ((certFile === undefined) !== (keyFile === undefined))
    throw badOption('cert', certFile ?? '', 'cert and key go together');
  const addresses = text('address')?.split(',');
  return {
    etcd: urls.split(','),
    prefix: (path('prefix') ?? '/coreos.com/network').replace(/\/+$/, ''),
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    ...(username !== undefined && { username }),
    ...(passwordFile !== undefined && { passwordFile }),
    ...(addresses && { addresses: addresses.map((address) => parseIp(address).text) }),
  };
}
