/*
** check.c - reading everything there is, and telling what is damaged.
**
** vdb_check reads all lines before the store's end, the values behind them, and every slot of the index. Lines before the
** end never change, so others may write meanwhile. vdb_repair reads the logs of a folder that may be beyond opening, line
** by line, and writes what is intact to a new store.
*/
#define _GNU_SOURCE

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "swap.h"

#define PROGRESS_BYTES ((uint64_t)1024 * 1024)

/* What is being read, and whom to tell. */
typedef struct inspection {
  store_view *view;
  uint64_t end;
  uint64_t problems;
  uint64_t reported; /* position at the last call for progress */
  bool stopped;
  vdb_report report;
  void *context;
  record_scratch scratch;
  record_scratch other;
} inspection;

static void tell(inspection *look, const char *problem, uint64_t position) {
  if (problem != NULL) look->problems++;
  look->reported = position;
  if (look->report != NULL && !look->report(look->context, problem, position, look->end))
    look->stopped = true;
}

static void tell_progress(inspection *look, uint64_t position) {
  if (position - look->reported >= PROGRESS_BYTES) tell(look, NULL, position);
}

/* Skips to the start of the next line. */
static uint64_t next_start(const inspection *look, uint64_t position) {
  const char *base = look->view->key_log.base;
  const char *newline = memchr(base + position, '\n', (size_t)(look->end - position));
  return newline == NULL ? look->end : (uint64_t)(newline - base) + 1;
}

static uint64_t skip_blank(const inspection *look, uint64_t position) {
  while (position < look->end && look->view->key_log.base[position] == '\n') position++;
  return position;
}

/* The record at the position when it and its value are intact. */
static vdb_status read_intact(inspection *look, uint64_t line, record *entry, const char **bytes,
                              vdb_error *error) {
  vdb_status status = view_read_line(look->view, line, entry, &look->scratch, error);
  *bytes = "";
  if (status != VDB_OK) return status;
  if (entry->type == RECORD_SET) return view_read_value(look->view, line, entry, bytes, error);
  if (record_intact(entry, "")) return VDB_OK;
  return error_set(error, VDB_CORRUPT, KEY_LOG_NAME " line at byte %llu is damaged",
                   (unsigned long long)line);
}

static bool fatal(vdb_status status) {
  return status == VDB_NO_MEMORY || status == VDB_IO;
}

static vdb_status stopped(vdb_error *error) {
  return error_set(error, VDB_CONFLICT, "stopped by the report function");
}

/* Checking ----------------------------------------------------------------------------------------------------- */

/* Each line's key must be in the index, at this line or at a later one. */
static vdb_status check_indexed(inspection *look, uint64_t line, const record *entry, vdb_error *error) {
  store_found found;
  vdb_status status = view_find(look->view, &look->other, entry->key, entry->key_size, &found, error);
  if (status != VDB_OK) return status;
  if (found.exists && found.line >= line) return VDB_OK;
  return error_set(error, VDB_CORRUPT,
                   INDEX_NAME " misses the line at byte %llu of " KEY_LOG_NAME
                              ": close the store in all processes and delete " INDEX_NAME,
                   (unsigned long long)line);
}

static vdb_status check_lines(inspection *look, vdb_error *error) {
  uint64_t line = 0;
  while ((line = skip_blank(look, line)) < look->end && !look->stopped) {
    record entry;
    const char *bytes;
    vdb_error problem;
    vdb_status status = read_intact(look, line, &entry, &bytes, &problem);
    if (status == VDB_OK) status = check_indexed(look, line, &entry, &problem);
    if (fatal(status)) return error_set(error, status, "%s", problem.message);
    if (status != VDB_OK) tell(look, problem.message, line);
    line = next_start(look, line);
    tell_progress(look, line);
  }
  return VDB_OK;
}

/* Each slot must name a line that its key's search ends at. */
static bool check_slot(void *context, uint64_t line) {
  inspection *look = context;
  record entry;
  store_found found;
  vdb_error problem;
  if (line >= look->end) return true;
  vdb_status status = view_read_line(look->view, line, &entry, &look->scratch, &problem);
  if (status == VDB_OK)
    status = view_find(look->view, &look->other, entry.key, entry.key_size, &found, &problem);
  if (status == VDB_OK && (!found.exists || found.line < line))
    status =
        error_set(&problem, VDB_CORRUPT,
                  INDEX_NAME " has a slot for the line at byte %llu of " KEY_LOG_NAME
                             " that no search finds: close the store in all processes and delete " INDEX_NAME,
                  (unsigned long long)line);
  if (status != VDB_OK) tell(look, problem.message, line);
  return !look->stopped;
}

vdb_status vdb_check(vdb_store *store, vdb_report report, void *context, uint64_t *problems,
                     vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status != VDB_OK) return status;
  inspection look = {.view = view_share(store->view), .report = report, .context = context};
  look.end = store_length(store);
  store->references++;
  status = log_cover(&look.view->key_log, look.end, error);
  if (status == VDB_OK) status = check_lines(&look, error);
  if (status == VDB_OK && !look.stopped) status = index_each(&look.view->index, check_slot, &look, error);
  if (status == VDB_OK && look.stopped) status = stopped(error);
  *problems = look.problems;
  view_release(look.view);
  store_release(store);
  record_scratch_free(&look.scratch);
  record_scratch_free(&look.other);
  return status;
}

