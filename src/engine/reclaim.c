/*
** reclaim.c - rewriting the live records; one commit point.
**
** The live lines, in key order, and their values are copied to db.klog.new and db.vlog.new, with an index beside them;
** then swap.c exchanges the files.
**
** Expired keys, deleted keys and old versions are not copied; nothing else is left out. A damaged live record stops
** the reclaim with nothing changed.
*/
#define _GNU_SOURCE

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "swap.h"

vdb_status reclaim_finish(vdb_store *store, vdb_error *error) {
  swap_file swap;
  vdb_status status = swap_read(store->folder, &swap, error);
  if (status == VDB_ABSENT) return swap_remove_new_files(store->folder, error);
  if (status != VDB_OK) return status;
  return swap_finish(store->folder, &store->control, &swap, store->wait, error);
}

typedef struct live_line {
  uint64_t line;
  const char *key; /* the canonical text, at the copier's keys */
  uint32_t key_size;
} live_line;

/* A file that is written from its start, through a buffer. */
typedef struct copy_file {
  log_file log;
  uint64_t length; /* bytes written so far, buffered ones included */
  char *buffer;
  size_t used;
} copy_file;

#define COPY_BUFFER ((size_t)256 * 1024)

typedef struct copy_job {
  vdb_store *store;
  store_view *view;
  copy_file key_log;
  copy_file value_log;
  hash_index index;
  live_line *lines;
  size_t count, room;
  char **key_blocks; /* memory that the keys of `lines` lie in */
  size_t block_count;
  size_t block_used, block_size;
  control_totals totals;
  char *line;
  size_t line_room;
  record_scratch scratch;
} copy_job;

static vdb_status no_memory(vdb_error *error) {
  return error_set(error, VDB_NO_MEMORY, "out of memory while reclaiming; the store is as it was");
}

/* Copies a key's text to memory that stays where it is. */
static const char *keep_text(copy_job *job, const char *text, size_t size) {
  if (size > job->block_size - job->block_used) {
    size_t block_size = size > COPY_BUFFER ? size : COPY_BUFFER;
    char **blocks = realloc(job->key_blocks, (job->block_count + 1) * sizeof *blocks);
    if (blocks == NULL) return NULL;
    job->key_blocks = blocks;
    char *block = malloc(block_size);
    if (block == NULL) return NULL;
    blocks[job->block_count++] = block;
    job->block_size = block_size;
    job->block_used = 0;
  }
  char *kept = job->key_blocks[job->block_count - 1] + job->block_used;
  memcpy(kept, text, size);
  job->block_used += size;
  return kept;
}

static vdb_status add_line(copy_job *job, uint64_t line, const record *entry, vdb_error *error) {
  if (job->count == job->room) {
    size_t room = job->room == 0 ? 1024 : 2 * job->room;
    live_line *lines = realloc(job->lines, room * sizeof *lines);
    if (lines == NULL) return no_memory(error);
    job->lines = lines;
    job->room = room;
  }
  const char *key = keep_text(job, entry->key, entry->key_size);
  if (key == NULL) return no_memory(error);
  job->lines[job->count++] = (live_line){.line = line, .key = key, .key_size = (uint32_t)entry->key_size};
  return VDB_OK;
}

/* A line is live when it is a set that didn't expire, and what the index has for its key. */
static vdb_status collect_line(copy_job *job, uint64_t line, record *entry, vdb_error *error) {
  vdb_status status = view_read_line(job->view, line, entry, &job->scratch, error);
  if (status != VDB_OK || !record_alive(entry)) return status;
  store_found found;
  status = add_line(job, line, entry, error);
  if (status != VDB_OK) return status;
  const live_line *added = &job->lines[job->count - 1];
  size_t line_size = entry->line_size;
  status = view_find(job->view, &job->scratch, added->key, added->key_size, &found, error);
  if (status == VDB_OK && (!found.exists || found.line != line)) job->count--;
  entry->line_size = line_size;
  return status;
}

