/*
** crc32.h - CRC-32 with zlib's polynomial (0xEDB88320 reflected), as zlib.crc32 computes it.
**
** crc32_update(crc32_update(0, a), b) is the checksum of a followed by b. Uses carry-less multiplication
** where the processor has it (asked once), slicing tables elsewhere. Safe from any thread.
*/
#ifndef VIPERDB_CRC32_H
#define VIPERDB_CRC32_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

uint32_t crc32_update(uint32_t crc, const void *bytes, size_t size);

#pragma GCC visibility pop

#endif
