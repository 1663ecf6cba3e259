/*
** rocksdb.c - RocksDB through its C API.
**
** As its "Setup Options and Basic Tuning" advises: dynamic level sizes, bytes_per_sync, blocks of 16 KB, a
** Bloom filter of 10 bits, index and filter blocks in the cache, here of 256 MB. On the disk:
** WriteOptions.sync.
*/
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

#include "../adapter.h"

typedef struct rocksdb_store {
  rocksdb_t *db;
  rocksdb_options_t *options;
  rocksdb_block_based_table_options_t *table;
  rocksdb_cache_t *cache;
  rocksdb_readoptions_t *read;
  rocksdb_writeoptions_t *write;
} rocksdb_store;

static bool said(char *problem, const char *call) {
  if (problem == NULL) return true;
  adapter_failed(call, problem);
  rocksdb_free(problem);
  return false;
}

static void set_table_options(rocksdb_store *store) {
  store->table = rocksdb_block_based_options_create();
  store->cache = rocksdb_cache_create_lru((size_t)256 << 20);
  rocksdb_block_based_options_set_block_cache(store->table, store->cache);
  rocksdb_block_based_options_set_block_size(store->table, 16 * 1024);
  rocksdb_block_based_options_set_filter_policy(store->table, rocksdb_filterpolicy_create_bloom_full(10));
  rocksdb_block_based_options_set_cache_index_and_filter_blocks(store->table, 1);
  rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(store->table, 1);
}

static void set_options(rocksdb_store *store, bool sync_each) {
  store->options = rocksdb_options_create();
  rocksdb_options_set_create_if_missing(store->options, 1);
  rocksdb_options_set_level_compaction_dynamic_level_bytes(store->options, 1);
  rocksdb_options_set_bytes_per_sync(store->options, 1048576);
  rocksdb_options_set_max_background_jobs(store->options, 2);
  set_table_options(store);
  rocksdb_options_set_block_based_table_factory(store->options, store->table);
  store->read = rocksdb_readoptions_create();
  store->write = rocksdb_writeoptions_create();
  rocksdb_writeoptions_set_sync(store->write, sync_each);
}

static void *open_store(const char *folder, const adapter_options *options) {
  rocksdb_store *store = calloc(1, sizeof *store);
  char *problem = NULL;
  if (store == NULL) return NULL;
  set_options(store, options->sync_each);
  store->db = rocksdb_open(store->options, folder, &problem);
  return said(problem, "rocksdb_open") ? store : adapter_give_up(store);
}

static bool put(void *context, text key, text value) {
  rocksdb_store *store = context;
  char *problem = NULL;
  rocksdb_put(store->db, store->write, key.bytes, key.size, value.bytes, value.size, &problem);
  return said(problem, "rocksdb_put");
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  rocksdb_store *store = context;
  char *problem = NULL;
  size_t size;
  rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned(store->db, store->read, key.bytes, key.size, &problem);
  if (!said(problem, "rocksdb_get_pinned")) return ADAPTER_FAILED;
  if (pinned == NULL) return ADAPTER_ABSENT;
  const char *value = rocksdb_pinnableslice_value(pinned, &size);
  memcpy(buffer, value, size < room ? size : room);
  rocksdb_pinnableslice_destroy(pinned);
  return (int64_t)size;
}

static bool remove_key(void *context, text key) {
  rocksdb_store *store = context;
  char *problem = NULL;
  rocksdb_delete(store->db, store->write, key.bytes, key.size, &problem);
  return said(problem, "rocksdb_delete");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  rocksdb_store *store = context;
  char *problem = NULL;
  rocksdb_writebatch_t *changes = rocksdb_writebatch_create();
  for (size_t i = 0; i < count; i++)
    rocksdb_writebatch_put(changes, pairs[i].key.bytes, pairs[i].key.size, pairs[i].value.bytes,
                           pairs[i].value.size);
  rocksdb_write(store->db, store->write, changes, &problem);
  rocksdb_writebatch_destroy(changes);
  return said(problem, "rocksdb_write");
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  rocksdb_store *store = context;
  char *problem = NULL;
  rocksdb_iterator_t *at = rocksdb_create_iterator(store->db, store->read);
  for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at)) {
    text key, value;
    key.bytes = rocksdb_iter_key(at, &key.size);
    value.bytes = rocksdb_iter_value(at, &value.size);
    visit(visit_context, key, value);
  }
  rocksdb_iter_get_error(at, &problem);
  rocksdb_iter_destroy(at);
  return said(problem, "rocksdb_iter_next");
}

static bool sync_store(void *context) {
  rocksdb_store *store = context;
  char *problem = NULL;
  rocksdb_flush_wal(store->db, 1, &problem);
  return said(problem, "rocksdb_flush_wal");
}

static bool close_store(void *context) {
  rocksdb_store *store = context;
  rocksdb_close(store->db);
  rocksdb_options_destroy(store->options);
  rocksdb_block_based_options_destroy(store->table);
  rocksdb_cache_destroy(store->cache);
  rocksdb_readoptions_destroy(store->read);
  rocksdb_writeoptions_destroy(store->write);
  free(store);
  return true;
}

const adapter bench_adapter = {
    .name = "RocksDB",
    .settings =
        "dynamic levels, bytes_per_sync 1 MB, 16 KB blocks, Bloom filter of 10 bits, cache 256 MB; on "
        "the disk: sync",
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
