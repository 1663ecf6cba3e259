/*
** fork_test.c - a store that was opened before fork, in parent and children.
*/
#include "fixture.h"

static const char *path;
static vdb_store *store;

static int put_child(void *key) {
  return put_text(store, key, "child") == VDB_OK && close_store(store) ? 0 : 1;
}

static int put_and_leave(void *key) {
  return put_text(store, key, "child") == VDB_OK ? 0 : 1;
}

static int close_only(void *context) {
  (void)context;
  return close_store(store) ? 0 : 1;
}

static int get_child(void *key) {
  return holds(store, key, "parent") ? 0 : 1;
}

static bool is_clean(void) {
  vdb_stats stats;
  if (has_file(path, ".OPEN")) return false;
  vdb_store *reader = open_with(path, (vdb_options){.readonly = true});
  if (reader == NULL || vdb_stat(reader, &stats, NULL) != VDB_OK) return false;
  bool cut = file_size(path, "db.klog") == (int64_t)stats.key_log_bytes &&
             file_size(path, "db.vlog") == (int64_t)stats.value_log_bytes;
  close_store(reader);
  return cut;
}

static void start(void) {
  path = new_path();
  store = open_store(path);
  put_text(store, "a", "parent");
}

static void test_child_uses_and_closes(void) {
  start();
  ok(in_child(get_child, "a") == 0, "a child reads what its parent wrote");
  ok(in_child(put_child, "b") == 0 && holds(store, "b", "child"),
     "a child's write is seen by the parent at once");
  ok(has_file(path, ".OPEN"), "the child's close leaves the store open");
  ok(put_text(store, "c", "parent") == VDB_OK && holds(store, "c", "parent"), "the parent writes on");
  ok(in_child(put_and_leave, "d") == 0 && holds(store, "d", "child"), "a child may end without closing");
  ok(in_child(close_only, NULL) == 0 && put_text(store, "e", "parent") == VDB_OK,
     "or close what it never used, which leaves the parent's handle alone");
  ok(close_store(store) && is_clean(), "the parent's close, as the last one, leaves a clean store");
  store = open_store(path);
  ok(count_of(store) == 5 && holds(store, "d", "child"), "with all that was written");
  close_store(store);
}

static int write_when_told(void *context) {
  int *ends = context;
  char byte;
  if (put_text(store, "early", "child") != VDB_OK) return 1;
  if (write(ends[1], "x", 1) != 1 || read(ends[2], &byte, 1) != 1) return 2;
  if (!holds(store, "a", "parent") || put_text(store, "late", "child") != VDB_OK) return 3;
  return close_store(store) ? 0 : 4;
}

static void test_parent_closes_first(void) {
  start();
  int up[2], down[2];
  char byte;
  if (pipe(up) != 0 || pipe(down) != 0) exit(1);
  int ends[3] = {0, up[1], down[0]};
  pid_t child = start_child(write_when_told, ends);
  bool waited = read(up[0], &byte, 1) == 1;
  ok(waited && close_store(store) && has_file(path, ".OPEN"),
     "the parent closes while a child uses the store");
  bool told = write(down[1], "x", 1) == 1;
  ok(told && wait_child(child) == 0, "the child reads and writes on");
  ok(is_clean(), "and its close, as the last one, leaves a clean store");
  store = open_store(path);
  ok(holds(store, "late", "child") && count_of(store) == 3, "with all that was written");
  close_store(store);
}

static int wait_to_be_told(void *context) {
  const int *ends = context;
  char byte;
  return read(ends[0], &byte, 1) == 1 ? 0 : 1;
}

/* A server that forks its workers and then closes its own handle; a worker may never touch the store. */
static void test_child_that_never_uses_it(void) {
  start();
  int ends[2];
  if (pipe(ends) != 0) exit(1);
  pid_t child = start_child(wait_to_be_told, ends);
  ok(close_store(store), "the parent closes while a child holds a handle that it never used");
  ok(is_clean(), "the store is clean then");
  store = open_store(path);
  ok(store != NULL && holds(store, "a", "parent"), "it can be opened again while that child lives");
  if (store != NULL) {
    ok(put_text(store, "b", "parent") == VDB_OK, "and written");
    vdb_store *second = open_store(path);
    ok(second != NULL && holds(second, "b", "parent"), "by several handles");
    close_store(second);
    ok(close_store(store) && is_clean(), "and its last close is clean, whatever the child still holds");
  }
  bool told = write(ends[1], "x", 1) == 1;
  ok(told && wait_child(child) == 0, "the child ends");
}

