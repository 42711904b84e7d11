/* A netlink exchange: send, then receive until the last request is answered. */
#include "netloom.h"
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

struct exchange {
  struct job job; /* first: a job is cast to its exchange */
  int fd;
  uint32_t last; /* sequence number whose NLMSG_ERROR or NLMSG_DONE ends the exchange */
  const void *request;
  size_t request_size;
  char *reply; /* in the scratch memory until it outgrows it */
  size_t reply_size, reply_room;
  bool reply_owned;
  char copy[]; /* of the request: JavaScript may go away, or change it, before the thread is done */
};

static bool answers(const char *at, ssize_t size, uint32_t last) {
  for (const struct nlmsghdr *h = (const void *)at; NLMSG_OK(h, size); h = NLMSG_NEXT(h, size))
    if ((h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) && h->nlmsg_seq == last) return true;
  return false;
}

static bool grow(struct exchange *x) {
  size_t room = x->reply_room * 2;
  char *grown = x->reply_owned ? realloc(x->reply, room) : malloc(room);
  if (!grown) return false;
  if (!x->reply_owned) memcpy(grown, x->reply, x->reply_size);
  x->reply = grown, x->reply_room = room, x->reply_owned = true;
  return true;
}

/* The kernel answers netlink requests inside sendto, and continues a dump inside recv: an empty queue is an end. */
static void converse(struct exchange *x, char *scratch) {
  x->reply = scratch, x->reply_room = SCRATCH_SIZE;
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  ssize_t size;
  do size = sendto(x->fd, x->request, x->request_size, 0, (void *)&kernel, sizeof kernel);
  while (size < 0 && errno == EINTR);
  if (size < 0) {
    x->job.error = errno, x->job.syscall = "sendto";
    return;
  }
  for (;;) {
    if (x->reply_room - x->reply_size < 65536 && !grow(x)) {
      x->job.error = ENOMEM, x->job.syscall = "malloc";
      return;
    }
    char *at = x->reply + x->reply_size;
    struct sockaddr_nl from = { 0 };
    socklen_t from_size = sizeof from;
    size = recvfrom(x->fd, at, x->reply_room - x->reply_size, MSG_DONTWAIT, (void *)&from, &from_size);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) x->job.error = errno, x->job.syscall = "recv";
      return;
    }
    if (from.nl_pid != 0) continue; /* another process may write here, it may not answer for the kernel */
    /* the next message must start aligned, wherever this one ended */
    size_t padded = NLMSG_ALIGN((size_t)size);
    if (padded <= x->reply_room - x->reply_size) memset(at + size, 0, padded - size);
    x->reply_size += padded;
    if (answers(at, size, x->last)) return;
  }
}

static napi_value result(napi_env env, const struct job *job) {
  const struct exchange *x = (const void *)job;
  napi_value out = NULL;
  napi_create_buffer_copy(env, x->reply_size, x->reply, NULL, &out);
  return out;
}

static bool read_args(napi_env env, napi_value *argv, struct exchange *x) {
  void *data;
  if (!int_arg(env, argv[0], &x->fd) || !bytes_arg(env, argv[1], &data, &x->request_size) ||
      !uint_arg(env, argv[2], &x->last))
    return false;
  x->request = data;
  return true;
}

/* exchangeSync(fd, request, last): reply */
napi_value exchange_sync(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct exchange x = { 0 };
  napi_value out = NULL;
  if (!read_args(env, argv, &x)) return NULL;
  converse(&x, addon_of(env)->scratch);
  if (x.job.error) fail(env, x.job.error, x.job.syscall);
  else out = result(env, &x.job);
  if (x.reply_owned) free(x.reply);
  return out;
}

static void run(struct job *job, char *scratch) {
  struct exchange *x = (void *)job;
  converse(x, scratch);
  close(x->fd);
  x->fd = -1;
  if (x->reply_owned || job->error) return;
  /* the scratch memory belongs to the lane's next job */
  char *kept = malloc(x->reply_size ? x->reply_size : 1);
  if (kept) memcpy(kept, x->reply, x->reply_size);
  else job->error = ENOMEM, job->syscall = "malloc";
  x->reply = kept;
  x->reply_owned = kept != NULL;
}

static void release(struct job *job) {
  struct exchange *x = (void *)job;
  if (x->fd >= 0) close(x->fd);
  if (x->reply_owned) free(x->reply);
  free(x);
}

/* exchange(fd, request, last): Promise<reply>. The socket may be closed meanwhile: the exchange holds its own. */
napi_value exchange_async(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct exchange probe = { 0 };
  if (!read_args(env, argv, &probe)) return NULL;
  struct exchange *x = calloc(1, sizeof *x + probe.request_size);
  if (!x) return fail(env, ENOMEM, "calloc");
  x->last = probe.last, x->request_size = probe.request_size, x->request = x->copy;
  memcpy(x->copy, probe.request, probe.request_size);
  x->job = (struct job){ .run = run, .result = result, .release = release };
  x->fd = fcntl(probe.fd, F_DUPFD_CLOEXEC, 3);
  if (x->fd < 0) {
    int error = errno;
    release(&x->job);
    return fail(env, error, "fcntl");
  }
  return job_start(env, &x->job);
}
