/** WireGuard's interfaces and peers by generic netlink; the links themselves are rtnetlink's. @see linux/wireguard.h */
export { parseWgDevice, type WgDevice, type WgEndpoint, wgGet, type WgPeer, wireguardFamily } from './device.ts';
export { type WgDeviceSpec, type WgPeerSpec, wgSet } from './set.ts';
