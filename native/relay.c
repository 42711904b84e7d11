/* The relay: carries packets between a TUN device and peers, each in a UDP datagram of its own with nothing before it,
 * as flannel's udp backend does. Here its table, its life and what JavaScript sees; the packets' way is in relay_path.c.
 *
 * What goes where is a table that JavaScript makes and hands over whole. A packet of a peer is taken when its source address
 * is one that we would send to that peer, and from nobody else: no peer speaks for another, and no stranger for any.
 */
#include "relay.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

/* ---- the table ------------------------------------------------------------------------------------------------- */

uint64_t relay_big_endian(const uint8_t *bytes, unsigned count) {
  uint64_t value = 0;
  while (count--) value = value << 8 | *bytes++;
  return value;
}

/* Behind whom an address of that family is: its number, or RELAY_NOBODY. */
uint64_t relay_behind(const struct relay_table *table, bool v6, const uint8_t *address) {
  uint64_t high = v6 ? relay_big_endian(address, 8) : 0, low = v6 ? relay_big_endian(address + 8, 8) : relay_big_endian(address, 4);
  const struct relay_interval *first = table->interval[v6];
  size_t count = table->intervals[v6], before = 0;
  while (count > 0) {
    size_t half = count / 2;
    const struct relay_interval *middle = &first[before + half];
    if (middle->high < high || (middle->high == high && middle->low <= low)) before += half + 1, count -= half + 1;
    else count = half;
  }
  return before == 0 ? RELAY_NOBODY : first[before - 1].peer;
}

static int compare_peers(const void *a, const void *b) { return memcmp(a, b, sizeof(struct sockaddr_in6)); }

uint64_t relay_peer_at(const struct relay_table *table, const struct sockaddr_in6 *from) {
  const struct sockaddr_in6 *found = bsearch(from, table->peer, table->peers, sizeof *from, compare_peers);
  return found ? (uint64_t)(found - table->peer) : RELAY_NOBODY;
}

struct relay_table *relay_table_take(struct relay *relay) {
  pthread_mutex_lock(&relay->lock);
  struct relay_table *table = relay->table;
  table->users++;
  pthread_mutex_unlock(&relay->lock);
  return table;
}

void relay_table_release(struct relay *relay, struct relay_table *table) {
  pthread_mutex_lock(&relay->lock);
  bool last = --table->users == 0;
  pthread_mutex_unlock(&relay->lock);
  if (last) free(table);
}

static struct relay_table *table_create(void *of[2], const size_t count[2], const void *peers, size_t bytes) {
  size_t size[2] = { count[0] * sizeof(uint64_t), count[1] * sizeof(uint64_t) };
  struct relay_table *table = malloc(sizeof *table + size[0] + size[1] + bytes);
  if (!table) return NULL;
  table->users = 1;
  char *at = (char *)(table + 1);
  for (int v6 = 0; v6 < 2; v6++) {
    table->interval[v6] = memcpy(at, of[v6], size[v6]);
    table->intervals[v6] = size[v6] / sizeof(struct relay_interval);
    at += size[v6];
  }
  table->peer = memcpy(at, peers, bytes);
  table->peers = bytes / sizeof *table->peer;
  return table;
}

