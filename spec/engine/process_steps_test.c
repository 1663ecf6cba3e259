/*
** process_steps_test.c - many processes on one store: writers, readers, openers, and processes that are
** killed.
**
** Small constants, so that segments split and logs grow while others look.
*/
#include "steps.h"

#include <stdatomic.h>

enum { WRITERS = 4, READERS = 2, KEYS_EACH = 3000 };

typedef struct board {
  _Atomic int written[WRITERS]; /* how many keys of each writer are acknowledged */
  _Atomic int started[WRITERS];
  _Atomic bool stop;
  _Atomic int failures;
  char reason[600];
} board;

static board *shared;
static const char *path;

static void fail(const char *what) {
  if (atomic_fetch_add(&shared->failures, 1) == 0)
    snprintf(shared->reason, sizeof shared->reason, "%s: %s %s", what, vdb_status_name(last_error.status),
             last_error.message);
}

static void begin(void) {
  path = new_path();
  if (shared == NULL) shared = shared_memory(sizeof *shared);
  memset(shared, 0, sizeof *shared);
}

static bool nothing_failed(void) {
  if (atomic_load(&shared->failures) > 0)
    printf("# %d failures, the first: %s\n", shared->failures, shared->reason);
  return atomic_load(&shared->failures) == 0;
}

static vdb_key key_of(int writer, int number) {
  return vdb_integer((int64_t)writer * 1000000 + number);
}

/* A value that tells whether it is whole. */
static size_t make_value(char *bytes, int writer, int number) {
  size_t size = (size_t)(number % 97 == 0 ? 20000 : 8 + number % 60);
  memset(bytes, writer * 31 + number, size);
  memcpy(bytes, &number, sizeof number);
  return size;
}

static bool whole(const vdb_value *value, int writer, int *number) {
  char wanted[20000];
  if (value->size < sizeof *number) return false;
  memcpy(number, value->bytes, sizeof *number);
  return value->size == make_value(wanted, writer, *number) && memcmp(value->bytes, wanted, value->size) == 0;
}

static void put_number(vdb_store *store, int writer, vdb_key key, int number) {
  char bytes[20000];
  size_t size = make_value(bytes, writer, number);
  if (put_bytes(store, key, bytes, size) != VDB_OK) fail("put");
}

/* Every key once, and one key of all writers, and one of its own, again and again. */
static int write_keys(void *context) {
  int writer = (int)(intptr_t)context;
  vdb_store *store = open_store(path);
  if (store == NULL) return fail("open"), 1;
  for (int i = 0; i < KEYS_EACH; i++) {
    atomic_store(&shared->started[writer], i + 1);
    put_number(store, writer, key_of(writer, i), i);
    atomic_store(&shared->written[writer], i + 1);
    put_number(store, 0, text_key("hot"), i);
    if (i % 500 == 499 && writer == 0 && !reclaim(store)) fail("reclaim");
  }
  return close_store(store) ? 0 : 1;
}

static void check_written(vdb_store *store) {
  int writer = (int)random_below(WRITERS), count = atomic_load(&shared->written[writer]), number;
  if (count == 0) return;
  int wanted = random_below(2) ? count - 1 : (int)random_below((uint64_t)count);
  vdb_key key = key_of(writer, wanted), hot = text_key("hot");
  vdb_value value;
  if (vdb_get(store, &key, &value, &last_error) != VDB_OK) fail("get of a written key");
  else if (!whole(&value, writer, &number) || number != wanted) fail("wrong value");
  if (atomic_load(&shared->written[0]) < 2) return;
  if (vdb_get(store, &hot, &value, &last_error) != VDB_OK) fail("get of the hot key");
  else if (!whole(&value, 0, &number)) fail("wrong value of the hot key");
}

static int sum(_Atomic int *counts) {
  int total = 0;
  for (int i = 0; i < WRITERS; i++) total += atomic_load(&counts[i]);
  return total;
}

static void check_walk(vdb_store *store) {
  int least = sum(shared->written), steps = 0, number;
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  vdb_status status = vdb_walk_begin(store, &walk, &last_error);
  int most = sum(shared->started) + 1;
  while (status == VDB_OK && (status = vdb_walk_next(walk, &key, &value, &last_error)) == VDB_OK) {
    int writer = key.type == VDB_INTEGER ? (int)(key.integer / 1000000) : 0;
    if (!whole(&value, writer, &number)) fail("wrong value in a walk");
    steps++;
  }
  vdb_walk_end(walk);
  if (status != VDB_ABSENT) fail("walk");
  if (steps < least || steps > most) {
    snprintf(last_error.message, sizeof last_error.message, "%d steps, but %d to %d keys", steps, least,
             most);
    fail("a walk's length");
  }
}

static int read_keys(void *context) {
  random_state += (uint64_t)(intptr_t)context * 77777;
  vdb_store *store = open_with(path, (vdb_options){.readonly = context == NULL});
  if (store == NULL) return fail("open for reading"), 1;
  while (!atomic_load(&shared->stop)) {
    for (int i = 0; i < 200; i++) check_written(store);
    check_walk(store);
  }
  return close_store(store) ? 0 : 1;
}

