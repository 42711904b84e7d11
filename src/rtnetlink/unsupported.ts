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
  xfrm: 'CONFIG_XFRM_INTERFACE, Linux 4.19',
};

/**
 * What a refused `linkAdd` means: an UnsupportedError where the kernel does not know the kind, after it has tried to load
 * a module `rtnl-link-KIND`, or knows it without a setting that was asked for (a bridge without VLAN filtering). Any
 * other error is returned as it is.
 */
export function linkKindUnsupported(error: unknown, kind: string): unknown {
  if (!(error instanceof NetlinkError) || error.code !== 'EOPNOTSUPP') return error;
  // one errno for both, told apart by words only; other refusals with this errno explain themselves
  const unknown = error.extAck === 'Unknown device type';
  if (!unknown && error.extAck !== '') return error;
  const needs = Object.hasOwn(NEEDS, kind) ? ` (${NEEDS[kind as LinkKindName]})` : '';
  return unknown
    ? new UnsupportedError(`link kind ${kind}`, `load its module, or use a kernel that has it${needs}`, {
        cause: error,
      })
    : new UnsupportedError(`support for a setting of this ${kind} link`, 'leave the setting out', { cause: error });
}
