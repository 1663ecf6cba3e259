/*
** dump.c - values that JSON doesn't hold exactly: this build refuses them.
*/
#include "dump.h"

#include "../engine/error.h"

vdb_status dump_encode(lua_State *L, int index, const value_rules *rules, buffer *out, vdb_error *error) {
  (void)rules;
  (void)out;
  return error_set(error, VDB_TYPE, "a value of type %s that JSON doesn't hold can't be stored",
                   luaL_typename(L, index));
}

vdb_status dump_decode(lua_State *L, const char *bytes, size_t size, const value_rules *rules,
                       vdb_error *error) {
  (void)L;
  (void)bytes;
  (void)size;
  (void)rules;
  return error_set(error, VDB_UNSUPPORTED, "the value's encoding is 'lua', which this build doesn't read");
}

int dump_register(lua_State *L) {
  return luaL_error(L, "this build doesn't store objects of classes");
}
