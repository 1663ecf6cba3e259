/*
** sqlite.c - SQLite: one table without row ids, its key a blob, prepared statements.
**
** WAL, as its documentation advises for many small writes, with synchronous off; on the disk: synchronous
** full. A cache of 256 MB and a mapping of the file.
*/
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../adapter.h"

typedef struct sqlite_store {
  sqlite3 *db;
  sqlite3_stmt *put, *get, *remove, *walk, *begin, *commit;
} sqlite_store;

static bool said(const sqlite_store *store, bool done, const char *call) {
  return done || adapter_failed(call, sqlite3_errmsg(store->db));
}

static bool set_up(sqlite_store *store, bool sync_each) {
  char script[512];
  snprintf(script, sizeof script,
           "pragma journal_mode = wal; pragma synchronous = %s; pragma cache_size = -262144;"
           "pragma mmap_size = 17179869184;"
           "create table if not exists pairs (key blob primary key, value blob not null) without rowid;",
           sync_each ? "full" : "off");
  sqlite3_busy_timeout(store->db, 30000);
  return said(store, sqlite3_exec(store->db, script, NULL, NULL, NULL) == SQLITE_OK, "sqlite3_exec");
}

static bool prepare(sqlite_store *store, const char *statement, sqlite3_stmt **out) {
  int result = sqlite3_prepare_v3(store->db, statement, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
  return said(store, result == SQLITE_OK, statement);
}

static void *open_store(const char *folder, const adapter_options *options) {
  sqlite_store *store = calloc(1, sizeof *store);
  char path[1024];
  if (store == NULL) return NULL;
  int result = sqlite3_open(adapter_path(path, folder, "db.sqlite"), &store->db);
  if (!said(store, result == SQLITE_OK, "sqlite3_open") || !set_up(store, options->sync_each))
    return adapter_give_up(store);
  bool ready = prepare(store, "insert or replace into pairs values (?, ?)", &store->put) &&
               prepare(store, "select value from pairs where key = ?", &store->get) &&
               prepare(store, "delete from pairs where key = ?", &store->remove) &&
               prepare(store, "select key, value from pairs", &store->walk) &&
               prepare(store, "begin immediate", &store->begin) && prepare(store, "commit", &store->commit);
  return ready ? store : adapter_give_up(store);
}

static bool run(sqlite_store *store, sqlite3_stmt *statement, const char *name) {
  int result = sqlite3_step(statement);
  sqlite3_reset(statement);
  return said(store, result == SQLITE_DONE, name);
}

static void bind_text(sqlite3_stmt *statement, int place, text bytes) {
  sqlite3_bind_blob(statement, place, bytes.bytes, (int)bytes.size, SQLITE_STATIC);
}

static bool put(void *context, text key, text value) {
  sqlite_store *store = context;
  bind_text(store->put, 1, key);
  bind_text(store->put, 2, value);
  return run(store, store->put, "insert");
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  sqlite_store *store = context;
  int64_t size = ADAPTER_ABSENT;
  bind_text(store->get, 1, key);
  int result = sqlite3_step(store->get);
  if (!said(store, result == SQLITE_ROW || result == SQLITE_DONE, "select")) return ADAPTER_FAILED;
  if (result == SQLITE_ROW) {
    size = sqlite3_column_bytes(store->get, 0);
    memcpy(buffer, sqlite3_column_blob(store->get, 0), (size_t)size < room ? (size_t)size : room);
  }
  sqlite3_reset(store->get);
  return size;
}

static bool remove_key(void *context, text key) {
  sqlite_store *store = context;
  bind_text(store->remove, 1, key);
  return run(store, store->remove, "delete");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  sqlite_store *store = context;
  if (!run(store, store->begin, "begin")) return false;
  for (size_t i = 0; i < count; i++)
    if (!put(store, pairs[i].key, pairs[i].value)) return false;
  return run(store, store->commit, "commit");
}

static text column(sqlite3_stmt *statement, int place) {
  const char *bytes = sqlite3_column_blob(statement, place);
  return (text){bytes, (size_t)sqlite3_column_bytes(statement, place)};
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  sqlite_store *store = context;
  int result;
  while ((result = sqlite3_step(store->walk)) == SQLITE_ROW)
    visit(visit_context, column(store->walk, 0), column(store->walk, 1));
  sqlite3_reset(store->walk);
  return said(store, result == SQLITE_DONE, "select");
}

static bool sync_store(void *context) {
  sqlite_store *store = context;
  int result = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
  return said(store, result == SQLITE_OK, "sqlite3_wal_checkpoint_v2");
}

static bool close_store(void *context) {
  sqlite_store *store = context;
  sqlite3_finalize(store->put);
  sqlite3_finalize(store->get);
  sqlite3_finalize(store->remove);
  sqlite3_finalize(store->walk);
  sqlite3_finalize(store->begin);
  sqlite3_finalize(store->commit);
  bool done = said(store, sqlite3_close(store->db) == SQLITE_OK, "sqlite3_close");
  free(store);
  return done;
}

const adapter bench_adapter = {
    .name = "SQLite",
    .settings = "WAL, synchronous off, cache 256 MB, mmap, prepared statements, WITHOUT ROWID; on the disk: "
                "synchronous full",
    .persistent = true,
    .many_processes = true,
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
