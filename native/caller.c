/* Callers on a unix socket: who they are, and the descriptor that comes with the first of what they say. */
#include "netloom.h"
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* unixListen(path, backlog): fd. For the owner alone from the first instant: bind(2) takes the mode from the socket. */
napi_value unix_listen(napi_env env, napi_callback_info info) {
  ARGS(2);
  int backlog;
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  char path[sizeof at.sun_path + 4];
  if (!text_arg(env, argv[0], path, sizeof path) || !int_arg(env, argv[1], &backlog)) return NULL;
  if (!*path) return fail(env, EINVAL, "argument"); /* it would be an abstract name, which has no mode */
  if (strlen(path) >= sizeof at.sun_path) return fail(env, ENAMETOOLONG, "bind");
  strcpy(at.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(env, errno, "socket");
  const char *failed = fchmod(fd, 0600) < 0                        ? "fchmod"
                       : bind(fd, (void *)&at, sizeof at) < 0 ? "bind"
                       : listen(fd, backlog) < 0              ? "listen"
                                                              : NULL;
  if (!failed) return from_int(env, fd);
  int error = errno;
  close(fd);
  return fail(env, error, failed);
}

/* unixAccept(fd, who): fd, or -1 where nobody waits. `who`, an Int32Array, gets the caller's process and user id, as it was
 * when it connected. */
napi_value unix_accept(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  void *who;
  size_t places;
  if (!int_arg(env, argv[0], &fd) || !typed_arg(env, argv[1], napi_int32_array, &who, &places)) return NULL;
  if (places < 2) return fail(env, EINVAL, "argument");
  int caller;
  do caller = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  while (caller < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (caller < 0 && errno == EAGAIN) return from_int(env, -1);
  if (caller < 0) return fail(env, errno, "accept");
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(caller, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    int error = errno;
    close(caller);
    return fail(env, error, "getsockopt");
  }
  ((int32_t *)who)[0] = peer.pid;
  ((int32_t *)who)[1] = (int32_t)peer.uid;
  return from_int(env, caller);
}

/* unixReceive(fd, buffer, passed): how many bytes; 0 where the caller has ended, -1 where none wait. `passed`, an
 * Int32Array, gets the descriptor that came with them, or -1: there is room for no more than one. */
napi_value unix_receive(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd;
  void *buffer, *passed;
  size_t size, places;
  if (!int_arg(env, argv[0], &fd) || !bytes_arg(env, argv[1], &buffer, &size) ||
      !typed_arg(env, argv[2], napi_int32_array, &passed, &places))
    return NULL;
  if (places < 1 || size == 0) return fail(env, EINVAL, "argument");
  union {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = { buffer, size };
  /* CMSG_LEN, not CMSG_SPACE: in the padding a second descriptor would have room */
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int)) };
  ssize_t got;
  do got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  *(int32_t *)passed = -1;
  if (got < 0 && errno == EAGAIN) return from_int(env, -1);
  if (got < 0) return fail(env, errno, "recvmsg");
  struct cmsghdr *c = CMSG_FIRSTHDR(&message);
  if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(passed, CMSG_DATA(c), sizeof(int));
  return from_int(env, (int32_t)got);
}
