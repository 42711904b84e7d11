/* netloom-line: cables of a lab that take their time, on a kernel that has no netem (src/lab/line.ts).
 *
 *   netloom-line DIR
 *
 * DIR/wanted has a line for each cable, "NANOSECONDS DEVICE DEVICE\n". It is read at the start and at each SIGHUP, and is
 * DIR/carried as soon as it is in force: the TAP devices of every cable are there then, and no others. What is sent to one
 * of the two comes in by the other when the time is over, in its order; what is on its way when the time changes keeps its
 * own. The devices go with the process.
 *
 * Frames have the kernel's header before them (struct virtio_net_hdr), so that segments that are still to be cut up and
 * checksums that are still to be computed go through as they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum {
  HELD_MAX = 16 << 20, /* bytes that one way of a cable holds, 1.3 Gbit/s for 100 ms: what is more is dropped */
  FRAME_MAX = 65536 + 64,
  BATCH = 64,
};

struct frame {
  struct frame *next;
  uint64_t due;
  size_t size;
  uint8_t bytes[];
};
struct way {
  struct cable *cable;
  int from, to;
  size_t held;
  struct frame *first, *last;
};
struct cable {
  struct cable *next;
  char name[2][IFNAMSIZ];
  uint64_t delay;
  bool wanted, lost;
  int tap[2]; /* -1: not yet there */
  struct way way[2];
};

static struct cable *cables;
static int events;

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...) {
  char text[300];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  dprintf(2, "netloom-line: %s\n", text);
  exit(1);
}

static uint64_t now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000ull + at.tv_nsec;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void take(struct way *way) {
  static uint8_t room[FRAME_MAX];
  for (int i = 0; i < BATCH; i++) {
    ssize_t size = read(way->from, room, sizeof room);
    if (size < 0 && errno != EAGAIN && errno != EINTR) way->cable->lost = true;
    if (size <= 0) return;
    size_t needed = sizeof(struct frame) + size;
    struct frame *frame = way->held + needed > HELD_MAX ? NULL : malloc(needed);
    if (!frame) continue;
    *frame = (struct frame){ .due = now() + way->cable->delay, .size = size };
    memcpy(frame->bytes, room, size);
    if (way->last) way->last->next = frame;
    else way->first = frame;
    way->last = frame;
    way->held += needed;
  }
}

static void drop_first(struct way *way) {
  struct frame *frame = way->first;
  way->first = frame->next;
  if (!way->first) way->last = NULL;
  way->held -= sizeof *frame + frame->size;
  free(frame);
}

/* Hands over what is due. What the device does not take, being down, is lost as on a cable that is not plugged in. */
static void give(struct way *way) {
  for (; way->first && way->first->due <= now(); drop_first(way))
    if (write(way->to, way->first->bytes, way->first->size) < 0) continue;
}

/* ---- cables ----------------------------------------------------------------------------------------------------- */

static int open_tap(const char *name) {
  struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
  memcpy(request.ifr_name, name, IFNAMSIZ);
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) die("/dev/net/tun: %s", strerror(errno));
  if (ioctl(fd, TUNSETIFF, &request) < 0) die("TAP device %s: %s", name, strerror(errno));
  if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
    die("offloads of %s: %s", name, strerror(errno));
  return fd;
}

static void plug_in(struct cable *cable) {
  for (int i = 0; i < 2; i++) cable->tap[i] = open_tap(cable->name[i]);
  for (int i = 0; i < 2; i++) {
    struct way *way = &cable->way[i];
    *way = (struct way){ .cable = cable, .from = cable->tap[i], .to = cable->tap[1 - i] };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = way };
    if (epoll_ctl(events, EPOLL_CTL_ADD, way->from, &event) < 0) die("epoll: %s", strerror(errno));
  }
}

static void pull_out(struct cable **link) {
  struct cable *cable = *link;
  *link = cable->next;
  for (int i = 0; i < 2; i++) {
    while (cable->way[i].first) drop_first(&cable->way[i]);
    if (cable->tap[i] >= 0) close(cable->tap[i]);
  }
  free(cable);
}

static struct cable *cable_between(char name[2][IFNAMSIZ]) {
  struct cable *cable = cables;
  while (cable && memcmp(cable->name, name, sizeof cable->name) != 0) cable = cable->next;
  if (cable) return cable;
  cable = calloc(1, sizeof *cable);
  if (!cable) die("out of memory");
  memcpy(cable->name, name, sizeof cable->name);
  cable->tap[0] = cable->tap[1] = -1;
  cable->next = cables;
  return cables = cable;
}

static void change(void) {
  FILE *wanted = fopen("wanted", "re");
  if (!wanted) return; /* nothing new */
  for (struct cable *cable = cables; cable; cable = cable->next) cable->wanted = false;
  uint64_t delay;
  char name[2][IFNAMSIZ] = { "", "" };
  while (fscanf(wanted, "%" SCNu64 " %15s %15s", &delay, name[0], name[1]) == 3) {
    struct cable *cable = cable_between(name);
    cable->delay = delay;
    cable->wanted = true;
    memset(name, 0, sizeof name);
  }
  fclose(wanted);
  for (struct cable **link = &cables; *link;)
    if ((*link)->wanted) link = &(*link)->next;
    else pull_out(link);
  for (struct cable *cable = cables; cable; cable = cable->next)
    if (cable->tap[0] < 0) plug_in(cable);
  if (rename("wanted", "carried") < 0) die("wanted: %s", strerror(errno));
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

/* Has the timer end when the next frame is due; what is due by now ends it at once. */
static void set_timer(int timer) {
  uint64_t due = 0;
  for (struct cable *cable = cables; cable; cable = cable->next)
    for (int i = 0; i < 2; i++) {
      struct frame *first = cable->way[i].first;
      if (first && (due == 0 || first->due < due)) due = first->due;
    }
  struct itimerspec at = { .it_value = { due / 1000000000, due % 1000000000 } };
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static int watch(int fd) {
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
  if (fd < 0 || epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll: %s", strerror(errno));
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 2) die("usage: netloom-line DIR");
  if (chdir(argv[1]) < 0) die("%s: %s", argv[1], strerror(errno));
  sigset_t hangup;
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  sigprocmask(SIG_BLOCK, &hangup, NULL);
  events = epoll_create1(EPOLL_CLOEXEC);
  int timer = watch(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  int signals = watch(signalfd(-1, &hangup, SFD_CLOEXEC | SFD_NONBLOCK));
  change();
  for (;;) {
    struct epoll_event ready[BATCH];
    struct signalfd_siginfo told;
    set_timer(timer);
    int count = epoll_wait(events, ready, BATCH, -1);
    for (int i = 0; i < count; i++)
      if (ready[i].data.ptr) take(ready[i].data.ptr);
    for (struct cable **link = &cables; *link;) {
      give(&(*link)->way[0]), give(&(*link)->way[1]);
      /* somebody has deleted a device of it: both are made anew when it is wanted again */
      if ((*link)->lost) pull_out(link);
      else link = &(*link)->next;
    }
    if (read(signals, &told, sizeof told) > 0) change();
  }
}
