/*
** main.c - the benchmark of one store. There is one such program for each file in bench/stores.
**
**   STORE about                          name, kind and settings, for the report
**   STORE measure FOLDER KEYS RUN        everything that one process does
**   STORE latency FOLDER KEYS RUN
**   STORE processes FOLDER KEYS RUN
**   STORE kill FOLDER KEYS RUN ROUNDS    the kill test; KEYS is only what is written to the line
**
** Prints a line a measurement (measure.h); bench/run.lua runs them all. victim, worker and target are what it
** starts itself.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "workloads.h"

static int about(const adapter *store) {
  printf("%s\t%s\t%s\t%s\t%s\n", store->name, store->persistent ? "file" : "memory",
         store->slow ? "slow" : "fast", store->atomic_batches ? "atomic" : "loose", store->settings);
  return 0;
}

static int measure(bench_state *bench) {
  workload_basics(bench);
  workload_hot_set(bench);
  workload_big_values(bench);
  workload_batches(bench);
  if (bench->store->persistent) workload_on_disk(bench);
  return 0;
}

static unsigned number_at(char **arguments, unsigned default_number) {
  return arguments[0] == NULL ? default_number : (unsigned)strtoul(arguments[0], NULL, 10);
}

static int kill_test(bench_state *bench, char **arguments) {
  if (bench->store->persistent) kill_test_run(bench, number_at(arguments, 20));
  return 0;
}

static int run(bench_state *bench, const char *command, char **rest) {
  if (strcmp(command, "worker") == 0) return processes_worker(bench, rest);
  if (strcmp(command, "victim") == 0) return opening_victim(bench, rest);
  if (strcmp(command, "target") == 0) return kill_test_target(bench, rest);
  bench->run = number_at(rest, 1);
  if (*rest != NULL) rest++;
  if (strcmp(command, "measure") == 0) return measure(bench);
  if (strcmp(command, "latency") == 0) return latency_measure(bench), 0;
  if (strcmp(command, "processes") == 0) return processes_measure(bench), 0;
  if (strcmp(command, "kill") == 0) return kill_test(bench, rest);
  fprintf(stderr, "there is no command '%s'\n", command);
  return 2;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "about") == 0) return about(&bench_adapter);
  if (argc < 4) {
    fprintf(stderr, "usage: %s about | COMMAND FOLDER KEYS ...\n", argv[0]);
    return 2;
  }
  bench_state bench = {
      .store = &bench_adapter, .folder = argv[2], .keys = strtoull(argv[3], NULL, 10), .run = 1};
  if (bench.keys < 1000 || bench.keys > UINT32_MAX / 4) measure_fail("KEYS must be 1000 to 1073741823");
  input_prepare();
  return run(&bench, argv[1], argv + 4);
}
