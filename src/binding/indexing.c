/*
** indexing.c - the store as a table: db[k], db[k] = v, #db, and the view without methods.
*/
#include "indexing.h"

#include "iterator.h"
#include "key.h"

/* Keys and names. */

bool indexing_key(lua_State *L, vdb_key *key) {
  key_kind kind = key_read(L, 2, key);
  if (kind == KEY_FOREIGN) luaL_error(L, "%s", key_foreign_message(L, 2));
  return kind == KEY_STORABLE;
}

void indexing_key_to_write(lua_State *L, vdb_key *key) {
  if (!indexing_key(L, key)) luaL_error(L, "%s", key_nil_message(L, 2));
}

int indexing_pushed(lua_State *L, vdb_status status, const vdb_error *error) {
  if (status == VDB_ABSENT) lua_pushnil(L);
  return status == VDB_OK || status == VDB_ABSENT ? 1 : handle_raise(L, error);
}

bool indexing_is_name(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return false;
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  bool is_key = lua_isnil(L, -1);
  if (is_key) lua_pop(L, 1);
  else if (lua_isboolean(L, -1)) lua_pushnil(L);
  return !is_key;
}

int indexing_refuse_name(lua_State *L, const char *owner) {
  const char *name = lua_tostring(L, 2);
  return luaL_error(L, "'%s' is a method's name: to store under this key use %s:set(\"%s\", value)", name,
                    owner, name);
}

/* What handle and view share. Argument 1 is the owner, 2 the key, 3 the value. */

static int read_key(lua_State *L, handle *h) {
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (indexing_key(L, &key)) status = handle_read(L, h, &key, &error);
  return indexing_pushed(L, status, &error);
}

static int write_key(lua_State *L, handle *h) {
  vdb_key key;
  vdb_error error;
  indexing_key_to_write(L, &key);
  lua_settop(L, 3);
  return handle_write(L, h, &key, 3, VDB_NEVER, &error) == VDB_OK ? 0 : handle_raise(L, &error);
}

static int push_count(lua_State *L, const handle *h) {
  uint64_t count;
  vdb_error error;
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = vdb_count(h->store, &count, &error);
  if (status != VDB_OK) return handle_raise(L, &error);
  compat_push_count(L, count);
  return 1;
}

/* The handle. */

int indexing_read(lua_State *L) {
  handle *h = handle_argument(L);
  return indexing_is_name(L) ? 1 : read_key(L, h);
}

int indexing_write(lua_State *L) {
  handle *h = handle_argument(L);
  return indexing_is_name(L) ? indexing_refuse_name(L, "db") : write_key(L, h);
}

int indexing_length(lua_State *L) {
  return push_count(L, handle_argument(L));
}

/* The view: a userdata that points to the handle, which its attached table keeps. */

typedef struct view {
  handle *handle;
} view;

/* Its address names the metatable of the views in the registry. */
static const char view_metatable = 0;

int indexing_view(lua_State *L) {
  handle *h = handle_argument(L);
  view *v = lua_newuserdata(L, sizeof *v);
  v->handle = h;
  compat_push_attached(L, 1);
  compat_attach(L, -2);
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &view_metatable);
  lua_setmetatable(L, -2);
  return 1;
}

static handle *view_argument(lua_State *L) {
  const view *v = handle_self(L);
  if (v != NULL) return v->handle;
  luaL_argerror(L, 1, lua_pushfstring(L, "a viperdb table expected, got %s", luaL_typename(L, 1)));
  return NULL;
}

static int view_read(lua_State *L) {
  return read_key(L, view_argument(L));
}

static int view_write(lua_State *L) {
  return write_key(L, view_argument(L));
}

static int view_length(lua_State *L) {
  return push_count(L, view_argument(L));
}

static int view_pairs(lua_State *L) {
  return iterator_begin(L, view_argument(L), false);
}

static int view_tostring(lua_State *L) {
  return handle_push_name(L, view_argument(L), "viperdb table");
}

static const luaL_Reg view_metamethods[] = {{"__index", view_read},        {"__newindex", view_write},
                                            {"__len", view_length},        {"__pairs", view_pairs},
                                            {"__tostring", view_tostring}, {NULL, NULL}};

void indexing_register(lua_State *L) {
  lua_newtable(L);
  lua_pushliteral(L, "viperdb.table");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  compat_set_functions(L, view_metamethods, 1);
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &view_metatable);
}
