/*
** interleave_explore.h - all plans of schedule.h with up to so many switches.
**
** Each plan is run, and then every plan that differs from it in one more turn behind its last. A turn that a plan takes at
** a point where the actor could have gone on is a switch. The choice of who goes on when somebody waits or is done is
** none. One that waits is asked again now and then; as long as it must wait on, that changes nothing, and so such a plan
** is the same order as one without that turn: it is left out.
**
** Where a part is enough, the plans to run are drawn by lot.
*/
#ifndef VIPERDB_INTERLEAVE_EXPLORE_H
#define VIPERDB_INTERLEAVE_EXPLORE_H

#include "schedule.h"

typedef struct exploration {
  bool (*run)(const plan *plan); /* false to stop */
  int switches;                  /* at most */
  double part[SWITCHES + 1]; /* of the plans with one more switch than the plan they come from; 1 for all */
  long orders[SWITCHES + 1]; /* that were run, with 0, 1 ... switches */
  bool stopped;
} exploration;

static inline bool is_chosen(double part) {
  return part >= 1 || (double)random_below(1000000) < part * 1000000;
}

/* Up to its last turn a plan does what the plan that it comes from did. */
static inline bool repeats(const plan *tried, const crossing *before) {
  for (unsigned i = 0; i <= tried->turns[tried->count - 1].point; i++)
    if (crossings[i].name != before[i].name || crossings[i].actor != before[i].actor) return false;
  return true;
}

/* The crossings of the plans on the way to the one that is being run. */
static crossing crossed[TURNS + 1][POINTS];

/* False when the plan has nothing behind it. */
static inline bool run_one(exploration *explored, const plan *tried) {
  bool good = explored->run(tried);
  if (good && tried->count > 0 && !repeats(tried, crossed[tried->count - 1])) {
    printf("# the same steps went another way\n");
    print_plan(tried);
    good = false;
  }
  if (!good) explored->stopped = true;
  if (!futile) explored->orders[tried->switches]++;
  if (tried->count == TURNS) hangs("there are more turns than a plan has room for");
  return good && !futile;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as TURNS */
static inline void explore_from(exploration *explored, const plan *base) {
  if (!run_one(explored, base)) return;
  unsigned points = points_passed, from = base->count > 0 ? base->turns[base->count - 1].point + 1 : 0;
  crossing *here = crossed[base->count];
  memcpy(here, crossings, points * sizeof *here);
  for (unsigned point = from; point < points; point++)
    for (int next = 0; next < actor_count && !explored->stopped; next++) {
      if ((here[point].others >> next & 1) == 0) continue;
      plan more = *base;
      if (here[point].next == here[point].actor) more.switches++;
      if (more.switches > explored->switches) continue;
      if (more.switches > base->switches && !is_chosen(explored->part[more.switches])) continue;
      more.turns[more.count++] = (turn){point, next};
      explore_from(explored, &more);
    }
}

/* All plans that begin with each of the actors. */
static inline void explore(exploration *explored) {
  for (int first = 0; first < actor_count && !explored->stopped; first++)
    explore_from(explored, &(plan){.first = first});
}

#endif