static vdb_status collect(copy_job *job, vdb_error *error) {
  uint64_t line = 0, end = control_now(job->store->control.page)->committed;
  vdb_status status = log_cover(&job->view->key_log, end, error);
  while (status == VDB_OK && line < end) {
    if (job->view->key_log.base[line] == '\n') {
      line++;
      continue;
    }
    record entry;
    status = collect_line(job, line, &entry, error);
    if (status == VDB_OK) line += entry.line_size;
  }
  return status;
}

static int by_key(const void *left, const void *right) {
  const live_line *a = left, *b = right;
  size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
  int order = memcmp(a->key, b->key, size);
  return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static vdb_status flush(copy_file *file, vdb_error *error) {
  uint64_t start = file->length - file->used, limit;
  if (file->used == 0) return VDB_OK;
  bool fits = os.size_limit(&limit) != 0 || file->length <= limit;
  if (!fits) errno = EFBIG;
  if (!fits || os_write_all(file->log.file, file->buffer, file->used, start) != 0)
    return error_system(error, "cannot write %s, the store is as it was", file->log.name);
  file->used = 0;
  return VDB_OK;
}

static vdb_status append_copy(copy_file *file, const char *bytes, size_t size, vdb_error *error) {
  while (size > 0) {
    size_t part = COPY_BUFFER - file->used < size ? COPY_BUFFER - file->used : size;
    memcpy(file->buffer + file->used, bytes, part);
    file->used += part;
    file->length += part;
    bytes += part;
    size -= part;
    vdb_status status = file->used == COPY_BUFFER ? flush(file, error) : VDB_OK;
    if (status != VDB_OK) return status;
  }
  return VDB_OK;
}

static vdb_status line_memory(copy_job *job, size_t room, vdb_error *error) {
  if (room <= job->line_room) return VDB_OK;
  char *line = realloc(job->line, room);
  if (line == NULL) return no_memory(error);
  job->line = line;
  job->line_room = room;
  return VDB_OK;
}

/* The copied keys are all different, so the first empty slot of a key's search is its own. */
static vdb_status index_copy(copy_job *job, const live_line *live, uint64_t line, uint64_t value, vdb_error *error) {
  index_probe probe;
  uint64_t hash = index_hash(&job->index, live->key, live->key_size), other_line, other_value;
  vdb_status status = index_make_room(&job->index, hash, error);
  if (status == VDB_OK) status = index_seek(&job->index, hash, &probe, error);
  if (status != VDB_OK) return status;
  while (index_next(&probe, &other_line, &other_value)) continue;
  index_publish(&job->index, &probe, line, value);
  return VDB_OK;
}

static vdb_status copy_line(copy_job *job, const live_line *live, vdb_error *error) {
  record entry;
  const char *bytes;
  vdb_status status = view_read_line(job->view, live->line, &entry, &job->scratch, error);
  if (status == VDB_OK) status = view_read_value(job->view, live->line, &entry, &bytes, error);
  if (status == VDB_OK) status = line_memory(job, record_bound(live->key_size), error);
  if (status != VDB_OK) return status;
  entry.key = live->key;
  entry.offset = job->value_log.length;
  entry.prev = RECORD_NONE;
  entry.batch = 0;
  size_t size = record_print(job->line, &entry, bytes);
  uint64_t line = job->key_log.length;
  status = append_copy(&job->value_log, bytes, (size_t)entry.value_size, error);
  if (status == VDB_OK) status = append_copy(&job->key_log, job->line, size, error);
  if (status == VDB_OK) status = index_copy(job, live, line, entry.offset, error);
  job->totals.keys++;
  job->totals.key_log_live += size;
  job->totals.value_log_live += entry.value_size;
  return status;
}

static vdb_status start_file(copy_job *job, copy_file *file, const char *name, char filler, vdb_error *error) {
  struct stat status;
  log_init(&file->log, name, filler);
  file->buffer = malloc(COPY_BUFFER);
  if (file->buffer == NULL) return no_memory(error);
  return log_open(&file->log, job->store->folder, O_RDWR | O_CREAT | O_TRUNC, &status, error);
}

static vdb_status start_copy(copy_job *job, vdb_error *error) {
  vdb_status status = start_file(job, &job->key_log, swap_new_names[0], '\n', error);
  if (status == VDB_OK) status = start_file(job, &job->value_log, swap_new_names[1], '\0', error);
  index_init(&job->index, swap_new_names[2]);
  if (status == VDB_OK) status = index_create(&job->index, job->store->folder, job->view->generation + 2, error);
  return status;
}

static vdb_status copy_lines(copy_job *job, vdb_error *error) {
  vdb_status status = VDB_OK;
  qsort(job->lines, job->count, sizeof *job->lines, by_key);
  for (size_t i = 0; i < job->count && status == VDB_OK; i++) status = copy_line(job, &job->lines[i], error);
  if (status == VDB_OK) status = flush(&job->value_log, error);
  if (status == VDB_OK) status = flush(&job->key_log, error);
  return status;
}

static void end_copy(copy_job *job) {
  log_close(&job->key_log.log);
  log_close(&job->value_log.log);
  index_close(&job->index);
  free(job->key_log.buffer);
  free(job->value_log.buffer);
  for (size_t i = 0; i < job->block_count; i++) free(job->key_blocks[i]);
  free(job->key_blocks);
  free(job->lines);
  free(job->line);
  record_scratch_free(&job->scratch);
}

static vdb_status commit_copy(copy_job *job, vdb_error *error) {
  vdb_status status = log_sync(&job->value_log.log, error);
  if (status == VDB_OK) status = log_sync(&job->key_log.log, error);
  if (status != VDB_OK) return status;
  job->totals.committed = job->key_log.length;
  job->totals.value_log_end = job->value_log.length;
  swap_file swap = {.generation = job->view->generation + 2, .totals = job->totals, .time = os_now()};
  status = swap_write(job->store->folder, &swap, error);
  if (status != VDB_OK) return status;
  return swap_finish(job->store->folder, &job->store->control, &swap, job->store->wait, error);
}

static vdb_status copy_and_exchange(vdb_store *store, vdb_error *error) {
  copy_job job = {.store = store, .view = store->view};
  log_init(&job.key_log.log, KEY_LOG_NAME, '\n');
  log_init(&job.value_log.log, VALUE_LOG_NAME, '\0');
  index_init(&job.index, INDEX_NAME);
  vdb_status status = swap_remove_new_files(store->folder, error);
  if (status == VDB_OK) status = collect(&job, error);
  if (status == VDB_OK) status = start_copy(&job, error);
  if (status == VDB_OK) status = copy_lines(&job, error);
  if (status == VDB_OK) status = commit_copy(&job, error);
  end_copy(&job);
  return status;
}

/* A failure after the commit point leaves an odd generation, or a swap file: the next who locks goes on with it. */
static vdb_status reclaim_locked(vdb_store *store, vdb_error *error) {
  vdb_status status = copy_and_exchange(store, error);
  if (status == VDB_OK) return VDB_OK;
  swap_file swap;
  if (swap_read(store->folder, &swap, NULL) == VDB_ABSENT)
    (void)swap_remove_new_files(store->folder, NULL);
  else
    atomic_store(&store->control.page->unrepaired, 1);
  return status;
}

vdb_status vdb_reclaim(vdb_store *store, vdb_error *error) {
  vdb_status status = store_lock(store, error);
  if (status != VDB_OK) return status;
  if (!control_try_reclaim(&store->control))
    status = error_set(error, VDB_BUSY, "another process is reclaiming the store");
  if (status == VDB_OK) {
    status = reclaim_locked(store, error);
    control_leave_reclaim(&store->control);
  }
  store_unlock(store);
  return status == VDB_OK ? store_enter(store, error) : status;
}
