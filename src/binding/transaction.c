/*
** transaction.c - several reads and writes as one: db:transaction.
**
** A handle runs one transaction at a time. Two tables in the handle's attached table belong to it: the keys that were
** read from the snapshot, and key -> change for what was written. Keys of Lua tables are equal when they are equal in a
** store. All memory is Lua's, apart from the engine's snapshot, which the transaction's userdata owns.
**
** The function runs in a protected call, so that the transaction is over when it is, however it ends: from then on its
** userdata refuses to be used, and the handle can run the next one.
*/
#include "transaction.h"

#include <stdlib.h>
#include <string.h>

#include "../engine/error.h"
#include "arguments.h"
#include "indexing.h"
#include "key.h"
#include "retry.h"

typedef struct transaction {
  handle *handle; /* kept by the attached table, which is the handle's */
  bool open;      /* the function is running */
  vdb_snapshot *snapshot;
  uint64_t changes; /* how many have been made */
} transaction;

/* What is to be written to a key: a userdata. */
typedef struct change {
  uint64_t number; /* in the order of writing */
  bool deletes;
  vdb_encoding encoding;
  int64_t expiration;
  size_t size;
  char bytes[];
} change;

/* Its address names the metatable of the transactions in the registry. */
static const char transaction_metatable = 0;

/* Arguments. */

static transaction *transaction_argument(lua_State *L) {
  transaction *t = handle_self(L);
  if (t == NULL)
    luaL_argerror(L, 1, lua_pushfstring(L, "a viperdb transaction expected, got %s", luaL_typename(L, 1)));
  else if (!t->open) luaL_error(L, "the transaction is over: it can be used only inside its function");
  return t;
}

/* Pushes one of the running transaction's tables. */
static void push_table(lua_State *L, int slot) {
  compat_push_attached(L, 1);
  lua_rawgeti(L, -1, slot);
  lua_remove(L, -2);
}

/* Reading. The key is at index 2. */

/* Pushes the change that was made to the key, or returns NULL. */
static const change *push_change(lua_State *L) {
  push_table(L, CHANGES_SLOT);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  const change *own = lua_touserdata(L, -1);
  if (own == NULL) lua_pop(L, 1);
  return own;
}

static bool is_there(const change *own) {
  return !own->deletes && (own->expiration == VDB_NEVER || own->expiration > clock_now());
}

static vdb_status push_own_value(lua_State *L, const transaction *t, const change *own, vdb_error *error) {
  vdb_value value = {.encoding = own->encoding, .bytes = own->bytes, .size = own->size};
  return is_there(own) ? value_decode(L, &value, &t->handle->rules, error) : VDB_ABSENT;
}

static void note_read(lua_State *L) {
  push_table(L, READS_SLOT);
  lua_pushvalue(L, 2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* From the snapshot, which sees nothing of this transaction. */
static vdb_status read_snapshot(lua_State *L, transaction *t, const vdb_key *key, vdb_value *value,
                                vdb_error *error) {
  note_read(L);
  scratch_prepare(L, 1, &t->handle->scratch);
  vdb_status status = handle_ready(t->handle, error);
  return status == VDB_OK ? vdb_snapshot_get(t->snapshot, key, value, error) : status;
}

/* Pushes the value for VDB_OK. */
static vdb_status read_key(lua_State *L, transaction *t, const vdb_key *key, vdb_error *error) {
  vdb_value value;
  vdb_status status = handle_ready(t->handle, error);
  if (status != VDB_OK) return status;
  const change *own = push_change(L);
  if (own != NULL) return push_own_value(L, t, own, error);
  status = read_snapshot(L, t, key, &value, error);
  return status == VDB_OK ? handle_push_record(L, 1, t->handle, NULL, &value, error) : status;
}

static vdb_status look_for(lua_State *L, transaction *t, const vdb_key *key, vdb_error *error) {
  vdb_status status = handle_ready(t->handle, error);
  if (status != VDB_OK) return status;
  const change *own = push_change(L);
  if (own != NULL) return is_there(own) ? VDB_OK : VDB_ABSENT;
  return read_snapshot(L, t, key, NULL, error);
}

/* Writing. The key is at index 2. */

/* Makes what is written to the key the change on top, and pops it. */
static void set_change(lua_State *L, transaction *t, change *own) {
  own->number = ++t->changes;
  push_table(L, CHANGES_SLOT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static change *push_new_change(lua_State *L, size_t size) {
  change *own = lua_newuserdata(L, sizeof *own + size);
  *own = (change){.size = size};
  return own;
}

static void write_delete(lua_State *L, transaction *t) {
  change *own = push_new_change(L, 0);
  own->deletes = true;
  set_change(L, t, own);
}

/* The value at index 3, which is refused here if it can't be stored. */
static vdb_status write_value(lua_State *L, transaction *t, int64_t expiration, vdb_error *error) {
  handle *h = t->handle;
  vdb_value value;
  scratch_prepare(L, 1, &h->scratch);
  buffer *lent = scratch_lend(L, 1, &h->scratch);
  vdb_status status = value_encode(L, 3, &h->rules, lent, &value, error);
  if (status == VDB_OK) {
    change *own = push_new_change(L, value.size);
    own->encoding = value.encoding;
    own->expiration = expiration;
    if (value.size > 0) memcpy(own->bytes, value.bytes, value.size);
    set_change(L, t, own);
  }
  scratch_give_back(&h->scratch, lent);
  return status;
}

/* As write_value; nil deletes. */
static vdb_status write_key(lua_State *L, transaction *t, int64_t expiration, vdb_error *error) {
  vdb_status status = handle_ready(t->handle, error);
  if (status != VDB_OK) return status;
  if (!lua_isnil(L, 3)) return write_value(L, t, expiration, error);
  write_delete(L, t);
  return VDB_OK;
}

/* The end: all changes as one batch. */

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
  while (lua_next(L, table)) {
    count++;
    lua_pop(L, 1);
  }
  return count;
}

/* The strings of keys and the bytes of values stay the tables'. */
static void list_items(lua_State *L, int table, item *items) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    const change *own = lua_touserdata(L, -1);
    *items = (item){.number = own->number, .deletes = own->deletes};
    items->value = (vdb_value){own->encoding, own->bytes, own->size, own->expiration};
    key_read(L, -2, &items->key);
    items++;
    lua_pop(L, 1);
  }
}

static void list_keys(lua_State *L, int table, vdb_key *keys) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    key_read(L, -2, keys++);
    lua_pop(L, 1);
  }
}

