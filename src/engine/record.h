/*
** record.h - one line of the key log: print, parse, check.
**
** Knows the text of a line and nothing of files. record.c holds the diagram of the format.
** Pure functions over the caller's memory; safe from any thread.
*/
#ifndef VIPERDB_RECORD_H
#define VIPERDB_RECORD_H

#include "viperdb.h"

#pragma GCC visibility push(hidden)

#define RECORD_NONE UINT64_MAX /* `prev` of a key's first line */

/* No line with its newline is longer. Ours stay below half of it. */
#define RECORD_LINE_MAX ((size_t)1 << 20)

/*
** A key's canonical text is its JSON: a string with ASCII escapes, an integer, a float, true or false; a
** float that has the value of a 64-bit integer is printed as that integer, an infinity as Python prints it
** (Infinity, -Infinity). Two keys are the same key exactly when their texts are the same bytes.
*/
#define RECORD_KEY_TEXT_MAX (6 * (size_t)VDB_MAX_KEY_SIZE + 2)

typedef enum record_type { RECORD_SET, RECORD_DEL } record_type;

/* What is marked RECORD_SET is 0 in a parsed RECORD_DEL, which has no expiration either. */
typedef struct record {
  record_type type;
  vdb_encoding encoding; /* RECORD_SET */
  const char *key;       /* canonical text; borrowed from the line or from the scratch */
  size_t key_size;
  uint64_t offset;     /* RECORD_SET: where the value starts in the value log; at most INT64_MAX */
  uint64_t value_size; /* RECORD_SET: bytes; at most INT64_MAX, so the sum with offset does not wrap */
  int64_t timestamp;   /* milliseconds since the epoch */
  int64_t expiration;  /* milliseconds since the epoch, VDB_NEVER when the line has none */
  uint64_t prev;       /* offset of the key's previous line, RECORD_NONE when the line has none */
  uint64_t batch;      /* how many lines of the same batch follow this one; 0 is not printed */
  uint32_t checksum;   /* as the line says */
  uint32_t line_crc;   /* CRC-32 of the checksummed part of the line, before the value */
  size_t line_size;    /* bytes of the line with its newline */
} record;

/* Upper bound of the bytes that record_print writes for a key text of this size. */
size_t record_bound(size_t key_size);

/* Upper bound of record_print_key's output. */
size_t record_key_bound(const vdb_key *key);

/* Prints the canonical text; returns its size. The key must be valid (record_check_key). */
size_t record_print_key(char *out, const vdb_key *key);

/* VDB_OK, or why this key can't be stored: VDB_RANGE (NaN), VDB_TOO_BIG, VDB_TYPE. */
vdb_status record_check_key(const vdb_key *key, vdb_error *error);

/*
** The key behind a canonical text. A string is unescaped into `bytes`, which must have room for `size`.
** False when the text is no canonical key.
*/
bool record_read_key(const char *text, size_t size, char *bytes, vdb_key *key);

/*
** Prints the line with its newline and checksum, fields in our order. In: all but checksum, line_crc,
** line_size, which it fills. `value` is the value's bytes (RECORD_SET). Returns the bytes written.
*/
size_t record_print(char *out, record *entry, const void *value);

/* Memory for lines that are not in our order. Starts as zeros; free with record_scratch_free. */
typedef struct record_scratch {
  char *bytes;
  size_t size;
} record_scratch;
void record_scratch_free(record_scratch *scratch);

/*
** Parses the line at line[0 .. size), up to and with its newline; size may reach beyond that. A line in our
** order costs no memory and points into itself; any other order, unknown fields and foreign number or string
** texts are accepted and use the scratch (entry->key then points there, and holds until the next parse with
** it).
**
** VDB_OK. VDB_CORRUPT: not a line of this format (a blank line is none), or no newline within size and
** RECORD_LINE_MAX. VDB_UNSUPPORTED: a line of this format, but with something this build can't hold: a number
** beyond 64 bits, an unknown encoding, nesting beyond 32, or a key that is NaN, null, a container, over
** VDB_MAX_KEY_SIZE, or a string with surrogates that no bytes print as. VDB_NO_MEMORY. On failure *entry is
** undefined. Does not check the checksum.
*/
vdb_status record_parse(const char *line, size_t size, record *entry, record_scratch *scratch);

/* Whether the checksum fits the line and, for RECORD_SET, these value bytes (value_size of them). */
bool record_intact(const record *entry, const void *value);

/* The name as it stands in a line ("json" ...); the reverse returns false for an unknown name. */
const char *record_encoding_name(vdb_encoding encoding);
bool record_encoding_named(const char *name, size_t size, vdb_encoding *encoding);

#pragma GCC visibility pop

#endif
