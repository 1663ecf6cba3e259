/*
** json_string.h - the bytes of a JSON string, eight at a time.
**
** Names, most strings and runs between escapes are short. For these a call into text/utf8.h, which is
** faster on long ones, would take longer than the work, so these few lines are inlined where strings are
** read and written. A stop is a byte that a JSON string doesn't hold as it is: below space, `"` or `\`.
*/
#ifndef VIPERDB_JSON_STRING_H
#define VIPERDB_JSON_STRING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma GCC visibility push(hidden)

#define JSON_WORD 8 /* bytes */
#define JSON_EVERY_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define JSON_NOT_ASCII JSON_EVERY_BYTE(0x80)

/* The first byte is the lowest. */
static inline uint64_t json_load_word(const char *bytes) {
  uint64_t word;
  memcpy(&word, bytes, JSON_WORD);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

/* Not zero when one of the bytes is a stop or not ASCII. Faster than to know which. */
static inline uint64_t json_special(uint64_t word) {
  uint64_t quotes = word ^ JSON_EVERY_BYTE('"'), backslashes = word ^ JSON_EVERY_BYTE('\\');
  uint64_t borrows =
      (word - JSON_EVERY_BYTE(' ')) | (quotes - JSON_EVERY_BYTE(1)) | (backslashes - JSON_EVERY_BYTE(1));
  return borrows & JSON_EVERY_BYTE(0x80);
}

/* Marks each stop with 0x80. Behind the first mark there may be wrong ones: a subtraction borrows upwards. */
static inline uint64_t json_stops(uint64_t word) {
  uint64_t quotes = word ^ JSON_EVERY_BYTE('"'), backslashes = word ^ JSON_EVERY_BYTE('\\');
  uint64_t control = (word - JSON_EVERY_BYTE(' ')) & ~word;
  uint64_t escaped =
      ((quotes - JSON_EVERY_BYTE(1)) & ~quotes) | ((backslashes - JSON_EVERY_BYTE(1)) & ~backslashes);
  return (control | escaped) & JSON_EVERY_BYTE(0x80);
}

/* Which byte has the first mark; there is one. */
static inline size_t json_first_mark(uint64_t marks) {
  return (size_t)__builtin_ctzll(marks) / 8;
}

/*
** Copies the bytes before the first stop, or all, and returns how many. `to` has room for `size` and
** JSON_WORD more. A byte that is not ASCII sets its bits in *seen; there may be bits of the bytes behind
** the stop too.
*/
static inline size_t json_copy_run(char *to, const char *bytes, size_t size, uint64_t *seen) {
  size_t at = 0;
  for (; size - at >= JSON_WORD; at += JSON_WORD) {
    uint64_t word = json_load_word(bytes + at), marks = json_stops(word);
    memcpy(to + at, bytes + at, JSON_WORD);
    *seen |= word;
    if (marks != 0) return at + json_first_mark(marks);
  }
  for (; at < size; at++) {
    unsigned char byte = (unsigned char)bytes[at];
    if (byte < ' ' || byte == '"' || byte == '\\') break;
    to[at] = bytes[at];
    *seen |= byte;
  }
  return at;
}

#pragma GCC visibility pop

#endif
