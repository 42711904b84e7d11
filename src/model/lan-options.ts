import { type Family, formatMac, ifName, parseIp, parseMac } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { badOption, type GivenOptions, oneOf, parseMtu, sortOptions } from './driver-options.ts';
import { within } from './names.ts';
import type { IpvlanFlag, IpvlanMode, IpvlanOptions, MacvlanMode, MacvlanOptions } from './network.ts';

type Below = 'parent' | 'vlan' | 'mtu';

/** What macvlan and ipvlan share: the interface below. */
const BELOW = {
  parent: 'parent',
  vlan: 'vlan',
  'com.docker.network.driver.mtu': 'mtu',
  mtu: 'mtu',
} as const;
const MACVLAN: Readonly<Record<string, Below | 'mode' | 'sources' | 'shim'>> = {
  ...BELOW,
  macvlan_mode: 'mode',
  mode: 'mode',
  macvlan_sources: 'sources',
  sources: 'sources',
  shim: 'shim',
};
const IPVLAN: Readonly<Record<string, Below | 'mode' | 'flag'>> = {
  ...BELOW,
  ipvlan_mode: 'mode',
  mode: 'mode',
  ipvlan_flag: 'flag',
  flag: 'flag',
};

const MACVLAN_MODES: readonly MacvlanMode[] = ['bridge', 'private', 'vepa', 'passthru', 'source'];
const IPVLAN_MODES: readonly IpvlanMode[] = ['l2', 'l3', 'l3s'];
const IPVLAN_FLAGS: readonly IpvlanFlag[] = ['bridge', 'private', 'vepa'];

/** linux/if_vlan.h: twelve bits, of which 0 means "no VLAN" and 4095 is reserved (IEEE 802.1Q) */
const VLAN_MAX = 4094;

/** Reads the options of the `macvlan` driver. @throws NetloomError EBADOPTION, EBADIFNAME, EBADMAC, EBADADDRESS */
export function parseMacvlanOptions(options: Readonly<Record<string, string>>, ipv6: boolean): MacvlanOptions {
  const given = sortOptions('macvlan', options, MACVLAN);
  const mode = given.read('mode', oneOf(MACVLAN_MODES), 'bridge');
  const sources = given.read('sources', parseSources, []);
  if (sources.length > 0 && mode !== 'source') {
    throw new NetloomError('EBADOPTION', `option ${given.keyOf('sources')}: only the mode source has sources`);
  }
  const shim = given.read('shim', parseShim, []);
  if (shim.length > 0 && mode !== 'bridge') {
    throw new NetloomError('EBADOPTION', `option shim: the host reaches endpoints of mode bridge only, not of ${mode}`);
  }
  return { driver: 'macvlan', ...below(given, ipv6), mode, sources, shim };
}

/** Reads the options of the `ipvlan` driver. @throws NetloomError EBADOPTION, EBADIFNAME */
export function parseIpvlanOptions(options: Readonly<Record<string, string>>, ipv6: boolean): IpvlanOptions {
  const given = sortOptions('ipvlan', options, IPVLAN);
  return {
    driver: 'ipvlan',
    ...below(given, ipv6),
    mode: given.read('mode', oneOf(IPVLAN_MODES), 'l2'),
    flag: given.read('flag', oneOf(IPVLAN_FLAGS), 'bridge'),
  };
}

function below(given: GivenOptions<Below>, ipv6: boolean): Pick<MacvlanOptions, 'parent' | 'vlan' | 'mtu'> {
  const parent = given.read('parent', parseParent, '');
  const vlan = given.read('vlan', parseVlan, 0);
  if (parent === '' && vlan !== 0)
    throw badOption('vlan', vlan, 'a VLAN needs the interface that it is on: give parent');
  return { parent, vlan, mtu: given.read('mtu', (text, key) => parseMtu(key, text, ipv6), 0) };
}

/** Empty, or a name; a VLAN behind its dot is read by whoever knows which interfaces there are. */
function parseParent(text: string, key: string): string {
  if (text === '') return '';
  const parent = within(`option ${key}`, () => ifName(text));
  if (parent === 'lo')
    throw badOption(key, text, 'the loopback interface leads nowhere: give an interface of the segment');
  return parent;
}

function parseVlan(text: string, key: string): number {
  const vlan = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (vlan < 0 || vlan > VLAN_MAX) throw badOption(key, text, `a VLAN is 1 to ${VLAN_MAX}, or 0 for none`);
  return vlan;
}

/** What `parent: eth0.50` means where there is no interface of that name; undefined where it has no VLAN in it. */
export function splitVlan(parent: string): { readonly parent: string; readonly vlan: number } | undefined {
  const dot = parent.lastIndexOf('.');
  if (dot <= 0 || !/^\d+$/.test(parent.slice(dot + 1))) return undefined;
  const vlan = Number(parent.slice(dot + 1));
  if (vlan < 1 || vlan > VLAN_MAX) throw badOption('parent', parent, `a VLAN is 1 to ${VLAN_MAX}`);
  return { parent: parent.slice(0, dot), vlan };
}

function parseSources(text: string, key: string): string[] {
  const sources = words(text).map((word) =>
    within(`option ${key}`, () => formatMac(parseMac(word, { unicast: true }))),
  );
  return [...new Set(sources)].sort();
}

/** At most one address of each family, IPv4 first. Whether they are inside the subnets is seen with these. */
function parseShim(text: string, key: string): string[] {
  const addresses = words(text).map((word) => within(`option ${key}`, () => parseIp(word)));
  const seen = new Set<Family>();
  for (const { family } of addresses) {
    if (seen.has(family)) throw badOption(key, text, `two IPv${family} addresses: give one`);
    seen.add(family);
  }
  return addresses.toSorted((a, b) => a.family - b.family).map((address) => address.text);
}

function words(text: string): string[] {
  return text
    .split(/[\s,]+/)
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
