/*
** class.c - the metatables that values are stored with, each under a name.
**
** The registry is one table, from names and from metatables to classes: a name is a string and a metatable is a table,
** so they don't meet.
*/
#include "class.h"

#include <string.h>

#include "json_markers.h"
#include "place.h"

/* Its address names the registry of classes in Lua's. */
static const char registry = 0;

/* Indices in class_register. */
enum { NAME = 1, METATABLE, HOOKS, DUMP, LOAD, REGISTRY };

static void push_registry(lua_State *L) {
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &registry);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &registry);
}

void class_find(lua_State *L) {
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &registry);
  if (lua_isnil(L, -1)) {
    lua_replace(L, -2);
    return;
  }
  lua_insert(L, -2);
  lua_rawget(L, -2);
  lua_replace(L, -2);
}

static void check_name(lua_State *L) {
  luaL_checktype(L, NAME, LUA_TSTRING);
  size_t size = compat_raw_length(L, NAME);
  if (size == 0) luaL_argerror(L, NAME, "a class needs a name that is not empty");
  if (size > CLASS_MAX_NAME_SIZE) luaL_argerror(L, NAME, "a class's name has at most 255 bytes");
}

/* A table that carries a marker is stored as a plain one, so that it would not come back as an object. */
static void check_metatable(lua_State *L) {
  luaL_checktype(L, METATABLE, LUA_TTABLE);
  json_markers markers;
  json_markers_find(L, &markers);
  const void *address = lua_topointer(L, METATABLE);
  if (address == markers.array_metatable || address == markers.empty_array_metatable ||
      address == markers.empty_dict_metatable)
    luaL_argerror(L, METATABLE, "this metatable is a marker of a JSON library");
}

static void check_hook_name(lua_State *L, int index) {
  const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  if (strcmp(name, "dump") != 0 && strcmp(name, "load") != 0)
    luaL_argerror(L, HOOKS, "the only fields are 'dump' and 'load'");
}

/* Pushes the two functions, or two times nil. */
static void check_hooks(lua_State *L) {
  lua_settop(L, HOOKS);
  lua_pushnil(L);
  lua_pushnil(L);
  if (lua_isnil(L, HOOKS)) return;
  luaL_checktype(L, HOOKS, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, HOOKS); lua_pop(L, 1)) {
    check_hook_name(L, -2);
    if (!lua_isfunction(L, -1)) luaL_argerror(L, HOOKS, "'dump' and 'load' must be functions");
    lua_pushvalue(L, -1);
    lua_replace(L, lua_tostring(L, -3)[0] == 'd' ? DUMP : LOAD);
  }
  if (lua_isnil(L, DUMP) != lua_isnil(L, LOAD))
    luaL_argerror(L, HOOKS, "'dump' and 'load' come together: what one writes the other reads");
}

/* Raises unless the class on top, which has the name or the metatable that are to be registered, has both. */
static void check_same(lua_State *L) {
  char quoted[PLACE_SIZE];
  size_t size;
  lua_rawgeti(L, -1, CLASS_NAME);
  const char *name = lua_tolstring(L, -1, &size);
  place_quote(name, size, quoted);
  if (!lua_rawequal(L, -1, NAME))
    luaL_argerror(L, METATABLE, lua_pushfstring(L, "this metatable is already registered as %s", quoted));
  lua_rawgeti(L, -2, CLASS_METATABLE);
  if (!lua_rawequal(L, -1, METATABLE))
    luaL_argerror(L, NAME, lua_pushfstring(L, "%s is already registered with another metatable", quoted));
  lua_pop(L, 2);
}

/* Pushes the class that is registered under the argument, having checked that it is the same; or nil. */
static void push_registered(lua_State *L, int argument) {
  lua_pushvalue(L, argument);
  class_find(L);
  if (!lua_isnil(L, -1)) check_same(L);
}

/* Copies the argument to a slot of the class on top. */
static void copy_to_slot(lua_State *L, int argument, int slot) {
  lua_pushvalue(L, argument);
  lua_rawseti(L, -2, slot);
}

/* Pushes the class under this name or metatable, or a new one. */
static void push_class(lua_State *L) {
  push_registered(L, METATABLE);
  if (!lua_isnil(L, -1)) return;
  push_registered(L, NAME);
  if (!lua_isnil(L, -1)) return;
  lua_createtable(L, CLASS_LOAD, 0);
  copy_to_slot(L, NAME, CLASS_NAME);
  copy_to_slot(L, METATABLE, CLASS_METATABLE);
}

int class_register(lua_State *L) {
  check_name(L);
  check_metatable(L);
  check_hooks(L);
  push_registry(L);
  push_class(L);
  copy_to_slot(L, DUMP, CLASS_DUMP);
  copy_to_slot(L, LOAD, CLASS_LOAD);
  for (int i = NAME; i <= METATABLE; i++) {
    lua_pushvalue(L, i);
    lua_pushvalue(L, -2);
    lua_rawset(L, REGISTRY);
  }
  return 0;
}
