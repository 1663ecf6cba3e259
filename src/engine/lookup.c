/*
** lookup.c - from a key to its newest line and its value, without a lock.
**
** The index yields candidates; the key in the line decides. Everything that is read is checked against the length of
** its file before it is touched and against its checksum before it is given out, so a wrong slot, line or value is
** VDB_CORRUPT, never another key's value and never an older one.
*/
#include "store.h"

#include <string.h>

#include "error.h"

static vdb_status bad_line(uint64_t line, vdb_error *error) {
  return error_set(error, VDB_CORRUPT, KEY_LOG_NAME " line at byte %llu is damaged: run viperdb.repair",
                   (unsigned long long)line);
}

/* The line may only end behind the file's end that this handle knew, since others write too: VDB_OK, look again. */
static vdb_status explain_line(log_file *log, uint64_t line, vdb_error *error) {
  uint64_t known = log->size;
  vdb_status status = log_measure(log, error);
  if (status != VDB_OK || log->size > known) return status;
  return bad_line(line, error);
}

vdb_status view_read_line(store_view *view, uint64_t line, record *entry, record_scratch *scratch,
                          vdb_error *error) {
  log_file *log = &view->key_log;
  if (line >= log->size || log->mapped < log->size) {
    vdb_status status = log_cover(log, line + 1, error);
    if (status == VDB_OK) status = log_cover(log, log->size, error);
    if (status != VDB_OK) return status;
  }
  /* A damaged slot may name no line at all: its offset + 1 is 0. */
  if (line >= log->size) return bad_line(line, error);
  if (line > 0 && log->base[line - 1] != '\n') return bad_line(line, error);
  vdb_status status = record_parse(log->base + line, (size_t)(log->size - line), entry, scratch);
  if (status == VDB_CORRUPT) {
    status = explain_line(log, line, error);
    return status == VDB_OK ? view_read_line(view, line, entry, scratch, error) : status;
  }
  if (status == VDB_UNSUPPORTED)
    return error_set(error, status,
                     KEY_LOG_NAME " line at byte %llu holds something that this version can't read",
                     (unsigned long long)line);
  if (status == VDB_NO_MEMORY) return error_set(error, status, "out of memory");
  if (entry->type == RECORD_DEL && !record_intact(entry, "")) return bad_line(line, error);
  return status;
}

bool view_keep_line(store_view *view, uint64_t line, const record *entry, kept_line *kept) {
  const log_file *log = &view->key_log;
  bool mapped = entry->key >= log->base && entry->key < log->base + log->size;
  kept->entry = *entry;
  kept->line = line;
  kept->key = mapped ? (uint64_t)(entry->key - log->base) : RECORD_NONE;
  kept->hash = index_hash(&view->index, entry->key, entry->key_size);
  index_fetch(&view->index, kept->hash);
  return mapped;
}

/*
** The value is fetched while the line is being read: the hint saves waiting for one memory access after the other. The
** first byte of each is loaded for good, since a mere prefetch is dropped where the page's address is not at hand.
*/
static void fetch_ahead(const store_view *view, uint64_t line, uint64_t value) {
  const log_file *keys = &view->key_log, *values = &view->value_log;
  if (value < values->size && values->size <= values->mapped) {
    (void)*(const volatile char *)(values->base + value);
    __builtin_prefetch(values->base + value + 64);
  }
  if (line < keys->size && keys->size <= keys->mapped) {
    (void)*(const volatile char *)(keys->base + line);
    __builtin_prefetch(keys->base + line + 64);
    __builtin_prefetch(keys->base + line + 128);
  }
}

/* A slot with this hash names a line with another key: that is a damaged line or slot, if the key's hash is another. */
static vdb_status check_other_key(const store_view *view, const store_found *found, vdb_error *error) {
  uint64_t hash = index_hash(&view->index, found->record.key, found->record.key_size);
  return hash == found->probe.hash ? VDB_OK : bad_line(found->line, error);
}

static vdb_status search(store_view *view, record_scratch *scratch, const char *key, size_t size,
                         store_found *found, vdb_error *error) {
  uint64_t value;
  found->exists = false;
  while (index_next(&found->probe, &found->line, &value)) {
    OS_STOP("candidate");
    fetch_ahead(view, found->line, value);
    vdb_status status = view_read_line(view, found->line, &found->record, scratch, error);
    if (status != VDB_OK) return status;
    found->exists = found->record.key_size == size && memcmp(found->record.key, key, size) == 0;
    if (found->exists) return VDB_OK;
    status = check_other_key(view, found, error);
    if (status != VDB_OK) return status;
  }
  return VDB_OK;
}

vdb_status view_find(store_view *view, record_scratch *scratch, const char *key, size_t size,
                     store_found *found, vdb_error *error) {
  uint64_t hash = index_hash(&view->index, key, size);
  for (;;) {
    vdb_status status = index_seek(&view->index, hash, &found->probe, error);
    OS_STOP("sought");
    if (status == VDB_OK) status = search(view, scratch, key, size, found, error);
    OS_STOP("searched");
    if (index_unchanged(&view->index, &found->probe)) return status;
  }
}

bool record_alive(const record *entry) {
  if (entry->type == RECORD_DEL) return false;
  return entry->expiration == VDB_NEVER || entry->expiration > os_now();
}

static vdb_status bad_value(uint64_t line, const record *entry, vdb_error *error) {
  return error_set(
      error, VDB_CORRUPT,
      VALUE_LOG_NAME " is damaged at byte %llu (%llu bytes of the line at byte %llu of " KEY_LOG_NAME
                     "): run viperdb.repair",
      (unsigned long long)entry->offset, (unsigned long long)entry->value_size, (unsigned long long)line);
}

vdb_status view_read_value(store_view *view, uint64_t line, const record *entry, const char **bytes,
                           vdb_error *error) {
  log_file *log = &view->value_log;
  if (entry->value_size > VDB_MAX_VALUE_SIZE || entry->offset > INT64_MAX - VDB_MAX_VALUE_SIZE)
    return bad_value(line, entry, error);
  uint64_t end = entry->offset + entry->value_size;
  if (entry->value_size > 0 && (end > log->size || end > log->mapped)) {
    vdb_status status = log_cover(log, end, error);
    if (status == VDB_CORRUPT) return bad_value(line, entry, error);
    if (status != VDB_OK) return status;
  }
  *bytes = entry->value_size > 0 ? log->base + entry->offset : "";
  return record_intact(entry, *bytes) ? VDB_OK : bad_value(line, entry, error);
}

/* A damaged line must not pass for one that has expired. */
vdb_status view_check_expired(store_view *view, uint64_t line, const record *entry, vdb_error *error) {
  const char *bytes;
  vdb_status status = view_read_value(view, line, entry, &bytes, error);
  return status == VDB_OK ? VDB_ABSENT : status;
}

vdb_status view_go_back(store_view *view, uint64_t end, uint64_t *line, record *entry,
                        record_scratch *scratch, vdb_error *error) {
  while (*line >= end) {
    if (entry->prev == RECORD_NONE || entry->prev >= *line) return VDB_ABSENT;
    *line = entry->prev;
    vdb_status status = view_read_line(view, *line, entry, scratch, error);
    if (status != VDB_OK) return status;
  }
  return VDB_OK;
}
