/*
 * Small UDP packets from one namespace to another, by one thread that has a socket in each, so that there are never more
 * under way than a window: what is measured is how fast they are carried, not how many are dropped.
 *
 *   packets FROM-NETNS ADDRESS TO-NETNS ADDRESS PORT      namespaces by path; the addresses may be turned round on the
 *                                                         way, the port is that of both ends
 * reads lines `MS WINDOW SIZE` → packets a second that arrived; `?` where none did
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, MOST = 1500 };
static struct mmsghdr outgoing[BATCH], incoming[BATCH];
static char payload[MOST], room[BATCH][MOST];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int open_in(const char *netns, const char *address, int port) {
  int there = open(netns, O_RDONLY | O_CLOEXEC), room = 4 << 20;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (there < 0 || setns(there, CLONE_NEWNET) < 0 || inet_pton(AF_INET, address, &at.sin_addr) != 1) return -1;
  close(there);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  return bind(fd, (void *)&at, sizeof at) < 0 ? -1 : fd;
}

static double carry(int from, int to, double seconds, int window) {
  double began = now(), end = began + seconds;
  long arrived = 0, under_way = 0;
  while (now() < end) {
    int more = window - under_way < BATCH ? window - under_way : BATCH;
    if (more > 0) {
      int sent = sendmmsg(from, outgoing, more, 0);
      if (sent > 0) under_way += sent;
      else if (errno != EAGAIN && errno != ENOBUFS) return -1;
    }
    int got = recvmmsg(to, incoming, BATCH, 0, NULL);
    if (got > 0) {
      arrived += got, under_way -= got < under_way ? got : under_way;
    } else if (under_way >= window) {
      struct pollfd wait = {.fd = to, .events = POLLIN};
      if (poll(&wait, 1, 20) == 0) under_way = 0; /* lost */
    }
  }
  double rate = arrived / (now() - began);
  for (int quiet = 0; quiet < 20; quiet = recvmmsg(to, incoming, BATCH, 0, NULL) > 0 ? 0 : quiet + 1) usleep(500);
  return arrived ? rate : -1;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: packets NETNS ADDRESS NETNS ADDRESS PORT\n"), 2;
  int port = atoi(argv[5]), from = open_in(argv[1], argv[2], port), to = from;
  if (strcmp(argv[1], argv[3])) to = open_in(argv[3], argv[4], port);
  if (from < 0 || to < 0) return perror("packets"), 1;
  struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, argv[4], &peer.sin_addr);
  int ms, window, size;
  while (scanf("%d %d %d", &ms, &window, &size) == 3) {
    static struct iovec out, in[BATCH];
    out = (struct iovec){payload, size < MOST ? size : MOST};
    for (int i = 0; i < BATCH; i++) {
      in[i] = (struct iovec){room[i], MOST};
      outgoing[i].msg_hdr = (struct msghdr){.msg_iov = &out, .msg_iovlen = 1, .msg_name = &peer, .msg_namelen = sizeof peer};
      incoming[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
    }
    double rate = carry(from, to, ms / 1e3, window);
    if (rate < 0) puts("?");
    else printf("%f\n", rate);
    fflush(stdout);
  }
  return 0;
}
