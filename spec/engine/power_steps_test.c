/*
** power_steps_test.c - the power fails at any step, and all subsets of what was not on the disk are tried.
**
** Small constants make files of a few pages, so that few things have changed at a time.
*/
#define _GNU_SOURCE

#include "power_rounds.h"

static bool at_all_times(void) {
  for (int i = 0; i < ACTIVITIES; i++)
    if (all_moments[i] == 0) return false;
  return true;
}

int main(void) {
  few_things = soak() > 1 ? 9 : 8;
  rarely = 3;
  lived_in = 200;
  play_rounds((SANITIZED ? 4 : 6) * soak(), 10);
  report_states();
  judge();
  ok(at_all_times() && all_states > 5000, "all subsets were tried, whatever the store was doing");
  return done_testing();
}
