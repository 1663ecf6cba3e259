/*
** reclaim.c - rewriting the live records while everybody reads and writes on.
**
** The new files are a store of their own, under other names and with a control page that only this process sees. They are
** filled in steps that can stop between any two records:
**
**   collect   the lines before `end` (how long the key log was at the start) that the index has for their keys
**   sort      them by key
**   copy      them and their values
**   follow    copy what was written since `end`, in the order of the log; tombstones of keys that were copied, too
**   sync      the new files; a reclaim in slices has a thread do it, so that no slice waits for the disk
**   follow    what was written meanwhile, until little is left; then, holding the writers' lock, the rest
**   exchange  swap.c puts the new files in place of the old ones
**
** Why nothing is lost. Take a key's newest line at the exchange. Did it lie before `end`, it was what the index had for the
** key when it was collected, since it was already the newest; so it was copied. Otherwise `follow` came past it, and found
** it in the index, as nothing newer came. Any other line of the key that was copied earlier is replaced by it, as in any
** store: the copy of a key's older line has its slot in the new index, and the newer line takes it. A line that is no longer
** the newest when `follow` comes past is left out: the newer one lies further on.
**
** When writers write faster than `follow` can read, it holds the writers' lock for a moment now and then, each time shorter
** than anybody would notice, until it has caught up.
**
** Expired keys, deleted keys and old versions are not copied; nothing else is left out. Anything that can't be read or
** written stops the reclaim, and the store is as it was: the new files are removed, by this process or, if it dies, by the
** next that reclaims or opens the store.
*/
#define _GNU_SOURCE

#include "append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "error.h"
#include "sorter.h"
#include "swap.h"

/* What is left to follow when the lock is taken for the rest, in bytes of the key log: far less than 10 ms of copying. */
#define LITTLE ((uint64_t)64 * 1024)

/* How long a catch-up under the lock may last, and how many catch-ups without it may fail to gain ground before. */
#define HOLD_NANOSECONDS ((int64_t)2 * 1000 * 1000)
#define PATIENCE 3

typedef enum reclaim_phase {
  RECLAIM_COLLECT,
  RECLAIM_SORT,
  RECLAIM_COPY,
  RECLAIM_FOLLOW,
  RECLAIM_SYNC,
  RECLAIM_FOLLOW_AGAIN,
  RECLAIM_EXCHANGE,
  RECLAIM_DONE
} reclaim_phase;

/* A line to copy, and where its key's text is: in the key log, or kept when the line has it in other words. */
typedef struct live_line {
  uint64_t line;
  uint64_t key; /* offset in the key log, or in `kept` */
  uint32_t key_size;
  bool key_kept;
} live_line;

struct reclaim_job {
  reclaim_phase phase;
  store_view *source;
  vdb_store target;
  uint64_t end;      /* where collecting ends and following starts */
  uint64_t position; /* in the source's key log */
  uint64_t behind;   /* how much there was to follow when it was last asked */
  int patience;
  live_line *lines, *spare_lines;
  size_t count, room, copied;
  char *kept; /* key texts that the key log has in other words */
  size_t kept_size, kept_room;
  char *text; /* the key that is being looked up */
  size_t text_room;
  sorter_state sorter;
  background *syncing;
  record_scratch scratch;
};

typedef struct reclaim_job reclaim_job;

static vdb_status no_memory(vdb_error *error) {
  return error_set(error, VDB_NO_MEMORY, "out of memory while reclaiming; the store is as it was");
}

/* Start and end ------------------------------------------------------------------------------------------------ */

static vdb_status open_target(reclaim_job *job, int folder, vdb_error *error) {
  store_view *view = view_new();
  if (view == NULL) return no_memory(error);
  vdb_store *target = &job->target;
  target->view = view;
  view->key_log.name = swap_new_names[0];
  view->value_log.name = swap_new_names[1];
  view->index.name = swap_new_names[2];
  view->generation = job->source->generation + 2;
  struct stat status;
  int flags = O_RDWR | O_CREAT | O_EXCL;
  vdb_status result = control_open_private(&target->control, error);
  if (result == VDB_OK) result = log_open(&view->key_log, folder, flags, &status, error);
  if (result == VDB_OK) result = log_open(&view->value_log, folder, flags, &status, error);
  if (result == VDB_OK) result = index_create(&view->index, folder, view->generation, error);
  return result;
}

