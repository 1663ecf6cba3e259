/*
** contract_test.c - what viperdb.h promises of one handle: calls, results, keys, values, expirations.
*/
#include "fixture.h"

#include <math.h>

static vdb_status get_status(vdb_store *store, vdb_key key) {
  vdb_value value;
  return vdb_get(store, &key, &value, &last_error);
}

static void test_first_steps(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path);
  ok(store != NULL && has_file(path, ".OPEN"), "a folder that is not there is made, and marked as open");
  struct stat status;
  ok(stat(path, &status) == 0 && (status.st_mode & 0777) == 0700, "the folder is for its owner only");
  ok(stat(file_path(path, "db.klog"), &status) == 0 && (status.st_mode & 0777) == 0600, "so are the files");
  ok(count_of(store) == 0 && walked(store) == 0 && lacks(store, "a"), "a new store is empty");
  ok(delete_text(store, "a") == VDB_ABSENT, "deleting what is not there says so");
  ok(put_text(store, "a", "1") == VDB_OK && holds(store, "a", "1"), "what was put is there");
  ok(put_text(store, "a", "22") == VDB_OK && holds(store, "a", "22"), "a second put replaces the value");
  ok(count_of(store) == 1 && walked(store) == 1, "and it is still one key");
  vdb_key key = text_key("a");
  ok(vdb_has(store, &key, NULL) == VDB_OK, "has says that it is there");
  ok(delete_text(store, "a") == VDB_OK && lacks(store, "a"), "a deleted key is gone");
  ok(vdb_has(store, &key, NULL) == VDB_ABSENT, "has says that it is gone");
  ok(delete_text(store, "a") == VDB_ABSENT, "it is deleted only once");
  ok(count_of(store) == 0 && walked(store) == 0, "and not counted or walked any more");
  ok(put_text(store, "a", "3") == VDB_OK && holds(store, "a", "3"), "it can be put again");
  ok(close_store(store), "the store closes");
  ok(!has_file(path, ".OPEN"), "a closed store is not marked as open");
  store = open_store(path);
  ok(holds(store, "a", "3") && count_of(store) == 1 && walked(store) == 1,
     "all is there after opening again");
  ok(close_store(store), "it closes again");
  ok(vdb_close(NULL, NULL) == VDB_OK, "closing nothing is allowed");
}

static void test_keys_of_each_type(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path);
  static char longest[VDB_MAX_KEY_SIZE + 1];
  memset(longest, 0xff, sizeof longest);
  const vdb_key keys[] = {
      vdb_string("", 0),
      vdb_string("\0", 1),
      vdb_string("a\0b", 3),
      vdb_string("a", 1),
      vdb_string("1", 1),
      vdb_string("1.0", 3),
      vdb_string("true", 4),
      vdb_string("\"", 1),
      vdb_string("\n", 1),
      vdb_string("\\u0000", 6),
      vdb_string("\xff\x00\xc3", 3),
      vdb_string("\xc3\xa9", 2),
      vdb_string("\xed\xb2\x80", 3), /* a surrogate's UTF-8-like bytes */
      vdb_string("\xf0\x9f\x90\x8d", 4),
      vdb_string(longest, VDB_MAX_KEY_SIZE),
      vdb_string(longest, VDB_MAX_KEY_SIZE - 1),
      vdb_integer(0),
      vdb_integer(1),
      vdb_integer(-1),
      vdb_integer(INT64_MAX),
      vdb_integer(INT64_MIN),
      vdb_float(0.1),
      vdb_float(1e300),
      vdb_float(5e-324),
      vdb_float(0x1p63),
      vdb_float(HUGE_VAL),
      vdb_float(-HUGE_VAL),
      vdb_boolean(true),
      vdb_boolean(false),
  };
  const int count = (int)(sizeof keys / sizeof *keys);
  int stored = 0, found = 0, again = 0;
  for (int i = 0; i < count; i++) stored += put_bytes(store, keys[i], &i, sizeof i) == VDB_OK;
  for (int i = 0; i < count; i++) found += holds_bytes(store, keys[i], &i, sizeof i);
  ok(stored == count && found == count, "%d keys of all types are %d different keys", count, found);
  ok(count_of(store) == (uint64_t)count && walked(store) == count, "and are counted and walked as so many");
  close_store(store);
  store = open_store(path);
  for (int i = 0; i < count; i++) again += holds_bytes(store, keys[i], &i, sizeof i);
  ok(again == count, "also after opening again");
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  int right = 0, at = 0;
  ok(vdb_walk_begin(store, &walk, NULL) == VDB_OK, "a walk begins");
  for (; vdb_walk_next(walk, &key, &value, NULL) == VDB_OK && at < count; at++) {
    const vdb_key *wanted = &keys[at];
    bool same = key.type == wanted->type;
    if (same && key.type == VDB_STRING)
      same = key.size == wanted->size && memcmp(key.string, wanted->string, key.size) == 0;
    else if (same && key.type == VDB_FLOAT)
      same = !(key.number < wanted->number) && !(key.number > wanted->number);
    else if (same) same = key.integer == wanted->integer;
    right += same && value.size == sizeof at && memcmp(value.bytes, &at, sizeof at) == 0;
  }
  vdb_walk_end(walk);
  ok(at == count && right == count, "a walk gives each key with its type and bytes, in the order of writing");
  ok(reclaim(store), "reclaim takes such keys");
  again = 0;
  for (int i = 0; i < count; i++) again += holds_bytes(store, keys[i], &i, sizeof i);
  ok(again == count && count_of(store) == (uint64_t)count, "and all are there behind it");
  close_store(store);
}

