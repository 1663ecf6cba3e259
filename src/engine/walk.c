/*
** walk.c - all keys in the order of their last write, as they were when the walk began.
**
** The walk takes a snapshot and reads the key log from its start to the snapshot's end. A line counts when it is its key's
** line in the snapshot.
**
** Lines stand one behind the other, but their keys' slots are all over the index. So a few lines are read ahead, and their
** slots fetched, while there are others to hand out.
*/
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

#define AHEAD 8u

struct vdb_walk {
  vdb_snapshot snapshot;
  uint64_t position; /* of the first line that was not read */
  kept_line ahead[AHEAD];
  unsigned next, count; /* in `ahead` */
  char *key;            /* the text of the last key, then its bytes */
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
static vdb_status keep_key(vdb_walk *walk, const kept_line *at, vdb_error *error) {
  size_t room = 2 * at->entry.key_size;
  if (room > walk->key_room) {
    char *key = realloc(walk->key, room);
    if (key == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
    walk->key = key;
    walk->key_room = room;
  }
  const char *text = at->key == RECORD_NONE ? at->entry.key : walk->snapshot.view->key_log.base + at->key;
  memcpy(walk->key, text, at->entry.key_size);
  return VDB_OK;
}

static bool skip_blank(vdb_walk *walk) {
  const vdb_snapshot *snapshot = &walk->snapshot;
  const char *base = snapshot->view->key_log.base;
  while (walk->position < snapshot->end && base[walk->position] == '\n') walk->position++;
  return walk->position < snapshot->end;
}

/*
** VDB_ABSENT at the end. A line that is damaged, or whose key lies in the scratch, is left until it is the first, so that it
** is told, or used, before any other is read.
*/
static vdb_status read_ahead(vdb_walk *walk, vdb_error *error) {
  store_view *view = walk->snapshot.view;
  vdb_status status = log_cover(&view->key_log, walk->snapshot.end, error);
  if (status != VDB_OK) return status;
  bool alone = false;
  walk->next = walk->count = 0;
  while (walk->count < AHEAD && !alone && skip_blank(walk)) {
    record entry;
    bool first = walk->count == 0;
    status = view_read_line(view, walk->position, &entry, &walk->snapshot.scratch, first ? error : NULL);
    if (status != VDB_OK) return first ? status : VDB_OK;
    bool mapped = view_keep_line(view, walk->position, &entry, &walk->ahead[walk->count]);
    if (!mapped && !first) return VDB_OK;
    walk->position += entry.line_size;
    if (entry.type == RECORD_DEL) continue;
    walk->count++;
    alone = !mapped;
  }
  return walk->count > 0 ? VDB_OK : VDB_ABSENT;
}

/* Whether the line is its key's line in the snapshot. */
static vdb_status counts(vdb_walk *walk, const kept_line *at, bool *yes, vdb_error *error) {
  uint64_t newest;
  record entry;
  *yes = index_names(&walk->snapshot.view->index, at->hash, at->line);
  if (*yes) return VDB_OK;
  vdb_status status = snapshot_find(&walk->snapshot, walk->key, at->entry.key_size, &newest, &entry, error);
  if (status == VDB_ABSENT)
    return error_set(error, VDB_CORRUPT,
                     INDEX_NAME " misses the line at byte %llu of " KEY_LOG_NAME
                                ": close the store in all processes, delete " INDEX_NAME ", open it again",
                     (unsigned long long)at->line);
  *yes = status == VDB_OK && newest == at->line;
  return status;
}

static vdb_status fill_key(vdb_walk *walk, const kept_line *at, vdb_key *key, vdb_error *error) {
  size_t size = at->entry.key_size;
  if (record_read_key(walk->key, size, walk->key + size, key)) return VDB_OK;
  return error_set(error, VDB_CORRUPT,
                   "the key of the line at byte %llu of " KEY_LOG_NAME " can't be read: run viperdb.repair",
                   (unsigned long long)at->line);
}

static vdb_status fill_value(vdb_walk *walk, const kept_line *at, vdb_value *value, vdb_error *error) {
  const char *bytes;
  const record *entry = &at->entry;
  vdb_status status = view_read_value(walk->snapshot.view, at->line, entry, &bytes, error);
  if (status != VDB_OK) return status;
  *value = (vdb_value){
      .encoding = entry->encoding,
      .bytes = bytes,
      .size = (size_t)entry->value_size,
      .expiration = entry->expiration,
  };
  return VDB_OK;
}

/* One line of those read ahead; VDB_ABSENT when its key has no value or a newer line. */
static vdb_status hand_out(vdb_walk *walk, const kept_line *at, vdb_key *key, vdb_value *value,
                           vdb_error *error) {
  bool yes = false;
  vdb_status status = keep_key(walk, at, error);
  if (status == VDB_OK) status = counts(walk, at, &yes, error);
  if (status == VDB_OK && !yes) return VDB_ABSENT;
  if (status == VDB_OK) status = fill_key(walk, at, key, error);
  if (status != VDB_OK) return status;
  if (!record_alive(&at->entry)) return view_check_expired(walk->snapshot.view, at->line, &at->entry, error);
  return value == NULL ? VDB_OK : fill_value(walk, at, value, error);
}

vdb_status vdb_walk_next(vdb_walk *walk, vdb_key *key, vdb_value *value, vdb_error *error) {
  if (walk->snapshot.store->closed)
    return error_set(error, VDB_CLOSED, "the store was closed during the walk");
  for (;;) {
    vdb_status status = walk->next < walk->count ? VDB_OK : read_ahead(walk, error);
    if (status != VDB_OK) return status;
    status = hand_out(walk, &walk->ahead[walk->next++], key, value, error);
    if (status != VDB_ABSENT) return status;
  }
}
