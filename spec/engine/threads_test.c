/*
** threads_test.c - threads of one process at work on one store, each with a handle of its own.
**
** Handles share nothing but the files. What one thread is told must be whole, and never older than what it was told before.
** The thread sanitizer watches what the engine itself shares between threads (`make tsan`); of two mappings of one file
** it can't know that they are the same memory.
*/
#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"

enum { WRITERS = 3, READERS = 2, THREADS = WRITERS + READERS + 3, KEYS_EACH = 40, ROUNDS = 300 };

static const char *path;
static _Atomic int failures;
static _Atomic int writers_left;
static _Atomic int written[WRITERS][KEYS_EACH]; /* the newest number that a put returned for */

static void fail(const char *what, const vdb_error *error) {
  if (atomic_fetch_add(&failures, 1) == 0) printf("# %s %s\n", what, error->message);
}

/* A value tells its key's writer and slot, and a number; and is as much longer as the number says. */
typedef struct content {
  int writer, slot, number;
  char rest[128];
} content;

static size_t content_size(int number) {
  return offsetof(content, rest) + (size_t)(number % 128);
}

static vdb_key key_of(int writer, int slot) {
  return vdb_integer(writer * 1000 + slot);
}

static void put_number(vdb_store *store, int writer, int slot, int number, vdb_error *error) {
  content filled = {.writer = writer, .slot = slot, .number = number};
  memset(filled.rest, number & 0x7f, sizeof filled.rest);
  vdb_value value = {.encoding = VDB_BYTES, .bytes = &filled, .size = content_size(number)};
  vdb_key key = key_of(writer, slot);
  if (vdb_put(store, &key, &value, error) != VDB_OK) fail("put:", error);
  atomic_store(&written[writer][slot], number);
}

/* The number, or -1 when this isn't a value of that key. */
static int number_in(const vdb_value *value, int writer, int slot) {
  content found;
  if (value->size < offsetof(content, rest) || value->size > sizeof found) return -1;
  memcpy(&found, value->bytes, value->size);
  if (found.writer != writer || found.slot != slot || value->size != content_size(found.number)) return -1;
  for (size_t i = 0; i < value->size - offsetof(content, rest); i++)
    if (found.rest[i] != (found.number & 0x7f)) return -1;
  return found.number;
}

static vdb_store *open_here(vdb_sync_mode sync, vdb_error *error) {
  vdb_store *store;
  vdb_options options = {.sync = sync, .sync_seconds = 0.002, .wait_seconds = 300};
  if (vdb_open(path, &options, &store, error) != VDB_OK) fail("open:", error);
  return store;
}

static void close_here(vdb_store *store, vdb_error *error) {
  if (vdb_close(store, error) != VDB_OK) fail("close:", error);
}

/* Threads ----------------------------------------------------------------------------------------------- */

/* Now and then opens the store anew, which the first writer's syncing thread must survive. */
static void *write_numbers(void *context) {
  vdb_error error;
  int writer = (int)(intptr_t)context;
  vdb_store *store = open_here(writer == 0 ? VDB_SYNC_INTERVAL : VDB_SYNC_OS, &error);
  for (int number = 1; store != NULL && number <= ROUNDS * soak(); number++) {
    for (int slot = 0; slot < KEYS_EACH; slot++) put_number(store, writer, slot, number, &error);
    vdb_key extra = key_of(writer, 999);
    vdb_value value = {.encoding = VDB_BYTES, .bytes = "extra", .size = 5};
    if (vdb_put(store, &extra, &value, &error) != VDB_OK) fail("put:", &error);
    if (vdb_delete(store, &extra, &error) != VDB_OK) fail("delete:", &error);
    if (number % 20 != 0) continue;
    close_here(store, &error);
    store = open_here(writer == 0 ? VDB_SYNC_INTERVAL : VDB_SYNC_OS, &error);
  }
  if (store != NULL) close_here(store, &error);
  atomic_fetch_sub(&writers_left, 1);
  return NULL;
}

static void read_slot(vdb_store *store, int writer, int slot, int *seen, vdb_error *error) {
  vdb_value value;
  vdb_key key = key_of(writer, slot);
  int before = atomic_load(&written[writer][slot]);
  vdb_status status = vdb_get(store, &key, &value, error);
  if (status != VDB_OK && (status != VDB_ABSENT || before > 0)) fail("get:", error);
  if (status != VDB_OK) return;
  int number = number_in(&value, writer, slot);
  if (number < before || number < *seen) fail("an older value than was there", error);
  *seen = number;
}

