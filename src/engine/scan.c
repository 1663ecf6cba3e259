/*
** scan.c - reading the logs from their start into an empty index.
**
** A batch counts when all its lines are there: its lines are looked at once before the first is applied.
**
** Keys that follow each other in the log have their slots all over the index. So lines are kept until there are some, and
** their slots fetched meanwhile.
*/
#include "scan.h"

#include <string.h>

#include "append.h"
#include "error.h"

#define KEPT 16u

typedef struct scan {
  store_view *view;
  const scan_trust *trust;
  control_totals *totals;
  uint64_t position;
  uint64_t read; /* lines from the position up to here are good: those of a batch that is not complete */
  kept_line kept[KEPT]; /* good lines before the position that are not applied yet */
  size_t count;
  record_scratch scratch;
  record_scratch other;
} scan;

/* Whether a line stands here whose value, if that is asked for, is intact. */
static vdb_status look(scan *scan_at, uint64_t line, bool check_value, record *entry, vdb_error *error) {
  const char *bytes = "";
  vdb_status status = view_read_line(scan_at->view, line, entry, &scan_at->scratch, error);
  if (status != VDB_OK || !check_value) return status;
  if (entry->type == RECORD_SET) return view_read_value(scan_at->view, line, entry, &bytes, error);
  if (record_intact(entry, bytes)) return VDB_OK;
  return error_set(error, VDB_CORRUPT, KEY_LOG_NAME " line at byte %llu is damaged: run viperdb.repair",
                   (unsigned long long)line);
}

static bool doubted(const scan *scan_at, uint64_t line) {
  return scan_at->trust->check_values && line >= scan_at->trust->mark;
}

/* The lines of the batch behind its first line. */
static vdb_status look_at_batch(scan *scan_at, uint64_t line, const record *first, vdb_error *error) {
  uint64_t left = first->batch;
  scan_at->read = line + first->line_size;
  while (left > 0) {
    record entry;
    vdb_status status = look(scan_at, scan_at->read, doubted(scan_at, scan_at->read), &entry, error);
    if (status != VDB_OK) return status;
    left--;
    if (entry.batch != left)
      return error_set(error, VDB_CORRUPT,
                       "the batch that begins at byte %llu of " KEY_LOG_NAME
                       " is not complete: run viperdb.repair",
                       (unsigned long long)line);
    scan_at->read += entry.line_size;
  }
  return VDB_OK;
}

static vdb_status apply(scan *scan_at, uint64_t line, const record *entry, vdb_error *error) {
  store_view *view = scan_at->view;
  store_found old;
  vdb_status status =
      index_make_room(&view->index, index_hash(&view->index, entry->key, entry->key_size), error);
  if (status == VDB_OK) status = view_find(view, &scan_at->other, entry->key, entry->key_size, &old, error);
  if (status != VDB_OK) return status;
  index_publish(&view->index, &old.probe, line, entry->type == RECORD_SET ? entry->offset : 0);
  append_count(scan_at->totals, old.exists, &old.record, entry);
  uint64_t end = entry->type == RECORD_SET ? entry->offset + entry->value_size : 0;
  if (end > view->value_log.size) end = view->value_log.size; /* a missing value makes no log longer */
  if (end > scan_at->totals->value_log_end) scan_at->totals->value_log_end = end;
  return VDB_OK;
}

static vdb_status apply_kept(scan *scan_at, vdb_error *error) {
  vdb_status status = VDB_OK;
  for (size_t i = 0; i < scan_at->count && status == VDB_OK; i++) {
    kept_line *kept = &scan_at->kept[i];
    kept->entry.key = scan_at->view->key_log.base + kept->key;
    status = apply(scan_at, kept->line, &kept->entry, error);
  }
  scan_at->count = 0;
  return status;
}

