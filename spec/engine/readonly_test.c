/*
** readonly_test.c - read-only handles: on a clean folder, on an unclean one, beside writers. They never
** write.
*/
#include "fixture.h"

static int writes;

static int refused(void) {
  writes++;
  errno = EROFS;
  return -1;
}

static os_table real;

static int guarded_open(int folder, const char *name, int flags, mode_t mode) {
  return (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY ? refused()
                                                               : real.open(folder, name, flags, mode);
}

/* Files in memory are this process's own. */
static int memory_files[16], memory_count;

static int noted_memory_file(const char *name) {
  int file = real.memory_file(name);
  if (memory_count < 16) memory_files[memory_count++] = file;
  return file;
}

static bool in_memory(int file) {
  for (int i = 0; i < memory_count; i++)
    if (memory_files[i] == file) return true;
  return false;
}

static int guarded_make_folder(const char *path, mode_t mode) {
  (void)path;
  (void)mode;
  return refused();
}

static ssize_t guarded_write(int file, const void *bytes, size_t size, off_t offset) {
  return in_memory(file) ? real.write(file, bytes, size, offset) : refused();
}

static int guarded_cut(int file, off_t size) {
  return in_memory(file) ? real.cut(file, size) : refused();
}

static int guarded_sync(int file) {
  (void)file;
  return refused();
}

static void *guarded_map(int file, size_t size, off_t offset, os_map_kind kind) {
  if (kind == OS_MAP_READ || in_memory(file)) return real.map(file, size, offset, kind);
  (void)refused();
  return MAP_FAILED;
}

static int guarded_rename(int folder, const char *from, const char *to) {
  (void)folder;
  (void)from;
  (void)to;
  return refused();
}

static int guarded_remove(int folder, const char *name) {
  (void)folder;
  (void)name;
  return refused();
}

static void refuse_writes(void) {
  writes = memory_count = 0;
  os.open = guarded_open;
  os.make_folder = guarded_make_folder;
  os.write = guarded_write;
  os.cut = guarded_cut;
  os.sync = os.sync_folder = guarded_sync;
  os.map = guarded_map;
  os.rename = guarded_rename;
  os.remove = guarded_remove;
  os.memory_file = noted_memory_file;
}

static void allow_writes(void) {
  os = real;
}

static const char *path;
static const vdb_options readonly = {.readonly = true};
enum { KEYS = 500 };

static vdb_store *fill(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  for (int i = 0; i < KEYS; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  put_text(store, "a", "1");
  put_text(store, "gone", "2");
  delete_text(store, "gone");
  return store;
}

static bool has_all(vdb_store *store) {
  for (int i = 0; i < KEYS; i++)
    if (!holds_bytes(store, vdb_integer(i), &i, sizeof i)) return false;
  return holds(store, "a", "1") && lacks(store, "gone") && count_of(store) == KEYS + 1 &&
         walked(store) == KEYS + 1;
}

static void use_readonly(const char *what) {
  refuse_writes();
  vdb_store *store = open_with(path, readonly);
  ok(store != NULL && has_all(store), "a read-only handle reads %s", what);
  vdb_key key = text_key("a");
  vdb_stats stats;
  uint64_t problems = 1;
  ok(store != NULL && vdb_stat(store, &stats, NULL) == VDB_OK && stats.keys == KEYS + 1,
     "its counts can be had");
  ok(put_text(store, "b", "2") == VDB_READONLY && delete_text(store, "a") == VDB_READONLY &&
         vdb_expire(store, &key, 1, NULL) == VDB_READONLY && vdb_sync(store, NULL) == VDB_READONLY &&
         vdb_reclaim(store, NULL, NULL, NULL) == VDB_READONLY,
     "its writes, syncs and reclaims are refused");
  ok(vdb_commit(store, NULL, NULL, 0, NULL, 0, NULL) == VDB_READONLY, "an empty batch, too");
  ok(vdb_check(store, NULL, NULL, &problems, &last_error) == VDB_OK && problems == 0, "it can be checked");
  ok(close_store(store) && writes == 0, "nothing was written, nor tried to, by %s (%d)", what, writes);
  allow_writes();
}

static int put_and_die(void *context) {
  vdb_store *store = open_store(path);
  if (put_text(store, "a", context) != VDB_OK) return 1;
  raise(SIGKILL);
  return 0;
}

static void test_unclean_folders(void) {
  close_store(fill());
  in_child(put_and_die, "1");
  use_readonly("a folder whose writer was killed");
  remove_file(path, "db.index");
  use_readonly("such a folder without an index");
  remove_file(path, "db.ctl");
  use_readonly("such a folder without a control page");
  ok(has_file(path, ".OPEN") && !has_file(path, "db.ctl") && !has_file(path, "db.index"),
     "it stays as it was");
  vdb_store *store = open_store(path);
  ok(store != NULL && has_all(store), "and can be opened for writing");
  close_store(store);
}

static void test_beside_writers(void) {
  vdb_store *writer = fill(), *reader = open_with(path, readonly);
  ok(reader != NULL && has_all(reader), "a read-only handle opens beside a writer");
  put_text(writer, "later", "seen");
  ok(holds(reader, "later", "seen"), "and sees what is written");
  ok(reclaim(writer) && holds(reader, "later", "seen") && walked(reader) == KEYS + 2,
     "also behind a reclaim");
  put_text(writer, "behind", "it");
  ok(holds(reader, "behind", "it"), "and what is written then");
  close_store(writer);
  ok(holds(reader, "behind", "it") && walked(reader) == KEYS + 3 && !has_file(path, ".OPEN"),
     "it reads on when the last writer has closed the store");
  writer = open_store(path);
  put_text(writer, "anew", "1");
  ok(holds(reader, "anew", "1"), "and follows the next one");
  close_store(writer);
  remove_file(path, "db.index");
  writer = open_store(path);
  put_text(writer, "anew", "2");
  ok(holds(reader, "anew", "2") && walked(reader) == KEYS + 4,
     "also when that one had to make the index anew");
  close_store(reader);
  close_store(writer);
}

static void test_nothing_there(void) {
  path = new_path();
  vdb_store *store;
  mkdir(path, 0700);
  refuse_writes();
  vdb_status status = vdb_open(path, &readonly, &store, &last_error);
  ok(status != VDB_OK && status != VDB_CORRUPT && store == NULL && writes == 0,
     "an empty folder is no store to be read: %s %s", vdb_status_name(status), last_error.message);
  allow_writes();
}

int main(void) {
  real = os;
  test_unclean_folders();
  test_beside_writers();
  test_nothing_there();
  close_store(fill());
  use_readonly("a folder that was closed");
  ok(!has_file(path, ".OPEN"), "it stays closed");
  return done_testing();
}
