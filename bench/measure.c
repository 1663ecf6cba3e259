/*
** measure.c - folders, the clock and the lines that come out.
*/
#define _XOPEN_SOURCE 700

#include "measure.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t measure_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void measure_emit(const bench_state *bench, const char *workload, double value) {
  printf("%s\t%s\t%llu\t%u\t%.2f\n", bench->store->name, workload, (unsigned long long)bench->keys,
         bench->run, value);
  fflush(stdout);
}

void measure_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

void measure_check(const bench_state *bench, bool done, const char *call) {
  if (!done) measure_fail("%s: %s failed", bench->store->name, call);
}

bool adapter_failed(const char *call, const char *reason) {
  fprintf(stderr, "%s: %s\n", call, reason);
  return false;
}

void *adapter_give_up(void *store) {
  free(store);
  return NULL;
}

const char *adapter_path(char *path, const char *folder, const char *name) {
  snprintf(path, 1024, "%s/%s", folder, name);
  return path;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status, (void)kind, (void)place;
  return remove(path);
}

void measure_remove_folder(const bench_state *bench) {
  if (nftw(bench->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
    measure_fail("cannot remove %s: %s", bench->folder, strerror(errno));
}

void measure_make_folder(const bench_state *bench) {
  measure_remove_folder(bench);
  if (mkdir(bench->folder, 0700) != 0) measure_fail("cannot make %s: %s", bench->folder, strerror(errno));
}

static uint64_t folder_blocks;

static int add_blocks(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)path, (void)place;
  if (kind == FTW_F) folder_blocks += (uint64_t)status->st_blocks;
  return 0;
}

uint64_t measure_folder_bytes(const bench_state *bench) {
  folder_blocks = 0;
  nftw(bench->folder, add_blocks, 16, FTW_PHYS);
  return folder_blocks * 512;
}

void measure_open(bench_state *bench, const adapter_options *options) {
  bench->handle = bench->store->open(bench->folder, options);
  measure_check(bench, bench->handle != NULL, "open");
}

void measure_close(bench_state *bench) {
  bool done = bench->store->close(bench->handle);
  bench->handle = NULL;
  measure_check(bench, done, "close");
}

void *measure_allocate(size_t size) {
  void *memory = malloc(size > 0 ? size : 1);
  if (memory == NULL) measure_fail("out of memory");
  return memory;
}
