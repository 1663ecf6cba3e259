/*
** tokyo.c - Tokyo Cabinet's hash database.
**
** Two buckets a key (its manual: 0.5 to 4) and extra mapped memory for the whole file. On the disk:
** transactions with HDBOTSYNC.
*/
#include <stdlib.h>
#include <tchdb.h>

#include "../adapter.h"

typedef struct tokyo_store {
  TCHDB *db;
  bool sync_each;
} tokyo_store;

static bool said(const tokyo_store *store, bool done, const char *call) {
  return done || adapter_failed(call, tchdberrmsg(tchdbecode(store->db)));
}

static void *open_store(const char *folder, const adapter_options *options) {
  tokyo_store *store = calloc(1, sizeof *store);
  char path[1024];
  if (store == NULL) return NULL;
  store->db = tchdbnew();
  store->sync_each = options->sync_each;
  tchdbtune(store->db, (int64_t)(2 * options->keys), -1, -1, HDBTLARGE);
  tchdbsetxmsiz(store->db, (int64_t)((64u << 20) + 256 * options->keys));
  int mode = HDBOWRITER | HDBOCREAT | HDBOLCKNB | (options->sync_each ? HDBOTSYNC : 0);
  return said(store, tchdbopen(store->db, adapter_path(path, folder, "db.tch"), mode), "tchdbopen")
             ? store
             : adapter_give_up(store);
}

static bool set(tokyo_store *store, text key, text value) {
  return said(store, tchdbput(store->db, key.bytes, (int)key.size, value.bytes, (int)value.size), "tchdbput");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  tokyo_store *store = context;
  if (!said(store, tchdbtranbegin(store->db), "tchdbtranbegin")) return false;
  for (size_t i = 0; i < count; i++)
    if (!set(store, pairs[i].key, pairs[i].value)) return false;
  return said(store, tchdbtrancommit(store->db), "tchdbtrancommit");
}

static bool put(void *context, text key, text value) {
  tokyo_store *store = context;
  pair one = {key, value};
  return store->sync_each ? batch(store, &one, 1) : set(store, key, value);
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  tokyo_store *store = context;
  int size = tchdbget3(store->db, key.bytes, (int)key.size, buffer, (int)room);
  if (size >= 0) return size;
  if (tchdbecode(store->db) != TCENOREC) return ADAPTER_FAILED;
  return ADAPTER_ABSENT;
}

static bool remove_key(void *context, text key) {
  tokyo_store *store = context;
  bool done = tchdbout(store->db, key.bytes, (int)key.size) || tchdbecode(store->db) == TCENOREC;
  return said(store, done, "tchdbout");
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  tokyo_store *store = context;
  TCXSTR *key = tcxstrnew(), *value = tcxstrnew();
  bool begun = said(store, tchdbiterinit(store->db), "tchdbiterinit");
  while (begun && tchdbiternext3(store->db, key, value))
    visit(visit_context, (text){tcxstrptr(key), (size_t)tcxstrsize(key)},
          (text){tcxstrptr(value), (size_t)tcxstrsize(value)});
  tcxstrdel(key);
  tcxstrdel(value);
  return begun;
}

static bool sync_store(void *context) {
  tokyo_store *store = context;
  return said(store, tchdbsync(store->db), "tchdbsync");
}

static bool close_store(void *context) {
  tokyo_store *store = context;
  bool done = said(store, tchdbclose(store->db), "tchdbclose");
  tchdbdel(store->db);
  free(store);
  return done;
}

const adapter bench_adapter = {
    .name = "Tokyo Cabinet",
    .settings = "hash, 2 buckets a key (presized), LARGE, xmsiz=64 MB + 256 bytes a key; on the disk: "
                "transactions, HDBOTSYNC",
    .persistent = true,
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
