/*
** scratch.c - the memory in which a handle encodes and decodes, lent to one call at a time.
*/
#include "scratch.h"

static int collect_buffer(lua_State *L) {
  buffer_free(lua_touserdata(L, 1));
  return 0;
}

/* Its address names the metatable of the buffers in the registry. */
static const char buffer_metatable = 0;

static void push_metatable(lua_State *L) {
  compat_raw_get_address(L, LUA_REGISTRYINDEX, &buffer_metatable);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect_buffer);
  lua_setfield(L, -2, "__gc");
  lua_pushvalue(L, -1);
  compat_raw_set_address(L, LUA_REGISTRYINDEX, &buffer_metatable);
}

buffer *scratch_push_buffer(lua_State *L) {
  buffer *b = lua_newuserdata(L, sizeof *b);
  *b = (buffer){0};
  push_metatable(L);
  lua_setmetatable(L, -2);
  return b;
}

void scratch_prepare(lua_State *L, int owner, scratch *s) {
  if (s->idle != NULL) return;
  compat_push_attached(L, owner);
  buffer *b = scratch_push_buffer(L);
  lua_rawseti(L, -2, SCRATCH_SLOT);
  lua_pop(L, 1);
  s->newest = s->idle = b;
}

buffer *scratch_lend(lua_State *L, int owner, scratch *s) {
  buffer *b = s->idle;
  compat_push_attached(L, owner);
  lua_rawgeti(L, -1, SCRATCH_SLOT);
  lua_replace(L, -2);
  s->idle = NULL;
  b->size = 0;
  return b;
}

void scratch_give_back(scratch *s, buffer *b) {
  if (b->capacity > SCRATCH_KEEP || b != s->newest) buffer_free(b);
  if (b == s->newest) s->idle = b;
}

void scratch_end(scratch *s) {
  if (s->idle != NULL) buffer_free(s->idle);
  s->newest = s->idle = NULL;
}
