/*
** viperdb.c - ViperDB through its C contract, with the options a program gets that asks for none.
*/
#include <stdlib.h>
#include <string.h>

#include "../../src/engine/viperdb.h"
#include "../adapter.h"

static bool said(vdb_status status, const char *call, const vdb_error *error) {
  return status == VDB_OK || adapter_failed(call, error->message);
}

static void *open_store(const char *folder, const adapter_options *options) {
  vdb_store *store;
  vdb_error error;
  vdb_options wanted = {.sync = options->sync_each ? VDB_SYNC_ALWAYS : VDB_SYNC_OS,
                        .reclaim_fraction = options->reclaim ? 0.5 : 0};
  said(vdb_open(folder, &wanted, &store, &error), "vdb_open", &error);
  return store;
}

static vdb_value value_of(text value) {
  return (vdb_value){.encoding = VDB_BYTES, .bytes = value.bytes, .size = value.size};
}

static bool put(void *store, text key, text value) {
  vdb_error error;
  vdb_key name = vdb_string(key.bytes, key.size);
  vdb_value stored = value_of(value);
  return said(vdb_put(store, &name, &stored, &error), "vdb_put", &error);
}

static int64_t get(void *store, text key, char *buffer, size_t room) {
  vdb_error error;
  vdb_value value;
  vdb_key name = vdb_string(key.bytes, key.size);
  vdb_status status = vdb_get(store, &name, &value, &error);
  if (status == VDB_ABSENT) return ADAPTER_ABSENT;
  if (!said(status, "vdb_get", &error)) return ADAPTER_FAILED;
  memcpy(buffer, value.bytes, value.size < room ? value.size : room);
  return (int64_t)value.size;
}

static bool remove_key(void *store, text key) {
  vdb_error error;
  vdb_key name = vdb_string(key.bytes, key.size);
  vdb_status status = vdb_delete(store, &name, &error);
  return status == VDB_ABSENT || said(status, "vdb_delete", &error);
}

static bool batch(void *store, const pair *pairs, size_t count) {
  vdb_error error;
  vdb_change *changes = malloc(count * sizeof *changes);
  vdb_value *values = malloc(count * sizeof *values);
  if (changes == NULL || values == NULL) abort();
  for (size_t i = 0; i < count; i++) {
    values[i] = value_of(pairs[i].value);
    changes[i] = (vdb_change){vdb_string(pairs[i].key.bytes, pairs[i].key.size), &values[i]};
  }
  bool done = said(vdb_commit(store, NULL, NULL, 0, changes, count, &error), "vdb_commit", &error);
  free(changes);
  free(values);
  return done;
}

static bool walk(void *store, adapter_visit visit, void *context) {
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  vdb_error error;
  vdb_status status = vdb_walk_begin(store, &walk, &error);
  if (status != VDB_OK) return said(status, "vdb_walk_begin", &error);
  while ((status = vdb_walk_next(walk, &key, &value, &error)) == VDB_OK)
    visit(context, (text){key.string, key.size}, (text){value.bytes, value.size});
  vdb_walk_end(walk);
  return status == VDB_ABSENT || said(status, "vdb_walk_next", &error);
}

static bool sync_store(void *store) {
  vdb_error error;
  return said(vdb_sync(store, &error), "vdb_sync", &error);
}

static bool reclaim(void *store) {
  vdb_error error;
  return said(vdb_reclaim(store, NULL, NULL, &error), "vdb_reclaim", &error);
}

static bool close_store(void *store) {
  vdb_error error;
  return said(vdb_close(store, &error), "vdb_close", &error);
}

const adapter bench_adapter = {
    .name = "ViperDB",
    .settings = "no options; on the disk: sync always; the hot set: reclaim at 0.5",
    .persistent = true,
    .many_processes = true,
    .atomic_batches = true,
    .open = open_store,
    .put = put,
    .get = get,
    .remove = remove_key,
    .batch = batch,
    .walk = walk,
    .sync = sync_store,
    .reclaim = reclaim,
    .close = close_store,
};
