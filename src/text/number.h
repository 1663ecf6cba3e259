/*
** number.h - numbers to decimal text and back, bit for bit, whatever the locale.
**
** Floats are printed as Python's repr prints them: the shortest digits that read back to the same double;
** fixed notation with a `.` while the decimal exponent is in -4 .. 15, else one digit, an optional fraction
** and `e+16`, `e-07` (at least two exponent digits). So the text of a float always holds a `.` or an `e` and
** never reads back as an integer.
**
** Pure functions; safe from any thread.
*/
#ifndef VIPERDB_NUMBER_H
#define VIPERDB_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define NUMBER_INTEGER_SIZE 20 /* longest text of an integer: -9223372036854775808, 18446744073709551615 */
#define NUMBER_FLOAT_SIZE 24   /* longest text of a float: -2.2250738585072014e-308 */

/* Each writes without a terminator and returns the number of bytes, at most the size above. */
size_t number_print_integer(char *out, int64_t value);
size_t number_print_unsigned(char *out, uint64_t value);
size_t number_print_float(char *out, double value); /* finite values only */

typedef enum number_kind {
  NUMBER_BAD,     /* not a JSON number (RFC 8259 grammar) */
  NUMBER_INTEGER, /* no fraction, no exponent, fits int64_t; "-0" is NUMBER_FLOAT -0.0 */
  NUMBER_FLOAT,   /* correctly rounded (ties to even); too small gives 0.0 */
  NUMBER_BIG,     /* digits only, but outside int64_t */
  NUMBER_HUGE     /* a float outside the finite doubles, as 1e400 */
} number_kind;

typedef struct number {
  number_kind kind;
  int64_t integer;
  double real; /* NUMBER_FLOAT; NUMBER_BIG: the nearest double, infinite beyond them; NUMBER_HUGE: infinite */
} number;

/*
** Reads the longest JSON number at text[0 .. size). Returns the bytes taken, 0 with NUMBER_BAD. What follows
** the number is the caller's to judge: "01" takes 1 byte.
*/
size_t number_parse(const char *text, size_t size, number *out);

#pragma GCC visibility pop

#endif
