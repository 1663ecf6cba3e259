/*
** histogram.c - times, counted by their first bits.
*/
#include "histogram.h"

#include <stdio.h>
#include <string.h>

#define STEPS HISTOGRAM_STEPS

static unsigned step_of(uint64_t nanoseconds) {
  if (nanoseconds < STEPS) return (unsigned)nanoseconds;
  unsigned power = 63 - (unsigned)__builtin_clzll(nanoseconds);
  unsigned shift = power - HISTOGRAM_STEPS_LOG;
  return (shift + 1) * STEPS + (unsigned)(nanoseconds >> shift) - STEPS;
}

/* The least time that falls into a step. */
static uint64_t least_of(unsigned step) {
  if (step < STEPS) return step;
  return (uint64_t)(step % STEPS + STEPS) << (step / STEPS - 1);
}

void histogram_clear(histogram *times) {
  memset(times, 0, sizeof *times);
}

void histogram_add(histogram *times, uint64_t nanoseconds) {
  times->counts[step_of(nanoseconds)]++;
  times->total++;
  if (nanoseconds > times->most) times->most = nanoseconds;
}

static uint64_t percentile(const histogram *times, double part) {
  uint64_t wanted = (uint64_t)((double)times->total * part), seen = 0;
  for (unsigned step = 0; step < 64 * STEPS; step++) {
    seen += times->counts[step];
    if (seen > wanted) return least_of(step);
  }
  return times->most;
}

void histogram_emit(const bench_state *bench, const char *workload, const histogram *times) {
  static const struct {
    const char *name;
    double part;
  } parts[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}};
  char name[64];
  for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
    snprintf(name, sizeof name, "%s %s", workload, parts[i].name);
    measure_emit(bench, name, (double)percentile(times, parts[i].part));
  }
  snprintf(name, sizeof name, "%s max", workload);
  measure_emit(bench, name, (double)times->most);
}
