/*
** snapshot.c - the store as it was at one moment.
**
** The index names a key's newest line of all. When that lies behind the snapshot's end, because the key was written
** meanwhile, `prev` leads back from line to line to the newest one before it. So nothing needs to be copied or kept from
** being written, however long the snapshot is used.
**
** A key that is written all the time makes that way back long, and a walk asks for it at each of the key's old lines. The
** answer is the same every time, so the last answers are kept.
*/
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

vdb_status snapshot_take(vdb_snapshot *snapshot, vdb_store *store, vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status != VDB_OK) return status;
  snapshot->end = store_length(store);
  store->references++;
  snapshot->store = store;
  snapshot->view = view_share(store->view);
  return VDB_OK;
}

void snapshot_drop(vdb_snapshot *snapshot) {
  view_release(snapshot->view);
  store_release(snapshot->store);
  record_scratch_free(&snapshot->scratch);
}

/* Hashes of 40 bits are not keys: the line that the answer names must be this key's. */
static bool find_answer(vdb_snapshot *snapshot, uint64_t hash, const char *key, size_t size, uint64_t *line,
                        record *entry) {
  const snapshot_answer *answer = &snapshot->answers[hash % SNAPSHOT_ANSWERS];
  if (!answer->known || answer->hash != hash) return false;
  if (view_read_line(snapshot->view, answer->line, entry, &snapshot->scratch, NULL) != VDB_OK) return false;
  if (entry->key_size != size || memcmp(entry->key, key, size) != 0) return false;
  *line = answer->line;
  return true;
}

static vdb_status go_back(vdb_snapshot *snapshot, uint64_t hash, uint64_t *line, record *entry,
                          vdb_error *error) {
  vdb_status status = view_go_back(snapshot->view, snapshot->end, line, entry, &snapshot->scratch, error);
  if (status == VDB_OK)
    snapshot->answers[hash % SNAPSHOT_ANSWERS] =
        (snapshot_answer){.known = true, .hash = hash, .line = *line};
  return status;
}

vdb_status snapshot_find(vdb_snapshot *snapshot, const char *key, size_t size, uint64_t *line, record *entry,
                         vdb_error *error) {
  store_found found;
  vdb_status status = view_find(snapshot->view, &snapshot->scratch, key, size, &found, error);
  if (status != VDB_OK) return status;
  if (!found.exists) return VDB_ABSENT;
  *line = found.line;
  *entry = found.record;
  if (found.line < snapshot->end) return VDB_OK;
  if (find_answer(snapshot, found.probe.hash, key, size, line, entry)) return VDB_OK;
  *line = found.line;
  *entry = found.record;
  return go_back(snapshot, found.probe.hash, line, entry, error);
}

vdb_status vdb_snapshot_begin(vdb_store *store, vdb_snapshot **out, vdb_error *error) {
  *out = NULL;
  vdb_snapshot *snapshot = calloc(1, sizeof *snapshot);
  if (snapshot == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  vdb_status status = snapshot_take(snapshot, store, error);
  if (status == VDB_OK) *out = snapshot;
  else free(snapshot);
  return status;
}

void vdb_snapshot_end(vdb_snapshot *snapshot) {
  if (snapshot == NULL) return;
  snapshot_drop(snapshot);
  free(snapshot);
}

vdb_status vdb_snapshot_get(vdb_snapshot *snapshot, const vdb_key *key, vdb_value *value, vdb_error *error) {
  vdb_store *store = snapshot->store;
  uint64_t line;
  record entry;
  size_t size;
  const char *bytes;
  if (store->closed)
    return error_set(error, VDB_CLOSED, "the store was closed while its snapshot was in use");
  vdb_status status = store_key_text(store, key, &size, error);
  if (status == VDB_OK) status = snapshot_find(snapshot, store->key_text, size, &line, &entry, error);
  if (status != VDB_OK) return status;
  if (entry.type == RECORD_DEL) return VDB_ABSENT;
  if (!record_alive(&entry)) return view_check_expired(snapshot->view, line, &entry, error);
  if (value == NULL) return VDB_OK;
  status = view_read_value(snapshot->view, line, &entry, &bytes, error);
  if (status != VDB_OK) return status;
  *value = (vdb_value){
      .encoding = entry.encoding,
      .bytes = bytes,
      .size = (size_t)entry.value_size,
      .expiration = entry.expiration,
  };
  return VDB_OK;
}