static void *read_numbers(void *context) {
  vdb_error error = {0};
  int seen[WRITERS][KEYS_EACH] = {{0}};
  vdb_store *store = open_here(context != NULL ? VDB_SYNC_INTERVAL : VDB_SYNC_OS, &error);
  while (store != NULL && atomic_load(&writers_left) > 0)
    for (int writer = 0; writer < WRITERS; writer++)
      for (int slot = 0; slot < KEYS_EACH; slot++)
        read_slot(store, writer, slot, &seen[writer][slot], &error);
  if (store != NULL) close_here(store, &error);
  return NULL;
}

/* A walk comes by each key once, with one of its values. */
static void walk_once(vdb_store *store, vdb_error *error) {
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  bool came[WRITERS][KEYS_EACH] = {{false}};
  vdb_status status = vdb_walk_begin(store, &walk, error);
  if (status != VDB_OK) {
    fail("walk:", error);
    return;
  }
  while ((status = vdb_walk_next(walk, &key, &value, error)) == VDB_OK) {
    int writer = (int)(key.integer / 1000), slot = (int)(key.integer % 1000);
    if (slot == 999) continue;
    if (number_in(&value, writer, slot) < 0 || came[writer][slot])
      fail("walk: a wrong value, or twice", error);
    came[writer][slot] = true;
  }
  if (status != VDB_ABSENT) fail("walk:", error);
  vdb_walk_end(walk);
}

static void *walk_again(void *context) {
  vdb_error error = {0};
  vdb_store *store = open_here(VDB_SYNC_OS, &error);
  (void)context;
  while (store != NULL && atomic_load(&writers_left) > 0) walk_once(store, &error);
  if (store != NULL) close_here(store, &error);
  return NULL;
}

static void *reclaim_again(void *context) {
  vdb_error error = {0};
  vdb_store *store = open_here(context != NULL ? VDB_SYNC_INTERVAL : VDB_SYNC_OS, &error);
  while (store != NULL && atomic_load(&writers_left) > 0) {
    vdb_status status = vdb_reclaim(store, NULL, NULL, &error);
    if (status != VDB_OK && status != VDB_BUSY) fail("reclaim:", &error);
  }
  if (store != NULL) close_here(store, &error);
  return NULL;
}

/* What is left ------------------------------------------------------------------------------------------ */

static int newest_there(vdb_store *store) {
  int there = 0;
  for (int writer = 0; writer < WRITERS; writer++)
    for (int slot = 0; slot < KEYS_EACH; slot++) {
      vdb_value value;
      vdb_key key = key_of(writer, slot);
      if (vdb_get(store, &key, &value, &last_error) != VDB_OK) continue;
      there += number_in(&value, writer, slot) == ROUNDS * soak();
    }
  return there;
}

static void check_rest(const char *when) {
  uint64_t problems = 1;
  vdb_store *store = open_store(path);
  ok(newest_there(store) == WRITERS * KEYS_EACH, "%s every key has its newest value", when);
  ok(count_of(store) == WRITERS * KEYS_EACH && walked(store) == WRITERS * KEYS_EACH,
     "%s there are no more keys than that", when);
  ok(vdb_check(store, NULL, NULL, &problems, &last_error) == VDB_OK && problems == 0,
     "%s a check finds no problem", when);
  close_store(store);
}

int main(void) {
  pthread_t threads[THREADS];
  int count = 0;
  path = new_path();
  atomic_store(&writers_left, WRITERS);
  vdb_store *first = open_with(path, (vdb_options){.sync = VDB_SYNC_INTERVAL, .sync_seconds = 0.001});
  for (intptr_t i = 0; i < WRITERS; i++) pthread_create(&threads[count++], NULL, write_numbers, (void *)i);
  for (intptr_t i = 0; i < READERS; i++) pthread_create(&threads[count++], NULL, read_numbers, (void *)i);
  pthread_create(&threads[count++], NULL, walk_again, NULL);
  for (intptr_t i = 0; i < 2; i++) pthread_create(&threads[count++], NULL, reclaim_again, (void *)i);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  ok(atomic_load(&failures) == 0,
     "%d threads write, read, walk, reclaim and sync at once: nothing fails, and nobody is told an older "
     "value",
     THREADS);
  check_rest("while it is open");
  close_store(first);
  check_rest("opened again,");
  return done_testing();
}
