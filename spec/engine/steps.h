/*
** steps.h - for tests of the build with steps (*_steps_test.c): doing something at the n-th step of a write.
*/
#ifndef VIPERDB_STEPS_H
#define VIPERDB_STEPS_H

#include "fixture.h"

static int steps_left; /* 0 for none: what is to happen does so when this gets there */
static int steps_taken;
static void (*at_step)(void);

static inline void count_step(const char *name) {
  (void)name;
  steps_taken++;
  if (steps_left > 0 && --steps_left == 0) at_step();
}

/* From now on `action` is called at the n-th step, once; NULL for counting only. */
static inline void watch_steps(int n, void (*action)(void)) {
  at_step = action;
  steps_left = action != NULL ? n : 0;
  steps_taken = 0;
  os.step = count_step;
}

static inline void die_here(void) {
  raise(SIGKILL);
}

#endif
