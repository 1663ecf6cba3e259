/*
** record_foreign.c - key log lines that are not in our order: whatever Python's json reads as an object.
**
** The checksum of such a line covers what json.dumps(fields, sort_keys=True) would print, so the line is
** printed that way, and the fields are read from what is printed: one text for each thing they can say.
**
** - Any field may be there; what this format does not know is checksummed and otherwise ignored. Of fields
**   with one name the last counts, as for Python.
** - An expiration may be null (none) or a float (rounded down). Other numbers are integers.
** - All memory is one block in the scratch, a constant factor of the line.
*/
#include <stdlib.h>
#include <string.h>

#include "../text/number.h"
#include "../text/python_json.h"
#include "crc32.h"
#include "record_parts.h"

void record_scratch_free(record_scratch *scratch) {
  free(scratch->bytes);
  *scratch = (record_scratch){0};
}

static bool reserve(record_scratch *scratch, size_t size) {
  if (size <= scratch->size) return true;
  record_scratch_free(scratch);
  scratch->bytes = malloc(size);
  if (scratch->bytes != NULL) scratch->size = size;
  return scratch->bytes != NULL;
}

typedef enum field_name {
  BATCH,
  CHECKSUM,
  ENCODING,
  EXPIRATION,
  KEY,
  OFFSET,
  PREV,
  SIZE,
  TIMESTAMP,
  TYPE,
  UNKNOWN
} field_name;

#define BIT(name) (1u << (name))
#define DEL_FIELDS (BIT(CHECKSUM) | BIT(KEY) | BIT(TIMESTAMP) | BIT(TYPE))
#define SET_FIELDS (DEL_FIELDS | BIT(ENCODING) | BIT(OFFSET) | BIT(SIZE))

#define QUOTED(name)                                                                                         \
  { "\"" name "\"", sizeof(name) + 1 }

static field_name name_of(const python_member *f) {
  static const struct {
    const char *text;
    size_t size;
  } names[] = {
      [BATCH] = QUOTED("batch"),
      [CHECKSUM] = QUOTED("checksum"),
      [ENCODING] = QUOTED("encoding"),
      [EXPIRATION] = QUOTED("expiration"),
      [KEY] = QUOTED("key"),
      [OFFSET] = QUOTED("offset"),
      [PREV] = QUOTED("prev"),
      [SIZE] = QUOTED("size"),
      [TIMESTAMP] = QUOTED("timestamp"),
      [TYPE] = QUOTED("type"),
  };
  for (size_t i = 0; i < UNKNOWN; i++)
    if (f->name_size == names[i].size && memcmp(f->name, names[i].text, names[i].size) == 0)
      return (field_name)i;
  return UNKNOWN;
}

static vdb_status read_integer(const python_member *f, int64_t *value) {
  number parsed;
  if (f->kind != PYTHON_INTEGER) return VDB_CORRUPT;
  number_parse(f->value, f->value_size, &parsed);
  *value = parsed.integer;
  return parsed.kind == NUMBER_INTEGER ? VDB_OK : VDB_UNSUPPORTED;
}

static vdb_status read_count(const python_member *f, uint64_t *value) {
  int64_t integer = 0;
  vdb_status status = read_integer(f, &integer);
  *value = (uint64_t)integer;
  return integer < 0 ? VDB_CORRUPT : status;
}

static vdb_status read_checksum(const python_member *f, uint32_t *value) {
  uint64_t count;
  if (read_count(f, &count) != VDB_OK || count > UINT32_MAX) return VDB_CORRUPT;
  *value = (uint32_t)count;
  return VDB_OK;
}

static vdb_status read_expiration(const python_member *f, int64_t *value) {
  number parsed;
  if (f->kind == PYTHON_NULL) return VDB_OK;
  if (f->kind == PYTHON_INFINITY || f->kind == PYTHON_NO_FLOAT) return VDB_UNSUPPORTED;
  if (f->kind != PYTHON_FLOAT) return read_integer(f, value);
  number_parse(f->value, f->value_size, &parsed);
  if (parsed.real < -0x1p63 || parsed.real >= 0x1p63) return VDB_UNSUPPORTED;
  *value = (int64_t)parsed.real;
  if ((double)*value > parsed.real) --*value;
  return VDB_OK;
}

