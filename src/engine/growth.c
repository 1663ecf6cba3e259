/*
** growth.c - room ahead of the writers, made by a thread.
**
** To make a file longer is to change its inode, and that may have to wait until the file system has written its journal:
** now and then for tens of milliseconds. So once a log, or the index, has some length, a thread makes it longer before
** writers get to its end. Stores to memory, which is what their writes are, wait for nothing.
**
** Why filler never meets what a writer wrote. Every byte that a writer stores lies before `allocated` as it was when it
** looked; what lies behind belongs to whoever holds the growth lock of the control page. A thread that has the lock writes
** filler from `allocated` on, and then moves it. A writer that needs more than there is takes the lock itself; one waits for
** the other then, and that ends, as who has this lock takes no other. `allocated` moves back only in an exchange of the
** files, which holds the lock too, or when nobody else has the store open. After an exchange `allocated` is that of other
** files: so a thread that gets the lock first looks whether the generation is still that of its files. A page that says
** less than what is committed is damaged, and nobody writes filler then.
**
** Files. The thread needs the view that it began with. Who notices an exchange, or writes again, gives that view up if the
** thread is done, or else files that have gone would take up room on the disk until the store is closed.
**
** Death. The kernel gives the lock on when the thread is gone, and so when its last write is over. It leaves filler behind
** `allocated`, or a part of it, and the next who extends the file writes there again. A thread that is stopped with its
** process holds up those who need more room, and they get VDB_BUSY in the end; all others go on.
**
** The index gets longer without a lock: room for it is allocated, which changes none of its bytes, and nobody makes it
** shorter. A writer that finds it too short asks for its size again before it makes room itself, behind all that is in use.
**
** A thread that fails, on a full disk, has taken nothing: the write that needs the room tries itself, and tells.
*/
#include "growth.h"

#include <errno.h>
#include <stdlib.h>

#include "background.h"

/* How much room is made: this part of a log, half as much of the index. Half of it must be used up first. */
#define SHARE 16

/* Longer than a writer that makes room itself needs the lock. While its holder is stopped a close may wait so long twice. */
#define PATIENCE ((int64_t)100 * 1000 * 1000) /* nanoseconds */

typedef struct growing_log {
  const log_file *log;
  uint64_t end;  /* of what was committed; a control page that says less is damaged */
  uint64_t goal; /* 0: it has room enough */
  _Atomic uint64_t *allocated;
} growing_log;

typedef struct growth_plan {
  growing_log logs[2];
  uint64_t index_goal; /* 0: it has room enough */
} growth_plan;

struct growth {
  background *thread; /* NULL: none at work */
  control_page *page;
  store_view *view; /* whose files these are */
  growth_plan plan;
  bool failed;
  uint64_t failed_at; /* length of the key log */
};

typedef struct growth growth;

static uint64_t room_for(uint64_t end) {
  uint64_t share = end / SHARE / LOG_EXTENT * LOG_EXTENT;
  return share < GROWTH_MOST ? share : GROWTH_MOST;
}

/* Big values bring their own room: only a log that is written through its window is made longer ahead. */
static growing_log look(const log_file *log, uint64_t end, _Atomic uint64_t *allocated) {
  growing_log result = {.log = log, .end = end, .allocated = allocated};
  uint64_t room = room_for(end);
  bool enough = log_has_room(end, (size_t)room / 2, allocated);
  if (!enough && log_in_window(log, end)) result.goal = end + room;
  return result;
}

/* How long the index should be, or 0. */
static uint64_t look_at_index(hash_index *index) {
  uint64_t length = index_length(index), room = room_for(length) / 2;
  if (room == 0 || length + room / 2 <= index->file_size) return 0;
  if (index_measure_file(index, NULL) != VDB_OK || length > index->file_size) return 0;
  return length + room / 2 <= index->file_size ? 0 : length + room;
}

static bool within_limit(uint64_t length) {
  uint64_t limit;
  return os.size_limit(&limit) == 0 && length <= limit && length <= (uint64_t)INT64_MAX;
}

