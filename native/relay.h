/* What the parts of a relay share: relay.c its table and life, relay_path.c its threads, relay_icmp.c what it answers. */
#ifndef RELAY_H
#define RELAY_H
#include "netloom.h"
#include <netinet/in.h>
#include <sys/socket.h>

enum relay_counter {
  /* by the thread `out` */
  SENT_PACKETS,
  SENT_BYTES,
  DROPPED_NO_PEER,  /* its destination is behind nobody */
  DROPPED_TOO_BIG,  /* for the path to its peer; its sender was told */
  DROPPED_UNDERLAY, /* the kernel would not send it: no route, no address, a firewall */
  /* by the thread `in` */
  RECEIVED_PACKETS,
  RECEIVED_BYTES,
  DROPPED_STRANGER,  /* from an address and port that are no peer's */
  DROPPED_MALFORMED, /* not one whole IP packet */
  DROPPED_SPOOFED,   /* its source is not behind the peer that it came from */
  DROPPED_DEVICE,    /* the device would not take it: it is down, or gone */
  RELAY_COUNTERS
};

/* All addresses from this one on, up to the next interval's, are behind `peer`. IPv4 addresses have high = 0. */
struct relay_interval {
  uint64_t high, low, peer;
};
#define RELAY_NOBODY UINT64_MAX
struct relay_table {
  unsigned users; /* guarded by the relay's lock */
  size_t peers, intervals[2];
  struct sockaddr_in6 *peer; /* sorted as bytes; struct sockaddr_in and zeros for IPv4 */
  struct relay_interval *interval[2];
};

enum { RELAY_THREADS = 2, RELAY_DESCRIPTORS = 5 };
struct relay {
  int id, wake, lost; /* written to for the threads' end, and when the device is gone */
  union {
    int fd[RELAY_DESCRIPTORS];
    struct {
      int device, sockets[2], probes[2]; /* of IPv4, of IPv6 */
    };
  };
  bool stopping;
  unsigned threads;
  pthread_t thread[RELAY_THREADS];
  void *room[RELAY_THREADS];
  pthread_mutex_t lock;
  struct relay_table *table;
  uint64_t counters[RELAY_COUNTERS];
  struct relay *next;
};

/* The threads; the argument is the relay. What memory each works in, in bytes; it need not be cleared. */
void *relay_out(void *relay);
void *relay_in(void *relay);
extern const size_t relay_room[RELAY_THREADS];
/* Tells the sender of a packet that was too big for the path to its peer, or gets it there in pieces where it may be cut. */
void relay_too_big(struct relay *relay, int fd, struct msghdr *datagram);
void relay_count(struct relay *relay, enum relay_counter which, uint64_t by);

uint64_t relay_big_endian(const uint8_t *bytes, unsigned count);
/* Behind whom an address of that family is: its number, or RELAY_NOBODY. */
uint64_t relay_behind(const struct relay_table *table, bool v6, const uint8_t *address);
/* The number of the peer who sends from there, or RELAY_NOBODY. */
uint64_t relay_peer_at(const struct relay_table *table, const struct sockaddr_in6 *from);
/* The table of the moment, which stays until it is released. */
struct relay_table *relay_table_take(struct relay *relay);
void relay_table_release(struct relay *relay, struct relay_table *table);

#endif
