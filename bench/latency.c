/*
** latency.c - each call timed by itself: what the slowest ones cost, while the store grows and while a hot
** set is overwritten.
**
** Reading the clock is part of each time.
*/
#include "histogram.h"
#include "loops.h"
#include "workloads.h"

static histogram times;

static void time_puts(const bench_state *bench, const char *workload, const sequence *in, double seconds) {
  uint64_t now = measure_now(), end = now + (uint64_t)(seconds * 1e9);
  histogram_clear(&times);
  for (uint64_t i = 0; i < in->count && now < end; i++) {
    text value = input_value(in->numbers[i], 0, INPUT_VALUE_SIZE);
    bool done = bench->store->put(bench->handle, input_key(in->keys, i), value);
    uint64_t then = measure_now();
    histogram_add(&times, then - now);
    now = then;
    if (!done) measure_fail("%s: put failed", bench->store->name);
  }
  histogram_emit(bench, workload, &times);
}

static void time_gets(const bench_state *bench, const char *workload, const sequence *in, double seconds) {
  char buffer[INPUT_VALUE_SIZE];
  uint64_t now = measure_now(), end = now + (uint64_t)(seconds * 1e9);
  histogram_clear(&times);
  for (uint64_t i = 0; i < in->count && now < end; i++) {
    int64_t size = bench->store->get(bench->handle, input_key(in->keys, i), buffer, sizeof buffer);
    uint64_t then = measure_now();
    histogram_add(&times, then - now);
    now = then;
    if (size != INPUT_VALUE_SIZE) measure_fail("%s: get failed", bench->store->name);
  }
  histogram_emit(bench, workload, &times);
}

static void open_empty(bench_state *bench, uint64_t keys, bool reclaim) {
  adapter_options options = {.keys = keys, .reclaim = reclaim};
  measure_make_folder(bench);
  measure_open(bench, &options);
}

static void while_growing(bench_state *bench) {
  sequence all = sequence_make(input_shuffled(bench->keys, 1), bench->keys, INPUT_STORED);
  sequence reads = sequence_make(input_shuffled(bench->keys, 2), bench->keys, INPUT_STORED);
  open_empty(bench, bench->keys, false);
  time_puts(bench, "put latency", &all, LOOPS_ALL);
  time_gets(bench, "get latency", &reads, workload_seconds(bench));
  measure_close(bench);
  sequence_free(&all);
  sequence_free(&reads);
}

/* Where dead space is given back while writing, that is in these times. */
static void while_overwriting(bench_state *bench) {
  uint64_t keys = bench->keys / 10, rounds = 4 * bench->keys;
  sequence all = sequence_make(input_shuffled(keys, 6), keys, INPUT_STORED);
  sequence hot = sequence_make(input_uniform(rounds, keys / 10, 7), rounds, INPUT_STORED);
  open_empty(bench, keys, true);
  loop_put(bench, &all, 0, INPUT_VALUE_SIZE, LOOPS_ALL);
  time_puts(bench, "hot put latency", &hot, 2.0);
  measure_close(bench);
  sequence_free(&all);
  sequence_free(&hot);
}

void latency_measure(bench_state *bench) {
  while_growing(bench);
  while_overwriting(bench);
  measure_remove_folder(bench);
}
