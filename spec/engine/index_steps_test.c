/*
** index_steps_test.c - the hash index alone, with tiny blocks, and a store whose index or control page is
** hostile.
*/
#include "steps.h"

#include "../../src/engine/index.h"
#include "../../src/engine/index_layout.h"

enum { KEYS = 20000 };

static const char *path;
static int folder;

static void new_folder(void) {
  path = new_path();
  mkdir(path, 0700);
  folder = open(path, O_RDONLY | O_DIRECTORY);
}

/* Whether the index leads from the key's hash to the line. */
static bool leads_to(hash_index *index, uint64_t key, uint64_t wanted) {
  index_probe probe;
  uint64_t line, value;
  if (index_seek(index, index_hash(index, (char *)&key, sizeof key), &probe, &last_error) != VDB_OK)
    return false;
  while (index_next(&probe, &line, &value))
    if (line == wanted && value == (wanted * 7 & VALUE_MASK)) return true;
  return false;
}

static bool insert(hash_index *index, uint64_t key, uint64_t line) {
  uint64_t hash = index_hash(index, (char *)&key, sizeof key), other, value;
  index_probe probe;
  if (index_make_room(index, hash, &last_error) != VDB_OK) return false;
  if (index_seek(index, hash, &probe, &last_error) != VDB_OK) return false;
  while (index_next(&probe, &other, &value)) continue;
  if (probe.slot == NULL) return false;
  index_publish(index, &probe, line, line * 7);
  return true;
}

static bool visit(void *context, uint64_t line) {
  unsigned char *seen = context;
  if (line < KEYS) seen[line]++;
  return true;
}

static void test_growth(void) {
  new_folder();
  hash_index index, reader, late;
  index_init(&index, "db.index");
  index_init(&reader, "db.index");
  index_init(&late, "db.index");
  bool made = index_create(&index, folder, 4, &last_error) == VDB_OK;
  ok(made && index_open(&reader, folder, true, 4, &last_error) == VDB_OK,
     "an index is made, and opened for reading");
  ok(index_open(&late, folder, false, 6, &last_error) == VDB_ABSENT, "for another generation it is none");
  int inserted = 0, followed = 0, found = 0, once = 0;
  for (uint64_t key = 0; key < KEYS; key++) {
    inserted += insert(&index, key, key);
    followed += leads_to(&reader, key, key);
  }
  ok(inserted == KEYS && followed == KEYS, "a reader that opened it at first finds each of %d keys at once",
     KEYS);
  for (uint64_t key = 0; key < KEYS; key++)
    found += leads_to(&reader, key, key) && leads_to(&index, key, key);
  ok(found == KEYS, "and all at the end");
  static unsigned char seen[KEYS];
  index_each(&reader, visit, seen, &last_error);
  for (int i = 0; i < KEYS; i++) once += seen[i] == 1;
  ok(once == KEYS, "each line is visited once");
  index_size size;
  index_measure(&index, &size);
  ok(size.used == KEYS && size.slots > KEYS && size.bytes < (uint64_t)KEYS * 60, "%d bytes a key",
     (int)(size.bytes / KEYS));
  ok(index_open(&late, folder, false, 4, &last_error) == VDB_OK && leads_to(&late, 1, 1),
     "it can be opened late");
  index_close(&index);
  index_close(&reader);
  index_close(&late);
  close(folder);
}

/* A split is done again from its intent, by another handle, as often as wanted. */
static int insert_until_death(void *context) {
  hash_index index;
  index_init(&index, "db.index");
  if (index_open(&index, folder, false, 2, &last_error) != VDB_OK) return 1;
  watch_steps(*(int *)context, die_here);
  for (uint64_t key = 0; key < 3000; key++)
    if (!insert(&index, key, key)) return 2;
  return 0;
}

static void test_repair(void) {
  int wrong = 0, intents = 0;
  for (int step = 600; step < 4000; step += 1 + (int)random_below(13)) {
    new_folder();
    hash_index index;
    index_init(&index, "db.index");
    index_create(&index, folder, 2, NULL);
    int result = in_child(insert_until_death, &step);
    intents += atomic_load(&header_of(&index)->split.active) != 0;
    for (int i = 0; i < 2; i++)
      if (index_repair(&index, &last_error) != VDB_OK) wrong++;
    uint64_t before = 0;
    while (leads_to(&index, before, before)) before++;
    for (uint64_t key = before; key < 3000; key++)
      if (leads_to(&index, key, key) || !insert(&index, key, key)) wrong++;
    for (uint64_t key = 0; key < 3000; key++)
      if (!leads_to(&index, key, key)) wrong++;
    index_close(&index);
    close(folder);
    remove_store(path);
    if (result == 0) break;
  }
  ok(wrong == 0 && intents > 0,
     "after a death anywhere in a split no key is lost (%d times in the middle of one)", intents);
}

typedef struct race {
  _Atomic uint64_t inserted;
  _Atomic uint64_t looks;
  _Atomic bool over;
} race;

