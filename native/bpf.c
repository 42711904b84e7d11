/* bpf(2): programs and maps that the kernel runs. */
#include "netloom.h"
#include <linux/bpf.h>
#include <sys/syscall.h>

#define POINTERS 3

/* bpf(command, attr, places, …buffers): what the call returns, a descriptor of those that make one. `attr` is a union
 * bpf_attr without its pointers; each buffer's address is put where its pair of `places` says: into `attr` (0) or into
 * the buffer of that number from 1 on, at that offset. */
napi_value do_bpf(napi_env env, napi_callback_info info) {
  ARGS(3 + POINTERS);
  int command;
  void *holders[POINTERS + 1];
  size_t sizes[POINTERS + 1], places_count;
  uint32_t *places;
  if (!int_arg(env, argv[0], &command) || !bytes_arg(env, argv[1], &holders[0], &sizes[0]) ||
      !typed_arg(env, argv[2], napi_uint32_array, (void **)&places, &places_count))
    return NULL;
  size_t count = argc > 3 ? argc - 3 : 0;
  if (count > POINTERS || places_count != 2 * count) return fail(env, EINVAL, "argument");
  for (size_t i = 0; i < count; i++)
    if (!bytes_arg(env, argv[3 + i], &holders[i + 1], &sizes[i + 1])) return NULL;
  for (size_t i = 0; i < count; i++) {
    uint32_t holder = places[2 * i], offset = places[2 * i + 1];
    uint64_t address = (uint64_t)(uintptr_t)holders[i + 1];
    if (holder > count || offset > sizes[holder] || sizes[holder] - offset < sizeof address)
      return fail(env, EINVAL, "argument");
    memcpy((char *)holders[holder] + offset, &address, sizeof address);
  }
  long result = syscall(SYS_bpf, command, holders[0], (unsigned)sizes[0]);
  if (result < 0) return fail(env, errno, "bpf");
  return from_int(env, (int32_t)result);
}
