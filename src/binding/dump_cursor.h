/*
** dump_cursor.h - the bytes of a dump while they are read: tags, integers, floats, strings and keys.
**
** Nothing is read beyond the end, and nothing is accepted that a writer would write otherwise. Every function returns
** false when it fails, with the status and the error set.
*/
#ifndef VIPERDB_DUMP_CURSOR_H
#define VIPERDB_DUMP_CURSOR_H

#include "compat.h"
#include "dump_format.h"
#include "key.h"

#pragma GCC visibility push(hidden)

typedef struct dump_cursor {
  const char *bytes;
  const char *end;
  const char *at; /* next byte */
  vdb_error *error;
  vdb_status status; /* why a function returned false */
} dump_cursor;

/* VDB_CORRUPT at this byte; at the end it is that the dump ends too early. Returns false. */
bool cursor_corrupt(dump_cursor *c, const char *at, const char *what);

bool cursor_take_tag(dump_cursor *c, unsigned *tag);

/* Takes the tag if it comes next; false is no failure. */
bool cursor_take_if(dump_cursor *c, unsigned tag);

static inline bool cursor_is_integer(unsigned tag) {
  return tag >= DUMP_SMALL && tag < DUMP_NEGATIVE + DUMP_INTEGER_BYTES;
}

static inline bool cursor_is_string(unsigned tag) {
  return tag >= DUMP_SHORT_STRING && tag < DUMP_LONG_STRING + DUMP_SIZE_BYTES;
}

/* What follows a tag of that kind. Strings point into the dump. */
bool cursor_take_integer(dump_cursor *c, unsigned tag, int64_t *integer);
bool cursor_take_float(dump_cursor *c, double *real);
bool cursor_take_string(dump_cursor *c, unsigned tag, const char **bytes, size_t *size);

/* A key with its tag. */
bool cursor_take_key(dump_cursor *c, vdb_key *key);

/* An integer with its tag, from 0 to below `count`: the number of something that came before. */
bool cursor_take_earlier(dump_cursor *c, int count, int *number);

#pragma GCC visibility pop

#endif
