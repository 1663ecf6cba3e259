/*
** readers.c - what a get costs, each timed by itself, while other processes use the store: alone, beside a
** writer, beside one that overwrites and reclaims in turn, and beside a writer that is killed with SIGKILL and
** started again all the time.
*/
#include <stdio.h>
#include <stdlib.h>

#include "helper.h"
#include "histogram.h"
#include "loops.h"
#include "workloads.h"

#define SECONDS 3.0
#define PREPARED 1000000u /* gets that are prepared, and repeated */
#define STRETCH 20000u    /* puts between two reclaims */
#define LEAST_LIFE 0.005  /* seconds until a writer is killed, and how many may be added */
#define MORE_LIFE 0.02

static sequence uniform(uint64_t count, uint64_t keys, uint64_t seed) {
  return sequence_make(input_uniform(count, keys, seed), count, INPUT_STORED);
}

/* Writes version 1 of any key until it is stopped. `done` counts reclaims. */
int readers_writer(bench_state *bench, char **arguments) {
  bool reclaims = arguments[0][0] == 'r';
  helper_page *page = helper_find_page();
  adapter_options options = {.keys = bench->keys};
  sequence in = uniform(STRETCH, bench->keys, measure_now());
  measure_open(bench, &options);
  atomic_store(&page->ready, 1);
  while (atomic_load(&page->stop) == 0) {
    loop_put(bench, &in, 1, INPUT_VALUE_SIZE, 0.05);
    if (!reclaims) continue;
    measure_check(bench, bench->store->reclaim(bench->handle), "reclaim");
    atomic_fetch_add(&page->done[0], 1);
  }
  measure_close(bench);
  return 0;
}

static pid_t start_writer(const bench_state *bench, const char *command, const char *kind) {
  char keys[32];
  snprintf(keys, sizeof keys, "%llu", (unsigned long long)bench->keys);
  return helper_start((const char *[]){"bench", command, bench->folder, keys, kind, NULL});
}

/* Starts writers on a page of its own and kills them. `done` of the parent's page counts them. */
int readers_killer(bench_state *bench, char **arguments) {
  helper_page *mine = helper_find_page();
  input_random random = {measure_now()};
  (void)arguments;
  atomic_store(&mine->ready, 1);
  while (atomic_load(&mine->stop) == 0) {
    helper_page *page = helper_make_page();
    pid_t writer = start_writer(bench, "writer", "w");
    bool ready = helper_await(page, 1);
    helper_sleep(LEAST_LIFE + MORE_LIFE * (double)input_below(&random, 1000) / 1000);
    if (!helper_kill(writer) || !ready) measure_fail("%s: a writer failed", bench->store->name);
    atomic_fetch_add(&mine->done[0], 1);
  }
  return 0;
}

static histogram times;

static void time_gets(const bench_state *bench, const sequence *in) {
  char buffer[INPUT_VALUE_SIZE];
  uint64_t start = measure_now(), end = start + (uint64_t)(SECONDS * 1e9);
  histogram_clear(&times);
  for (uint64_t i = 0; start < end; i = (i + 1) % in->count) {
    text key = input_key(in->keys, i);
    start = measure_now();
    int64_t size = bench->store->get(bench->handle, key, buffer, sizeof buffer);
    histogram_add(&times, measure_now() - start);
    if (size != INPUT_VALUE_SIZE || !value_is((text){buffer, sizeof buffer}, in->numbers[i], 0, 1))
      measure_fail("%s: a get gave something else", bench->store->name);
  }
}

/* `command` is NULL when nobody else is there. */
static void beside(bench_state *bench, const sequence *in, const char *what, const char *command,
                   const char *kind) {
  char name[64];
  adapter_options options = {.keys = bench->keys};
  helper_page *page = helper_make_page();
  pid_t other = command != NULL ? start_writer(bench, command, kind) : 0;
  if (other != 0 && !helper_await(page, 1)) measure_fail("%s: a writer failed", bench->store->name);
  measure_open(bench, &options);
  time_gets(bench, in);
  measure_close(bench);
  atomic_store(&page->stop, 1);
  if (other != 0 && helper_wait(other) != 0) measure_fail("%s: a writer failed", bench->store->name);
  snprintf(name, sizeof name, "get beside %s", what);
  histogram_emit(bench, name, &times);
  snprintf(name, sizeof name, "get beside %s count", what);
  measure_emit(bench, name, (double)atomic_load(&page->done[0]));
}

void readers_measure(bench_state *bench) {
  adapter_options options = {.keys = bench->keys};
  if (!bench->store->many_processes) return;
  sequence all = sequence_make(input_shuffled(bench->keys, 1), bench->keys, INPUT_STORED);
  sequence in = uniform(PREPARED, bench->keys, 40);
  measure_make_folder(bench);
  measure_open(bench, &options);
  loop_batch(bench, &all, 100, LOOPS_ALL);
  measure_close(bench);
  sequence_free(&all);
  beside(bench, &in, "nobody", NULL, NULL);
  beside(bench, &in, "writer", "writer", "w");
  if (bench->store->reclaim != NULL) beside(bench, &in, "reclaim", "writer", "r");
  beside(bench, &in, "killed writers", "killer", "w");
  measure_remove_folder(bench);
  sequence_free(&in);
}
