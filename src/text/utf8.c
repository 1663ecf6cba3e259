/*
** utf8.c - UTF-8: validity, decoding, encoding, and runs of plain bytes.
*/
#include "utf8.h"

static bool continues(unsigned char byte) { return (byte & 0xC0) == 0x80; }

size_t utf8_decode(const void *bytes, size_t size, uint32_t *code_point) {
  const unsigned char *p = bytes;
  if (size == 0) return 0;
  if (p[0] < 0x80) {
    *code_point = p[0];
    return 1;
  }
  size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
  if (p[0] < 0xC2 || p[0] > 0xF4 || size < length) return 0;
  uint32_t value = p[0] & (0x7Fu >> length);
  for (size_t i = 1; i < length; i++) {
    if (!continues(p[i])) return 0;
    value = value << 6 | (p[i] & 0x3Fu);
  }
  if (length == 3 && (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))) return 0;
  if (length == 4 && (value < 0x10000 || value > 0x10FFFF)) return 0;
  *code_point = value;
  return length;
}

bool utf8_valid(const void *bytes, size_t size) {
  const unsigned char *p = bytes;
  uint32_t ignored;
  while (size > 0) {
    size_t length = utf8_decode(p, size, &ignored);
    if (length == 0) return false;
    p += length;
    size -= length;
  }
  return true;
}

size_t utf8_encode(char *out, uint32_t code_point) {
  unsigned char *p = (unsigned char *)out;
  if (code_point < 0x80) {
    p[0] = (unsigned char)code_point;
    return 1;
  }
  size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--, code_point >>= 6) p[i] = (unsigned char)(0x80 | (code_point & 0x3F));
  p[0] = (unsigned char)((0xF00u >> length & 0xFF) | code_point);
  return length;
}

size_t utf8_plain_run(const void *bytes, size_t size) {
  const unsigned char *p = bytes;
  size_t i = 0;
  while (i < size && p[i] >= ' ' && p[i] <= '~' && p[i] != '"' && p[i] != '\\') i++;
  return i;
}

size_t utf8_string_run(const void *bytes, size_t size, bool *ascii) {
  const unsigned char *p = bytes;
  size_t i = 0;
  for (; i < size && p[i] >= ' ' && p[i] != '"' && p[i] != '\\'; i++)
    if (p[i] >= 0x80) *ascii = false;
  return i;
}
