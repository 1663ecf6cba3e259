/*
** compat.h - one spelling for what Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT spell differently.
**
** The only file that asks which Lua this is. LuaJIT is built as 5.1 and has to do with that API: one shared
** object serves both. No name of Lua's own API is defined here, because LuaJIT's headers declare some that
** 5.1 lacks.
*/
#ifndef VIPERDB_COMPAT_H
#define VIPERDB_COMPAT_H

#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

/* Doubles hold every integer up to here, on both sides of zero. */
#define COMPAT_EXACT_DOUBLE (INT64_C(1) << 53)

#if LUA_VERSION_NUM >= 503
#define COMPAT_HAS_INTEGERS 1 /* numbers are 64-bit integers or doubles */
_Static_assert(sizeof(lua_Integer) == sizeof(int64_t), "ViperDB needs a Lua with 64-bit integers");
#else
#define COMPAT_HAS_INTEGERS 0 /* numbers are doubles */
#endif
_Static_assert(sizeof(lua_Number) == sizeof(double), "ViperDB needs a Lua whose numbers are doubles");

/* The visible entry point of the module. */
#if defined(__GNUC__)
#define COMPAT_EXPORT __attribute__((visibility("default")))
#else
#define COMPAT_EXPORT
#endif

/* Whether the value is a number of the integer type. */
static inline bool compat_is_integer(lua_State *L, int index) {
#if COMPAT_HAS_INTEGERS
  return lua_isinteger(L, index);
#else
  (void)L;
  (void)index;
  return false;
#endif
}

/* The integer at `index`, for which compat_is_integer is true. */
static inline int64_t compat_to_integer(lua_State *L, int index) {
  return (int64_t)lua_tointeger(L, index);
}

/* Pushes the integer as a number; false, with nothing pushed, when this Lua's numbers don't hold it exactly. */
static inline bool compat_push_integer(lua_State *L, int64_t integer) {
#if COMPAT_HAS_INTEGERS
  lua_pushinteger(L, (lua_Integer)integer);
  return true;
#else
  double number = (double)integer;
  if (number >= 9223372036854775808.0 || (int64_t)number != integer) return false;
  lua_pushnumber(L, number);
  return true;
#endif
}

/* Pushes a count, which in practice every Lua holds exactly. */
static inline void compat_push_count(lua_State *L, uint64_t count) {
#if COMPAT_HAS_INTEGERS
  lua_pushinteger(L, (lua_Integer)count);
#else
  lua_pushnumber(L, (lua_Number)count);
#endif
}

/* The index counted from the bottom of the stack. */
static inline int compat_absolute(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

/* Length of a table, string or userdata without asking a metamethod. */
static inline size_t compat_raw_length(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 502
  return lua_rawlen(L, index);
#else
  return lua_objlen(L, index);
#endif
}

/* t[address] for the table at `index`: pushes the value, or sets it from the top and pops it. Raw. */
static inline void compat_raw_get_address(lua_State *L, int index, const void *address) {
  index = compat_absolute(L, index);
  lua_pushlightuserdata(L, (void *)(uintptr_t)address);
  lua_rawget(L, index);
}

static inline void compat_raw_set_address(lua_State *L, int index, const void *address) {
  index = compat_absolute(L, index);
  lua_pushlightuserdata(L, (void *)(uintptr_t)address);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

/*
** Every userdata can have one table attached, which lives as long as it does. Setting pops the table from
** the top; getting pushes it.
*/
static inline void compat_attach(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 504
  lua_setiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_setuservalue(L, index);
#else
  lua_setfenv(L, index);
#endif
}

static inline void compat_push_attached(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 504
  lua_getiuservalue(L, index, 1);
#elif LUA_VERSION_NUM >= 502
  lua_getuservalue(L, index);
#else
  lua_getfenv(L, index);
#endif
}

/*
** Makes a call that comes again inside itself an error when it does so too often. Most Luas count the calls from C, up to
** 200. LuaJIT only counts the slots of its own stack, 65500, and C's stack is at its end before: so the call takes many of
** them, for each level of the value that it is made in, too.
*/
#if LUA_VERSION_NUM >= 502
#define COMPAT_SPARE_SLOTS(levels) (0 * (levels))
#else
#define COMPAT_SPARE_SLOTS(levels) (160 + 16 * (levels))
#endif

static inline void compat_bound_nesting(lua_State *L, int levels) {
  luaL_checkstack(L, COMPAT_SPARE_SLOTS(levels) + LUA_MINSTACK, "too many calls inside each other");
  lua_settop(L, lua_gettop(L) + COMPAT_SPARE_SLOTS(levels));
}

/* ---- Functions as bytecode ---- */

/*
** How many bytes at the start of bytecode tell which Lua made it: version, format, sizes and order of its numbers.
** LuaJIT's have four, and one of flags.
*/
#if LUA_VERSION_NUM >= 504
#define COMPAT_BYTECODE_HEADER 31
#elif LUA_VERSION_NUM >= 503
#define COMPAT_BYTECODE_HEADER 33
#elif LUA_VERSION_NUM >= 502
#define COMPAT_BYTECODE_HEADER 18
#else
#define COMPAT_BYTECODE_HEADER 12
#endif

/* Bytecode of the Lua function on top, with its names and lines. Not zero when the writer stopped it. */
static inline int compat_dump_function(lua_State *L, lua_Writer writer, void *context) {
#if LUA_VERSION_NUM >= 503
  return lua_dump(L, writer, context, 0);
#else
  return lua_dump(L, writer, context);
#endif
}

/* Pushes the function and returns 0, or pushes a message. Its first upvalue, if any, is the table of globals. */
static inline int compat_load_bytecode(lua_State *L, const char *bytes, size_t size) {
#if LUA_VERSION_NUM >= 502
  return luaL_loadbufferx(L, bytes, size, "=function", "b");
#else
  return luaL_loadbuffer(L, bytes, size, "=function");
#endif
}

static inline void compat_push_globals(lua_State *L) {
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
#else
  lua_pushvalue(L, LUA_GLOBALSINDEX);
#endif
}

/* Pushes the table in which the function at `index` looks for globals, where that is not an upvalue; else nil. */
static inline void compat_push_environment(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 502
  (void)index;
  lua_pushnil(L);
#else
  lua_getfenv(L, index);
#endif
}

/*
** Sets the functions, up to one without a name, in the table below the `upvalues` values on top, as closures
** over them all, and pops these values.
*/
static inline void compat_set_functions(lua_State *L, const luaL_Reg *functions, int upvalues) {
  for (; functions->name != NULL; functions++) {
    for (int i = 0; i < upvalues; i++) lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -upvalues - 2, functions->name);
  }
  lua_pop(L, upvalues);
}

#endif
