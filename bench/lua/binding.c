/*
** binding.c - a thin Lua binding over adapter.h, so that a peer without a Lua module of its own can be
** measured from Lua. Built once for each store and Lua.
**
**   store = open(folder, keys)   store:put(k, v)   store:get(k)   store:remove(k)   store:walk(function (k,
** v) end)
**   now()                        nanoseconds       nothing()      the floor of a call from Lua to C
*/
#include <lauxlib.h>
#include <lua.h>

#include "../measure.h"

#define CLASS "viperdb.bench.store"

static bench_state *check(lua_State *L) {
  bench_state *bench = luaL_checkudata(L, 1, CLASS);
  if (bench->handle == NULL) luaL_error(L, "the store is closed");
  return bench;
}

static text check_text(lua_State *L, int index) {
  text bytes;
  bytes.bytes = luaL_checklstring(L, index, &bytes.size);
  return bytes;
}

static int open_store(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  adapter_options options = {.keys = (uint64_t)luaL_checknumber(L, 2)};
  bench_state *bench = lua_newuserdata(L, sizeof *bench);
  *bench = (bench_state){.store = &bench_adapter};
  luaL_getmetatable(L, CLASS);
  lua_setmetatable(L, -2);
  bench->handle = bench->store->open(folder, &options);
  return bench->handle != NULL ? 1 : luaL_error(L, "cannot open %s in %s", bench->store->name, folder);
}

static int put(lua_State *L) {
  bench_state *bench = check(L);
  if (!bench->store->put(bench->handle, check_text(L, 2), check_text(L, 3)))
    return luaL_error(L, "put failed");
  return 0;
}

static int get(lua_State *L) {
  static char buffer[1 << 17];
  bench_state *bench = check(L);
  int64_t size = bench->store->get(bench->handle, check_text(L, 2), buffer, sizeof buffer);
  if (size < 0) lua_pushnil(L);
  else lua_pushlstring(L, buffer, (size_t)size);
  return 1;
}

static int remove_key(lua_State *L) {
  bench_state *bench = check(L);
  if (!bench->store->remove(bench->handle, check_text(L, 2))) return luaL_error(L, "remove failed");
  return 0;
}

static void visit(void *context, text key, text value) {
  lua_State *L = context;
  lua_pushvalue(L, 2);
  lua_pushlstring(L, key.bytes, key.size);
  lua_pushlstring(L, value.bytes, value.size);
  lua_call(L, 2, 0);
}

static int walk(lua_State *L) {
  bench_state *bench = check(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!bench->store->walk(bench->handle, visit, L)) return luaL_error(L, "walk failed");
  return 0;
}

static int close_store(lua_State *L) {
  bench_state *bench = luaL_checkudata(L, 1, CLASS);
  if (bench->handle != NULL && !bench->store->close(bench->handle)) return luaL_error(L, "close failed");
  bench->handle = NULL;
  return 0;
}

static int now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)measure_now());
  return 1;
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

static void set_functions(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name != NULL; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

int luaopen_bench_store(lua_State *L);

__attribute__((visibility("default"))) int luaopen_bench_store(lua_State *L) {
  static const luaL_Reg methods[] = {{"put", put},   {"get", get},          {"remove", remove_key},
                                     {"walk", walk}, {"__gc", close_store}, {"close", close_store},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"open", open_store}, {"now", now}, {"nothing", nothing}, {NULL, NULL}};
  luaL_newmetatable(L, CLASS);
  set_functions(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_newtable(L);
  set_functions(L, functions);
  return 1;
}
