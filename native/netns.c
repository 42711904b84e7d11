/* Namespaces, mounts, and files and devices as a namespace sees them. */
#include "netloom.h"
#include <fcntl.h>
#include <sched.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

static int own_netns(void) { return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC); }

enum { STAYED = -2 };

int enter(int target) {
  if (target < 0) return STAYED;
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

void leave(int back) {
  if (back == STAYED) return;
  int error = errno;
  if (setns(back, CLONE_NEWNET) < 0) abort();
  close(back);
  errno = error;
}

static void *make_netns(void *result) {
  int *fd = result;
  *fd = unshare(CLONE_NEWNET) < 0 ? -1 : own_netns();
  if (*fd < 0) *fd = -errno;
  return NULL;
}

/* netnsCreate(): fd. A fresh namespace, made on a thread of its own that ends with it. */
napi_value netns_create(napi_env env, napi_callback_info info) {
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
napi_value do_mount(napi_env env, napi_callback_info info) {
  ARGS(4);
  char source[4096], target[4096], type[64];
  uint32_t flags;
  if (!text_arg(env, argv[0], source, sizeof source) || !text_arg(env, argv[1], target, sizeof target) ||
      !text_arg(env, argv[2], type, sizeof type) || !uint_arg(env, argv[3], &flags))
    return NULL;
  if (mount(source, target, type[0] ? type : NULL, flags, NULL) < 0) return fail(env, errno, "mount");
  return NULL;
}

/* umount(target): detached at once, freed when the last user is gone. */
napi_value do_umount(napi_env env, napi_callback_info info) {
  ARGS(1);
  char target[4096];
  if (!text_arg(env, argv[0], target, sizeof target)) return NULL;
  if (umount2(target, MNT_DETACH) < 0) return fail(env, errno, "umount2");
  return NULL;
}

/* fileIn(netns, path, value | undefined): string. Reads, or writes, a file under /proc/sys as the namespace sees it. */
napi_value file_in(napi_env env, napi_callback_info info) {
  ARGS(3);
  char path[512], text[4096];
  int netns;
  if (!int_arg(env, argv[0], &netns) || !text_arg(env, argv[1], path, sizeof path)) return NULL;
  napi_valuetype kind;
  napi_typeof(env, argv[2], &kind);
  bool writing = kind != napi_undefined;
  if (writing && !text_arg(env, argv[2], text, sizeof text)) return NULL;
  int back = enter(netns);
  if (back == -1) return fail(env, errno, "setns");
  int fd = open(path, (writing ? O_WRONLY : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
  leave(back);
  if (fd < 0) return fail(env, errno, "open");
  ssize_t size = writing ? write(fd, text, strlen(text)) : read(fd, text, sizeof text);
  int error = errno;
  close(fd);
  if (size < 0) return fail(env, error, writing ? "write" : "read");
  if (writing) return NULL;
  napi_value out = NULL;
  napi_create_string_utf8(env, text, size, &out);
  return out;
}

/* tunCreate(netns, name, flags, owner): fd. The device file must be opened inside: it decides where the device lives. */
napi_value tun_create(napi_env env, napi_callback_info info) {
  ARGS(4);
  int netns, owner;
  uint32_t flags;
  struct ifreq request = { 0 };
  char name[IFNAMSIZ + 4];
  if (!int_arg(env, argv[0], &netns) || !text_arg(env, argv[1], name, sizeof name) ||
      !uint_arg(env, argv[2], &flags) || !int_arg(env, argv[3], &owner))
    return NULL;
  if (strlen(name) >= IFNAMSIZ) return fail(env, ENAMETOOLONG, "argument");
  strcpy(request.ifr_name, name);
  request.ifr_flags = (short)flags;
  int back = enter(netns);
  if (back == -1) return fail(env, errno, "setns");
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  leave(back);
  if (fd < 0) return fail(env, errno, "open");
  if (ioctl(fd, TUNSETIFF, &request) == 0 && (owner < 0 || ioctl(fd, TUNSETOWNER, (unsigned long)owner) == 0))
    return from_int(env, fd);
  int error = errno;
  close(fd);
  return fail(env, error, "TUNSETIFF");
}

/* tunName(fd): string. What the kernel made of a pattern such as tun%d. */
napi_value tun_name(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  struct ifreq request = { 0 };
  if (!int_arg(env, argv[0], &fd)) return NULL;
  if (ioctl(fd, TUNGETIFF, &request) < 0) return fail(env, errno, "TUNGETIFF");
  napi_value out = NULL;
  napi_create_string_utf8(env, request.ifr_name, strnlen(request.ifr_name, IFNAMSIZ), &out);
  return out;
}

/* tunPersist(fd, on): the device stays when its descriptors are closed, or no longer does. */
napi_value tun_persist(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd, on;
  if (!int_arg(env, argv[0], &fd) || !int_arg(env, argv[1], &on)) return NULL;
  if (ioctl(fd, TUNSETPERSIST, (unsigned long)(on != 0)) < 0) return fail(env, errno, "TUNSETPERSIST");
  return NULL;
}
