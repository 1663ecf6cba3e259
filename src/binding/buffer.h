/*
** buffer.h - a growing block of bytes that encoders append to.
**
** Starts as zeros. Its owner is always a userdata whose __gc calls buffer_free, so that a Lua error in the
** middle of an encoding leaks nothing.
*/
#ifndef VIPERDB_BUFFER_H
#define VIPERDB_BUFFER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct buffer {
  char *bytes;
  size_t size;     /* in use */
  size_t capacity; /* allocated */
} buffer;

/* Room for `extra` more bytes; false when memory runs out (the buffer is as it was). */
static inline bool buffer_reserve(buffer *b, size_t extra) {
  if (extra <= b->capacity - b->size) return true;
  if (extra > SIZE_MAX / 2 - b->size) return false;
  size_t capacity = (b->size + extra) * 2;
  char *bytes = realloc(b->bytes, capacity);
  if (bytes == NULL) return false;
  b->bytes = bytes;
  b->capacity = capacity;
  return true;
}

static inline bool buffer_append(buffer *b, const void *bytes, size_t size) {
  if (!buffer_reserve(b, size)) return false;
  memcpy(b->bytes + b->size, bytes, size);
  b->size += size;
  return true;
}

static inline void buffer_free(buffer *b) {
  free(b->bytes);
  *b = (buffer){0};
}

#endif
