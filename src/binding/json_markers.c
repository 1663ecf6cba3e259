/*
** json_markers.c - the markers of other JSON libraries, found in package.loaded.
**
** Their addresses differ from library to library and from state to state, and a library may be loaded at any
** time. So whoever meets a value that may be a marker asks. Only Neovim's are kept, in the registry, when the
** module is loaded: they are there from the beginning, and many a value is read as one of them. What is read
** stays a marker whatever becomes of the global `vim`.
*/
#include "json_markers.h"

/* Replaces the table on top by its field; anything else by nil. */
static void step_into(lua_State *L, const char *name) {
  if (lua_istable(L, -1)) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
  } else {
    lua_pushnil(L);
  }
  lua_replace(L, -2);
}

/* Pushes package.loaded[module][name] or, with `inner`, package.loaded[module][name][inner]. */
static void push_found(lua_State *L, const char *module, const char *name, const char *inner) {
  lua_pushliteral(L, "_LOADED");
  lua_rawget(L, LUA_REGISTRYINDEX);
  step_into(L, module);
  step_into(L, name);
  if (inner != NULL) step_into(L, inner);
}

static const void *find(lua_State *L, const char *module, const char *name, const char *inner) {
  push_found(L, module, name, inner);
  const void *address = lua_topointer(L, -1);
  lua_pop(L, 1);
  return address;
}

static const void *find_in_cjson(lua_State *L, const char *name) {
  const void *address = find(L, "cjson", name, NULL);
  return address != NULL ? address : find(L, "cjson.safe", name, NULL);
}

/* Their addresses name in the registry what null is read as, and the metatable of an empty object or false. */
static const char null_key = 'n', empty_dict_key = 'd';

static void keep_null(lua_State *L) {
  push_found(L, "_G", "vim", "NIL");
  if (!lua_isuserdata(L, -1)) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, NULL);
  }
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &null_key);
}

static void keep_empty_dict(lua_State *L) {
  push_found(L, "_G", "vim", "_empty_dict_mt");
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
  }
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &empty_dict_key);
}

/* Pushes what is kept under this key, which is not nil. */
static void push_kept(lua_State *L, const char *key) {
  compat_raw_get_address(L, LUA_REGISTRYINDEX, key);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  keep_null(L);
  keep_empty_dict(L);
  compat_raw_get_address(L, LUA_REGISTRYINDEX, key);
}

void json_markers_push_null(lua_State *L) {
  push_kept(L, &null_key);
}

void json_markers_push_empty_object(lua_State *L) {
  lua_newtable(L);
  push_kept(L, &empty_dict_key);
  if (lua_istable(L, -1)) lua_setmetatable(L, -2);
  else lua_pop(L, 1);
}

bool json_markers_know_empty_objects(lua_State *L) {
  push_kept(L, &empty_dict_key);
  bool known = lua_istable(L, -1);
  lua_pop(L, 1);
  return known;
}

static const void *find_in_neovim(lua_State *L, const char *key, const char *name) {
  push_kept(L, key);
  const void *address = lua_topointer(L, -1);
  lua_pop(L, 1);
  return address != NULL ? address : find(L, "_G", "vim", name);
}

void json_markers_find(lua_State *L, json_markers *markers) {
  markers->array_metatable = find_in_cjson(L, "array_mt");
  markers->empty_array_metatable = find_in_cjson(L, "empty_array_mt");
  markers->empty_array = find_in_cjson(L, "empty_array");
  markers->empty_dict_metatable = find_in_neovim(L, &empty_dict_key, "_empty_dict_mt");
  markers->nil = find_in_neovim(L, &null_key, "NIL");
}
