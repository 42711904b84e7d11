/* The native seam: one function a system call that Node lacks, and no policy.
 *
 * Errors come back to JavaScript as an Error with `errno` (positive) and `syscall`; src/kernel makes typed errors of
 * them. Whatever must happen inside another network namespace switches, acts and switches back inside one C function
 * on one thread, so that no JavaScript and no libuv thread ever runs in a namespace it did not ask for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <node_api.h>

/* ---- JavaScript in, JavaScript out ------------------------------------------------------------------------- */

#define MAX_ARGS 8
#define ARGS(count)                                                                                                    \
  napi_value argv[MAX_ARGS];                                                                                           \
  size_t argc = (count);                                                                                               \
  napi_get_cb_info(env, info, &argc, argv, NULL, NULL)

static napi_value fail(napi_env env, int error, const char *syscall) {
  napi_value message, object, value;
  napi_create_string_utf8(env, strerror(error), NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, NULL, message, &object);
  napi_create_int32(env, error, &value);
  napi_set_named_property(env, object, "errno", value);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, object, "syscall", value);
  napi_throw(env, object);
  return NULL;
}

static int32_t int_arg(napi_env env, napi_value value) {
  int32_t out = 0;
  napi_get_value_int32(env, value, &out);
  return out;
}

static uint32_t uint_arg(napi_env env, napi_value value) {
  uint32_t out = 0;
  napi_get_value_uint32(env, value, &out);
  return out;
}

/* False, with a JavaScript exception pending, when the text does not fit. */
static bool text_arg(napi_env env, napi_value value, char *out, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, out, size, &length) != napi_ok || length + 1 >= size) {
    fail(env, ENAMETOOLONG, "argument");
    return false;
  }
  return true;
}

static napi_value from_int(napi_env env, int32_t value) {
  napi_value out;
  napi_create_int32(env, value, &out);
  return out;
}

/* ---- namespaces -------------------------------------------------------------------------------------------- */

static int own_netns(void) { return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }

/* Enters the namespace behind `target`; the descriptor to return with, or -1. A negative target means: stay. */
static int enter(int target) {
  if (target < 0) return -2;
  int back = own_netns();
  if (back < 0) return -1;
  if (setns(target, CLONE_NEWNET) < 0) {
    int error = errno;
    close(back);
    errno = error;
    return -1;
  }
  return back;
}

/* A thread that cannot return to its namespace must not go on: everything after would act in the wrong one. */
static void leave(int back) {
  if (back < 0) return;
  int error = errno;
  if (setns(back, CLONE_NEWNET) < 0) abort();
  close(back);
  errno = error;
}

static void *make_netns(void *result) {
  int *fd = result;
  *fd = unshare(CLONE_NEWNET) < 0 ? -errno : own_netns();
  if (*fd == -1) *fd = -errno;
  return NULL;
}

/* netnsCreate(): fd. A fresh namespace, made on a thread of its own that ends with it. */
static napi_value netns_create(napi_env env, napi_callback_info info) {
  (void)info;
  pthread_t thread;
  int fd = -1;
  int error = pthread_create(&thread, NULL, make_netns, &fd);
  if (error) return fail(env, error, "pthread_create");
  pthread_join(thread, NULL);
  if (fd < 0) return fail(env, -fd, "unshare");
  return from_int(env, fd);
}

/* mount(source, target, type, flags) */
static napi_value do_mount(napi_env env, napi_callback_info info) {
  ARGS(4);
  char source[4096], target[4096], type[64];
  if (!text_arg(env, argv[0], source, sizeof source) || !text_arg(env, argv[1], target, sizeof target) ||
      !text_arg(env, argv[2], type, sizeof type))
    return NULL;
  if (mount(source, target, type[0] ? type : NULL, uint_arg(env, argv[3]), NULL) < 0) return fail(env, errno, "mount");
  return NULL;
}

/* umount(target): detached at once, freed when the last user is gone. */
static napi_value do_umount(napi_env env, napi_callback_info info) {
  ARGS(1);
  char target[4096];
  if (!text_arg(env, argv[0], target, sizeof target)) return NULL;
  if (umount2(target, MNT_DETACH) < 0) return fail(env, errno, "umount2");
  return NULL;
}