static void free_job(reclaim_job *job) {
  (void)background_end(job->syncing);
  view_release(job->target.view);
  control_close(&job->target.control);
  record_scratch_free(&job->target.scratch);
  view_release(job->source);
  record_scratch_free(&job->scratch);
  free(job->lines);
  free(job->spare_lines);
  free(job->kept);
  free(job->text);
  free(job);
}

void reclaim_forget(vdb_store *store) {
  if (store->reclaim == NULL) return;
  free_job(store->reclaim);
  store->reclaim = NULL;
}

void reclaim_abandon(vdb_store *store) {
  if (store->reclaim == NULL) return;
  reclaim_forget(store);
  (void)swap_remove_new_files(store->folder, NULL);
  control_leave_reclaim(&store->control);
}

static vdb_status start_job(vdb_store *store, vdb_error *error) {
  reclaim_job *job = calloc(1, sizeof *job);
  if (job == NULL) return no_memory(error);
  control_init(&job->target.control);
  store->reclaim = job;
  job->source = view_share(store->view);
  job->end = store_length(store);
  job->patience = PATIENCE;
  vdb_status status = swap_remove_new_files(store->folder, error);
  if (status == VDB_OK) status = open_target(job, store->folder, error);
  return status;
}

static vdb_status start(vdb_store *store, vdb_error *error) {
  vdb_status status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = control_try_reclaim(&store->control, error);
  if (status == VDB_OK) {
    status = start_job(store, error);
    if (status != VDB_OK && store->reclaim == NULL) control_leave_reclaim(&store->control);
  }
  store_unlock(store);
  return status;
}

/* Collect and sort --------------------------------------------------------------------------------------------- */

static bool grow(void **memory, size_t *room, size_t needed, size_t item_size) {
  if (needed <= *room) return true;
  size_t wanted = needed < 512 ? 1024 : 2 * needed;
  void *grown = realloc(*memory, wanted * item_size);
  if (grown == NULL) return false;
  *memory = grown;
  *room = wanted;
  return true;
}

static vdb_status add_line(reclaim_job *job, uint64_t line, const record *entry, vdb_error *error) {
  const log_file *log = &job->source->key_log;
  live_line live = {.line = line, .key_size = (uint32_t)entry->key_size};
  if (entry->key >= log->base && entry->key < log->base + log->size) {
    live.key = (uint64_t)(entry->key - log->base);
  } else {
    if (!grow((void **)&job->kept, &job->kept_room, job->kept_size + entry->key_size, 1))
      return no_memory(error);
    memcpy(job->kept + job->kept_size, entry->key, entry->key_size);
    live.key = job->kept_size;
    live.key_kept = true;
    job->kept_size += entry->key_size;
  }
  if (!grow((void **)&job->lines, &job->room, job->count + 1, sizeof *job->lines)) return no_memory(error);
  job->lines[job->count++] = live;
  return VDB_OK;
}

static const char *key_of(const reclaim_job *job, const live_line *live) {
  return (live->key_kept ? job->kept : job->source->key_log.base) + live->key;
}

/* Reads the line at the position. VDB_ABSENT at `end`. */
static vdb_status read_line(reclaim_job *job, uint64_t end, record *entry, vdb_error *error) {
  const log_file *log = &job->source->key_log;
  vdb_status status = log_cover(&job->source->key_log, end, error);
  if (status != VDB_OK) return status;
  while (job->position < end && log->base[job->position] == '\n') job->position++;
  if (job->position >= end) return VDB_ABSENT;
  return view_read_line(job->source, job->position, entry, &job->scratch, error);
}

/* The lookup may map the key log anew, so the key, which may lie there, is copied to job->text first. */
static vdb_status is_newest(reclaim_job *job, const char *key, size_t size, uint64_t line, bool *newest,
                            vdb_error *error) {
  store_found found;
  *newest = false;
  if (!grow((void **)&job->text, &job->text_room, size, 1)) return no_memory(error);
  memcpy(job->text, key, size);
  *newest = index_names(&job->source->index, index_hash(&job->source->index, key, size), line);
  if (*newest) return VDB_OK;
  vdb_status status = view_find(job->source, &job->target.scratch, job->text, size, &found, error);
  *newest = status == VDB_OK && found.exists && found.line == line;
  return status;
}

