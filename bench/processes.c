/*
** processes.c - 1, 2 and 4 processes that read, write or do both on one store, for a set time.
**
** The number is nanoseconds an operation of all of them together: half of it is twice the throughput.
*/
#include <stdio.h>
#include <stdlib.h>

#include "helper.h"
#include "loops.h"
#include "workloads.h"

#define SECONDS 1.0
#define PREPARED 200000u /* operations a worker prepares, and repeats */
#define STRIDE 20u       /* operations between two looks at the page */

static const struct {
  const char *name;
  unsigned puts; /* in a hundred */
} tasks[] = {{"read", 0}, {"write", 100}, {"mixed", 5}};

#define TASKS (sizeof tasks / sizeof *tasks)

/* The next few of the prepared operations, from the beginning again behind the last. */
static void stride(const bench_state *bench, const sequence *in, const mix *kinds, uint64_t done) {
  uint64_t at = done % PREPARED;
  sequence next = {STRIDE, in->numbers + at, in->keys + at * INPUT_KEY_SIZE};
  mix part = {kinds->percents + at, kinds->puts, kinds->modify};
  loop_mixed(bench, &next, &part, LOOPS_ALL);
}

int processes_worker(bench_state *bench, char **arguments) {
  unsigned puts = (unsigned)strtoul(arguments[0], NULL, 10);
  unsigned number = (unsigned)strtoul(arguments[1], NULL, 10);
  helper_page *page = helper_find_page();
  adapter_options options = {.keys = bench->keys};
  sequence in = sequence_make(input_zipfian(PREPARED, bench->keys, 100 + number), PREPARED, INPUT_STORED);
  mix kinds = mix_make(PREPARED, puts, false, 200 + number);
  measure_open(bench, &options);
  stride(bench, &in, &kinds, 0);
  atomic_fetch_add(&page->ready, 1);
  while (atomic_load(&page->go) == 0) continue;
  uint64_t done = 0;
  for (; atomic_load(&page->stop) == 0; done += STRIDE) stride(bench, &in, &kinds, done);
  atomic_store(&page->done[number], done);
  measure_close(bench);
  return 0;
}

static pid_t start_worker(const bench_state *bench, unsigned puts, unsigned number) {
  char keys[32], share[32], name[32];
  snprintf(keys, sizeof keys, "%llu", (unsigned long long)bench->keys);
  snprintf(share, sizeof share, "%u", puts);
  snprintf(name, sizeof name, "%u", number);
  return helper_start((const char *[]){"bench", "worker", bench->folder, keys, share, name, NULL});
}

static double run_workers(const bench_state *bench, unsigned puts, unsigned count) {
  pid_t workers[HELPER_MOST];
  helper_page *page = helper_make_page();
  for (unsigned i = 0; i < count; i++) workers[i] = start_worker(bench, puts, i);
  if (!helper_await(page, count)) measure_fail("%s: a worker failed", bench->store->name);
  uint64_t start = measure_now(), done = 0;
  atomic_store(&page->go, 1);
  helper_sleep(SECONDS);
  atomic_store(&page->stop, 1);
  uint64_t end = measure_now();
  for (unsigned i = 0; i < count; i++)
    if (helper_wait(workers[i]) != 0) measure_fail("%s: a worker failed", bench->store->name);
  for (unsigned i = 0; i < count; i++) done += atomic_load(&page->done[i]);
  return (double)(end - start) / (double)done;
}

void processes_measure(bench_state *bench) {
  adapter_options options = {.keys = bench->keys};
  if (!bench->store->many_processes) return;
  sequence all = sequence_make(input_shuffled(bench->keys, 1), bench->keys, INPUT_STORED);
  measure_make_folder(bench);
  measure_open(bench, &options);
  loop_batch(bench, &all, 100, LOOPS_ALL);
  measure_close(bench);
  for (unsigned task = 0; task < TASKS; task++) {
    for (unsigned count = 1; count <= 4; count *= 2) {
      char name[64];
      snprintf(name, sizeof name, "%u processes %s", count, tasks[task].name);
      measure_emit(bench, name, run_workers(bench, tasks[task].puts, count));
    }
  }
  measure_remove_folder(bench);
  sequence_free(&all);
}
