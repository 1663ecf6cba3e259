/*
** walk.c - all keys in the order of their last write, as they were when the walk began.
**
** The walk takes a snapshot and reads the key log from its start to the snapshot's end. A line counts when it is its key's
** line in the snapshot.
*/
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

struct vdb_walk {
  vdb_snapshot snapshot;
  uint64_t position;
  char *key; /* the text of the last key, then its bytes */
  size_t key_room;
};

vdb_status vdb_walk_begin(vdb_store *store, vdb_walk **out, vdb_error *error) {
  *out = NULL;
  vdb_walk *walk = calloc(1, sizeof *walk);
  if (walk == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  vdb_status status = snapshot_take(&walk->snapshot, store, error);
  if (status == VDB_OK) *out = walk;
  else free(walk);
  return status;
}

void vdb_walk_end(vdb_walk *walk) {
  if (walk == NULL) return;
  snapshot_drop(&walk->snapshot);
  free(walk->key);
  free(walk);
}

/* Keeps the key's text, since the lookup moves mappings, and room for its bytes behind it. */
static vdb_status keep_key(vdb_walk *walk, const record *entry, vdb_error *error) {
  size_t room = 2 * entry->key_size;
  if (room > walk->key_room) {
    char *key = realloc(walk->key, room);
    if (key == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
    walk->key = key;
    walk->key_room = room;
  }
  memcpy(walk->key, entry->key, entry->key_size);
  return VDB_OK;
}

/* The next line from the position on; VDB_ABSENT at the end. */
static vdb_status next_line(vdb_walk *walk, record *entry, uint64_t *line, vdb_error *error) {
  vdb_snapshot *snapshot = &walk->snapshot;
  log_file *log = &snapshot->view->key_log;
  vdb_status status = log_cover(log, snapshot->end, error);
  if (status != VDB_OK) return status;
  while (walk->position < snapshot->end && log->base[walk->position] == '\n') walk->position++;
  if (walk->position >= snapshot->end) return VDB_ABSENT;
  *line = walk->position;
  status = view_read_line(snapshot->view, *line, entry, &snapshot->scratch, error);
  if (status == VDB_OK) walk->position += entry->line_size;
  return status;
}

/* Whether the line is its key's line in the snapshot; *entry is parsed again. */
static vdb_status counts(vdb_walk *walk, uint64_t line, size_t key_size, record *entry, bool *yes,
                         vdb_error *error) {
  uint64_t newest;
  vdb_status status = snapshot_find(&walk->snapshot, walk->key, key_size, &newest, entry, error);
  if (status == VDB_ABSENT)
    return error_set(error, VDB_CORRUPT,
                     INDEX_NAME " misses the line at byte %llu of " KEY_LOG_NAME
                                ": close the store in all processes, delete " INDEX_NAME ", open it again",
                     (unsigned long long)line);
  *yes = status == VDB_OK && newest == line;
  return status;
}

static vdb_status fill_key(vdb_walk *walk, size_t size, vdb_key *key, vdb_error *error) {
  if (record_read_key(walk->key, size, walk->key + size, key)) return VDB_OK;
  return error_set(error, VDB_CORRUPT,
                   "a key before byte %llu of " KEY_LOG_NAME " can't be read: run viperdb.repair",
                   (unsigned long long)walk->position);
}

static vdb_status fill_value(vdb_walk *walk, uint64_t line, const record *entry, vdb_value *value,
                             vdb_error *error) {
  const char *bytes;
  vdb_status status = view_read_value(walk->snapshot.view, line, entry, &bytes, error);
  if (status != VDB_OK) return status;
  *value = (vdb_value){
      .encoding = entry->encoding,
      .bytes = bytes,
      .size = (size_t)entry->value_size,
      .expiration = entry->expiration,
  };
  return VDB_OK;
}

vdb_status vdb_walk_next(vdb_walk *walk, vdb_key *key, vdb_value *value, vdb_error *error) {
  if (walk->snapshot.store->closed)
    return error_set(error, VDB_CLOSED, "the store was closed during the walk");
  for (;;) {
    record entry;
    uint64_t line;
    bool yes = false;
    vdb_status status = next_line(walk, &entry, &line, error);
    if (status != VDB_OK) return status;
    if (entry.type == RECORD_DEL) continue;
    size_t key_size = entry.key_size;
    status = keep_key(walk, &entry, error);
    if (status == VDB_OK) status = counts(walk, line, key_size, &entry, &yes, error);
    if (status == VDB_OK && !yes) continue;
    if (status == VDB_OK) status = fill_key(walk, key_size, key, error);
    if (status == VDB_OK && !record_alive(&entry)) {
      status = view_check_expired(walk->snapshot.view, line, &entry, error);
      if (status == VDB_ABSENT) continue;
    }
    if (status == VDB_OK && value != NULL) status = fill_value(walk, line, &entry, value, error);
    return status;
  }
}
