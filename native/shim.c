/* netloom-shim: starts a command in a network namespace, with names and files of its own, and sees it to its end.
 *
 *   netloom-shim --dir DIR [--netns PATH] [--hostname NAME] [--resolv FILE] [--hosts FILE] [--hostname-file FILE]
 *                [--cwd DIR] [--detach] [--log FILE] [--exit-arg ARG]... [--overlay DIR:TARGET]... [--bind SOURCE:TARGET]...
 *                -- COMMAND [ARG]...
 *   netloom-shim --enter PID [--start-time TICKS] [--cwd DIR] [--dir DIR] -- COMMAND [ARG]...
 *
 * DIR/pid: "PID START-TIME\n" before the command runs. DIR/exit: "STATUS MILLISECONDS-SINCE-1970\n" after it; where it
 * could not be started a second line says why. Both appear whole or not at all. The exit command (the --exit-arg words)
 * replaces the shim afterwards, in the namespaces that the shim was started in; only if the command was started.
 * Status: the command's, 128 + signal, 127 no such command, 126 it cannot be run, 125 the shim itself failed.
 * With --detach the caller gets 0 as soon as the command runs. With --enter there is DIR/pid only, and the command in the
 * place of the shim.
 * --overlay: what is written below TARGET lies in DIR/upper, DIR/work being overlayfs' own. --bind: SOURCE is seen at
 * TARGET, with what is mounted below it. In the order given, TARGET as it is seen by then.
 *
 * Only the child enters namespaces, so that the exit command and DIR belong to the caller's world.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CANNOT_RUN = 126, NOT_FOUND = 127, FAILED = 125 };

/* What stopped the child before its exec; travels through a pipe that exec closes. */
struct failure {
  int status;
  char text[500];
};

static struct {
  const char *dir, *netns, *hostname, *resolv, *hosts, *hostname_file, *cwd, *log, *enter, *start_time;
  bool detach;
  char **exit_command, **command;
  /* pairs of words: --bind or --overlay, and its value */
  char **mounts;
} options;

static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };
static sigset_t callers_mask;
static void (*callers_sigpipe)(int);

__attribute__((format(printf, 2, 3), noreturn)) static void die(int status, const char *format, ...) {
  char text[600];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  dprintf(2, "netloom-shim: %s\n", text);
  exit(status);
}

/* ---- the command line ---------------------------------------------------------------------------------------- */

static void parse(int argc, char **argv) {
  const struct {
    const char *name, **value;
  } texts[] = {
    { "--dir", &options.dir },       { "--netns", &options.netns },
    { "--hostname", &options.hostname }, { "--resolv", &options.resolv },
    { "--hosts", &options.hosts },   { "--hostname-file", &options.hostname_file },
    { "--cwd", &options.cwd },       { "--log", &options.log },
    { "--enter", &options.enter },   { "--start-time", &options.start_time },
  };
  char **exit_command = calloc(argc + 1, sizeof *exit_command);
  int words = 0, mounts = 0, i = 1;
  options.mounts = calloc(argc + 2, sizeof *options.mounts);
  if (!exit_command || !options.mounts) die(FAILED, "out of memory");
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--detach") == 0) {
      options.detach = true;
      continue;
    }
    const char **value = NULL;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
      if (strcmp(argv[i], texts[k].name) == 0) value = texts[k].value;
    bool word = strcmp(argv[i], "--exit-arg") == 0;
    bool mounted = strcmp(argv[i], "--bind") == 0 || strcmp(argv[i], "--overlay") == 0;
    if (!value && !word && !mounted) die(FAILED, "unknown option %s", argv[i]);
    if (++i == argc) die(FAILED, "%s needs a value", argv[i - 1]);
    if (word) exit_command[words++] = argv[i];
    else if (mounted) options.mounts[mounts++] = argv[i - 1], options.mounts[mounts++] = argv[i];
    else *value = argv[i];
  }
  if (i + 1 >= argc) die(FAILED, "no command after --");
  if (!options.dir && !options.enter) die(FAILED, "give either --dir or --enter");
  options.command = argv + i + 1;
  if (words) options.exit_command = exit_command;
}