static void test_keys_that_are_one_key(void) {
  vdb_store *store = open_store(new_path());
  put_bytes(store, vdb_integer(1), "one", 3);
  ok(holds_bytes(store, vdb_float(1.0), "one", 3), "1.0 is the key 1");
  put_bytes(store, vdb_float(-0.0), "zero", 4);
  ok(holds_bytes(store, vdb_integer(0), "zero", 4), "-0.0 is the key 0");
  put_bytes(store, vdb_float(-0x1p63), "least", 5);
  ok(holds_bytes(store, vdb_integer(INT64_MIN), "least", 5), "-2^63 is one key as float and as integer");
  ok(lacks_key(store, vdb_boolean(true)) && lacks(store, "1"), "true and \"1\" are other keys");
  ok(count_of(store) == 3, "these are three keys");
  close_store(store);
}

static void test_keys_that_are_refused(void) {
  vdb_store *store = open_store(new_path());
  static char bytes[VDB_MAX_KEY_SIZE + 1];
  vdb_key unknown = {.type = (vdb_key_type)17};
  int64_t expiration;
  vdb_key nan_key = vdb_float(NAN), long_key = vdb_string(bytes, sizeof bytes);
  ok(put_bytes(store, nan_key, "x", 1) == VDB_RANGE, "NaN is refused as a key");
  ok(put_bytes(store, long_key, "x", 1) == VDB_TOO_BIG, "so is a key of 64 KiB and one byte");
  ok(put_bytes(store, unknown, "x", 1) == VDB_TYPE, "and a key of an unknown type");
  ok(get_status(store, nan_key) == VDB_RANGE, "getting NaN is refused");
  ok(vdb_delete(store, &long_key, &last_error) == VDB_TOO_BIG, "deleting a too long key is refused");
  ok(vdb_expiration(store, &unknown, &expiration, NULL) == VDB_TYPE, "so is asking for an unknown type");
  ok(strlen(last_error.message) > 0 && last_error.status == VDB_TOO_BIG,
     "the error has a text and its status");
  ok(count_of(store) == 0 && walked(store) == 0, "nothing of it is in the store");
  close_store(store);
}

static void test_values_of_all_sizes(void) {
  static const size_t sizes[] = {0,      1,      2,      4095,    4096,    4097,   16383,  16384,
                                 16385,  20000,  65535,  65536,   131072,  262143, 262144, 262145,
                                 262146, 524288, 600001, 3145728, 3145729, 16,     0};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  const char *path = new_path();
  vdb_store *store = open_store(path);
  char *bytes = malloc(3145729);
  if (bytes == NULL) return;
  int stored = 0, found = 0;
  for (int i = 0; i < COUNT; i++) {
    for (size_t at = 0; at < sizes[i]; at++) bytes[at] = (char)(at * 31 + at / 251 + (size_t)i);
    stored += put_bytes(store, vdb_integer(i), bytes, sizes[i]) == VDB_OK;
    found += holds_bytes(store, vdb_integer(i), bytes, sizes[i]);
  }
  ok(stored == COUNT && found == COUNT, "values from 0 bytes to 3 MiB come back right after their put");
  for (int round = 0; round < 3; round++) {
    found = 0;
    for (int i = 0; i < COUNT; i++) {
      for (size_t at = 0; at < sizes[i]; at++) bytes[at] = (char)(at * 31 + at / 251 + (size_t)i);
      found += holds_bytes(store, vdb_integer(i), bytes, sizes[i]);
    }
    ok(found == COUNT && walked(store) == COUNT, "%s",
       round == 0   ? "all come back at the end"
       : round == 1 ? "after opening again"
                    : "and after a reclaim");
    if (round == 0) {
      close_store(store);
      store = open_store(path);
    } else if (round == 1) {
      ok(reclaim(store), "a reclaim takes big values");
    }
  }
  vdb_value big = {.encoding = VDB_BYTES, .bytes = "", .size = (size_t)VDB_MAX_VALUE_SIZE + 1};
  vdb_key key = text_key("big");
  ok(vdb_put(store, &key, &big, NULL) == VDB_TOO_BIG && lacks(store, "big"), "more than 1 GiB is refused");
  free(bytes);
  close_store(store);
}

