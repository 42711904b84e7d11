/* converge NETNS…: asks from each of these namespaces for a name and for an echo, again and again until each is
 * answered. Reads lines `GATEWAY NAME ADDRESS`; after each, when all is answered, prints for each namespace the time of
 * its first echo and of its first answer with an address, nanoseconds of CLOCK_MONOTONIC, or 0 where none came within
 * 5 s. Says `ready` first. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dns_question.h"

#define MAX 64
#define EVERY 4000000ll
#define PATIENCE 5000000000ll

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static uint16_t checksum(const uint16_t *at, size_t words) {
  uint32_t sum = 0;
  while (words--) sum += *at++;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

int main(int argc, char **argv) {
  int count = argc - 1;
  if (count < 1 || count > MAX) return fprintf(stderr, "converge NETNS…\n"), 2;
  struct pollfd sockets[2 * MAX]; /* echo, name, echo, … */
  for (int i = 0; i < count; i++) {
    int ns = open(argv[i + 1], O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET)) return perror(argv[i + 1]), 1;
    close(ns);
    sockets[2 * i] = (struct pollfd){ .fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP), .events = POLLIN };
    sockets[2 * i + 1] = (struct pollfd){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), .events = POLLIN };
    if (sockets[2 * i].fd < 0 || sockets[2 * i + 1].fd < 0) return perror("socket"), 1;
  }
  puts("ready");
  fflush(stdout);
  char line[512], gateway[64], name[128], address[64];
  for (uint16_t round = 1; fgets(line, sizeof line, stdin); round++) {
    if (sscanf(line, "%63s %127s %63s", gateway, name, address) != 3) return fprintf(stderr, "bad line: %s", line), 2;
    struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(53) }, target = { .sin_family = AF_INET };
    inet_pton(AF_INET, gateway, &server.sin_addr);
    inet_pton(AF_INET, address, &target.sin_addr);
    uint8_t ask[256];
    size_t size = question(ask, round, name, 1);
    struct icmphdr echo = { .type = ICMP_ECHO, .un.echo = { .id = htons(round), .sequence = 1 } };
    echo.checksum = checksum((uint16_t *)&echo, sizeof echo / 2);
    long long seen[2 * MAX] = { 0 }, begun = now(), next = 0;
    for (int left = 2 * count; left > 0 && now() - begun < PATIENCE;) {
      if (now() >= next) {
        next = now() + EVERY;
        for (int i = 0; i < 2 * count; i++) {
          if (seen[i]) continue;
          /* what cannot be sent yet is sent at the next turn */
          if (i & 1) (void)!sendto(sockets[i].fd, ask, size, 0, (struct sockaddr *)&server, sizeof server);
          else (void)!sendto(sockets[i].fd, &echo, sizeof echo, 0, (struct sockaddr *)&target, sizeof target);
        }
      }
      struct timespec pause = { .tv_nsec = next > now() ? (long)(next - now()) : 0 };
      if (ppoll(sockets, 2 * (nfds_t)count, &pause, NULL) < 0) return perror("poll"), 1;
      for (int i = 0; i < 2 * count; i++) {
        uint8_t got[1500];
        for (ssize_t n; (n = recv(sockets[i].fd, got, sizeof got, 0)) > 0;) {
          int good;
          if (i & 1) good = n > 12 && got[0] == round >> 8 && got[1] == (round & 255) && !(got[3] & 15) && got[7] > 0;
          else {
            struct iphdr *ip = (struct iphdr *)got;
            struct icmphdr *icmp = (struct icmphdr *)(got + ip->ihl * 4);
            good = icmp->type == ICMP_ECHOREPLY && icmp->un.echo.id == htons(round);
          }
          if (good && !seen[i]) seen[i] = now(), left--;
        }
      }
    }
    for (int i = 0; i < 2 * count; i++) printf("%lld%c", seen[i], i == 2 * count - 1 ? '\n' : ' ');
    fflush(stdout);
  }
  return 0;
}
