/*
** background_test.c - what the engine has a thread do, so that no call waits for the disk.
**
** A disk that doesn't answer is one whose fdatasync, called by any other thread than the test's, waits for the test.
*/
#include <stdatomic.h>

#include "fixture.h"

#define KEYS 200

static os_table real;
static pthread_t test_thread;
static _Atomic bool disk_answers;
static _Atomic int waiting;

static int sync_when_told(int file) {
  if (pthread_equal(pthread_self(), test_thread)) return real.sync(file);
  atomic_fetch_add(&waiting, 1);
  while (!atomic_load(&disk_answers)) real.sleep(1000 * 1000);
  return real.sync(file);
}

static int sync_fails(int file) {
  if (pthread_equal(pthread_self(), test_thread)) return real.sync(file);
  errno = EIO;
  return -1;
}

static vdb_status slice(vdb_store *store, bool *more) {
  vdb_reclaim_options options = {.budget_seconds = 0.01};
  return vdb_reclaim(store, &options, more, &last_error);
}

static vdb_store *filled(const char *path) {
  vdb_store *store = open_store(path);
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < KEYS; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  return store;
}

static bool has_all(vdb_store *store) {
  for (int i = 0; i < KEYS; i++)
    if (!holds_bytes(store, vdb_integer(i), &i, sizeof i)) return false;
  return true;
}

static uint64_t generation_of(vdb_store *store) {
  vdb_stats stats;
  return vdb_stat(store, &stats, &last_error) == VDB_OK ? stats.generation : 0;
}

static int use_in_child(void *context) {
  vdb_store *store = context;
  bool right = has_all(store) && put_text(store, "child", "1") == VDB_OK;
  return right && close_store(store) ? 0 : 1;
}

static void test_slices_do_not_wait(void) {
  vdb_store *store = filled(new_path());
  bool more = true;
  atomic_store(&disk_answers, false);
  os.sync = sync_when_told;
  for (int i = 0; i < 10000 && atomic_load(&waiting) == 0; i++) {
    slice(store, &more);
    real.sleep(1000 * 1000);
  }
  ok(atomic_load(&waiting) == 1 && more, "while the disk doesn't answer there is more to do");
  ok(slice(store, &more) == VDB_OK && more, "a slice of a reclaim returns all the same");
  ok(put_text(store, "a", "1") == VDB_OK && holds(store, "a", "1") && has_all(store), "and so do others");
  ok(in_child(use_in_child, store) == 0, "a child of fork has no thread to wait for");
  uint64_t before = generation_of(store);
  atomic_store(&disk_answers, true);
  vdb_status status = VDB_OK;
  while (status == VDB_OK && more) status = slice(store, &more);
  ok(status == VDB_OK && generation_of(store) > before,
     "when the disk has answered the reclaim goes on to its end");
  ok(has_all(store) && holds(store, "a", "1") && holds(store, "child", "1"),
     "with all that was written meanwhile");
  os.sync = real.sync;
  close_store(store);
}

static void test_failed_sync(void) {
  const char *path = new_path();
  vdb_store *store = filled(path);
  bool more = true;
  uint64_t before = generation_of(store);
  os.sync = sync_fails;
  vdb_status status = VDB_OK;
  while (status == VDB_OK && more) status = slice(store, &more);
  os.sync = real.sync;
  ok(status == VDB_IO && generation_of(store) == before,
     "when the new files can't be synced the reclaim fails");
  ok(has_all(store) && !has_file(path, "db.klog.new"), "and the store is as it was");
  ok(reclaim(store) && has_all(store), "another reclaim makes new ones");
  close_store(store);
}

static int no_thread(pthread_t *thread, void *(*work)(void *context), void *context) {
  (void)thread;
  (void)work;
  (void)context;
  return EAGAIN;
}

static void test_no_thread(void) {
  vdb_store *store = filled(new_path());
  bool more = true;
  vdb_status status = VDB_OK;
  uint64_t before = generation_of(store);
  os.thread = no_thread;
  while (status == VDB_OK && more) status = slice(store, &more);
  os.thread = real.thread;
  ok(status == VDB_OK && generation_of(store) > before, "without a thread a slice waits for the disk itself");
  close_store(store);
}

static void test_large_files(void) {
  const char *path = new_path();
  static char megabyte[1 << 20];
  vdb_store *store = open_store(path);
  for (int i = 0; i < 20; i++) put_bytes(store, vdb_integer(i % 2), megabyte, sizeof megabyte);
  ok(reclaim(store) && reclaim(store), "large files are exchanged twice");
  ok(holds_bytes(store, vdb_integer(0), megabyte, sizeof megabyte), "what is alive is there");
  ok(close_store(store) && file_size(path, "db.vlog") == 2 * (int64_t)sizeof megabyte, "and nothing else");
}

int main(void) {
  real = os;
  test_thread = pthread_self();
  test_slices_do_not_wait();
  test_failed_sync();
  test_no_thread();
  test_large_files();
  return done_testing();
}
