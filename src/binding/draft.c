/*
** draft.c - what a running transaction has read and is going to write.
*/
#include "draft.h"

#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "key.h"

struct draft_change {
  uint64_t number;
  bool deletes;
  vdb_encoding encoding;
  int64_t expiration;
  size_t size;
  char bytes[];
};

/* The tables. */

void draft_push(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
}

/* The attached table has room for both slots from the start. */
void draft_begin(lua_State *L) {
  compat_push_attached(L, 1);
  lua_insert(L, -3);
  lua_rawseti(L, -3, CHANGES_SLOT);
  lua_rawseti(L, -2, READS_SLOT);
  lua_pop(L, 1);
}

void draft_end(lua_State *L) {
  lua_pushnil(L);
  lua_pushnil(L);
  draft_begin(L);
}

static void push_table(lua_State *L, int slot) {
  compat_push_attached(L, 1);
  lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
}

void draft_note_read(lua_State *L) {
  push_table(L, READS_SLOT);
  lua_pushvalue(L, 2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Changes. */

const draft_change *draft_find(lua_State *L) {
  push_table(L, CHANGES_SLOT);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  const draft_change *found = lua_touserdata(L, -1);
  if (found == NULL) lua_pop(L, 1);
  return found;
}

bool draft_has_value(const draft_change *found) {
  return !found->deletes && (found->expiration == VDB_NEVER || found->expiration > clock_now());
}

vdb_status draft_push_value(lua_State *L, const draft_change *found, const value_rules *rules,
                            vdb_error *error) {
  if (!draft_has_value(found)) return VDB_ABSENT;
  vdb_value value = {.encoding = found->encoding, .bytes = found->bytes, .size = found->size};
  return value_decode(L, &value, rules, error);
}

/* In place of what the key had; pops nothing. */
static draft_change *put_change(lua_State *L, uint64_t number, size_t size) {
  push_table(L, CHANGES_SLOT);
  lua_pushvalue(L, 2);
  draft_change *change = lua_newuserdata(L, sizeof *change + size);
  *change = (draft_change){.number = number, .size = size};
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return change;
}

void draft_delete(lua_State *L, uint64_t number) {
  put_change(L, number, 0)->deletes = true;
}

vdb_status draft_set(lua_State *L, handle *h, uint64_t number, int64_t expiration, vdb_error *error) {
  vdb_value value;
  scratch_prepare(L, 1, &h->scratch);
  buffer *lent = scratch_lend(L, 1, &h->scratch);
  vdb_status status = value_encode(L, 3, &h->rules, lent, &value, error);
  if (status == VDB_OK) {
    draft_change *change = put_change(L, number, value.size);
    change->encoding = value.encoding;
    change->expiration = expiration;
    if (value.size > 0) memcpy(change->bytes, value.bytes, value.size);
  }
  scratch_give_back(&h->scratch, lent);
  lua_pop(L, 1);
  return status;
}

/* The batch. */

typedef struct item {
  uint64_t number;
  vdb_key key;
  vdb_value value;
  bool deletes;
} item;

static int by_number(const void *left, const void *right) {
  uint64_t a = ((const item *)left)->number, b = ((const item *)right)->number;
  return a < b ? -1 : a > b;
}

static size_t count_keys(lua_State *L, int table) {
  size_t count = 0;
  lua_pushnil(L);
  for (; lua_next(L, table); count++) lua_pop(L, 1);
  return count;
}

static void list_keys(lua_State *L, int table, vdb_key *keys) {
  lua_pushnil(L);
  for (; lua_next(L, table); keys++) {
    key_read(L, -2, keys);
    lua_pop(L, 1);
  }
}

/* The strings of keys and the bytes of values stay the table's. */
static void list_items(lua_State *L, int table, item *items) {
  lua_pushnil(L);
  for (; lua_next(L, table); items++) {
    const draft_change *change = lua_touserdata(L, -1);
    *items = (item){.number = change->number, .deletes = change->deletes};
    items->value = (vdb_value){change->encoding, change->bytes, change->size, change->expiration};
    key_read(L, -2, &items->key);
    lua_pop(L, 1);
  }
}

/* A batch that depends on nothing is written whatever others wrote. */
static vdb_status commit_tables(lua_State *L, handle *h, const vdb_snapshot *snapshot, int reads, int changes,
                                vdb_error *error) {
  size_t read_count = count_keys(L, reads), count = count_keys(L, changes);
  if (count == 0) return VDB_OK;
  item *items = lua_newuserdata(L, count * sizeof *items);
  vdb_change *batch = lua_newuserdata(L, count * sizeof *batch);
  vdb_key *keys = lua_newuserdata(L, (read_count + 1) * sizeof *keys);
  vdb_status status = handle_ready(h, error);
  if (status != VDB_OK) return status;
  list_items(L, changes, items);
  list_keys(L, reads, keys);
  qsort(items, count, sizeof *items, by_number);
  for (size_t i = 0; i < count; i++)
    batch[i] = (vdb_change){.key = items[i].key, .value = items[i].deletes ? NULL : &items[i].value};
  return vdb_commit(h->store, read_count > 0 ? snapshot : NULL, keys, read_count, batch, count, error);
}

/* Room on the stack for what follows the commit is asked for too: then it is too late for an error. */
vdb_status draft_commit(lua_State *L, handle *h, const vdb_snapshot *snapshot, vdb_error *error) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 3 * LUA_MINSTACK, "too many results");
  push_table(L, READS_SLOT);
  push_table(L, CHANGES_SLOT);
  vdb_status status = commit_tables(L, h, snapshot, top + 1, top + 2, error);
  lua_settop(L, top);
  return status;
}
