/* Lanes: a few threads of our own for system calls that may block, so that Node's pool of four stays free.
 *
 * A lane is made when a job comes and none is idle, up to LANES; then it stays. Completions come back over one
 * eventfd an environment, which libuv polls. Lanes do not spin for their next job: a round trip measured 25 to
 * 80 us with and without (the scheduler's choice of CPU decides), as through napi_async_work; 10 of it is the exchange.
 */
#include "netloom.h"
#include <signal.h>
#include <sys/eventfd.h>

/* More would only queue up behind the kernel's own lock for network configuration. */
#define LANES 8
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static unsigned queued, lanes, asleep;

/* ---- on the lane ---------------------------------------------------------------------------------------------- */

static void *lane(void *scratch) {
  for (;;) {
    pthread_mutex_lock(&lock);
    while (!first) {
      asleep++;
      pthread_cond_wait(&work, &lock);
      asleep--;
    }
    struct job *job = first;
    first = job->next;
    if (!first) last = &first;
    queued--;
    pthread_mutex_unlock(&lock);
    job->run(job, scratch);
    job_finish(job);
  }
  return NULL;
}

void job_finish(struct job *job) {
  struct addon *addon = job->addon;
  pthread_mutex_lock(&addon->lock);
  bool dead = addon->dead;
  bool wake = !addon->done;
  if (!dead) {
    job->next = addon->done;
    addon->done = job;
  }
  pthread_mutex_unlock(&addon->lock);
  uint64_t one = 1;
  if (dead) job->release(job);
  else if (wake && write(addon->wake_fd, &one, sizeof one) < 0) abort(); /* the descriptor lives as long as `addon` */
  addon_release(addon);
}

/* ---- on the event loop ---------------------------------------------------------------------------------------- */

static bool lane_create(void) {
  char *scratch = malloc(SCRATCH_SIZE);
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  sigfillset(&all); /* signals are for Node's thread */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool made = scratch && pthread_create(&thread, &attributes, lane, scratch) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  if (!made) free(scratch);
  return made;
}

napi_value job_begin(napi_env env, struct job *job) {
  napi_value promise;
  struct addon *addon = addon_of(env);
  if (napi_create_promise(env, &job->deferred, &promise) != napi_ok) {
    job->release(job);
    return fail(env, ENOMEM, "promise");
  }
  job->addon = addon;
  job->next = NULL;
  pthread_mutex_lock(&addon->lock);
  addon->users++;
  pthread_mutex_unlock(&addon->lock);
  if (addon->in_flight++ == 0) uv_ref((uv_handle_t *)&addon->wake);
  return promise;
}

napi_value job_start(napi_env env, struct job *job) {
  napi_value promise = job_begin(env, job);
  if (!promise) return NULL;
  pthread_mutex_lock(&lock);
  if (++queued > asleep && lanes < LANES && lane_create()) lanes++;
  bool stuck = lanes == 0;
  if (stuck) {
    queued--;
  } else {
    *last = job;
    last = &job->next;
  }
  pthread_mutex_unlock(&lock);
  pthread_cond_signal(&work); /* outside, or the lane wakes only to wait for the lock */
  if (stuck) {
    job->error = EAGAIN, job->syscall = "pthread_create";
    job_finish(job);
  }
  return promise;
}

static void settle(napi_env env, struct job *job) {
  napi_value value = NULL;
  if (!job->error) {
    value = job->result(env, job);
    if (!value) {
      napi_get_and_clear_last_exception(env, &value);
      job->error = ENOMEM, job->syscall = "buffer";
    }
  }
  if (job->error) napi_reject_deferred(env, job->deferred, make_error(env, job->error, job->syscall));
  else napi_resolve_deferred(env, job->deferred, value);
}

static struct job *take(struct addon *addon) {
  uint64_t count;
  pthread_mutex_lock(&addon->lock);
  (void)!read(addon->wake_fd, &count, sizeof count);
  struct job *newest = addon->done, *oldest = NULL;
  addon->done = NULL;
  pthread_mutex_unlock(&addon->lock);
  while (newest) {
    struct job *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

static void woken(uv_poll_t *handle, int status, int events) {
  (void)status, (void)events;
  struct addon *addon = handle->data;
  napi_env env = addon->env;
  napi_handle_scope scope;
  napi_callback_scope callbacks;
  napi_value resource;
  struct job *job = take(addon);
  if (!job || napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_get_reference_value(env, addon->resource, &resource);
  napi_open_callback_scope(env, resource, addon->context, &callbacks);
  while (job) {
    struct job *next = job->next;
    settle(env, job);
    job->release(job);
    if (--addon->in_flight == 0) uv_unref((uv_handle_t *)&addon->wake);
    job = next;
  }
  napi_close_callback_scope(env, callbacks); /* runs what awaited the promises */
  napi_close_handle_scope(env, scope);
}

int jobs_open(struct addon *addon) {
  addon->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (addon->wake_fd < 0) return errno;
  int error = uv_poll_init(addon->loop, &addon->wake, addon->wake_fd);
  if (error) return -error;
  addon->wake.data = addon;
  uv_poll_start(&addon->wake, UV_READABLE, woken);
  uv_unref((uv_handle_t *)&addon->wake);
  return 0;
}

static void wake_closed(uv_handle_t *handle) { addon_closed(handle->data); }

void jobs_close(struct addon *addon) {
  pthread_mutex_lock(&addon->lock);
  addon->dead = true;
  pthread_mutex_unlock(&addon->lock);
  for (struct job *job = take(addon), *next; job; job = next) {
    next = job->next;
    job->release(job);
  }
  addon->closing++;
  uv_close((uv_handle_t *)&addon->wake, wake_closed);
}
