/*
** record_key_test.c - a key and its text: one for one.
*/
#include "../../src/engine/record.h"

#include <math.h>
#include <string.h>

#include "tap.h"

static bool prints(vdb_key key, const char *text) {
  char out[256];
  size_t size = record_print_key(out, &key);
  return size == strlen(text) && memcmp(out, text, size) == 0 && size <= record_key_bound(&key);
}

static bool reads(const char *text, vdb_key expected) {
  char bytes[256];
  vdb_key key;
  if (!record_read_key(text, strlen(text), bytes, &key) || key.type != expected.type) return false;
  switch (key.type) {
  case VDB_STRING: return key.size == expected.size && memcmp(key.string, expected.string, key.size) == 0;
  case VDB_FLOAT: return key.number == expected.number;
  case VDB_INTEGER:
  case VDB_BOOLEAN: return key.integer == expected.integer;
  }
  return false;
}

static void both_ways(vdb_key key, const char *text) {
  ok(prints(key, text) && reads(text, key), "%s is a key's text, both ways", text);
}

static void test_texts(void) {
  both_ways(vdb_string("", 0), "\"\"");
  both_ways(vdb_string("hello", 5), "\"hello\"");
  both_ways(vdb_string("a\0b", 3), "\"a\\u0000b\"");
  both_ways(vdb_string("\"\\/\n\r\t\b\f\x1f\x7f", 10), "\"\\\"\\\\/\\n\\r\\t\\b\\f\\u001f\\u007f\"");
  both_ways(vdb_string("cl\xC3\xA9 \xF0\x9F\x90\x8D\x80", 10), "\"cl\\u00e9 \\ud83d\\udc0d\\udc80\"");
  both_ways(vdb_string("\xEF\xBF\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF", 10), "\"\\uffff\\ue000\\udbff\\udfff\"");
  both_ways(vdb_string("\xED\xA0\x80\xC3", 4), "\"\\udced\\udca0\\udc80\\udcc3\"");
  both_ways(vdb_integer(0), "0");
  both_ways(vdb_integer(INT64_MIN), "-9223372036854775808");
  both_ways(vdb_integer(INT64_MAX), "9223372036854775807");
  both_ways(vdb_float(0.5), "0.5");
  both_ways(vdb_float(1e-7), "1e-07");
  both_ways(vdb_float(0x1p63), "9.223372036854776e+18");
  both_ways(vdb_float(-2.2250738585072014e-308), "-2.2250738585072014e-308");
  both_ways(vdb_float(HUGE_VAL), "Infinity");
  both_ways(vdb_float(-HUGE_VAL), "-Infinity");
  both_ways(vdb_boolean(true), "true");
  both_ways(vdb_boolean(false), "false");
}

static void test_floats_that_are_integers(void) {
  ok(prints(vdb_float(1.0), "1"), "the float 1.0 is the key 1");
  ok(prints(vdb_float(-0.0), "0"), "minus zero is the key 0");
  ok(prints(vdb_float(1e16), "10000000000000000"), "the float 1e16 is an integer key");
  ok(prints(vdb_float(-0x1p63), "-9223372036854775808"), "the float -2^63 is the least integer key");
}

/* What printing never prints. */
/* clang-format off */
static const char *const not_canonical[] = {
  "", "\"", "\"a", "a\"", "\"a\"b", "\"\\u0061\"", "\"\\u0022\"", "\"\\u000a\"", "\"\\/\"", "\"\\x\"",
  "\"\\\"", "\"\\u00E9\"", "\"\\u00e\"", "\"\\uDC80\"", "\"\x7f\"", "\"\xC3\xA9\"", "\"\x80\"", "\"\n\"",
  "\"\\ud800\"", "\"\\ud83da\"", "\"\\ud83d\\u0061\"", "\"\\udc7f\"", "\"\\udd00\"", "\"\\uD83D\\udc0d\"",
  "'a'", "1.0", "01", "-0", "-0.0", "+1", "1e16", "1e7", "1E+30", "1e30", "0.50", ".5", "1.",
  "9223372036854775808", "1e400", "NaN", "nan", "inf", "infinity", "-", " 1", "1 ", "null", "True", "tru",
  "truee", "[]", "{}",
};
/* clang-format on */

