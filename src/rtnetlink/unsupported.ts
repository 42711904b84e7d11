import { UnsupportedError } from '../errors.ts';
import { NetlinkError } from '../netlink/index.ts';
import type { LinkKindName } from './kinds/index.ts';

/** What a kernel needs for each kind: its configuration switch, and the release that brought it where that is not ancient. */
const NEEDS: Readonly<Record<LinkKindName, string>> = {
  bridge: 'CONFIG_BRIDGE',
  dummy: 'CONFIG_DUMMY',
  gre: 'CONFIG_NET_IPGRE',
  gretap: 'CONFIG_NET_IPGRE',
  ifb: 'CONFIG_IFB',
  ip6gre: 'CONFIG_IPV6_GRE, Linux 3.7',
  ip6gretap: 'CONFIG_IPV6_GRE, Linux 3.7',
  ipip: 'CONFIG_NET_IPIP',
  ipvlan: 'CONFIG_IPVLAN, Linux 3.19',
  macvlan: 'CONFIG_MACVLAN',
  sit: 'CONFIG_IPV6_SIT',
  tun: 'CONFIG_TUN',
  veth: 'CONFIG_VETH',
  vlan: 'CONFIG_VLAN_8021Q',
  vrf: 'CONFIG_NET_VRF, Linux 4.3',
  vti: 'CONFIG_NET_IPVTI, Linux 3.6',
  vxlan: 'CONFIG_VXLAN, Linux 3.7',
  wireguard: 'CONFIG_WIREGUARD, Linux 5.6',
};

/**
 * What a refused `linkAdd` means: an UnsupportedError where the kernel does not know the kind (EOPNOTSUPP, after it has
 * tried to load a module `rtnl-link-KIND`), else the error itself.
 */
export function linkKindUnsupported(error: unknown, kind: string): unknown {
  if (!(error instanceof NetlinkError) || error.code !== 'EOPNOTSUPP') return error;
  // other refusals with this errno say so in words; those of old kernels say nothing
  if (error.extAck !== '' && error.extAck !== 'Unknown device type') return error;
  const needs = Object.hasOwn(NEEDS, kind) ? ` (${NEEDS[kind as LinkKindName]})` : '';
  return new UnsupportedError(`link kind ${kind}`, `load its module, or use a kernel that has it${needs}`, { cause: error });
}
