/*
** interleave_actors.h - what the actors of interleave_steps_test.c do to a few keys, noted in the history.
**
** A value is its number, and behind it as many bytes: so values have different lengths, and one of mixed bytes is found.
*/
#ifndef VIPERDB_INTERLEAVE_ACTORS_H
#define VIPERDB_INTERLEAVE_ACTORS_H

#include "history.h"
#include "schedule.h"

enum { A = 1, B = 2, C = 4, NEW = 8, ALL = 15 };
enum { FILLER_SIZE = 6 };

static const char *path;
static bool failed;
static int filler_count, reclaim_count, busy_count;
static uint64_t least_count; /* of keys, NEW not among them, when nobody deletes any */
static long reads_beside;    /* those that ran from start to end while a writer stood still */

static void fail(const char *what, const vdb_error *error) {
  if (!failed) printf("# %s %s\n", what, error != NULL ? error->message : "");
  failed = true;
}

/* Notes --------------------------------------------------------------------------------------------------- */

static operation *begin_write(actor *by, operation_kind kind, unsigned keys) {
  begin_call(by, "write", false);
  return begin_operation(by->number, kind, keys);
}

static void end_write(actor *by, operation *entry) {
  end_operation(entry);
  end_call(by);
}

static operation *begin_read(actor *by, unsigned keys) {
  begin_call(by, "read", true);
  return begin_operation(by->number, READ, keys);
}

static void end_read(actor *by) {
  reads_beside += ran_beside_a_writer(by);
  end_call(by);
}

/* Values ------------------------------------------------------------------------------------------------ */

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

static int answer(actor *by, vdb_status status, const vdb_value *value, const char *what) {
  if (status == VDB_OK) return number_of(value);
  if (status != VDB_ABSENT) fail(what, &by->error);
  return 0;
}

/* Writes ------------------------------------------------------------------------------------------------ */

static void put(actor *by, unsigned key, int number) {
  unsigned char bytes[256];
  vdb_key name = key_at(key_in(key));
  vdb_value value = value_of(number, bytes);
  operation *entry = begin_write(by, WRITE, key);
  entry->values[key_in(key)] = number;
  if (vdb_put(by->store, &name, &value, &by->error) != VDB_OK) fail("put:", &by->error);
  end_write(by, entry);
}

static void delete (actor *by, unsigned key) {
  vdb_key name = key_at(key_in(key));
  operation *entry = begin_write(by, TAKE, key);
  vdb_status status = vdb_delete(by->store, &name, &by->error);
  if (status != VDB_OK && status != VDB_ABSENT) fail("delete:", &by->error);
  entry->values[key_in(key)] = status == VDB_OK;
  end_write(by, entry);
}

/* All the keys get the number; 0 deletes them. */
static void write_batch(actor *by, unsigned keys, int number) {
  unsigned char bytes[256];
  vdb_value value = value_of(number, bytes);
  vdb_change changes[KEYS];
  size_t count = 0;
  operation *entry = begin_write(by, WRITE, keys);
  for (int key = 0; key < KEYS; key++) {
    if ((keys >> key & 1) == 0) continue;
    changes[count++] = (vdb_change){.key = key_at(key), .value = number > 0 ? &value : NULL};
    entry->values[key] = number;
  }
  if (vdb_commit(by->store, NULL, NULL, 0, changes, count, &by->error) != VDB_OK) fail("batch:", &by->error);
  end_write(by, entry);
}

/* Reads, computes and writes back until nobody came between. */
static void add_one(actor *by, unsigned key) {
  unsigned char bytes[256];
  vdb_value value;
  vdb_version version;
  vdb_change change = {.key = key_at(key_in(key)), .value = &value};
  operation *entry = begin_write(by, ADD, key);
  vdb_status status;
  do {
    by->call = "read";
    status = vdb_get_version(by->store, &change.key, &value, &version, &by->error);
    int number = answer(by, status, &value, "get with version:") + 1;
    value = value_of(number, bytes);
    entry->values[key_in(key)] = number;
    by->call = "write";
    status = vdb_change_if(by->store, &change, &version, &by->error);
  } while (status == VDB_CONFLICT);
  if (status != VDB_OK) fail("change:", &by->error);
  end_write(by, entry);
}

static void put_filler(vdb_store *store, vdb_error *error, int from, int count) {
  static const vdb_value value = {.encoding = VDB_BYTES, .bytes = "filler", .size = FILLER_SIZE};
  static vdb_change changes[512];
  for (int i = 0; i < count; i++) changes[i] = (vdb_change){.key = vdb_integer(from + i), .value = &value};
  if (vdb_commit(store, NULL, NULL, 0, changes, (size_t)count, error) != VDB_OK) fail("filler:", error);
  filler_count += count;
}

