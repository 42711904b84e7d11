/*
 * TCP traffic for bench/benchmarks/datapath.ts, by one process in each namespace, so that neither Node nor the start of
 * a process is part of what is measured.
 *
 *   traffic serve PORT             accepts; the first byte of a connection says what follows:
 *                                  's' a stream, counted until its end and answered by the count; 'r' bytes sent back
 *   traffic ask                    reads lines: `stream ADDRESS PORT MS` → bytes a second that arrived,
 *                                  `rr ADDRESS PORT MS` → round trips a second; `?` where it failed
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[128 * 1024];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void answer(int fd) {
  char what;
  if (read(fd, &what, 1) != 1) return;
  if (what == 'r') {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char byte;
    while (read(fd, &byte, 1) == 1)
      if (write(fd, &byte, 1) != 1) return;
    return;
  }
  uint64_t total = 0;
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) total += n;
  if (write(fd, &total, sizeof total) != sizeof total) return;
}

static int serve(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 64)) return perror("traffic serve"), 1;
  signal(SIGCHLD, SIG_IGN);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int peer = accept(fd, NULL, NULL);
    if (peer < 0) continue;
    if (fork() == 0) {
      close(fd);
      answer(peer);
      _exit(0);
    }
    close(peer);
  }
}

static int reach(const char *address, int port, char what) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct timeval limit = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (inet_pton(AF_INET, address, &to.sin_addr) == 1 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
      write(fd, &what, 1) == 1)
    return fd;
  close(fd);
  return -1;
}

static double stream(int fd, double seconds) {
  double began = now(), end = began + seconds;
  while (now() < end)
    if (write(fd, buffer, sizeof buffer) <= 0) return -1;
  shutdown(fd, SHUT_WR);
  uint64_t total;
  if (read(fd, &total, sizeof total) != sizeof total) return -1;
  return total / (now() - began);
}

static double rr(int fd, double seconds) {
  double began = now(), end = began + seconds;
  char byte = 'x';
  long count = 0;
  do {
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) return -1;
    count++;
  } while (now() < end);
  return count / (now() - began);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && !strcmp(argv[1], "serve")) return serve(atoi(argv[2]));
  if (argc != 2 || strcmp(argv[1], "ask")) return fprintf(stderr, "usage: traffic serve PORT | traffic ask\n"), 2;
  char what[16], address[64];
  int port, ms;
  while (scanf("%15s %63s %d %d", what, address, &port, &ms) == 4) {
    int fd = reach(address, port, what[0]);
    double rate = fd < 0 ? -1 : what[0] == 's' ? stream(fd, ms / 1e3) : rr(fd, ms / 1e3);
    if (fd >= 0) close(fd);
    if (rate < 0)
      puts("?");
    else
      printf("%f\n", rate);
    fflush(stdout);
  }
  return 0;
}
