/*
** record.c - one line of the key log: print, parse in our order, check.
**
**   {"batch": 1, "encoding": "json", "expiration": 1795332094300, "key": "hello", "offset": 10, ...
**    `---------'                     `---------------------------'
**
**   ... "prev": 0, "size": 2, "timestamp": 1795332034300, "type": "set", "checksum": 1231021614}\n
**       `-------'                                                      ^
**                                                                      here the checksummed part ends
**
**   {"key": "hello", "prev": 129, "timestamp": 1795332034400, "type": "del", "checksum": 528775530}\n
**
** Fields stand sorted by name. Those underlined may be missing, in a `del` too; nothing else may. This is our
** order. A line of the Python original, or of anyone else who prints JSON, means the same in any other order:
** that is record_foreign.c.
**
** The checksum is CRC-32 of the object as Python prints it with its fields sorted and without `checksum`,
** then, for a `set`, of `:` and the value. In our order that object is the line itself up to `, "checksum"`,
** and `}`.
**
** - A line that is read as ours is byte for byte what record_print prints for its fields, but for its
**   checksum. So its key text is canonical, and a lookup compares bytes. Whatever deviates goes to
**   record_foreign.c, which reads every line, also one of ours, to the same record.
** - A line holds no newline inside and is at most RECORD_LINE_MAX long. Nothing beyond that is looked at, and
**   nothing that is read is trusted.
*/
#include "record.h"

#include <string.h>

#include "../text/number.h"
#include "crc32.h"
#include "record_parts.h"

static const struct {
  const char *name;
  size_t size;
} encodings[] = {[VDB_JSON] = {"json", 4},
                 [VDB_BYTES] = {"bytes", 5},
                 [VDB_LUA] = {"lua", 3},
                 [VDB_PICKLE] = {"pickle", 6}};

#define ENCODINGS (sizeof encodings / sizeof *encodings)

const char *record_encoding_name(vdb_encoding encoding) {
  return encodings[encoding].name;
}

bool record_encoding_named(const char *name, size_t size, vdb_encoding *encoding) {
  for (size_t i = 0; i < ENCODINGS; i++) {
    if (encodings[i].size != size || memcmp(encodings[i].name, name, size) != 0) continue;
    *encoding = (vdb_encoding)i;
    return true;
  }
  return false;
}

static uint32_t whole_checksum(const record *entry, const void *value) {
  if (entry->type == RECORD_DEL) return entry->line_crc;
  uint32_t crc = crc32_update(entry->line_crc, ":", 1);
  return entry->value_size == 0 ? crc : crc32_update(crc, value, entry->value_size);
}

bool record_intact(const record *entry, const void *value) {
  return whole_checksum(entry, value) == entry->checksum;
}

/* What is spelled out here is the longest line without its key. */
size_t record_bound(size_t key_size) {
  return key_size +
         sizeof "{\"batch\": 18446744073709551615, \"encoding\": \"pickle\", "
                "\"expiration\": -9223372036854775808, \"key\": , \"offset\": 18446744073709551615, "
                "\"prev\": 18446744073709551615, \"size\": 18446744073709551615, "
                "\"timestamp\": -9223372036854775808, \"type\": \"set\", "
                "\"checksum\": 18446744073709551615}\n";
}

static inline char *put(char *out, const char *bytes, size_t size) {
  memcpy(out, bytes, size);
  return out + size;
}

#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)
#define PUT_COUNT(out, name, value) put_count(PUT(out, "\"" name "\": "), value)
#define PUT_INTEGER(out, name, value) put_integer(PUT(out, "\"" name "\": "), value)

static inline char *put_count(char *out, uint64_t value) {
  return PUT(out + number_print_unsigned(out, value), ", ");
}

static inline char *put_integer(char *out, int64_t value) {
  return PUT(out + number_print_integer(out, value), ", ");
}

static char *put_encoding(char *out, vdb_encoding encoding) {
  out = PUT(out, "\"encoding\": \"");
  out = put(out, encodings[encoding].name, encodings[encoding].size);
  return PUT(out, "\", ");
}

size_t record_print(char *out, record *entry, const void *value) {
  bool set = entry->type == RECORD_SET;
  char *at = PUT(out, "{");
  if (entry->batch > 0) at = PUT_COUNT(at, "batch", entry->batch);
  if (set) at = put_encoding(at, entry->encoding);
  if (set && entry->expiration != VDB_NEVER) at = PUT_INTEGER(at, "expiration", entry->expiration);
  at = PUT(put(PUT(at, "\"key\": "), entry->key, entry->key_size), ", ");
  if (set) at = PUT_COUNT(at, "offset", entry->offset);
  if (entry->prev != RECORD_NONE) at = PUT_COUNT(at, "prev", entry->prev);
  if (set) at = PUT_COUNT(at, "size", entry->value_size);
  at = PUT_INTEGER(at, "timestamp", entry->timestamp);
  at = set ? PUT(at, "\"type\": \"set\"") : PUT(at, "\"type\": \"del\"");
  *at = '}';
  entry->line_crc = crc32_update(0, out, (size_t)(at + 1 - out));
  entry->checksum = whole_checksum(entry, value);
  at = PUT(at, ", \"checksum\": ");
  at = PUT(at + number_print_unsigned(at, entry->checksum), "}\n");
  entry->line_size = (size_t)(at - out);
  return entry->line_size;
}

