/*
** decimal.h - between decimal numbers and the doubles nearest to them, bit for bit.
**
** Arithmetic only; number.c knows the text. Pure functions on integers: no locale and no rounding mode
** changes what they return. Safe from any thread.
*/
#ifndef VIPERDB_DECIMAL_H
#define VIPERDB_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

#define DECIMAL_DIGITS 19 /* any number of so many digits fits uint64_t */

/* significand * 10^exponent. */
typedef struct decimal {
  uint64_t significand;
  int64_t exponent;
} decimal;

/*
** The shortest decimal number that reads back to this double, of these the nearest. The significand has at
** most 17 digits and may end with zeros. `value` is finite and above zero.
*/
decimal decimal_from_double(double value);

/*
** Where a decimal number came from: its digits, with zeros in front and one `.` between them or not. Past the
** zeros there may be more than DECIMAL_DIGITS: then `first` holds that many of them.
*/
typedef struct decimal_text {
  decimal first;
  bool more;          /* there are more digits than `first` holds */
  const char *digits; /* borrowed */
  size_t size;
} decimal_text;

/* The double nearest to the whole number, ties to even; 0 when too small, infinity when too big. */
double decimal_to_double(const decimal_text *text);

#pragma GCC visibility pop

#endif
