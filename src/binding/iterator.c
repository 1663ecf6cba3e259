/*
** iterator.c - walks over a store, in the order of the last write.
**
** A walk is a userdata that owns an engine walk, and is the iterator itself: a step is to call it. A closure over it would
** do as well, but the machine code that LuaJIT makes for a loop keeps the function that it calls, and so would keep a walk
** that was left, its store and the files of its generation. The engine walk ends when there is nothing left, when the loop
** is left (the fourth result of db:pairs() closes it, on Lua 5.4) or when the walk is collected, before or after the store
** is closed.
*/
#include "iterator.h"

typedef struct walk {
  vdb_walk *steps; /* NULL: at its end */
  handle *handle;  /* kept by the attached table */
  bool keys_only;
} walk;

/* Its address names the metatable of the walks in the registry. */
static const char walk_metatable = 0;

static void end_walk(walk *w) {
  vdb_walk *steps = w->steps;
  w->steps = NULL;
  vdb_walk_end(steps);
}

/* A failed step doesn't end the walk: the next one goes on behind it. */
static vdb_status take_step(lua_State *L, walk *w, vdb_error *error) {
  vdb_key key;
  vdb_value walked = {0}, *value = w->keys_only ? NULL : &walked;
  if (w->steps == NULL) return VDB_ABSENT;
  scratch_prepare(L, 1, &w->handle->scratch);
  vdb_status status = handle_ready(w->handle, error);
  if (status == VDB_OK) status = vdb_walk_next(w->steps, &key, value, error);
  if (status == VDB_ABSENT) end_walk(w);
  if (status != VDB_OK) return status;
  return handle_push_record(L, 1, w->handle, &key, value, error);
}

static int step(lua_State *L) {
  walk *w = handle_self(L);
  vdb_error error;
  if (w == NULL) return luaL_argerror(L, 1, "a viperdb walk expected");
  vdb_status status = take_step(L, w, &error);
  if (status == VDB_OK) return w->keys_only ? 1 : 2;
  if (status != VDB_ABSENT) return handle_raise(L, &error);
  lua_pushnil(L);
  return 1;
}

static walk *push_ended_walk(lua_State *L, handle *h, bool keys_only) {
  walk *w = lua_newuserdata(L, sizeof *w);
  *w = (walk){.handle = h, .keys_only = keys_only};
  compat_push_attached(L, 1);
  compat_attach(L, -2);
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &walk_metatable);
  lua_setmetatable(L, -2);
  return w;
}

int iterator_begin(lua_State *L, handle *h, bool keys_only) {
  vdb_error error;
  walk *w = push_ended_walk(L, h, keys_only);
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = vdb_walk_begin(h->store, &w->steps, &error);
  if (status != VDB_OK) return handle_raise(L, &error);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

int iterator_pairs(lua_State *L) {
  return iterator_begin(L, handle_argument(L), false);
}

int iterator_keys(lua_State *L) {
  return iterator_begin(L, handle_argument(L), true);
}

static int end(lua_State *L) {
  walk *w = handle_self(L);
  if (w != NULL) end_walk(w);
  return 0;
}

static const luaL_Reg metamethods[] = {{"__call", step}, {"__gc", end}, {"__close", end}, {NULL, NULL}};

void iterator_register(lua_State *L) {
  lua_newtable(L);
  lua_pushliteral(L, "viperdb.walk");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  compat_set_functions(L, metamethods, 1);
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &walk_metatable);
}
