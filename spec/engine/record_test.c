/*
** record_test.c - key log lines: what is printed, what is accepted, what is refused, and that no damage goes
** unseen.
*/
#include "../../src/engine/record.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"

#ifndef SPEC_DIR
#define SPEC_DIR "spec"
#endif

static const char *spec_dir = SPEC_DIR;
static record_scratch scratch;

/* Parses from memory of exactly this size, so that a sanitizer sees a read beyond it. `entry` may be NULL. */
static vdb_status parse_status(const char *line, size_t size, record *entry) {
  record ignored;
  char *copy = malloc(size > 0 ? size : 1);
  memcpy(copy, line, size);
  vdb_status status = record_parse(copy, size, &ignored, &scratch);
  free(copy);
  return entry != NULL && status == VDB_OK ? record_parse(line, size, entry, &scratch) : status;
}

static bool same_record(const record *a, const record *b) {
  return a->type == b->type && a->encoding == b->encoding && a->key_size == b->key_size &&
         memcmp(a->key, b->key, a->key_size) == 0 && a->offset == b->offset &&
         a->value_size == b->value_size && a->timestamp == b->timestamp && a->expiration == b->expiration &&
         a->prev == b->prev && a->batch == b->batch;
}

static bool is_ours(const record *entry, const char *line, size_t size) {
  return entry->key >= line && entry->key < line + size;
}

/* The lines of the format's description. */

#define KEY(text) .key = (text), .key_size = sizeof(text) - 1
#define COMMON .expiration = VDB_NEVER, .prev = RECORD_NONE

static const char hello_line[] =
    "{\"encoding\": \"json\", \"key\": \"hello\", \"offset\": 0, \"size\": 10, "
    "\"timestamp\": 1795332034289, \"type\": \"set\", \"checksum\": 2101668293}\n";
static const char again_line[] =
    "{\"encoding\": \"json\", \"expiration\": 1795332094300, \"key\": \"hello\", \"offset\": 10, \"prev\": "
    "0, "
    "\"size\": 2, \"timestamp\": 1795332034300, \"type\": \"set\", \"checksum\": 1759260190}\n";

static void holds(const char *line, const char *value, record expected) {
  char out[512];
  record printed = expected, entry;
  size_t size = record_print(out, &printed, value);
  ok(size == strlen(line) && memcmp(out, line, size) == 0 && size <= record_bound(expected.key_size),
     "%.60s... is printed", line);
  bool parsed = parse_status(line, size, &entry) == VDB_OK && same_record(&entry, &expected);
  ok(parsed && is_ours(&entry, line, size), "it is read back where it stands");
  ok(entry.checksum == printed.checksum && entry.line_crc == printed.line_crc && entry.line_size == size &&
         printed.line_size == size && record_intact(&entry, value),
     "its checksum is that of the line and the value");
}

static void test_lines_of_the_format(void) {
  holds(hello_line, "\"ViperDB!\"",
        (record){.type = RECORD_SET, KEY("\"hello\""), .value_size = 10, .timestamp = 1795332034289, COMMON});
  holds(again_line, "42",
        (record){.type = RECORD_SET,
                 .expiration = 1795332094300,
                 KEY("\"hello\""),
                 .offset = 10,
                 .value_size = 2,
                 .timestamp = 1795332034300});
  holds("{\"key\": \"hello\", \"prev\": 129, \"timestamp\": 1795332034400, \"type\": \"del\", \"checksum\": "
        "528775530}\n",
        NULL,
        (record){.type = RECORD_DEL,
                 KEY("\"hello\""),
                 .prev = 129,
                 .timestamp = 1795332034400,
                 .expiration = VDB_NEVER});
  holds("{\"batch\": 1, \"encoding\": \"bytes\", \"key\": 42, \"offset\": 12, \"size\": 2, "
        "\"timestamp\": 1795332034500, \"type\": \"set\", \"checksum\": 2837191732}\n",
        "\xFF",
        (record){.type = RECORD_SET,
                 .batch = 1,
                 .encoding = VDB_BYTES,
                 KEY("42"),
                 .offset = 12,
                 .value_size = 2,
                 .timestamp = 1795332034500,
                 COMMON});
  holds("{\"key\": \"cl\\u00e9 \\ud83d\\udc0d\\u007f\\udc80\", \"timestamp\": 1795332034500, \"type\": "
        "\"del\", "
        "\"checksum\": 4083520135}\n",
        NULL,
        (record){.type = RECORD_DEL,
                 KEY("\"cl\\u00e9 \\ud83d\\udc0d\\u007f\\udc80\""),
                 .timestamp = 1795332034500,
                 COMMON});
}

