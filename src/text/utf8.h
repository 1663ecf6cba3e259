/*
** utf8.h - UTF-8: validity, one code point at a time, and runs of plain bytes.
**
** UTF-8 is what RFC 3629 says: at most four bytes, shortest form, no surrogates, up to U+10FFFF.
** Pure functions; safe from any thread.
*/
#ifndef VIPERDB_UTF8_H
#define VIPERDB_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* Whether all of the bytes are valid UTF-8. */
bool utf8_valid(const void *bytes, size_t size);

/* Length (1 to 4) of the valid sequence at the start and its code point; 0 if there is none. */
size_t utf8_decode(const void *bytes, size_t size, uint32_t *code_point);

/* Writes 1 to 4 bytes. Surrogates are written as three bytes (CESU style); above U+10FFFF is not allowed. */
size_t utf8_encode(char *out, uint32_t code_point);

/*
** Length of the leading run of ASCII bytes from space to `~` without `"` and `\`: they stand for themselves in
** JSON.
*/
size_t utf8_plain_run(const void *bytes, size_t size);

/*
** Length of the leading run of bytes that a JSON string holds as they are when UTF-8 is allowed in it:
** everything but control characters below space, `"` and `\`. Sets *ascii to false if the run has a byte of
** 0x80 or more, and leaves it alone if not.
*/
size_t utf8_string_run(const void *bytes, size_t size, bool *ascii);

#pragma GCC visibility pop

#endif
