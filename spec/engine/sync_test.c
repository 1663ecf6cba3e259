/*
** sync_test.c - when the disk is told to keep what was written, in which order, and what a failure means.
*/
#include "fixture.h"

static os_table real;
static char order[256]; /* v, k, i, c for the value log, key log, index and control page */
static const char *path;
static bool disk_fails;

static char letter_of(int file) {
  static const char *const names[] = {"db.vlog", "db.klog", "db.index", "db.ctl"};
  struct stat mine, other;
  if (fstat(file, &mine) != 0) return '?';
  for (int i = 0; i < 4; i++)
    if (stat(file_path(path, names[i]), &other) == 0 && other.st_ino == mine.st_ino) return "vkic"[i];
  return '?';
}

static int noted_sync(int file) {
  size_t used = strlen(order);
  if (used + 1 < sizeof order) {
    order[used] = letter_of(file);
    order[used + 1] = '\0';
  }
  if (!disk_fails) return 0;
  errno = EIO;
  return -1;
}

static void start_noting(void) {
  order[0] = '\0';
}

static void test_modes(void) {
  path = new_path();
  vdb_store *lazy = open_store(path), *strict = open_with(path, (vdb_options){.sync = VDB_SYNC_ALWAYS});
  vdb_stats stats;
  start_noting();
  put_text(lazy, "a", "1");
  delete_text(lazy, "a");
  ok(order[0] == '\0', "without being asked for nothing is synced");
  ok(vdb_sync(lazy, NULL) == VDB_OK && strcmp(order, "vk") == 0,
     "a sync is one of the values, then one of the keys");
  ok(vdb_stat(lazy, &stats, NULL) == VDB_OK && stats.synced_key_log == stats.key_log_bytes &&
         stats.last_sync > 0,
     "how far it got is known");
  start_noting();
  ok(vdb_sync(lazy, NULL) == VDB_OK && vdb_sync(strict, NULL) == VDB_OK && order[0] == '\0',
     "when nothing was written since, nothing is synced, by other handles either");
  put_text(strict, "b", "2");
  ok(strcmp(order, "vk") == 0, "with `always` each put is synced");
  start_noting();
  delete_text(strict, "nothing");
  ok(order[0] == '\0', "but a delete of nothing is not");
  delete_text(strict, "b");
  ok(strcmp(order, "vk") == 0, "a delete is");
  start_noting();
  put_text(lazy, "c", "3");
  put_text(strict, "d", "4");
  ok(strcmp(order, "vk") == 0 && vdb_sync(lazy, NULL) == VDB_OK && strcmp(order, "vk") == 0,
     "one sync serves everything that was written before it");
  start_noting();
  vdb_key key = text_key("d");
  vdb_change change = {.key = text_key("e"), .value = NULL};
  vdb_value value = {.encoding = VDB_JSON, .bytes = "1", .size = 1};
  ok(vdb_expire(strict, &key, VDB_NEVER, NULL) == VDB_OK && strcmp(order, "vk") == 0,
     "an expiration is synced");
  change.value = &value;
  start_noting();
  ok(vdb_commit(strict, NULL, NULL, 0, &change, 1, NULL) == VDB_OK && strcmp(order, "vk") == 0,
     "a batch is synced once");
  close_store(strict);
  start_noting();
  close_store(lazy);
  size_t length = strlen(order);
  ok(length > 0 && order[length - 1] == 'c' && strchr(order, 'v') != NULL && strchr(order, 'k') != NULL,
     "the last close syncs, and says so last of all (%s)", order);
}

static void test_interval(void) {
  path = new_path();
  vdb_store *store = open_with(path, (vdb_options){.sync = VDB_SYNC_INTERVAL, .sync_seconds = 0.01});
  vdb_stats stats = {0};
  put_text(store, "a", "1");
  for (int i = 0; i < 1000 && stats.synced_key_log == 0; i++) {
    usleep(10000);
    vdb_stat(store, &stats, NULL);
  }
  ok(stats.synced_key_log == stats.key_log_bytes, "with an interval what was written gets synced by itself");
  ok(close_store(store) && !has_file(path, ".OPEN"), "and the store closes");
}

static int put_in_child(void *context) {
  vdb_store *store = open_store(path);
  return (int)put_text(store, context, "child");
}

static void test_failed_sync(void) {
  path = new_path();
  vdb_store *store = open_with(path, (vdb_options){.sync = VDB_SYNC_ALWAYS}), *other = open_store(path);
  ok(put_text(store, "a", "1") == VDB_OK, "a put is synced");
  disk_fails = true;
  start_noting();
  ok(put_text(store, "b", "2") == VDB_IO, "a put whose sync fails says so");
  disk_fails = false;
  size_t tries = strlen(order);
  ok(put_text(store, "c", "3") == VDB_READONLY && delete_text(store, "a") == VDB_READONLY,
     "then the store is read-only");
  ok(put_text(other, "c", "3") == VDB_READONLY, "for other handles, too");
  ok(in_child(put_in_child, "c") == VDB_READONLY, "and for other processes, which can open it");
  ok(vdb_sync(store, NULL) == VDB_READONLY && vdb_sync(other, NULL) == VDB_READONLY && strlen(order) == tries,
     "no sync is tried a second time");
  ok(vdb_reclaim(other, NULL, NULL, NULL) == VDB_READONLY, "nor is it reclaimed");
  ok(holds(store, "a", "1") && holds(other, "a", "1") && lacks(other, "c") && walked(other) >= 1,
     "it can be read");
  ok(vdb_close(other, NULL) == VDB_OK && vdb_close(store, NULL) != VDB_OK,
     "the last close tells of it again");
  ok(has_file(path, ".OPEN"), "and leaves it to the next opener to look");
  store = open_store(path);
  ok(store != NULL && holds(store, "a", "1") && put_text(store, "c", "3") == VDB_OK,
     "which makes it writable again");
  ok(close_store(store) && !has_file(path, ".OPEN"), "and it closes as always");
}