static void test_greatest_numbers(void) {
  char out[512];
  record greatest = {.type = RECORD_SET,
                     .encoding = VDB_PICKLE,
                     KEY("true"),
                     .offset = INT64_MAX,
                     .timestamp = INT64_MAX,
                     .expiration = INT64_MAX - 1,
                     .prev = INT64_MAX,
                     .batch = INT64_MAX},
         back;
  size_t size = record_print(out, &greatest, NULL);
  ok(size <= record_bound(4), "the longest line is within its bound");
  ok(parse_status(out, size, &back) == VDB_OK && same_record(&greatest, &back) && is_ours(&back, out, size),
     "the greatest numbers come back");
  greatest.timestamp = greatest.expiration = INT64_MIN;
  size = record_print(out, &greatest, NULL);
  ok(size <= record_bound(4) && parse_status(out, size, &back) == VDB_OK && same_record(&greatest, &back) &&
         is_ours(&back, out, size),
     "so do the least");
}

/* Files. */

typedef struct file {
  char bytes[128 * 1024]; /* ends with a zero byte */
  size_t size;
} file;

static file lines, values, keys;

static void read_file(file *found, const char *folder, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/fixtures/%s/%s", spec_dir, folder, name);
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) printf("Bail out! cannot read %s\n", path), exit(1);
  found->size = fread(found->bytes, 1, sizeof found->bytes - 1, stream);
  found->bytes[found->size] = '\0';
  fclose(stream);
}

/* How many lines of a store of the original are intact, refused, or not those of their values. */
static void original_store(const char *name, unsigned intact, unsigned refused, unsigned damaged) {
  char folder[256];
  snprintf(folder, sizeof folder, "python-viperdb/%s", name);
  read_file(&lines, folder, "db.klog");
  read_file(&values, folder, "db.vlog");
  unsigned found[3] = {0, 0, 0};
  for (const char *line = lines.bytes, *end = line + lines.size; line < end;) {
    record entry;
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    if (record_parse(line, (size_t)(end - line), &entry, &scratch) != VDB_OK) found[1]++;
    else if (entry.type == RECORD_SET && entry.offset + entry.value_size > values.size) found[2]++;
    else found[record_intact(&entry, values.bytes + entry.offset) ? 0 : 2]++;
    line = newline == NULL ? end : newline + 1;
  }
  ok(found[0] == intact && found[1] == refused && found[2] == damaged,
     "the original's store %s: %u lines are intact, %u refused, %u damaged", name, found[0], found[1],
     found[2]);
}

static void test_stores_of_the_original(void) {
  original_store("values", 44, 0, 0);
  original_store("overwrites", 546, 0, 0);
  original_store("reclaimed", 78, 0, 0);
  original_store("expiry", 6, 0, 0);
  original_store("expired_then_deleted", 3, 0, 0);
  original_store("unclean_with_deletes", 75, 0, 0);
  original_store("torn", 49, 1, 0);
  original_store("bad_line", 9, 1, 0);
  original_store("bad_value", 9, 0, 1);
}

/* Lines as any JSON writer might print them, with checksums that Python computed, and the key each has. */
static void test_foreign_lines(void) {
  read_file(&lines, "foreign", "db.klog");
  read_file(&keys, "foreign", "keys");
  const char *line = lines.bytes, *end = line + lines.size, *key = keys.bytes, *key_end = key + keys.size;
  for (int number = 1; line < end && key < key_end; number++) {
    size_t key_size = strcspn(key, "\n");
    record entry = {0};
    vdb_status status = record_parse(line, (size_t)(end - line), &entry, &scratch);
    bool good = status == VDB_OK && entry.key_size == key_size && memcmp(entry.key, key, key_size) == 0;
    ok(good && record_intact(&entry, NULL), "line %d of another writer is intact and has its key", number);
    line += strcspn(line, "\n") + 1;
    key += key_size + 1;
  }
  ok(line == end && key == key_end, "that was all of them");
}

/* A line with one field replaced, in our order and the other way round. */

static const char *const fields[][2] = {
    {"encoding", "\"json\""}, {"key", "\"k\""},    {"offset", "0"},           {"size", "2"},
    {"timestamp", "1"},       {"type", "\"set\""}, {"checksum", "4294967295"}};

enum { FIELDS = sizeof fields / sizeof *fields };

