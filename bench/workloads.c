/*
** workloads.c - one process, one thread: filling, reading, changing, YCSB, batches, big values, the disk.
*/
#include "workloads.h"

#include <stdlib.h>

#include "loops.h"

#define BATCH 100u
#define VERIFIED 10000u /* keys whose values are compared after a loop */

double workload_seconds(const bench_state *bench) {
  return bench->store->slow ? 1.0 : 3.0;
}

static void open_empty(bench_state *bench, uint64_t keys, bool sync_each) {
  adapter_options options = {.keys = keys, .sync_each = sync_each};
  measure_make_folder(bench);
  measure_open(bench, &options);
}

static void close_and_remove(bench_state *bench) {
  measure_close(bench);
  measure_remove_folder(bench);
}

static void verify_some(const bench_state *bench, const sequence *in, uint64_t count, uint64_t version) {
  sequence some = {count < VERIFIED ? count : VERIFIED, in->numbers, in->keys};
  loop_verify(bench, &some, version, version, INPUT_VALUE_SIZE);
}

static void fill_in_order(bench_state *bench) {
  sequence all = sequence_make(input_ascending(bench->keys), bench->keys, INPUT_STORED);
  open_empty(bench, bench->keys, false);
  measure_emit(bench, "fill in order", loop_put(bench, &all, 0, INPUT_VALUE_SIZE, LOOPS_ALL));
  close_and_remove(bench);
  sequence_free(&all);
}

static void fill_shuffled(bench_state *bench) {
  sequence all = sequence_make(input_shuffled(bench->keys, 1), bench->keys, INPUT_STORED);
  measure_emit(bench, "fill", loop_put(bench, &all, 0, INPUT_VALUE_SIZE, LOOPS_ALL));
  measure_emit(bench, "filled bytes", (double)measure_folder_bytes(bench));
  verify_some(bench, &all, all.count, 0);
  sequence_free(&all);
}

static void get_some(bench_state *bench, const char *workload, uint32_t *numbers, char last) {
  sequence in = sequence_make(numbers, bench->keys, last);
  double seconds = workload_seconds(bench);
  measure_emit(bench, workload, loop_get(bench, &in, last == INPUT_STORED, INPUT_VALUE_SIZE, seconds));
  sequence_free(&in);
}

static void read_all_ways(bench_state *bench) {
  uint64_t keys = bench->keys;
  get_some(bench, "get", input_shuffled(keys, 2), INPUT_STORED);
  get_some(bench, "get absent", input_shuffled(keys, 3), INPUT_ABSENT);
  get_some(bench, "get skewed", input_zipfian(keys, keys, 4), INPUT_STORED);
}

static void ycsb(bench_state *bench) {
  static const struct {
    const char *name;
    unsigned puts;
    bool modify;
  } mixes[] = {{"YCSB A", 50, false}, {"YCSB B", 5, false}, {"YCSB C", 0, false}, {"YCSB F", 50, true}};
  for (unsigned i = 0; i < sizeof mixes / sizeof *mixes; i++) {
    sequence in = sequence_make(input_zipfian(bench->keys, bench->keys, 10 + i), bench->keys, INPUT_STORED);
    mix kinds = mix_make(in.count, mixes[i].puts, mixes[i].modify, 20 + i);
    measure_emit(bench, mixes[i].name, loop_mixed(bench, &in, &kinds, workload_seconds(bench)));
    sequence_free(&in);
    free(kinds.percents);
  }
}

static void overwrite_and_remove(bench_state *bench) {
  sequence in = sequence_make(input_shuffled(bench->keys, 5), bench->keys, INPUT_STORED);
  double seconds = workload_seconds(bench);
  uint64_t done;
  measure_emit(bench, "overwrite", loop_put_some(bench, &in, 1, INPUT_VALUE_SIZE, seconds, &done));
  verify_some(bench, &in, done, 1);
  measure_emit(bench, "delete", loop_remove(bench, &in, seconds));
  sequence_free(&in);
}

void workload_basics(bench_state *bench) {
  fill_in_order(bench);
  open_empty(bench, bench->keys, false);
  fill_shuffled(bench);
  read_all_ways(bench);
  measure_emit(bench, "walk", loop_walk(bench, bench->keys));
  ycsb(bench);
  if (bench->store->persistent) opening_measure(bench);
  overwrite_and_remove(bench);
  close_and_remove(bench);
}

void workload_fill(bench_state *bench) {
  open_empty(bench, bench->keys, false);
  fill_shuffled(bench);
  read_all_ways(bench);
  if (bench->store->persistent) opening_measure(bench);
  close_and_remove(bench);
}

void workload_big_values(bench_state *bench) {
  uint64_t count = bench->keys / 1000 < 1000 ? bench->keys / 1000 : 1000;
  sequence all = sequence_make(input_shuffled(count, 8), count, INPUT_STORED);
  sequence reads = sequence_make(input_shuffled(count, 9), count, INPUT_STORED);
  open_empty(bench, count, false);
  measure_emit(bench, "put 100 KB", loop_put(bench, &all, 0, INPUT_BIG_VALUE_SIZE, LOOPS_ALL));
  measure_emit(bench, "get 100 KB", loop_get(bench, &reads, true, INPUT_BIG_VALUE_SIZE, LOOPS_ALL));
  loop_verify(bench, &reads, 0, 0, INPUT_BIG_VALUE_SIZE);
  close_and_remove(bench);
  sequence_free(&all);
  sequence_free(&reads);
}

void workload_batches(bench_state *bench) {
  sequence all = sequence_make(input_shuffled(bench->keys, 1), bench->keys, INPUT_STORED);
  open_empty(bench, bench->keys, false);
  measure_emit(bench, "batch", loop_batch(bench, &all, BATCH, workload_seconds(bench)));
  close_and_remove(bench);
  sequence_free(&all);
}

/* Into a store with some keys, each commit on the disk; then the same in batches. */
void workload_on_disk(bench_state *bench) {
  uint64_t keys = bench->keys / 10;
  sequence all = sequence_make(input_shuffled(keys, 1), keys, INPUT_STORED);
  sequence again = sequence_make(input_shuffled(keys, 2), keys, INPUT_STORED);
  open_empty(bench, keys, true);
  measure_emit(bench, "put on disk", loop_put(bench, &all, 0, INPUT_VALUE_SIZE, 0.5));
  measure_emit(bench, "batch on disk", loop_batch(bench, &again, BATCH, 0.5));
  close_and_remove(bench);
  sequence_free(&all);
  sequence_free(&again);
}
