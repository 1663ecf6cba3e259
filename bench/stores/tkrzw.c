/*
** tkrzw.c - Tkrzw's HashDBM through its C API.
**
** Twice as many buckets as keys, as its tutorial's benchmarks have it; the memory-mapped file is the default.
** It has no transactions: on the disk a put is a put and a hard synchronize, with records appended, which is
** what its manual advises for recovery.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tkrzw_langc.h>

#include "../adapter.h"

typedef struct tkrzw_store {
  TkrzwDBM *db;
  bool sync_each;
} tkrzw_store;

static bool said(bool done, const char *call) {
  return done || adapter_failed(call, tkrzw_get_last_status_message());
}

static void *open_store(const char *folder, const adapter_options *options) {
  tkrzw_store *store = calloc(1, sizeof *store);
  char path[1024], params[256];
  if (store == NULL) return NULL;
  snprintf(params, sizeof params, "no_wait=true,num_buckets=%llu,update_mode=%s",
           2 * (unsigned long long)options->keys,
           options->sync_each ? "UPDATE_APPENDING" : "UPDATE_IN_PLACE");
  store->sync_each = options->sync_each;
  store->db = tkrzw_dbm_open(adapter_path(path, folder, "db.tkh"), true, params);
  return said(store->db != NULL, "tkrzw_dbm_open") ? store : adapter_give_up(store);
}

static bool sync_store(void *context) {
  tkrzw_store *store = context;
  return said(tkrzw_dbm_synchronize(store->db, true, NULL, NULL, ""), "tkrzw_dbm_synchronize");
}

static bool set(tkrzw_store *store, text key, text value) {
  return said(tkrzw_dbm_set(store->db, key.bytes, (int32_t)key.size, value.bytes, (int32_t)value.size, true),
              "tkrzw_dbm_set");
}

static bool put(void *context, text key, text value) {
  tkrzw_store *store = context;
  return set(store, key, value) && (!store->sync_each || sync_store(store));
}

typedef struct value_reader {
  char *buffer;
  size_t room;
  int64_t size;
} value_reader;

/* Spares the allocation that tkrzw_dbm_get makes. */
static const char *copy(void *context, const char *key, int32_t key_size, const char *value,
                        int32_t value_size, int32_t *new_size) {
  value_reader *reader = context;
  (void)key, (void)key_size, (void)new_size;
  if (value == NULL) return TKRZW_REC_PROC_NOOP;
  reader->size = value_size;
  memcpy(reader->buffer, value, (size_t)value_size < reader->room ? (size_t)value_size : reader->room);
  return TKRZW_REC_PROC_NOOP;
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  tkrzw_store *store = context;
  value_reader reader = {buffer, room, ADAPTER_ABSENT};
  if (!said(tkrzw_dbm_process(store->db, key.bytes, (int32_t)key.size, copy, &reader, false),
            "tkrzw_dbm_process"))
    return ADAPTER_FAILED;
  return reader.size;
}

static bool remove_key(void *context, text key) {
  tkrzw_store *store = context;
  bool done = tkrzw_dbm_remove(store->db, key.bytes, (int32_t)key.size);
  return said(done || tkrzw_get_last_status_code() == TKRZW_STATUS_NOT_FOUND_ERROR, "tkrzw_dbm_remove");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  tkrzw_store *store = context;
  for (size_t i = 0; i < count; i++)
    if (!set(store, pairs[i].key, pairs[i].value)) return false;
  return !store->sync_each || sync_store(store);
}

typedef struct visitor {
  adapter_visit visit;
  void *context;
} visitor;

static const char *step(void *context, const char *key, int32_t key_size, const char *value,
                        int32_t value_size, int32_t *new_size) {
  const visitor *walker = context;
  (void)new_size;
  if (value != NULL)
    walker->visit(walker->context, (text){key, (size_t)key_size}, (text){value, (size_t)value_size});
  return TKRZW_REC_PROC_NOOP;
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  tkrzw_store *store = context;
  visitor walker = {visit, visit_context};
  return said(tkrzw_dbm_process_each(store->db, step, &walker, false), "tkrzw_dbm_process_each");
}

static bool close_store(void *context) {
  tkrzw_store *store = context;
  bool done = said(tkrzw_dbm_close(store->db), "tkrzw_dbm_close");
  free(store);
  return done;
}

const adapter bench_adapter = {
    .name = "Tkrzw",
    .settings = "HashDBM, 2 buckets a key (presized); on the disk: UPDATE_APPENDING, a hard synchronize",
    .persistent = true,
    .open = open_store,
    .put = put,
    .get = get,
    .remove = remove_key,
    .batch = batch,
    .walk = walk,
    .sync = sync_store,
    .close = close_store,
};
