/*
** growth_steps_test.c - logs are made longer ahead of their writers, by a thread; what when that fails.
**
** But where it matters that there are two threads, the work is done at once, by the thread that asked for it.
*/
#include <stdatomic.h>

#include "growing.h"

static int writes_inside, writes_outside;

static verdict count_writes(const char *name) {
  if (strcmp(name, "write") == 0) ++*(inside ? &writes_inside : &writes_outside);
  return GO;
}

static void count_from_here(void) {
  works = writes_inside = writes_outside = 0;
  before_call = count_writes;
}

/* Ahead of small values --------------------------------------------------------------------------------- */

static void test_puts_do_not_write(void) {
  vdb_store *store = start_store();
  count_from_here();
  bool ahead = false;
  while (end_of(KEY_LOG_NAME) < LONG - 2 * KEY_SIZE) put_next(store, newest[0] % KEYS == 0 ? 0 : 1);
  ahead = works > 0;
  ok(!ahead && end_of(VALUE_LOG_NAME) < LONG, "while logs are short no thread makes them longer");
  make_long(store, VERY_LONG);
  count_from_here();
  int64_t most = 0;
  for (int i = 0; i < 1000; i++) {
    put_next(store, i % KEYS);
    if (room_of(KEY_LOG_NAME) > (int64_t)(end_of(KEY_LOG_NAME) / 16 + LOG_EXTENT))
      most = room_of(KEY_LOG_NAME);
    if (room_of(VALUE_LOG_NAME) > (int64_t)(end_of(VALUE_LOG_NAME) / 16 + LOG_EXTENT))
      most = room_of(VALUE_LOG_NAME);
  }
  ok(writes_outside == 0, "when they are long, a put of a small value makes no file longer itself");
  ok(writes_inside > 0 && works < 100, "a thread does, now and then");
  ok(most == 0, "and leaves no more room than a sixteenth of the log");
  before_call = NULL;
  ok(ends_well(store), "all is there, and behind it nothing but filler, which goes with the close");
}

static void test_most_room(void) {
  static char megabyte[1 << 20];
  const int64_t most = GROWTH_MOST;
  vdb_store *store = start_store();
  for (int i = 0; i < 3; i++) put_bytes(store, vdb_integer(1), megabyte, sizeof megabyte);
  put_many(store, KEYS);
  int64_t room = room_of(VALUE_LOG_NAME);
  ok(room > most / 2 && room <= most + (int64_t)LOG_EXTENT, "of a large log there is so much room at most");
  ok(ends_well(store), "and all is there");
}

static void test_big_values(void) {
  static char big[LOG_BIG_WRITE + 1000];
  vdb_store *store = start_store();
  count_from_here();
  for (int i = 0; i < 30; i++) put_bytes(store, vdb_integer(i), big, sizeof big);
  ok(end_of(VALUE_LOG_NAME) > 4 * LONG && works == 0 && room_of(VALUE_LOG_NAME) == 0,
     "big values make their own room, and nobody makes any ahead of them");
  put_many(store, KEYS);
  ok(works > 0 && room_of(VALUE_LOG_NAME) > 0, "when small ones come behind them, somebody does");
  before_call = NULL;
  ok(ends_well(store), "and all is there");
}

/* A batch, a deletion and another expiration are writes as well. */
static void test_other_writes(void) {
  vdb_store *store = start_store();
  vdb_value value = {.encoding = VDB_BYTES, .bytes = "1234", .size = 4};
  vdb_change changes[2] = {{.key = key_of(0), .value = &value}, {.key = key_of(1), .value = &value}};
  make_long(store, VERY_LONG);
  count_from_here();
  bool done = true;
  for (int i = 0; i < 100 && done; i++) {
    done = vdb_commit(store, NULL, NULL, 0, changes, 2, &last_error) == VDB_OK;
    done = done && vdb_expire(store, &changes[0].key, VDB_NEVER, &last_error) == VDB_OK;
    done = done && vdb_delete(store, &changes[1].key, &last_error) == VDB_OK;
  }
  before_call = NULL;
  ok(done && works > 0 && writes_outside == 0,
     "batches, deletions and expirations have their room made for them, too");
  put_many(store, KEYS);
  ok(ends_well(store), "and all is there");
}

