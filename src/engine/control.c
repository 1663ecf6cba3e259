/*
** control.c - the shared control page (db.ctl) and the writers' lock.
**
** What a put does, in this order, under the writers' lock:
**
**   0. how far 1 goes, so that a repair has little to clear
**   1. value bytes and line bytes, beyond the committed end
**   2. totals[the one that doesn't count]
**   3. value_log_end
**   4. committed            <- the commit point: one store of one word
**   5. the slot in the index
**   6. applied = committed
**
** A process may die after any of these stores, and what it stored is kept: the page and the logs belong to the page
** cache, not to the process. So only the order matters, and release stores keep it.
**
** - Death before 4: `committed` is the old length, and the totals that carry that length are untouched, because 2
**   writes the others. They never carry the same length, since each commit makes the log longer; half written they
**   carry the older or the newer length, never the current one. What 1 wrote lies beyond the end; the next holder of
**   the lock turns it into filler again. value_log_end may be too large: it only bounds readers, whose lines carry
**   the true bounds and a checksum, and it stays within the file's length.
** - Death after 4: the write has happened. If the slot is missing, `applied` is less than `committed`, and the next
**   holder applies the lines between them again, which gives the same slot however often it is done.
** - Death while holding the lock tells the next holder (robust mutex), who sets `unrepaired` before it does anything
**   else and clears it when the repair is complete: a repairer that dies, or fails, leaves the flag to the next.
**
** Readers take no lock. They find a line only through a slot, and a slot is stored (release) after the line and
** `committed`, so who loads the slot (acquire) sees both. A walk takes `applied` as its end: every line before it is
** in the index. A get goes back to the key's line before `applied`, too (find_settled in store.c), so that what it shows
** is shown by every walk that begins later, and of a batch all or nothing.
**
** The page outlives processes and, as a file, machines. The first opener (nobody else has the store open, which the
** kernel's locks tell) therefore makes the mutexes anew and believes nothing else in the page that it can't check
** against the files; recover.c says what it checks. The totals, by which a repair clears what lies behind the logs' ends,
** carry a checksum: damaged ones make the page unusable, and the store is read in from its logs.
*/
#define _GNU_SOURCE

#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "crc32.h"
#include "error.h"

#define MAGIC "ViperDB\n"
#define VERSION 1

/* Tells C libraries apart whose mutexes look alike. */
#if defined(__GLIBC__)
#define LAYOUT ((uint32_t)sizeof(pthread_mutex_t) | 0x67000000u)
#else
#define LAYOUT ((uint32_t)sizeof(pthread_mutex_t))
#endif

void control_init(control_handle *control) {
  *control = (control_handle){.file = -1};
}

static vdb_status map_page(control_handle *control, vdb_error *error) {
  void *page = os.map(control->file, CONTROL_SIZE, 0, control->readonly ? OS_MAP_READ : OS_MAP_WRITE);
  if (page == MAP_FAILED) return error_system(error, "cannot map " CONTROL_NAME);
  control->page = page;
  return VDB_OK;
}

static vdb_status explain_open(const control_handle *control, vdb_error *error) {
  if (control->readonly && errno == ENOENT) return VDB_ABSENT;
  if (errno == EACCES || errno == EROFS)
    return error_system(error, "cannot open " CONTROL_NAME
                               " (a store that may only be read is opened with readonly)");
  return error_open(error, CONTROL_NAME);
}

/* A short file is filled up with written zeros, not by truncation: a hole could not be stored to on a full disk. */
static vdb_status ensure_size(control_handle *control, const struct stat *status, vdb_error *error) {
  static const char zeros[CONTROL_SIZE];
  if (status->st_size >= CONTROL_SIZE) return VDB_OK;
  if (control->readonly) return VDB_ABSENT;
  size_t missing = (size_t)(CONTROL_SIZE - status->st_size);
  if (os_write_all(control->file, zeros, missing, (uint64_t)status->st_size) == 0) return VDB_OK;
  return error_system(error, "cannot write " CONTROL_NAME);
}

