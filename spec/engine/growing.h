/*
** growing.h - for tests of logs that are made longer ahead of their writers: stores with long logs, and what is in them.
**
** Keys are long, so that the key log grows, too. The table of what was written last is shared with children.
*/
#ifndef VIPERDB_GROWING_H
#define VIPERDB_GROWING_H

#include "../../src/engine/control.h"
#include "../../src/engine/growth.h"
#include "../../src/engine/log.h"
#include "faults.h"

/* What is stored ---------------------------------------------------------------------------------------- */

enum { KEYS = 40, KEY_SIZE = 1000, MOST_BYTES = 400 };

/* A log from which on it grows ahead, and one that grows so far ahead that a put never needs room itself. */
enum { LONG = 64 * 1024, VERY_LONG = 1 << 20 };

static int *newest; /* of each key the number of its value, 0 for none; shared */
static const char *path;

static inline vdb_key key_of(int key) {
  static char texts[KEYS][KEY_SIZE];
  if (texts[key][0] == 0) memset(texts[key], '0' + key, KEY_SIZE);
  return vdb_string(texts[key], KEY_SIZE);
}

/* Tells its key and number by its first bytes, and by its size. */
static inline size_t print_value(unsigned char bytes[MOST_BYTES], int key, int number) {
  int numbers[2] = {key, number};
  size_t size = sizeof numbers + (size_t)(key * 31 + number * 17) % (MOST_BYTES - sizeof numbers);
  memset(bytes, 'a' + (key + number) % 26, size);
  memcpy(bytes, numbers, sizeof numbers);
  return size;
}

static inline bool holds_number(vdb_store *store, int key, int number) {
  unsigned char bytes[MOST_BYTES];
  if (number == 0) return lacks_key(store, key_of(key));
  return holds_bytes(store, key_of(key), bytes, print_value(bytes, key, number));
}

static inline vdb_status put_next(vdb_store *store, int key) {
  unsigned char bytes[MOST_BYTES];
  size_t size = print_value(bytes, key, newest[key] + 1);
  vdb_status status = put_bytes(store, key_of(key), bytes, size);
  if (status == VDB_OK) newest[key]++;
  return status;
}

/* The first failure, or VDB_OK. */
static inline vdb_status put_many(vdb_store *store, int count) {
  vdb_status status = VDB_OK;
  for (int i = 0; i < count && status == VDB_OK; i++) status = put_next(store, i % KEYS);
  if (status != VDB_OK) printf("# put: %s %s\n", vdb_status_name(status), last_error.message);
  return status;
}

static inline bool holds_newest(vdb_store *store) {
  for (int key = 0; key < KEYS; key++)
    if (!holds_number(store, key, newest[key])) {
      printf("# key %d has not its value number %d\n", key, newest[key]);
      return false;
    }
  return true;
}

static inline bool is_sound(vdb_store *store) {
  uint64_t problems = 1;
  vdb_status status = vdb_check(store, NULL, NULL, &problems, &last_error);
  if (status != VDB_OK || problems > 0)
    printf("# check: %d problems, %s\n", (int)problems, last_error.message);
  return status == VDB_OK && problems == 0 && holds_newest(store);
}

/* The files --------------------------------------------------------------------------------------------- */

static control_page *page; /* of the store at `path` */

static inline vdb_store *start_store(void) {
  if (newest == NULL) newest = shared_memory(KEYS * sizeof *newest);
  memset(newest, 0, KEYS * sizeof *newest);
  path = new_path();
  vdb_store *store = open_store(path);
  int file = open(file_path(path, CONTROL_NAME), O_RDWR | O_CLOEXEC);
  if (page != NULL) munmap(page, CONTROL_SIZE);
  page = mmap(NULL, CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (page == MAP_FAILED) exit(1);
  return store;
}

static inline uint64_t end_of(const char *name) {
  return atomic_load(strcmp(name, KEY_LOG_NAME) == 0 ? &page->committed : &page->value_log_end);
}

static inline uint64_t allocated_of(const char *name) {
  return atomic_load(strcmp(name, KEY_LOG_NAME) == 0 ? &page->key_log_allocated : &page->value_log_allocated);
}

/* How much of the file lies behind what is committed. */
static inline int64_t room_of(const char *name) {
  return file_size(path, name) - (int64_t)end_of(name);
}

static inline vdb_status make_long(vdb_store *store, uint64_t length) {
  vdb_status status = VDB_OK;
  while (status == VDB_OK && end_of(KEY_LOG_NAME) < length) status = put_many(store, KEYS);
  return status;
}

static inline bool is_filled(const char *name, char filler) {
  char bytes[4096];
  int file = open(file_path(path, name), O_RDONLY | O_CLOEXEC);
  off_t at = (off_t)end_of(name);
  ssize_t size;
  bool filled = file >= 0;
  while (filled && (size = pread(file, bytes, sizeof bytes, at)) > 0) {
    for (ssize_t i = 0; i < size; i++) filled = filled && bytes[i] == filler;
    at += size;
  }
  if (!filled) printf("# %s has other bytes than filler about byte %lld\n", name, (long long)at);
  close(file);
  return filled;
}

/* The files hold filler behind what is committed, and nothing else. */
static inline bool only_filler_behind(void) {
  return is_filled(KEY_LOG_NAME, '\n') && is_filled(VALUE_LOG_NAME, '\0');
}

static inline bool as_long_as_committed(void) {
  return room_of(KEY_LOG_NAME) == 0 && room_of(VALUE_LOG_NAME) == 0;
}

/* Everything is there, also when the store has been closed and opened again. */
static inline bool ends_well(vdb_store *store) {
  bool well = put_many(store, 3 * KEYS) == VDB_OK && is_sound(store) && only_filler_behind();
  well = close_store(store) && well;
  if (well && !as_long_as_committed()) printf("# a log is longer than what is committed\n");
  well = well && as_long_as_committed();
  store = open_store(path);
  well = well && store != NULL && is_sound(store);
  return close_store(store) && well;
}

/* The work ---------------------------------------------------------------------------------------------- */

static bool inside; /* the work of a thread is being done */
static int works;   /* how often a thread was asked for */

/* For os.thread: the work is done at once, and can be told from what is not done by a thread. */
static inline int work_inside(pthread_t *thread, void *(*work)(void *context), void *context) {
  works++;
  inside = true;
  work(context);
  inside = false;
  return pthread_create(thread, NULL, do_nothing, NULL);
}

static inline void prepare_growing(void) {
  install_gate();
  os.step = os.stop = real.step;
  os.thread = work_inside;
}

#endif