/* fileIn(netns, path, value | undefined): string. Reads, or writes, a file under /proc/sys as the namespace sees it. */
static napi_value file_in(napi_env env, napi_callback_info info) {
  ARGS(3);
  char path[512], text[4096];
  if (!text_arg(env, argv[1], path, sizeof path)) return NULL;
  napi_valuetype kind;
  napi_typeof(env, argv[2], &kind);
  bool writing = kind == napi_string;
  if (writing && !text_arg(env, argv[2], text, sizeof text)) return NULL;
  int back = enter(int_arg(env, argv[0]));
  if (back == -1) return fail(env, errno, "setns");
  int fd = open(path, (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  leave(back);
  if (fd < 0) return fail(env, errno, "open");
  ssize_t size = writing ? write(fd, text, strlen(text)) : read(fd, text, sizeof text);
  int error = errno;
  close(fd);
  if (size < 0) return fail(env, error, writing ? "write" : "read");
  if (writing) return NULL;
  napi_value out;
  napi_create_string_utf8(env, text, size, &out);
  return out;
}

/* ---- sockets ----------------------------------------------------------------------------------------------- */

/* socketIn(netns, domain, type, protocol): fd */
static napi_value socket_in(napi_env env, napi_callback_info info) {
  ARGS(4);
  int back = enter(int_arg(env, argv[0]));
  if (back == -1) return fail(env, errno, "setns");
  int fd = socket(int_arg(env, argv[1]), int_arg(env, argv[2]) | SOCK_CLOEXEC, int_arg(env, argv[3]));
  leave(back);
  if (fd < 0) return fail(env, errno, "socket");
  return from_int(env, fd);
}

/* netlinkOpen(netns, protocol): fd. Extended acknowledgements on, echo of requests off, strict checks on. */
static napi_value netlink_open(napi_env env, napi_callback_info info) {
  ARGS(2);
  int back = enter(int_arg(env, argv[0]));
  if (back == -1) return fail(env, errno, "setns");
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, int_arg(env, argv[1]));
  leave(back);
  if (fd < 0) return fail(env, errno, "socket");
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

/* ---- netlink exchange: send, then receive until the last request is answered -------------------------------- */

struct exchange {
  int fd, error;
  const char *syscall;
  uint32_t last; /* sequence number whose NLMSG_ERROR or NLMSG_DONE ends the exchange */
  const void *request;
  size_t request_size;
  char *reply;
  size_t reply_size, reply_room;
  napi_async_work work;
  napi_deferred deferred;
  napi_ref request_ref;
};

static bool answers(const char *at, ssize_t size, uint32_t last) {
  for (const struct nlmsghdr *h = (const void *)at; NLMSG_OK(h, size); h = NLMSG_NEXT(h, size))
    if ((h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) && h->nlmsg_seq == last) return true;
  return false;
}

/* The kernel answers netlink requests inside sendto, and continues a dump inside recv: an empty queue is an end. */
static void exchange_run(struct exchange *x) {
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  ssize_t size;
  do size = sendto(x->fd, x->request, x->request_size, 0, (void *)&kernel, sizeof kernel);
  while (size < 0 && errno == EINTR);
  if (size < 0) {
    x->error = errno, x->syscall = "sendto";
    return;
  }
  for (;;) {
    if (x->reply_room - x->reply_size < 65536) {
      size_t room = x->reply_room ? x->reply_room * 2 : 131072;
      char *grown = realloc(x->reply, room);
      if (!grown) {
        x->error = ENOMEM, x->syscall = "realloc";
        return;
      }
      x->reply = grown, x->reply_room = room;
    }
    size = recv(x->fd, x->reply + x->reply_size, x->reply_room - x->reply_size, MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) x->error = errno, x->syscall = "recv";
      return;
    }
    x->reply_size += size;
    if (answers(x->reply + x->reply_size - size, size, x->last)) return;
  }
}

static napi_value exchange_result(napi_env env, struct exchange *x) {
  napi_value out;
  napi_create_buffer_copy(env, x->reply_size, x->reply, NULL, &out);
  return out;
}

static bool exchange_args(napi_env env, napi_callback_info info, struct exchange *x, napi_value *request) {
  ARGS(3);
  x->fd = int_arg(env, argv[0]);
  x->last = uint_arg(env, argv[2]);
  *request = argv[1];
  napi_typedarray_type type;
  void *data;
  if (napi_get_typedarray_info(env, argv[1], &type, &x->request_size, &data, NULL, NULL) != napi_ok) {
    fail(env, EINVAL, "exchange");
    return false;
  }
  x->request = data;
  return true;
}

/* exchangeSync(fd, request, last): reply */
static napi_value exchange_sync(napi_env env, napi_callback_info info) {
  struct exchange x = { 0 };
  napi_value request, out = NULL;
  if (!exchange_args(env, info, &x, &request)) return NULL;
  exchange_run(&x);
  if (x.error) fail(env, x.error, x.syscall);
  else out = exchange_result(env, &x);
  free(x.reply);
  return out;
}

static void exchange_execute(napi_env env, void *data) {
  (void)env;
  exchange_run(data);
}

static void exchange_complete(napi_env env, napi_status status, void *data) {
  (void)status;
  struct exchange *x = data;
  napi_value value;
  if (x->error) {
    fail(env, x->error, x->syscall);
    napi_get_and_clear_last_exception(env, &value);
    napi_reject_deferred(env, x->deferred, value);
  } else {
    napi_resolve_deferred(env, x->deferred, exchange_result(env, x));
  }
  napi_delete_reference(env, x->request_ref);
  napi_delete_async_work(env, x->work);
  free(x->reply);
  free(x);
}

/* exchange(fd, request, last): Promise<reply>. The request must not change until then. */
static napi_value exchange_async(napi_env env, napi_callback_info info) {
  struct exchange *x = calloc(1, sizeof *x);
  napi_value request, name, promise;
  if (!x) return fail(env, ENOMEM, "calloc");
  if (!exchange_args(env, info, x, &request)) {
    free(x);
    return NULL;
  }
  napi_create_reference(env, request, 1, &x->request_ref);
  napi_create_promise(env, &x->deferred, &promise);
  napi_create_string_utf8(env, "netloom:exchange", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, exchange_execute, exchange_complete, x, &x->work);
  napi_queue_async_work(env, x->work);
  return promise;
}

/* ---- locks ------------------------------------------------------------------------------------------------- */

/* flock(fd, operation): boolean; false where another holds the lock and LOCK_NB was given. */
static napi_value do_flock(napi_env env, napi_callback_info info) {
  ARGS(2);
  int done = flock(int_arg(env, argv[0]), int_arg(env, argv[1]));
  if (done < 0 && errno != EWOULDBLOCK) return fail(env, errno, "flock");
  napi_value out;
  napi_get_boolean(env, done == 0, &out);
  return out;
}

static napi_value init(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
    { "netnsCreate", netns_create },   { "mount", do_mount },           { "umount", do_umount },
    { "fileIn", file_in },             { "socketIn", socket_in },       { "netlinkOpen", netlink_open },
    { "exchangeSync", exchange_sync }, { "exchange", exchange_async }, { "flock", do_flock },
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
  return exports;
}

NAPI_MODULE(netloom, init)
