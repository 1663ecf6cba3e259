/*
** hot_set.c - the same few keys overwritten again and again: what the folder takes on the disk meanwhile.
**
** A tenth of the keys is stored, and a tenth of these is overwritten. The folder is looked at between slices
** of the time. A store that can reclaim is measured with and without; without, it stops after ten overwrites
** for each of KEYS, as its files only grow.
*/
#include <stdio.h>

#include "loops.h"
#include "workloads.h"

#define SLICES 200 /* looks at the folder */
#define UNRECLAIMED 10u

typedef struct hot_set {
  bench_state *bench;
  sequence all, hot;
  double spent; /* nanoseconds in puts */
  uint64_t puts, filled, highest, last;
} hot_set;

static void look(hot_set *set) {
  set->last = measure_folder_bytes(set->bench);
  if (set->last > set->highest) set->highest = set->last;
}

/* The values change whenever the keys come round again. */
static uint64_t version_of(const hot_set *set) {
  return 1 + set->puts / set->hot.count;
}

/* One slice: up to so many puts or seconds. */
static void overwrite(hot_set *set, uint64_t most, double seconds) {
  uint64_t at = set->puts % set->hot.count, left = set->hot.count - at, done;
  sequence next = {left < most ? left : most, set->hot.numbers + at, set->hot.keys + at * INPUT_KEY_SIZE};
  double each = loop_put_some(set->bench, &next, version_of(set), INPUT_VALUE_SIZE, seconds, &done);
  set->spent += each * (double)done;
  set->puts += done;
}

static void overwrite_for(hot_set *set, double seconds, uint64_t limit) {
  while (set->spent < seconds * 1e9 && set->puts < limit) {
    overwrite(set, limit - set->puts, seconds / SLICES);
    look(set);
  }
}

static void measure(hot_set *set, double seconds, bool reclaim) {
  const bench_state *bench = set->bench;
  adapter_options options = {.keys = set->all.count, .reclaim = reclaim};
  measure_make_folder(bench);
  measure_open(set->bench, &options);
  loop_put(bench, &set->all, 0, INPUT_VALUE_SIZE, LOOPS_ALL);
  look(set);
  set->filled = set->last;
  overwrite_for(set, seconds, reclaim ? UINT64_MAX : UNRECLAIMED * bench->keys);
  loop_verify(bench, &set->all, 0, version_of(set), INPUT_VALUE_SIZE);
  measure_close(set->bench);
  measure_remove_folder(bench);
}

static void emit(const hot_set *set, const char *workload) {
  const struct {
    const char *name;
    double value;
  } lines[] = {{"", set->spent / (double)set->puts},
               {" puts", (double)set->puts},
               {" filled bytes", (double)set->filled},
               {" highest bytes", (double)set->highest},
               {" last bytes", (double)set->last}};
  char name[64];
  for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
    snprintf(name, sizeof name, "%s%s", workload, lines[i].name);
    measure_emit(set->bench, name, lines[i].value);
  }
}

static void measure_once(bench_state *bench, const char *workload, double seconds, bool reclaim) {
  uint64_t keys = bench->keys / 10, rounds = 4 * bench->keys;
  hot_set set = {.bench = bench,
                 .all = sequence_make(input_shuffled(keys, 6), keys, INPUT_STORED),
                 .hot = sequence_make(input_uniform(rounds, keys / 10, 7), rounds, INPUT_STORED)};
  measure(&set, seconds, reclaim);
  emit(&set, workload);
  sequence_free(&set.all);
  sequence_free(&set.hot);
}

void hot_set_measure(bench_state *bench, double seconds) {
  measure_once(bench, "hot set", seconds, true);
  if (bench->store->reclaim != NULL) measure_once(bench, "hot set unreclaimed", seconds, false);
}
