/*
** measure.h - one store under measurement: its folder, its handle, the clock and the lines that come out.
**
** A measurement is a line: store, workload, keys, run, value, with tabs between. The value is in nanoseconds
** an operation, unless the workload's name ends in another unit. Whatever fails ends the program.
*/
#ifndef VIPERDB_BENCH_MEASURE_H
#define VIPERDB_BENCH_MEASURE_H

#include <stdnoreturn.h>

#include "adapter.h"

typedef struct bench_state {
  const adapter *store;
  const char *folder; /* made and removed by the workloads */
  uint64_t keys;      /* how many the store holds when it is full */
  unsigned run;
  void *handle; /* NULL when the store is closed */
} bench_state;

/* Nanoseconds of a clock that only goes forward. */
uint64_t measure_now(void);

void measure_emit(const bench_state *bench, const char *workload, double value);

noreturn void measure_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fails with the call's name unless it was done. */
void measure_check(const bench_state *bench, bool done, const char *call);

/* An empty folder, whatever was there before. */
void measure_make_folder(const bench_state *bench);
void measure_remove_folder(const bench_state *bench);

/* What the files in the folder take on the disk. */
uint64_t measure_folder_bytes(const bench_state *bench);

void measure_open(bench_state *bench, const adapter_options *options);
void measure_close(bench_state *bench);

void *measure_allocate(size_t size);

#endif
