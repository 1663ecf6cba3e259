/*
** lmdb.c - LMDB. A put is a transaction; a get renews a read transaction, and opening looks for dead readers,
** as its manual advises.
**
** MDB_WRITEMAP with MDB_NOSYNC is its fastest mode that leaves what a killed process wrote to the operating
** system. On the disk its defaults are used: each commit syncs.
*/
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "../adapter.h"

typedef struct lmdb_store {
  MDB_env *env;
  MDB_dbi dbi;
  MDB_txn *reader;
} lmdb_store;

static bool said(int result, const char *call) {
  return result == MDB_SUCCESS || adapter_failed(call, mdb_strerror(result));
}

/* Readers that were killed would keep old pages from being used again, and their places in the table. */
static bool forget_dead_readers(const lmdb_store *store) {
  int dead;
  return said(mdb_reader_check(store->env, &dead), "mdb_reader_check");
}

/* Address space only: the file is as long as what is in it. */
static size_t map_size(const adapter_options *options) {
  return (size_t)1 << 30 | (size_t)options->keys << 10;
}

static bool open_table(lmdb_store *store) {
  MDB_txn *txn;
  if (!said(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin")) return false;
  if (!said(mdb_dbi_open(txn, NULL, 0, &store->dbi), "mdb_dbi_open")) return false;
  if (!said(mdb_txn_commit(txn), "mdb_txn_commit")) return false;
  if (!said(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader), "mdb_txn_begin")) return false;
  mdb_txn_reset(store->reader);
  return true;
}

static void *open_store(const char *folder, const adapter_options *options) {
  lmdb_store *store = calloc(1, sizeof *store);
  unsigned flags = options->sync_each ? 0 : MDB_WRITEMAP | MDB_NOSYNC;
  if (store == NULL || !said(mdb_env_create(&store->env), "mdb_env_create")) return adapter_give_up(store);
  mdb_env_set_mapsize(store->env, map_size(options));
  if (!said(mdb_env_open(store->env, folder, flags, 0600), "mdb_env_open")) return adapter_give_up(store);
  return forget_dead_readers(store) && open_table(store) ? store : adapter_give_up(store);
}

static MDB_val val_of(text bytes) {
  return (MDB_val){bytes.size, (void *)bytes.bytes};
}

static bool put_in(const lmdb_store *store, MDB_txn *txn, text key, text value) {
  MDB_val name = val_of(key), stored = val_of(value);
  return said(mdb_put(txn, store->dbi, &name, &stored, 0), "mdb_put");
}

static bool put(void *context, text key, text value) {
  lmdb_store *store = context;
  MDB_txn *txn;
  if (!said(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin")) return false;
  return put_in(store, txn, key, value) && said(mdb_txn_commit(txn), "mdb_txn_commit");
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  lmdb_store *store = context;
  MDB_val name = val_of(key), value = {0, NULL};
  if (!said(mdb_txn_renew(store->reader), "mdb_txn_renew")) return ADAPTER_FAILED;
  int result = mdb_get(store->reader, store->dbi, &name, &value);
  if (result != MDB_NOTFOUND && !said(result, "mdb_get")) return ADAPTER_FAILED;
  if (result == MDB_SUCCESS) memcpy(buffer, value.mv_data, value.mv_size < room ? value.mv_size : room);
  mdb_txn_reset(store->reader);
  return result == MDB_SUCCESS ? (int64_t)value.mv_size : ADAPTER_ABSENT;
}

static bool remove_key(void *context, text key) {
  lmdb_store *store = context;
  MDB_txn *txn;
  MDB_val name = val_of(key);
  if (!said(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin")) return false;
  int result = mdb_del(txn, store->dbi, &name, NULL);
  if (result != MDB_NOTFOUND && !said(result, "mdb_del")) return false;
  return said(mdb_txn_commit(txn), "mdb_txn_commit");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  lmdb_store *store = context;
  MDB_txn *txn;
  if (!said(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin")) return false;
  for (size_t i = 0; i < count; i++)
    if (!put_in(store, txn, pairs[i].key, pairs[i].value)) return false;
  return said(mdb_txn_commit(txn), "mdb_txn_commit");
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  lmdb_store *store = context;
  MDB_cursor *cursor;
  MDB_val key, value;
  if (!said(mdb_txn_renew(store->reader), "mdb_txn_renew")) return false;
  if (!said(mdb_cursor_open(store->reader, store->dbi, &cursor), "mdb_cursor_open")) return false;
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS)
    visit(visit_context, (text){key.mv_data, key.mv_size}, (text){value.mv_data, value.mv_size});
  mdb_cursor_close(cursor);
  mdb_txn_reset(store->reader);
  return true;
}

static bool sync_store(void *context) {
  lmdb_store *store = context;
  return said(mdb_env_sync(store->env, 1), "mdb_env_sync");
}

static bool close_store(void *context) {
  lmdb_store *store = context;
  mdb_txn_abort(store->reader);
  mdb_env_close(store->env);
  free(store);
  return true;
}

const adapter bench_adapter = {
    .name = "LMDB",
    .settings = "WRITEMAP, NOSYNC, a transaction a put, one renewed reader; on the disk: defaults",
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
    .close = close_store,
};
