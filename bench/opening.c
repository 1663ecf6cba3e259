/*
** opening.c - how long it takes until the first get of a full store has its value.
*/
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"
#include "loops.h"
#include "workloads.h"

static void open_full(bench_state *bench) {
  adapter_options options = {.keys = bench->keys};
  measure_open(bench, &options);
}

static double time_open(bench_state *bench, const char *workload) {
  char buffer[INPUT_VALUE_SIZE];
  sequence one = sequence_make(input_uniform(1, bench->keys, measure_now()), 1, INPUT_STORED);
  uint64_t start = measure_now();
  open_full(bench);
  int64_t size = bench->store->get(bench->handle, input_key(one.keys, 0), buffer, sizeof buffer);
  double nanoseconds = (double)(measure_now() - start);
  measure_emit(bench, workload, nanoseconds);
  measure_check(bench, size == INPUT_VALUE_SIZE, "get");
  sequence_free(&one);
  return nanoseconds;
}

static void write_and_be_killed(const bench_state *bench) {
  char keys[32];
  snprintf(keys, sizeof keys, "%llu", (unsigned long long)bench->keys);
  helper_page *page = helper_make_page();
  pid_t victim = helper_start((const char *[]){"bench", "victim", bench->folder, keys, NULL});
  bool ready = helper_await(page, 1);
  if (!helper_kill(victim) || !ready) measure_fail("%s: the victim failed", bench->store->name);
}

int opening_victim(bench_state *bench, char **arguments) {
  (void)arguments;
  helper_page *page = helper_find_page();
  sequence some = sequence_make(input_uniform(1000, bench->keys, 12), 1000, INPUT_STORED);
  open_full(bench);
  loop_put(bench, &some, 2, INPUT_VALUE_SIZE, LOOPS_ALL);
  atomic_store(&page->ready, 1);
  for (;;) pause();
}

/* Only ViperDB has a file that may be deleted. */
static void measure_without_index(bench_state *bench) {
  char path[1024];
  if (strcmp(bench->store->name, "ViperDB") != 0) return;
  measure_close(bench);
  if (unlink(adapter_path(path, bench->folder, "db.index")) != 0) measure_fail("there is no db.index");
  time_open(bench, "open without index");
}

/* So often, but not again when it takes more than a second. */
static void repeat(bench_state *bench, unsigned times, const char *workload, bool kill) {
  double nanoseconds = 0;
  for (unsigned i = 0; i < times && nanoseconds < 1e9; i++) {
    measure_close(bench);
    if (kill) write_and_be_killed(bench);
    nanoseconds = time_open(bench, workload);
  }
}

void opening_measure(bench_state *bench) {
  repeat(bench, 5, "open", false);
  repeat(bench, 3, "open after kill", true);
  measure_without_index(bench);
}