/* What is left of a line. A take steps over what it finds, or says no. */
typedef struct cursor {
  const char *at, *end;
} cursor;

static inline bool take(cursor *c, const char *literal, size_t size) {
  if ((size_t)(c->end - c->at) < size || memcmp(c->at, literal, size) != 0) return false;
  c->at += size;
  return true;
}

#define TAKE(c, literal) take(c, literal, sizeof(literal) - 1)
#define TAKE_NAME(c, name) TAKE(c, "\"" name "\": ")

/* Decimal digits as record_print prints them, at most `limit`. */
static inline bool take_digits(cursor *c, uint64_t limit, uint64_t *value) {
  const char *first = c->at;
  uint64_t sum = 0;
  while (c->at < c->end && (unsigned)(*c->at - '0') <= 9) sum = sum * 10 + (unsigned)(*c->at++ - '0');
  ptrdiff_t length = c->at - first;
  *value = sum;
  return length > 0 && length <= 19 && sum <= limit && (*first != '0' || length == 1);
}

static inline bool take_count(cursor *c, uint64_t *value) {
  return take_digits(c, INT64_MAX, value) && TAKE(c, ", ");
}

static inline bool take_integer(cursor *c, int64_t *value) {
  uint64_t magnitude;
  bool negative = TAKE(c, "-");
  if (!take_digits(c, (uint64_t)INT64_MAX + negative, &magnitude) || (negative && magnitude == 0))
    return false;
  *value = (int64_t)(negative ? 0 - magnitude : magnitude);
  return TAKE(c, ", ");
}

static bool take_encoding(cursor *c, vdb_encoding *encoding) {
  for (size_t i = 0; i < ENCODINGS; i++) {
    if (!take(c, encodings[i].name, encodings[i].size)) continue;
    *encoding = (vdb_encoding)i;
    return TAKE(c, "\", ");
  }
  return false;
}

/* The fields before the key. Which of them are there tells the type, long before the field that says it. */
static bool take_head(cursor *c, record *entry) {
  entry->batch = 0;
  entry->encoding = VDB_JSON;
  entry->expiration = VDB_NEVER;
  if (!TAKE(c, "{")) return false;
  if (TAKE_NAME(c, "batch") && (!take_count(c, &entry->batch) || entry->batch == 0)) return false;
  entry->type = TAKE(c, "\"encoding\": \"") ? RECORD_SET : RECORD_DEL;
  if (entry->type == RECORD_SET) {
    if (!take_encoding(c, &entry->encoding)) return false;
    if (TAKE_NAME(c, "expiration") &&
        (!take_integer(c, &entry->expiration) || entry->expiration == VDB_NEVER))
      return false;
  }
  return TAKE_NAME(c, "key");
}

static bool take_key(cursor *c, record *entry) {
  entry->key = c->at;
  entry->key_size = record_scan_key(c->at, (size_t)(c->end - c->at));
  c->at += entry->key_size;
  return entry->key_size > 0 && TAKE(c, ", ");
}

static bool take_tail(cursor *c, record *entry) {
  bool set = entry->type == RECORD_SET;
  entry->prev = RECORD_NONE;
  if (!set) entry->offset = entry->value_size = 0;
  if (set && !(TAKE_NAME(c, "offset") && take_count(c, &entry->offset))) return false;
  if (TAKE_NAME(c, "prev") && !take_count(c, &entry->prev)) return false;
  if (set && !(TAKE_NAME(c, "size") && take_count(c, &entry->value_size))) return false;
  if (!TAKE_NAME(c, "timestamp") || !take_integer(c, &entry->timestamp)) return false;
  return set ? TAKE(c, "\"type\": \"set\"") : TAKE(c, "\"type\": \"del\"");
}

static bool take_checksum(cursor *c, uint32_t *checksum) {
  uint64_t value;
  if (!TAKE(c, ", \"checksum\": ") || !take_digits(c, UINT32_MAX, &value)) return false;
  *checksum = (uint32_t)value;
  return TAKE(c, "}\n");
}

static bool parse_ours(const char *line, size_t size, record *entry) {
  cursor c = {line, line + size};
  if (!take_head(&c, entry) || !take_key(&c, entry) || !take_tail(&c, entry)) return false;
  entry->line_crc = crc32_update(crc32_update(0, line, (size_t)(c.at - line)), "}", 1);
  if (!take_checksum(&c, &entry->checksum)) return false;
  entry->line_size = (size_t)(c.at - line);
  return true;
}

vdb_status record_parse(const char *line, size_t size, record *entry, record_scratch *scratch) {
  if (size > RECORD_LINE_MAX) size = RECORD_LINE_MAX;
  if (parse_ours(line, size, entry)) return VDB_OK;
  return record_parse_foreign(line, size, entry, scratch);
}