/* Nobody can make room ---------------------------------------------------------------------------------- */

static verdict full_inside(const char *name) {
  errno = ENOSPC;
  return inside && strcmp(name, "write") == 0 ? FAIL : GO;
}

static int no_thread(pthread_t *thread, void *(*work)(void *context), void *context) {
  (void)thread;
  (void)work;
  (void)context;
  works++;
  return EAGAIN;
}

/* Short lines and longer values: it is the value log that needs room, and the key log that tells how time goes by. */
static int puts_of_values(vdb_store *store) {
  char bytes[1000] = {0};
  int done = 0;
  for (int i = 0; i < 1000; i++)
    done += put_bytes(store, vdb_integer(i % KEYS), bytes, sizeof bytes) == VDB_OK;
  return done;
}

static void test_failing(const char *how, verdict (*call)(const char *name),
                         int (*thread)(pthread_t *thread, void *(*work)(void *context), void *context)) {
  vdb_store *store = start_store();
  puts_of_values(store);
  uint64_t before = end_of(KEY_LOG_NAME);
  works = 0;
  before_call = call;
  os.thread = thread;
  int done = puts_of_values(store);
  int extents = (int)((end_of(KEY_LOG_NAME) - before) / LOG_EXTENT);
  ok(done == 1000, "%s, puts go on", how);
  ok(works >= 2 && works <= extents + 1, "it is tried again now and then (%d times), not with each put",
     works);
  before_call = NULL;
  os.thread = work_inside;
  put_many(store, KEYS);
  ok(ends_well(store), "and all is there, and nothing else");
}

/* After an exchange the logs are shorter than when it failed. */
static void test_failing_before_reclaim(void) {
  vdb_store *store = start_store();
  make_long(store, 4 * VERY_LONG);
  os.thread = no_thread;
  put_many(store, 10 * KEYS);
  os.thread = work_inside;
  reclaim(store);
  works = 0;
  make_long(store, 2 * VERY_LONG);
  ok(works > 0, "what failed in long logs is tried again in the short ones that a reclaim has made of them");
  ok(ends_well(store), "and all is there");
}

static int calls_left;
static bool again; /* the calls after that fail, too */
static verdict how;
static int spoiled;

static verdict spoil_inside(const char *name) {
  (void)name;
  if (!inside || calls_left == 0) return GO;
  if (calls_left > 1) {
    calls_left--;
    return GO;
  }
  if (!again) calls_left = 0;
  spoiled++;
  errno = EIO;
  return how;
}

static void test_each_call(bool for_ever, verdict with) {
  int wrong = 0, calls = 0;
  for (int call = 1; call <= 12; call++) {
    vdb_store *store = start_store();
    make_long(store, VERY_LONG);
    calls_left = call;
    again = for_ever;
    how = with;
    spoiled = 0;
    before_call = spoil_inside;
    bool right = put_many(store, 3 * KEYS) == VDB_OK && only_filler_behind();
    calls += spoiled;
    before_call = NULL;
    if (!ends_well(store) || !right) wrong++;
  }
  ok(calls >= 12 && wrong == 0,
     "any call of the work may %s %s: nothing is lost, and nothing but filler is left",
     with == FAIL ? "fail" : "do half of it", for_ever ? "from then on" : "once");
}

/* Real threads ------------------------------------------------------------------------------------------ */

static pthread_t test_thread;
static pid_t test_process;
static _Atomic bool go_on;
static _Atomic int held, ended;

typedef struct piece {
  void *(*work)(void *context);
  void *context;
} piece;

static void *wait_and_work(void *context) {
  piece mine = *(piece *)context;
  free(context);
  atomic_fetch_add(&held, 1);
  while (!atomic_load(&go_on)) real.sleep(1000 * 1000);
  return mine.work(mine.context);
}

