/*
** opening_steps_test.c - what opening does not read, and which files a handle reads while they are exchanged.
*/
#include "steps.h"

static const char *path;

/* In place and of the same length, so that only who reads the line can tell. */
static void damage_first_line(void) {
  int file = open(file_path(path, "db.klog"), O_WRONLY);
  if (pwrite(file, "#", 1, 0) != 1) exit(1);
  close(file);
}

static int put_and_die(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  for (int i = 0; i < 100; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  raise(SIGKILL);
  return 0;
}

static void expect_unread(const char *when) {
  int last = 99;
  damage_first_line();
  vdb_store *store = open_store(path);
  ok(store != NULL && holds_bytes(store, vdb_integer(last), &last, sizeof last),
     "a store opens after %s without its first line", when);
  vdb_key first = vdb_integer(0);
  vdb_value value;
  ok(vdb_get(store, &first, &value, &last_error) == VDB_CORRUPT, "which is damaged");
  vdb_close(store, NULL);
}

static void test_lines_are_not_read(void) {
  path = new_path();
  ok(in_child(put_and_die, NULL) == -SIGKILL, "a process dies");
  expect_unread("a death");
  path = new_path();
  vdb_store *store = open_store(path);
  for (int i = 0; i < 100; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  close_store(store);
  expect_unread("a clean close");
}

/* One handle for each step of an exchange, which has missed the exchange before. */
#define STEPS 8
static vdb_store *idle[STEPS];
static int asked, wrong;

static bool sees_the_new(vdb_store *store) {
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  int keys = 0;
  if (store == NULL || !holds(store, "a", "new") || !holds(store, "b", "new")) return false;
  if (vdb_walk_begin(store, &walk, &last_error) != VDB_OK) return false;
  while (vdb_walk_next(walk, &key, &value, &last_error) == VDB_OK)
    keys += value.size == 3 && memcmp(value.bytes, "new", 3) == 0;
  vdb_walk_end(walk);
  return keys == 2;
}

static bool opens_and_sees(bool readonly) {
  vdb_store *store = open_with(path, (vdb_options){.wait_seconds = 0.01, .readonly = readonly});
  bool right = sees_the_new(store);
  vdb_close(store, NULL);
  return right;
}

static void ask(const char *name) {
  static const char *const names[] = {"swap", "odd", "renamed", "even"};
  bool named = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) named = named || strcmp(name, names[i]) == 0;
  if (!named || asked == STEPS) return;
  if (strcmp(name, "odd") == 0) wrong += vdb_sync(idle[asked], &last_error) != VDB_BUSY;
  wrong += !sees_the_new(idle[asked++]);
  wrong += !opens_and_sees(false);
  wrong += !opens_and_sees(true);
}

/*
** Nobody waits: the one that exchanges the files stands still, holding the lock, while the others read. But nobody is told
** that what was written is on the disk before the name of db.swap is.
*/
static void test_reading_during_an_exchange(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  for (int i = 0; i < STEPS; i++) idle[i] = open_with(path, (vdb_options){.wait_seconds = 0.01});
  put_text(store, "a", "old");
  ok(holds(idle[0], "a", "old") && reclaim(store), "handles rest while the files are exchanged");
  put_text(store, "a", "new");
  put_text(store, "b", "new");
  os.step = ask;
  ok(reclaim(store) && asked == 6, "they are asked at each step of the next exchange");
  ok(wrong == 0, "at once they, and who opens the store then, read what is there now");
  watch_steps(0, NULL);
  bool right = true;
  for (int i = 0; i < STEPS; i++) {
    const char *text = i % 2 == 0 ? "one" : "two";
    right = right && put_text(idle[i], "b", text) == VDB_OK && holds(store, "b", text);
    right = close_store(idle[i]) && right;
  }
  ok(right, "and afterwards write to the same files as everybody");
  close_store(store);
}

static int folder_syncs;
static int (*real_sync_folder)(int folder);

static int count_folder_sync(int folder) {
  folder_syncs++;
  return real_sync_folder(folder);
}

static void die_when_odd(const char *name) {
  if (strcmp(name, "odd") == 0) raise(SIGKILL);
}

static int reclaim_and_die(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  os.step = die_when_odd;
  return reclaim(store) ? 0 : 1;
}

static void test_sync_after_a_dead_exchanger(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  put_text(store, "a", "1");
  ok(in_child(reclaim_and_die, NULL) == -SIGKILL, "a process dies when it has put db.swap there");
  real_sync_folder = os.sync_folder;
  os.sync_folder = count_folder_sync;
  ok(vdb_sync(store, &last_error) == VDB_OK && folder_syncs == 1, "a sync gets that name onto the disk");
  os.sync_folder = real_sync_folder;
  ok(holds(store, "a", "1") && close_store(store), "and nothing is lost");
}

int main(void) {
  test_lines_are_not_read();
  test_reading_during_an_exchange();
  test_sync_after_a_dead_exchanger();
  return done_testing();
}
