/*
** module.c - the C module viperdb.core: its functions, and the names a store answers to.
**
** Every metatable is an upvalue of the functions that check for it, or lies in the registry under an address
** of this module, so that nothing is shared with another version of it in the same Lua state.
*/
#include "arguments.h"
#include "atomic.h"
#include "class.h"
#include "dump.h"
#include "handle.h"
#include "indexing.h"
#include "iterator.h"
#include "json.h"
#include "json_markers.h"
#include "maintenance.h"
#include "methods.h"
#include "scratch.h"
#include "transaction.h"

COMPAT_EXPORT int luaopen_viperdb_core(lua_State *L);

static const luaL_Reg methods[] = {{"get", method_get},
                                   {"set", method_set},
                                   {"set_with_expiration", method_set_with_expiration},
                                   {"delete", method_delete},
                                   {"has", method_has},
                                   {"add", atomic_add},
                                   {"replace", atomic_replace},
                                   {"update", atomic_update},
                                   {"incr", atomic_incr},
                                   {"cas", atomic_cas},
                                   {"transaction", transaction_run},
                                   {"ttl", method_ttl},
                                   {"expire", method_expire},
                                   {"persist", method_persist},
                                   {"pairs", iterator_pairs},
                                   {"keys", iterator_keys},
                                   {"table", indexing_view},
                                   {"reclaim", maintenance_reclaim},
                                   {"sync", maintenance_sync},
                                   {"stats", maintenance_stats},
                                   {"check", maintenance_check},
                                   {"close", handle_close},
                                   {NULL, NULL}};

/* Methods to come. Their names are kept free, so that no program has keys that they would hide. */
static const char *const reserved_names[] = {"range", "prefix",  "snapshot", "history",
                                             "at",    "changes", "backup",   "live"};

static const luaL_Reg metamethods[] = {{"__len", indexing_length},      {"__pairs", iterator_pairs},
                                       {"__tostring", handle_tostring}, {"__close", handle_leave},
                                       {"__gc", handle_collect},        {NULL, NULL}};

static const luaL_Reg indexing[] = {{"__index", indexing_read}, {"__newindex", indexing_write}, {NULL, NULL}};

/* Pushes the table of names for the metatable at `metatable`. */
static void push_names(lua_State *L, int metatable) {
  lua_newtable(L);
  lua_pushvalue(L, metatable);
  compat_set_functions(L, methods, 1);
  for (size_t i = 0; i < sizeof reserved_names / sizeof *reserved_names; i++) {
    lua_pushboolean(L, false);
    lua_setfield(L, -2, reserved_names[i]);
  }
}

static void push_handle_metatable(lua_State *L) {
  lua_newtable(L);
  int metatable = lua_gettop(L);
  lua_pushliteral(L, "viperdb.store");
  lua_setfield(L, metatable, "__name");
  lua_pushvalue(L, metatable);
  compat_set_functions(L, metamethods, 1);
  lua_pushvalue(L, metatable);
  push_names(L, metatable);
  transaction_register(L, lua_gettop(L));
  compat_set_functions(L, indexing, 2);
}

/* viperdb.core.json_encode(value) -> text */
static int json_text(lua_State *L) {
  vdb_error error;
  buffer *text = lua_touserdata(L, lua_upvalueindex(1)); /* kept from call to call, as a store does */
  luaL_checkany(L, 1);
  text->size = 0;
  if (json_encode(L, 1, text, &error) != VDB_OK) return handle_failure(L, &error);
  lua_pushlstring(L, text->bytes, text->size);
  return 1;
}

/* viperdb.core.json_decode(text [, "exact", "float" or "string"]) -> value */
static int json_value(lua_State *L) {
  static const char *const names[] = {"exact", "float", "string", NULL}; /* as in json_integers */
  size_t size;
  vdb_error error;
  const char *text = luaL_checklstring(L, 1, &size);
  json_integers integers = (json_integers)luaL_checkoption(L, 2, "exact", names);
  if (json_decode(L, text, size, integers, &error) != VDB_OK) return handle_failure(L, &error);
  return 1;
}

/* viperdb.core.dump_encode(value [, functions]) -> bytes */
static int dump_bytes(lua_State *L) {
  vdb_error error;
  luaL_checkany(L, 1);
  value_rules rules = {.functions = lua_toboolean(L, 2)};
  buffer *bytes = scratch_push_buffer(L);
  if (dump_encode(L, 1, &rules, bytes, &error) != VDB_OK) return handle_failure(L, &error);
  lua_pushlstring(L, bytes->bytes, bytes->size);
  buffer_free(bytes);
  return 1;
}

/* viperdb.core.dump_decode(bytes [, functions]) -> value */
static int dump_value(lua_State *L) {
  size_t size;
  vdb_error error;
  const char *bytes = luaL_checklstring(L, 1, &size);
  value_rules rules = {.functions = lua_toboolean(L, 2)};
  if (dump_decode(L, bytes, size, &rules, &error) != VDB_OK) return handle_failure(L, &error);
  return 1;
}

static const luaL_Reg functions[] = {{"repair", maintenance_repair}, {"register", class_register},
                                     {"json_decode", json_value},    {"dump_encode", dump_bytes},
                                     {"dump_decode", dump_value},    {NULL, NULL}};

static const luaL_Reg encoding[] = {{"json_encode", json_text}, {NULL, NULL}};

static const luaL_Reg opening[] = {{"open", handle_open}, {NULL, NULL}};

int luaopen_viperdb_core(lua_State *L) {
  indexing_register(L);
  iterator_register(L);
  lua_newtable(L);
  compat_set_functions(L, functions, 0);
  scratch_push_buffer(L);
  compat_set_functions(L, encoding, 1);
  push_handle_metatable(L);
  compat_set_functions(L, opening, 1);
  json_markers_push_null(L);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, VDB_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