static vdb_status collect_line(reclaim_job *job, vdb_error *error) {
  record entry;
  vdb_status status = read_line(job, job->end, &entry, error);
  if (status == VDB_ABSENT) {
    job->phase = RECLAIM_SORT;
    job->position = job->end;
    return VDB_OK;
  }
  if (status != VDB_OK) return status;
  uint64_t line = job->position;
  job->position += entry.line_size;
  if (entry.type == RECORD_DEL) return VDB_OK;
  status = add_line(job, line, &entry, error);
  if (status != VDB_OK) return status;
  bool newest;
  const live_line *added = &job->lines[job->count - 1];
  status = is_newest(job, key_of(job, added), added->key_size, line, &newest, error);
  if (newest && record_alive(&entry)) return VDB_OK;
  job->count--;
  if (!newest) return status;
  status = view_check_expired(job->source, line, &entry, error);
  return status == VDB_ABSENT ? VDB_OK : status;
}

static int by_key(const void *context, const void *left, const void *right) {
  const live_line *a = left, *b = right;
  size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
  int order = memcmp(key_of(context, a), key_of(context, b), size);
  return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static vdb_status sort_some(reclaim_job *job, vdb_error *error) {
  if (job->spare_lines == NULL) {
    job->spare_lines = malloc((job->count + 1) * sizeof *job->spare_lines);
    if (job->spare_lines == NULL) return no_memory(error);
    sorter_start(&job->sorter, (char *)job->lines, (char *)job->spare_lines, job->count, sizeof *job->lines,
                 by_key, job);
  }
  if (!sorter_step(&job->sorter, 64)) return VDB_OK;
  job->lines = (live_line *)(void *)job->sorter.items;
  job->spare_lines = (live_line *)(void *)job->sorter.other;
  job->phase = RECLAIM_COPY;
  return VDB_OK;
}

/* Copy and follow ---------------------------------------------------------------------------------------------- */

/* Appends a line of the source to the target, if it says anything there. */
static vdb_status copy_record(reclaim_job *job, uint64_t line, const record *entry, const char *key,
                              vdb_error *error) {
  store_found found;
  const char *bytes = "";
  line_change change = {.key = key, .key_size = entry->key_size, .line = *entry};
  change.line.batch = 0;
  vdb_status status = view_find(job->target.view, &job->target.scratch, key, entry->key_size, &found, error);
  if (status != VDB_OK) return status;
  if (entry->type == RECORD_DEL && (!found.exists || found.record.type == RECORD_DEL)) return VDB_OK;
  if (entry->type == RECORD_SET) status = view_read_value(job->source, line, entry, &bytes, error);
  change.bytes = bytes;
  return status == VDB_OK ? append_line(&job->target, &change, &found, error) : status;
}

static vdb_status copy_next(reclaim_job *job, vdb_error *error) {
  if (job->copied == job->count) {
    job->phase = RECLAIM_FOLLOW;
    return VDB_OK;
  }
  const live_line *live = &job->lines[job->copied++];
  record entry;
  vdb_status status = view_read_line(job->source, live->line, &entry, &job->scratch, error);
  return status == VDB_OK ? copy_record(job, live->line, &entry, key_of(job, live), error) : status;
}

/* An expired line is copied all the same: it hides the older one that may have been copied before. */
static vdb_status follow_line(reclaim_job *job, uint64_t end, vdb_error *error) {
  record entry;
  vdb_status status = read_line(job, end, &entry, error);
  if (status != VDB_OK) return status;
  uint64_t line = job->position;
  bool newest;
  job->position += entry.line_size;
  status = is_newest(job, entry.key, entry.key_size, line, &newest, error);
  return status == VDB_OK && newest ? copy_record(job, line, &entry, job->text, error) : status;
}

/* Follows to `end`, or until the time is over; VDB_ABSENT when it got to the end. */
static vdb_status follow_until(reclaim_job *job, uint64_t end, int64_t deadline, vdb_error *error) {
  vdb_status status = VDB_OK;
  while (status == VDB_OK && os_ticks() < deadline) status = follow_line(job, end, error);
  return status;
}

static vdb_status hold_and_follow(vdb_store *store, vdb_error *error) {
  reclaim_job *job = store->reclaim;
  vdb_status status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = follow_until(job, store_length(store), os_ticks() + HOLD_NANOSECONDS, error);
  store_unlock(store);
  return status == VDB_ABSENT ? VDB_OK : status;
}

/* Whether following gets nowhere because writers are faster. */
static bool losing_ground(reclaim_job *job, uint64_t left) {
  bool closer = left < job->behind - job->behind / 4;
  job->patience = closer || job->behind == 0 ? PATIENCE : job->patience - 1;
  job->behind = left;
  return job->patience <= 0;
}

static vdb_status follow(vdb_store *store, reclaim_phase next, int64_t deadline, vdb_error *error) {
  reclaim_job *job = store->reclaim;
  uint64_t end = store_length(store), left = end - job->position;
  if (left <= LITTLE) {
    job->phase = next;
    job->behind = 0;
    return VDB_OK;
  }
  if (losing_ground(job, left)) return hold_and_follow(store, error);
  vdb_status status = follow_until(job, end, deadline, error);
  return status == VDB_ABSENT ? VDB_OK : status;
}

/* Exchange ----------------------------------------------------------------------------------------------------- */

static vdb_status name_logs(const store_view *view, swap_file *swap, vdb_error *error) {
  struct stat key_log, value_log;
  if (os.status(view->key_log.file, &key_log) != 0 || os.status(view->value_log.file, &value_log) != 0)
    return error_system(error, "cannot ask for the inodes of the new logs");
  swap->key_log_inode = (uint64_t)key_log.st_ino;
  swap->value_log_inode = (uint64_t)value_log.st_ino;
  return VDB_OK;
}

/* The index is derived, but a file that is renamed over another is written to the disk all the same: better now. */
static int sync_copy(void *context) {
  const store_view *view = context;
  int files[] = {view->value_log.file, view->key_log.file, view->index.file};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (os.sync(files[i]) != 0) return errno;
  return 0;
}

/* VDB_ABSENT when there is nothing to do for now: a slice doesn't wait for the disk. */
static vdb_status wait_for_copy(reclaim_job *job, bool in_slices, vdb_error *error) {
  int reason;
  if (job->syncing == NULL && in_slices) job->syncing = background_start(sync_copy, job->target.view);
  if (in_slices && job->syncing != NULL && !background_done(job->syncing, &reason)) return VDB_ABSENT;
  reason = job->syncing != NULL ? background_end(job->syncing) : sync_copy(job->target.view);
  job->syncing = NULL;
  job->phase = RECLAIM_FOLLOW_AGAIN;
  if (reason == 0) return VDB_OK;
  errno = reason;
  return error_system(error, "cannot sync the new files");
}

static vdb_status exchange_locked(vdb_store *store, vdb_error *error) {
  reclaim_job *job = store->reclaim;
  store_view *view = job->target.view;
  if (store->view != job->source)
    return error_set(error, VDB_CONFLICT, "the store's files were exchanged during the reclaim");
  vdb_status status = follow_until(job, store_length(store), INT64_MAX, error);
  if (status != VDB_ABSENT) return status;
  swap_file swap = {
      .generation = view->generation, .totals = *control_now(job->target.control.page), .time = os_now()};
  status = name_logs(view, &swap, error);
  if (status == VDB_OK) status = log_cut(&view->key_log, swap.totals.committed, error);
  if (status == VDB_OK) status = log_cut(&view->value_log, swap.totals.value_log_end, error);
  if (status == VDB_OK) status = view_sync(view, error);
  if (status == VDB_OK) status = swap_write(store->folder, &swap, error);
  if (status != VDB_OK) return status;
  status = swap_finish(store->folder, &store->control, &swap, store->wait, error);
  if (status != VDB_OK) atomic_store(&store->control.page->unrepaired, 1);
  return status;
}

/* Past the commit point a failure is no failure of the reclaim: the next who locks finishes it. */
static vdb_status exchange(vdb_store *store, vdb_error *error) {
  vdb_status status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = exchange_locked(store, error);
  store_unlock(store);
  if (status == VDB_OK) store->reclaim->phase = RECLAIM_DONE;
  return status;
}

/* The call ----------------------------------------------------------------------------------------------------- */

/* VDB_ABSENT when there is nothing to do for now. */
static vdb_status step(vdb_store *store, int64_t deadline, vdb_error *error) {
  reclaim_job *job = store->reclaim;
  switch (job->phase) {
  case RECLAIM_COLLECT: return collect_line(job, error);
  case RECLAIM_SORT: return sort_some(job, error);
  case RECLAIM_COPY: return copy_next(job, error);
  case RECLAIM_FOLLOW: return follow(store, RECLAIM_SYNC, deadline, error);
  case RECLAIM_SYNC: return wait_for_copy(job, deadline != INT64_MAX, error);
  case RECLAIM_FOLLOW_AGAIN: return follow(store, RECLAIM_EXCHANGE, deadline, error);
  case RECLAIM_EXCHANGE: return exchange(store, error);
  default: return VDB_OK;
  }
}

/* Work done and to do, in lines and bytes that take about as long as each other. */
static void report_progress(vdb_store *store, const vdb_reclaim_options *options, bool *go_on) {
  const reclaim_job *job = store->reclaim;
  uint64_t total = job->end, collected = job->phase == RECLAIM_COLLECT ? job->position / 2 : job->end / 2;
  uint64_t copied =
      job->count == 0 || job->phase < RECLAIM_COPY ? 0 : job->end / 2 * job->copied / job->count;
  *go_on = options->progress(options->context, NULL, job->phase == RECLAIM_DONE ? total : collected + copied,
                             total);
}

static vdb_status work(vdb_store *store, const vdb_reclaim_options *options, vdb_error *error) {
  int64_t now = os_ticks(), reported = now;
  int64_t deadline = options->budget_seconds > 0 ? now + (int64_t)(options->budget_seconds * 1e9) : INT64_MAX;
  vdb_status status = VDB_OK;
  while (status == VDB_OK && store->reclaim->phase != RECLAIM_DONE && now < deadline) {
    status = step(store, deadline, error);
    now = os_ticks();
    if (options->progress == NULL || status != VDB_OK || now - reported < 10 * 1000 * 1000) continue;
    bool go_on;
    report_progress(store, options, &go_on);
    reported = now;
    if (!go_on) status = error_set(error, VDB_CONFLICT, "stopped by the progress function");
  }
  return status == VDB_ABSENT ? VDB_OK : status;
}

static vdb_status check_reclaim(const vdb_reclaim_options *options, vdb_error *error) {
  if (options->budget_seconds >= 0 && options->budget_seconds < 1e9) return VDB_OK;
  return error_set(error, VDB_RANGE, "budget: the number of seconds must be greater than 0");
}

vdb_status vdb_reclaim(vdb_store *store, const vdb_reclaim_options *options, bool *more, vdb_error *error) {
  static const vdb_reclaim_options plain;
  if (options == NULL) options = &plain;
  if (more != NULL) *more = false;
  vdb_status status = store_enter(store, error);
  if (status == VDB_OK) status = check_reclaim(options, error);
  if (status == VDB_OK && store->reclaim == NULL) status = start(store, error);
  if (status == VDB_OK) status = work(store, options, error);
  bool unfinished = status == VDB_OK && store->reclaim->phase != RECLAIM_DONE;
  if (unfinished) {
    if (more != NULL) *more = true;
    return VDB_OK;
  }
  bool begun = store->reclaim != NULL;
  bool failed = status != VDB_OK && atomic_load(&store->control.page->unrepaired) == 0;
  reclaim_forget(store);
  if (begun && failed) (void)swap_remove_new_files(store->folder, NULL);
  if (begun) control_leave_reclaim(&store->control);
  return status == VDB_OK ? store_enter(store, error) : status;
}

/* By itself ---------------------------------------------------------------------------------------------------- */

#define TEND_NANOSECONDS 50000
#define TEND_LEAST ((uint64_t)16 * 1024 * 1024) /* logs shorter than this are left alone */

static bool worth_reclaiming(const vdb_store *store) {
  control_totals totals = *control_now(store->control.page);
  uint64_t all = totals.committed + totals.value_log_end, live = totals.key_log_live + totals.value_log_live;
  if (all < TEND_LEAST || totals.committed < store->reclaim_from || live >= all) return false;
  return (double)(all - live) > store->options.reclaim_fraction * (double)all;
}

void reclaim_tend(vdb_store *store) {
  static const vdb_reclaim_options slice = {.budget_seconds = TEND_NANOSECONDS / 1e9};
  if (store->reclaim == NULL && !worth_reclaiming(store)) return;
  uint64_t length = atomic_load_explicit(&store->control.page->committed, memory_order_relaxed);
  if (vdb_reclaim(store, &slice, NULL, NULL) == VDB_OK) store->reclaim_from = 0;
  else store->reclaim_from = length + length / 2;
}
