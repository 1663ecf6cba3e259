/*
** power_test.c - what is left after the power fails, with the constants that the store is built with.
**
** Files grow by many pages at a time, so it is mostly random mixtures that are tried; power_steps_test has
** the subsets.
*/
#define _GNU_SOURCE

#include "power_rounds.h"
#include "sanitizers.h"

int main(void) {
  few_things = 5;
  mixtures = 2;
  rarely = 8;
  lived_in = 200;
  play_rounds((ADDRESS_SANITIZER ? 3 : 6) * soak(), OPERATIONS - 10);
  report_states();
  judge();
  ok(mixed_states > 1000 && cut_short > 100,
     "random mixtures were tried, and files are shorter in %d of them", cut_short);
  return done_testing();
}
