/*
** growth_index_steps_test.c - the index is made longer ahead of its writers, by a thread; what when that fails.
*/
#include "growing.h"

enum { MANY = 20000, MORE = 5000 };

static int index_writes; /* by the calling thread, while the logs have room */

static verdict count_writes(const char *name) {
  index_writes += !inside && strcmp(name, "write") == 0;
  return GO;
}

static verdict refuse_inside(const char *name) {
  errno = EOPNOTSUPP;
  return inside && strcmp(name, "allocate") == 0 ? FAIL : GO;
}

static verdict refuse_and_count(const char *name) {
  return refuse_inside(name) == FAIL ? FAIL : count_writes(name);
}

static bool put_numbers(vdb_store *store, int from, int to) {
  bool done = true;
  for (int i = from; i < to && done; i++) done = put_bytes(store, vdb_integer(i), &i, sizeof i) == VDB_OK;
  return done;
}

static bool holds_numbers(vdb_store *store, int count) {
  bool right = count_of(store) == (uint64_t)count;
  for (int i = 0; i < count && right; i++) right = holds_bytes(store, vdb_integer(i), &i, sizeof i);
  return right;
}

/* The counts come from stores with as many keys, and so as many splits. */
static int count_writes_of(verdict (*call)(const char *name), bool *right) {
  vdb_store *store = start_store();
  *right = put_numbers(store, 0, MANY);
  index_writes = 0;
  before_call = call;
  *right = put_numbers(store, MANY, MANY + MORE) && *right;
  before_call = NULL;
  *right = holds_numbers(store, MANY + MORE) && *right;
  *right = close_store(store) && *right;
  store = open_store(path);
  *right = store != NULL && holds_numbers(store, MANY + MORE) && *right;
  close_store(store);
  return index_writes;
}

int main(void) {
  bool right;
  prepare_growing();
  int ahead = count_writes_of(count_writes, &right);
  ok(ahead == 0 && right, "a put of a new key makes no file longer itself, nor the index (%d writes)", ahead);
  int behind = count_writes_of(refuse_and_count, &right);
  ok(behind > 0 && right, "it does when no thread can do it for the index, and all is there (%d writes)",
     behind);
  return done_testing();
}
