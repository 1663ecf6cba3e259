/*
** workloads.h - what is measured, one function a chapter. Each begins with an empty folder and removes it at
** its end.
*/
#ifndef VIPERDB_BENCH_WORKLOADS_H
#define VIPERDB_BENCH_WORKLOADS_H

#include "measure.h"

/* workloads.c: one process, one thread. */
void workload_basics(bench_state *bench);
void workload_fill(bench_state *bench); /* of the basics: filling, getting and opening */
void workload_big_values(bench_state *bench);
void workload_batches(bench_state *bench);
void workload_on_disk(bench_state *bench);

/* opening.c: a full store, opened again after close, SIGKILL, loss of its index. Part of workload_basics. */
void opening_measure(bench_state *bench);

/* latency.c: each call timed by itself. */
void latency_measure(bench_state *bench);

/* hot_set.c: space, while a few keys are overwritten for so many seconds. */
void hot_set_measure(bench_state *bench, double seconds);

/* readers.c: each get timed by itself, while other processes write, reclaim and are killed. */
void readers_measure(bench_state *bench);

/* processes.c: 1, 2 and 4 processes on one store. */
void processes_measure(bench_state *bench);

/* kill_test.c: whether what a killed process was told is stored is there. */
void kill_test_run(bench_state *bench, unsigned rounds, bool sync_each);

/* Programs that the above start again from the same executable; `arguments` end with NULL. */
int opening_victim(bench_state *bench, char **arguments);
int processes_worker(bench_state *bench, char **arguments);
int readers_writer(bench_state *bench, char **arguments);
int readers_killer(bench_state *bench, char **arguments);
int kill_test_target(bench_state *bench, char **arguments);

/* How long a workload that may stop early goes on. */
double workload_seconds(const bench_state *bench);

#endif
