/*
** json_markers.c - the markers of other JSON libraries, found in package.loaded.
**
** Their addresses differ from library to library and from state to state, and a library may be loaded at any
** time. So they are not kept here: whoever meets a value that may be a marker asks.
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

void json_markers_find(lua_State *L, json_markers *markers) {
  markers->array_metatable = find_in_cjson(L, "array_mt");
  markers->empty_array_metatable = find_in_cjson(L, "empty_array_mt");
  markers->empty_array = find_in_cjson(L, "empty_array");
  markers->empty_dict_metatable = find(L, "_G", "vim", "_empty_dict_mt");
  markers->nil = find(L, "_G", "vim", "NIL");
}

/* Its address names null in the registry: many a value has a null, and Neovim is there from the beginning. */
static const char null_key = 0;

void json_markers_push_null(lua_State *L) {
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &null_key);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  luaL_checkstack(L, 4, NULL);
  push_found(L, "_G", "vim", "NIL");
  if (!lua_isuserdata(L, -1)) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, NULL);
  }
  lua_pushvalue(L, -1);
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &null_key);
}
