/* The two threads of a relay (relay.h). System calls are what a packet costs, and a TUN device has none for several: so
 * datagrams of one size for one peer go as one (UDP_SEGMENT), which the underlay carries as one as far as it can, and come
 * as one (UDP_GRO).
 */
#include "relay.h"
#include <netinet/udp.h>
#include <poll.h>

/* ---- packets --------------------------------------------------------------------------------------------------- */

/* Whether it is one whole IP packet and nothing else, as far as its header says. */
static bool whole(const uint8_t *packet, size_t size) {
  if (size >= 20 && packet[0] >> 4 == 4)
    return (packet[0] & 15) >= 5 && (packet[0] & 15u) * 4 <= size && relay_big_endian(packet + 2, 2) == size;
  return size >= 40 && packet[0] >> 4 == 6 && relay_big_endian(packet + 4, 2) + 40 == size;
}
static bool is_v6(const uint8_t *packet) { return packet[0] >> 4 == 6; }
static const uint8_t *source(const uint8_t *packet) { return packet + (is_v6(packet) ? 8 : 12); }
static const uint8_t *destination(const uint8_t *packet) { return packet + (is_v6(packet) ? 24 : 16); }

void relay_count(struct relay *relay, enum relay_counter which, uint64_t by) {
  /* each has one writer */
  __atomic_store_n(&relay->counters[which], relay->counters[which] + by, __ATOMIC_RELAXED);
}

static bool stopping(struct relay *relay) { return __atomic_load_n(&relay->stopping, __ATOMIC_RELAXED); }

/* Waits for one of two descriptors, -1 for none, or for the relay's end; what came of the first. */
static short wait_for(struct relay *relay, int first, int second, short events) {
  struct pollfd on[] = { { relay->wake, POLLIN, 0 }, { first, events, 0 }, { second, events, 0 } };
  return poll(on, 3, -1) > 0 ? on[1].revents : 0;
}

/* ---- out: from the device to peers ------------------------------------------------------------------------------- */

#define OUT_BATCH 64
#define OUT_ROOM (4 * 65536)
/* Segments that one UDP_SEGMENT datagram may have on every kernel that knows it, and bytes besides headers. */
#define MAX_SEGMENTS 64
#define MAX_BURST 65000

struct out {
  struct relay *relay;
  unsigned packets, messages;
  int fd;
  struct iovec packet[OUT_BATCH];
  struct mmsghdr message[OUT_BATCH];
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(uint16_t))];
  } control[OUT_BATCH];
  uint8_t room[OUT_ROOM];
};

static void sent(struct out *out, const struct mmsghdr *message) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < message->msg_hdr.msg_iovlen; i++) bytes += message->msg_hdr.msg_iov[i].iov_len;
  relay_count(out->relay, SENT_PACKETS, message->msg_hdr.msg_iovlen);
  relay_count(out->relay, SENT_BYTES, bytes);
}

