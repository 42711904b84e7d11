/* Readiness of descriptors on Node's event loop. */
#include "netloom.h"
#include <fcntl.h>

struct poll {
  uv_poll_t handle; /* first: libuv hands back the handle */
  int id, fd;
  napi_ref callback;
  struct addon *addon;
  struct poll *next;
};

static void ready(uv_poll_t *handle, int status, int events) {
  struct poll *poll = (void *)handle;
  struct addon *addon = poll->addon;
  napi_env env = addon->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, resource, args[2];
  napi_get_reference_value(env, poll->callback, &callback);
  napi_get_reference_value(env, addon->resource, &resource);
  napi_create_int32(env, -status, &args[0]);
  napi_create_int32(env, events, &args[1]);
  /* make_callback runs the microtasks and ticks that the callback asks for */
  if (napi_make_callback(env, addon->context, resource, callback, 2, args, NULL) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void closed(uv_handle_t *handle) {
  struct poll *poll = (void *)handle;
  struct addon *addon = poll->addon;
  free(poll);
  addon_closed(addon);
}

static void stop(struct poll **link) {
  struct poll *poll = *link;
  *link = poll->next;
  napi_delete_reference(poll->addon->env, poll->callback);
  poll->addon->closing++;
  uv_close((uv_handle_t *)&poll->handle, closed);
  close(poll->fd); /* at once, as libuv allows: a port is free when its owner says so */
}

void polls_close(struct addon *addon) {
  while (addon->polls) stop(&addon->polls);
}

static struct poll **find(struct addon *addon, int id) {
  struct poll **link = &addon->polls;
  while (*link && (*link)->id != id) link = &(*link)->next;
  return *link ? link : NULL;
}

/* pollStart(fd, events, callback(errno, events)): id. Events as in poll_start of libuv: 1 readable, 2 writable, 4 hung
 * up, 8 urgent. Makes the descriptor non-blocking. Watches a duplicate: epoll cannot lose a descriptor that the owner
 * closes first. Does not keep the process alive until pollRef says so. */
napi_value poll_start(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd;
  uint32_t events;
  napi_valuetype kind;
  if (!int_arg(env, argv[0], &fd) || !uint_arg(env, argv[1], &events)) return NULL;
  if (napi_typeof(env, argv[2], &kind) != napi_ok || kind != napi_function || events == 0 || events > 15)
    return fail(env, EINVAL, "argument");
  struct poll *poll = calloc(1, sizeof *poll);
  if (!poll) return fail(env, ENOMEM, "calloc");
  poll->addon = addon_of(env);
  poll->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int error = poll->fd < 0 ? errno : -uv_poll_init(poll->addon->loop, &poll->handle, poll->fd);
  if (error) {
    if (poll->fd >= 0) close(poll->fd);
    free(poll);
    return fail(env, error, "uv_poll_init");
  }
  do poll->id = poll->addon->last_poll = poll->addon->last_poll == INT32_MAX ? 1 : poll->addon->last_poll + 1;
  while (find(poll->addon, poll->id));
  napi_create_reference(env, argv[2], 1, &poll->callback);
  poll->next = poll->addon->polls;
  poll->addon->polls = poll;
  uv_unref((uv_handle_t *)&poll->handle);
  error = -uv_poll_start(&poll->handle, (int)events, ready);
  if (error) {
    stop(&poll->addon->polls);
    return fail(env, error, "uv_poll_start");
  }
  return from_int(env, poll->id);
}

/* pollStop(id): boolean; false where there is none of that number any more */
napi_value poll_stop(napi_env env, napi_callback_info info) {
  ARGS(1);
  int id;
  if (!int_arg(env, argv[0], &id)) return NULL;
  struct poll **link = find(addon_of(env), id);
  if (link) stop(link);
  return from_bool(env, link != NULL);
}

/* pollRef(id, on): whether the poll keeps the process alive */
napi_value poll_ref(napi_env env, napi_callback_info info) {
  ARGS(2);
  int id;
  bool on;
  if (!int_arg(env, argv[0], &id) || !bool_arg(env, argv[1], &on)) return NULL;
  struct poll **link = find(addon_of(env), id);
  if (link && on) uv_ref((uv_handle_t *)&(*link)->handle);
  else if (link) uv_unref((uv_handle_t *)&(*link)->handle);
  return from_bool(env, link != NULL);
}