static size_t print_with(char *out, const char *name, const char *text, bool backwards) {
  char *at = out;
  const char *separator = "{";
  for (int i = 0; i < FIELDS; i++) {
    const char *const *field = fields[backwards ? FIELDS - 1 - i : i];
    const char *value = strcmp(field[0], name) == 0 ? text : field[1];
    if (value == NULL) continue;
    at += sprintf(at, "%s\"%s\": %s", separator, field[0], value);
    separator = ", ";
  }
  return (size_t)(at + sprintf(at, "}\n") - out);
}

static void field_gives(const char *name, const char *text, vdb_status expected) {
  char line[512];
  size_t size = print_with(line, name, text, false);
  vdb_status forwards = parse_status(line, size, NULL);
  size = print_with(line, name, text, true);
  vdb_status backwards = parse_status(line, size, NULL);
  ok(forwards == expected && backwards == expected, "%s %s is %s", text == NULL ? "missing" : text, name,
     vdb_status_name(expected));
}

static void test_each_field(void) {
  static const char *const counts[] = {"offset", "size", "checksum"};
  static const char *const not_integers[] = {NULL,   "1.0", "1e0", "01",  "+1",  "\"1\"", "true",
                                             "null", "[]",  "{}",  "NaN", "- 1", ""};
  for (size_t i = 0; i < sizeof not_integers / sizeof *not_integers; i++) {
    for (size_t n = 0; n < 3; n++) field_gives(counts[n], not_integers[i], VDB_CORRUPT);
    field_gives("timestamp", not_integers[i], VDB_CORRUPT);
  }
  for (size_t n = 0; n < 3; n++) field_gives(counts[n], "-1", VDB_CORRUPT);
  for (size_t n = 0; n < 2; n++) {
    field_gives(counts[n], "9223372036854775807", VDB_OK);
    field_gives(counts[n], "9223372036854775808", VDB_UNSUPPORTED);
    field_gives(counts[n], "99999999999999999999999", VDB_UNSUPPORTED);
  }
  field_gives("checksum", "4294967296", VDB_CORRUPT);
  field_gives("checksum", "18446744073709551616", VDB_CORRUPT);
  field_gives("timestamp", "-9223372036854775808", VDB_OK);
  field_gives("timestamp", "9223372036854775808", VDB_UNSUPPORTED);
  field_gives("encoding", "\"yaml\"", VDB_UNSUPPORTED);
  field_gives("encoding", "\"jso\"", VDB_UNSUPPORTED);
  field_gives("encoding", "json", VDB_CORRUPT);
  field_gives("encoding", "1", VDB_CORRUPT);
  field_gives("encoding", NULL, VDB_CORRUPT);
  field_gives("type", "\"put\"", VDB_CORRUPT);
  field_gives("type", "\"del\"", VDB_OK);
  field_gives("type", "1", VDB_CORRUPT);
  field_gives("type", NULL, VDB_CORRUPT);
}

static void test_each_key(void) {
  static const char *const unsupported[] = {"null",
                                            "[]",
                                            "{\"a\": 1}",
                                            "NaN",
                                            "1e400",
                                            "-1e400",
                                            "\"\\ud800\"",
                                            "\"\\udcc3\\udca9\"",
                                            "\"\\udc7f\"",
                                            "9223372036854775808",
                                            "-9223372036854775809"};
  static const char *const corrupt[] = {NULL,
                                        "nul",
                                        "-",
                                        "1.",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12g4\"",
                                        "\"\\u12G4\"",
                                        "\"\t\"",
                                        "\"\xC3\"",
                                        "\"\xED\xA0\x80\"",
                                        "[1",
                                        "'a'"};
  for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
    field_gives("key", unsupported[i], VDB_UNSUPPORTED);
  for (size_t i = 0; i < sizeof corrupt / sizeof *corrupt; i++) field_gives("key", corrupt[i], VDB_CORRUPT);
}

/* Whether a `set` line with these fields in front of the others is read, and its record. */
static vdb_status with_extra(const char *extra, record *entry) {
  static char line[1024];
  int size = snprintf(line, sizeof line,
                      "{%s, \"encoding\": \"json\", \"key\": 1, \"offset\": 0, \"size\": 0, "
                      "\"timestamp\": 1, \"type\": \"set\", \"checksum\": 0}\n",
                      extra);
  return parse_status(line, (size_t)size, entry);
}

static void expires(const char *text, int64_t expected) {
  char extra[64];
  record entry;
  snprintf(extra, sizeof extra, "\"expiration\": %s", text);
  ok(with_extra(extra, &entry) == VDB_OK && entry.expiration == expected, "an expiration of %s is read",
     text);
}

