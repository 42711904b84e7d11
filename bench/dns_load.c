/* dns_load ADDRESS PORT WINDOW QUERIES PATTERN NAMES [TYPE]: asks over UDP, WINDOW questions under way at any time, for
 * NAMES names made by PATTERN (with one %d) in turn, until QUERIES are answered. One line: answers a second, then the
 * median and the 99th percentile of the time to an answer in microseconds, answers that are no success with a record,
 * and questions that were given up after a second.
 *
 * In C, and with many datagrams a system call, so that the server is what is measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "dns_question.h"

#define BATCH 32
#define MAX_WINDOW 4096
#define PATIENCE 1000000000ll

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  if (argc < 7) return fprintf(stderr, "dns_load ADDRESS PORT WINDOW QUERIES PATTERN NAMES [TYPE]\n"), 2;
  union {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } to = { 0 };
  socklen_t to_size;
  uint16_t port = (uint16_t)atoi(argv[2]);
  if (inet_pton(AF_INET, argv[1], &to.v4.sin_addr) == 1)
    to.v4.sin_family = AF_INET, to.v4.sin_port = htons(port), to_size = sizeof to.v4;
  else if (inet_pton(AF_INET6, argv[1], &to.v6.sin6_addr) == 1)
    to.v6.sin6_family = AF_INET6, to.v6.sin6_port = htons(port), to_size = sizeof to.v6;
  else return fprintf(stderr, "%s is no address\n", argv[1]), 2;
  int window = atoi(argv[3]);
  long queries = atol(argv[4]);
  int names = atoi(argv[6]);
  unsigned type = argc > 7 ? (unsigned)atoi(argv[7]) : 1;
  if (window < 1 || window > MAX_WINDOW || queries < 1 || names < 1) return fprintf(stderr, "out of range\n"), 2;

  int fd = socket(to.v4.sin_family, SOCK_DGRAM, 0);
  int room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (fd < 0 || connect(fd, (void *)&to, to_size) < 0) return perror("connect"), 1;

  uint8_t(*texts)[300] = malloc((size_t)names * sizeof *texts);
  size_t *sizes = malloc((size_t)names * sizeof *sizes);
  uint32_t *costs = malloc((size_t)queries * sizeof *costs);
  long long *sent_at = calloc(65536, sizeof *sent_at);
  uint16_t *order = calloc(65536, sizeof *order); /* ids in the order they were sent */
  if (!texts || !sizes || !costs || !sent_at || !order) return perror("malloc"), 1;
  for (int i = 0; i < names; i++) {
    char name[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(name, sizeof name, argv[5], i);
#pragma GCC diagnostic pop
    sizes[i] = question(texts[i], 0, name, type);
  }

  static uint8_t out[BATCH][300], in[BATCH][4096];
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  uint16_t head = 0, tail = 0;
  int under_way = 0, next = 0;
  long answered = 0, bad = 0, lost = 0;
  long long start = now(), stop = start + 120 * 1000000000ll;
  while (answered < queries) {
    int count = 0;
    long long moment = now();
    while (under_way < window && count < BATCH) {
      uint16_t id = head++;
      memcpy(out[count], texts[next], sizes[next]);
      out[count][0] = (uint8_t)(id >> 8), out[count][1] = (uint8_t)id;
      parts[count] = (struct iovec){ out[count], sizes[next] };
      messages[count] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[count], .msg_iovlen = 1 } };
      sent_at[id] = moment;
      next = next + 1 == names ? 0 : next + 1;
      under_way++, count++;
    }
    if (count > 0 && sendmmsg(fd, messages, count, 0) < count) { /* the rest is given up below */
    }
    for (int i = 0; i < BATCH; i++) {
      parts[i] = (struct iovec){ in[i], sizeof in[i] };
      messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1 } };
    }
    int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    if (got <= 0 && under_way == window) {
      struct pollfd wait = { .fd = fd, .events = POLLIN };
      poll(&wait, 1, 100);
      got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    }
    moment = now();
    for (int i = 0; i < got; i++) {
      uint16_t id = (uint16_t)(in[i][0] << 8 | in[i][1]);
      if (messages[i].msg_len < 12 || sent_at[id] == 0) continue;
      if (answered < queries) costs[answered++] = (uint32_t)(moment - sent_at[id]);
      if ((in[i][3] & 15) != 0 || (in[i][6] | in[i][7]) == 0) bad++;
      sent_at[id] = 0;
      under_way--;
    }
    while (tail != head && (sent_at[tail] == 0 || moment - sent_at[tail] > PATIENCE)) {
      if (sent_at[tail] != 0) sent_at[tail] = 0, under_way--, lost++;
      tail++;
    }
    if (moment > stop) break;
  }
  double seconds = (double)(now() - start) / 1e9;
  if (answered == 0) return fprintf(stderr, "no answer from %s\n", argv[1]), 1;
  qsort(costs, (size_t)answered, sizeof *costs, by_size);
  printf("%.0f %.1f %.1f %ld %ld\n", (double)answered / seconds, costs[answered / 2] / 1e3,
         costs[(long)((double)answered * 0.99)] / 1e3, bad, lost);
  return 0;
}
