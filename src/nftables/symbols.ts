/** Names that nft gives to numbers, by data type. @see nft(8) DATA TYPES; `nft describe TYPE` lists each. */

export const ETHER_TYPE = { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, vlan: 0x8100 } as const;

/** Those of netinet/in.h that /etc/protocols names alike everywhere; other protocols stay numbers. */
export const INET_PROTO = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  sctp: 132,
  udplite: 136,
} as const;

/** linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT */
export const CT_STATE = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;

/** linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_status */
export const CT_STATUS = {
  expected: 1,
  'seen-reply': 2,
  assured: 4,
  confirmed: 8,
  snat: 16,
  dnat: 32,
  dying: 512,
} as const;

/** linux/rtnetlink.h, RTN_* */
export const FIB_ADDRTYPE = {
  unspec: 0,
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
} as const;

export const NF_PROTO = { ipv4: 2, ipv6: 10 } as const;
export const CT_DIR = { original: 0, reply: 1 } as const;
export const BOOLEAN = { missing: 0, exists: 1 } as const;

/** linux/if_packet.h, PACKET_*: nft says host, unicast reads as host. */
export const PKT_TYPE = { host: 0, broadcast: 1, multicast: 2, other: 3 } as const;

/** linux/tcp.h */
export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 } as const;

/** linux/icmp.h */
export const ICMP_TYPE = {
  'echo-reply': 0,
  'destination-unreachable': 3,
  'source-quench': 4,
  redirect: 5,
  'echo-request': 8,
  'router-advertisement': 9,
  'router-solicitation': 10,
  'time-exceeded': 11,
  'parameter-problem': 12,
  'timestamp-request': 13,
  'timestamp-reply': 14,
  'info-request': 15,
  'info-reply': 16,
  'address-mask-request': 17,
  'address-mask-reply': 18,
} as const;

/** linux/icmpv6.h */
export const ICMPV6_TYPE = {
  'destination-unreachable': 1,
  'packet-too-big': 2,
  'time-exceeded': 3,
  'parameter-problem': 4,
  'echo-request': 128,
  'echo-reply': 129,
  'mld-listener-query': 130,
  'mld-listener-report': 131,
  'mld-listener-done': 132,
  'nd-router-solicit': 133,
  'nd-router-advert': 134,
  'nd-neighbor-solicit': 135,
  'nd-neighbor-advert': 136,
  'nd-redirect': 137,
  'mld2-listener-report': 143,
} as const;

/** linux/icmp.h, ICMP_*_UNREACH; linux/icmpv6.h; enum nft_reject_inet_code: what `reject with` says. */
export const ICMP_CODE = {
  'net-unreachable': 0,
  'host-unreachable': 1,
  'prot-unreachable': 2,
  'port-unreachable': 3,
  'net-prohibited': 9,
  'host-prohibited': 10,
  'admin-prohibited': 13,
} as const;
export const ICMPV6_CODE = {
  'no-route': 0,
  'admin-prohibited': 1,
  'addr-unreachable': 3,
  'port-unreachable': 4,
  'policy-fail': 5,
  'reject-route': 6,
} as const;
export const ICMPX_CODE = {
  'no-route': 0,
  'port-unreachable': 1,
  'host-unreachable': 2,
  'admin-prohibited': 3,
} as const;