static void test_first_write(void) {
  path = new_path();
  close_store(open_store(path));
  start_noting();
  vdb_store *store = open_store(path);
  vdb_store *other = open_store(path);
  ok(lacks(store, "a") && order[0] == '\0', "opening a closed store and reading need no sync (%s)", order);
  ok(close_store(store) && close_store(other) && order[0] == '\0' && !has_file(path, ".OPEN"),
     "nor does closing when nobody has written (%s)", order);
  store = open_store(path);
  ok(put_text(store, "a", "1") == VDB_OK && strcmp(order, "c") == 0,
     "before the first write the disk is told that the store is open (%s)", order);
  ok(put_text(store, "b", "2") == VDB_OK && strcmp(order, "c") == 0, "and once is enough (%s)", order);
  close_store(store);
  store = open_store(path);
  disk_fails = true;
  ok(put_text(store, "c", "3") == VDB_IO, "when the disk can't be told, nothing is written");
  ok(put_text(store, "c", "3") == VDB_READONLY && holds(store, "b", "2"), "nor later, but reading goes on");
  disk_fails = false;
  vdb_close(store, NULL);
  store = open_store(path);
  ok(lacks(store, "c") && put_text(store, "c", "3") == VDB_OK, "until the store is opened again");
  close_store(store);
}

static void test_failed_close(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  put_text(store, "a", "1");
  disk_fails = true;
  ok(vdb_close(store, NULL) == VDB_IO, "a last close whose sync fails says so");
  disk_fails = false;
  start_noting();
  store = open_store(path);
  ok(strcmp(order, "vkc") == 0 && holds(store, "a", "1"),
     "the next opener writes the logs again and syncs them (%s)", order);
  ok(put_text(store, "b", "2") == VDB_OK && close_store(store), "and the store is as before");
}

/* s: db.swap comes to be; r: a file is exchanged; f: the folder is synced; x: db.swap is removed. */
static void note(char letter) {
  size_t used = strlen(order);
  if (used + 1 == sizeof order) return;
  order[used] = letter;
  order[used + 1] = '\0';
}

static int noted_rename(int folder, const char *from, const char *to) {
  note(strcmp(to, "db.swap") == 0 ? 's' : 'r');
  return real.rename(folder, from, to);
}

static int noted_sync_folder(int folder) {
  (void)folder;
  note('f');
  return 0;
}

static int noted_remove(int folder, const char *name) {
  if (strcmp(name, "db.swap") == 0) note('x');
  return real.remove(folder, name);
}

static void test_exchange(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  put_text(store, "a", "1");
  os.rename = noted_rename;
  os.sync_folder = noted_sync_folder;
  os.remove = noted_remove;
  start_noting();
  reclaim(store);
  const char *swap = strchr(order, 's');
  ok(swap != NULL && strncmp(swap, "sfrrrfcxf", 9) == 0,
     "a reclaim's commit point is on the disk before a file is exchanged, and the exchange before it is gone "
     "(%s)",
     order);
  os.rename = real.rename;
  os.sync_folder = real.sync_folder;
  os.remove = real.remove;
  close_store(store);
}

static ino_t synced_folders[8];
static int folder_count_synced;

static int keep_folder(int folder) {
  struct stat status;
  if (fstat(folder, &status) == 0 && folder_count_synced < 8)
    synced_folders[folder_count_synced++] = status.st_ino;
  return 0;
}

static bool folder_was_synced(const char *name) {
  struct stat status;
  if (stat(name, &status) != 0) return false;
  for (int i = 0; i < folder_count_synced; i++)
    if (synced_folders[i] == status.st_ino) return true;
  return false;
}

static void test_new_folder(void) {
  path = new_path();
  char around[700];
  snprintf(around, sizeof around, "%s/..", path);
  os.sync_folder = keep_folder;
  vdb_store *store = open_store(path);
  ok(folder_was_synced(path) && folder_was_synced(around),
     "a new store's folder, and the one around it, are synced");
  close_store(store);
  folder_count_synced = 0;
  store = open_store(path);
  ok(folder_count_synced == 0, "one that is there is not");
  os.sync_folder = real.sync_folder;
  close_store(store);
}

int main(void) {
  real = os;
  os.sync = noted_sync;
  test_modes();
  test_failed_sync();
  test_first_write();
  test_failed_close();
  test_exchange();
  test_new_folder();
  os.sync = real.sync;
  test_interval();
  return done_testing();
}
