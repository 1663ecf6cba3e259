/*
** escape.c - code points in JSON strings of ASCII.
*/
#include "escape.h"

#include <stdbool.h>

static char *put_unit(char *out, uint32_t unit) {
  static const char digits[] = "0123456789abcdef";
  *out++ = '\\';
  *out++ = 'u';
  for (int shift = 12; shift >= 0; shift -= 4) *out++ = digits[unit >> shift & 0xF];
  return out;
}

/* The letter behind the backslash, 0 for a character that has no short escape. */
static char short_escape(uint32_t code_point) {
  switch (code_point) {
  case '"': return '"';
  case '\\': return '\\';
  case '\n': return 'n';
  case '\r': return 'r';
  case '\t': return 't';
  case '\b': return 'b';
  case '\f': return 'f';
  default: return 0;
  }
}

char *escape_print(char *out, uint32_t code_point) {
  char letter = short_escape(code_point);
  if (letter != 0) {
    *out++ = '\\';
    *out++ = letter;
  } else if (code_point >= ' ' && code_point <= '~') {
    *out++ = (char)code_point;
  } else if (code_point < 0x10000) {
    out = put_unit(out, code_point);
  } else {
    out = put_unit(out, 0xD800 + ((code_point - 0x10000) >> 10));
    out = put_unit(out, 0xDC00 + (code_point & 0x3FF));
  }
  return out;
}

/* 16 for what is no hexadecimal digit. */
static uint32_t hex_digit(char c) {
  if (c >= '0' && c <= '9') return (uint32_t)(c - '0');
  if (c >= 'a' && c <= 'f') return (uint32_t)(c - 'a' + 10);
  return c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 16;
}

size_t escape_read_unit(const char *text, size_t size, uint32_t *unit) {
  if (size < ESCAPE_UNIT_SIZE || text[0] != '\\' || text[1] != 'u') return 0;
  *unit = 0;
  for (int i = 2; i < ESCAPE_UNIT_SIZE; i++) {
    uint32_t digit = hex_digit(text[i]);
    if (digit == 16) return 0;
    *unit = *unit << 4 | digit;
  }
  return ESCAPE_UNIT_SIZE;
}

static size_t read_pair(const char *text, size_t size, uint32_t *code_point) {
  uint32_t low;
  size_t length = escape_read_unit(text, size, code_point);
  if (length == 0 || *code_point < 0xD800 || *code_point > 0xDBFF) return length;
  if (escape_read_unit(text + length, size - length, &low) == 0 || low < 0xDC00 || low > 0xDFFF)
    return length;
  *code_point = 0x10000 + ((*code_point - 0xD800) << 10) + (low - 0xDC00);
  return 2 * length;
}

size_t escape_read(const char *text, size_t size, uint32_t *code_point) {
  if (size < 2 || text[0] != '\\') return 0;
  switch (text[1]) {
  case 'n': *code_point = '\n'; return 2;
  case 'r': *code_point = '\r'; return 2;
  case 't': *code_point = '\t'; return 2;
  case 'b': *code_point = '\b'; return 2;
  case 'f': *code_point = '\f'; return 2;
  case '"':
  case '\\':
  case '/': *code_point = (unsigned char)text[1]; return 2;
  default: return read_pair(text, size, code_point);
  }
}
