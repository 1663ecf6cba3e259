/*
** transaction.c - several reads and writes as one: db:transaction.
**
** A handle runs one transaction at a time. Its userdata owns the engine's snapshot; what it reads and writes is noted in
** the handle's draft.
**
** The function runs in a protected call, so that the transaction is over when it is, however it ends: from then on its
** userdata refuses to be used, and the handle can run the next one.
*/
#include "transaction.h"

#include "../engine/error.h"
#include "arguments.h"
#include "draft.h"
#include "indexing.h"
#include "retry.h"

typedef struct transaction {
  handle *handle; /* kept by the attached table, which is the handle's */
  bool open;      /* the function is running */
  vdb_snapshot *snapshot;
  uint64_t changes; /* how many have been made */
} transaction;

/* Its address names the metatable of the transactions in the registry. */
static const char transaction_metatable = 0;

static transaction *transaction_argument(lua_State *L) {
  transaction *t = handle_self(L);
  if (t == NULL)
    luaL_argerror(L, 1, lua_pushfstring(L, "a viperdb transaction expected, got %s", luaL_typename(L, 1)));
  else if (!t->open) luaL_error(L, "the transaction is over: it can be used only inside its function");
  return t;
}

/* Reading and writing: the key is at index 2. */

/* A key that the engine would refuse must not get into the draft, as it would refuse the batch. */
static vdb_status check_use(const transaction *t, const vdb_key *key, vdb_error *error) {
  if (key->type == VDB_STRING && key->size > VDB_MAX_KEY_SIZE)
    return error_set(error, VDB_TOO_BIG, "the key has %zu bytes: use one of at most %u", key->size,
                     VDB_MAX_KEY_SIZE);
  return handle_ready(t->handle, error);
}

/* From the snapshot, which sees nothing of this transaction. */
static vdb_status read_snapshot(lua_State *L, transaction *t, const vdb_key *key, vdb_value *value,
                                vdb_error *error) {
  draft_note_read(L);
  scratch_prepare(L, 1, &t->handle->scratch);
  vdb_status status = handle_ready(t->handle, error);
  return status == VDB_OK ? vdb_snapshot_get(t->snapshot, key, value, error) : status;
}

/* Pushes the value for VDB_OK. */
static vdb_status read_key(lua_State *L, transaction *t, const vdb_key *key, vdb_error *error) {
  vdb_value value;
  vdb_status status = check_use(t, key, error);
  if (status != VDB_OK) return status;
  const draft_change *own = draft_find(L);
  if (own != NULL) return draft_push_value(L, own, &t->handle->rules, error);
  status = read_snapshot(L, t, key, &value, error);
  return status == VDB_OK ? handle_push_record(L, 1, t->handle, NULL, &value, error) : status;
}

static vdb_status look_for_key(lua_State *L, transaction *t, const vdb_key *key, vdb_error *error) {
  vdb_status status = check_use(t, key, error);
  if (status != VDB_OK) return status;
  const draft_change *own = draft_find(L);
  if (own == NULL) return read_snapshot(L, t, key, NULL, error);
  return draft_has_value(own) ? VDB_OK : VDB_ABSENT;
}

/* The value is at index 3; nil deletes. A value that can't be stored is refused here. */
static vdb_status write_key(lua_State *L, transaction *t, const vdb_key *key, int64_t expiration,
                            vdb_error *error) {
  vdb_status status = check_use(t, key, error);
  if (status != VDB_OK) return status;
  if (!lua_isnil(L, 3)) return draft_set(L, t->handle, ++t->changes, expiration, error);
  draft_delete(L, ++t->changes);
  return VDB_OK;
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
  o->status = draft_commit(L, t->handle, t->snapshot, o->error);
  return lua_gettop(L) - 3;
}

/* Pushes a transaction that is over. */
static transaction *push_transaction(lua_State *L, handle *h) {
  transaction *t = lua_newuserdata(L, sizeof *t);
  *t = (transaction){.handle = h};
  compat_push_attached(L, 1);
  compat_attach(L, -2);
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &transaction_metatable);
  lua_setmetatable(L, -2);
  return t;
}

static void end_snapshot(transaction *t) {
  vdb_snapshot *snapshot = t->snapshot;
  t->snapshot = NULL;
  vdb_snapshot_end(snapshot);
}

static void begin(lua_State *L, transaction *t) {
  draft_begin(L);
  t->open = true;
  t->handle->in_transaction = true;
}

static void end(lua_State *L, transaction *t) {
  t->open = false;
  t->handle->in_transaction = false;
  end_snapshot(t);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  draft_end(L);
}

/*
** The handle is at 1, the function at 2, call_and_commit at 3. For VDB_OK there are the function's results above 4.
** Whatever can run a finalizer, which may close the store or run a transaction of its own, comes before the snapshot.
*/
static vdb_status try_to_run(lua_State *L, handle *h, vdb_error *error) {
  outcome result = {.error = error};
  lua_settop(L, 3);
  transaction *t = push_transaction(L, h);
  draft_push(L);
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
  if (argument_key(L, 2, &key)) status = look_for_key(L, t, &key, &error);
  return handle_presence(L, status, &error);
}

static int method_set(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  argument_key_to_write(L, 2, &key);
  luaL_checkany(L, 3);
  vdb_status status = write_key(L, t, &key, argument_expiration_option(L, 4), &error);
  return handle_done(L, status, &error);
}

static int method_delete(lua_State *L) {
  transaction *t = transaction_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (argument_key(L, 2, &key)) status = look_for_key(L, t, &key, &error);
  if (status == VDB_OK) draft_delete(L, ++t->changes);
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
  return write_key(L, t, &key, VDB_NEVER, &error) == VDB_OK ? 0 : handle_raise(L, &error);
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