static void test_writers_and_readers(void) {
  begin();
  vdb_store *store = open_store(path);
  pid_t writers[WRITERS], readers[READERS];
  int good = 0;
  for (intptr_t i = 0; i < READERS; i++) readers[i] = start_child(read_keys, (void *)i);
  for (intptr_t i = 0; i < WRITERS; i++) writers[i] = start_child(write_keys, (void *)i);
  for (int i = 0; i < WRITERS; i++) good += wait_child(writers[i]) == 0;
  atomic_store(&shared->stop, true);
  for (int i = 0; i < READERS; i++) good += wait_child(readers[i]) == 0;
  ok(nothing_failed() && good == WRITERS + READERS,
     "%d writers, one of which reclaims, and %d readers get along: each written value is read at once",
     WRITERS, READERS);
  ok(count_of(store) == WRITERS * KEYS_EACH + 1 && walked(store) == WRITERS * KEYS_EACH + 1,
     "no key is lost");
  close_store(store);
  store = open_store(path);
  ok(walked(store) == WRITERS * KEYS_EACH + 1, "nor after opening again");
  close_store(store);
}

/* Openers ----------------------------------------------------------------------------------------------- */

static int write_until_stopped(void *context) {
  int writer = (int)(intptr_t)context;
  vdb_store *store = open_store(path);
  if (store == NULL) return fail("open"), 1;
  for (int i = 0; !atomic_load(&shared->stop); i++) {
    put_number(store, writer, key_of(writer, i % 500), i);
    atomic_store(&shared->written[writer], i);
    if (writer == 0 && i % 3000 == 2999 && !reclaim(store)) fail("reclaim");
  }
  return close_store(store) ? 0 : 1;
}

/* What is written after it was opened is seen: a handle follows the store, it does not hold a copy of it. */
static bool follows(vdb_store *store, int writer) {
  vdb_key key = key_of(writer, 499);
  vdb_value value;
  int number, before = atomic_load(&shared->written[writer]);
  if (before < 1500) return true;
  while (atomic_load(&shared->written[writer]) < before + 501) usleep(100);
  if (vdb_get(store, &key, &value, &last_error) != VDB_OK) return false;
  return whole(&value, writer, &number) && number > before - 2;
}

static int open_and_close(void *context) {
  int good = 0;
  int times = context != NULL ? 60 : 1500;
  for (int i = 0; i < times; i++) {
    vdb_store *store = open_with(path, (vdb_options){.readonly = context != NULL});
    if (store == NULL) fail(context != NULL ? "open for reading" : "open");
    else if ((context != NULL || i % 50 == 0) && !follows(store, 1))
      fail("what is written later is not seen");
    good += store != NULL;
    vdb_close(store, NULL);
  }
  return good == times ? 0 : 1;
}

static void test_openers_among_writers(void) {
  begin();
  vdb_store *store = open_store(path);
  pid_t writers[3], openers[4];
  int good = 0;
  for (intptr_t i = 0; i < 3; i++) writers[i] = start_child(write_until_stopped, (void *)i);
  for (intptr_t i = 0; i < 2; i++) openers[i] = start_child(open_and_close, NULL);
  for (int i = 0; i < 2; i++) good += wait_child(openers[i]) == 0;
  ok(good == 2 && nothing_failed(),
     "the store can be opened at any moment of others' writing and reclaiming");
  for (intptr_t i = 2; i < 4; i++) openers[i] = start_child(open_and_close, (void *)path);
  for (int i = 2; i < 4; i++) good += wait_child(openers[i]) == 0;
  ok(good == 4 && nothing_failed(), "also read-only, and then follows what is written");
  atomic_store(&shared->stop, true);
  for (int i = 0; i < 3; i++) good += wait_child(writers[i]) == 0;
  ok(good == 7 && nothing_failed(), "and the writers notice nothing");
  close_store(store);
}

static int open_put_close(void *context) {
  int number = (int)(intptr_t)context;
  for (int i = 0; i < 150; i++) {
    vdb_store *store = open_store(path);
    if (store == NULL) return fail("open"), 1;
    int key = number * 150 + i;
    if (put_bytes(store, vdb_integer(key), &key, sizeof key) != VDB_OK) fail("put");
    vdb_status status = i % 40 == 39 ? vdb_reclaim(store, NULL, NULL, &last_error) : VDB_OK;
    if (status != VDB_OK && status != VDB_BUSY) fail("reclaim");
    if (!close_store(store)) fail("close");
  }
  return 0;
}

static void test_first_and_last_openers(void) {
  begin();
  pid_t children[4];
  int good = 0, found = 0;
  for (intptr_t i = 0; i < 4; i++) children[i] = start_child(open_put_close, (void *)i);
  for (int i = 0; i < 4; i++) good += wait_child(children[i]) == 0;
  ok(good == 4 && nothing_failed(), "processes open, write and close, each the first or the last by chance");
  ok(!has_file(path, ".OPEN"), "the last one leaves it closed");
  vdb_store *store = open_store(path);
  for (int key = 0; key < 600; key++) found += holds_bytes(store, vdb_integer(key), &key, sizeof key);
  ok(found == 600, "and nothing is lost");
  close_store(store);
}

