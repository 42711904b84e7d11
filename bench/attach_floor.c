/* What the kernel itself costs for one endpoint on a bridge: the floor under any engine. A program with no engine, no
 * store and no JavaScript sends the fewest messages that make the same endpoint, so that a benchmark can take turns
 * with it:
 *
 *   attach N   N endpoints, each in a fresh namespace made beforehand; prints N times in ms, one line
 *   detach     all of them in one message (by their link group); prints one time in ms
 *
 * An endpoint is a veth pair, its host end up and in the bridge, its other end `eth0` up in the target namespace with
 * an address, a default route, and lo up: one message on the host, one burst of four in the target. Timed is what an
 * engine must do too, the target's own netlink socket included; making the namespace is not.
 *
 * Endpoints stay until `detach`: the kernel frees them in the background, which would disturb the next turn.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1000, GROUP = 7, LO = 1, ETH0 = 2 /* the first two links of a fresh namespace */ };

static int host, host_socket, bridge;
static int targets[MOST], attached;
static uint32_t gateway;

static void die(const char *what) {
  fprintf(stderr, "attach_floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

/* ---- messages ---- */

struct burst {
  _Alignas(4) char bytes[4096];
  size_t length;
  struct nlmsghdr *open;
  int messages;
};

static void message(struct burst *b, int type, int flags, const void *header, size_t size) {
  b->open = (struct nlmsghdr *)(b->bytes + b->length);
  memset(b->open, 0, NLMSG_SPACE(size));
  b->open->nlmsg_type = type;
  b->open->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  b->open->nlmsg_seq = ++b->messages;
  b->open->nlmsg_len = NLMSG_LENGTH(size);
  memcpy(NLMSG_DATA(b->open), header, size);
  b->length += NLMSG_SPACE(size);
}

static struct rtattr *attribute(struct burst *b, int type, const void *data, size_t size) {
  struct rtattr *a = (struct rtattr *)(b->bytes + b->length);
  if (b->length + RTA_SPACE(size) > sizeof b->bytes) die("message too long");
  a->rta_type = type;
  a->rta_len = RTA_LENGTH(size);
  memset(RTA_DATA(a), 0, RTA_SPACE(size) - RTA_LENGTH(0));
  if (size > 0) memcpy(RTA_DATA(a), data, size);
  b->length += RTA_SPACE(size);
  b->open->nlmsg_len = (char *)b->bytes + b->length - (char *)b->open;
  return a;
}

static void close_nest(struct burst *b, struct rtattr *nest) { nest->rta_len = b->bytes + b->length - (char *)nest; }

/* Sends the burst and waits for every acknowledgement in it. */
static void exchange(int fd, struct burst *b) {
  static char reply[1 << 16];
  if (send(fd, b->bytes, b->length, 0) < 0) die("send");
  for (int missing = b->messages; missing > 0;) {
    ssize_t size = recv(fd, reply, sizeof reply, 0);
    if (size < 0) die("recv");
    for (struct nlmsghdr *m = (void *)reply; NLMSG_OK(m, (size_t)size); m = NLMSG_NEXT(m, size)) {
      const struct nlmsgerr *answer = NLMSG_DATA(m);
      if (m->nlmsg_type != NLMSG_ERROR) continue;
      errno = -answer->error;
      if (errno) die("refused");
      missing--;
    }
  }
}

static int route_socket(void) {
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0 || connect(fd, (void *)&kernel, sizeof kernel) < 0) die("netlink socket");
  return fd;
}

static int fresh_netns(void) {
  if (unshare(CLONE_NEWNET) < 0) die("unshare");
  int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) die("/proc/self/ns/net");
  return fd;
}

static void enter(int netns) {
  if (setns(netns, CLONE_NEWNET) < 0) die("setns");
}

/* ---- what is measured ---- */

static void make_bridge(void) {
  struct burst b = { 0 };
  struct ifinfomsg link = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
  message(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  attribute(&b, IFLA_IFNAME, "floor", 6);
  struct rtattr *info = attribute(&b, IFLA_LINKINFO, NULL, 0);
  attribute(&b, IFLA_INFO_KIND, "bridge", 7);
  close_nest(&b, info);
  exchange(host_socket, &b);

  bridge = if_nametoindex("floor");
  gateway = htonl(0x0a400001); /* 10.64.0.1/16 */
  struct burst address = { 0 };
  struct ifaddrmsg header = { .ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = bridge };
  message(&address, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  attribute(&address, IFA_LOCAL, &gateway, 4);
  exchange(host_socket, &address);
}

static void attach(int number, int target) {
  char name[IFNAMSIZ];
  int size = snprintf(name, sizeof name, "floor%d", number) + 1, group = GROUP;
  struct burst pair = { 0 };
  struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP }, peer = { 0 };
  message(&pair, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
  attribute(&pair, IFLA_IFNAME, name, size);
  attribute(&pair, IFLA_MASTER, &bridge, sizeof bridge);
  attribute(&pair, IFLA_GROUP, &group, sizeof group);
  struct rtattr *info = attribute(&pair, IFLA_LINKINFO, NULL, 0);
  attribute(&pair, IFLA_INFO_KIND, "veth", 5);
  struct rtattr *data = attribute(&pair, IFLA_INFO_DATA, NULL, 0);
  struct rtattr *other = attribute(&pair, VETH_INFO_PEER, &peer, sizeof peer);
  attribute(&pair, IFLA_IFNAME, "eth0", 5);
  attribute(&pair, IFLA_NET_NS_FD, &target, sizeof target);
  close_nest(&pair, other), close_nest(&pair, data), close_nest(&pair, info);
  exchange(host_socket, &pair);

  enter(target);
  int inside = route_socket();
  enter(host);
  struct burst b = { 0 };
  up.ifi_index = LO;
  message(&b, RTM_NEWLINK, 0, &up, sizeof up);
  up.ifi_index = ETH0;
  message(&b, RTM_NEWLINK, 0, &up, sizeof up);
  uint32_t own = htonl(0x0a400100 + number), link = ETH0;
  struct ifaddrmsg address = { .ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = ETH0 };
  message(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof address);
  attribute(&b, IFA_LOCAL, &own, 4);
  struct rtmsg route = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC,
                         .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
  message(&b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  attribute(&b, RTA_GATEWAY, &gateway, 4);
  attribute(&b, RTA_OIF, &link, 4);
  exchange(inside, &b);
  close(inside);
}

static void detach_all(void) {
  int group = GROUP;
  struct burst b = { 0 };
  struct ifinfomsg header = { 0 };
  message(&b, RTM_DELLINK, 0, &header, sizeof header);
  attribute(&b, IFLA_GROUP, &group, sizeof group);
  exchange(host_socket, &b);
}

/* ---- the conversation ---- */

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  host = fresh_netns();
  host_socket = route_socket();
  make_bridge();
  setvbuf(stdout, NULL, _IOLBF, 0);

  char line[64];
  int count;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "attach %d", &count) == 1 && count > 0 && attached + count <= MOST) {
      for (int i = attached; i < attached + count; i++) targets[i] = fresh_netns();
      enter(host);
      for (; count > 0; count--, attached++) {
        double start = now();
        attach(attached, targets[attached]);
        printf("%.6f%c", now() - start, count > 1 ? ' ' : '\n');
      }
    } else if (!strncmp(line, "detach", 6) && attached > 0) {
      double start = now();
      detach_all();
      printf("%.6f\n", now() - start);
      while (attached > 0) close(targets[--attached]);
    } else {
      fprintf(stderr, "attach_floor: at most %d endpoints; say: attach N | detach\n", MOST);
      return 2;
    }
  }
  return 0;
}
