/*
** full_test.c - a disk that is really full: a limit for the size of files, and a file system with little
** room.
**
** The kernel's answers to such a write are ENOSPC and EFBIG, and, to who is careless, the signals SIGBUS
** and SIGXFSZ. A store gets no signal: a put says VDB_FULL and leaves nothing half visible; reads and
** deletes go on; reclaim works, or says VDB_FULL and leaves the store as it was. When there is room again,
** so do puts.
**
** Where mounting is refused the second half makes no claim.
*/
#define _GNU_SOURCE

#include "fixture.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define LIMIT ((rlim_t)1024 * 1024)
#define MOST 100000

static size_t value_size;

static size_t make_value(char *bytes, int key) {
  memset(bytes, 'a' + key % 26, value_size);
  memcpy(bytes, &key, sizeof key);
  return value_size;
}

static vdb_status put_numbered(vdb_store *store, int key) {
  static char bytes[65536];
  return put_bytes(store, vdb_integer(key), bytes, make_value(bytes, key));
}

/* How many of the keys below `end` are there with their values; -1 when one is wrong. */
static int found_below(vdb_store *store, int end) {
  static char bytes[65536];
  int found = 0;
  for (int key = 0; key < end; key++) {
    if (holds_bytes(store, vdb_integer(key), bytes, make_value(bytes, key))) found++;
    else if (!lacks_key(store, vdb_integer(key))) return -1;
  }
  return found;
}

static bool is_whole(vdb_store *store, int keys, int end) {
  uint64_t problems = 1;
  bool good = count_of(store) == (uint64_t)keys && walked(store) == keys && found_below(store, end) == keys;
  return good && vdb_check(store, NULL, NULL, &problems, &last_error) == VDB_OK && problems == 0;
}

/* Puts until the disk is full; how many there were, -1 when something else happened. */
static int put_until_full(vdb_store *store, int from) {
  for (int key = from; key < MOST; key++) {
    vdb_status status = put_numbered(store, key);
    if (status == VDB_FULL) return key;
    if (status != VDB_OK) break;
  }
  printf("# %s\n", last_error.message);
  return -1;
}

static int delete_below(vdb_store *store, int end) {
  int deleted = 0;
  for (int key = 0; key < end; key++) {
    vdb_key name = vdb_integer(key);
    deleted += vdb_delete(store, &name, &last_error) == VDB_OK;
  }
  return deleted;
}

static bool commit_is_refused(vdb_store *store, int key) {
  static char bytes[60000];
  const vdb_value value = {.encoding = VDB_BYTES, .bytes = bytes, .size = sizeof bytes};
  vdb_change changes[30];
  for (int i = 0; i < 30; i++) changes[i] = (vdb_change){.key = vdb_integer(key + i), .value = &value};
  return vdb_commit(store, NULL, NULL, 0, changes, 30, &last_error) == VDB_FULL;
}

static void test_full(vdb_store *store, const char *kind, int *keys, int *end) {
  *end = *keys = put_until_full(store, 0);
  ok(*end > 10, "%s: %d values of %d bytes fit, then a put says that it is full", kind, *end,
     (int)value_size);
  ok(is_whole(store, *keys, *end + 10), "all of them are there, and nothing else");
  ok(commit_is_refused(store, *end), "a batch says so, too");
  ok(is_whole(store, *keys, *end + 40), "and nothing of it is there");
  int deleted = delete_below(store, 5);
  *keys -= deleted;
  ok(deleted == 5 && is_whole(store, *keys, *end), "keys can be deleted");
  vdb_status status = vdb_reclaim(store, NULL, NULL, &last_error);
  ok(status == VDB_OK || status == VDB_FULL, "a reclaim works or says that there is no room: %s",
     vdb_status_name(status));
  ok(is_whole(store, *keys, *end), "and leaves what there was");
}

static void test_room(vdb_store *store, const char *path, int keys, int end) {
  ok(put_numbered(store, 0) == VDB_OK && put_numbered(store, end) == VDB_OK, "when there is room puts go on");
  ok(is_whole(store, keys + 2, end + 1), "and the store is whole");
  ok(reclaim(store) && is_whole(store, keys + 2, end + 1), "a reclaim works");
  ok(close_store(store) && !has_file(path, ".OPEN"), "it closes");
  store = open_store(path);
  ok(store != NULL && is_whole(store, keys + 2, end + 1), "and opens again");
  close_store(store);
}

/* A limit for the size of files ------------------------------------------------------------------------- */

static void limit_size(rlim_t bytes) {
  struct rlimit limit;
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) printf("# no limit was set\n");
}

/* The child's lines are counted here: what it claims comes back as its exit code. */
static int live_with_limit(void *context) {
  const char *path = context;
  int keys, end, before = tap_failures;
  limit_size(LIMIT);
  vdb_store *store = open_store(path);
  if (store == NULL) return 1;
  test_full(store, "a limit for the size of files", &keys, &end);
  limit_size(RLIM_INFINITY);
  test_room(store, path, keys, end);
  return tap_failures > before;
}

static void test_limit(size_t size) {
  enum { CLAIMS = 12 };
  value_size = size;
  int result = in_child(live_with_limit, (void *)(uintptr_t)new_path());
  tap_count += CLAIMS; /* the child's */
  ok(result == 0, "with values of %d bytes no signal came and all of that was so (%d)", (int)size, result);
}

/* A small file system ----------------------------------------------------------------------------------- */

/* In name spaces of its own a process may mount where root of the whole system is not to be had. */
static bool mount_small(const char *folder) {
  if (mkdir(folder, 0700) != 0) return false;
  if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  (void)mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
  return mount("none", folder, "tmpfs", 0, "size=1m,mode=700") == 0;
}

static bool enlarge(const char *folder) {
  return mount("none", folder, "tmpfs", MS_REMOUNT, "size=16m,mode=700") == 0;
}

static void test_small_disk(size_t size) {
  char folder[160], path[200];
  snprintf(folder, sizeof folder, "%s", new_path());
  if (!mount_small(folder)) {
    printf("# mounting a small file system is refused here (%s): nothing is claimed of it\n",
           strerror(errno));
    return;
  }
  snprintf(path, sizeof path, "%s/store", folder);
  int keys, end;
  value_size = size;
  vdb_store *store = open_store(path);
  if (ok(store != NULL, "a store is opened on a small disk")) {
    test_full(store, "a small disk", &keys, &end);
    ok(enlarge(folder), "the disk gets more room");
    test_room(store, path, keys, end);
  }
  remove_store(path);
  (void)umount2(folder, MNT_DETACH);
  (void)rmdir(folder);
}

int main(void) {
  test_limit(10);
  test_limit(900);
  test_limit(40000);
  test_small_disk(10);
  test_small_disk(900);
  return done_testing();
}
