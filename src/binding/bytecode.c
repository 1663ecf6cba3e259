/*
** bytecode.c - Lua functions as bytes, for the Lua that made them.
*/
#include "bytecode.h"

#include "../engine/error.h"

#define JIT_SIGNATURE "\033LJ"
#define PUC_SIGNATURE "\033Lua"
#define JIT_FLAGS 4       /* position of LuaJIT's flags */
#define JIT_FLAG_FFI 0x04 /* set for functions with cdata constants: says nothing about the Lua */

/* ---- Writing ---- */

static int append(lua_State *L, const void *bytes, size_t size, void *out) {
  (void)L;
  return !buffer_append(out, bytes, size);
}

static bool is_globals(lua_State *L, int index) {
  index = compat_absolute(L, index);
  compat_push_globals(L);
  bool same = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  return same;
}

/* As in Lua 5.1, where the environment is not an upvalue. */
static bool has_own_environment(lua_State *L, int index) {
  compat_push_environment(L, index);
  bool own = !lua_isnil(L, -1) && !is_globals(L, -1);
  lua_pop(L, 1);
  return own;
}

/* The name of an upvalue that would be lost, or NULL. The first one gets the globals when a function is loaded. */
static const char *find_upvalue(lua_State *L, int index) {
  const char *name = lua_getupvalue(L, index, 1);
  if (name == NULL) return NULL;
  bool globals = is_globals(L, -1);
  lua_pop(L, 1);
  if (!globals) return name;
  name = lua_getupvalue(L, index, 2);
  if (name != NULL) lua_pop(L, 1);
  return name;
}

static vdb_status check(lua_State *L, int index, const char *place, vdb_error *error) {
  if (lua_iscfunction(L, index))
    return error_set(error, VDB_TYPE, "%s is a function written in C, which can't be stored", place);
  const char *upvalue = find_upvalue(L, index);
  if (has_own_environment(L, index) || (upvalue != NULL && strcmp(upvalue, "_ENV") == 0))
    return error_set(
        error, VDB_TYPE,
        "%s is a function with an environment of its own, which would be lost: let it use the globals",
        place);
  if (upvalue == NULL) return VDB_OK;
  return error_set(
      error, VDB_TYPE,
      "%s is a function that uses '%s' from around it, which would be lost: pass it as an argument", place,
      upvalue);
}

vdb_status bytecode_write(lua_State *L, int index, const char *place, buffer *out, vdb_error *error) {
  vdb_status status = check(L, index, place, error);
  if (status != VDB_OK) return status;
  lua_pushvalue(L, index);
  int failed = compat_dump_function(L, append, out);
  lua_pop(L, 1);
  return failed ? error_set(error, VDB_NO_MEMORY, "no memory for the function's bytecode") : VDB_OK;
}

/* ---- Loading ---- */

typedef struct header {
  char bytes[COMPAT_BYTECODE_HEADER];
  size_t size;
} header;

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* The start of the bytecode, as far as it tells which Lua made it. */
static header read_header(const char *bytes, size_t size) {
  header h = {.size = smaller(size, sizeof h.bytes)};
  memcpy(h.bytes, bytes, h.size);
  if (h.size <= JIT_FLAGS || memcmp(bytes, JIT_SIGNATURE, sizeof JIT_SIGNATURE - 1) != 0) return h;
  h.size = JIT_FLAGS + 1;
  h.bytes[JIT_FLAGS] = (char)(h.bytes[JIT_FLAGS] & ~JIT_FLAG_FFI);
  return h;
}

static int keep_start(lua_State *L, const void *bytes, size_t size, void *context) {
  header *start = context;
  (void)L;
  size = smaller(size, sizeof start->bytes - start->size);
  memcpy(start->bytes + start->size, bytes, size);
  start->size += size;
  return 0;
}

/* What this Lua writes before its own functions. */
static header own_header(lua_State *L) {
  header start = {.size = 0};
  if (luaL_loadbuffer(L, "", 0, "=") != 0) lua_error(L);
  compat_dump_function(L, keep_start, &start);
  lua_pop(L, 1);
  return read_header(start.bytes, start.size);
}

static vdb_status foreign(const char *bytes, size_t size, vdb_error *error) {
  static const char text[] = "the value has a function of %s, which only the same Lua can load";
  char name[] = "Lua 5.1";
  size_t version = sizeof PUC_SIGNATURE - 1;
  if (size > 3 && memcmp(bytes, JIT_SIGNATURE, 3) == 0)
    return error_set(error, VDB_UNSUPPORTED, text, "LuaJIT");
  if (size <= version || memcmp(bytes, PUC_SIGNATURE, version) != 0)
    return error_set(error, VDB_UNSUPPORTED, text, "another Lua");
  name[4] = (char)('0' + (bytes[version] >> 4 & 7));
  name[6] = (char)('0' + (bytes[version] & 7));
  return error_set(error, VDB_UNSUPPORTED, text, name);
}

vdb_status bytecode_load(lua_State *L, const char *bytes, size_t size, vdb_error *error) {
  header own = own_header(L), theirs = read_header(bytes, size);
  if (theirs.size != own.size || memcmp(own.bytes, theirs.bytes, own.size) != 0)
    return foreign(bytes, size, error);
  int failed = compat_load_bytecode(L, bytes, size);
  if (failed == 0) return VDB_OK;
  if (failed == LUA_ERRMEM) lua_error(L);
  error_set(error, VDB_CORRUPT, "the bytecode of a function is damaged: %.200s", lua_tostring(L, -1));
  lua_pop(L, 1);
  return VDB_CORRUPT;
}
