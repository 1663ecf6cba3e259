/*
** latency.c - each call timed by itself: what the slowest ones cost, while the store grows and while it
** reclaims.
**
** Reading the clock is part of each time. The histogram has 64 steps to a power of two.
*/
#include <stdio.h>
#include <string.h>

#include "loops.h"
#include "workloads.h"

#define STEPS_LOG 6
#define STEPS (1u << STEPS_LOG)

typedef struct time_histogram {
  uint64_t counts[64 * STEPS];
  uint64_t total, most;
} time_histogram;

static unsigned step_of(uint64_t nanoseconds) {
  if (nanoseconds < STEPS) return (unsigned)nanoseconds;
  unsigned power = 63 - (unsigned)__builtin_clzll(nanoseconds);
  return (power - STEPS_LOG + 1) * STEPS + (unsigned)(nanoseconds >> (power - STEPS_LOG)) - STEPS;
}

/* The least time that falls into a step. */
static uint64_t least_of(unsigned step) {
  if (step < STEPS) return step;
  return (uint64_t)(step % STEPS + STEPS) << (step / STEPS - 1);
}

static void add(time_histogram *histogram, uint64_t nanoseconds) {
  histogram->counts[step_of(nanoseconds)]++;
  histogram->total++;
  if (nanoseconds > histogram->most) histogram->most = nanoseconds;
}

static uint64_t percentile(const time_histogram *histogram, double part) {
  uint64_t wanted = (uint64_t)((double)histogram->total * part), seen = 0;
  for (unsigned step = 0; step < 64 * STEPS; step++) {
    seen += histogram->counts[step];
    if (seen > wanted) return least_of(step);
  }
  return histogram->most;
}

static void emit(const bench_state *bench, const char *workload, const time_histogram *histogram) {
  static const struct {
    const char *name;
    double part;
  } parts[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};
  char name[64];
  for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
    snprintf(name, sizeof name, "%s %s", workload, parts[i].name);
    measure_emit(bench, name, (double)percentile(histogram, parts[i].part));
  }
  snprintf(name, sizeof name, "%s max", workload);
  measure_emit(bench, name, (double)histogram->most);
}

static time_histogram times;

static void time_puts(const bench_state *bench, const char *workload, const sequence *in, double seconds) {
  uint64_t now = measure_now(), end = now + (uint64_t)(seconds * 1e9);
  memset(&times, 0, sizeof times);
  for (uint64_t i = 0; i < in->count && now < end; i++) {
    text value = input_value(in->numbers[i], 0, INPUT_VALUE_SIZE);
    bool done = bench->store->put(bench->handle, input_key(in->keys, i), value);
    uint64_t then = measure_now();
    add(&times, then - now);
    now = then;
    if (!done) measure_fail("%s: put failed", bench->store->name);
  }
  emit(bench, workload, &times);
}

static void time_gets(const bench_state *bench, const char *workload, const sequence *in, double seconds) {
  char buffer[INPUT_VALUE_SIZE];
  uint64_t now = measure_now(), end = now + (uint64_t)(seconds * 1e9);
  memset(&times, 0, sizeof times);
  for (uint64_t i = 0; i < in->count && now < end; i++) {
    int64_t size = bench->store->get(bench->handle, input_key(in->keys, i), buffer, sizeof buffer);
    uint64_t then = measure_now();
    add(&times, then - now);
    now = then;
    if (size != INPUT_VALUE_SIZE) measure_fail("%s: get failed", bench->store->name);
  }
  emit(bench, workload, &times);
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

static void while_reclaiming(bench_state *bench) {
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
  while_reclaiming(bench);
  measure_remove_folder(bench);
}
