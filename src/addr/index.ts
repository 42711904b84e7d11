/** Values: addresses, prefixes, MAC addresses, interface names, ports. A leaf: imports nothing but the error class. */
export { bitsOf, compareIp, hexOf, ipFromBytes, ipFromValue, parseIp, tryParseIp } from './ip.ts';
export type { Family, Ip } from './ip.ts';
export {
  broadcastOf,
  contains,
  makePrefix,
  network,
  overlaps,
  parsePrefix,
  prefixSize,
  tryParsePrefix,
  withoutLength,
} from './prefix.ts';
export type { Prefix } from './prefix.ts';
export { whyNoAsn } from './asn.ts';
export { formatMac, macFor, parseMac, randomMac } from './mac.ts';
export { IFNAME_MAX, ifName, isIfName } from './ifname.ts';
export type { IfName } from './ifname.ts';
export { parsePort, parsePortRange } from './port.ts';
export type { PortRange } from './port.ts';
