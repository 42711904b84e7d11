/**
 * What is loaded before the snapshot is taken: the first line for the guest itself, the others because a test will ask for
 * them. Whatever else the package of the kernel has loads when it is asked for, which takes longer.
 */
export const MODULES: readonly string[] = `
  virtio_pci virtio_console 9pnet_virtio 9p overlay vmgenid

  veth bridge br_netfilter vxlan macvlan tun dummy ifb bonding 8021q ipvlan vrf geneve wireguard openvswitch
  ipip ip_gre ip6_gre sit ip_vti fou

  nf_tables nft_compat nft_ct nft_chain_nat nft_masq nft_redir nft_numgen nft_fib_inet nft_limit nft_log
  nft_reject_inet nft_flow_offload nf_flow_table_inet nf_conntrack_netlink
  iptable_nat iptable_filter iptable_mangle ip6table_nat ip6table_filter
  xt_MASQUERADE xt_conntrack xt_comment xt_mark xt_addrtype xt_set ip_set_hash_ip ip_set_hash_net
  ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh xt_ipvs

  esp4 xfrm_user aesni_intel gcm seqiv echainiv
  sch_netem sch_htb sch_tbf sch_ingress cls_bpf cls_flower cls_matchall act_mirred act_police
`
  .trim()
  .split(/\s+/);

/** Without these, the modules would make devices of their own. */
export const PARAMETERS: Readonly<Record<string, string>> = {
  dummy: 'numdummies=0',
  ifb: 'numifbs=0',
  bonding: 'max_bonds=0',
};
