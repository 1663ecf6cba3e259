/*
** crc32.c - CRC-32, a byte at a time.
*/
#include "crc32.h"

static uint32_t byte_step(uint32_t crc) {
  for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
  return crc;
}

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t size) {
  const unsigned char *p = bytes;
  crc = ~crc;
  while (size-- > 0) crc = byte_step((crc ^ *p++) & 0xFF) ^ (crc >> 8);
  return ~crc;
}