static void test_optional_fields(void) {
  record entry;
  expires("1000", 1000);
  expires("-1", -1);
  expires("null", VDB_NEVER);
  expires("1000.75", 1000);
  expires("-1000.25", -1001);
  expires("-0.0", 0);
  expires("9223372036854775807", VDB_NEVER);
  ok(with_extra("\"expiration\": 9.3e18", &entry) == VDB_UNSUPPORTED,
     "an expiration beyond 64 bits is refused");
  ok(with_extra("\"expiration\": Infinity", &entry) == VDB_UNSUPPORTED, "so is an infinite one");
  ok(with_extra("\"expiration\": \"1\"", &entry) == VDB_CORRUPT, "a string is no expiration");
  ok(with_extra("\"batch\": 0, \"prev\": 7", &entry) == VDB_OK && entry.batch == 0 && entry.prev == 7,
     "a batch of no more lines is as none, and prev may stand anywhere");
  ok(with_extra("\"batch\": -1", &entry) == VDB_CORRUPT, "a batch has no negative number of lines");
  ok(with_extra("\"prev\": 01", &entry) == VDB_CORRUPT, "an offset has no leading zero");
  ok(with_extra("\"prev\": null", &entry) == VDB_CORRUPT, "an offset is a number");
  ok(with_extra("\"note\": [", &entry) == VDB_CORRUPT, "an unknown field must be JSON too");
  ok(with_extra("\"batch\": -1, \"prev\": 9223372036854775808", &entry) == VDB_CORRUPT,
     "a line that is damaged is not called unsupported");
}

static const char *const almost_ours[] = {
    "{\"key\": 1, \"prev\": \"timestamp\": 1, \"type\": \"del\", \"checksum\": 1}\n",
    "{\"key\": 1, \"prev\": 01\"timestamp\": 1, \"type\": \"del\", \"checksum\": 1}\n",
    "{\"batch\": \"key\": 1, \"timestamp\": 1, \"type\": \"del\", \"checksum\": 1}\n",
    "{\"key\": , \"timestamp\": 1, \"type\": \"del\", \"checksum\": 1}\n",
    "{\"key\": 1, \"timestamp\": -, \"type\": \"del\", \"checksum\": 1}\n",
    "{\"key\": 1, \"timestamp\": 1, \"type\": \"del\", \"checksum\": }\n",
    "{\"key\": 1, \"timestamp\": 1, \"type\": \"del\"}\n",
    "{\"key\": 1, \"timestamp\": 1, \"type\": \"del\", \"checksum\": 1}}\n",
    "{\"key\": 1, \"timestamp\": 1, \"type\": \"set\", \"checksum\": 1}\n"};

static void test_what_is_no_line(void) {
  static const char *const texts[] = {"\n",     "{}\n", "[]\n",    "{\n",       "}\n",
                                      "null\n", "1\n",  "\"a\"\n", "{\"a\"}\n", "{,}\n"};
  unsigned accepted = 0;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    accepted += parse_status(texts[i], strlen(texts[i]), NULL) != VDB_CORRUPT;
  ok(accepted == 0, "a blank line or other JSON is no line");
  for (size_t i = 0; i < sizeof almost_ours / sizeof *almost_ours; i++)
    accepted += parse_status(almost_ours[i], strlen(almost_ours[i]), NULL) != VDB_CORRUPT;
  ok(accepted == 0, "a line in our order must be whole");
  for (size_t size = 0; size < sizeof again_line - 1; size++)
    accepted += parse_status(again_line, size, NULL) != VDB_CORRUPT;
  ok(accepted == 0, "a line that ends early is torn, wherever it ends");
}

static vdb_status nested(const char *open, const char *close, int depth) {
  char extra[512];
  record entry;
  char *at = extra + sprintf(extra, "\"note\": ");
  for (int i = 0; i < depth; i++) at += sprintf(at, "%s", open);
  for (int i = 0; i < depth; i++) at += sprintf(at, "%s", close);
  return with_extra(extra, &entry);
}