/* The reader is let look after every few keys, or both would run one after the other on a busy machine. */
static int insert_in_race(void *context) {
  race *shared = context;
  hash_index index;
  index_init(&index, "db.index");
  if (index_open(&index, folder, false, 2, NULL) != VDB_OK) return 1;
  int result = 0;
  for (uint64_t key = 0; key < KEYS && result == 0; key++) {
    uint64_t looks = atomic_load(&shared->looks);
    if (!insert(&index, key, key)) result = 2;
    atomic_store(&shared->inserted, key + 1);
    while (key % 32 == 0 && atomic_load(&shared->looks) == looks) usleep(1);
  }
  atomic_store(&shared->over, true);
  return result;
}

/* As a store looks: again, when a segment was split meanwhile. */
static bool look(hash_index *index, uint64_t key) {
  index_probe probe;
  bool found = false;
  do {
    uint64_t line, value, hash = index_hash(index, (char *)&key, sizeof key);
    if (index_seek(index, hash, &probe, &last_error) != VDB_OK) return false;
    for (found = false; !found && index_next(&probe, &line, &value);) found = line == key;
  } while (!index_unchanged(index, &probe));
  return found;
}

static void test_readers_meanwhile(void) {
  new_folder();
  hash_index index;
  index_init(&index, "db.index");
  index_create(&index, folder, 2, NULL);
  race *shared = shared_memory(sizeof *shared);
  pid_t writer = start_child(insert_in_race, shared);
  int missed = 0;
  while (!atomic_load(&shared->over)) {
    uint64_t count = atomic_load(&shared->inserted);
    if (count > 0 && !look(&index, count - 1 - random_below(count < 50 ? count : 50))) missed++;
    atomic_fetch_add(&shared->looks, 1);
  }
  int result = wait_child(writer);
  ok(result == 0 && missed == 0,
     "a reader never misses a key while another process splits segments (%d looks)", (int)shared->looks);
  index_close(&index);
  close(folder);
}

/* Hostile files ------------------------------------------------------------------------------------------ */

static void damage(const char *name, int64_t limit, int places) {
  int file = open(file_path(path, name), O_RDWR);
  int64_t size = file_size(path, name);
  if (limit < size) size = limit;
  for (int i = 0; i < places; i++) {
    unsigned char bytes[8];
    uint64_t kind = random_below(4);
    for (int at = 0; at < 8; at++)
      bytes[at] = (unsigned char)(kind == 0 ? 0 : kind == 1 ? 0xff : random_below(256));
    if (kind == 2) memset(bytes + 1, 0, 7);
    off_t at = (off_t)random_below((uint64_t)size / 4) * 4;
    if (pwrite(file, bytes, kind == 3 ? 8 : 4, at) < 0) exit(1);
  }
  close(file);
}

/* Everything that can be called; what it says does not matter, that it comes back does. */
static int use_damaged(void *context) {
  (void)context;
  vdb_store *store;
  if (vdb_open(path, &(vdb_options){.wait_seconds = 0.05}, &store, NULL) != VDB_OK) return 0;
  int wrong = 0;
  uint64_t problems, count;
  for (int i = 0; i < 1500; i++) {
    vdb_key key = vdb_integer(i);
    vdb_value value;
    vdb_status status = vdb_get(store, &key, &value, NULL);
    if (status == VDB_OK && (value.size != sizeof i || memcmp(value.bytes, &i, sizeof i) != 0)) wrong = 9;
  }
  vdb_walk *walk;
  vdb_key key;
  if (vdb_walk_begin(store, &walk, NULL) == VDB_OK) {
    for (int i = 0; i < 5000 && vdb_walk_next(walk, &key, NULL, NULL) != VDB_ABSENT; i++) continue;
    vdb_walk_end(walk);
  }
  vdb_count(store, &count, NULL);
  vdb_check(store, NULL, NULL, &problems, NULL);
  for (int i = 1000; i < 2500; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  for (int i = 0; i < 300; i++) {
    key = vdb_integer(i * 3);
    vdb_delete(store, &key, NULL);
  }
  vdb_reclaim(store, NULL, NULL, NULL);
  vdb_close(store, NULL);
  return wrong;
}

static int put_and_die(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  put_text(store, "x", "y");
  raise(SIGKILL);
  return 0;
}

static void test_hostile(const char *name, int64_t limit, bool unclean) {
  int rounds = 25 * soak(), bad = 0;
  for (int round = 0; round < rounds; round++) {
    path = new_path();
    vdb_store *store = open_store(path);
    for (int i = 0; i < 1500; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
    close_store(store);
    if (unclean) in_child(put_and_die, NULL);
    damage(name, limit, 1 + (int)random_below(20));
    int result = in_child(use_damaged, NULL);
    if (result != 0) printf("# round %d: %d\n", round, result);
    bad += result != 0;
    remove_store(path);
  }
  ok(bad == 0, "a hostile %s of %s crashes nothing and makes no value another's (%d rounds)",
     limit < 4096 ? "head" : "content", name, rounds);
}

/* Nothing here loses power. */
static int no_sync(int file) {
  (void)file;
  return 0;
}

int main(int count, char **arguments) {
  if (count > 1) random_state = strtoull(arguments[1], NULL, 10);
  os.sync = os.sync_folder = no_sync;
  test_growth();
  test_repair();
  test_readers_meanwhile();
  test_hostile("db.index", 200, false);
  test_hostile("db.index", 2200, false);
  test_hostile("db.index", 1 << 20, false);
  test_hostile("db.ctl", 64, false);
  test_hostile("db.ctl", 500, false);
  test_hostile("db.ctl", 500, true);
  return done_testing();
}
