/*
** floors.c - what this machine takes for the steps that no store can do without: a copy, a cache miss, a page
** fault, a system call, a sync of the disk.
**
**   floors FOLDER KEYS RUN
**
** Prints lines as measure.h has them, for a store named "floor".
*/
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "input.h"
#include "measure.h"

/* Keeps the compiler from leaving out what makes a value. */
#define USE(value) __asm__ volatile("" ::"g"(value) : "memory")

static void copy(const bench_state *bench, const char *name, size_t size, unsigned times) {
  char *from = measure_allocate(size), *to = measure_allocate(size);
  memset(from, 1, size);
  memset(to, 1, size);
  uint64_t start = measure_now();
  for (unsigned i = 0; i < times; i++) {
    memcpy(to, from, size);
    USE(to);
  }
  measure_emit(bench, name, (double)(measure_now() - start) / times);
  free(from);
  free(to);
}

/* Each address is read from the one before. 512 MB is more than any cache holds. */
static void cache_miss(const bench_state *bench) {
  const uint32_t lines = 1u << 23, line = 64 / sizeof(uint32_t), steps = 2000000;
  uint32_t *order = input_shuffled(lines, 30);
  uint32_t *memory = measure_allocate((size_t)lines * 64);
  for (uint32_t i = 0; i < lines; i++) memory[(size_t)order[i] * line] = order[(i + 1) % lines];
  uint32_t at = order[0];
  uint64_t start = measure_now();
  for (uint32_t i = 0; i < steps; i++) at = memory[(size_t)at * line];
  measure_emit(bench, "cache miss", (double)(measure_now() - start) / steps);
  USE(at);
  free(order);
  free(memory);
}

static void write_file(int file, size_t size) {
  static char zeros[65536];
  for (size_t at = 0; at < size; at += sizeof zeros)
    if (pwrite(file, zeros, sizeof zeros, (off_t)at) != sizeof zeros)
      measure_fail("cannot write: %s", strerror(errno));
}

/* The first store to each page of a file that is in the page cache. */
static void page_fault(const bench_state *bench, int file, size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = size / page;
  write_file(file, size);
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) measure_fail("cannot map: %s", strerror(errno));
  uint64_t start = measure_now();
  for (size_t i = 0; i < pages; i++) memory[i * page] = 1;
  measure_emit(bench, "page fault", (double)(measure_now() - start) / (double)pages);
  munmap(memory, size);
}

/* As many bytes as a put leaves, to a file that does not grow. */
static void write_call(const bench_state *bench, int file) {
  char bytes[250];
  const unsigned times = 200000, places = 100000;
  memset(bytes, 1, sizeof bytes);
  uint64_t start = measure_now();
  for (unsigned i = 0; i < times; i++)
    if (pwrite(file, bytes, sizeof bytes, (off_t)(i % places * sizeof bytes)) < 0)
      measure_fail("cannot write: %s", strerror(errno));
  measure_emit(bench, "pwrite 250 bytes", (double)(measure_now() - start) / times);
}

/* The same, each on the disk. */
static void sync_file(const bench_state *bench, int file) {
  char bytes[250];
  const unsigned times = 100;
  memset(bytes, 1, sizeof bytes);
  fsync(file);
  uint64_t start = measure_now();
  for (unsigned i = 0; i < times; i++)
    if (pwrite(file, bytes, sizeof bytes, (off_t)(i * sizeof bytes)) < 0 || fdatasync(file) != 0)
      measure_fail("cannot sync: %s", strerror(errno));
  measure_emit(bench, "fdatasync", (double)(measure_now() - start) / times);
}

static void system_call(const bench_state *bench) {
  const unsigned times = 200000;
  uint64_t start = measure_now();
  for (unsigned i = 0; i < times; i++) syscall(SYS_getppid);
  measure_emit(bench, "system call", (double)(measure_now() - start) / times);
}

static void read_clock(const bench_state *bench) {
  const unsigned times = 200000;
  uint64_t start = measure_now();
  for (unsigned i = 0; i < times; i++) USE(measure_now());
  measure_emit(bench, "reading the clock", (double)(measure_now() - start) / times);
}

static void files(const bench_state *bench) {
  char path[1024];
  measure_make_folder(bench);
  int file = open(adapter_path(path, bench->folder, "floor"), O_RDWR | O_CREAT, 0600);
  if (file < 0) measure_fail("cannot make %s: %s", path, strerror(errno));
  page_fault(bench, file, (size_t)64 << 20);
  write_call(bench, file);
  sync_file(bench, file);
  close(file);
  measure_remove_folder(bench);
}

int main(int argc, char **argv) {
  static const adapter floor_of_all = {.name = "floor"};
  if (argc != 4) measure_fail("usage: %s FOLDER KEYS RUN", argv[0]);
  bench_state bench = {&floor_of_all, argv[1], strtoull(argv[2], NULL, 10),
                       (unsigned)strtoul(argv[3], NULL, 10), NULL};
  copy(&bench, "copy 100 bytes", 100, 5000000);
  copy(&bench, "copy 100 KB", INPUT_BIG_VALUE_SIZE, 20000);
  cache_miss(&bench);
  system_call(&bench);
  read_clock(&bench);
  files(&bench);
  return 0;
}