vdb_status control_open(control_handle *control, int folder, bool readonly, vdb_error *error) {
  struct stat status;
  control->readonly = readonly;
  control->file = os_open_regular(folder, CONTROL_NAME, readonly ? O_RDONLY : O_RDWR | O_CREAT, &status);
  if (control->file < 0) return explain_open(control, error);
  vdb_status result = ensure_size(control, &status, error);
  if (result == VDB_OK) result = map_page(control, error);
  if (result != VDB_OK) control_close(control);
  return result;
}

vdb_status control_open_private(control_handle *control, vdb_error *error) {
  static const char zeros[CONTROL_SIZE];
  control->readonly = false;
  control->file = os.memory_file(CONTROL_NAME);
  if (control->file < 0) return error_system(error, "cannot make a control page in memory");
  vdb_status result = VDB_OK;
  if (os_write_all(control->file, zeros, CONTROL_SIZE, 0) != 0)
    result = error_system(error, "cannot write a control page in memory");
  if (result == VDB_OK) result = map_page(control, error);
  if (result == VDB_OK) result = control_reset_locks(control->page, error);
  if (result != VDB_OK) control_close(control);
  return result;
}

void control_close(control_handle *control) {
  if (control->page != NULL) os.unmap(control->page, CONTROL_SIZE);
  if (control->file >= 0) os.close(control->file);
  control_init(control);
}

static uint32_t totals_check(const control_totals *totals) {
  return crc32_update(0, totals, offsetof(control_totals, check));
}

static void store_totals(control_totals *slot, const control_totals *totals) {
  *slot = *totals;
  slot->check = totals_check(totals);
}

static bool totals_count(const control_totals *totals, uint64_t committed) {
  return totals->committed == committed && totals->check == totals_check(totals);
}

/* Writers may be at work: a `committed` that is an old one by the time the totals are looked at says nothing. */
static bool has_totals(const control_page *page) {
  for (;;) {
    uint64_t committed = atomic_load_explicit(&page->committed, memory_order_acquire);
    if (totals_count(&page->totals[0], committed) || totals_count(&page->totals[1], committed)) return true;
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&page->committed, memory_order_relaxed) == committed) return false;
  }
}

bool control_usable(const control_page *page) {
  if (memcmp(page->magic, MAGIC, sizeof page->magic) != 0 || page->version != VERSION) return false;
  return page->layout == LAYOUT && page->boot[sizeof page->boot - 1] == '\0' && has_totals(page);
}

static int make_lock(pthread_mutex_t *lock) {
  pthread_mutexattr_t attributes;
  int reason = pthread_mutexattr_init(&attributes);
  if (reason != 0) return reason;
  reason = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (reason == 0) reason = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  memset(lock, 0, sizeof *lock);
  if (reason == 0) reason = pthread_mutex_init(lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return reason;
}

vdb_status control_reset_locks(control_page *page, vdb_error *error) {
  int reason = make_lock(&page->writers);
  if (reason == 0) reason = make_lock(&page->syncers);
  if (reason == 0) reason = make_lock(&page->growth);
  if (reason == 0) return VDB_OK;
  errno = reason;
  return error_system(error, "cannot make the locks in " CONTROL_NAME);
}

/* A read-only handle may be looking: the generation is odd before anything else changes, and stays so. */
void control_reset(control_page *page, uint64_t generation) {
  char *bytes = (char *)page;
  size_t before = offsetof(control_page, generation), after = before + sizeof page->generation;
  atomic_store_explicit(&page->generation, generation, memory_order_release);
  memset(bytes, 0, before);
  memset(bytes + after, 0, CONTROL_SIZE - after);
  store_totals(&page->totals[0], &(control_totals){0});
  page->version = VERSION;
  page->layout = LAYOUT;
  atomic_store_explicit(&page->state, CONTROL_BEGUN, memory_order_release);
  memcpy(page->magic, MAGIC, sizeof page->magic);
}

void control_fail(control_page *page) {
  atomic_store_explicit(&page->failed, errno != 0 ? (uint32_t)errno : EIO, memory_order_release);
}

vdb_status control_sync(control_handle *control, vdb_error *error) {
  return os.sync(control->file) == 0 ? VDB_OK : error_system(error, "cannot sync " CONTROL_NAME);
}

bool control_unwritten(const control_page *page) {
  uint32_t state = atomic_load_explicit(&page->state, memory_order_acquire);
  return state == CONTROL_CLOSED || state == CONTROL_RESUMED;
}

/* Who dies in between leaves CONTROL_BEGUN, and the next begins again. */
vdb_status control_begin(control_handle *control, vdb_error *error) {
  control_page *page = control->page;
  if (atomic_load_explicit(&page->state, memory_order_relaxed) == CONTROL_OPEN) return VDB_OK;
  atomic_store_explicit(&page->state, CONTROL_BEGUN, memory_order_release);
  vdb_status status = control_sync(control, error);
  if (status == VDB_OK) atomic_store_explicit(&page->state, CONTROL_OPEN, memory_order_release);
  else control_fail(page);
  return status;
}

static bool lock_byte(control_handle *control, control_lock_byte byte, os_lock_kind kind) {
  return os.lock(control->file, byte, kind) == 0;
}

/* The kernel could wait for us, but not for a limited time: so ask again, ever less often. */
vdb_status control_enter_door(control_handle *control, int64_t wait_nanoseconds, vdb_error *error) {
  os_lock_kind kind = control->readonly ? OS_LOCK_SHARED : OS_LOCK_EXCLUSIVE;
  int64_t end = os_ticks() + wait_nanoseconds;
  int64_t pause = 50 * 1000;
  while (!lock_byte(control, CONTROL_DOOR, kind)) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      return error_system(error, "cannot lock " CONTROL_NAME " (the file system must support locks)");
    if (os_ticks() >= end)
      return error_set(error, VDB_BUSY, "another process is still opening or closing the store: try again");
    os.sleep(pause);
    if (pause < 5 * 1000 * 1000) pause *= 2;
  }
  return VDB_OK;
}

