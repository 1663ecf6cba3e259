/*
** crc32_test.c - the checksum against published values and against the definition, a bit at a time.
*/
#define _DEFAULT_SOURCE
#include "../../src/engine/crc32.h"

#include <string.h>
#include <sys/mman.h>

#include "tap.h"

#define LONGEST 1024
#define ALIGNMENTS 64

static unsigned char text[LONGEST + ALIGNMENTS];

static void fill_text(void) {
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof text; i++) {
    state = state * 1664525u + 1013904223u;
    text[i] = (unsigned char)(state >> 24);
  }
}

/* The definition: shift a bit out, subtract the polynomial if it was set. */
static uint32_t definition(uint32_t crc, const unsigned char *bytes, size_t size) {
  crc = ~crc;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

static uint32_t of_string(const char *string) {
  return crc32_update(0, string, strlen(string));
}

static void test_known_values(void) {
  static const unsigned char zeros[32] = {0};
  unsigned char ones[32];
  memset(ones, 0xFF, sizeof ones);
  ok(of_string("") == 0, "the checksum of nothing is 0");
  ok(of_string("a") == 0xE8B7BE43, "one byte");
  ok(of_string("123456789") == 0xCBF43926, "the check value of the CRC catalogues");
  ok(of_string("The quick brown fox jumps over the lazy dog") == 0x414FA339, "a sentence of 43 bytes");
  ok(crc32_update(0, zeros, sizeof zeros) == 0x190A55AD, "32 zero bytes");
  ok(crc32_update(0, ones, sizeof ones) == 0xFF6CAB0B, "32 bytes of ones");
}

static void test_all_sizes_and_alignments(void) {
  unsigned wrong = 0;
  for (size_t at = 0; at < ALIGNMENTS; at++)
    for (size_t size = 0; size <= LONGEST; size++)
      wrong += crc32_update(0, text + at, size) != definition(0, text + at, size);
  ok(wrong == 0, "every size up to %d at every alignment has the checksum of the definition", LONGEST);
}

static void test_split_updates(void) {
  unsigned wrong = 0;
  for (size_t size = 0; size <= 300; size++) {
    uint32_t whole = definition(0, text, size);
    for (size_t first = 0; first <= size; first++) {
      uint32_t crc = crc32_update(crc32_update(0, text, first), text + first, size - first);
      wrong += crc != whole;
    }
  }
  ok(wrong == 0, "two parts checked one after the other have the checksum of the whole, wherever the cut");
}

/* Below 16 bytes the tables work alone, on every processor. */
static void test_small_pieces(void) {
  unsigned wrong = 0;
  for (size_t piece = 1; piece < 16; piece++) {
    uint32_t crc = 0;
    for (size_t at = 0; at < LONGEST; at += piece)
      crc = crc32_update(crc, text + at, piece < LONGEST - at ? piece : LONGEST - at);
    wrong += crc != definition(0, text, LONGEST);
  }
  ok(wrong == 0, "%d bytes in pieces of 1 to 15 have the checksum of the whole", LONGEST);
}

static void test_single_bits(void) {
  unsigned char bytes[160] = {0};
  unsigned wrong = 0;
  for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
    bytes[bit / 8] = (unsigned char)(1u << bit % 8);
    wrong += crc32_update(0, bytes, sizeof bytes) != definition(0, bytes, sizeof bytes);
    bytes[bit / 8] = 0;
  }
  ok(wrong == 0, "each single bit of 160 bytes counts as defined");
}

/* Bytes that end (or begin) at a page that can't be read. */
static void test_reads_only_what_it_is_given(void) {
  size_t page = 65536;
  unsigned char *pages = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bool guarded = pages != MAP_FAILED && mprotect(pages + page, page, PROT_READ | PROT_WRITE) == 0;
  if (!ok(guarded, "a page can be set between two that can't be read")) return;
  unsigned wrong = 0;
  for (size_t size = 0; size <= LONGEST; size++) {
    unsigned char *end = pages + 2 * page - size, *begin = pages + page;
    uint32_t expected = definition(0, text, size);
    memcpy(end, text, size);
    wrong += crc32_update(0, end, size) != expected;
    memcpy(begin, text, size);
    wrong += crc32_update(0, begin, size) != expected;
  }
  ok(wrong == 0, "no byte before the first or behind the last is read");
  munmap(pages, 3 * page);
}

int main(void) {
  fill_text();
  test_known_values();
  test_all_sizes_and_alignments();
  test_split_updates();
  test_small_pieces();
  test_single_bits();
  test_reads_only_what_it_is_given();
  return done_testing();
}
