/* Processes by pidfd, and file locks. */
#include "netloom.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>

/* pidfdOpen(pid): fd */
napi_value pidfd_open_(napi_env env, napi_callback_info info) {
  ARGS(1);
  int pid;
  if (!int_arg(env, argv[0], &pid)) return NULL;
  int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
  if (fd < 0) return fail(env, errno, "pidfd_open");
  return from_int(env, fd);
}

/* random(buffer): fills it. */
napi_value do_random(napi_env env, napi_callback_info info) {
  ARGS(1);
  void *data;
  size_t size;
  if (!bytes_arg(env, argv[0], &data, &size)) return NULL;
  for (size_t done = 0; done < size;) {
    ssize_t got = getrandom((char *)data + done, size - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(env, errno, "getrandom");
    done += (size_t)got;
  }
  return NULL;
}

/* pidfdSend(fd, signal) */
napi_value pidfd_send(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd, number;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &number)) return NULL;
  if (syscall(SYS_pidfd_send_signal, fd, number, NULL, 0) < 0) return fail(env, errno, "pidfd_send_signal");
  return NULL;
}

/* The kernel takes the old LOCK_MAND for granted, without even looking at the descriptor. */
static bool is_lock(int operation) {
  operation &= ~LOCK_NB;
  return operation == LOCK_SH || operation == LOCK_EX || operation == LOCK_UN;
}

/* flock(fd, operation): boolean; false where another holds the lock. Never waits. */
napi_value do_flock(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd, operation;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &operation)) return NULL;
  if (!is_lock(operation)) return fail(env, EINVAL, "flock");
  int done = flock(fd, operation | LOCK_NB);
  if (done < 0 && errno != EWOULDBLOCK) return fail(env, errno, "flock");
  return from_bool(env, done == 0);
}

/* ---- waiting for a lock ------------------------------------------------------------------------------------ */

/* A wait can last for ever, so each has a thread of its own and takes no lane; cancelling it ends the thread. */
struct wait {
  struct job job; /* first: a job is cast to its wait */
  int fd, operation;
  uint32_t token;
  pthread_t thread;
  struct wait *next;
};
static pthread_mutex_t waits_lock = PTHREAD_MUTEX_INITIALIZER;
static struct wait *waits;

static void release(struct job *job) {
  struct wait *wait = (void *)job;
  close(wait->fd);
  free(wait);
}

static napi_value result(napi_env env, const struct job *job) {
  (void)job;
  napi_value out = NULL;
  napi_get_undefined(env, &out);
  return out;
}

/* On the thread, at its end, cancelled or not. */
static void finish(void *data) {
  struct wait *wait = data;
  pthread_mutex_lock(&waits_lock);
  struct wait **link = &waits;
  while (*link != wait) link = &(*link)->next;
  *link = wait->next;
  pthread_mutex_unlock(&waits_lock);
  job_finish(&wait->job);
}

static void *wait_run(void *data) {
  struct wait *wait = data;
  pthread_cleanup_push(finish, wait);
  wait->job.error = ECANCELED, wait->job.syscall = "flock";
  int done, error = 0;
  /* asynchronous for this one call: flock is no cancellation point by itself */
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  do done = flock(wait->fd, wait->operation);
  while (done < 0 && errno == EINTR);
  if (done < 0) error = errno;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
  wait->job.error = error;
  pthread_cleanup_pop(1);
  return NULL;
}

/* flockWait(fd, operation, token): Promise<void>. ECANCELED after flockCancel(token). The lock belongs to the open
 * file, so `fd` has it as soon as the promise is kept. */
napi_value flock_wait(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd, operation;
  uint32_t token;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &operation) || !uint_arg(env, argv[2], &token))
    return NULL;
  if (!is_lock(operation)) return fail(env, EINVAL, "flock");
  struct wait *wait = calloc(1, sizeof *wait);
  if (!wait) return fail(env, ENOMEM, "calloc");
  wait->job = (struct job){ .result = result, .release = release };
  wait->operation = operation & ~LOCK_NB;
  wait->token = token;
  wait->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (wait->fd < 0) {
    int error = errno;
    free(wait);
    return fail(env, error, "fcntl");
  }
  napi_value promise = job_begin(env, &wait->job);
  if (!promise) return NULL;
  pthread_attr_t attributes;
  sigset_t all, before;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_mutex_lock(&waits_lock); /* the thread cannot end, nor be cancelled, before it is in the list */
  int error = pthread_create(&wait->thread, &attributes, wait_run, wait);
  if (!error) {
    wait->next = waits;
    waits = wait;
  }
  pthread_mutex_unlock(&waits_lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (error) {
    wait->job.error = error, wait->job.syscall = "pthread_create";
    job_finish(&wait->job);
  }
  return promise;
}

/* A thread that is in the list has not ended: it takes itself out first. */
static void cancel(const struct addon *addon, const uint32_t *token) {
  pthread_mutex_lock(&waits_lock);
  for (struct wait *wait = waits; wait; wait = wait->next)
    if (wait->job.addon == addon && (!token || wait->token == *token)) pthread_cancel(wait->thread);
  pthread_mutex_unlock(&waits_lock);
}

void waits_close(struct addon *addon) { cancel(addon, NULL); }

/* flockCancel(token) */
napi_value flock_cancel(napi_env env, napi_callback_info info) {
  ARGS(1);
  uint32_t token;
  if (!uint_arg(env, argv[0], &token)) return NULL;
  cancel(addon_of(env), &token);
  return NULL;
}