static int counted_thread(pthread_t *thread, void *(*work)(void *context), void *context) {
  works++;
  return real.thread(thread, work, context);
}

static int thread_that_waits(pthread_t *thread, void *(*work)(void *context), void *context) {
  piece *mine = malloc(sizeof *mine);
  works++;
  if (mine == NULL) return ENOMEM;
  *mine = (piece){work, context};
  return real.thread(thread, wait_and_work, mine);
}

/* There is room for some puts when a thread is asked to make more. */
static void put_until_asked(vdb_store *store) {
  works = 0;
  while (works == 0) put_next(store, 0);
}

static void wait_until_held(void) {
  while (atomic_load(&held) == 0) real.sleep(1000 * 1000);
}

/* A writer that makes room itself lets the lock go when the thread has been waiting for it for a while. */
static _Atomic int tries;
static bool grown;

static void count_tries(const char *name) {
  if (strcmp(name, "wait") == 0) atomic_fetch_add(&tries, 1);
}

static void *hold_lock(void *context) {
  if (control_lock_growth(page, 0, NULL) != VDB_OK) return context;
  atomic_fetch_add(&held, 1);
  while (atomic_load(&tries) < 100) real.sleep(1000 * 1000);
  real.sleep(1000 * 1000);
  control_unlock_growth(page);
  return context;
}

static int thread_that_meets_a_writer(pthread_t *thread, void *(*work)(void *context), void *context) {
  pthread_t writer;
  uint64_t before = allocated_of(KEY_LOG_NAME) + allocated_of(VALUE_LOG_NAME);
  atomic_store(&held, 0);
  atomic_store(&tries, 0);
  pthread_create(&writer, NULL, hold_lock, NULL);
  wait_until_held();
  int result = work_inside(thread, work, context);
  pthread_join(writer, NULL);
  grown = grown || allocated_of(KEY_LOG_NAME) + allocated_of(VALUE_LOG_NAME) > before;
  return result;
}

/* A machine that has much else to do may be slow: one of many times is enough. */
static void test_waiting_for_a_writer(void) {
  vdb_store *store = start_store();
  make_long(store, VERY_LONG);
  os.thread = thread_that_meets_a_writer;
  os.stop = count_tries;
  grown = false;
  for (int i = 0; i < 20 && !grown; i++) put_until_asked(store);
  os.stop = real.stop;
  os.thread = work_inside;
  ok(grown, "a thread that meets a writer who makes room itself waits, and then makes more");
  ok(ends_well(store), "and all is there");
}

/* The thread gets to its work when the files have been exchanged. */
static void test_late_work(void) {
  vdb_store *store = start_store(), *other = open_store(path);
  make_long(store, VERY_LONG);
  atomic_store(&go_on, false);
  atomic_store(&held, 0);
  os.thread = thread_that_waits;
  put_until_asked(store);
  os.thread = work_inside;
  bool exchanged = reclaim(other) && put_many(other, KEYS) == VDB_OK;
  int64_t sizes[2] = {file_size(path, KEY_LOG_NAME), file_size(path, VALUE_LOG_NAME)};
  uint64_t told[2] = {allocated_of(KEY_LOG_NAME), allocated_of(VALUE_LOG_NAME)};
  atomic_store(&go_on, true);
  close_store(store); /* waits for the thread */
  ok(exchanged && told[0] == allocated_of(KEY_LOG_NAME) && told[1] == allocated_of(VALUE_LOG_NAME),
     "a thread that is late for an exchange of the files doesn't change what is told of the new ones");
  ok(sizes[0] == file_size(path, KEY_LOG_NAME) && sizes[1] == file_size(path, VALUE_LOG_NAME) &&
         sizes[0] == (int64_t)told[0] && sizes[1] == (int64_t)told[1],
     "nor the new ones");
  ok(ends_well(other), "and all is there");
}

