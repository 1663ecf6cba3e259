/*
** histogram.h - how long each of many calls took: counts with 64 steps to a power of two, so a percentile is
** at most 1.6% too low, and the greatest time exactly.
*/
#ifndef VIPERDB_BENCH_HISTOGRAM_H
#define VIPERDB_BENCH_HISTOGRAM_H

#include "measure.h"

#define HISTOGRAM_STEPS_LOG 6
#define HISTOGRAM_STEPS (1u << HISTOGRAM_STEPS_LOG)

typedef struct histogram {
  uint64_t counts[64 * HISTOGRAM_STEPS];
  uint64_t total, most;
} histogram;

void histogram_clear(histogram *times);
void histogram_add(histogram *times, uint64_t nanoseconds);

/* Lines for p50, p99, p99.9 and max, with these words behind the workload's name. */
void histogram_emit(const bench_state *bench, const char *workload, const histogram *times);

#endif
