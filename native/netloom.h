/* What the parts of the addon share: arguments in, errors out, the instance, jobs on other threads. */
#ifndef NETLOOM_H
#define NETLOOM_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <node_api.h>
#include <uv.h>

/* ---- arguments (netloom.c): each reader is strict; when one says false, a JavaScript exception is pending ----- */

#define MAX_ARGS 6
#define ARGS(count)                                                                                                    \
  napi_value argv[MAX_ARGS];                                                                                           \
  size_t argc = (count);                                                                                               \
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok) return NULL

/* Throws an Error with `errno` (positive) and `syscall`; returns NULL, for `return fail(...)`. */
napi_value fail(napi_env env, int error, const char *syscall);
napi_value make_error(napi_env env, int error, const char *syscall);
bool int_arg(napi_env env, napi_value value, int *out);
bool uint_arg(napi_env env, napi_value value, uint32_t *out);
bool bool_arg(napi_env env, napi_value value, bool *out);
/* UTF-8 with its NUL; refused when it does not fit or holds a NUL of its own. */
bool text_arg(napi_env env, napi_value value, char *out, size_t size);
/* The elements of a typed array of one kind, which are the caller's own. */
bool typed_arg(napi_env env, napi_value value, napi_typedarray_type kind, void **data, size_t *count);
bool bytes_arg(napi_env env, napi_value value, void **data, size_t *size);
napi_value from_int(napi_env env, int32_t value);
napi_value from_bool(napi_env env, bool value);

/* ---- the instance: one a JavaScript environment (main thread or worker) --------------------------------------- */

struct job;
struct poll;
struct relay;
struct addon {
  napi_env env;
  uv_loop_t *loop;
  napi_async_context context;
  napi_ref resource;
  napi_async_cleanup_hook_handle cleanup;
  char *scratch; /* where synchronous exchanges receive */
  /* jobs (lane.c) */
  uv_poll_t wake;
  int wake_fd;
  unsigned in_flight;
  pthread_mutex_t lock; /* guards the next three */
  struct job *done;
  unsigned users; /* jobs under way, and the environment itself */
  bool dead;
  /* polls (poll.c) */
  struct poll *polls;
  int last_poll;
  unsigned closing;
  /* relays (relay.c) */
  struct relay *relays;
  int last_relay;
};
struct addon *addon_of(napi_env env);
/* Forgets one user; the last one frees the instance. */
void addon_release(struct addon *addon);
/* For close callbacks of libuv while the environment goes down. */
void addon_closed(struct addon *addon);

int jobs_open(struct addon *addon);
void jobs_close(struct addon *addon);
void polls_close(struct addon *addon);
void waits_close(struct addon *addon);
void relays_close(struct addon *addon);

/* ---- jobs: what may block, on a thread of our own (lane.c) ----------------------------------------------------- */

struct job {
  void (*run)(struct job *job, char *scratch);             /* on the thread: touches nothing but the job */
  napi_value (*result)(napi_env env, const struct job *job); /* on the event loop; unless `error` is set */
  void (*release)(struct job *job);                         /* frees it, on either */
  int error;
  const char *syscall;
  struct addon *addon;
  napi_deferred deferred;
  struct job *next;
};
#define SCRATCH_SIZE 131072
/* Hands the job to a lane; a promise of its result. Takes over the job in every case. */
napi_value job_start(napi_env env, struct job *job);
/* As job_start, for a job that the caller's own thread finishes with job_finish. */
napi_value job_begin(napi_env env, struct job *job);
void job_finish(struct job *job);

/* ---- namespaces (netns.c) -------------------------------------------------------------------------------------- */

/* Enters the namespace behind `target`. What leave() wants, or -1 with errno. A negative target means: stay. */
int enter(int target);
/* Returns; keeps errno. A thread that cannot return must not go on: everything after would act in the wrong one. */
void leave(int back);

/* ---- the functions (everything that JavaScript sees) ----------------------------------------------------------- */

napi_value netns_create(napi_env, napi_callback_info);
napi_value do_mount(napi_env, napi_callback_info);
napi_value do_umount(napi_env, napi_callback_info);
napi_value file_in(napi_env, napi_callback_info);
napi_value tun_create(napi_env, napi_callback_info);
napi_value tun_name(napi_env, napi_callback_info);
napi_value tun_persist(napi_env, napi_callback_info);
napi_value relay_start(napi_env, napi_callback_info);
napi_value relay_table(napi_env, napi_callback_info);
napi_value relay_counters(napi_env, napi_callback_info);
napi_value relay_stop(napi_env, napi_callback_info);
napi_value socket_in(napi_env, napi_callback_info);
napi_value socket_option(napi_env, napi_callback_info);
napi_value socket_bind(napi_env, napi_callback_info);
napi_value socket_listen(napi_env, napi_callback_info);
napi_value recv_batch(napi_env, napi_callback_info);
napi_value receive_from(napi_env, napi_callback_info);
napi_value send_to(napi_env, napi_callback_info);
napi_value packet_open(napi_env, napi_callback_info);
napi_value socket_send(napi_env, napi_callback_info);
napi_value socket_name(napi_env, napi_callback_info);
napi_value socket_option_bytes(napi_env, napi_callback_info);
napi_value do_bpf(napi_env, napi_callback_info);
napi_value socket_connect(napi_env, napi_callback_info);
napi_value netlink_open(napi_env, napi_callback_info);
napi_value exchange_sync(napi_env, napi_callback_info);
napi_value exchange_async(napi_env, napi_callback_info);
napi_value poll_start(napi_env, napi_callback_info);
napi_value poll_stop(napi_env, napi_callback_info);
napi_value poll_ref(napi_env, napi_callback_info);
napi_value unix_listen(napi_env, napi_callback_info);
napi_value unix_accept(napi_env, napi_callback_info);
napi_value unix_receive(napi_env, napi_callback_info);
napi_value do_flock(napi_env, napi_callback_info);
napi_value flock_wait(napi_env, napi_callback_info);
napi_value flock_cancel(napi_env, napi_callback_info);
napi_value pidfd_open_(napi_env, napi_callback_info);
napi_value do_random(napi_env, napi_callback_info);
napi_value pidfd_send(napi_env, napi_callback_info);

#endif
