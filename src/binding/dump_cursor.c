/*
** dump_cursor.c - the bytes of a dump while they are read.
*/
#include "dump_cursor.h"

#include <math.h>
#include <string.h>

#include "../engine/error.h"

bool cursor_corrupt(dump_cursor *c, const char *at, const char *what) {
  if (at >= c->end) what = "it ends too early";
  c->status = error_set(c->error, VDB_CORRUPT, "binary dump at byte %zu: %s", (size_t)(at - c->bytes), what);
  return false;
}

static bool take_bytes(dump_cursor *c, size_t size, const char **bytes) {
  bool enough = size <= (size_t)(c->end - c->at);
  *bytes = c->at;
  if (enough) c->at += size;
  else cursor_corrupt(c, c->end, "");
  return enough;
}

bool cursor_take_tag(dump_cursor *c, unsigned *tag) {
  const char *byte;
  if (!take_bytes(c, 1, &byte)) return false;
  *tag = (unsigned char)*byte;
  return true;
}

bool cursor_take_if(dump_cursor *c, unsigned tag) {
  if (c->at == c->end || (unsigned char)*c->at != tag) return false;
  c->at++;
  return true;
}

/* The number in the next `size` bytes, at most eight. */
static bool take_unsigned(dump_cursor *c, size_t size, uint64_t *number) {
  const char *bytes;
  if (!take_bytes(c, size, &bytes)) return false;
  *number = 0;
  for (size_t i = size; i-- > 0;) *number = *number << 8 | (unsigned char)bytes[i];
  return true;
}

/* The same for a number that is at least `least` and takes no fewer bytes. */
static bool take_shortest(dump_cursor *c, size_t size, uint64_t least, uint64_t *number) {
  const char *start = c->at;
  if (!take_unsigned(c, size, number)) return false;
  if (size > 1) least = UINT64_C(1) << (8 * (size - 1));
  return *number >= least || cursor_corrupt(c, start, "a number in more bytes than it needs");
}

bool cursor_take_integer(dump_cursor *c, unsigned tag, int64_t *integer) {
  uint64_t number = tag - DUMP_SMALL;
  bool negative = tag >= DUMP_NEGATIVE;
  size_t size = 1 + tag - (negative ? DUMP_NEGATIVE : DUMP_POSITIVE);
  if (tag >= DUMP_POSITIVE && !take_shortest(c, size, negative ? 0 : DUMP_SMALL_COUNT, &number)) return false;
  if (number > INT64_MAX) return cursor_corrupt(c, c->at - 1, "an integer of more than 64 bits");
  *integer = negative ? -1 - (int64_t)number : (int64_t)number;
  return true;
}

bool cursor_take_float(dump_cursor *c, double *real) {
  const char *start = c->at;
  uint64_t bits;
  if (!take_unsigned(c, sizeof bits, &bits)) return false;
  memcpy(real, &bits, sizeof bits);
  return !isnan(*real) || cursor_corrupt(c, start, "NaN in place of a float");
}

bool cursor_take_string(dump_cursor *c, unsigned tag, const char **bytes, size_t *size) {
  uint64_t number = tag - DUMP_SHORT_STRING;
  if (tag >= DUMP_LONG_STRING &&
      !take_shortest(c, 1 + tag - DUMP_LONG_STRING, DUMP_SHORT_STRING_SIZE + 1, &number))
    return false;
  *size = (size_t)number;
  return take_bytes(c, *size, bytes);
}

static bool take_float_key(dump_cursor *c, const char *start, vdb_key *key) {
  key->type = VDB_FLOAT;
  if (!cursor_take_float(c, &key->number)) return false;
  return !key_is_whole(key->number) || cursor_corrupt(c, start, "a float as a key that is an integer");
}

bool cursor_take_key(dump_cursor *c, vdb_key *key) {
  const char *start = c->at;
  unsigned tag;
  if (!cursor_take_tag(c, &tag)) return false;
  *key = vdb_boolean(tag == DUMP_TRUE);
  if (tag == DUMP_FALSE || tag == DUMP_TRUE) return true;
  if (tag == DUMP_FLOAT) return take_float_key(c, start, key);
  key->type = cursor_is_integer(tag) ? VDB_INTEGER : VDB_STRING;
  if (cursor_is_integer(tag)) return cursor_take_integer(c, tag, &key->integer);
  if (cursor_is_string(tag)) return cursor_take_string(c, tag, &key->string, &key->size);
  return cursor_corrupt(c, start, "not a key");
}

bool cursor_take_earlier(dump_cursor *c, int count, int *number) {
  const char *start = c->at;
  int64_t integer = -1;
  unsigned tag;
  if (!cursor_take_tag(c, &tag)) return false;
  if (cursor_is_integer(tag) && !cursor_take_integer(c, tag, &integer)) return false;
  if (integer < 0 || integer >= count)
    return cursor_corrupt(c, start, "the number of something before expected");
  *number = (int)integer;
  return true;
}
