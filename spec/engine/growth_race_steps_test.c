/*
** growth_race_steps_test.c - threads write as fast as they can, each with a handle of its own, while the threads of these
** handles make the logs longer, and somebody reclaims the store now and then.
**
** Values have many sizes, so that any place may be where a log is short of room. The thread sanitizer watches, too
** (`make tsan`).
*/
#include <stdatomic.h>

#include "fixture.h"

enum { WRITERS = 3, KEYS_EACH = 30, PUTS = 9000, MOST_BYTES = 1500, LONG_KEY = 200 };

static const char *path;
static _Atomic int failures, writers_left;
static _Atomic int threads_made;
static int newest[WRITERS][KEYS_EACH];
static os_table real;

static int count_threads(pthread_t *thread, void *(*work)(void *context), void *context) {
  atomic_fetch_add(&threads_made, 1);
  return real.thread(thread, work, context);
}

static void fail(const char *what, const vdb_error *error) {
  if (atomic_fetch_add(&failures, 1) == 0) printf("# %s %s\n", what, error->message);
}

static vdb_key key_of(char text[LONG_KEY], int writer, int slot) {
  memset(text, 'a' + writer, LONG_KEY);
  int size = snprintf(text, LONG_KEY, "%d", slot);
  text[size] = '.';
  return vdb_string(text, LONG_KEY);
}

static size_t print_value(unsigned char bytes[MOST_BYTES], int writer, int slot, int number) {
  int numbers[3] = {writer, slot, number};
  size_t size = sizeof numbers + (size_t)(slot * 57 + number * 31) % (MOST_BYTES - sizeof numbers);
  memset(bytes, 'a' + (writer + slot + number) % 26, size);
  memcpy(bytes, numbers, sizeof numbers);
  return size;
}

static bool holds_number(vdb_store *store, int writer, int slot, int number, vdb_error *error) {
  unsigned char bytes[MOST_BYTES];
  char text[LONG_KEY];
  vdb_value value;
  vdb_key key = key_of(text, writer, slot);
  size_t size = print_value(bytes, writer, slot, number);
  if (vdb_get(store, &key, &value, error) != VDB_OK) return false;
  return value.size == size && memcmp(value.bytes, bytes, size) == 0;
}

static vdb_store *open_here(vdb_sync_mode sync, vdb_error *error) {
  vdb_store *store;
  vdb_options options = {.sync = sync, .sync_seconds = 0.002, .wait_seconds = 300};
  if (vdb_open(path, &options, &store, error) != VDB_OK) fail("open:", error);
  return store;
}

/* Reads what it has just written, and what it wrote before. */
static void *write_on(void *context) {
  vdb_error error = {0};
  int writer = (int)(intptr_t)context;
  vdb_store *store = open_here(writer == 0 ? VDB_SYNC_INTERVAL : VDB_SYNC_OS, &error);
  for (int number = 1; store != NULL && number <= PUTS * soak(); number++) {
    unsigned char bytes[MOST_BYTES];
    char text[LONG_KEY];
    int slot = number % KEYS_EACH, other = (slot + 7) % KEYS_EACH;
    vdb_key key = key_of(text, writer, slot);
    vdb_value value = {.encoding = VDB_BYTES, .bytes = bytes};
    value.size = print_value(bytes, writer, slot, number);
    if (vdb_put(store, &key, &value, &error) != VDB_OK) fail("put:", &error);
    newest[writer][slot] = number;
    if (!holds_number(store, writer, slot, number, &error)) fail("what was just written:", &error);
    if (newest[writer][other] != 0 && !holds_number(store, writer, other, newest[writer][other], &error))
      fail("what was written before:", &error);
  }
  if (vdb_close(store, &error) != VDB_OK) fail("close:", &error);
  atomic_fetch_sub(&writers_left, 1);
  return NULL;
}

static void *reclaim_now_and_then(void *context) {
  vdb_error error = {0};
  vdb_store *store = open_here(VDB_SYNC_OS, &error);
  while (store != NULL && atomic_load(&writers_left) > 0) {
    vdb_stats stats;
    if (vdb_stat(store, &stats, &error) != VDB_OK) fail("stat:", &error);
    if (stats.value_log_bytes < 1000 * 1000) real.sleep(1000 * 1000);
    else if (vdb_reclaim(store, NULL, NULL, &error) != VDB_OK) fail("reclaim:", &error);
  }
  if (vdb_close(store, &error) != VDB_OK) fail("close:", &error);
  return context;
}

static void check(vdb_store *store, const char *when) {
  uint64_t problems = 1;
  int there = 0;
  for (int writer = 0; writer < WRITERS; writer++)
    for (int slot = 0; slot < KEYS_EACH; slot++)
      there += holds_number(store, writer, slot, newest[writer][slot], &last_error);
  ok(there == WRITERS * KEYS_EACH && count_of(store) == WRITERS * KEYS_EACH,
     "%s each key has its newest value", when);
  ok(vdb_check(store, NULL, NULL, &problems, &last_error) == VDB_OK && problems == 0,
     "%s a check finds no problem", when);
}

int main(void) {
  pthread_t threads[WRITERS + 1];
  real = os;
  os.thread = count_threads;
  path = new_path();
  atomic_store(&writers_left, WRITERS);
  vdb_store *store = open_store(path);
  for (intptr_t i = 0; i < WRITERS; i++) pthread_create(&threads[i], NULL, write_on, (void *)i);
  pthread_create(&threads[WRITERS], NULL, reclaim_now_and_then, NULL);
  for (int i = 0; i < WRITERS + 1; i++) pthread_join(threads[i], NULL);
  ok(atomic_load(&failures) == 0,
     "%d threads write while the logs grow ahead of them, and read what they wrote", WRITERS);
  ok(atomic_load(&threads_made) > 20, "threads made the logs longer (%d times)", atomic_load(&threads_made));
  check(store, "at the end");
  close_store(store);
  store = open_store(path);
  check(store, "opened again,");
  close_store(store);
  return done_testing();
}
