/*
** walk_steps_test.c - walks and snapshots see the store as it was when they began, whatever happens
** meanwhile.
*/
#include "steps.h"

enum { KEYS = 400 };

static const char *path;
static vdb_store *store, *other;

/* Keys 0 .. KEYS-1 with their number as value; every fifth is deleted again. */
static void start(void) {
  path = new_path();
  store = open_store(path);
  other = open_store(path);
  for (int i = 0; i < KEYS; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  for (int i = 0; i < KEYS; i += 5) {
    vdb_key key = vdb_integer(i);
    vdb_delete(store, &key, NULL);
  }
}

static void finish(void) {
  close_store(store);
  close_store(other);
}

/* Overwrites, deletes, puts again and adds. */
static void disturb(vdb_store *writer, int round) {
  int value = -1 - round;
  for (int i = 0; i < KEYS; i++) {
    vdb_key key = vdb_integer(i);
    if ((i + round) % 3 == 0) put_bytes(writer, key, &value, sizeof value);
    if ((i + round) % 7 == 0) vdb_delete(writer, &key, NULL);
  }
  for (int i = 0; i < 50; i++) put_bytes(writer, vdb_integer(KEYS + 50 * round + i), &value, sizeof value);
}

static bool next_is(vdb_walk *walk, int wanted) {
  vdb_key key;
  vdb_value value;
  vdb_status status = vdb_walk_next(walk, &key, &value, &last_error);
  bool right = status == VDB_OK && key.type == VDB_INTEGER && key.integer == wanted &&
               value.size == sizeof wanted && memcmp(value.bytes, &wanted, sizeof wanted) == 0;
  if (!right) printf("# wanted %d: %s %s\n", wanted, vdb_status_name(status), last_error.message);
  return right;
}

typedef void (*trouble)(int round);

static void write_here(int round) {
  disturb(store, round);
}

static void write_there(int round) {
  disturb(other, round);
}

static void reclaim_here(int round) {
  disturb(other, round);
  reclaim(store);
}

static void reclaim_there(int round) {
  disturb(store, round);
  reclaim(other);
  disturb(store, round + 1);
}

static void reclaim_a_little(int round) {
  vdb_reclaim_options slice = {.budget_seconds = 0.00005};
  (void)vdb_reclaim(store, &slice, NULL, NULL);
  if (round % 8 == 0) disturb(other, round);
}

static void write_one_key(int round) {
  for (int i = 0; i < 200; i++) put_bytes(other, vdb_integer(1), &round, sizeof round);
  for (int i = 0; i < 200; i++) put_bytes(store, vdb_integer(KEYS - 1), &round, sizeof round);
}

static void test_walk_under(trouble make, const char *what) {
  start();
  vdb_walk *walk;
  vdb_key key;
  bool right = vdb_walk_begin(store, &walk, &last_error) == VDB_OK;
  int given = 0;
  for (int i = 0; i < KEYS && right; i++) {
    if (i % 5 == 0) continue;
    if (given % 40 == 0) make(given / 40);
    right = next_is(walk, i);
    given++;
  }
  right = right && vdb_walk_next(walk, &key, NULL, &last_error) == VDB_ABSENT;
  right = right && vdb_walk_next(walk, &key, NULL, &last_error) == VDB_ABSENT;
  vdb_walk_end(walk);
  ok(right && given == KEYS - KEYS / 5, "a walk gives what was there, in order, while %s", what);
  ok(walked(store) == (int64_t)count_of(store) && walked(other) == walked(store),
     "and the next one what is there");
  finish();
}

static bool snapshot_is(vdb_snapshot *snapshot, int number, bool there) {
  vdb_key key = vdb_integer(number);
  vdb_value value;
  vdb_status status = vdb_snapshot_get(snapshot, &key, &value, &last_error);
  if (!there) return status == VDB_ABSENT;
  return status == VDB_OK && value.size == sizeof number && memcmp(value.bytes, &number, sizeof number) == 0;
}

static void test_snapshot_under(trouble make, const char *what) {
  start();
  vdb_snapshot *snapshot;
  bool right = vdb_snapshot_begin(store, &snapshot, &last_error) == VDB_OK;
  for (int round = 0; round < 5 && right; round++) {
    make(round);
    for (int i = 0; i < KEYS + 300 && right; i++) right = snapshot_is(snapshot, i, i < KEYS && i % 5 != 0);
  }
  vdb_snapshot_end(snapshot);
  ok(right, "a snapshot gives what was there while %s %s", what, right ? "" : last_error.message);
  finish();
}

static const struct {
  trouble make;
  const char *what;
} troubles[] = {
    {write_here, "its handle writes"},
    {write_there, "another handle writes"},
    {reclaim_here, "its handle reclaims"},
    {reclaim_there, "another handle reclaims"},
    {reclaim_a_little, "a reclaim goes on in slices"},
    {write_one_key, "some keys are written all the time"},
};

static void test_order(void) {
  start();
  int first = 1, last = KEYS;
  vdb_walk *walk;
  put_bytes(store, vdb_integer(first), &last, sizeof last);
  vdb_walk_begin(store, &walk, NULL);
  vdb_key key;
  int seen = 0;
  while (vdb_walk_next(walk, &key, NULL, NULL) == VDB_OK) {
    seen++;
    last = (int)key.integer;
  }
  ok(last == first && seen == KEYS - KEYS / 5, "the key that was written last comes last");
  vdb_walk_end(walk);
  finish();
}

static void test_chain_of_lines(void) {
  start();
  vdb_snapshot *old[20];
  bool right = true;
  for (int i = 0; i < 20; i++) {
    vdb_key key = text_key("chain");
    right = right && vdb_snapshot_begin(other, &old[i], NULL) == VDB_OK;
    if (i % 4 == 3) vdb_delete(store, &key, NULL);
    else put_bytes(store, key, &i, sizeof i);
  }
  for (int i = 0; i < 20; i++) {
    vdb_key key = text_key("chain");
    vdb_value value;
    vdb_status status = vdb_snapshot_get(old[i], &key, &value, &last_error);
    int before = i - 1;
    if (i == 0 || before % 4 == 3) right = right && status == VDB_ABSENT;
    else right = right && status == VDB_OK && memcmp(value.bytes, &before, sizeof before) == 0;
  }
  for (int i = 0; i < 20; i++) vdb_snapshot_end(old[i]);
  ok(right, "each of many snapshots has its own version of a key, deleted ones included");
  finish();
}

static void test_conflicts(void) {
  start();
  vdb_snapshot *snapshot;
  vdb_key read = vdb_integer(1), wanted = vdb_integer(2);
  vdb_value value = {.encoding = VDB_BYTES, .bytes = "x", .size = 1};
  vdb_change change = {.key = wanted, .value = &value};
  vdb_snapshot_begin(store, &snapshot, NULL);
  put_text(other, "unrelated", "1");
  ok(vdb_commit(store, snapshot, &read, 1, &change, 1, NULL) == VDB_OK,
     "a batch goes through when its reads still hold");
  put_bytes(other, read, "y", 1);
  value.bytes = "z";
  ok(vdb_commit(store, snapshot, &read, 1, &change, 1, NULL) == VDB_CONFLICT &&
         holds_bytes(store, wanted, "x", 1),
     "and is refused as a whole when one was written");
  vdb_snapshot_end(snapshot);
  vdb_snapshot_begin(store, &snapshot, NULL);
  read = vdb_integer(5);
  put_bytes(other, read, "new", 3);
  ok(vdb_commit(store, snapshot, &read, 1, &change, 1, NULL) == VDB_CONFLICT,
     "also when what was absent is there now");
  vdb_snapshot_end(snapshot);
  vdb_change twice[] = {change, change};
  ok(vdb_commit(store, NULL, NULL, 0, twice, 2, NULL) == VDB_TYPE && holds_bytes(store, wanted, "x", 1),
     "a batch with a key twice is refused");
  twice[1].key = vdb_float(2.0);
  ok(vdb_commit(store, NULL, NULL, 0, twice, 2, NULL) == VDB_TYPE, "also when it is spelt in two ways");
  ok(vdb_commit(store, NULL, NULL, 0, NULL, 0, NULL) == VDB_OK, "an empty batch is allowed");
  finish();
}

static void test_snapshot_and_close(void) {
  start();
  vdb_snapshot *snapshot;
  vdb_key key = vdb_integer(1);
  vdb_value value;
  vdb_snapshot_begin(store, &snapshot, NULL);
  finish();
  ok(vdb_snapshot_get(snapshot, &key, &value, NULL) == VDB_CLOSED, "a snapshot of a closed store says so");
  vdb_snapshot_end(snapshot);
  vdb_snapshot_end(NULL);
}

static int64_t bytes_read;
static void *(*real_map)(int file, size_t size, off_t offset, os_map_kind kind);
static ssize_t (*real_read)(int file, void *bytes, size_t size, off_t offset);

/*
** A mapped key log can't be watched, but can be made unreadable: with its first page gone any look at it is
** fatal.
*/
static void *map_without_first_page(int file, size_t size, off_t offset, os_map_kind kind) {
  char *memory = real_map(file, size, offset, kind);
  struct stat mine, log;
  if (memory == MAP_FAILED || fstat(file, &mine) != 0) return memory;
  if (stat(file_path(path, "db.klog"), &log) == 0 && log.st_ino == mine.st_ino && offset == 0)
    mprotect(memory, 4096, PROT_NONE);
  return memory;
}

static ssize_t counted_read(int file, void *bytes, size_t size, off_t offset) {
  bytes_read += (int64_t)size;
  return real_read(file, bytes, size, offset);
}

static int open_blind(void *context) {
  (void)context;
  signal(SIGSEGV, SIG_DFL);
  real_map = os.map;
  real_read = os.read;
  os.map = map_without_first_page;
  os.read = counted_read;
  vdb_store *blind = open_store(path);
  if (blind == NULL) return 1;
  if (put_text(blind, "b", "2") != VDB_OK || !holds(blind, "b", "2")) return 2;
  if (!holds_bytes(blind, vdb_integer(KEYS - 1), &(int){KEYS - 1}, sizeof(int))) return 3;
  return bytes_read < 4096 ? 0 : 4;
}

static void test_opening_reads_no_keys(void) {
  start();
  finish();
  ok(in_child(open_blind, NULL) == 0, "after a clean close the store opens without a look at old keys");
  ok(in_child(open_blind, NULL) == 0, "and after a death");
  remove_file(path, "db.index");
  ok(in_child(open_blind, NULL) != 0, "only without an index it does look, and this test would notice");
}

int main(void) {
  for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
    test_walk_under(troubles[i].make, troubles[i].what);
    test_snapshot_under(troubles[i].make, troubles[i].what);
  }
  test_order();
  test_chain_of_lines();
  test_conflicts();
  test_snapshot_and_close();
  test_opening_reads_no_keys();
  return done_testing();
}