/* Repairing ---------------------------------------------------------------------------------------------------- */

/* An interrupted reclaim may have left one of the logs, or both, under its new name. */
static vdb_status open_log(int folder, log_file *log, const char *new_name, bool swapped, vdb_error *error) {
  struct stat status;
  vdb_status result = swapped ? log_open_renamed(log, folder, new_name, O_RDONLY, &status, error)
                              : log_open(log, folder, O_RDONLY, &status, error);
  return result == VDB_OK ? log_cover(log, log->size, error) : result;
}

static vdb_status open_source(const char *path, store_view *view, vdb_error *error) {
  int folder = os.open_folder(path);
  if (folder < 0) return error_system(error, "cannot open the folder %s", path);
  swap_file swap;
  bool swapped = swap_read(folder, &swap, NULL) == VDB_OK;
  vdb_status status = open_log(folder, &view->key_log, swap_new_names[0], swapped, error);
  if (status == VDB_OK) status = open_log(folder, &view->value_log, swap_new_names[1], swapped, error);
  os.close(folder);
  return status;
}

static vdb_status open_target(const char *target, vdb_store **store, vdb_error *error) {
  vdb_status status = vdb_open(target, NULL, store, error);
  if (status == VDB_OK && store_length(*store) != 0)
    return error_set(error, VDB_CONFLICT, "%s holds a store already: name a new folder for the repaired one",
                     target);
  return status;
}

/*
** Where the last line ends: behind that is filler, if the store was not closed. It must not be looked at in the mapping,
** as who has the store open may cut it off when closing.
*/
static vdb_status find_end(const log_file *log, uint64_t *end, vdb_error *error) {
  char block[4096];
  ssize_t used = 0;
  for (*end = log->size; *end > 0 && used == 0;) {
    size_t size = *end < sizeof block ? (size_t)*end : sizeof block;
    *end -= size;
    used = os.read(log->file, block, size, (off_t)*end);
    if (used < 0) return error_system(error, "cannot read %s", log->name);
    while (used > 0 && block[used - 1] == log->filler) used--;
  }
  *end += (uint64_t)used;
  if (used > 0 && *end < log->size) ++*end; /* its own newline */
  return VDB_OK;
}

/* Whether the lines of a batch that begins here are all intact; *end is where it ends, or where that is seen. */
static bool batch_intact(inspection *look, uint64_t line, const record *first, uint64_t *end) {
  uint64_t left = first->batch;
  *end = line + first->line_size;
  while (left > 0) {
    record entry;
    const char *bytes;
    if (*end >= look->end || read_intact(look, *end, &entry, &bytes, NULL) != VDB_OK ||
        entry.batch != left - 1)
      return false;
    left--;
    *end += entry.line_size;
  }
  return true;
}

static vdb_status copy_until(inspection *look, vdb_store *target, uint64_t line, uint64_t end,
                             vdb_error *error) {
  while (line < end) {
    record entry;
    const char *bytes;
    vdb_status status = read_intact(look, line, &entry, &bytes, error);
    if (status == VDB_OK) status = store_copy_record(target, &entry, bytes, error);
    if (status != VDB_OK) return status;
    line += entry.line_size;
  }
  return VDB_OK;
}

static vdb_status copy_good(inspection *look, vdb_store *target, vdb_error *error) {
  uint64_t line = 0, end;
  while ((line = skip_blank(look, line)) < look->end && !look->stopped) {
    record entry;
    const char *bytes;
    vdb_error problem;
    vdb_status status = read_intact(look, line, &entry, &bytes, &problem);
    if (fatal(status)) return error_set(error, status, "%s", problem.message);
    if (status == VDB_OK && batch_intact(look, line, &entry, &end)) {
      status = copy_until(look, target, line, end, error);
      if (status != VDB_OK) return status;
      line = end;
    } else {
      if (status == VDB_OK) {
        snprintf(problem.message, sizeof problem.message,
                 "the batch that begins at byte %llu of " KEY_LOG_NAME " is not complete",
                 (unsigned long long)line);
        line = end;
      } else {
        line = next_start(look, line);
      }
      tell(look, problem.message, line);
    }
    tell_progress(look, line);
  }
  return look->stopped ? stopped(error) : VDB_OK;
}

static vdb_status copy_to(inspection *look, const char *target, vdb_error *error) {
  vdb_store *store = NULL;
  vdb_status status = open_target(target, &store, error);
  if (status == VDB_OK) status = copy_good(look, store, error);
  if (status == VDB_OK) status = vdb_sync(store, error);
  vdb_status closed = vdb_close(store, status == VDB_OK ? error : NULL);
  return status == VDB_OK ? closed : status;
}

vdb_status vdb_repair(const char *path, const char *target, vdb_report report, void *context,
                      vdb_error *error) {
  inspection look = {.view = view_new(), .report = report, .context = context};
  if (look.view == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  vdb_status status = open_source(path, look.view, error);
  if (status == VDB_OK) status = find_end(&look.view->key_log, &look.end, error);
  if (status == VDB_OK) status = copy_to(&look, target, error);
  view_release(look.view);
  record_scratch_free(&look.scratch);
  record_scratch_free(&look.other);
  return status;
}