void control_leave_door(control_handle *control) {
  lock_byte(control, CONTROL_DOOR, OS_UNLOCK);
}

vdb_status control_use_alone(control_handle *control, vdb_error *error) {
  if (lock_byte(control, CONTROL_USE, OS_LOCK_EXCLUSIVE)) return VDB_OK;
  if (errno == EAGAIN || errno == EACCES) return VDB_ABSENT;
  return error_system(error, "cannot lock " CONTROL_NAME);
}

void control_leave_use(control_handle *control) {
  lock_byte(control, CONTROL_USE, OS_UNLOCK);
}

vdb_status control_use_shared(control_handle *control, vdb_error *error) {
  if (lock_byte(control, CONTROL_USE, OS_LOCK_SHARED)) return VDB_OK;
  return error_system(error, "cannot lock " CONTROL_NAME);
}

vdb_status control_try_reclaim(control_handle *control, vdb_error *error) {
  if (lock_byte(control, CONTROL_RECLAIM, OS_LOCK_EXCLUSIVE)) return VDB_OK;
  if (errno != EAGAIN && errno != EACCES) return error_system(error, "cannot lock " CONTROL_NAME);
  return error_set(error, VDB_BUSY, "another handle is reclaiming the store");
}

void control_leave_reclaim(control_handle *control) {
  lock_byte(control, CONTROL_RECLAIM, OS_UNLOCK);
}