static int use_after_parent_closed(void *context) {
  const int *ends = context;
  char byte;
  if (read(ends[0], &byte, 1) != 1) return 1;
  if (!holds(store, "a", "parent") || put_text(store, "late", "child") != VDB_OK) return 2;
  return close_store(store) ? 0 : 3;
}

static void test_child_that_begins_late(void) {
  start();
  int ends[2];
  if (pipe(ends) != 0) exit(1);
  pid_t child = start_child(use_after_parent_closed, ends);
  close_store(store);
  bool told = write(ends[1], "x", 1) == 1;
  ok(told && wait_child(child) == 0, "a child may begin to use the store when its parent has closed it");
  ok(is_clean(), "and leaves it clean");
}

static int (*real_open)(int folder, const char *name, int flags, mode_t mode);
static int opens_left;

static int failing_open(int folder, const char *name, int flags, mode_t mode) {
  if (--opens_left != 0) return real_open(folder, name, flags, mode);
  errno = EMFILE;
  return -1;
}

static int open_anew(void *context) {
  (void)context;
  vdb_store *fresh = open_store(path);
  return fresh != NULL && holds(fresh, "late", "child") && close_store(fresh) ? 0 : 1;
}

static int open_any(void *context) {
  (void)context;
  vdb_store *fresh = open_store(path);
  return fresh != NULL && holds(fresh, "a", "parent") && close_store(fresh) ? 0 : 1;
}

/* The child's first call opens the store for it, and may fail. */
static int try_with_failure(void *context) {
  const int *which = context;
  real_open = os.open;
  os.open = failing_open;
  opens_left = *which;
  vdb_status status = put_text(store, "late", "child");
  bool failed = opens_left <= 0 && status != VDB_OK;
  opens_left = 0;
  if (failed && in_child(open_any, NULL) != 0) return 1;
  if (put_text(store, "late", "child") != VDB_OK) return 2;
  if (in_child(open_anew, NULL) != 0) return 3;
  return close_store(store) ? (failed ? 10 : 11) : 4;
}

static int try_late(void *context) {
  int *ends = context;
  char byte;
  if (read(ends[0], &byte, 1) != 1) return 1;
  return try_with_failure(&ends[2]);
}

static void test_child_whose_first_call_fails(void) {
  int failed = 0, wrong = 0;
  for (int which = 1; which <= 12; which++) {
    start();
    int ends[3];
    if (pipe(ends) != 0) exit(1);
    ends[2] = which;
    pid_t child = start_child(try_late, ends);
    close_store(store);
    bool told = write(ends[1], "x", 1) == 1;
    int result = told ? wait_child(child) : -1;
    if (result != 10 && result != 11) printf("# file %d: the child ended with %d\n", which, result);
    failed += result == 10;
    wrong += result != 10 && result != 11;
    wrong += !is_clean();
    close(ends[0]);
    close(ends[1]);
  }
  ok(wrong == 0 && failed > 3,
     "a child whose first call fails, in %d ways, holds up nobody and can try again", failed);
}

enum { WORKERS = 8, WRITES = 300 };

static int work(void *context) {
  int number = (int)(intptr_t)context;
  for (int i = 0; i < WRITES; i++) {
    int key = number * WRITES + i;
    if (put_bytes(store, vdb_integer(key), &key, sizeof key) != VDB_OK) return 1;
  }
  return number % 2 == 0 || close_store(store) ? 0 : 2;
}

