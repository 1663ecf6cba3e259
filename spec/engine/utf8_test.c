/*
** utf8_test.c - UTF-8 against the grammar of RFC 3629, and the runs against a look at every byte.
*/
#define _DEFAULT_SOURCE
#include "../../src/text/utf8.h"

#include <string.h>
#include <sys/mman.h>

#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The lines of the RFC's grammar: a first byte, a second byte, and how many more in 80 .. BF. */
static const struct {
  unsigned char first_min, first_max, second_min, second_max;
  size_t size;
} grammar[] = {
    {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
    {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
    {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
};

/* Size of the sequence that the grammar finds at the start, 0 for none. */
static size_t by_grammar(const unsigned char *p, size_t size) {
  for (size_t i = 0; size > 0 && i < COUNT(grammar); i++) {
    size_t at = 2, length = grammar[i].size;
    if (p[0] < grammar[i].first_min || p[0] > grammar[i].first_max || size < length) continue;
    if (length > 1 && (p[1] < grammar[i].second_min || p[1] > grammar[i].second_max)) continue;
    while (at < length && p[at] >= 0x80 && p[at] <= 0xBF) at++;
    if (at >= length) return length;
  }
  return 0;
}

static bool valid_by_grammar(const unsigned char *p, size_t size) {
  while (size > 0) {
    size_t length = by_grammar(p, size);
    if (length == 0) return false;
    p += length;
    size -= length;
  }
  return true;
}

static void test_every_code_point(void) {
  unsigned wrong = 0, surrogates = 0;
  for (uint32_t code_point = 0; code_point <= 0x10FFFF; code_point++) {
    char bytes[4];
    uint32_t back = 0;
    size_t size = utf8_encode(bytes, code_point), read = utf8_decode(bytes, size, &back);
    if (code_point >= 0xD800 && code_point <= 0xDFFF) surrogates += size == 3 && read == 0;
    else wrong += read != size || back != code_point || !utf8_valid(bytes, size);
  }
  ok(wrong == 0, "every code point but the surrogates is written and read back");
  ok(surrogates == 0x800, "surrogates are written in three bytes and not read");
}

static void test_known_sequences(void) {
  char bytes[4];
  ok(utf8_encode(bytes, 0x24) == 1 && memcmp(bytes, "$", 1) == 0, "U+0024 is 24");
  ok(utf8_encode(bytes, 0xE9) == 2 && memcmp(bytes, "\xC3\xA9", 2) == 0, "U+00E9 is C3 A9");
  ok(utf8_encode(bytes, 0x20AC) == 3 && memcmp(bytes, "\xE2\x82\xAC", 3) == 0, "U+20AC is E2 82 AC");
  ok(utf8_encode(bytes, 0x1F40D) == 4 && memcmp(bytes, "\xF0\x9F\x90\x8D", 4) == 0, "U+1F40D is F0 9F 90 8D");
  ok(utf8_encode(bytes, 0xD83D) == 3 && memcmp(bytes, "\xED\xA0\xBD", 3) == 0, "U+D83D is ED A0 BD");
}

/* Sequences of up to four bytes whose last bytes are at the borders of what may continue. */
static void test_every_sequence(void) {
  static const unsigned char borders[] = {0x00, 0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  unsigned wrong = 0;
  for (unsigned pair = 0; pair < 0x10000; pair++)
    for (size_t i = 0; i < COUNT(borders) * COUNT(borders); i++) {
      unsigned char bytes[4] = {(unsigned char)(pair >> 8), (unsigned char)pair, borders[i % COUNT(borders)],
                                borders[i / COUNT(borders)]};
      uint32_t code_point;
      for (size_t size = 0; size <= 4; size++) {
        wrong += utf8_decode(bytes, size, &code_point) != by_grammar(bytes, size);
        wrong += utf8_valid(bytes, size) != valid_by_grammar(bytes, size);
      }
    }
  ok(wrong == 0, "a sequence is valid exactly when the RFC's grammar has it");
}

static void test_valid_in_longer_text(void) {
  static const char *const pieces[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x8D", "\x80",     "\xC3",
                                       "\xE2\x82", "\xF0\x9F\x90", "\xED\xA0\xBD",     "\xC0\x80", "\xFF"};
  unsigned wrong = 0;
  for (size_t size = 4; size <= 80; size++)
    for (size_t i = 0; i < COUNT(pieces); i++)
      for (size_t at = 0; at + strlen(pieces[i]) <= size; at++) {
        unsigned char text[80];
        memset(text, 'a', size);
        memcpy(text + at, pieces[i], strlen(pieces[i]));
        wrong += utf8_valid(text, size) != valid_by_grammar(text, size);
      }
  ok(wrong == 0, "the same holds at every place of texts of 4 to 80 bytes");
}

static bool is_plain(unsigned char byte) {
  return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
}

static bool is_string(unsigned char byte) {
  return byte >= ' ' && byte != '"' && byte != '\\';
}

static size_t run_of(bool (*is)(unsigned char), const unsigned char *p, size_t size) {
  size_t at = 0;
  while (at < size && is(p[at])) at++;
  return at;
}

/* Whether both runs, and *ascii, are what a look at every byte says. */
static bool runs_agree(const unsigned char *text, size_t size) {
  bool ascii = true, expected_ascii = true;
  size_t plain = utf8_plain_run(text, size), string = utf8_string_run(text, size, &ascii);
  for (size_t at = 0; at < string && at < size; at++) expected_ascii = expected_ascii && text[at] < 0x80;
  return plain == run_of(is_plain, text, size) && string == run_of(is_string, text, size) &&
         ascii == expected_ascii;
}

static void test_runs_of_one_odd_byte(void) {
  unsigned wrong = 0;
  for (size_t size = 0; size <= 50; size++)
    for (size_t at = 0; at < size; at++)
      for (int byte = 0; byte < 256; byte++) {
        unsigned char text[50];
        memset(text, at % 2 ? 'a' : '~', size);
        text[at] = (unsigned char)byte;
        wrong += !runs_agree(text, size);
      }
  ok(wrong == 0, "any byte at any place of up to 50 ends the runs, or not, as it should");
}

static void test_runs_of_random_bytes(void) {
  unsigned wrong = 0;
  uint32_t state = 1;
  for (int i = 0; i < 200000; i++) {
    unsigned char text[64];
    int odds = i % 40; /* of a byte that is no letter */
    for (size_t at = 0; at < sizeof text; at++) {
      state = state * 1664525u + 1013904223u;
      text[at] = (unsigned char)((int)(state >> 8) % 41 > odds ? 'a' + at % 26 : state >> 24);
    }
    wrong += !runs_agree(text + i % 7, sizeof text - (size_t)(i % 7) - (size_t)(i % 11));
    wrong += utf8_valid(text, sizeof text) != valid_by_grammar(text, sizeof text);
  }
  ok(wrong == 0, "so do several of them, at every alignment");
}

static void test_ascii_is_left_alone(void) {
  bool ascii = false;
  utf8_string_run("abc", 3, &ascii);
  ok(!ascii, "a run of ASCII does not set *ascii back to true");
  ascii = true;
  ok(utf8_string_run("abc\"\xC3\xA9", 6, &ascii) == 3 && ascii, "what stands behind the run does not count");
}

static void test_reads_only_what_it_is_given(void) {
  size_t page = 65536;
  unsigned char *pages = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bool guarded = pages != MAP_FAILED && mprotect(pages + page, page, PROT_READ | PROT_WRITE) == 0;
  if (!ok(guarded, "a page can be set between two that can't be read")) return;
  unsigned wrong = 0;
  memset(pages + page, 'a', page);
  for (size_t size = 0; size <= 100; size++) {
    unsigned char *end = pages + 2 * page - size;
    wrong += !runs_agree(end, size) || !runs_agree(pages + page, size);
    wrong += !utf8_valid(end, size) || !utf8_valid(pages + page, size);
  }
  for (size_t size = 1; size <= 3; size++) {
    uint32_t code_point;
    pages[2 * page - size] = 0xF1; /* promises more bytes than there are */
    wrong +=
        utf8_valid(pages + 2 * page - size, size) || utf8_decode(pages + 2 * page - size, size, &code_point);
    pages[2 * page - size] = 0x80;
  }
  ok(wrong == 0, "no byte before the first or behind the last is read");
  munmap(pages, 3 * page);
}

int main(void) {
  test_every_code_point();
  test_known_sequences();
  test_every_sequence();
  test_valid_in_longer_text();
  test_runs_of_one_odd_byte();
  test_runs_of_random_bytes();
  test_ascii_is_left_alone();
  test_reads_only_what_it_is_given();
  return done_testing();
}
