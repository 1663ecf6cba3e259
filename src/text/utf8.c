/*
** utf8.c - UTF-8: validity, decoding, encoding, and runs of plain bytes.
**
** Text is mostly ASCII, so it is looked at 16 bytes at a time with SSE2, which every x86-64 has, and 8 bytes
** at a time in a word everywhere.
*/
#include "utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What ends a run. */
#define NOT_ASCII 1u
#define NOT_IN_JSON 2u /* what a JSON string must escape: below space, `"`, `\` */
#define DELETE 4u      /* 0x7F */

static inline bool is_stop(unsigned char byte, unsigned stops) {
  if ((stops & NOT_ASCII) && byte >= 0x80) return true;
  if ((stops & NOT_IN_JSON) && (byte < ' ' || byte == '"' || byte == '\\')) return true;
  return (stops & DELETE) && byte == 0x7F;
}

#define EIGHT(byte) ((byte)*UINT64_C(0x0101010101010101))

/* Marks the bytes below `limit` (at most 0x80) with 0x80. Borrows spoil only what follows a mark. */
static inline uint64_t mark_below(uint64_t word, unsigned char limit) {
  return (word - EIGHT(limit)) & ~word & EIGHT(0x80);
}

/* Index of the first stop in eight bytes, 8 if there is none. */
static inline size_t stop_in_8(const unsigned char *p, unsigned stops) {
  uint64_t word = 0, marks = 0;
  for (int i = 0; i < 8; i++) word |= (uint64_t)p[i] << 8 * i;
  if (stops & NOT_ASCII) marks |= word & EIGHT(0x80);
  if (stops & NOT_IN_JSON)
    marks |= mark_below(word, ' ') | mark_below(word ^ EIGHT('"'), 1) | mark_below(word ^ EIGHT('\\'), 1);
  if (stops & DELETE) marks |= mark_below(word ^ EIGHT(0x7F), 1);
  return marks == 0 ? 8 : (size_t)__builtin_ctzll(marks) / 8;
}

#if defined(__SSE2__)

static inline __m128i mark_equal(__m128i block, char byte) {
  return _mm_cmpeq_epi8(block, _mm_set1_epi8(byte));
}

/* The same for 16 bytes. */
static inline size_t stop_in_16(const unsigned char *p, unsigned stops) {
  __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p), marks = _mm_setzero_si128();
  if (stops & NOT_ASCII) marks = block; /* only the highest bits are looked at */
  if (stops & NOT_IN_JSON) {
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(' ' - 1)), block);
    __m128i escaped = _mm_or_si128(mark_equal(block, '"'), mark_equal(block, '\\'));
    marks = _mm_or_si128(marks, _mm_or_si128(control, escaped));
  }
  if (stops & DELETE) marks = _mm_or_si128(marks, mark_equal(block, 0x7F));
  int mask = _mm_movemask_epi8(marks);
  return mask == 0 ? 16 : (size_t)__builtin_ctz((unsigned)mask);
}

#endif

/* Length of the leading run without any of these stops. Inlined where `stops` is constant. */
static inline size_t run(const unsigned char *p, size_t size, unsigned stops) {
  size_t at = 0, stop;
#if defined(__SSE2__)
  for (; size - at >= 16; at += 16)
    if ((stop = stop_in_16(p + at, stops)) < 16) return at + stop;
#endif
  for (; size - at >= 8; at += 8)
    if ((stop = stop_in_8(p + at, stops)) < 8) return at + stop;
  if (at < size && size >= 8) return size - 8 + stop_in_8(p + size - 8, stops);
  while (at < size && !is_stop(p[at], stops)) at++;
  return at;
}

size_t utf8_plain_run(const void *bytes, size_t size) {
  return run(bytes, size, NOT_ASCII | NOT_IN_JSON | DELETE);
}

size_t utf8_string_run(const void *bytes, size_t size, bool *ascii) {
  const unsigned char *p = bytes;
  size_t at = run(p, size, NOT_ASCII | NOT_IN_JSON);
  if (at == size || p[at] < 0x80) return at;
  *ascii = false;
  return at + run(p + at, size - at, NOT_IN_JSON);
}

bool utf8_valid(const void *bytes, size_t size) {
  const unsigned char *p = bytes;
  uint32_t code_point;
  for (size_t at = run(p, size, NOT_ASCII); at < size; at += run(p + at, size - at, NOT_ASCII))
    while (at < size && p[at] >= 0x80) {
      size_t length = utf8_decode(p + at, size - at, &code_point);
      if (length == 0) return false;
      at += length;
    }
  return true;
}

static bool continues(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

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

size_t utf8_encode(char *out, uint32_t code_point) {
  if (code_point < 0x80) {
    *out = (char)code_point;
    return 1;
  }
  size_t length = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--, code_point >>= 6) out[i] = (char)(0x80 | (code_point & 0x3F));
  out[0] = (char)((0xF00u >> length & 0xFF) | code_point); /* as many ones as bytes, and a zero */
  return length;
}