static vdb_status apply_until(scan *scan_at, uint64_t end, vdb_error *error) {
  while (scan_at->position < end) {
    record entry;
    vdb_status status = look(scan_at, scan_at->position, false, &entry, error);
    if (status == VDB_OK) status = apply(scan_at, scan_at->position, &entry, error);
    if (status != VDB_OK) return status;
    scan_at->position += entry.line_size;
  }
  return VDB_OK;
}

static vdb_status read_batch(scan *scan_at, const record *first, vdb_error *error) {
  vdb_status status = apply_kept(scan_at, error);
  if (status == VDB_OK) status = look_at_batch(scan_at, scan_at->position, first, error);
  return status == VDB_OK ? apply_until(scan_at, scan_at->read, error) : status;
}

static vdb_status read_next(scan *scan_at, vdb_error *error) {
  record entry;
  scan_at->read = scan_at->position;
  vdb_status status = look(scan_at, scan_at->position, doubted(scan_at, scan_at->position), &entry, error);
  if (status != VDB_OK) return status;
  kept_line *kept = &scan_at->kept[scan_at->count];
  if (entry.batch > 0 || !view_keep_line(scan_at->view, scan_at->position, &entry, kept))
    return read_batch(scan_at, &entry, error);
  scan_at->position += entry.line_size;
  return ++scan_at->count < KEPT ? VDB_OK : apply_kept(scan_at, error);
}

/* Whether an intact line begins anywhere from `from` on. */
static bool good_line_from(scan *scan_at, uint64_t from) {
  const log_file *log = &scan_at->view->key_log;
  for (;;) {
    while (from < log->size && log->base[from] == '\n') from++;
    record entry;
    if (from >= log->size) return false;
    if (look(scan_at, from, true, &entry, NULL) == VDB_OK) return true;
    const char *newline = memchr(log->base + from, '\n', (size_t)(log->size - from));
    if (newline == NULL) return false;
    from = (uint64_t)(newline - log->base) + 1;
  }
}

/* Behind filler there may be lines that the disk got before the ones in between: they never happened, either. */
static bool skip_blank(scan *scan_at) {
  const log_file *log = &scan_at->view->key_log;
  uint64_t at = scan_at->position;
  while (at < log->size && log->base[at] == '\n') at++;
  if (at > scan_at->position && doubted(scan_at, scan_at->position) && scan_at->trust->marked) return false;
  if (at < log->size) scan_at->position = at;
  return at < log->size;
}

static vdb_status scan_lines(scan *scan_at, vdb_error *error) {
  vdb_status status = VDB_OK;
  while (status == VDB_OK && skip_blank(scan_at)) status = read_next(scan_at, error);
  vdb_status applied = apply_kept(scan_at, error);
  if (applied != VDB_OK) return applied;
  if (status != VDB_CORRUPT || scan_at->position < scan_at->trust->mark) return status;
  if (!scan_at->trust->marked && good_line_from(scan_at, scan_at->read)) return status;
  return VDB_OK;
}

vdb_status scan_logs(store_view *view, const scan_trust *trust, control_totals *totals, vdb_error *error) {
  scan scan_at = {.view = view, .trust = trust, .totals = totals};
  vdb_status status = log_measure(&view->key_log, error);
  if (status == VDB_OK) status = log_measure(&view->value_log, error);
  if (status == VDB_OK) status = log_cover(&view->key_log, view->key_log.size, error);
  if (status == VDB_OK && view->key_log.size > 0) status = scan_lines(&scan_at, error);
  if (status == VDB_OK && scan_at.position < trust->mark)
    status = error_set(error, VDB_CORRUPT,
                       KEY_LOG_NAME " ends at byte %llu, but had %llu bytes on the disk: run "
                                    "viperdb.repair",
                       (unsigned long long)scan_at.position, (unsigned long long)trust->mark);
  totals->committed = scan_at.position;
  record_scratch_free(&scan_at.scratch);
  record_scratch_free(&scan_at.other);
  return status;
}