static void test_texts_that_are_not_canonical(void) {
  unsigned accepted = 0;
  char bytes[64];
  vdb_key key;
  for (size_t i = 0; i < sizeof not_canonical / sizeof *not_canonical; i++) {
    if (!record_read_key(not_canonical[i], strlen(not_canonical[i]), bytes, &key)) continue;
    accepted++;
    printf("# accepted: %s\n", not_canonical[i]);
  }
  ok(accepted == 0, "a text that printing never prints is no key");
}

/* The bytes that begin, continue and break UTF-8 sequences. */
static const unsigned char edges[] = {'a',  0x80, 0x90, 0xA0, 0xBF, 0xC2, 0xE0,
                                      0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5};
enum { EDGES = sizeof edges, LONGEST = 4 };

/* Counts through all strings of edge bytes; false after the last. */
static bool next_string(unsigned digits[LONGEST], size_t size, char *bytes) {
  for (size_t i = 0; i < size; i++) {
    digits[i] = (digits[i] + 1) % EDGES;
    bytes[i] = (char)edges[digits[i]];
    if (digits[i] != 0) return true;
  }
  return false;
}

static size_t escape_every_byte(char *out, const char *bytes, size_t size) {
  char *at = out;
  *at++ = '"';
  for (size_t i = 0; i < size; i++)
    at += bytes[i] == 'a' ? sprintf(at, "a") : sprintf(at, "\\udc%02x", (unsigned char)bytes[i]);
  *at++ = '"';
  return (size_t)(at - out);
}

static void test_one_text_for_a_key(void) {
  unsigned strings = 0, lost = 0, ambiguous = 0;
  for (size_t size = 1; size <= LONGEST; size++) {
    unsigned digits[LONGEST] = {0};
    char bytes[LONGEST], read[64], text[64], escaped[64];
    memset(bytes, edges[0], sizeof bytes);
    do {
      vdb_key key = vdb_string(bytes, size), back;
      size_t text_size = record_print_key(text, &key), escaped_size = escape_every_byte(escaped, bytes, size);
      bool same = text_size == escaped_size && memcmp(text, escaped, text_size) == 0;
      bool found = record_read_key(text, text_size, read, &back);
      lost += !found || back.size != size || memcmp(back.string, bytes, size) != 0;
      ambiguous += record_read_key(escaped, escaped_size, read, &back) != same;
      strings++;
    } while (next_string(digits, size, bytes));
  }
  ok(strings == 13 + 169 + 2197 + 28561 && lost == 0, "every string comes back from its text");
  ok(ambiguous == 0, "escaped bytes are a key exactly if printing would have escaped them");
}

static void test_keys_that_cannot_be_stored(void) {
  static char longest[VDB_MAX_KEY_SIZE + 1];
  vdb_error error;
  vdb_key key = vdb_string(longest, VDB_MAX_KEY_SIZE);
  ok(record_check_key(&key, &error) == VDB_OK, "a key of the greatest size can be stored");
  key.size++;
  ok(record_check_key(&key, &error) == VDB_TOO_BIG && error.status == VDB_TOO_BIG, "a longer one can't: %s",
     error.message);
  key = vdb_float(NAN);
  ok(record_check_key(&key, &error) == VDB_RANGE && record_check_key(&key, NULL) == VDB_RANGE,
     "NaN can't: %s", error.message);
  key.type = (vdb_key_type)77;
  ok(record_check_key(&key, &error) == VDB_TYPE, "what is no key can't: %s", error.message);
  key = vdb_float(-HUGE_VAL);
  ok(record_check_key(&key, &error) == VDB_OK, "an infinity can");
}

static void test_longest_key(void) {
  static char bytes[VDB_MAX_KEY_SIZE], text[RECORD_KEY_TEXT_MAX + 1], read[RECORD_KEY_TEXT_MAX + 1];
  vdb_key key = vdb_string(bytes, sizeof bytes), back;
  memset(bytes, 0xFF, sizeof bytes);
  size_t size = record_print_key(text, &key);
  ok(size == RECORD_KEY_TEXT_MAX && size == record_key_bound(&key),
     "the longest text is as long as announced");
  ok(record_read_key(text, size, read, &back) && back.size == sizeof bytes &&
         memcmp(read, bytes, sizeof bytes) == 0,
     "the longest key comes back");
  memcpy(text + size - 1, "a\"", 2);
  ok(!record_read_key(text, size + 1, read, &back), "one byte more is no key");
}

int main(void) {
  test_texts();
  test_floats_that_are_integers();
  test_texts_that_are_not_canonical();
  test_one_text_for_a_key();
  test_keys_that_cannot_be_stored();
  test_longest_key();
  return done_testing();
}
