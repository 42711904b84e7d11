/* Many datagrams a system call, with the addresses they came from and go to: what a busy UDP server needs. */
#include "netloom.h"
#include <netinet/in.h>
#include <sys/socket.h>

#define BATCH 64
/* One peer in the array of addresses: struct sockaddr_in or sockaddr_in6, as the kernel lays it out. */
#define PEER sizeof(struct sockaddr_in6)

struct datagrams {
  int fd;
  char *buffer, *peers;
  uint32_t slot, *lengths;
  size_t count;
};

/* (fd, buffer, slot, lengths, peers): datagram i lies at i * slot, is lengths[i] long and belongs to peer i */
static bool read_args(napi_env env, napi_value *argv, struct datagrams *d) {
  void *buffer, *lengths, *peers;
  size_t size, count, room;
  if (!int_arg(env, argv[0], &d->fd) || !bytes_arg(env, argv[1], &buffer, &size) || !uint_arg(env, argv[2], &d->slot) ||
      !typed_arg(env, argv[3], napi_uint32_array, &lengths, &count) || !bytes_arg(env, argv[4], &peers, &room))
    return false;
  if (d->slot == 0) count = 0;
  else if (count > size / d->slot) count = size / d->slot;
  if (count > room / PEER) count = room / PEER;
  if (count > BATCH) count = BATCH;
  if (count == 0) {
    fail(env, EINVAL, "argument");
    return false;
  }
  d->buffer = buffer, d->lengths = lengths, d->peers = peers, d->count = count;
  return true;
}

/* receiveFrom(fd, buffer, slot, lengths, peers): number of datagrams, 0 where none waits. lengths[i] is the true length,
 * greater than the slot where it was cut. */
napi_value receive_from(napi_env env, napi_callback_info info) {
  ARGS(5);
  struct datagrams d;
  if (!read_args(env, argv, &d)) return NULL;
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  for (size_t i = 0; i < d.count; i++) {
    parts[i] = (struct iovec){ d.buffer + i * d.slot, d.slot };
    messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1,
                                                 .msg_name = d.peers + i * PEER, .msg_namelen = PEER } };
  }
  int got;
  do got = recvmmsg(d.fd, messages, d.count, MSG_DONTWAIT | MSG_TRUNC, NULL);
  while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN) return from_int(env, 0);
    return fail(env, errno, "recvmmsg");
  }
  for (int i = 0; i < got; i++) d.lengths[i] = messages[i].msg_len;
  return from_int(env, got);
}

/* sendTo(fd, buffer, slot, lengths, peers, count): how many of the first `count` datagrams went out. A length of 0 is
 * left out. What the kernel refuses (no route, no room, a firewall) is left out, too: the others must not wait for it. */
napi_value send_to(napi_env env, napi_callback_info info) {
  ARGS(6);
  struct datagrams d;
  uint32_t wanted;
  if (!read_args(env, argv, &d) || !uint_arg(env, argv[5], &wanted)) return NULL;
  if (wanted > d.count) return fail(env, EINVAL, "argument");
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  unsigned count = 0;
  for (size_t i = 0; i < wanted; i++) {
    if (d.lengths[i] == 0) continue;
    if (d.lengths[i] > d.slot) return fail(env, EINVAL, "argument");
    struct sockaddr_in6 *peer = (void *)(d.peers + i * PEER);
    sa_family_t family;
    memcpy(&family, peer, sizeof family);
    parts[count] = (struct iovec){ d.buffer + i * d.slot, d.lengths[i] };
    messages[count] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[count], .msg_iovlen = 1, .msg_name = peer,
                                                     .msg_namelen = family == AF_INET ? sizeof(struct sockaddr_in) : PEER } };
    count++;
  }
  unsigned done = 0, sent = 0;
  while (done < count) {
    int now = sendmmsg(d.fd, messages + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (now > 0) {
      done += now, sent += now;
    } else if (errno == EBADF || errno == ENOTSOCK) {
      return fail(env, errno, "sendmmsg");
    } else if (errno != EINTR) {
      done++; /* the first one is what it failed for */
    }
  }
  return from_int(env, (int)sent);
}