static vdb_status read_encoding(const python_member *f, vdb_encoding *encoding) {
  if (f->kind != PYTHON_STRING) return VDB_CORRUPT;
  return record_encoding_named(f->value + 1, f->value_size - 2, encoding) ? VDB_OK : VDB_UNSUPPORTED;
}

static bool is_text(const python_member *f, const char *text) {
  size_t size = strlen(text);
  return f->value_size == size && memcmp(f->value, text, size) == 0;
}

static vdb_status read_type(const python_member *f, record_type *type) {
  *type = is_text(f, "\"set\"") ? RECORD_SET : RECORD_DEL;
  return *type == RECORD_SET || is_text(f, "\"del\"") ? VDB_OK : VDB_CORRUPT;
}

/* A float's text may not be the canonical one of its key, which is then printed behind everything else. */
static vdb_status read_key(python_reader *in, const python_member *f, record *entry) {
  if (f->kind == PYTHON_NO_FLOAT) return VDB_UNSUPPORTED;
  entry->key = f->value;
  entry->key_size = f->value_size;
  if (f->kind == PYTHON_FLOAT) {
    number parsed;
    number_parse(f->value, f->value_size, &parsed);
    entry->key = in->out;
    entry->key_size = record_print_key(in->out, &(vdb_key){.type = VDB_FLOAT, .number = parsed.real});
    in->out += entry->key_size;
  }
  return record_scan_key(entry->key, entry->key_size) == entry->key_size ? VDB_OK : VDB_UNSUPPORTED;
}

static vdb_status read_field(python_reader *in, const python_member *f, field_name name, record *entry) {
  switch (name) {
  case BATCH: return read_count(f, &entry->batch);
  case CHECKSUM: return read_checksum(f, &entry->checksum);
  case ENCODING: return read_encoding(f, &entry->encoding);
  case EXPIRATION: return read_expiration(f, &entry->expiration);
  case KEY: return read_key(in, f, entry);
  case OFFSET: return read_count(f, &entry->offset);
  case PREV: return read_count(f, &entry->prev);
  case SIZE: return read_count(f, &entry->value_size);
  case TIMESTAMP: return read_integer(f, &entry->timestamp);
  case TYPE: return read_type(f, &entry->type);
  case UNKNOWN: break;
  }
  return VDB_OK;
}

/* Damage is reported before what is merely not supported. Takes the checksum out of the fields. */
static vdb_status read_fields(python_reader *in, python_member *first, record *entry) {
  vdb_status result = VDB_OK;
  unsigned seen = 0;
  python_member *end = in->members;
  in->members = first;
  for (python_member *f = first; f < end; f++) {
    field_name name = name_of(f);
    vdb_status status = read_field(in, f, name, entry);
    if (status == VDB_CORRUPT) return VDB_CORRUPT;
    if (status != VDB_OK) result = status;
    seen |= BIT(name);
    if (name != CHECKSUM) *in->members++ = *f;
  }
  unsigned required = entry->type == RECORD_SET ? SET_FIELDS : DEL_FIELDS;
  return (seen & required) == required ? result : VDB_CORRUPT;
}

/* A `del` has no value, whatever fields its line has. */
static void drop_value(record *entry) {
  entry->encoding = VDB_JSON;
  entry->offset = entry->value_size = 0;
  entry->expiration = VDB_NEVER;
}

vdb_status record_parse_foreign(const char *line, size_t size, record *entry, record_scratch *scratch) {
  const char *newline = memchr(line, '\n', size);
  if (newline == NULL) return VDB_CORRUPT;
  size_t length = (size_t)(newline - line);
  if (!reserve(scratch, python_memory(length) + NUMBER_FLOAT_SIZE)) return VDB_NO_MEMORY;
  python_reader in;
  python_begin(&in, line, length, scratch->bytes);
  python_member *first = in.members;
  if (!python_read_object(&in)) return in.too_deep ? VDB_UNSUPPORTED : VDB_CORRUPT;
  *entry = (record){.expiration = VDB_NEVER, .prev = RECORD_NONE, .line_size = length + 1};
  vdb_status status = read_fields(&in, first, entry);
  if (status != VDB_OK) return status;
  if (entry->type == RECORD_DEL) drop_value(entry);
  char *printed = in.out;
  python_put_object(&in, first);
  entry->line_crc = crc32_update(0, printed, (size_t)(in.out - printed));
  return VDB_OK;
}
