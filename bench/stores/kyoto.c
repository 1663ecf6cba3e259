/*
** kyoto.c - Kyoto Cabinet's file hash database.
**
** As its "Tips and Hacks" say: twice as many buckets as keys, the linear option, and a mapped region that
** holds the whole file. On the disk: each write is a transaction that syncs.
*/
#include <kclangc.h>
#include <stdio.h>
#include <stdlib.h>

#include "../adapter.h"

typedef struct kyoto_store {
  KCDB *db;
  bool sync_each;
} kyoto_store;

static bool said(const kyoto_store *store, bool done, const char *call) {
  return done || adapter_failed(call, kcecodename(kcdbecode(store->db)));
}

static void *open_store(const char *folder, const adapter_options *options) {
  kyoto_store *store = calloc(1, sizeof *store);
  char path[1024], tuned[1200];
  unsigned long long keys = options->keys;
  if (store == NULL) return NULL;
  store->db = kcdbnew();
  store->sync_each = options->sync_each;
  snprintf(tuned, sizeof tuned, "%s#opts=l#bnum=%llu#msiz=%llu", adapter_path(path, folder, "db.kch"),
           2 * keys, (64ull << 20) + 256 * keys);
  uint32_t mode = KCOWRITER | KCOCREATE | (options->sync_each ? KCOAUTOTRAN | KCOAUTOSYNC : 0);
  return said(store, kcdbopen(store->db, tuned, mode), "kcdbopen") ? store : adapter_give_up(store);
}

static bool put(void *context, text key, text value) {
  kyoto_store *store = context;
  return said(store, kcdbset(store->db, key.bytes, key.size, value.bytes, value.size), "kcdbset");
}

static int64_t get(void *context, text key, char *buffer, size_t room) {
  kyoto_store *store = context;
  int32_t size = kcdbgetbuf(store->db, key.bytes, key.size, buffer, room);
  if (size >= 0) return size;
  if (kcdbecode(store->db) != KCENOREC) return ADAPTER_FAILED;
  return ADAPTER_ABSENT;
}

static bool remove_key(void *context, text key) {
  kyoto_store *store = context;
  bool done = kcdbremove(store->db, key.bytes, key.size) || kcdbecode(store->db) == KCENOREC;
  return said(store, done, "kcdbremove");
}

static bool batch(void *context, const pair *pairs, size_t count) {
  kyoto_store *store = context;
  if (!said(store, kcdbbegintran(store->db, store->sync_each), "kcdbbegintran")) return false;
  for (size_t i = 0; i < count; i++)
    if (!put(store, pairs[i].key, pairs[i].value)) return false;
  return said(store, kcdbendtran(store->db, 1), "kcdbendtran");
}

typedef struct visitor {
  adapter_visit visit;
  void *context;
} visitor;

static const char *step(const char *key, size_t key_size, const char *value, size_t value_size,
                        size_t *new_size, void *context) {
  const visitor *walker = context;
  (void)new_size;
  walker->visit(walker->context, (text){key, key_size}, (text){value, value_size});
  return KCVISNOP;
}

static bool walk(void *context, adapter_visit visit, void *visit_context) {
  kyoto_store *store = context;
  visitor walker = {visit, visit_context};
  return said(store, kcdbiterate(store->db, step, &walker, 0), "kcdbiterate");
}

static bool sync_store(void *context) {
  kyoto_store *store = context;
  return said(store, kcdbsync(store->db, 1, NULL, NULL), "kcdbsync");
}

static bool close_store(void *context) {
  kyoto_store *store = context;
  bool done = said(store, kcdbclose(store->db), "kcdbclose");
  kcdbdel(store->db);
  free(store);
  return done;
}

const adapter bench_adapter = {
    .name = "Kyoto Cabinet",
    .settings =
        "HashDB, opts=l, bnum=2 a key (presized), msiz=64 MB + 256 bytes a key; on the disk: OAUTOTRAN, "
        "OAUTOSYNC",
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
