/*
** record_fuzz.c - libFuzzer target for key log lines.
**
** Whatever line is accepted must mean one thing: both ways of parsing agree, what is printed for it is read
** back as the same record, and printing that changes nothing. Its checksum is repaired, so that mutations get
** past the check.
**
**   clang -g -O1 -fsanitize=fuzzer,address,undefined spec/fuzz/record_fuzz.c src/engine/record*.c
**     src/engine/crc32.c src/engine/error.c src/text/[a-z]*.c -o record_fuzz
**   ./record_fuzz -max_len=4096 spec/fuzz/corpus/record
*/
#include "../../src/engine/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/engine/crc32.h"
#include "../../src/engine/record_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char value[64] = "what the checksum covers behind the line";
static record_scratch scratch, other_scratch;

static void require_that(bool truth, const char *sentence) {
  if (truth) return;
  fprintf(stderr, "%s\n", sentence);
  abort();
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

/* Only the bytes that the value has here; the others would be other bytes of a value log. */
static bool has_value(const record *entry) {
  return entry->type == RECORD_DEL || entry->value_size <= sizeof value;
}

static void check_key(const record *entry) {
  static char bytes[RECORD_KEY_TEXT_MAX], text[RECORD_KEY_TEXT_MAX];
  vdb_key key;
  require_that(record_read_key(entry->key, entry->key_size, bytes, &key), "a parsed key is canonical");
  require_that(record_check_key(&key, NULL) == VDB_OK, "a parsed key could have been stored");
  size_t text_size = record_print_key(text, &key);
  require_that(text_size == entry->key_size && memcmp(text, entry->key, text_size) == 0,
               "a key has one text");
}

static void check_both_ways(const record *entry, const char *line, size_t size) {
  record slow;
  require_that(record_parse_foreign(line, size, &slow, &other_scratch) == VDB_OK,
               "the slow way accepts the line");
  require_that(same_record(entry, &slow) && entry->line_crc == slow.line_crc &&
                   entry->checksum == slow.checksum && entry->line_size == slow.line_size,
               "and reads the same");
}

static void check_print(const record *entry, const char *line, size_t size) {
  static char first[RECORD_LINE_MAX], second[RECORD_LINE_MAX];
  record printed = *entry, back;
  size_t first_size = record_print(first, &printed, value);
  require_that(first_size <= record_bound(entry->key_size), "a line is within its bound");
  require_that(record_parse(first, first_size, &back, &other_scratch) == VDB_OK, "what is printed is read");
  require_that(is_ours(&back, first, first_size), "what is printed is in our order");
  require_that(same_record(entry, &back) && record_intact(&back, value), "what is printed means the same");
  size_t second_size = record_print(second, &back, value);
  require_that(first_size == second_size && memcmp(first, second, first_size) == 0,
               "printing again changes nothing");
  if (is_ours(entry, line, size))
    require_that(entry->line_crc == printed.line_crc, "a line in our order is what is printed");
}

/* Writes the checksum over the line's last one and returns the line's new size, 0 if it has none. */
static size_t repair(char *line, size_t size, uint32_t checksum) {
  static const char name[] = "\"checksum\": ";
  size_t at = size, name_size = sizeof name - 1;
  while (at >= name_size && memcmp(line + at - name_size, name, name_size) != 0) at--;
  if (at < name_size) return 0;
  char digits[16];
  size_t old = strspn(line + at, "0123456789"), fresh = (size_t)sprintf(digits, "%u", checksum);
  memmove(line + at + fresh, line + at + old, size - at - old);
  memcpy(line + at, digits, fresh);
  return size + fresh - old;
}

static void check_repaired(char *line, const record *entry) {
  record repaired;
  uint32_t right = entry->line_crc;
  if (entry->type == RECORD_SET) right = crc32_update(crc32_update(right, ":", 1), value, entry->value_size);
  size_t size = repair(line, entry->line_size, right);
  if (size == 0 || record_parse(line, size, &repaired, &other_scratch) != VDB_OK) return;
  if (repaired.line_crc != entry->line_crc || repaired.checksum != right)
    return; /* it stood inside a value */
  require_that(record_intact(&repaired, value), "a line with the right checksum is intact");
  repaired.checksum ^= 1;
  require_that(!record_intact(&repaired, value), "with another one it is not");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  record entry;
  char *line = malloc(size + 16); /* a repaired checksum may be longer */
  memcpy(line, bytes, size);
  line[size] = '\0';
  char *exact = malloc(size > 0 ? size : 1); /* a read beyond the line's memory is seen here */
  memcpy(exact, bytes, size);
  vdb_status status = record_parse(exact, size, &entry, &scratch);
  if (status == VDB_OK) {
    check_key(&entry);
    check_both_ways(&entry, exact, size);
    if (has_value(&entry)) {
      check_print(&entry, exact, size);
      check_repaired(line, &entry);
    }
  }
  free(exact);
  free(line);
  return 0;
}
