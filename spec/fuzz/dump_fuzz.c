/*
** dump_fuzz.c - libFuzzer target for the binary dump.
**
** There is one dump of each value, so whatever is accepted must be written again as the same bytes; a Lua without
** integers may write a float as an integer, and must hold still from then on. The Lua state's memory is bounded, so
** that running out of it in the middle of a call is tried as well. Bytecode is never loaded: it is trusted, not checked.
**
**   ./dump_fuzz -max_len=4096 -timeout=10 spec/fuzz/corpus/dump
*/
#include "../../src/binding/class.h"
#include "../../src/binding/dump.h"

#include <stdio.h>

#define PLENTY ((size_t)64 << 20) /* bytes the Lua state may take */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t memory_used, memory_limit = PLENTY;
static bool met_table; /* by the function that expects a userdata */

static void *allocate(void *unused, void *block, size_t old_size, size_t new_size) {
  (void)unused;
  if (block == NULL) old_size = 0; /* Lua passes the kind of object here */
  if (new_size > old_size && memory_used + new_size - old_size > memory_limit) return NULL;
  memory_used = memory_used + new_size - old_size;
  if (new_size > 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

static void require_that(bool truth, const char *sentence) {
  if (truth) return;
  fprintf(stderr, "%s\n", sentence);
  abort();
}

static bool same_bytes(const buffer *one, const char *bytes, size_t size) {
  return one->size == size && memcmp(one->bytes, bytes, size) == 0;
}

/* Decodes and encodes; false when the bytes are refused. Takes nothing from the stack and leaves nothing there. */
static bool read_and_write(lua_State *L, const char *bytes, size_t size, buffer *out) {
  static const value_rules rules;
  vdb_error error;
  int top = lua_gettop(L);
  vdb_status status = dump_decode(L, bytes, size, &rules, &error);
  require_that(lua_gettop(L) == top + (status == VDB_OK), "a decoder leaves its value or nothing");
  if (status != VDB_OK) return false;
  out->size = 0;
  status = dump_encode(L, top + 1, &rules, out, &error);
  require_that(lua_gettop(L) == top + 1, "an encoder leaves the stack as it was");
  require_that(status == VDB_OK, "what was read can be written");
  lua_settop(L, top);
  return true;
}

/* Arguments: the bytes and their size, two buffers, how much memory there is for it. */
static int read_write_read(lua_State *L) {
  const char *bytes = lua_touserdata(L, 1);
  size_t size = (size_t)lua_tonumber(L, 2);
  buffer *written = lua_touserdata(L, 3), *again = lua_touserdata(L, 4);
  memory_limit = memory_used + (size_t)lua_tonumber(L, 5);
  if (!read_and_write(L, bytes, size, written)) return 0;
  if (COMPAT_HAS_INTEGERS) require_that(same_bytes(written, bytes, size), "a value has one dump");
  require_that(read_and_write(L, written->bytes, written->size, again), "what was written can be read");
  require_that(same_bytes(again, written->bytes, written->size), "what was written is written again");
  return 0;
}

static void run(lua_State *L, const void *bytes, size_t size, size_t memory) {
  static buffer written, again;
  lua_pushcfunction(L, read_write_read);
  lua_pushlightuserdata(L, (void *)(uintptr_t)bytes);
  lua_pushnumber(L, (lua_Number)size);
  lua_pushlightuserdata(L, &written);
  lua_pushlightuserdata(L, &again);
  lua_pushnumber(L, (lua_Number)memory);
  met_table = false;
  int status = lua_pcall(L, 5, 0, 0);
  memory_limit = PLENTY;
  require_that(status == 0 || status == LUA_ERRMEM || met_table, "only memory errors are raised");
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
}

/*
** The class B holds a value in a userdata. A dump may have an object of B whose fields are stored, as it was before B
** had functions; that is the one object which is not dumped as it was read.
*/
static int dump_box(lua_State *L) {
  met_table = lua_istable(L, 1);
  if (met_table) return luaL_error(L, "an object of B from before it had functions");
  compat_push_attached(L, 1);
  lua_rawgeti(L, -1, 1);
  return 1;
}

static int load_box(lua_State *L) {
  lua_newuserdata(L, 1);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  compat_attach(L, -2);
  lua_pushliteral(L, "B");
  class_find(L);
  lua_rawgeti(L, -1, CLASS_METATABLE);
  lua_setmetatable(L, 2);
  lua_settop(L, 2);
  return 1;
}

/* The classes P, of plain fields, and B. */
static lua_State *open_state(void) {
  static const luaL_Reg hooks[] = {{"dump", dump_box}, {"load", load_box}, {NULL, NULL}};
  lua_State *L = lua_newstate(allocate, NULL);
  require_that(L != NULL, "there is a Lua state");
  lua_pushcfunction(L, class_register);
  lua_pushliteral(L, "P");
  lua_newtable(L);
  lua_call(L, 2, 0);
  lua_pushcfunction(L, class_register);
  lua_pushliteral(L, "B");
  lua_newtable(L);
  lua_newtable(L);
  compat_set_functions(L, hooks, 0);
  lua_call(L, 3, 0);
  return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static lua_State *L;
  if (L == NULL) L = open_state();
  /* a copy of the very size, so that a sanitizer sees a read behind the end */
  char *copy = malloc(size + (size == 0));
  require_that(copy != NULL, "there is memory for the input");
  if (size > 0) memcpy(copy, bytes, size);
  run(L, copy, size, PLENTY / 2);
  run(L, copy, size, size); /* less than most inputs need */
  free(copy);
  return 0;
}
