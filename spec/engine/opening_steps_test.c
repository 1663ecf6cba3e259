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

static vdb_store *idle;
static int old_values, asked;

static void ask_idle(const char *name) {
  vdb_key key = text_key("a");
  vdb_value value;
  if (strcmp(name, "odd") != 0 && strcmp(name, "renamed") != 0) return;
  asked++;
  if (vdb_get(idle, &key, &value, &last_error) != VDB_OK) return;
  old_values += value.size != 3 || memcmp(value.bytes, "new", 3) != 0;
}

/* It may be told to wait: the one that exchanges the files stands still while it asks. */
static void test_handle_that_missed_an_exchange(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  idle = open_with(path, (vdb_options){.wait_seconds = 0.01});
  put_text(store, "a", "old");
  ok(holds(idle, "a", "old") && reclaim(store), "a handle rests while the files are exchanged");
  put_text(store, "a", "new");
  os.step = ask_idle;
  ok(reclaim(store) && asked > 0 && old_values == 0,
     "during the next exchange it doesn't read what was before the first");
  watch_steps(0, NULL);
  ok(holds(idle, "a", "new"), "and afterwards reads what is there");
  close_store(idle);
  close_store(store);
}

int main(void) {
  test_lines_are_not_read();
  test_handle_that_missed_an_exchange();
  return done_testing();
}
