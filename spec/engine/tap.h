/*
** tap.h - the smallest harness for C tests: prints TAP, exits non-zero when an assertion failed.
**
**   int main(void) {
**     ok(1 + 1 == 2, "one and one are %d", 2);
**     return done_testing();
**   }
**
** A failed `ok` prints where it stands and the test goes on. One program a file, one thread.
*/
#ifndef VIPERDB_TAP_H
#define VIPERDB_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count;
static int tap_failures;

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static inline bool
tap_ok(bool passed, const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("%sok %d - ", passed ? "" : "not ", ++tap_count);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
  if (!passed) printf("# failed at %s:%d\n", file, line);
  if (!passed) tap_failures++;
  fflush(stdout);
  return passed;
}

/* A condition and a printf format with its arguments, a sentence about what holds. Gives the condition. */
#define ok(condition, ...) tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)

/* Prints the plan; what main returns. A program without assertions fails. */
static inline int done_testing(void) {
  printf("1..%d\n", tap_count);
  if (tap_failures > 0) printf("# %d of %d failed\n", tap_failures, tap_count);
  return tap_failures > 0 || tap_count == 0;
}

#endif