static ssize_t write_slowly(int file, const void *bytes, size_t size, off_t offset) {
  if (!pthread_equal(pthread_self(), test_thread)) real.sleep(50 * 1000 * 1000);
  ssize_t written = real.write(file, bytes, size, offset);
  if (!pthread_equal(pthread_self(), test_thread)) atomic_fetch_add(&ended, 1);
  return written;
}

static void test_close_waits(void) {
  vdb_store *store = start_store();
  make_long(store, VERY_LONG);
  os.thread = thread_that_waits;
  os.write = write_slowly;
  atomic_store(&go_on, false);
  atomic_store(&held, 0);
  atomic_store(&ended, 0);
  put_until_asked(store);
  atomic_store(&go_on, true);
  bool closed = close_store(store), waited = atomic_load(&ended) > 0;
  ok(closed && waited, "a close waits for the thread");
  while (atomic_load(&ended) == 0) real.sleep(1000 * 1000);
  ok(as_long_as_committed(), "after it the files are as long as what is committed");
  os.write = gate_write;
  os.thread = work_inside;
  store = open_store(path);
  ok(ends_well(store), "and all is there");
}

/* In a child of fork there is no such thread. */
static ssize_t write_when_told(int file, const void *bytes, size_t size, off_t offset) {
  if (getpid() != test_process || pthread_equal(pthread_self(), test_thread))
    return real.write(file, bytes, size, offset);
  ssize_t half = real.write(file, bytes, size / 2, offset);
  atomic_fetch_add(&held, 1);
  while (!atomic_load(&go_on)) real.sleep(1000 * 1000);
  return half;
}

static int use_in_child(void *context) {
  vdb_store *store = context;
  works = 0;
  if (!holds_newest(store)) return 1;
  if (put_next(store, 1) != VDB_OK || put_next(store, 2) != VDB_OK || !holds_newest(store)) return 2;
  if (works == 0) return 4; /* it would need a thread of its own */
  return close_store(store) ? 0 : 3;
}

static int only_close(void *context) {
  return close_store(context) ? 0 : 1;
}

static void test_fork(void) {
  vdb_store *store = start_store();
  make_long(store, VERY_LONG);
  os.thread = counted_thread;
  os.write = write_when_told;
  atomic_store(&go_on, false);
  atomic_store(&held, 0);
  put_until_asked(store);
  wait_until_held();
  ok(in_child(use_in_child, store) == 0,
     "while a thread is at work, a child of fork reads, writes and closes");
  ok(in_child(only_close, store) == 0, "another only closes");
  ok(put_next(store, 3) == VDB_OK && holds_newest(store), "and so does the parent");
  atomic_store(&go_on, true);
  ok(put_many(store, 10 * KEYS) == VDB_OK, "when the thread goes on, so do they");
  bool well = ends_well(store);
  os.write = gate_write;
  os.thread = work_inside;
  ok(well, "and all is there");
}

/* Old files --------------------------------------------------------------------------------------------- */

/* How many deleted logs this process still has open. */
static int deleted_logs(void) {
  char name[64], target[1024];
  int count = 0;
  for (int file = 0; file < 256; file++) {
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t size = readlink(name, target, sizeof target - 1);
    if (size <= 0) continue;
    target[size] = '\0';
    count += strstr(target, "db.klog (deleted)") != NULL || strstr(target, "db.vlog (deleted)") != NULL;
  }
  return count;
}

static void test_old_files_go(void) {
  vdb_store *store = start_store(), *other = open_store(path);
  make_long(store, VERY_LONG);
  put_until_asked(store);
  bool exchanged = reclaim(other);
  ok(deleted_logs() == 2 && holds_newest(store) && exchanged, "a handle has the files of before a reclaim");
  ok(deleted_logs() == 0, "until its next call, also when a thread has made them longer");
  close_store(other);
  ok(ends_well(store), "and all is there");
}

/* A control page that lies ------------------------------------------------------------------------------ */

static vdb_status open_lying(uint64_t key_log, uint64_t value_log, vdb_store **store) {
  atomic_store(&page->key_log_allocated, key_log);
  atomic_store(&page->value_log_allocated, value_log);
  return vdb_open(path, NULL, store, &last_error);
}

