/*
** record_key.c - a key's canonical text.
**
**   "cl\u00e9 \ud83d\udc0d"   the bytes of a string, as Python prints the string that they are in UTF-8
**   "lone\udc80"              a byte 80..FF that is not UTF-8 stands as U+DC00 plus the byte
**   42  -1  0.5  1e+300       an integer's digits, a float's shortest ones; a float that is an int64 is that
**   Infinity  true  false
**
** Two keys are the same exactly when their texts are the same bytes. So there is one text for a key and one
** key for a text: reading accepts only what printing prints. "\udcc3\udca9" is no key: the bytes C3 A9 are
** UTF-8 and print as "\u00e9". Nor is a surrogate outside \udc80 .. \udcff and outside a pair: no bytes print
** as it.
*/
#include <math.h>
#include <string.h>

#include "../text/escape.h"
#include "../text/number.h"
#include "../text/utf8.h"
#include "error.h"
#include "record_parts.h"

#define BYTE_ESCAPES 0xDC00u /* U+DC80 .. U+DCFF stand for the bytes 80 .. FF */

vdb_key vdb_string(const char *bytes, size_t size) {
  return (vdb_key){.type = VDB_STRING, .string = bytes, .size = size};
}

vdb_key vdb_integer(int64_t integer) {
  return (vdb_key){.type = VDB_INTEGER, .integer = integer};
}

vdb_key vdb_float(double real) {
  return (vdb_key){.type = VDB_FLOAT, .number = real};
}

vdb_key vdb_boolean(bool boolean) {
  return (vdb_key){.type = VDB_BOOLEAN, .integer = boolean};
}

vdb_status record_check_key(const vdb_key *key, vdb_error *error) {
  switch (key->type) {
  case VDB_STRING:
    if (key->size <= VDB_MAX_KEY_SIZE) return VDB_OK;
    return error_set(error, VDB_TOO_BIG, "the key has %zu bytes: use one of at most %u", key->size,
                     VDB_MAX_KEY_SIZE);
  case VDB_FLOAT:
    if (!isnan(key->number)) return VDB_OK;
    return error_set(error, VDB_RANGE, "the key is NaN: use a number that equals itself");
  case VDB_INTEGER:
  case VDB_BOOLEAN: return VDB_OK;
  }
  return error_set(error, VDB_TYPE, "the key has the unknown type %d: use a string, number or boolean",
                   (int)key->type);
}

size_t record_key_bound(const vdb_key *key) {
  return key->type == VDB_STRING ? ESCAPE_UNIT_SIZE * key->size + 2 : NUMBER_FLOAT_SIZE;
}

static size_t print_string(char *out, const char *bytes, size_t size) {
  char *start = out;
  *out++ = '"';
  for (size_t at = 0; at < size;) {
    size_t run = utf8_plain_run(bytes + at, size - at);
    memcpy(out, bytes + at, run);
    out += run;
    at += run;
    if (at == size) break;
    uint32_t code_point;
    size_t length = utf8_decode(bytes + at, size - at, &code_point);
    if (length == 0) code_point = BYTE_ESCAPES + (unsigned char)bytes[at];
    out = escape_print(out, code_point);
    at += length == 0 ? 1 : length;
  }
  *out++ = '"';
  return (size_t)(out - start);
}

static size_t print_word(char *out, const char *word) {
  size_t size = strlen(word);
  memcpy(out, word, size);
  return size;
}

static size_t print_float(char *out, double real) {
  if (isinf(real)) return print_word(out, real < 0 ? "-Infinity" : "Infinity");
  if (real >= -0x1p63 && real < 0x1p63 && real == (double)(int64_t)real)
    return number_print_integer(out, (int64_t)real);
  return number_print_float(out, real);
}

size_t record_print_key(char *out, const vdb_key *key) {
  switch (key->type) {
  case VDB_STRING: return print_string(out, key->string, key->size);
  case VDB_INTEGER: return number_print_integer(out, key->integer);
  case VDB_FLOAT: return print_float(out, key->number);
  case VDB_BOOLEAN: return print_word(out, key->integer != 0 ? "true" : "false");
  }
  return 0;
}

