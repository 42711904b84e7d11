#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A question of class IN with recursion desired, as it goes over UDP (RFC 1035 section 4.1); its length. */
static size_t question(uint8_t *out, uint16_t id, const char *name, unsigned type) {
  const uint8_t head[12] = { (uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1 };
  memcpy(out, head, sizeof head);
  size_t at = sizeof head;
  while (*name) {
    size_t length = strcspn(name, ".");
    out[at++] = (uint8_t)length;
    memcpy(out + at, name, length);
    at += length;
    name += length + (name[length] == '.');
  }
  const uint8_t tail[5] = { 0, (uint8_t)(type >> 8), (uint8_t)type, 0, 1 };
  memcpy(out + at, tail, sizeof tail);
  return at + sizeof tail;
}