static int grow_index(const growth *growing) {
  int file = growing->view->index.file;
  struct stat status;
  if (growing->plan.index_goal == 0) return 0;
  if (os.status(file, &status) != 0) return errno;
  if (!within_limit(growing->plan.index_goal)) return EFBIG;
  off_t length = (off_t)growing->plan.index_goal, have = status.st_size;
  return have >= length || os.allocate(file, have, length - have) == 0 ? 0 : errno;
}

/* One extent. False when there is nothing (more) to do, or it failed: *reason. */
static bool grow_once(const growth *growing, const growing_log *one, int *reason) {
  control_page *page = growing->page;
  if (control_lock_growth(page, PATIENCE, NULL) != VDB_OK) {
    *reason = EBUSY;
    return false;
  }
  uint64_t generation = atomic_load_explicit(&page->generation, memory_order_acquire);
  bool ours = generation == growing->view->generation && log_has_room(one->end, 0, one->allocated);
  bool wanted = ours && !log_has_room(one->goal, 0, one->allocated);
  if (wanted && log_extend(one->log, one->allocated) != 0) *reason = errno;
  control_unlock_growth(page);
  return wanted && *reason == 0;
}

/* By turns, so that neither log runs short while the other one waits. */
static int grow(void *context) {
  const growth *growing = context;
  int for_index = grow_index(growing), reason = 0;
  bool more = true;
  while (more) {
    more = grow_once(growing, &growing->plan.logs[0], &reason);
    more = grow_once(growing, &growing->plan.logs[1], &reason) || more;
  }
  return reason != 0 ? reason : for_index;
}

static void finish(vdb_store *store) {
  growth *growing = store->growth;
  uint64_t length = atomic_load_explicit(&growing->page->committed, memory_order_relaxed);
  growing->failed = background_end(growing->thread) != 0;
  growing->failed_at = length;
  growing->thread = NULL;
  view_retire(store, growing->view);
}

static void start(vdb_store *store, const growth_plan *plan, uint64_t length) {
  growth *growing = store->growth;
  growing->page = store->control.page;
  growing->view = view_share(store->view);
  growing->plan = *plan;
  growing->thread = background_start(grow, growing);
  if (growing->thread != NULL) return;
  growing->failed = true;
  growing->failed_at = length;
  view_release(growing->view);
}

/* After a failure an extent later. An exchange of the files makes the key log shorter: that is a reason, too. */
static bool may_try(const growth *growing, uint64_t length) {
  return !growing->failed || length < growing->failed_at || length - growing->failed_at >= LOG_EXTENT;
}

void growth_settle(vdb_store *store) {
  int reason;
  bool working = store->growth != NULL && store->growth->thread != NULL;
  if (working && background_done(store->growth->thread, &reason)) finish(store);
}

void growth_tend(vdb_store *store) {
  control_page *page = store->control.page;
  store_view *view = store->view;
  uint64_t key_log = atomic_load_explicit(&page->committed, memory_order_relaxed);
  uint64_t value_log = atomic_load_explicit(&page->value_log_end, memory_order_relaxed);
  growth_plan plan = {.logs = {look(&view->key_log, key_log, &page->key_log_allocated),
                               look(&view->value_log, value_log, &page->value_log_allocated)},
                      .index_goal = look_at_index(&view->index)};
  growth_settle(store);
  if (plan.logs[0].goal == 0 && plan.logs[1].goal == 0 && plan.index_goal == 0) return;
  if (store->growth == NULL) store->growth = calloc(1, sizeof *store->growth);
  if (store->growth == NULL || store->growth->thread != NULL) return;
  if (may_try(store->growth, key_log)) start(store, &plan, key_log);
}

void growth_end(vdb_store *store) {
  if (store->growth == NULL) return;
  if (store->growth->thread != NULL) finish(store);
  free(store->growth);
  store->growth = NULL;
}