static struct timespec deadline(int64_t wait_nanoseconds) {
  int64_t now = 0;
  (void)os.clock(CLOCK_REALTIME, &now);
  int64_t end = now + wait_nanoseconds;
  return (struct timespec){.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
}

/* The critical sections are shorter than putting a thread to sleep: look again a few times first. */
static int take(pthread_mutex_t *lock, int64_t wait_nanoseconds) {
  for (int tries = 0; tries < 100; tries++) {
    int reason = pthread_mutex_trylock(lock);
    if (reason != EBUSY) return reason;
    OS_STOP("wait");
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  struct timespec end = deadline(wait_nanoseconds);
  return pthread_mutex_timedlock(lock, &end);
}

static vdb_status take_or_explain(pthread_mutex_t *lock, int64_t wait_nanoseconds, bool *died,
                                  vdb_error *error) {
  int reason = take(lock, wait_nanoseconds);
  *died = reason == EOWNERDEAD;
  if (reason == 0) return VDB_OK;
  if (*died) {
    pthread_mutex_consistent(lock);
    return VDB_OK;
  }
  if (reason == ETIMEDOUT)
    return error_set(error, VDB_BUSY,
                     "another process holds the store's lock for longer than %.3g seconds: "
                     "is it stopped?",
                     (double)wait_nanoseconds / 1e9);
  errno = reason;
  return error_system(error, "cannot take the lock in " CONTROL_NAME);
}

vdb_status control_lock(control_page *page, int64_t wait_nanoseconds, vdb_error *error) {
  bool died;
  vdb_status status = take_or_explain(&page->writers, wait_nanoseconds, &died, error);
  if (status == VDB_OK && died) atomic_store_explicit(&page->unrepaired, 1, memory_order_release);
  return status;
}

void control_unlock(control_page *page) {
  pthread_mutex_unlock(&page->writers);
}

/* A syncer that died left nothing half done: it had the mark to write, and that is written as a whole. */
vdb_status control_lock_sync(control_page *page, int64_t wait_nanoseconds, vdb_error *error) {
  bool died;
  return take_or_explain(&page->syncers, wait_nanoseconds, &died, error);
}

void control_unlock_sync(control_page *page) {
  pthread_mutex_unlock(&page->syncers);
}

/* Who died left filler, or a part of a big value, behind the recorded length: the next extension writes over it. */
vdb_status control_lock_growth(control_page *page, int64_t wait_nanoseconds, vdb_error *error) {
  bool died;
  return take_or_explain(&page->growth, wait_nanoseconds, &died, error);
}

void control_unlock_growth(control_page *page) {
  pthread_mutex_unlock(&page->growth);
}

static unsigned which(const control_page *page) {
  uint64_t committed = atomic_load_explicit(&page->committed, memory_order_relaxed);
  return page->totals[0].committed == committed ? 0 : 1;
}

const control_totals *control_now(const control_page *page) {
  return &page->totals[which(page)];
}

void control_touch(control_page *page, uint64_t key_log, uint64_t value_log) {
  atomic_store_explicit(&page->key_log_touched, key_log, memory_order_relaxed);
  atomic_store_explicit(&page->value_log_touched, value_log, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
}

void control_commit(control_page *page, const control_totals *next) {
  store_totals(&page->totals[1 - which(page)], next);
  OS_STEP("totals");
  atomic_store_explicit(&page->value_log_end, next->value_log_end, memory_order_release);
  atomic_store_explicit(&page->committed, next->committed, memory_order_release);
  OS_STEP("committed");
}

/* At every moment one of the two belongs to `committed`: somebody may be opening the store. */
void control_place(control_page *page, const control_totals *totals) {
  unsigned old = which(page);
  store_totals(&page->totals[1 - old], totals);
  atomic_store_explicit(&page->value_log_end, totals->value_log_end, memory_order_release);
  atomic_store_explicit(&page->committed, totals->committed, memory_order_release);
  atomic_thread_fence(memory_order_seq_cst);
  store_totals(&page->totals[old], totals);
}

static uint32_t mark_check(const control_mark *mark) {
  return crc32_update(0, mark, offsetof(control_mark, check));
}

static const control_mark *valid_mark(const control_page *page, unsigned index) {
  const control_mark *mark = &page->marks[index];
  uint64_t generation = atomic_load_explicit(&page->generation, memory_order_relaxed);
  return mark->check == mark_check(mark) && mark->generation == generation ? mark : NULL;
}

bool control_get_mark(const control_page *page, control_mark *mark) {
  const control_mark *first = valid_mark(page, 0);
  const control_mark *second = valid_mark(page, 1);
  if (first == NULL || (second != NULL && second->key_log > first->key_log)) first = second;
  if (first != NULL) *mark = *first;
  return first != NULL;
}

void control_set_mark(control_page *page, uint64_t key_log, uint64_t value_log) {
  const control_mark *first = valid_mark(page, 0);
  const control_mark *second = valid_mark(page, 1);
  bool keep_first = first != NULL && (second == NULL || first->key_log >= second->key_log);
  control_mark *target = &page->marks[keep_first ? 1 : 0];
  control_mark mark = {
      .generation = atomic_load_explicit(&page->generation, memory_order_relaxed),
      .key_log = key_log,
      .value_log = value_log,
      .time = os_now(),
  };
  mark.check = mark_check(&mark);
  *target = mark;
  atomic_store_explicit(&page->synced, key_log, memory_order_release);
}
