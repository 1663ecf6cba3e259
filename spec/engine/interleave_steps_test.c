/*
** interleave_steps_test.c - a few handles at work at once, in every order of their steps that takes few hand-overs.
**
** schedule.h runs the orders; history.h judges what was told in each. Afterwards all handles, and the store opened anew,
** must tell the same, and a check finds nothing. A failure prints the order; it can be run again by its numbers.
*/
#include "history.h"
#include "schedule.h"

static const char *path;
static bool failed;

enum { A = 1, B = 2, C = 4, NEW = 8, ALL = 15 };

static void fail(const char *what, const vdb_error *error) {
  if (!failed) printf("# %s %s\n", what, error != NULL ? error->message : "");
  failed = true;
}

/* Operations -------------------------------------------------------------------------------------------- */

/* A value is its number, and behind it as many bytes: so values have different lengths. */
static vdb_value value_of(int number, unsigned char bytes[256]) {
  memset(bytes, number, 256);
  return (vdb_value){.encoding = VDB_BYTES, .bytes = bytes, .size = (size_t)number};
}

static int number_of(const vdb_value *value) {
  const unsigned char *bytes = value->bytes;
  for (size_t i = 0; i < value->size; i++)
    if (bytes[i] != value->size) fail("a value of mixed bytes", NULL);
  return (int)value->size;
}

static vdb_key key_at(int key) {
  return text_key(key_names[key]);
}

static int key_in(unsigned keys) {
  int key = 0;
  while ((keys >> key & 1) == 0) key++;
  return key;
}

static void put(actor *by, unsigned key, int number) {
  unsigned char bytes[256];
  vdb_key name = key_at(key_in(key));
  vdb_value value = value_of(number, bytes);
  operation *entry = begin_operation(by->number, WRITE, key);
  entry->values[key_in(key)] = number;
  if (vdb_put(by->store, &name, &value, &by->error) != VDB_OK) fail("put:", &by->error);
  end_operation(entry);
}

static void delete (actor *by, unsigned key) {
  vdb_key name = key_at(key_in(key));
  operation *entry = begin_operation(by->number, TAKE, key);
  vdb_status status = vdb_delete(by->store, &name, &by->error);
  if (status != VDB_OK && status != VDB_ABSENT) fail("delete:", &by->error);
  entry->values[key_in(key)] = status == VDB_OK;
  end_operation(entry);
}

/* Those of the keys that are given the number 0 are deleted. */
static void write_batch(actor *by, unsigned keys, int number) {
  unsigned char bytes[256];
  vdb_value value = value_of(number, bytes);
  vdb_change changes[KEYS];
  size_t count = 0;
  operation *entry = begin_operation(by->number, WRITE, keys);
  for (int key = 0; key < KEYS; key++) {
    if ((keys >> key & 1) == 0) continue;
    changes[count++] = (vdb_change){.key = key_at(key), .value = number > 0 ? &value : NULL};
    entry->values[key] = number;
  }
  if (vdb_commit(by->store, NULL, NULL, 0, changes, count, &by->error) != VDB_OK) fail("batch:", &by->error);
  end_operation(entry);
}

static int answer(actor *by, vdb_status status, const vdb_value *value, const char *what) {
  if (status == VDB_OK) return number_of(value);
  if (status != VDB_ABSENT) fail(what, &by->error);
  return 0;
}

static int get_number(actor *by, int key) {
  vdb_value value;
  vdb_key name = key_at(key);
  return answer(by, vdb_get(by->store, &name, &value, &by->error), &value, "get:");
}

static void get(actor *by, unsigned key) {
  operation *entry = begin_operation(by->number, READ, key);
  entry->values[key_in(key)] = get_number(by, key_in(key));
  end_operation(entry);
}

