/*
** main.c - the benchmark of one store. There is one such program for each file in bench/stores.
**
**   STORE about                          name, kind and settings, for the report
**   STORE measure FOLDER KEYS RUN        everything that one process does
**   STORE latency FOLDER KEYS RUN
**   STORE fill FOLDER KEYS RUN           of these: filling, getting, opening
**   STORE space FOLDER KEYS RUN SECONDS  while a hot set is overwritten
**   STORE processes FOLDER KEYS RUN
**   STORE readers FOLDER KEYS RUN
**   STORE kill FOLDER KEYS RUN ROUNDS    the kill test; KEYS is only what is written to the line
**
** Prints a line a measurement (measure.h); bench/run.lua runs them all. victim, worker, target, writer and
** killer are what it starts itself.
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

static int measure(bench_state *bench, char **arguments) {
  (void)arguments;
  workload_basics(bench);
  workload_big_values(bench);
  workload_batches(bench);
  if (bench->store->persistent) workload_on_disk(bench);
  return 0;
}

static unsigned number_at(char **arguments, unsigned default_number) {
  return arguments[0] == NULL ? default_number : (unsigned)strtoul(arguments[0], NULL, 10);
}

static int kill_test(bench_state *bench, char **arguments) {
  unsigned rounds = number_at(arguments, 20);
  if (!bench->store->persistent) return 0;
  kill_test_run(bench, rounds, false);
  kill_test_run(bench, rounds, true);
  return 0;
}

static int fill(bench_state *bench, char **arguments) {
  (void)arguments;
  workload_fill(bench);
  return 0;
}

static int latency(bench_state *bench, char **arguments) {
  (void)arguments;
  latency_measure(bench);
  return 0;
}

static int space(bench_state *bench, char **arguments) {
  if (bench->store->persistent) hot_set_measure(bench, number_at(arguments, 60));
  return 0;
}

static int processes(bench_state *bench, char **arguments) {
  (void)arguments;
  processes_measure(bench);
  return 0;
}

static int readers(bench_state *bench, char **arguments) {
  (void)arguments;
  readers_measure(bench);
  return 0;
}

typedef struct command {
  const char *name;
  int (*run)(bench_state *bench, char **arguments);
  bool counts; /* its first argument is the run */
} command;

static const command commands[] = {
    {"measure", measure, true},          {"fill", fill, true},
    {"latency", latency, true},          {"space", space, true},
    {"processes", processes, true},      {"readers", readers, true},
    {"kill", kill_test, true},           {"victim", opening_victim, false},
    {"worker", processes_worker, false}, {"target", kill_test_target, false},
    {"writer", readers_writer, false},   {"killer", readers_killer, false},
};

static int run(bench_state *bench, const char *name, char **rest) {
  for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(commands[i].name, name) != 0) continue;
    if (!commands[i].counts) return commands[i].run(bench, rest);
    bench->run = number_at(rest, 1);
    return commands[i].run(bench, *rest != NULL ? rest + 1 : rest);
  }
  fprintf(stderr, "there is no command '%s'\n", name);
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
