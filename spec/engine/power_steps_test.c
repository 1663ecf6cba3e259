/*
** power_steps_test.c - the power fails at any step, and all subsets of what was not on the disk are tried.
**
** Small constants make files of a few pages, so that few things have changed at a time.
*/
#define _GNU_SOURCE

#include "power_rounds.h"
#include "sanitizers.h"

static bool at_all_times(void) {
  for (int i = 0; i < ACTIVITIES; i++)
    if (all_moments[i] == 0) return false;
  return true;
}

/*
** A put and a delete behind it are lost, and only the put is done again before the power fails again. With the same bytes
** where they were before, it would make the lost line of the delete follow a whole one, if that line were still there. From
** the first sync on no moment is left out.
*/
static bool play_repetition(void) {
  int wrong_before = wrong, again_before = written_again;
  const char *path = new_path();
  vdb_store *store = start_round(path, (vdb_options){0});
  put_version(store, 0, ++told.version);
  rarely = 1;
  doing = SYNCING;
  claim(vdb_sync(store, &last_error));
  told.promised = told.operation;
  doing = WRITING;
  put_version(store, 1, ++told.version);
  delete_key(store, 0);
  lived_in = 1;
  longest_life = 0;
  fail_power("rest");
  watched = NULL;
  if (!close_store(store)) wrong++;
  end_round(path);
  return wrong == wrong_before && written_again > again_before;
}

int main(void) {
  few_things = soak() > 1 ? 9 : 8;
  rarely = 3;
  lived_in = 200;
  play_rounds((ADDRESS_SANITIZER ? 4 : 6) * soak(), 10);
  bool repeats = play_repetition();
  report_states();
  judge();
  ok(repeats, "what was lost behind a write does not come back when that write is done again");
  ok(at_all_times() && all_states > 5000, "all subsets were tried, whatever the store was doing");
  return done_testing();
}