/* Once the tables are counted, no Lua code runs that could change them: the transaction is not open any more. */
static vdb_status commit_tables(lua_State *L, transaction *t, int reads, int changes, vdb_error *error) {
  size_t read_count = count_keys(L, reads), count = count_keys(L, changes);
  if (count == 0) return VDB_OK;
  item *items = lua_newuserdata(L, count * sizeof *items);
  vdb_change *batch = lua_newuserdata(L, count * sizeof *batch);
  vdb_key *keys = lua_newuserdata(L, read_count * sizeof *keys + 1);
  vdb_status status = handle_ready(t->handle, error);
  if (status != VDB_OK) return status;
  list_items(L, changes, items);
  list_keys(L, reads, keys);
  qsort(items, count, sizeof *items, by_number);
  for (size_t i = 0; i < count; i++)
    batch[i] = (vdb_change){.key = items[i].key, .value = items[i].deletes ? NULL : &items[i].value};
  const vdb_snapshot *snapshot = read_count > 0 ? t->snapshot : NULL;
  return vdb_commit(t->handle->store, snapshot, keys, read_count, batch, count, error);
}

static vdb_status commit(lua_State *L, transaction *t, vdb_error *error) {
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_table(L, READS_SLOT);
  push_table(L, CHANGES_SLOT);
  vdb_status status = commit_tables(L, t, top + 1, top + 2, error);
  lua_settop(L, top);
  return status;
}

/* Running. */

typedef struct outcome {
  vdb_status status;
  vdb_error *error;
} outcome;

/* Arguments: the transaction, its function, the outcome. Returns what the function returns. */
static int call_and_commit(lua_State *L) {
  transaction *t = lua_touserdata(L, 1);
  outcome *o = lua_touserdata(L, 3);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  t->open = false;
  o->status = commit(L, t, o->error);
  return lua_gettop(L) - 3;
}

static void end_snapshot(transaction *t) {
  vdb_snapshot *snapshot = t->snapshot;
  t->snapshot = NULL;
  vdb_snapshot_end(snapshot);
}

/* Pushes a transaction that is over, and two tables. */
static transaction *push_transaction(lua_State *L, handle *h) {
  transaction *t = lua_newuserdata(L, sizeof *t);
  *t = (transaction){.handle = h};
  compat_push_attached(L, 1);
  compat_attach(L, -2);
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &transaction_metatable);
  lua_setmetatable(L, -2);
  lua_newtable(L);
  lua_newtable(L);
  return t;
}

/* Pops the tables that become the running transaction's, or nils. There is a place for both, so this can't fail. */
static void set_tables(lua_State *L) {
  compat_push_attached(L, 1);
  lua_insert(L, -3);
  lua_rawseti(L, -3, CHANGES_SLOT);
  lua_rawseti(L, -2, READS_SLOT);
  lua_pop(L, 1);
}

