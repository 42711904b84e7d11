/* Packets that are too big for the path to their peer. What is too big for the device the kernel answers by itself; this is
 * for a path that is narrower than the underlay's own interface, which the kernel learns of by ICMP from the underlay.
 */
#include "relay.h"
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

static uint16_t checksum(const void *data, size_t size, uint32_t sum) {
  const uint8_t *bytes = data;
  for (; size > 1; bytes += 2, size -= 2) sum += bytes[0] << 8 | bytes[1];
  if (size) sum += bytes[0] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(~sum);
}

/* An answer comes from where the packet was for: an address that the device leads to, as the reverse path filter wants. */
static void answer4(struct relay *relay, const uint8_t *packet, size_t size, int mtu) {
  struct {
    struct iphdr ip;
    struct icmphdr icmp;
    uint8_t quote[548]; /* 576 in all, RFC 1812 section 4.3.2.3 */
  } answer = { 0 };
  struct iphdr ip;
  memcpy(&ip, packet, sizeof ip);
  size_t quoted = size < sizeof answer.quote ? size : sizeof answer.quote, all = sizeof answer - sizeof answer.quote + quoted;
  answer.ip = (struct iphdr){ .version = 4, .ihl = 5, .tot_len = htons(all), .ttl = 64, .protocol = IPPROTO_ICMP,
                              .saddr = ip.daddr, .daddr = ip.saddr };
  answer.ip.check = checksum(&answer.ip, sizeof answer.ip, 0);
  memcpy(answer.quote, packet, quoted);
  answer.icmp.type = ICMP_DEST_UNREACH, answer.icmp.code = ICMP_FRAG_NEEDED, answer.icmp.un.frag.mtu = htons(mtu);
  answer.icmp.checksum = checksum(&answer.icmp, all - sizeof answer.ip, 0);
  (void)!write(relay->device, &answer, all);
}

static void answer6(struct relay *relay, const uint8_t *packet, size_t size, int mtu) {
  struct {
    struct ip6_hdr ip;
    struct icmp6_hdr icmp;
    uint8_t quote[1232]; /* 1280 in all, RFC 4443 section 3.2 */
  } answer = { 0 };
  struct ip6_hdr ip;
  memcpy(&ip, packet, sizeof ip);
  size_t quoted = size < sizeof answer.quote ? size : sizeof answer.quote, length = sizeof answer.icmp + quoted;
  answer.ip = (struct ip6_hdr){ .ip6_flow = htonl(6u << 28), .ip6_plen = htons(length), .ip6_nxt = IPPROTO_ICMPV6,
                                .ip6_hlim = 64, .ip6_src = ip.ip6_dst, .ip6_dst = ip.ip6_src };
  memcpy(answer.quote, packet, quoted);
  answer.icmp.icmp6_type = ICMP6_PACKET_TOO_BIG, answer.icmp.icmp6_mtu = htonl(mtu);
  uint32_t pseudo = length + IPPROTO_ICMPV6;
  for (size_t i = 8; i < 40; i += 2) pseudo += relay_big_endian((const uint8_t *)&answer.ip + i, 2);
  answer.icmp.icmp6_cksum = checksum(&answer.icmp, length, pseudo);
  (void)!write(relay->device, &answer, sizeof answer.ip + length);
}

/* Nobody is told of an error message that did not get through, nor of a fragment but the first (RFC 1122, RFC 4443). */
static bool may_answer(const uint8_t *packet, size_t size) {
  if (packet[0] >> 4 == 6) return packet[6] != IPPROTO_ICMPV6 || size < 41 || packet[40] & 0x80;
  size_t header = (packet[0] & 15) * 4;
  if (relay_big_endian(packet + 6, 2) & IP_OFFMASK) return false;
  if (packet[9] != IPPROTO_ICMP || size <= header) return true;
  uint8_t type = packet[header];
  return type != ICMP_DEST_UNREACH && type != ICMP_TIME_EXCEEDED && type != ICMP_PARAMETERPROB && type != ICMP_SOURCE_QUENCH;
}

/* What the kernel knows of the path to a peer, less the headers around a packet; 0 where it will not say. */
static int path_mtu(struct relay *relay, const struct msghdr *datagram) {
  bool v6 = ((struct sockaddr_in6 *)datagram->msg_name)->sin6_family == AF_INET6;
  int mtu = 0, fd = relay->probes[v6];
  socklen_t size = sizeof mtu;
  if (connect(fd, datagram->msg_name, datagram->msg_namelen) < 0 ||
      getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &mtu, &size) < 0)
    return 0;
  return mtu - (v6 ? 48 : 28);
}

static bool send_in_pieces(int fd, struct msghdr *datagram) {
  bool v6 = ((struct sockaddr_in6 *)datagram->msg_name)->sin6_family == AF_INET6;
  int level = v6 ? IPPROTO_IPV6 : IPPROTO_IP, option = v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER;
  int cut = IP_PMTUDISC_WANT, whole = IP_PMTUDISC_DO; /* the numbers are the same for IPv6 */
  if (setsockopt(fd, level, option, &cut, sizeof cut) < 0) return false;
  bool sent = sendmsg(fd, datagram, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  setsockopt(fd, level, option, &whole, sizeof whole);
  return sent;
}

void relay_too_big(struct relay *relay, int fd, struct msghdr *datagram) {
  const uint8_t *packet = datagram->msg_iov->iov_base;
  size_t size = datagram->msg_iov->iov_len;
  bool v4 = packet[0] >> 4 == 4;
  int mtu = path_mtu(relay, datagram);
  /* IPv6 has no smaller one: who is told less goes on as before (RFC 8200 section 5), so it travels in pieces */
  bool cut = v4 ? !(packet[6] & 0x40) : mtu < 1280;
  if (cut && send_in_pieces(fd, datagram)) {
    relay_count(relay, SENT_PACKETS, 1);
    relay_count(relay, SENT_BYTES, size);
    return;
  }
  relay_count(relay, DROPPED_TOO_BIG, 1);
  if (mtu < 68 || (size_t)mtu >= size || !may_answer(packet, size)) return;
  if (v4) answer4(relay, packet, size, mtu);
  else answer6(relay, packet, size, mtu);
}
