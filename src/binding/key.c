/*
** key.c - keys between Lua and the engine.
*/
#include "key.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../engine/error.h"
#include "../text/number.h"
#include "../text/utf8.h"

#define NAMED_BYTES 80 /* of a key in an error's message */

/* From Lua. */

bool key_is_whole(double real) {
  return real >= -9223372036854775808.0 && real < 9223372036854775808.0 && (double)(int64_t)real == real;
}

static vdb_key read_number(lua_State *L, int index) {
  if (compat_is_integer(L, index)) return vdb_integer(compat_to_integer(L, index));
  return vdb_float(lua_tonumber(L, index));
}

key_kind key_read(lua_State *L, int index, vdb_key *key) {
  size_t size;
  const char *bytes;
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    bytes = lua_tolstring(L, index, &size);
    *key = vdb_string(bytes, size);
    return KEY_STORABLE;
  case LUA_TNUMBER:
    *key = read_number(L, index);
    return key->type == VDB_FLOAT && isnan(key->number) ? KEY_NIL : KEY_STORABLE;
  case LUA_TBOOLEAN: *key = vdb_boolean(lua_toboolean(L, index)); return KEY_STORABLE;
  case LUA_TNIL: return KEY_NIL;
  default: return KEY_FOREIGN;
  }
}

const char *key_foreign_message(lua_State *L, int index) {
  return lua_pushfstring(L, "a key must be a string, a number or a boolean, not a %s",
                         luaL_typename(L, index));
}

const char *key_nil_message(lua_State *L, int index) {
  return lua_pushfstring(L, "index is %s", lua_isnil(L, index) ? "nil" : "NaN");
}

/* To Lua. */

static vdb_status push_wide(lua_State *L, int64_t integer, json_integers integers, vdb_error *error) {
  char digits[NUMBER_INTEGER_SIZE];
  size_t size = number_print_integer(digits, integer);
  switch (integers) {
  case JSON_INTEGERS_FLOAT: lua_pushnumber(L, (lua_Number)integer); return VDB_OK;
  case JSON_INTEGERS_STRING: lua_pushlstring(L, digits, size); return VDB_OK;
  case JSON_INTEGERS_EXACT: break;
  }
  return error_set(error, VDB_RANGE,
                   "an integer that this Lua can't hold exactly: "
                   "open the store with integers = \"float\" or \"string\"");
}

vdb_status key_push(lua_State *L, const vdb_key *key, json_integers integers, vdb_error *error) {
  switch (key->type) {
  case VDB_STRING: lua_pushlstring(L, key->string, key->size); break;
  case VDB_BOOLEAN: lua_pushboolean(L, key->integer != 0); break;
  case VDB_FLOAT: lua_pushnumber(L, key->number); break;
  case VDB_INTEGER:
    if (!compat_push_integer(L, key->integer)) return push_wide(L, key->integer, integers, error);
  }
  return VDB_OK;
}

/* For messages. */

/* The start of a string key in quotes, on one line: `?` stands for what can't be printed. */
static size_t print_string(char *out, const char *bytes, size_t size) {
  uint32_t code_point;
  size_t used = 0, length;
  out[used++] = '"';
  for (size_t at = 0; at < size && used < NAMED_BYTES - 8; at += length) {
    length = utf8_decode(bytes + at, size - at, &code_point);
    bool printable = length > 0 && code_point >= ' ' && code_point != 0x7F;
    if (length == 0) length = 1;
    if (printable) memcpy(out + used, bytes + at, length);
    else out[used] = '?';
    used += printable ? length : 1;
  }
  out[used++] = '"';
  return used;
}

static size_t print(char *out, const vdb_key *key) {
  switch (key->type) {
  case VDB_STRING: return print_string(out, key->string, key->size);
  case VDB_INTEGER: return number_print_integer(out, key->integer);
  case VDB_FLOAT: return (size_t)snprintf(out, NAMED_BYTES, "%.17g", key->number);
  case VDB_BOOLEAN: break;
  }
  return (size_t)snprintf(out, NAMED_BYTES, "%s", key->integer != 0 ? "true" : "false");
}

void key_name_in_error(const vdb_key *key, vdb_error *error) {
  const vdb_error plain = *error;
  char text[NAMED_BYTES];
  int size = (int)print(text, key);
  error_set(error, plain.status, "key %.*s: %s", size, text, plain.message);
}
