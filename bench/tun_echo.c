/*
 * The plainest program behind a TUN device, for bench/benchmarks/overlay-udp.ts: reads a packet, turns it round, writes it.
 *
 *   tun_echo DEVICE     in the namespace that it is started in; says `ready`, ends by a signal
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  static unsigned char packet[65536];
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (argc != 2 || strlen(argv[1]) >= IFNAMSIZ) return fprintf(stderr, "usage: tun_echo DEVICE\n"), 2;
  strcpy(request.ifr_name, argv[1]);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) return perror("tun_echo"), 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    ssize_t size = read(fd, packet, sizeof packet);
    if (size < 0) return perror("tun_echo"), 1;
    if (size < 20 || packet[0] >> 4 != 4) continue;
    unsigned char source[4]; /* the checksums of IP and UDP are the same with both changed over */
    memcpy(source, packet + 12, 4);
    memcpy(packet + 12, packet + 16, 4);
    memcpy(packet + 16, source, 4);
    if (write(fd, packet, size) < 0) return perror("tun_echo"), 1;
  }
}
