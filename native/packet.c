/* Whole frames of one interface, and what sockets bound to an interface need besides. */
#include "netloom.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* packetOpen(netns, ifname, protocol, filter): fd. Hears frames of that EtherType on that interface alone, and of them
 * only what the classic BPF program (struct sock_filter, one after the other) lets through: not one frame comes in
 * before both hold. */
napi_value packet_open(napi_env env, napi_callback_info info) {
  ARGS(4);
  int netns;
  char name[IFNAMSIZ + 4];
  uint32_t protocol;
  void *filter;
  size_t size;
  struct ifreq request = { 0 };
  if (!int_arg(env, argv[0], &netns) || !text_arg(env, argv[1], name, sizeof name) ||
      !uint_arg(env, argv[2], &protocol) || !bytes_arg(env, argv[3], &filter, &size))
    return NULL;
  if (protocol > 0xffff || size == 0 || size % sizeof(struct sock_filter) || size / sizeof(struct sock_filter) > BPF_MAXINSNS)
    return fail(env, EINVAL, "argument");
  if (strlen(name) >= IFNAMSIZ) return fail(env, ENAMETOOLONG, "argument");
  strcpy(request.ifr_name, name);
  int back = enter(netns);
  if (back == -1) return fail(env, errno, "setns");
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); /* protocol 0: deaf until it is bound */
  leave(back);
  if (fd < 0) return fail(env, errno, "socket");
  struct sock_fprog program = { size / sizeof(struct sock_filter), filter };
  const char *what = "SIOCGIFINDEX";
  if (ioctl(fd, SIOCGIFINDEX, &request) < 0) goto failed;
  what = "SO_ATTACH_FILTER";
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) goto failed;
  struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = request.ifr_ifindex };
  what = "bind";
  if (bind(fd, (void *)&at, sizeof at) < 0) goto failed;
  /* an interface that is down is bound all the same, and is the socket's first error */
  int pending = 0;
  socklen_t length = sizeof pending;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) == 0 && pending) {
    errno = pending;
    goto failed;
  }
  return from_int(env, fd);
failed:;
  int error = errno;
  close(fd);
  return fail(env, error, what);
}

/* send(fd, bytes): number of bytes sent, over a socket that knows where to */
napi_value socket_send(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  void *data;
  size_t size;
  if (!int_arg(env, argv[0], &fd) || !bytes_arg(env, argv[1], &data, &size)) return NULL;
  ssize_t sent;
  do sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail(env, errno, "send");
  return from_int(env, (int)sent);
}

/* socketName(fd): bytes. The socket's own address, as the kernel lays it out (struct sockaddr_*). */
napi_value socket_name(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  struct sockaddr_storage at = { 0 };
  socklen_t size = sizeof at;
  if (!int_arg(env, argv[0], &fd)) return NULL;
  if (getsockname(fd, (void *)&at, &size) < 0) return fail(env, errno, "getsockname");
  if (size > sizeof at) size = sizeof at;
  napi_value buffer, out = NULL;
  void *data;
  if (napi_create_arraybuffer(env, size, &data, &buffer) != napi_ok) return fail(env, ENOMEM, "getsockname");
  memcpy(data, &at, size);
  napi_create_typedarray(env, napi_uint8_array, size, buffer, 0, &out);
  return out;
}

/* socketOptionBytes(fd, level, option, bytes): sets an option that is a structure */
napi_value socket_option_bytes(napi_env env, napi_callback_info info) {
  ARGS(4);
  int fd, level, option;
  void *data;
  size_t size;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &level) || !int_arg(env, argv[2], &option) ||
      !bytes_arg(env, argv[3], &data, &size))
    return NULL;
  /* these hold a pointer, which nobody may take from JavaScript */
  if (level == SOL_SOCKET && (option == SO_ATTACH_FILTER || option == SO_ATTACH_REUSEPORT_CBPF))
    return fail(env, EINVAL, "argument");
  if (setsockopt(fd, level, option, data, size) < 0) return fail(env, errno, "setsockopt");
  return NULL;
}