/* The packets of one message that the kernel refused, each by itself. */
static void send_singly(struct out *out, struct mmsghdr *message) {
  struct iovec *packet = message->msg_hdr.msg_iov;
  for (size_t left = message->msg_hdr.msg_iovlen; left > 0; left--, packet++) {
    struct mmsghdr one = { .msg_hdr = { .msg_iov = packet, .msg_iovlen = 1, .msg_name = message->msg_hdr.msg_name,
                                        .msg_namelen = message->msg_hdr.msg_namelen } };
    ssize_t done;
    while ((done = sendmsg(out->fd, &one.msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EAGAIN &&
           !stopping(out->relay))
      wait_for(out->relay, out->fd, -1, POLLOUT);
    if (done >= 0) sent(out, &one);
    else if (errno == EMSGSIZE) relay_too_big(out->relay, out->fd, &one.msg_hdr);
    else relay_count(out->relay, DROPPED_UNDERLAY, 1);
  }
}

static void flush(struct out *out) {
  struct mmsghdr *next = out->message, *end = next + out->messages;
  while (next < end && !stopping(out->relay)) {
    int done = sendmmsg(out->fd, next, end - next, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) {
      while (done--) sent(out, next++);
    } else if (errno == EAGAIN) {
      wait_for(out->relay, out->fd, -1, POLLOUT); /* meanwhile packets wait in the device's own queue */
    } else if (errno != EINTR) {
      /* EIO: the way out cannot cut datagrams up, as with IPsec; EMSGSIZE, EINVAL: its MTU has become smaller */
      send_singly(out, next++);
    }
  }
  out->messages = 0;
}

/* A packet joins the message before it where it has the same size, or is a smaller one that ends it. */
static bool join(struct out *out, struct iovec *packet, const struct sockaddr_in6 *to) {
  if (out->messages == 0) return false;
  struct msghdr *header = &out->message[out->messages - 1].msg_hdr;
  size_t size = header->msg_iov->iov_len, segments = header->msg_iovlen;
  if (header->msg_name != to || header->msg_iov + segments != packet) return false;
  if (packet->iov_len > size || packet[-1].iov_len != size || segments == MAX_SEGMENTS || (segments + 1) * size > MAX_BURST)
    return false;
  if (segments == 1) {
    struct cmsghdr *control = header->msg_control = &out->control[out->messages - 1];
    header->msg_controllen = sizeof out->control[0].space;
    control->cmsg_level = SOL_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t each = size;
    memcpy(CMSG_DATA(control), &each, sizeof each);
  }
  header->msg_iovlen++;
  return true;
}

static void route(struct out *out, const struct relay_table *table, struct iovec *packet) {
  const uint8_t *data = packet->iov_base;
  uint64_t number = whole(data, packet->iov_len) ? relay_behind(table, is_v6(data), destination(data)) : RELAY_NOBODY;
  if (number == RELAY_NOBODY) {
    relay_count(out->relay, DROPPED_NO_PEER, 1);
    return;
  }
  struct sockaddr_in6 *to = &table->peer[number];
  bool v6 = to->sin6_family == AF_INET6;
  int fd = out->relay->sockets[v6];
  if (fd < 0) {
    relay_count(out->relay, DROPPED_UNDERLAY, 1);
    return;
  }
  if (out->messages > 0 && fd != out->fd) flush(out);
  out->fd = fd;
  if (join(out, packet, to)) return;
  out->message[out->messages++].msg_hdr = (struct msghdr){
    .msg_name = to, .msg_namelen = v6 ? sizeof *to : sizeof(struct sockaddr_in), .msg_iov = packet, .msg_iovlen = 1
  };
}

void *relay_out(void *argument) {
  struct relay *relay = argument;
  struct out *out = relay->room[0];
  out->relay = relay;
  while (!stopping(relay)) {
    ssize_t size;
    size_t used = 0;
    out->packets = out->messages = 0;
    while (out->packets < OUT_BATCH && OUT_ROOM - used >= 65536 &&
           (size = read(relay->device, out->room + used, 65536)) > 0) {
      out->packet[out->packets++] = (struct iovec){ out->room + used, size };
      used += ((size_t)size + 63) & ~(size_t)63;
    }
    if (out->packets > 0) {
      struct relay_table *table = relay_table_take(relay);
      for (unsigned i = 0; i < out->packets; i++) route(out, table, &out->packet[i]);
      flush(out);
      relay_table_release(relay, table);
    } else if (wait_for(relay, relay->device, -1, POLLIN) & POLLERR) {
      uint64_t one = 1;
      (void)!write(relay->lost, &one, sizeof one);
      wait_for(relay, -1, -1, 0); /* nothing will come any more but the end */
    }
  }
  return NULL;
}

/* ---- in: from peers to the device --------------------------------------------------------------------------------- */

#define IN_BATCH 16
#define IN_SLOT (65536 + 64) /* not a power of two: slots would share their places in the cache */

struct in {
  struct relay *relay;
  struct mmsghdr message[IN_BATCH];
  struct iovec part[IN_BATCH];
  struct sockaddr_in6 from[IN_BATCH];
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
  } control[IN_BATCH];
  uint8_t room[IN_BATCH][IN_SLOT];
};

/* Size of the datagrams that the kernel joined to this one; 0 where it is only one. */
static size_t segment_size(struct msghdr *header) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
    int size;
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 ? size : 0;
  }
  return 0;
}

static void deliver(struct in *in, const struct relay_table *table, uint64_t peer, const uint8_t *packet, size_t size) {
  struct relay *relay = in->relay;
  if (peer == RELAY_NOBODY) {
    relay_count(relay, DROPPED_STRANGER, 1);
  } else if (!whole(packet, size)) {
    relay_count(relay, DROPPED_MALFORMED, 1);
  } else if (relay_behind(table, is_v6(packet), source(packet)) != peer) {
    relay_count(relay, DROPPED_SPOOFED, 1);
  } else if (write(relay->device, packet, size) < 0) {
    relay_count(relay, DROPPED_DEVICE, 1); /* EIO: it is down */
  } else {
    relay_count(relay, RECEIVED_PACKETS, 1);
    relay_count(relay, RECEIVED_BYTES, size);
  }
}

static bool receive(struct in *in, int fd) {
  for (unsigned i = 0; i < IN_BATCH; i++) {
    memset(&in->from[i], 0, sizeof in->from[i]);
    in->part[i] = (struct iovec){ in->room[i], IN_SLOT };
    in->message[i].msg_hdr = (struct msghdr){ .msg_name = &in->from[i], .msg_namelen = sizeof in->from[i],
                                              .msg_iov = &in->part[i], .msg_iovlen = 1,
                                              .msg_control = &in->control[i], .msg_controllen = sizeof in->control[i] };
  }
  int got = recvmmsg(fd, in->message, IN_BATCH, MSG_DONTWAIT, NULL);
  if (got <= 0) return false;
  struct relay_table *table = relay_table_take(in->relay);
  for (int i = 0; i < got; i++) {
    size_t size = in->message[i].msg_len, each = segment_size(&in->message[i].msg_hdr);
    uint64_t peer = relay_peer_at(table, &in->from[i]);
    if (each == 0 || each > size) each = size;
    size_t at = 0;
    do {
      deliver(in, table, peer, in->room[i] + at, size - at < each ? size - at : each);
      at += each;
    } while (at < size);
  }
  relay_table_release(in->relay, table);
  return true;
}

void *relay_in(void *argument) {
  struct relay *relay = argument;
  struct in *in = relay->room[1];
  in->relay = relay;
  while (!stopping(relay)) {
    bool some = false;
    for (int v6 = 0; v6 < 2; v6++)
      if (relay->sockets[v6] >= 0 && receive(in, relay->sockets[v6])) some = true;
    if (!some) wait_for(relay, relay->sockets[0], relay->sockets[1], POLLIN);
  }
  return NULL;
}

const size_t relay_room[RELAY_THREADS] = { sizeof(struct out), sizeof(struct in) };