static void begin(lua_State *L, transaction *t) {
  set_tables(L);
  t->open = true;
  t->handle->in_transaction = true;
}

static void end(lua_State *L, transaction *t) {
  t->open = false;
  t->handle->in_transaction = false;
  end_snapshot(t);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushnil(L);
  lua_pushnil(L);
  set_tables(L);
}

/*
** The handle is at 1, the function at 2, call_and_commit at 3. For VDB_OK there are the function's results above 4.
** Whatever can run a finalizer, which may close the store or run a transaction of its own, comes before `begin`.
*/
static vdb_status try_to_run(lua_State *L, handle *h, vdb_error *error) {
  outcome result = {.error = error};
  lua_settop(L, 3);
  transaction *t = push_transaction(L, h);
  vdb_status status = handle_ready(h, error);
  if (status == VDB_OK) status = vdb_snapshot_begin(h->store, &t->snapshot, error);
  if (status != VDB_OK) return status;
  begin(L, t);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, &result);
  bool raised = lua_pcall(L, 3, LUA_MULTRET, 0) != 0;
  end(L, t);
  if (raised) lua_error(L);
  return result.status;
}

int transaction_run(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_error error;
  vdb_status status;
  uint64_t tries = 0;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  uint64_t limit = argument_tries(L, 3);
  if (h->in_transaction)
    return luaL_error(L, "a transaction of this store is running: use its tx, or open another handle");
  lua_settop(L, 2);
  lua_pushcfunction(L, call_and_commit);
  do {
    status = try_to_run(L, h, &error);
  } while (retry_after(++tries, limit, status, &error));
  if (status != VDB_OK) return handle_failure(L, &error);
  if (lua_gettop(L) == 4) lua_pushboolean(L, true);
  return lua_gettop(L) - 4;
}

/* Methods. */

static int method_get(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (argument_key(L, 2, &key)) status = read_key(L, t, &key, &error);
  return handle_pushed(L, status, &error);
}

static int method_has(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (argument_key(L, 2, &key)) status = look_for(L, t, &key, &error);
  return handle_presence(L, status, &error);
}

static int method_set(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  argument_key_to_write(L, 2, &key);
  luaL_checkany(L, 3);
  vdb_status status = write_key(L, t, argument_expiration_option(L, 4), &error);
  return handle_done(L, status, &error);
}

static int method_delete(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (argument_key(L, 2, &key)) status = look_for(L, t, &key, &error);
  if (status == VDB_OK) write_delete(L, t);
  return handle_presence(L, status, &error);
}

static const luaL_Reg methods[] = {
    {"get", method_get}, {"set", method_set}, {"delete", method_delete}, {"has", method_has}, {NULL, NULL}};

/* Indexing, as with the handle. The first upvalue is the metatable, the second the table of names. */

static int index_read(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (indexing_is_name(L)) return 1;
  if (indexing_key(L, &key)) status = read_key(L, t, &key, &error);
  return indexing_pushed(L, status, &error);
}

static int index_write(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  if (indexing_is_name(L)) return indexing_refuse_name(L, "tx");
  indexing_key_to_write(L, &key);
  lua_settop(L, 3);
  return write_key(L, t, VDB_NEVER, &error) == VDB_OK ? 0 : handle_raise(L, &error);
}

static int tostring(lua_State *L) {
  const transaction *t = handle_self(L);
  if (t == NULL) return luaL_argerror(L, 1, "a viperdb transaction expected");
  return handle_push_name(L, t->handle, "viperdb transaction");
}

/* One that is open is collected only when the Lua state is closed inside its function. */
static int collect(lua_State *L) {
  transaction *t = handle_self(L);
  if (t != NULL && !t->open) end_snapshot(t);
  return 0;
}

static const luaL_Reg metamethods[] = {{"__tostring", tostring}, {"__gc", collect}, {NULL, NULL}};

static const luaL_Reg indexing[] = {{"__index", index_read}, {"__newindex", index_write}, {NULL, NULL}};

/* Pushes the methods, and false for all other names of the handle. */
static void push_names(lua_State *L, int names, int metatable) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, names)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, false);
    lua_rawset(L, -4);
  }
  lua_pushvalue(L, metatable);
  compat_set_functions(L, methods, 1);
}

void transaction_register(lua_State *L, int names) {
  lua_newtable(L);
  int metatable = lua_gettop(L);
  lua_pushliteral(L, "viperdb.transaction");
  lua_setfield(L, metatable, "__name");
  lua_pushvalue(L, metatable);
  compat_set_functions(L, metamethods, 1);
  lua_pushvalue(L, metatable);
  push_names(L, names, metatable);
  compat_set_functions(L, indexing, 2);
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &transaction_metatable);
}