static void test_encodings(void) {
  vdb_store *store = open_store(new_path());
  int right = 0;
  for (int encoding = VDB_JSON; encoding <= VDB_PICKLE; encoding++) {
    vdb_key key = vdb_integer(encoding);
    vdb_value value = {.encoding = (vdb_encoding)encoding, .bytes = "[]", .size = 2}, back;
    if (vdb_put(store, &key, &value, NULL) != VDB_OK) continue;
    right += vdb_get(store, &key, &back, NULL) == VDB_OK && (int)back.encoding == encoding;
  }
  ok(right == 4, "a value comes back with its encoding");
  vdb_key key = text_key("x");
  vdb_value value = {.encoding = (vdb_encoding)4, .bytes = "", .size = 0};
  ok(vdb_put(store, &key, &value, &last_error) == VDB_TYPE && lacks(store, "x"),
     "an unknown encoding is refused");
  close_store(store);
}

static vdb_status put_until(vdb_store *store, const char *name, int64_t expiration) {
  vdb_key key = text_key(name);
  vdb_value value = {.encoding = VDB_JSON, .bytes = "42", .size = 2, .expiration = expiration};
  return vdb_put(store, &key, &value, &last_error);
}

static vdb_status expire(vdb_store *store, const char *name, int64_t expiration) {
  vdb_key key = text_key(name);
  return vdb_expire(store, &key, expiration, &last_error);
}

static int64_t expiration_of(vdb_store *store, const char *name) {
  vdb_key key = text_key(name);
  int64_t expiration = -1;
  return vdb_expiration(store, &key, &expiration, &last_error) == VDB_OK ? expiration : -2;
}

static int (*true_clock)(int clock, int64_t *nanoseconds);
static int64_t clock_shift; /* milliseconds */

static int shifted_clock(int clock, int64_t *nanoseconds) {
  int result = true_clock(clock, nanoseconds);
  *nanoseconds += clock_shift * 1000000;
  return result;
}

static void test_expiration(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path);
  true_clock = os.clock;
  os.clock = shifted_clock;
  int64_t soon = os_now() + 60000;
  ok(put_until(store, "never", 0) == VDB_OK && expiration_of(store, "never") == VDB_NEVER,
     "an expiration of 0 is none");
  ok(put_until(store, "soon", soon) == VDB_OK && expiration_of(store, "soon") == soon,
     "an expiration is kept");
  ok(put_until(store, "past", 1) == VDB_OK && lacks(store, "past"), "what is past is absent at once");
  ok(put_until(store, "before", -5) == VDB_OK && lacks(store, "before"), "so is a time before the epoch");
  ok(expiration_of(store, "past") == -2, "it has no expiration");
  ok(count_of(store) == 4 && walked(store) == 2, "it is counted until reclaim, but not walked");
  ok(delete_text(store, "past") == VDB_ABSENT && count_of(store) == 3,
     "deleting it finds it absent, but clears it");
  ok(expire(store, "before", VDB_NEVER) == VDB_ABSENT && lacks(store, "before"), "it can't be called back");
  ok(expire(store, "nothing", soon) == VDB_ABSENT, "nor can what was never there be given an expiration");
  ok(expire(store, "never", soon) == VDB_OK && holds(store, "never", "42"),
     "a key can get an expiration later");
  ok(expiration_of(store, "never") == soon, "which is then its own");
  ok(expire(store, "soon", VDB_NEVER) == VDB_OK && expiration_of(store, "soon") == VDB_NEVER,
     "and can lose it");
  put_until(store, "edge", soon);
  close_store(store);
  store = open_store(path);
  ok(expiration_of(store, "never") == soon && expiration_of(store, "soon") == VDB_NEVER,
     "expirations are there after opening again");
  vdb_walk *walk;
  vdb_walk_begin(store, &walk, NULL);
  clock_shift = 60001;
  ok(lacks(store, "never") && lacks(store, "edge") && holds(store, "soon", "42"),
     "when the time comes the key goes");
  vdb_key key;
  int given = 0;
  while (vdb_walk_next(walk, &key, NULL, NULL) == VDB_OK) given++;
  vdb_walk_end(walk);
  ok(given == 1, "also from a walk that began before");
  ok(expire(store, "edge", VDB_NEVER) == VDB_ABSENT, "and is not there for another expiration");
  ok(put_text(store, "edge", "again") == VDB_OK && expiration_of(store, "edge") == VDB_NEVER,
     "a put makes it anew, without the old expiration");
  ok(reclaim(store) && count_of(store) == 2, "reclaim drops what has expired");
  clock_shift = 0;
  ok(lacks(store, "never"), "for good");
  os.clock = true_clock;
  close_store(store);
}