static void test_limits(void) {
  static char line[RECORD_LINE_MAX + 1];
  record entry;
  ok(nested("[", "]", 31) == VDB_OK && nested("[", "]", 32) == VDB_UNSUPPORTED, "arrays nest 31 deep");
  ok(nested("{\"\":", "}", 31) == VDB_CORRUPT && nested("{\"\":[", "]}", 15) == VDB_OK, "so do objects");
  ok(with_extra("\"note\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", &entry) == VDB_UNSUPPORTED,
     "what is nested deeper is not looked into");
  memset(line, ' ', sizeof line);
  memcpy(line + RECORD_LINE_MAX - sizeof hello_line + 1, hello_line, sizeof hello_line - 1);
  ok(record_parse(line, RECORD_LINE_MAX, &entry, &scratch) == VDB_OK && record_intact(&entry, "\"ViperDB!\""),
     "a line of the greatest length is read");
  memmove(line + 1, line, RECORD_LINE_MAX);
  ok(record_parse(line, RECORD_LINE_MAX + 1, &entry, &scratch) == VDB_CORRUPT, "a longer one is refused");
}

/* The line_crc of a line with an unknown field: `head`, `unit` many times, `tail`. Read with fresh memory. */
static uint32_t crc_of_repeated(const char *head, const char *unit, const char *tail) {
  static char line[64 * 1024];
  record_scratch fresh = {0};
  record entry = {0};
  char *at = line + sprintf(line, "{\"x\": %s", head);
  for (int i = 0; i < 2000; i++) at += sprintf(at, "%s", unit);
  at += sprintf(at, "%s, \"type\": \"del\", \"key\": 1, \"timestamp\": 1, \"checksum\": 1}\n", tail);
  vdb_status status = record_parse(line, (size_t)(at - line), &entry, &fresh);
  record_scratch_free(&fresh);
  return status == VDB_OK ? entry.line_crc : 0;
}

static void test_what_prints_longer_than_it_stands(void) {
  uint32_t crc = crc_of_repeated("{\"y\": \"", "\\u007f", "\"}");
  ok(crc != 0 && crc_of_repeated("{\"y\": \"", "\x7f", "\"}") == crc, "a raw byte is checked as its escape");
  crc = crc_of_repeated("{\"y\": [0", ", 1000000000000000.0", "]}");
  ok(crc != 0 && crc_of_repeated("{\"y\":[0", ",1e15", "]}") == crc,
     "a short float is checked as the long one");
  crc = crc_of_repeated("{", "", "\"\": 1}");
  ok(crc != 0 && crc_of_repeated("{", "\"\":0,", "\"\":1}") == crc, "many names are checked as the last");
}

/* Puts every byte in every place: what is still read as intact must say the same. */
static void no_damage_unseen(const char *line, const char *value) {
  char damaged[512];
  size_t size = strlen(line);
  record_scratch other = {0};
  record original, entry;
  unsigned unseen = 0;
  bool parsed = record_parse(line, size, &original, &other) == VDB_OK && record_intact(&original, value);
  for (size_t at = 0; at < size; at++)
    for (int byte = 0; byte < 256; byte++) {
      memcpy(damaged, line, size);
      damaged[at] = (char)byte;
      if (record_parse(damaged, size, &entry, &scratch) != VDB_OK) continue;
      if (entry.value_size != original.value_size && entry.type == RECORD_SET)
        continue; /* other value bytes */
      unseen += record_intact(&entry, value) && !same_record(&entry, &original);
    }
  ok(parsed && unseen == 0, "no damaged byte goes unseen in %.40s...", line);
  record_scratch_free(&other);
}

static void test_damage(void) {
  no_damage_unseen(hello_line, "\"ViperDB!\"");
  no_damage_unseen(again_line, "42");
  no_damage_unseen(
      "{\"type\": \"set\", \"timestamp\": 1795332034291, \"key\": \"bytes_empty\", \"encoding\": \"bytes\", "
      "\"offset\": 762, \"size\": 0, \"checksum\": 2262499474}\n",
      "");
  no_damage_unseen("{\"key\": -Infinity,\"type\":\"del\",\"timestamp\":1, \"checksum\": 1342543592}\n", "");
}

static void test_encodings(void) {
  unsigned wrong = 0;
  for (int i = VDB_JSON; i <= VDB_PICKLE; i++) {
    vdb_encoding encoding;
    const char *name = record_encoding_name((vdb_encoding)i);
    wrong += !record_encoding_named(name, strlen(name), &encoding) || encoding != (vdb_encoding)i;
  }
  ok(wrong == 0, "an encoding has one name");
}

int main(int count, char **arguments) {
  if (count > 1) spec_dir = arguments[1];
  test_lines_of_the_format();
  test_greatest_numbers();
  test_stores_of_the_original();
  test_foreign_lines();
  test_each_field();
  test_each_key();
  test_optional_fields();
  test_what_is_no_line();
  test_limits();
  test_what_prints_longer_than_it_stands();
  test_damage();
  test_encodings();
  record_scratch_free(&scratch);
  return done_testing();
}
