/* The native seam: one function a system call that Node lacks, and no policy.
 *
 * Errors come back to JavaScript as an Error with `errno` (positive) and `syscall`; src/kernel makes typed errors of
 * them. Whatever must happen inside another network namespace switches, acts and switches back inside one C function
 * on one thread, so that no JavaScript and no libuv thread ever runs in a namespace it did not ask for. Wrong
 * arguments are EINVAL, never a guess: a descriptor that is not a number must not become descriptor 0.
 */
#include "netloom.h"

/* ---- arguments --------------------------------------------------------------------------------------------- */

napi_value make_error(napi_env env, int error, const char *syscall) {
  napi_value message, object, value;
  napi_create_string_utf8(env, strerror(error), NAPI_AUTO_LENGTH, &message);
  if (napi_create_error(env, NULL, message, &object) != napi_ok) return NULL;
  napi_create_int32(env, error, &value);
  napi_set_named_property(env, object, "errno", value);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, object, "syscall", value);
  return object;
}

napi_value fail(napi_env env, int error, const char *syscall) {
  napi_value object = make_error(env, error, syscall);
  if (object) napi_throw(env, object);
  return NULL;
}

static bool integer(napi_env env, napi_value value, double least, double most, double *out) {
  /* the comparisons are false for NaN */
  if (napi_get_value_double(env, value, out) == napi_ok && *out >= least && *out <= most && *out == (double)(int64_t)*out)
    return true;
  fail(env, EINVAL, "argument");
  return false;
}

bool int_arg(napi_env env, napi_value value, int *out) {
  double number;
  if (!integer(env, value, INT32_MIN, INT32_MAX, &number)) return false;
  *out = (int)number;
  return true;
}

bool uint_arg(napi_env env, napi_value value, uint32_t *out) {
  double number;
  if (!integer(env, value, 0, UINT32_MAX, &number)) return false;
  *out = (uint32_t)number;
  return true;
}

bool bool_arg(napi_env env, napi_value value, bool *out) {
  if (napi_get_value_bool(env, value, out) == napi_ok) return true;
  fail(env, EINVAL, "argument");
  return false;
}

bool text_arg(napi_env env, napi_value value, char *out, size_t size) {
  size_t length = 0;
  int error = 0;
  if (napi_get_value_string_utf8(env, value, out, size, &length) != napi_ok) error = EINVAL;
  /* cut off at a character's start, so that up to three bytes may be missing below the last place */
  else if (length + 4 >= size) error = ENAMETOOLONG;
  else if (strlen(out) != length) error = EINVAL;
  if (!error) return true;
  fail(env, error, "argument");
  return false;
}

bool typed_arg(napi_env env, napi_value value, napi_typedarray_type kind, void **data, size_t *count) {
  bool typed = false;
  napi_typedarray_type type;
  if (napi_is_typedarray(env, value, &typed) == napi_ok && typed &&
      napi_get_typedarray_info(env, value, &type, count, data, NULL, NULL) == napi_ok && type == kind)
    return true;
  fail(env, EINVAL, "argument");
  return false;
}

bool bytes_arg(napi_env env, napi_value value, void **data, size_t *size) {
  return typed_arg(env, value, napi_uint8_array, data, size);
}

napi_value from_int(napi_env env, int32_t value) {
  napi_value out = NULL;
  napi_create_int32(env, value, &out);
  return out;
}

napi_value from_bool(napi_env env, bool value) {
  napi_value out = NULL;
  napi_get_boolean(env, value, &out);
  return out;
}

/* ---- the instance ------------------------------------------------------------------------------------------ */

struct addon *addon_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

void addon_release(struct addon *addon) {
  pthread_mutex_lock(&addon->lock);
  unsigned left = --addon->users;
  pthread_mutex_unlock(&addon->lock);
  if (left > 0) return;
  pthread_mutex_destroy(&addon->lock);
  close(addon->wake_fd);
  free(addon->scratch);
  free(addon);
}

void addon_closed(struct addon *addon) {
  if (--addon->closing > 0 || !addon->cleanup) return;
  napi_remove_async_cleanup_hook(addon->cleanup);
  addon_release(addon);
}

/* The loop may only end after our handles are closed, which takes one more turn of it: an asynchronous hook. */
static void cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  struct addon *addon = data;
  addon->cleanup = handle;
  addon->closing++; /* so that none of the closes below is the last one while others are still to come */
  polls_close(addon);
  waits_close(addon);
  relays_close(addon);
  jobs_close(addon);
  napi_async_destroy(addon->env, addon->context);
  napi_delete_reference(addon->env, addon->resource);
  addon_closed(addon);
}

static bool addon_create(napi_env env) {
  struct addon *addon = calloc(1, sizeof *addon);
  if (!addon) return false;
  addon->env = env;
  addon->users = 1;
  addon->scratch = malloc(SCRATCH_SIZE);
  pthread_mutex_init(&addon->lock, NULL);
  napi_value name, resource;
  if (addon->scratch && napi_get_uv_event_loop(env, &addon->loop) == napi_ok &&
      napi_create_string_utf8(env, "netloom", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_object(env, &resource) == napi_ok &&
      napi_create_reference(env, resource, 1, &addon->resource) == napi_ok &&
      napi_async_init(env, resource, name, &addon->context) == napi_ok && jobs_open(addon) == 0) {
    napi_set_instance_data(env, addon, NULL, NULL);
    napi_add_async_cleanup_hook(env, cleanup, addon, NULL);
    return true;
  }
  free(addon->scratch);
  free(addon);
  return false;
}

static napi_value init(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
    { "netnsCreate", netns_create },
    { "mount", do_mount },
    { "umount", do_umount },
    { "fileIn", file_in },
    { "tunCreate", tun_create },
    { "tunName", tun_name },
    { "tunPersist", tun_persist },
    { "relayStart", relay_start },
    { "relayTable", relay_table },
    { "relayCounters", relay_counters },
    { "relayStop", relay_stop },
    { "socketIn", socket_in },
    { "socketOption", socket_option },
    { "bind", socket_bind },
    { "listen", socket_listen },
    { "recvBatch", recv_batch },
    { "receiveFrom", receive_from },
    { "sendTo", send_to },
    { "packetOpen", packet_open },
    { "send", socket_send },
    { "socketName", socket_name },
    { "socketOptionBytes", socket_option_bytes },
    { "bpf", do_bpf },
    { "connect", socket_connect },
    { "netlinkOpen", netlink_open },
    { "exchangeSync", exchange_sync },
    { "exchange", exchange_async },
    { "pollStart", poll_start },
    { "pollStop", poll_stop },
    { "pollRef", poll_ref },
    { "unixListen", unix_listen },
    { "unixAccept", unix_accept },
    { "unixReceive", unix_receive },
    { "flock", do_flock },
    { "flockWait", flock_wait },
    { "flockCancel", flock_cancel },
    { "pidfdOpen", pidfd_open_ },
    { "random", do_random },
    { "pidfdSend", pidfd_send },
  };
  if (!addon_create(env)) return fail(env, ENOMEM, "netloom.node");
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
  return exports;
}

NAPI_MODULE(netloom, init)