/* ---- in the child: the surroundings of the command --------------------------------------------------------------- */

static int report = -1; /* the pipe to the shim; without one, failures go to standard error */

__attribute__((format(printf, 2, 3), noreturn)) static void give_up(int status, const char *format, ...) {
  struct failure failure = { .status = status };
  va_list args;
  va_start(args, format);
  vsnprintf(failure.text, sizeof failure.text, format, args);
  va_end(args);
  if (report < 0) die(status, "%s", failure.text);
  if (write(report, &failure, sizeof failure) < 0) _exit(FAILED);
  _exit(status);
}

/* The target may be missing, or a symbolic link: mount(2) follows it. */
static void cover(const char *file, const char *target) {
  if (!file) return;
  if (access(file, F_OK) < 0) give_up(FAILED, "%s: %s", file, strerror(errno));
  if (mount(file, target, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
    give_up(FAILED, "mount %s over %s: %s", file, target, strerror(errno));
}

/* `value` is SOURCE:TARGET. */
static void lay(bool overlay, const char *value) {
  char source[4096], data[4096 * 3];
  const char *colon = strchr(value, ':');
  if (!colon || colon - value >= (long)sizeof source) give_up(FAILED, "%s: not SOURCE:TARGET", value);
  snprintf(source, sizeof source, "%.*s", (int)(colon - value), value);
  const char *target = colon + 1;
  snprintf(data, sizeof data, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", target, source, source);
  int done = overlay ? mount("overlay", target, "overlay", 0, data) : mount(source, target, NULL, MS_BIND | MS_REC, NULL);
  if (done < 0) give_up(FAILED, "mount %s%s on %s: %s", overlay ? "an overlay in " : "", source, target, strerror(errno));
}

/* /sys shows the devices of the namespace that mounted it. Where the kernel refuses, the old one stays. */
static void renew_sys(void) {
  struct statvfs old;
  unsigned long flags = statvfs("/sys", &old) == 0 && (old.f_flag & ST_RDONLY) ? MS_RDONLY : 0;
  int cgroup = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (mount("sysfs", "/sys", "sysfs", flags | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 && cgroup >= 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", cgroup);
    mount(path, "/sys/fs/cgroup", NULL, MS_BIND | MS_REC, NULL);
  }
  if (cgroup >= 0) close(cgroup);
}

static void furnish(void) {
  if (options.netns) {
    int fd = open(options.netns, O_RDONLY | O_CLOEXEC);
    if (fd < 0) give_up(FAILED, "%s: %s", options.netns, strerror(errno));
    if (setns(fd, CLONE_NEWNET) < 0) give_up(FAILED, "enter %s: %s", options.netns, strerror(errno));
    close(fd);
  }
  if (unshare(CLONE_NEWNS | CLONE_NEWUTS) < 0) give_up(FAILED, "unshare: %s", strerror(errno));
  if (mount("", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0) give_up(FAILED, "mount / as slave: %s", strerror(errno));
  if (options.netns) renew_sys();
  for (char **at = options.mounts; *at; at += 2) lay(strcmp(*at, "--overlay") == 0, at[1]);
  cover(options.resolv, "/etc/resolv.conf");
  cover(options.hosts, "/etc/hosts");
  cover(options.hostname_file, "/etc/hostname");
  if (options.hostname && sethostname(options.hostname, strlen(options.hostname)) < 0)
    give_up(FAILED, "hostname %s: %s", options.hostname, strerror(errno));
  if (options.cwd && chdir(options.cwd) < 0) give_up(FAILED, "working directory %s: %s", options.cwd, strerror(errno));
}

static void restore_signals(void) {
  sigprocmask(SIG_SETMASK, &callers_mask, NULL);
  signal(SIGPIPE, callers_sigpipe);
}

__attribute__((noreturn)) static void run_command(void) {
  restore_signals();
  execvp(options.command[0], options.command);
  bool missing = errno == ENOENT || errno == ENOTDIR;
  give_up(missing ? NOT_FOUND : CANNOT_RUN, "%s: %s", options.command[0], strerror(errno));
}

/* ---- files of DIR ----------------------------------------------------------------------------------------------- */

static int dir = -1;

static bool put(const char *name, const char *text) {
  char draft[32];
  snprintf(draft, sizeof draft, ".%s.new", name);
  int fd = openat(dir, draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  size_t size = strlen(text);
  bool written = write(fd, text, size) == (ssize_t)size;
  int error = errno;
  close(fd);
  errno = error;
  return written && renameat(dir, draft, dir, name) == 0;
}

/* Field 22 of proc_pid_stat(5), in clock ticks since boot; counted from behind the command's name. */
static unsigned long long start_time(pid_t pid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (size <= 0) return 0;
  text[size] = 0;
  const char *at = strrchr(text, ')');
  for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
  return at ? strtoull(at + 1, NULL, 10) : 0;
}

static void put_exit(int status, const char *why) {
  char text[600];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  long long ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
  snprintf(text, sizeof text, "%d %lld\n%s%s", status, ms, why, *why ? "\n" : "");
  if (!put("exit", text)) dprintf(2, "netloom-shim: %s/exit: %s\n", options.dir, strerror(errno));
}

/* ---- the shim --------------------------------------------------------------------------------------------------- */

/* Waits for the command and passes signals on; other children are orphans of the command that came to us. */
static int attend(pid_t command, const sigset_t *watched) {
  for (;;) {
    int status;
    pid_t gone;
    while ((gone = waitpid(-1, &status, WNOHANG)) > 0)
      if (gone == command) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    siginfo_t info;
    int signal = sigwaitinfo(watched, &info);
    /* what the terminal sends (SI_KERNEL) the command gets by itself: it is in the same process group */
    if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) kill(command, signal);
  }
}

/* What the command left running ends with it, as with the first process of a container that has its own process ids:
 * else it would go on in a namespace whose network is gone. All of it is ours to wait for: we are its subreaper. */
static void end_orphans(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
  for (;;) {
    pid_t gone;
    while ((gone = waitpid(-1, NULL, WNOHANG)) > 0);
    if (gone < 0) return;
    FILE *children = fopen(path, "re");
    if (!children) return; /* a kernel without CONFIG_PROC_CHILDREN, or a /proc of another pid namespace */
    int child;
    bool any = false;
    while (fscanf(children, "%d", &child) == 1) any |= kill(child, SIGKILL) == 0;
    fclose(children);
    if (!any || waitpid(-1, NULL, 0) < 0) return;
  }
}

/* `caller` is told how the start went, with status 0 when the command runs; -1 in the foreground. */
static int supervise(int caller) {
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGCHLD);
  for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) sigaddset(&watched, forwarded[i]);
  sigprocmask(SIG_BLOCK, &watched, NULL);
  prctl(PR_SET_CHILD_SUBREAPER, 1);

  struct failure failure = { 0 };
  int failed[2], go[2];
  if (pipe2(failed, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) die(FAILED, "pipe: %s", strerror(errno));
  pid_t command = fork();
  if (command < 0) die(FAILED, "fork: %s", strerror(errno));
  if (command == 0) {
    char ready;
    close(failed[0]), close(go[1]);
    if (caller >= 0) close(caller);
    report = failed[1];
    furnish();
    if (read(go[0], &ready, 1) != 1) _exit(FAILED); /* the shim died, or could not write DIR/pid */
    run_command();
  }
  close(failed[1]), close(go[0]);
  char text[64];
  snprintf(text, sizeof text, "%d %llu\n", command, start_time(command));
  if (put("pid", text)) {
    /* where this fails the child gave up already, and says why itself */
    if (write(go[1], "", 1) < 0) failure.status = 0;
  } else {
    failure.status = FAILED;
    snprintf(failure.text, sizeof failure.text, "%s/pid: %s", options.dir, strerror(errno));
  }
  close(go[1]);
  struct failure told;
  if (read(failed[0], &told, sizeof told) == sizeof told && !failure.status) failure = told;
  close(failed[0]);
  if (caller >= 0) {
    if (write(caller, &failure, sizeof failure) < 0) dprintf(2, "netloom-shim: the caller is gone\n");
    close(caller);
  }
  int status = attend(command, &watched);
  end_orphans();
  if (failure.status) {
    put_exit(failure.status, failure.text);
    if (caller < 0) dprintf(2, "netloom-shim: %s\n", failure.text);
    return failure.status;
  }
  put_exit(status, "");
  if (!options.exit_command) return status;
  restore_signals();
  execvp(options.exit_command[0], options.exit_command);
  die(FAILED, "%s: %s", options.exit_command[0], strerror(errno));
}

/* The caller waits for the command to run; the shim goes on without it, in a session of its own. */
static int detach(void) {
  int result[2];
  if (pipe2(result, O_CLOEXEC) < 0) die(FAILED, "pipe: %s", strerror(errno));
  int log = open(options.log ? options.log : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (log < 0) die(FAILED, "%s: %s", options.log, strerror(errno));
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  pid_t middle = fork();
  if (null < 0 || middle < 0) die(FAILED, "fork: %s", strerror(errno));
  if (middle == 0) {
    close(result[0]);
    setsid();
    pid_t shim = fork();
    if (shim != 0) _exit(shim < 0 ? FAILED : 0);
    dup2(null, 0), dup2(log, 1), dup2(log, 2);
    if (null > 2) close(null);
    if (log > 2) close(log);
    exit(supervise(result[1]));
  }
  close(result[1]);
  waitpid(middle, NULL, 0);
  struct failure failure;
  ssize_t size = read(result[0], &failure, sizeof failure);
  if (size != sizeof failure) die(FAILED, "the detached shim ended early%s%s", options.log ? "; see " : "", options.log ? options.log : "");
  if (failure.status) die(failure.status, "%s", failure.text);
  return 0;
}

/* ---- entering ----------------------------------------------------------------------------------------------------- */

static void enter(void) {
  char *end, here[4096];
  bool placed = getcwd(here, sizeof here) != NULL;
  long pid = strtol(options.enter, &end, 10);
  if (*end || pid <= 0) die(FAILED, "--enter %s: not a process id", options.enter);
  int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
  if (fd < 0) die(FAILED, "process %ld: %s", pid, strerror(errno));
  /* the descriptor is fixed to one process now: a start time that fits is the right one's */
  if (options.start_time && strtoull(options.start_time, NULL, 10) != start_time((pid_t)pid))
    die(FAILED, "process %ld: %s", pid, strerror(ESRCH));
  if (options.dir) {
    char text[64];
    snprintf(text, sizeof text, "%d %llu\n", getpid(), start_time(getpid()));
    if (!put("pid", text)) die(FAILED, "%s/pid: %s", options.dir, strerror(errno));
  }
  if (setns(fd, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET) < 0)
    die(FAILED, "enter process %ld: %s", pid, strerror(errno));
  close(fd);
  if (options.cwd) {
    if (chdir(options.cwd) < 0) die(FAILED, "%s: %s", options.cwd, strerror(errno));
  } else if ((!placed || chdir(here) < 0) && chdir("/") < 0) {
    die(FAILED, "/: %s", strerror(errno));
  }
  run_command();
}

int main(int argc, char **argv) {
  parse(argc, argv);
  /* what else the caller left open is none of the command's business, and would stay open as long as it runs */
  syscall(SYS_close_range, 3, ~0U, 0);
  sigprocmask(SIG_BLOCK, NULL, &callers_mask);
  callers_sigpipe = signal(SIGPIPE, SIG_IGN); /* the other end of a pipe may have given up; write says so */
  signal(SIGCHLD, SIG_DFL);                   /* ignored, the kernel would reap the command before us */
  if (options.dir) dir = open(options.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (options.dir && dir < 0) die(FAILED, "%s: %s", options.dir, strerror(errno));
  if (options.enter) enter();
  return options.detach ? detach() : supervise(-1);
}