/* What the searches above rely on. */
static bool table_valid(const struct relay_table *table) {
  for (int v6 = 0; v6 < 2; v6++) {
    for (size_t i = 0; i < table->intervals[v6]; i++) {
      const struct relay_interval *one = &table->interval[v6][i], *before = one - 1;
      if (one->peer != RELAY_NOBODY && one->peer >= table->peers) return false;
      if (i > 0 && (before->high > one->high || (before->high == one->high && before->low >= one->low))) return false;
    }
  }
  for (size_t i = 0; i < table->peers; i++) {
    sa_family_t family = table->peer[i].sin6_family;
    if (family != AF_INET && family != AF_INET6) return false;
    if (i > 0 && compare_peers(&table->peer[i - 1], &table->peer[i]) >= 0) return false;
  }
  return true;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static struct relay **find(struct addon *addon, int id) {
  struct relay **link = &addon->relays;
  while (*link && (*link)->id != id) link = &(*link)->next;
  return *link ? link : NULL;
}

static void destroy(struct relay *relay) {
  for (int i = 0; i < RELAY_DESCRIPTORS; i++)
    if (relay->fd[i] >= 0) close(relay->fd[i]);
  if (relay->wake >= 0) close(relay->wake);
  if (relay->lost >= 0) close(relay->lost);
  for (int i = 0; i < RELAY_THREADS; i++) free(relay->room[i]);
  pthread_mutex_destroy(&relay->lock);
  free(relay->table);
  free(relay);
}

/* Waits for the threads, which look for the end after each batch and never wait for anything else. */
static void stop(struct relay **link) {
  struct relay *relay = *link;
  *link = relay->next;
  __atomic_store_n(&relay->stopping, true, __ATOMIC_RELAXED);
  uint64_t one = 1;
  if (write(relay->wake, &one, sizeof one) < 0) abort();
  for (unsigned i = 0; i < relay->threads; i++) pthread_join(relay->thread[i], NULL);
  destroy(relay);
}

void relays_close(struct addon *addon) {
  while (addon->relays) stop(&addon->relays);
}

static int launch(struct relay *relay) {
  static void *(*const run[RELAY_THREADS])(void *) = { relay_out, relay_in };
  pthread_attr_t attributes;
  sigset_t all, before;
  int error = 0;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  sigfillset(&all); /* signals are for Node's thread */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (; relay->threads < RELAY_THREADS && !error; relay->threads += !error)
    error = pthread_create(&relay->thread[relay->threads], &attributes, run[relay->threads], relay);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

/* ---- what JavaScript sees ---------------------------------------------------------------------------------------- */

/* relayStart(descriptors): id. An Int32Array: the TUN device, UDP sockets for IPv4 and IPv6, and a socket of each family
 * to ask for path MTUs by; -1 for those that there are none of. Works with duplicates. Behind them it gets one that becomes
 * readable when the device was deleted, for the caller to close. Knows nobody yet. */
napi_value relay_start(napi_env env, napi_callback_info info) {
  ARGS(1);
  void *given;
  size_t count;
  struct addon *addon = addon_of(env);
  if (!typed_arg(env, argv[0], napi_int32_array, &given, &count)) return NULL;
  if (count != RELAY_DESCRIPTORS + 1 || *(int *)given < 0) return fail(env, EINVAL, "argument");
  struct relay *relay = calloc(1, sizeof *relay);
  if (!relay) return fail(env, ENOMEM, "calloc");
  pthread_mutex_init(&relay->lock, NULL);
  relay->table = calloc(1, sizeof *relay->table);
  relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  relay->lost = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int told = relay->lost < 0 ? -1 : fcntl(relay->lost, F_DUPFD_CLOEXEC, 3);
  int error = !relay->table ? ENOMEM : relay->wake < 0 || told < 0 ? EMFILE : 0;
  if (relay->table) relay->table->users = 1;
  for (int i = 0; i < RELAY_THREADS; i++)
    if (!(relay->room[i] = malloc(relay_room[i]))) error = ENOMEM;
  const char *what = "relay";
  for (int i = 0; i < RELAY_DESCRIPTORS; i++) {
    int fd = ((int *)given)[i];
    relay->fd[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0 && relay->fd[i] < 0 && !error) error = errno, what = "dup";
  }
  do relay->id = addon->last_relay = addon->last_relay == INT32_MAX ? 1 : addon->last_relay + 1;
  while (find(addon, relay->id));
  if (error) {
    destroy(relay);
    if (told >= 0) close(told);
    return fail(env, error, what);
  }
  relay->next = addon->relays;
  addon->relays = relay;
  error = launch(relay);
  if (error) {
    stop(&addon->relays);
    close(told);
    return fail(env, error, "pthread_create");
  }
  ((int *)given)[RELAY_DESCRIPTORS] = told;
  return from_int(env, relay->id);
}

/* relayTable(id, intervals4, intervals6, peers): whom what is for from now on. Intervals are a BigUint64Array, three
 * numbers each: upper and lower half of the first address, and the number of the peer that has this one and all up to the
 * next interval's; all ones for nobody. Peers are struct sockaddr_in6, or sockaddr_in and zeros, 28 bytes each. All
 * are in ascending order. */
napi_value relay_table(napi_env env, napi_callback_info info) {
  ARGS(4);
  int id;
  void *of[2], *peers;
  size_t count[2], bytes;
  if (!int_arg(env, argv[0], &id) || !typed_arg(env, argv[1], napi_biguint64_array, &of[0], &count[0]) ||
      !typed_arg(env, argv[2], napi_biguint64_array, &of[1], &count[1]) || !bytes_arg(env, argv[3], &peers, &bytes))
    return NULL;
  struct relay **link = find(addon_of(env), id);
  if (!link || count[0] % 3 || count[1] % 3 || bytes % sizeof(struct sockaddr_in6)) return fail(env, EINVAL, "argument");
  struct relay_table *table = table_create(of, count, peers, bytes);
  if (!table) return fail(env, ENOMEM, "malloc");
  if (!table_valid(table)) {
    free(table);
    return fail(env, EINVAL, "argument");
  }
  struct relay *relay = *link;
  pthread_mutex_lock(&relay->lock);
  struct relay_table *before = relay->table;
  relay->table = table;
  pthread_mutex_unlock(&relay->lock);
  relay_table_release(relay, before);
  return NULL;
}

/* relayCounters(id, counters): boolean; fills a BigUint64Array in the order of enum relay_counter. False where there is
 * none of that number any more. */
napi_value relay_counters(napi_env env, napi_callback_info info) {
  ARGS(2);
  int id;
  void *out;
  size_t count;
  if (!int_arg(env, argv[0], &id) || !typed_arg(env, argv[1], napi_biguint64_array, &out, &count)) return NULL;
  if (count != RELAY_COUNTERS) return fail(env, EINVAL, "argument");
  struct relay **link = find(addon_of(env), id);
  for (int i = 0; link && i < RELAY_COUNTERS; i++)
    ((uint64_t *)out)[i] = __atomic_load_n(&(*link)->counters[i], __ATOMIC_RELAXED);
  return from_bool(env, link != NULL);
}

/* relayStop(id): boolean; false where there is none of that number any more. No thread of it runs when it returns. */
napi_value relay_stop(napi_env env, napi_callback_info info) {
  ARGS(1);
  int id;
  if (!int_arg(env, argv[0], &id)) return NULL;
  struct relay **link = find(addon_of(env), id);
  if (link) stop(link);
  return from_bool(env, link != NULL);
}