/* Killed processes -------------------------------------------------------------------------------------- */

/* Two keys by turns: a counter, and the same again in a value of a changing size. */
static int count_up(void *context) {
  int writer = (int)(intptr_t)context;
  vdb_store *store = open_store(path);
  if (store == NULL) return fail("open"), 1;
  for (int i = atomic_load(&shared->written[writer]) + 1;; i++) {
    put_number(store, writer, key_of(writer, i % 700), i);
    atomic_store(&shared->written[writer], i);
    if (i % 400 == 399 && writer == 1) (void)vdb_reclaim(store, NULL, NULL, NULL);
    if (i % 100 == 99 && writer == 2) {
      vdb_close(store, NULL);
      store = open_store(path);
      if (store == NULL) return fail("open again"), 1;
    }
  }
}

static int last_number(vdb_store *store, int writer, int slot) {
  vdb_key key = key_of(writer, slot);
  vdb_value value;
  int number = -1;
  vdb_status status = vdb_get(store, &key, &value, &last_error);
  if (status == VDB_ABSENT) return 0;
  if (status != VDB_OK) return fail("get after a death"), -1;
  if (!whole(&value, writer, &number)) return fail("wrong value after a death"), -1;
  return number;
}

/* Of each slot the last acknowledged number is there, or for one of them the one that was being written. */
static void check_counters(vdb_store *store, int writer, int slots) {
  int written = atomic_load(&shared->written[writer]), newer = 0;
  for (int back = 0; back < slots && back < written; back++) {
    int number = written - back, found = last_number(store, writer, number % 700);
    if (found == written + 1) newer++;
    else if (found != number) fail("an acknowledged write is lost");
  }
  if (newer > 1) fail("more than one write in flight");
}

static void test_killed_writers(void) {
  begin();
  vdb_store *store = open_with(path, (vdb_options){.wait_seconds = 60});
  pid_t writers[WRITERS];
  int rounds = 80 * soak(), killed = 0;
  for (intptr_t i = 0; i < WRITERS; i++) writers[i] = start_child(count_up, (void *)i);
  for (int round = 0; round < rounds && nothing_failed(); round++) {
    int victim = (int)random_below(WRITERS);
    usleep((useconds_t)random_below(8000));
    kill(writers[victim], SIGKILL);
    killed += wait_child(writers[victim]) == -SIGKILL;
    put_number(store, 0, text_key("mine"), round);
    check_counters(store, victim, 700);
    writers[victim] = start_child(count_up, (void *)(intptr_t)victim);
  }
  ok(killed == rounds, "%d writers were killed", killed);
  for (int i = 0; i < WRITERS; i++) kill(writers[i], SIGKILL);
  for (int i = 0; i < WRITERS; i++) wait_child(writers[i]);
  for (int i = 0; i < WRITERS; i++) check_counters(store, i, 700);
  ok(nothing_failed(), "nobody else was blocked, and no acknowledged write is lost");
  uint64_t problems = 1, count = count_of(store);
  ok(vdb_check(store, NULL, NULL, &problems, &last_error) == VDB_OK && problems == 0,
     "a check finds no problem");
  ok(walked(store) == (int64_t)count, "the walk is as long as the count");
  close_store(store);
  store = open_store(path);
  for (int i = 0; i < WRITERS; i++) check_counters(store, i, 700);
  ok(nothing_failed() && count_of(store) == count, "all is there after closing and opening again");
  close_store(store);
}

static void test_all_killed(void) {
  begin();
  int rounds = 25 * soak();
  for (int round = 0; round < rounds && nothing_failed(); round++) {
    pid_t writers[WRITERS];
    for (intptr_t i = 0; i < WRITERS; i++) writers[i] = start_child(count_up, (void *)i);
    usleep((useconds_t)(2000 + random_below(30000)));
    for (int i = 0; i < WRITERS; i++) kill(writers[i], SIGKILL);
    for (int i = 0; i < WRITERS; i++) wait_child(writers[i]);
    if (round % 5 == 3) remove_file(path, "db.index");
    if (round % 5 == 4) remove_file(path, "db.ctl");
    vdb_store *store = open_store(path);
    if (store == NULL) fail("open");
    for (int i = 0; i < WRITERS && store != NULL; i++) check_counters(store, i, 700);
    if (store != NULL && walked(store) != (int64_t)count_of(store)) fail("count");
    vdb_close(store, NULL);
  }
  ok(nothing_failed(), "when all writers are killed at once, %d times, no acknowledged write is lost",
     rounds);
}

int main(void) {
  test_writers_and_readers();
  test_openers_among_writers();
  test_first_and_last_openers();
  test_killed_writers();
  test_all_killed();
  return done_testing();
}
