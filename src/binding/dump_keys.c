/*
** dump_keys.c - keys of tables in the order of a dump.
**
** A table is walked twice, to see how much memory its keys need and to put them there. Getting that memory may run
** finalizers, which may change the table in between: keys that went are not missed, new ones are an error.
*/
#include "dump_keys.h"

#include <stdlib.h>
#include <string.h>

#include "../engine/error.h"

/* ---- The order ---- */

static int rank_of(const vdb_key *key) {
  static const int ranks[] = {[VDB_BOOLEAN] = 0, [VDB_INTEGER] = 1, [VDB_FLOAT] = 2, [VDB_STRING] = 3};
  return ranks[key->type];
}

static int compare_strings(const vdb_key *a, const vdb_key *b) {
  size_t common = a->size < b->size ? a->size : b->size;
  int order = common > 0 ? memcmp(a->string, b->string, common) : 0;
  return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

int dump_keys_compare(const void *one, const void *other) {
  const vdb_key *a = one, *b = other;
  if (a->type != b->type) return rank_of(a) - rank_of(b);
  switch (a->type) {
  case VDB_STRING: return compare_strings(a, b);
  case VDB_FLOAT: return (a->number > b->number) - (a->number < b->number);
  default: return (a->integer > b->integer) - (a->integer < b->integer);
  }
}

/* ---- The list ---- */

/* A walk over the other keys of a table. */
typedef struct key_walk {
  lua_State *L;
  int table;
  int items;
  const place *at;
  vdb_error *error;
  vdb_status status;
  vdb_key key; /* the current one; its string is borrowed from the table */
} key_walk;

static bool fail_key(key_walk *walk) {
  char text[PLACE_SIZE];
  walk->status = error_set(walk->error, VDB_TYPE, "%s has a %s as a key: use strings, numbers and booleans",
                           place_print(walk->L, walk->at, text), luaL_typename(walk->L, -2));
  return false;
}

static bool fail_changed(key_walk *walk) {
  char text[PLACE_SIZE];
  walk->status = error_set(walk->error, VDB_TYPE, "%s was changed by a function while it was being stored",
                           place_print(walk->L, walk->at, text));
  return false;
}

/* The next of the other keys, or false at the end and on failure. The key is on top, nil at first. */
static bool next_key(key_walk *walk) {
  vdb_key *key = &walk->key;
  while (lua_next(walk->L, walk->table)) {
    if (key_read(walk->L, -2, key) != KEY_STORABLE) return fail_key(walk);
    lua_pop(walk->L, 1);
    if (key->type == VDB_FLOAT && key_is_whole(key->number)) *key = vdb_integer((int64_t)key->number);
    if (key->type != VDB_INTEGER || key->integer < 1 || key->integer > (int64_t)walk->items + 1) return true;
    if (key->integer > walk->items) return fail_changed(walk);
  }
  return false;
}

static size_t string_size(const vdb_key *key) {
  return key->type == VDB_STRING ? key->size : 0;
}

static bool count_keys(key_walk *walk, dump_keys *keys) {
  *keys = (dump_keys){.list = NULL};
  lua_pushnil(walk->L);
  while (next_key(walk)) {
    keys->count++;
    keys->string_bytes += string_size(&walk->key);
  }
  return walk->status == VDB_OK;
}

/* At most what was counted. Nothing here allocates, so no finalizer runs and the table's strings stay. */
static bool fill_list(key_walk *walk, dump_keys *keys) {
  const dump_keys room = *keys;
  char *strings = (char *)(keys->list + room.count);
  keys->count = keys->string_bytes = 0;
  lua_pushnil(walk->L);
  while (next_key(walk)) {
    size_t size = string_size(&walk->key);
    if (keys->count == room.count || size > room.string_bytes - keys->string_bytes) return fail_changed(walk);
    if (size > 0) walk->key.string = memcpy(strings + keys->string_bytes, walk->key.string, size);
    keys->string_bytes += size;
    keys->list[keys->count++] = walk->key;
  }
  return walk->status == VDB_OK;
}

vdb_status dump_keys_push(lua_State *L, int table, int items, const place *at, dump_keys *keys,
                          vdb_error *error) {
  key_walk walk = {.L = L, .table = table, .items = items, .at = at, .error = error, .status = VDB_OK};
  if (!count_keys(&walk, keys)) return walk.status;
  if (keys->count == 0) {
    lua_pushnil(L);
    return VDB_OK;
  }
  keys->list = lua_newuserdata(L, keys->count * sizeof *keys->list + keys->string_bytes);
  if (!fill_list(&walk, keys)) return walk.status;
  qsort(keys->list, keys->count, sizeof *keys->list, dump_keys_compare);
  return VDB_OK;
}
