/*
** gdbm.c - GDBM, with its defaults: a cache that sizes itself, and a mapped file.
**
** What a killed process leaves is recovered as the manual says, with gdbm_recover. On the disk: GDBM_SYNC, or
** one gdbm_sync a batch. Its crash tolerance by snapshots needs a file system with reflinks, so it is not
** used here.
*/
#include <gdbm.h>
#include <stdlib.h>
#include <string.h>

#include "../adapter.h"

typedef struct gdbm_store_handle {
  GDBM_FILE file;
  bool sync_each;
} gdbm_store_handle;

static bool said(bool done, const char *call) {
  return done || adapter_failed(call, gdbm_strerror(gdbm_errno));
}

static bool recover(GDBM_FILE file) {
  gdbm_recovery recovery;
  if (!gdbm_needs_recovery(file)) return true;
  return said(gdbm_recover(file, &recovery, GDBM_RCVR_DEFAULT) == 0, "gdbm_recover");
}

static void *open_store(const char *folder, const adapter_options *options) {
  gdbm_store_handle *store = calloc(1, sizeof *store);
  char path[1024];
  if (store == NULL) return NULL;
  store->sync_each = options->sync_each;
  store->file = gdbm_open(adapter_path(path, folder, "db.gdbm"), 0, GDBM_WRCREAT, 0600, NULL);
  if (!said(store->file != NULL, "gdbm_open")) return adapter_give_up(store);
  return recover(store->file) ? store : adapter_give_up(store);
}

static datum datum_of(text bytes) {
  return (datum){(char *)bytes.bytes, (int)bytes.size};
}

static bool set(gdbm_store_handle *store, text key, text value) {
  return said(gdbm_store(store->file, datum_of(key), datum_of(value), GDBM_REPLACE) == 0, "gdbm_store");
}

static bool sync_store(void *context) {
  gdbm_store_handle *store = context;
  return said(gdbm_sync(store->file) == 0, "gdbm_sync");
}

static bool put(void *context, text key, text value) {
  gdbm_store_handle *store = context;
  return set(store, key, value) && (!store->sync_each || sync_store(store));
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  gdbm_store_handle *store = context;
  datum value = gdbm_fetch(store->file, datum_of(key));
  if (value.dptr == NULL && gdbm_errno != GDBM_ITEM_NOT_FOUND) return ADAPTER_FAILED;
  if (value.dptr == NULL) return ADAPTER_ABSENT;
  memcpy(buffer, value.dptr, (size_t)value.dsize < room ? (size_t)value.dsize : room);
  free(value.dptr);
  return value.dsize;
}

static bool remove_key(void *context, text key) {
  gdbm_store_handle *store = context;
  bool done = gdbm_delete(store->file, datum_of(key)) == 0 || gdbm_errno == GDBM_ITEM_NOT_FOUND;
  return said(done, "gdbm_delete");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  gdbm_store_handle *store = context;
  for (size_t i = 0; i < count; i++)
    if (!set(store, pairs[i].key, pairs[i].value)) return false;
  return !store->sync_each || sync_store(store);
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  gdbm_store_handle *store = context;
  datum key = gdbm_firstkey(store->file);
  while (key.dptr != NULL) {
    datum value = gdbm_fetch(store->file, key);
    visit(visit_context, (text){key.dptr, (size_t)key.dsize}, (text){value.dptr, (size_t)value.dsize});
    free(value.dptr);
    datum next = gdbm_nextkey(store->file, key);
    free(key.dptr);
    key = next;
  }
  return said(gdbm_errno == GDBM_ITEM_NOT_FOUND, "gdbm_nextkey");
}

static bool close_store(void *context) {
  gdbm_store_handle *store = context;
  bool done = said(gdbm_close(store->file) == 0, "gdbm_close");
  free(store);
  return done;
}

const adapter bench_adapter = {
    .name = "GDBM",
    .settings = "defaults; on the disk: gdbm_sync",
    .persistent = true,
    .slow = true,
    .open = open_store,
    .put = put,
    .get = get,
    .remove = remove_key,
    .batch = batch,
    .walk = walk,
    .sync = sync_store,
    .close = close_store,
};