static int leave_open(void *context) {
  vdb_store *store = open_store(context);
  return put_many(store, KEYS) == VDB_OK ? 0 : 1;
}

static void test_lying_page(void) {
  const uint64_t lies[] = {0, 1, 5000, UINT64_C(1) << 40, UINT64_C(1) << 62, UINT64_MAX};
  int wrong = 0;
  for (size_t i = 0; i < 2 * sizeof lies / sizeof *lies; i++) {
    vdb_store *store = start_store();
    uint64_t lie = lies[i / 2];
    make_long(store, VERY_LONG);
    close_store(store);
    if (i % 2 != 0 && in_child(leave_open, (void *)path) != 0) wrong++;
    bool opened = open_lying(lie, lie, &store) == VDB_OK;
    bool right = opened && put_many(store, 5 * KEYS) == VDB_OK && is_sound(store) &&
                 room_of(KEY_LOG_NAME) <= VERY_LONG && room_of(VALUE_LOG_NAME) <= VERY_LONG;
    if (!right || !ends_well(store)) wrong++;
  }
  ok(wrong == 0,
     "what a control page says of the files' lengths is not believed by who opens the store first");
}

/* A stray write in the middle of everything. */
static int damage_and_work(pthread_t *thread, void *(*work)(void *context), void *context) {
  uint64_t key_log = allocated_of(KEY_LOG_NAME), value_log = allocated_of(VALUE_LOG_NAME);
  atomic_store(&page->key_log_allocated, 0);
  atomic_store(&page->value_log_allocated, 0);
  int result = work_inside(thread, work, context);
  atomic_store(&page->key_log_allocated, key_log);
  atomic_store(&page->value_log_allocated, value_log);
  return result;
}

static vdb_status put_when_damaged(vdb_store *store, uint64_t key_log, uint64_t value_log, size_t size) {
  static char bytes[100000];
  atomic_store(&page->key_log_allocated, key_log);
  atomic_store(&page->value_log_allocated, value_log);
  return put_bytes(store, vdb_integer(1), bytes, size);
}

static void test_damaged_page(void) {
  vdb_store *store = start_store();
  make_long(store, VERY_LONG);
  os.thread = damage_and_work;
  put_until_asked(store);
  os.thread = work_inside;
  ok(is_sound(store), "a thread to which the page says that a log ends before what is committed lets it be");
  uint64_t key_log = allocated_of(KEY_LOG_NAME), value_log = allocated_of(VALUE_LOG_NAME);
  ok(put_when_damaged(store, 0, value_log, 10) == VDB_CORRUPT && is_sound(store), "a put is told so");
  ok(put_when_damaged(store, key_log, 0, 10) == VDB_CORRUPT && is_sound(store), "about either log");
  ok(put_when_damaged(store, key_log, 5000, 100000) == VDB_CORRUPT && is_sound(store),
     "for a big value, too");
  atomic_store(&page->unrepaired, 1);
  ok(put_next(store, 0) == VDB_CORRUPT && holds_newest(store), "and a repair cuts nothing");
  (void)vdb_close(store, NULL);
  store = open_store(path);
  ok(ends_well(store), "when the store is opened again all is there");
}

int main(void) {
  prepare_growing();
  test_thread = pthread_self();
  test_process = getpid();
  test_puts_do_not_write();
  test_most_room();
  test_big_values();
  test_other_writes();
  test_failing("when the disk is full for the thread", full_inside, work_inside);
  test_failing("when there is no thread to be had", NULL, no_thread);
  test_failing_before_reclaim();
  for (int i = 0; i < 4; i++) test_each_call(i % 2 != 0, i < 2 ? FAIL : HALF);
  test_waiting_for_a_writer();
  test_late_work();
  test_close_waits();
  test_fork();
  test_old_files_go();
  test_lying_page();
  test_damaged_page();
  return done_testing();
}
