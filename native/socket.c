/* Sockets born in a namespace, and receiving many datagrams at once. */
#include "netloom.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <linux/netlink.h>
#include <sys/socket.h>

/* socketIn(netns, domain, type, protocol): fd */
napi_value socket_in(napi_env env, napi_callback_info info) {
  ARGS(4);
  int netns, domain, type, protocol;
  if (!int_arg(env, argv[0], &netns) || !int_arg(env, argv[1], &domain) || !int_arg(env, argv[2], &type) ||
      !int_arg(env, argv[3], &protocol))
    return NULL;
  int back = enter(netns);
  if (back == -1) return fail(env, errno, "setns");
  int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
  leave(back);
  if (fd < 0) return fail(env, errno, "socket");
  return from_int(env, fd);
}

/* socketOption(fd, level, option, value): sets an option that is an int */
napi_value socket_option(napi_env env, napi_callback_info info) {
  ARGS(4);
  int fd, level, option, value;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &level) || !int_arg(env, argv[2], &option) ||
      !int_arg(env, argv[3], &value))
    return NULL;
  if (setsockopt(fd, level, option, &value, sizeof value) < 0) return fail(env, errno, "setsockopt");
  return NULL;
}

/* bind and connect share their arguments: (fd, address, port, scope), the address as text, IPv4 or IPv6; scope is the
 * interface of a link-local one, or 0 */
static napi_value with_address(napi_env env, napi_callback_info info,
                               int (*call)(int, const struct sockaddr *, socklen_t), const char *name) {
  ARGS(4);
  int fd;
  char text[INET6_ADDRSTRLEN + 8];
  uint32_t port, scope;
  if (!int_arg(env, argv[0], &fd) || !text_arg(env, argv[1], text, sizeof text) || !uint_arg(env, argv[2], &port) ||
      !uint_arg(env, argv[3], &scope))
    return NULL;
  union {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } at = { 0 };
  socklen_t size;
  if (port > 65535) return fail(env, EINVAL, "argument");
  if (inet_pton(AF_INET, text, &at.v4.sin_addr) == 1) {
    at.v4.sin_family = AF_INET, at.v4.sin_port = htons(port), size = sizeof at.v4;
  } else if (inet_pton(AF_INET6, text, &at.v6.sin6_addr) == 1) {
    at.v6.sin6_family = AF_INET6, at.v6.sin6_port = htons(port), at.v6.sin6_scope_id = scope, size = sizeof at.v6;
  } else {
    return fail(env, EINVAL, "inet_pton");
  }
  if (call(fd, (void *)&at, size) < 0) return fail(env, errno, name);
  return NULL;
}

napi_value socket_bind(napi_env env, napi_callback_info info) { return with_address(env, info, bind, "bind"); }

/* For datagram sockets, where it sends nothing; EINPROGRESS is an error here. */
napi_value socket_connect(napi_env env, napi_callback_info info) {
  return with_address(env, info, connect, "connect");
}

/* listen(fd, backlog) */
napi_value socket_listen(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd, backlog;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &backlog)) return NULL;
  if (listen(fd, backlog) < 0) return fail(env, errno, "listen");
  return NULL;
}

#define BATCH 64

/* recvBatch(fd, buffer, slot, lengths[, nsids]): number. As many datagrams as wait, each at a multiple of `slot` bytes in
 * the buffer, its true length in `lengths` (greater than the slot where it was cut). 0 where none waits. Datagrams of a
 * netlink socket that did not come from the kernel get length 0. `nsids`, an Int32Array, gets the number of the namespace
 * that each tells of where the socket listens to all (NETLINK_LISTEN_ALL_NSID), and -1 for the socket's own. */
napi_value recv_batch(napi_env env, napi_callback_info info) {
  ARGS(5);
  int fd;
  void *buffer, *lengths, *nsids = NULL;
  size_t size, count, places = 0;
  uint32_t slot;
  napi_valuetype given;
  if (!int_arg(env, argv[0], &fd) || !bytes_arg(env, argv[1], &buffer, &size) || !uint_arg(env, argv[2], &slot) ||
      !typed_arg(env, argv[3], napi_uint32_array, &lengths, &count))
    return NULL;
  if (slot == 0 || napi_typeof(env, argv[4], &given) != napi_ok) return fail(env, EINVAL, "argument");
  if (given != napi_undefined) {
    if (!typed_arg(env, argv[4], napi_int32_array, &nsids, &places)) return NULL;
    if (places < count) return fail(env, EINVAL, "argument");
  }
  if (count > size / slot) count = size / slot;
  if (count > BATCH) count = BATCH;
  if (count == 0) return fail(env, EINVAL, "argument");
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  struct sockaddr_nl from[BATCH];
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct nl_pktinfo))];
  } control[BATCH];
  memset(messages, 0, count * sizeof *messages);
  memset(from, 0, count * sizeof *from);
  for (size_t i = 0; i < count; i++) {
    parts[i] = (struct iovec){ (char *)buffer + i * slot, slot };
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &from[i];
    messages[i].msg_hdr.msg_namelen = sizeof from[i];
    if (!nsids) continue;
    messages[i].msg_hdr.msg_control = &control[i];
    messages[i].msg_hdr.msg_controllen = sizeof control[i];
  }
  int got;
  do got = recvmmsg(fd, messages, count, MSG_DONTWAIT | MSG_TRUNC, NULL);
  while (got < 0 && errno == EINTR);
  if (got < 0) {
    if (errno == EAGAIN) return from_int(env, 0);
    return fail(env, errno, "recvmmsg");
  }
  for (int i = 0; i < got; i++) {
    bool foreign = from[i].nl_family == AF_NETLINK && from[i].nl_pid != 0;
    ((uint32_t *)lengths)[i] = foreign ? 0 : messages[i].msg_len;
    if (!nsids) continue;
    int nsid = -1;
    struct msghdr *header = &messages[i].msg_hdr;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
      if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID) memcpy(&nsid, CMSG_DATA(c), sizeof nsid);
    ((int32_t *)nsids)[i] = nsid;
  }
  return from_int(env, got);
}

/* netlinkOpen(netns, protocol): fd. Extended acknowledgements on, echo of requests off, strict checks on. */
napi_value netlink_open(napi_env env, napi_callback_info info) {
  ARGS(2);
  int netns, protocol;
  if (!int_arg(env, argv[0], &netns) || !int_arg(env, argv[1], &protocol)) return NULL;
  int back = enter(netns);
  if (back == -1) return fail(env, errno, "setns");
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  leave(back);
  if (fd < 0) return fail(env, errno, "socket");
  /* a socket without an address of its own gets no multicast: its 0 is taken for the sender */
  struct sockaddr_nl own = { .nl_family = AF_NETLINK };
  if (bind(fd, (void *)&own, sizeof own) < 0) {
    int error = errno;
    close(fd);
    return fail(env, error, "bind");
  }
  int on = 1, room = 8 << 20;
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return from_int(env, fd);
}