static void reclaim_all(actor *by) {
  begin_call(by, "reclaim", false);
  vdb_status status = vdb_reclaim(by->store, NULL, NULL, &by->error);
  if (status == VDB_OK) reclaim_count++;
  else if (status == VDB_BUSY) busy_count++;
  else fail("reclaim:", &by->error);
  end_call(by);
}

/* Reads ------------------------------------------------------------------------------------------------- */

static int get_number(actor *by, int key) {
  vdb_value value;
  vdb_key name = key_at(key);
  return answer(by, vdb_get(by->store, &name, &value, &by->error), &value, "get:");
}

static int get(actor *by, unsigned key) {
  operation *entry = begin_read(by, key);
  int number = entry->values[key_in(key)] = get_number(by, key_in(key));
  end_operation(entry);
  end_read(by);
  return number;
}

/* What a read shows is committed: it is counted. */
static void get_and_count(actor *by, unsigned key) {
  uint64_t count;
  if (get(by, key) == 0) return;
  begin_call(by, "count", true);
  if (vdb_count(by->store, &count, &by->error) != VDB_OK) fail("count:", &by->error);
  else if (count < least_count + 1) fail("a key was read that does not count", NULL);
  end_read(by);
}

/* What the snapshot shows is what was there at one moment of its making. */
static void read_snapshot(actor *by) {
  vdb_snapshot *snapshot;
  operation *entry = begin_read(by, ALL);
  if (vdb_snapshot_begin(by->store, &snapshot, &by->error) != VDB_OK) fail("snapshot:", &by->error);
  end_operation(entry);
  for (int key = 0; key < KEYS && !failed; key++) {
    vdb_value value;
    vdb_key name = key_at(key);
    vdb_status status = vdb_snapshot_get(snapshot, &name, &value, &by->error);
    entry->values[key] = answer(by, status, &value, "get from a snapshot:");
  }
  vdb_snapshot_end(snapshot);
  end_read(by);
}

static int key_named(const vdb_key *key) {
  for (int i = 0; i < KEYS; i++)
    if (key->type == VDB_STRING && strlen(key_names[i]) == key->size &&
        memcmp(key->string, key_names[i], key->size) == 0)
      return i;
  return KEYS;
}

/* How many of the other keys it came by. */
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
  operation *entry = begin_read(by, ALL);
  if (vdb_walk_begin(by->store, &walk, &by->error) != VDB_OK) fail("walk:", &by->error);
  end_operation(entry);
  if (!failed && walk_to_end(by, walk, entry->values) < least) fail("a walk misses keys", NULL);
  vdb_walk_end(walk);
  end_read(by);
}

/* Work -------------------------------------------------------------------------------------------------- */

static void put_a(actor *by) {
  put(by, A, 2);
}

static void put_a_too(actor *by) {
  put(by, A, 3);
}

static void put_c(actor *by) {
  put(by, C, 4);
}

static void put_new(actor *by) {
  put(by, NEW, 5);
}

static void put_two(actor *by) {
  put(by, A, 6);
  put(by, NEW, 7);
}

static void delete_a(actor *by) {
  delete (by, A);
}

static void delete_and_put(actor *by) {
  delete (by, A);
  put(by, A, 8);
}

static void batch_of_two(actor *by) {
  write_batch(by, A | NEW, 9);
}

static void batch_that_deletes(actor *by) {
  write_batch(by, A | B, 0);
}

static void get_a(actor *by) {
  get(by, A);
}

static void get_a_twice(actor *by) {
  get(by, A);
  get(by, A);
}

static void get_new_twice(actor *by) {
  get_and_count(by, NEW);
  get(by, NEW);
}

static void get_two(actor *by) {
  get(by, A);
  get(by, NEW);
}

static void get_old(actor *by) {
  get(by, A);
  get(by, B);
}

static void add_once(actor *by) {
  add_one(by, A);
}

static void look_and_get(actor *by) {
  read_snapshot(by);
  get(by, NEW);
}

static void get_and_look(actor *by) {
  get(by, NEW);
  read_snapshot(by);
}

static void fill_up(actor *by) {
  begin_call(by, "fill", false);
  put_filler(by->store, &by->error, 1000, 170);
  end_call(by);
}

static void reclaim_twice(actor *by) {
  reclaim_all(by);
  reclaim_all(by);
}

static void open_anew(actor *by) {
  vdb_store *used = by->store;
  begin_call(by, "open", false);
  vdb_status status = vdb_open(path, &(vdb_options){.wait_seconds = 60}, &by->store, &by->error);
  end_call(by);
  if (status == VDB_OK) {
    get(by, A);
    put(by, A, 12);
  } else {
    fail("open:", &by->error);
  }
  begin_call(by, "close", false);
  vdb_close(by->store, NULL);
  end_call(by);
  by->store = used;
}

#endif