static void test_many_children(void) {
  start();
  pid_t workers[WORKERS];
  int good = 0, found = 0;
  for (intptr_t i = 0; i < WORKERS; i++) workers[i] = start_child(work, (void *)i);
  for (int i = 0; i < WORKERS; i++) good += wait_child(workers[i]) == 0;
  for (int key = 0; key < WORKERS * WRITES; key++)
    found += holds_bytes(store, vdb_integer(key), &key, sizeof key);
  ok(good == WORKERS && found == WORKERS * WRITES, "%d children write through one inherited handle", WORKERS);
  ok(close_store(store) && is_clean(), "and the store is clean behind them");
}

static vdb_walk *walk;

static int walk_on(void *context) {
  vdb_key key;
  vdb_value value;
  int steps = 0;
  (void)context;
  put_text(store, "new", "child");
  while (vdb_walk_next(walk, &key, &value, &last_error) == VDB_OK) steps++;
  vdb_walk_end(walk);
  close_store(store);
  return steps;
}

static void test_walk_across_fork(void) {
  start();
  put_text(store, "b", "parent");
  put_text(store, "c", "parent");
  vdb_key key;
  vdb_walk_begin(store, &walk, NULL);
  vdb_walk_next(walk, &key, NULL, NULL);
  ok(in_child(walk_on, NULL) == 2, "a walk goes on in a child");
  int steps = 0;
  while (vdb_walk_next(walk, &key, NULL, NULL) == VDB_OK) steps++;
  ok(steps == 2, "and in the parent, each on its own");
  vdb_walk_end(walk);
  ok(close_store(store) && is_clean(), "and the store closes");
}

static int put_with_syncing(void *key) {
  usleep(30000);
  return put_text(store, key, "child") == VDB_OK && close_store(store) ? 0 : 1;
}

static void test_store_that_syncs_by_itself(void) {
  path = new_path();
  store = open_with(path, (vdb_options){.sync = VDB_SYNC_INTERVAL, .sync_seconds = 0.002});
  put_text(store, "a", "parent");
  int good = 0;
  for (int i = 0; i < 10; i++) good += in_child(put_with_syncing, "b") == 0;
  ok(good == 10 && holds(store, "b", "child"), "a store with a syncing thread works in children");
  ok(in_child(close_only, NULL) == 0 && in_child(put_and_leave, "c") == 0, "however they leave it");
  ok(close_store(store) && is_clean(), "and closes cleanly");
}

static int grandchild(void *context) {
  (void)context;
  if (put_text(store, "child", "child") != VDB_OK) return 1;
  if (in_child(put_child, "grandchild") != 0) return 2;
  return holds(store, "grandchild", "child") && close_store(store) ? 0 : 3;
}

static void test_grandchildren(void) {
  start();
  ok(in_child(grandchild, NULL) == 0 && holds(store, "grandchild", "child"), "grandchildren use it as well");
  ok(close_store(store) && is_clean(), "and the store closes cleanly");
}

static int reclaim_in_child(void *context) {
  (void)context;
  return reclaim(store) && holds(store, "a", "parent") && close_store(store) ? 0 : 1;
}

static void test_reclaim_across_fork(void) {
  start();
  for (int i = 0; i < 3000; i++) put_bytes(store, vdb_integer(i % 1000), &i, sizeof i);
  bool more = false;
  vdb_reclaim_options slice = {.budget_seconds = 1e-9};
  ok(vdb_reclaim(store, &slice, &more, NULL) == VDB_OK && more, "a reclaim is begun");
  ok(in_child(close_only, NULL) == 0, "a child that closes leaves it to the parent");
  ok(in_child(reclaim_in_child, NULL) != 0, "a child can't reclaim meanwhile");
  ok(in_child(put_and_leave, "b") == 0, "but write");
  ok(reclaim(store) && holds(store, "b", "child") && count_of(store) == 1002, "the parent finishes it");
  ok(in_child(reclaim_in_child, NULL) == 0 && holds(store, "b", "child"), "then a child can");
  ok(close_store(store) && is_clean(), "and the store closes cleanly");
}

int main(void) {
  test_child_uses_and_closes();
  test_parent_closes_first();
  test_child_that_never_uses_it();
  test_child_that_begins_late();
  test_child_whose_first_call_fails();
  test_many_children();
  test_walk_across_fork();
  test_store_that_syncs_by_itself();
  test_grandchildren();
  test_reclaim_across_fork();
  return done_testing();
}