static void test_many_keys_with_one_handle(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path);
  enum { KEYS = 30000 };
  int found = 0, corrupt = 0;
  for (int i = 0; i < KEYS; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  for (int i = 0; i < KEYS; i++) {
    found += holds_bytes(store, vdb_integer(i), &i, sizeof i);
    corrupt += last_error.status == VDB_CORRUPT;
  }
  ok(found == KEYS && corrupt == 0, "%d of %d keys are found, while the log grew behind its first extents",
     found, KEYS);
  ok(walked(store) == KEYS, "and all are walked");
  close_store(store);
}

/* A reader that knew the file's length from an earlier call must not take a longer line for a torn one. */
static void test_reader_behind_a_growing_log(void) {
  const char *path = new_path();
  vdb_store *writer = open_store(path), *reader = open_store(path);
  enum { KEYS = 30000 };
  int wrong = 0;
  for (int i = 0; i < KEYS; i++) {
    put_bytes(writer, vdb_integer(i), &i, sizeof i);
    if (!holds_bytes(reader, vdb_integer(i), &i, sizeof i)) wrong++;
  }
  ok(wrong == 0, "another handle reads each key right after its put (%d failures)", wrong);
  close_store(writer);
  close_store(reader);
}

static void test_opening_what_is_no_store(void) {
  const char *path = new_path();
  vdb_store *store = (vdb_store *)path;
  vdb_options readonly = {.readonly = true};
  ok(vdb_open(path, &readonly, &store, &last_error) == VDB_IO && store == NULL,
     "read-only opening does not make a folder");
  run("mkdir '%s'", path);
  run("echo text > '%s'", file_path(path, "../file"));
  ok(vdb_open(file_path(path, "../file"), NULL, &store, &last_error) == VDB_UNSUPPORTED,
     "a file is no store");
  ok(vdb_open(file_path(path, "no/such/folder"), NULL, &store, &last_error) == VDB_IO,
     "parents are not made");
  vdb_options wrong = {.sync = VDB_SYNC_INTERVAL};
  ok(vdb_open(path, &wrong, &store, NULL) == VDB_RANGE, "syncing every 0 seconds is refused");
  wrong.sync_seconds = NAN;
  ok(vdb_open(path, &wrong, &store, NULL) == VDB_RANGE, "so is syncing every NaN seconds");
  wrong = (vdb_options){.wait_seconds = -1};
  ok(vdb_open(path, &wrong, &store, NULL) == VDB_RANGE && store == NULL, "and waiting a negative time");
  run("echo text > '%s/letter.txt'", path);
  ok(vdb_open(path, NULL, &store, &last_error) == VDB_UNSUPPORTED && !has_file(path, "db.klog"),
     "a folder with other files is left alone");
}

static void test_files_that_are_no_files(void) {
  static const char *const names[] = {"db.klog", "db.vlog", "db.ctl", "db.index", ".OPEN"};
  static const char *const makers[] = {"mkdir '%s'", "mkfifo '%s'", "ln -s /dev/null '%s'"};
  static const char *const kinds[] = {"a folder", "a FIFO", "a symbolic link"};
  for (size_t name = 0; name < sizeof names / sizeof *names; name++) {
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
      const char *path = new_path();
      vdb_store *store = open_store(path);
      put_text(store, "a", "1");
      close_store(store);
      run("rm -f '%s'", file_path(path, names[name]));
      run(makers[kind], file_path(path, names[name]));
      vdb_status status = vdb_open(path, NULL, &store, &last_error);
      ok(status == VDB_UNSUPPORTED && store == NULL, "%s for %s is refused: %s", kinds[kind], names[name],
         status == VDB_OK ? "" : last_error.message);
      vdb_close(store, NULL);
    }
  }
}

