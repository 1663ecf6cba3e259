/*
** leveldb.c - LevelDB through its C API.
**
** As its documentation advises: a Bloom filter of 10 bits a key and a block cache, here of 256 MB, and a
** write buffer of 64 MB. On the disk: WriteOptions.sync.
*/
#include <leveldb/c.h>
#include <stdlib.h>
#include <string.h>

#include "../adapter.h"

typedef struct leveldb_store {
  leveldb_t *db;
  leveldb_options_t *options;
  leveldb_cache_t *cache;
  leveldb_filterpolicy_t *filter;
  leveldb_readoptions_t *read;
  leveldb_writeoptions_t *write;
} leveldb_store;

static bool said(char *problem, const char *call) {
  if (problem == NULL) return true;
  adapter_failed(call, problem);
  leveldb_free(problem);
  return false;
}

static void set_options(leveldb_store *store, bool sync_each) {
  store->options = leveldb_options_create();
  store->cache = leveldb_cache_create_lru((size_t)256 << 20);
  store->filter = leveldb_filterpolicy_create_bloom(10);
  store->read = leveldb_readoptions_create();
  store->write = leveldb_writeoptions_create();
  leveldb_options_set_create_if_missing(store->options, 1);
  leveldb_options_set_cache(store->options, store->cache);
  leveldb_options_set_filter_policy(store->options, store->filter);
  leveldb_options_set_write_buffer_size(store->options, (size_t)64 << 20);
  leveldb_writeoptions_set_sync(store->write, sync_each);
}

static void *open_store(const char *folder, const adapter_options *options) {
  leveldb_store *store = calloc(1, sizeof *store);
  char *problem = NULL;
  if (store == NULL) return NULL;
  set_options(store, options->sync_each);
  store->db = leveldb_open(store->options, folder, &problem);
  return said(problem, "leveldb_open") ? store : adapter_give_up(store);
}

static bool put(void *context, text key, text value) {
  leveldb_store *store = context;
  char *problem = NULL;
  leveldb_put(store->db, store->write, key.bytes, key.size, value.bytes, value.size, &problem);
  return said(problem, "leveldb_put");
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  leveldb_store *store = context;
  char *problem = NULL;
  size_t size;
  char *value = leveldb_get(store->db, store->read, key.bytes, key.size, &size, &problem);
  if (!said(problem, "leveldb_get")) return ADAPTER_FAILED;
  if (value == NULL) return ADAPTER_ABSENT;
  memcpy(buffer, value, size < room ? size : room);
  leveldb_free(value);
  return (int64_t)size;
}

static bool remove_key(void *context, text key) {
  leveldb_store *store = context;
  char *problem = NULL;
  leveldb_delete(store->db, store->write, key.bytes, key.size, &problem);
  return said(problem, "leveldb_delete");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  leveldb_store *store = context;
  char *problem = NULL;
  leveldb_writebatch_t *changes = leveldb_writebatch_create();
  for (size_t i = 0; i < count; i++)
    leveldb_writebatch_put(changes, pairs[i].key.bytes, pairs[i].key.size, pairs[i].value.bytes,
                           pairs[i].value.size);
  leveldb_write(store->db, store->write, changes, &problem);
  leveldb_writebatch_destroy(changes);
  return said(problem, "leveldb_write");
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  leveldb_store *store = context;
  char *problem = NULL;
  leveldb_iterator_t *at = leveldb_create_iterator(store->db, store->read);
  for (leveldb_iter_seek_to_first(at); leveldb_iter_valid(at); leveldb_iter_next(at)) {
    text key, value;
    key.bytes = leveldb_iter_key(at, &key.size);
    value.bytes = leveldb_iter_value(at, &value.size);
    visit(visit_context, key, value);
  }
  leveldb_iter_get_error(at, &problem);
  leveldb_iter_destroy(at);
  return said(problem, "leveldb_iter_next");
}

/* A synced write makes all before it safe. */
static bool sync_store(void *context) {
  leveldb_store *store = context;
  char *problem = NULL;
  leveldb_writeoptions_t *synced = leveldb_writeoptions_create();
  leveldb_writeoptions_set_sync(synced, 1);
  leveldb_delete(store->db, synced, "", 0, &problem);
  leveldb_writeoptions_destroy(synced);
  return said(problem, "leveldb_delete");
}

static bool close_store(void *context) {
  leveldb_store *store = context;
  leveldb_close(store->db);
  leveldb_options_destroy(store->options);
  leveldb_cache_destroy(store->cache);
  leveldb_filterpolicy_destroy(store->filter);
  leveldb_readoptions_destroy(store->read);
  leveldb_writeoptions_destroy(store->write);
  free(store);
  return true;
}

const adapter bench_adapter = {
    .name = "LevelDB",
    .settings = "Bloom filter of 10 bits, cache 256 MB, write buffer 64 MB; on the disk: sync",
    .persistent = true,
    .atomic_batches = true,
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
