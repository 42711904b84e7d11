/* cni_call VERB COUNT FIRST NETNS-DIR RESULT-DIR (PLUGIN CONF-FILE)...: calls a list of CNI plugins as libcni does, for COUNT
 * workloads at once, and says how many milliseconds all of it took. In C, so that the caller costs nothing.
 *
 * Workload i is `podI` in the namespace NETNS-DIR/I. In a configuration @PORT@ is 20000 + i; @PREV@, always the last key's
 * value, is the result so far. DEL goes backwards, with the result of ADD, which RESULT-DIR keeps.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { SIZE = 1 << 16 };
extern char **environ;

static void die(const char *what) {
  fprintf(stderr, "cni_call: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void load(const char *path, char *out) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? -1 : read(fd, out, SIZE - 1);
  if (size < 0) die(path);
  out[size] = 0;
  close(fd);
}

/* The configuration with its marks filled in; `"prevResult":@PREV@` goes where there is none. */
static void fill(const char *conf, int port, const char *previous, char *out) {
  char *end = out + SIZE;
  while (*conf) {
    if (strncmp(conf, "@PORT@", 6) == 0) out += snprintf(out, end - out, "%d", port), conf += 6;
    else if (strncmp(conf, "@PREV@", 6) == 0) out += snprintf(out, end - out, "%s", *previous ? previous : "null"), conf += 6;
    else *out++ = *conf++;
    if (out >= end - 1) errno = ENOSPC, die("configuration");
  }
  *out = 0;
}

/* One plugin; what it printed replaces `result` where it printed anything. */
static void call(const char *plugin, const char *conf, char *result) {
  int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
  if (in < 0 || out < 0 || write(in, conf, strlen(conf)) < 0 || lseek(in, 0, SEEK_SET) < 0) die("memfd");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  pid_t child;
  int status;
  if ((errno = posix_spawn(&child, plugin, &actions, NULL, (char *[]){ (char *)plugin, NULL }, environ))) die(plugin);
  if (waitpid(child, &status, 0) < 0) die("wait");
  static char said[SIZE];
  ssize_t size = pread(out, said, SIZE - 1, 0);
  said[size < 0 ? 0 : size] = 0;
  if (status != 0) {
    fprintf(stderr, "cni_call: %s: status %d: %s\n", plugin, status, said);
    exit(1);
  }
  if (size > 0) strcpy(result, said);
  close(in), close(out);
}

static void workload(const char *verb, int i, const char *netns_dir, const char *result_dir, char **list, int count) {
  static char conf[SIZE], filled[SIZE], result[SIZE];
  char text[500], path[500];
  snprintf(path, sizeof path, "%s/%d", result_dir, i);
  snprintf(text, sizeof text, "pod%d", i);
  setenv("CNI_CONTAINERID", text, 1);
  snprintf(text, sizeof text, "%s/%d", netns_dir, i);
  setenv("CNI_NETNS", text, 1);
  int deleting = strcmp(verb, "DEL") == 0;
  if (deleting) load(path, result);
  for (int k = 0; k < count; k++) {
    int at = deleting ? count - 1 - k : k;
    load(list[2 * at + 1], conf);
    fill(conf, 20000 + i, result, filled);
    call(list[2 * at], filled, result);
  }
  if (deleting) return;
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, result, strlen(result)) < 0) die(path);
  close(fd);
}

int main(int argc, char **argv) {
  if (argc < 8 || argc % 2 != 0) return fprintf(stderr, "usage: see the source\n"), 2;
  int count = atoi(argv[2]), first = atoi(argv[3]), plugins = (argc - 6) / 2;
  setenv("CNI_COMMAND", argv[1], 1);
  setenv("CNI_IFNAME", "eth0", 1);
  setenv("CNI_PATH", "/usr/lib/cni", 1);
  struct timespec begun, ended;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  if (count == 1) {
    workload(argv[1], first, argv[4], argv[5], argv + 6, plugins);
  } else {
    for (int i = 0; i < count; i++) {
      pid_t child = fork();
      if (child < 0) die("fork");
      if (child > 0) continue;
      workload(argv[1], first + i, argv[4], argv[5], argv + 6, plugins);
      exit(0);
    }
    for (int status, failed = 0, i = 0; i < count; i++) {
      if (wait(&status) < 0) die("wait");
      failed |= status;
      if (i == count - 1 && failed) return 1;
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &ended);
  printf("%.3f\n", (ended.tv_sec - begun.tv_sec) * 1e3 + (ended.tv_nsec - begun.tv_nsec) / 1e6);
}