/* The user is asked for through the table, so that the test needs no second one. */
static uid_t somebody_else(void) {
  return geteuid() + 1;
}

static int stat_of_another_folder(int file, struct stat *status) {
  int result = fstat(file, status);
  if (S_ISDIR(status->st_mode)) status->st_uid += 2;
  return result;
}

static void test_files_of_others(void) {
  static const char *const names[] = {"db.klog", "db.vlog", "db.ctl", "db.index"};
  os_table real = os;
  for (size_t name = 0; name < sizeof names / sizeof *names; name++) {
    const char *path = new_path();
    vdb_store *store = open_store(path);
    put_text(store, "a", "1");
    close_store(store);
    chmod(file_path(path, names[name]), 0666);
    vdb_status status = vdb_open(path, NULL, &store, &last_error);
    ok(status == VDB_UNSUPPORTED && store == NULL, "%s that everybody may write to is refused: %s",
       names[name], status == VDB_OK ? "" : last_error.message);
    vdb_close(store, NULL);
    chmod(file_path(path, names[name]), 0600);
    os.user = somebody_else;
    store = open_store(path);
    ok(store != NULL && holds(store, "a", "1"), "another user opens what belongs to the owner of the folder");
    close_store(store);
    os.status = stat_of_another_folder;
    status = vdb_open(path, NULL, &store, &last_error);
    ok(status == VDB_UNSUPPORTED && store == NULL, "but not what belongs to neither of them");
    vdb_close(store, NULL);
    os = real;
  }
}

static void test_walk_and_close(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path);
  put_text(store, "a", "1");
  put_text(store, "b", "2");
  vdb_walk *walk, *late;
  vdb_key key;
  vdb_value value;
  vdb_walk_begin(store, &walk, NULL);
  vdb_walk_begin(store, &late, NULL);
  ok(vdb_walk_next(walk, &key, &value, NULL) == VDB_OK, "a walk makes a step");
  vdb_walk_end(late);
  ok(close_store(store), "the store closes during a walk");
  ok(vdb_walk_next(walk, &key, &value, &last_error) == VDB_CLOSED, "the next step says that it is closed");
  ok(vdb_walk_next(walk, &key, &value, &last_error) == VDB_CLOSED, "and so does the one behind it");
  vdb_walk_end(walk);
  vdb_walk_end(NULL);
  store = open_store(path);
  ok(holds(store, "a", "1") && holds(store, "b", "2"), "and the store is whole");
  close_store(store);
}

static void test_status_names(void) {
  ok(strcmp(vdb_status_name(VDB_OK), "OK") == 0 && strcmp(vdb_status_name(VDB_NO_MEMORY), "NO_MEMORY") == 0,
     "statuses have names");
  ok(vdb_status_name((vdb_status)99) != NULL, "even one that does not exist");
}

static void test_statistics(void) {
  const char *path = new_path();
  vdb_store *store = open_store(path);
  vdb_stats stats;
  put_text(store, "a", "12345");
  put_text(store, "a", "123");
  put_text(store, "b", "1");
  delete_text(store, "b");
  ok(vdb_stat(store, &stats, NULL) == VDB_OK && stats.keys == 1, "one key has a value");
  ok(stats.value_log_bytes == 9 && stats.value_log_live == 3, "3 of 9 bytes of values are live");
  ok(stats.key_log_live > 0 && stats.key_log_live < stats.key_log_bytes, "a part of the key log is live");
  ok(stats.index_slots == 2 && stats.generation > 0 && stats.last_reclaim == 0,
     "a deleted key keeps its slot");
  vdb_stats before = stats;
  ok(reclaim(store) && vdb_stat(store, &stats, NULL) == VDB_OK, "after a reclaim");
  ok(stats.keys == 1 && stats.value_log_bytes == 3 && stats.key_log_bytes == stats.key_log_live,
     "all bytes are live ones");
  ok(stats.index_slots == 1 && stats.generation == before.generation + 1 && stats.last_reclaim > 0,
     "the generation has been counted");
  close_store(store);
}

int main(void) {
  test_first_steps();
  test_keys_of_each_type();
  test_keys_that_are_one_key();
  test_keys_that_are_refused();
  test_values_of_all_sizes();
  test_encodings();
  test_expiration();
  test_many_keys_with_one_handle();
  test_reader_behind_a_growing_log();
  test_opening_what_is_no_store();
  test_files_that_are_no_files();
  test_files_of_others();
  test_walk_and_close();
  test_statistics();
  test_status_names();
  return done_testing();
}
