/**
 * The marks that say "netloom made this", in the kernel's own fields.
 *
 * A link carries a group of ours from the moment it is made, since IFLA_GROUP is honoured at creation; IFLA_IFALIAS, which
 * is not, follows in the same burst and names the object. Addresses and routes carry a protocol number; the table is
 * ours by its name.
 */

/** IFLA_GROUP of links that we made: "nl" in ASCII. */
export const LINK_GROUP = 0x6e6c;
/** IFLA_GROUP of those whose frames the guard looks at: "nlg". */
export const GUARDED_GROUP = 0x6e6c67;
/** IFLA_GROUP of links on their way out: one message deletes them all. */
export const DYING_GROUP = 0x6e6c64;
/** True for a link's group that only we give, and that says the link is wanted. */
export function isOurGroup(group: number): boolean {
  return group === LINK_GROUP || group === GUARDED_GROUP;
}
/** IFA_PROTO of addresses and rtm_protocol of routes: 'n'. @see /etc/iproute2/rt_protos for who uses which */
export const PROTOCOL = 110;
/** Our nftables tables, in whatever family they are. */
export const TABLE = 'netloom';
/** Handle of queues and preference of filters that we made, on links that may be somebody else's: "nl" again. @see tc(8) */
export const TC_HANDLE = 0x6e6c;
/** Preference of programs: behind filters of the one above. */
export const TC_SHORTCUT = 0x6e6d;
/** What ties states and policies of ours to each other: whose they are, too. "nl" again. @see ip-xfrm(8) reqid */
export const XFRM_REQID = 0x6e6c;
/** Interface ids of ours begin with an 'n'; the network's number is behind it, 24 bits. */
export const XFRM_IF_ID = 0x6e00_0000;