static bool is_byte_escape(uint32_t code_point) {
  return code_point >= 0xDC80 && code_point <= 0xDCFF;
}

/* Whether printing would have escaped this byte: with those behind it, it begins no UTF-8 sequence. */
static bool stands_alone(const char *text, size_t size) {
  unsigned char bytes[4];
  size_t count = 0, length;
  uint32_t unit;
  while (count < sizeof bytes && (length = escape_read_unit(text, size, &unit)) > 0 && is_byte_escape(unit)) {
    bytes[count++] = (unsigned char)(unit - BYTE_ESCAPES);
    text += length;
    size -= length;
  }
  return utf8_decode(bytes, count, &unit) == 0;
}

/* Unescapes what begins the text; returns its length, 0 if it is not what would be printed. */
static size_t scan_escape(const char *text, size_t size, char bytes[4], size_t *count) {
  uint32_t code_point;
  char printed[ESCAPE_PRINT_SIZE];
  size_t length = escape_read(text, size, &code_point);
  if (length == 0 || (size_t)(escape_print(printed, code_point) - printed) != length) return 0;
  if (memcmp(printed, text, length) != 0) return 0;
  if (is_byte_escape(code_point)) {
    bytes[0] = (char)(code_point - BYTE_ESCAPES);
    *count = 1;
    return stands_alone(text, size) ? length : 0;
  }
  if (code_point >= 0xD800 && code_point <= 0xDFFF) return 0;
  *count = utf8_encode(bytes, code_point);
  return length;
}

/* Unescapes into `bytes`, unless it is NULL. Returns the length of the text with quotes, 0 for no key. */
static size_t scan_string(const char *text, size_t size, char *bytes, size_t *count) {
  size_t at = 1;
  *count = 0;
  for (;;) {
    size_t run = utf8_plain_run(text + at, size - at), added;
    if (bytes != NULL) memcpy(bytes + *count, text + at, run);
    *count += run;
    at += run;
    if (at == size || *count > VDB_MAX_KEY_SIZE) return 0;
    if (text[at] == '"') return at + 1;
    char unescaped[4];
    size_t length = scan_escape(text + at, size - at, unescaped, &added);
    if (length == 0) return 0;
    if (bytes != NULL) memcpy(bytes + *count, unescaped, added);
    *count += added;
    at += length;
  }
}

static bool begins(const char *text, size_t size, const char *word) {
  size_t length = strlen(word);
  return size >= length && memcmp(text, word, length) == 0;
}

static size_t scan_word(const char *text, size_t size, vdb_key *key) {
  if (begins(text, size, "true")) return *key = vdb_boolean(true), 4;
  if (begins(text, size, "false")) return *key = vdb_boolean(false), 5;
  if (begins(text, size, "Infinity")) return *key = vdb_float(HUGE_VAL), 8;
  if (begins(text, size, "-Infinity")) return *key = vdb_float(-HUGE_VAL), 9;
  return 0;
}

static size_t scan_number(const char *text, size_t size, vdb_key *key) {
  number parsed;
  size_t length = number_parse(text, size, &parsed);
  if (parsed.kind == NUMBER_INTEGER) return *key = vdb_integer(parsed.integer), length;
  if (parsed.kind != NUMBER_FLOAT) return 0;
  char printed[NUMBER_FLOAT_SIZE];
  if (print_float(printed, parsed.real) != length || memcmp(printed, text, length) != 0) return 0;
  return *key = vdb_float(parsed.real), length;
}

/* `bytes` may be NULL: the key then has no string. */
static size_t scan_key(const char *text, size_t size, char *bytes, vdb_key *key) {
  if (size == 0) return 0;
  if (text[0] != '"') {
    size_t word = scan_word(text, size, key);
    return word > 0 ? word : scan_number(text, size, key);
  }
  *key = vdb_string(bytes, 0);
  return scan_string(text, size, bytes, &key->size);
}

size_t record_scan_key(const char *text, size_t size) {
  vdb_key ignored;
  return scan_key(text, size, NULL, &ignored);
}

bool record_read_key(const char *text, size_t size, char *bytes, vdb_key *key) {
  size_t length = scan_key(text, size, bytes, key);
  return length > 0 && length == size;
}
