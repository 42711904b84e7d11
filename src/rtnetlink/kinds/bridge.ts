import { IFLA_BR } from '../constants/index.ts';
import { bool, bool32, Fields, mac, oneOf, u16, u16be, u32, u64, u8 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** An Ethernet bridge. Times are hundredths of a second (USER_HZ). @see ip-link(8) "BRIDGE Type Support" */
export interface Bridge {
  readonly kind: 'bridge';
  /** Spanning tree, in the kernel. */
  readonly stp?: boolean;
  /** Time in listening and in learning, 200 to 3000; 0 only without STP. */
  readonly forwardDelay?: number;
  readonly helloTime?: number;
  readonly maxAge?: number;
  /** How long a learned address lives; 0 keeps it for ever. */
  readonly ageing?: number;
  readonly priority?: number;
  readonly vlanFiltering?: boolean;
  readonly vlanProtocol?: '802.1Q' | '802.1ad';
  readonly vlanDefaultPvid?: number;
  readonly vlanStats?: boolean;
  /** Bits of 01:80:c2:00:00:0X groups that are forwarded all the same; 0, 1 and 2 are refused by the kernel. */
  readonly groupFwdMask?: number;
  readonly groupAddress?: string;
  readonly multicastRouter?: number;
  readonly multicastSnooping?: boolean;
  readonly mcastQueryUseIfaddr?: boolean;
  readonly mcastQuerier?: boolean;
  readonly mcastHashMax?: number;
  readonly mcastLastMemberCount?: number;
  readonly mcastStartupQueryCount?: number;
  readonly mcastLastMemberInterval?: bigint;
  readonly mcastMembershipInterval?: bigint;
  readonly mcastQuerierInterval?: bigint;
  readonly mcastQueryInterval?: bigint;
  readonly mcastQueryResponseInterval?: bigint;
  readonly mcastStartupQueryInterval?: bigint;
  readonly mcastStats?: boolean;
  readonly mcastIgmpVersion?: number;
  readonly mcastMldVersion?: number;
  /** Bridged frames pass iptables; needs br_netfilter. */
  readonly nfCallIptables?: boolean;
  readonly nfCallIp6tables?: boolean;
  readonly nfCallArptables?: boolean;
}

/** linux/if_ether.h ETH_P_8021Q, ETH_P_8021AD */
export const VLAN_PROTOCOLS = { '802.1Q': 0x8100, '802.1ad': 0x88a8 } as const;

const fields = new Fields<Omit<Bridge, 'kind'>>([
  ['forwardDelay', IFLA_BR.FORWARD_DELAY, u32],
  ['helloTime', IFLA_BR.HELLO_TIME, u32],
  ['maxAge', IFLA_BR.MAX_AGE, u32],
  ['ageing', IFLA_BR.AGEING_TIME, u32],
  ['stp', IFLA_BR.STP_STATE, bool32],
  ['priority', IFLA_BR.PRIORITY, u16],
  ['vlanFiltering', IFLA_BR.VLAN_FILTERING, bool],
  ['vlanProtocol', IFLA_BR.VLAN_PROTOCOL, oneOf(u16be, VLAN_PROTOCOLS)],
  ['vlanDefaultPvid', IFLA_BR.VLAN_DEFAULT_PVID, u16],
  ['vlanStats', IFLA_BR.VLAN_STATS_ENABLED, bool],
  ['groupFwdMask', IFLA_BR.GROUP_FWD_MASK, u16],
  ['groupAddress', IFLA_BR.GROUP_ADDR, mac],
  ['multicastSnooping', IFLA_BR.MCAST_SNOOPING, bool],
  ['mcastQuerier', IFLA_BR.MCAST_QUERIER, bool],
  ['mcastQueryUseIfaddr', IFLA_BR.MCAST_QUERY_USE_IFADDR, bool],
  ['mcastHashMax', IFLA_BR.MCAST_HASH_MAX, u32],
  ['multicastRouter', IFLA_BR.MCAST_ROUTER, u8],
  ['mcastLastMemberCount', IFLA_BR.MCAST_LAST_MEMBER_CNT, u32],
  ['mcastStartupQueryCount', IFLA_BR.MCAST_STARTUP_QUERY_CNT, u32],
  ['mcastLastMemberInterval', IFLA_BR.MCAST_LAST_MEMBER_INTVL, u64],
  ['mcastMembershipInterval', IFLA_BR.MCAST_MEMBERSHIP_INTVL, u64],
  ['mcastQuerierInterval', IFLA_BR.MCAST_QUERIER_INTVL, u64],
  ['mcastQueryInterval', IFLA_BR.MCAST_QUERY_INTVL, u64],
  ['mcastQueryResponseInterval', IFLA_BR.MCAST_QUERY_RESPONSE_INTVL, u64],
  ['mcastStartupQueryInterval', IFLA_BR.MCAST_STARTUP_QUERY_INTVL, u64],
  ['mcastStats', IFLA_BR.MCAST_STATS_ENABLED, bool],
  ['mcastIgmpVersion', IFLA_BR.MCAST_IGMP_VERSION, u8],
  ['mcastMldVersion', IFLA_BR.MCAST_MLD_VERSION, u8],
  ['nfCallIptables', IFLA_BR.NF_CALL_IPTABLES, bool],
  ['nfCallIp6tables', IFLA_BR.NF_CALL_IP6TABLES, bool],
  ['nfCallArptables', IFLA_BR.NF_CALL_ARPTABLES, bool],
]);

export const bridge: KindCodec<Bridge> = {
  write: (w, info) => fields.write(w, info),
  read(attrs) {
    const info: Bridge = { kind: 'bridge' };
    fields.readAll(attrs, info);
    return info;
  },
};
