/*
** json_fuzz.c - libFuzzer target for the JSON codec.
**
** Whatever text is accepted must hold still: its value is written, read again, and must be the same, in
** type too. That is so in a Lua state by itself and in one as Neovim's, where an empty object is not an empty
** array. The Lua state's memory is bounded, so that running out of it in the middle of a call is tried as well.
**
**   ./json_fuzz -max_len=4096 -timeout=10 spec/fuzz/corpus/json
*/
#include "../../src/binding/json.h"

#include <stdio.h>

#define PLENTY ((size_t)64 << 20) /* bytes the Lua state may take */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t memory_used, memory_limit = PLENTY;

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

static bool same_number(lua_State *L, int one, int other) {
  if (compat_is_integer(L, one) != compat_is_integer(L, other)) return false;
  if (compat_is_integer(L, one)) return compat_to_integer(L, one) == compat_to_integer(L, other);
  double a = lua_tonumber(L, one), b = lua_tonumber(L, other);
  return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_value(lua_State *L, int one, int other);

static size_t count_fields(lua_State *L, int table) {
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) count++;
  return count;
}

/* Each field of `one` is in `other`, and there are no more. */
static bool same_fields(lua_State *L, int one, int other) {
  bool same = count_fields(L, one) == count_fields(L, other);
  lua_pushnil(L);
  while (lua_next(L, one)) {
    int top = lua_gettop(L);
    lua_pushvalue(L, top - 1);
    lua_rawget(L, other);
    same = same && same_value(L, top, top + 1);
    lua_settop(L, top - 1);
  }
  return same;
}

/* NULL: none. */
static const void *metatable_of(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  const void *address = lua_topointer(L, -1);
  lua_pop(L, 1);
  return address;
}

static bool same_value(lua_State *L, int one, int other) {
  luaL_checkstack(L, 8, NULL);
  if (lua_type(L, one) != lua_type(L, other)) return false;
  if (lua_type(L, one) == LUA_TNUMBER) return same_number(L, one, other);
  if (lua_type(L, one) != LUA_TTABLE) return lua_rawequal(L, one, other);
  return metatable_of(L, one) == metatable_of(L, other) && same_fields(L, one, other);
}

/* A string that JSON doesn't hold can only come from an escaped surrogate. */
static bool has_surrogate_escape(const char *text, size_t size) {
  for (size_t i = 0; i + 3 < size; i++)
    if (text[i] == '\\' && text[i + 1] == 'u' && (text[i + 2] | 0x20) == 'd') return true;
  return false;
}

/* Arguments: the text and its size, the buffer. Leaves nothing on the stack that a caller sees. */
static int read_write_read(lua_State *L) {
  const char *text = lua_touserdata(L, 1);
  size_t size = (size_t)lua_tonumber(L, 2);
  buffer *out = lua_touserdata(L, 3);
  vdb_error error;
  vdb_status status = json_decode(L, text, size, JSON_INTEGERS_EXACT, &error);
  require_that(lua_gettop(L) == (status == VDB_OK ? 4 : 3), "a decoder leaves its value or nothing");
  if (status != VDB_OK) return 0;
  status = json_encode(L, 4, out, &error);
  require_that(lua_gettop(L) == 4, "an encoder leaves the stack as it was");
  if (status == VDB_TYPE) require_that(has_surrogate_escape(text, size), "what was read can be written");
  if (status != VDB_OK) return 0;
  status = json_decode(L, out->bytes, out->size, JSON_INTEGERS_EXACT, &error);
  require_that(status == VDB_OK, "what was written can be read");
  require_that(same_value(L, 4, 5), "what was written reads back as the same value");
  return 0;
}

/* `spare`: bytes that the Lua state may take beyond what it has. */
static void run(lua_State *L, const void *text, size_t size, buffer *out, size_t spare) {
  out->size = 0;
  lua_pushcfunction(L, read_write_read);
  lua_pushlightuserdata(L, (void *)(uintptr_t)text);
  lua_pushnumber(L, (lua_Number)size);
  lua_pushlightuserdata(L, out);
  memory_limit = memory_used + spare;
  int status = lua_pcall(L, 3, 0, 0);
  memory_limit = PLENTY;
  require_that(status == 0 || status == LUA_ERRMEM, "only memory errors are raised");
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT, 0);
}

/* Puts the value on top into a new table. */
static void wrap(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
}

/* package.loaded._G.vim, with what Neovim has there for an empty object and for null. */
static void add_vim(lua_State *L) {
  lua_newtable(L);
  wrap(L, "_empty_dict_mt");
  lua_newuserdata(L, 1);
  lua_setfield(L, -2, "NIL");
  wrap(L, "vim");
  wrap(L, "_G");
  lua_setfield(L, LUA_REGISTRYINDEX, "_LOADED");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static buffer out;
  static lua_State *L, *neovim;
  if (L == NULL) {
    L = lua_newstate(allocate, NULL);
    neovim = lua_newstate(allocate, NULL);
    add_vim(neovim);
  }
  /* a copy of the very size, so that a sanitizer sees a read behind the end */
  char *text = malloc(size + (size == 0));
  require_that(text != NULL, "there is memory for the input");
  if (size > 0) memcpy(text, bytes, size);
  run(L, text, size, &out, PLENTY);
  run(L, text, size, &out, size); /* less than most inputs need */
  run(neovim, text, size, &out, PLENTY);
  run(neovim, text, size, &out, size);
  free(text);
  return 0;
}