/* Reads, computes and writes back until nobody came between. */
static void add_one(actor *by, unsigned key) {
  unsigned char bytes[256];
  vdb_value value;
  vdb_version version;
  vdb_change change = {.key = key_at(key_in(key)), .value = &value};
  operation *entry = begin_operation(by->number, ADD, key);
  vdb_status status;
  do {
    status = vdb_get_version(by->store, &change.key, &value, &version, &by->error);
    int number = answer(by, status, &value, "get with version:") + 1;
    value = value_of(number, bytes);
    entry->values[key_in(key)] = number;
    status = vdb_change_if(by->store, &change, &version, &by->error);
  } while (status == VDB_CONFLICT);
  if (status != VDB_OK) fail("change:", &by->error);
  end_operation(entry);
}

/* What the snapshot shows is what was there at one moment of its making. */
static void read_snapshot(actor *by) {
  vdb_snapshot *snapshot;
  operation *entry = begin_operation(by->number, READ, ALL);
  if (vdb_snapshot_begin(by->store, &snapshot, &by->error) != VDB_OK) fail("snapshot:", &by->error);
  end_operation(entry);
  for (int key = 0; key < KEYS && !failed; key++) {
    vdb_value value;
    vdb_key name = key_at(key);
    vdb_status status = vdb_snapshot_get(snapshot, &name, &value, &by->error);
    entry->values[key] = answer(by, status, &value, "get from a snapshot:");
  }
  vdb_snapshot_end(snapshot);
}

static int filler_count;

static int key_named(const vdb_key *key) {
  for (int i = 0; i < KEYS; i++)
    if (key->type == VDB_STRING && strlen(key_names[i]) == key->size &&
        memcmp(key->string, key_names[i], key->size) == 0)
      return i;
  return KEYS;
}

/* How many of the other keys it came by; -1 after a key that came twice, or an error. */
static int walk_to_end(actor *by, vdb_walk *walk, int values[KEYS]) {
  int others = 0;
  vdb_key key;
  vdb_value value;
  vdb_status status;
  while ((status = vdb_walk_next(walk, &key, &value, &by->error)) == VDB_OK) {
    int which = key_named(&key);
    if (which == KEYS) others++;
    else if (values[which] != 0) fail("a walk came by a key twice", NULL);
    else values[which] = number_of(&value);
  }
  if (status != VDB_ABSENT) fail("walk:", &by->error);
  return others;
}

static void walk_all(actor *by) {
  vdb_walk *walk;
  int least = filler_count;
  operation *entry = begin_operation(by->number, READ, ALL);
  if (vdb_walk_begin(by->store, &walk, &by->error) != VDB_OK) fail("walk:", &by->error);
  end_operation(entry);
  if (!failed && walk_to_end(by, walk, entry->values) < least) fail("a walk misses keys", NULL);
  vdb_walk_end(walk);
}

static void reclaim_all(actor *by) {
  vdb_status status = vdb_reclaim(by->store, NULL, NULL, &by->error);
  if (status != VDB_OK && status != VDB_BUSY) fail("reclaim:", &by->error);
}

static void put_filler(vdb_store *store, vdb_error *error, int from, int count) {
  static const vdb_value value = {.encoding = VDB_BYTES, .bytes = "filler", .size = 6};
  static vdb_change changes[512];
  for (int i = 0; i < count; i++) changes[i] = (vdb_change){.key = vdb_integer(from + i), .value = &value};
  if (vdb_commit(store, NULL, NULL, 0, changes, (size_t)count, error) != VDB_OK) fail("filler:", error);
  filler_count += count;
}

/* Actors ------------------------------------------------------------------------------------------------ */

static void put_two(actor *by) {
  put(by, A, 2);
  put(by, NEW, 3);
}

static void put_other_two(actor *by) {
  put(by, NEW, 4);
  put(by, A, 5);
}

static void put_and_delete(actor *by) {
  put(by, NEW, 6);
  delete (by, A);
}

static void delete_and_put(actor *by) {
  delete (by, NEW);
  delete (by, A);
  put(by, A, 7);
}

