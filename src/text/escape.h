/*
** escape.h - code points in JSON strings of ASCII, printed as Python's json.dumps prints them.
**
** A surrogate that is not part of a pair is a code point here, as it is for Python. Pure functions; safe from
** any thread.
*/
#ifndef VIPERDB_ESCAPE_H
#define VIPERDB_ESCAPE_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define ESCAPE_UNIT_SIZE 6   /* length of \uXXXX */
#define ESCAPE_PRINT_SIZE 12 /* the most that is printed: a surrogate pair */

/*
** Prints a code point as itself (space to `~`, without `"` and `\`), as \" \\ \n \r \t \b \f, or as \uXXXX
** with lower-case digits, a pair of them above U+FFFF. Returns the end of what is printed.
*/
char *escape_print(char *out, uint32_t code_point);

/*
** Reads the escape at the start of text[0 .. size), any that JSON knows; two escapes that are a surrogate
** pair are one code point. Returns the bytes taken, 0 if there is no escape.
*/
size_t escape_read(const char *text, size_t size, uint32_t *code_point);

/* Reads \uXXXX alone: one UTF-16 unit. Returns ESCAPE_UNIT_SIZE or 0. */
size_t escape_read_unit(const char *text, size_t size, uint32_t *unit);

#pragma GCC visibility pop

#endif