static void get_some(actor *by) {
  get(by, A);
  get(by, NEW);
  get(by, A);
}

static void get_old(actor *by) {
  get(by, A);
  get(by, B);
  get(by, C);
}

static void add_twice(actor *by) {
  add_one(by, A);
  add_one(by, A);
}

static void write_batches(actor *by) {
  write_batch(by, ALL, 8);
  write_batch(by, A | NEW, 0);
}

static void write_other_batch(actor *by) {
  write_batch(by, A | C, 9);
}

static void look_twice(actor *by) {
  read_snapshot(by);
  get(by, NEW);
}

static void put_one(actor *by) {
  put(by, NEW, 10);
}

static void put_another(actor *by) {
  put(by, A, 11);
}

static void fill_up(actor *by) {
  put_filler(by->store, &by->error, 1000, 170);
}

static void open_anew(actor *by) {
  vdb_store *used = by->store;
  if (vdb_open(path, &(vdb_options){.wait_seconds = 60}, &by->store, &by->error) == VDB_OK) {
    get(by, A);
    put(by, A, 12);
  } else {
    fail("open:", &by->error);
  }
  vdb_close(by->store, NULL);
  by->store = used;
}

/* Of the writer who splits, only the steps of the split: its other steps are many, and others' business. */
static bool is_split_or_read(const actor *who, const char *name) {
  static const char *const names[] = {"cleared", "divided", "intent", "directory", "totals", "committed"};
  if (who->number > 0) return true;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

typedef struct scenario {
  const char *name;
  void (*work[ACTORS])(actor *by);
  int fillers; /* a segment is split by the first new key when there are CROWDED keys */
  vdb_sync_mode sync;
  bool (*is_point)(const actor *who, const char *name);
} scenario;

/* 252 slots in a segment, of which 201 may be in use; three are for a, b, c. */
enum { CROWD = 201 - 3 };

static const scenario scenarios[] = {
    {"two writers of the same keys", {put_two, put_other_two}, 0, VDB_SYNC_OS, NULL},
    {"two writers that sync", {put_one, put_another}, 0, VDB_SYNC_ALWAYS, NULL},
    {"a writer and a reader", {put_two, get_some}, 0, VDB_SYNC_OS, NULL},
    {"two that put and delete", {put_and_delete, delete_and_put}, 0, VDB_SYNC_OS, NULL},
    {"a writer, one that deletes, and a reader", {put_two, delete_and_put, get_some}, 0, VDB_SYNC_OS, NULL},
    {"a writer and a walk", {put_two, walk_all}, 0, VDB_SYNC_OS, NULL},
    {"a writer and a snapshot", {put_two, look_twice}, 0, VDB_SYNC_OS, NULL},
    {"two that count", {add_twice, add_twice}, 0, VDB_SYNC_OS, NULL},
    {"batches and snapshots", {write_batches, look_twice}, 0, VDB_SYNC_OS, NULL},
    {"batches and a walk", {write_batches, walk_all, write_other_batch}, 0, VDB_SYNC_OS, NULL},
    {"a split and a reader", {put_one, get_old}, CROWD, VDB_SYNC_OS, NULL},
    {"a split and another writer", {put_two, put_and_delete}, CROWD, VDB_SYNC_OS, NULL},
    {"splits that use a segment again, and a reader",
     {fill_up, get_old},
     CROWD,
     VDB_SYNC_OS,
     is_split_or_read},
    {"splits, a writer and a snapshot", {fill_up, put_two, look_twice}, CROWD, VDB_SYNC_OS, is_split_or_read},
    {"a reclaim, a writer and a reader", {reclaim_all, put_two, get_some}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim and one that deletes", {reclaim_all, delete_and_put}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim and a batch", {reclaim_all, write_batches}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim and a walk", {reclaim_all, walk_all, put_one}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim, a snapshot and a writer", {reclaim_all, look_twice, put_two}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim and two that count", {reclaim_all, add_twice, add_twice}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim and a writer that syncs", {reclaim_all, put_two}, 0, VDB_SYNC_ALWAYS, NULL},
    {"two reclaims and a writer", {reclaim_all, reclaim_all, put_one}, 0, VDB_SYNC_OS, NULL},
    {"a reclaim and one that opens the store", {reclaim_all, open_anew}, 0, VDB_SYNC_OS, NULL},
};

/* Running ----------------------------------------------------------------------------------------------- */

/* How many orders with two hand-overs, and with three; the thread sanitizer has little to learn from more of them. */
#if defined(__SANITIZE_THREAD__)
enum { LITTLE = 4, BUDGET = LITTLE };
#else
enum { LITTLE = 4, BUDGET = 120 };
#endif

static const scenario *current;

static vdb_store *open_one(void) {
  return open_with(path, (vdb_options){.sync = current->sync, .wait_seconds = 60});
}

static void prepare(void) {
  failed = false;
  operation_count = 0;
  history_clock = 0;
  filler_count = 0;
  for (int i = 0; i < actor_count; i++) {
    actors[i].store = open_one();
    actors[i].work = current->work[i];
  }
  if (current->fillers > 0) put_filler(actors[0].store, &actors[0].error, 0, current->fillers);
  for (int key = 0; key < 3; key++) put_bytes(actors[0].store, key_at(key), "old", 3);
  for (int key = 0; key < 3; key++) put_bytes(actors[0].store, key_at(key), "\1", 1);
}

static void check_handle(actor *by) {
  uint64_t problems = 1, count = 0;
  operation *entry = begin_operation(by->number, READ, ALL);
  for (int key = 0; key < KEYS; key++) entry->values[key] = get_number(by, key);
  end_operation(entry);
  walk_all(by);
  for (int key = 0; key < KEYS; key++) count += entry->values[key] != 0;
  if (count_of(by->store) != count + (uint64_t)filler_count) fail("the count of the keys is wrong", NULL);
  if (vdb_check(by->store, NULL, NULL, &problems, &by->error) != VDB_OK) fail("check:", &by->error);
  if (problems > 0) fail("a check finds problems", NULL);
}

static void print_plan(const plan *tried) {
  printf("# actor %d begins", tried->first);
  for (int i = 0; i < tried->count; i++)
    printf("; at point %u actor %d takes over", tried->switches[i].point, tried->switches[i].next);
  printf("\n");
}

/* A table in which a, b and c are 1 must explain it all. */
static unsigned run_scenario(const plan *tried) {
  prepare();
  unsigned points = run_plan(tried);
  for (int i = 0; i < actor_count; i++) check_handle(&actors[i]);
  for (int i = 0; i < actor_count; i++)
    if (!close_store(actors[i].store)) fail("close", NULL);
  actors[0].store = open_one();
  check_handle(&actors[0]);
  close_store(actors[0].store);
  remove_store(path);
  if (!is_linearizable((table){{1, 1, 1, 0}}, 0))
    fail("no order of the operations explains what was told", NULL);
  if (!failed) return points;
  print_plan(tried);
  print_history();
  return 0;
}

static int test_scenario(const scenario *wanted) {
  exploration explored = {
      .run = run_scenario, .all_single = BUDGET > LITTLE, .budget = (double)BUDGET * soak(), .random = 1};
  current = wanted;
  is_point = wanted->is_point;
  actor_count = wanted->work[2] != NULL ? 3 : 2;
  explore(&explored);
  ok(!explored.stopped, "%s: %d orders of their steps, and one table explains each", wanted->name,
     explored.runs);
  return explored.runs;
}

int main(void) {
  int runs = 0;
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0); /* many stores, each for a moment */
  path = new_path();
  watch_everything();
  start_actors();
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) runs += test_scenario(&scenarios[i]);
  stop_actors();
  printf("# %d orders\n", runs);
  return done_testing();
}
