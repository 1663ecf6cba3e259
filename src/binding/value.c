/*
** value.c - which encoding a Lua value gets, and the way back.
**
** Strings are the most frequent values, so they have a short way: text without escapes is quoted here, and
** bytes are not copied at all.
*/
#include "value.h"

#include "../engine/error.h"
#include "../text/utf8.h"
#include "dump.h"

static vdb_status too_big(size_t size, vdb_error *error) {
  return error_set(error, VDB_TOO_BIG, "a value of %zu bytes is larger than 1 GiB: store it in parts", size);
}

/* Whether a JSON string holds these bytes as they are, and whether they are text at all. */
typedef enum text_kind { TEXT_PLAIN, TEXT_ESCAPED, TEXT_NONE } text_kind;

static text_kind kind_of_text(const char *bytes, size_t size) {
  bool ascii = true;
  size_t run = utf8_string_run(bytes, size, &ascii);
  if (run == size && ascii) return TEXT_PLAIN;
  if (!utf8_valid(bytes, size)) return TEXT_NONE;
  return run == size ? TEXT_PLAIN : TEXT_ESCAPED;
}

static vdb_status encode_string(lua_State *L, int index, buffer *scratch, vdb_value *value,
                                vdb_error *error) {
  size_t size;
  const char *bytes = lua_tolstring(L, index, &size);
  if (size > VDB_MAX_VALUE_SIZE) return too_big(size, error);
  switch (kind_of_text(bytes, size)) {
  case TEXT_NONE: *value = (vdb_value){.encoding = VDB_BYTES, .bytes = bytes, .size = size}; return VDB_OK;
  case TEXT_ESCAPED: return json_encode(L, index, scratch, error);
  case TEXT_PLAIN: break;
  }
  if (!buffer_reserve(scratch, size + 2)) return error_set(error, VDB_NO_MEMORY, "no memory for the value");
  buffer_append(scratch, "\"", 1);
  buffer_append(scratch, bytes, size);
  buffer_append(scratch, "\"", 1);
  return VDB_OK;
}

vdb_status value_encode(lua_State *L, int index, const value_rules *rules, buffer *scratch, vdb_value *value,
                        vdb_error *error) {
  vdb_status status;
  scratch->size = 0;
  *value = (vdb_value){.encoding = VDB_JSON};
  if (lua_type(L, index) == LUA_TSTRING) {
    status = encode_string(L, index, scratch, value, error);
  } else {
    status = json_encode(L, index, scratch, error);
    if (status == VDB_TYPE) {
      value->encoding = VDB_LUA;
      status = dump_encode(L, index, rules, scratch, error);
    }
  }
  if (status == VDB_OK && value->encoding != VDB_BYTES) {
    value->bytes = scratch->bytes;
    value->size = scratch->size;
  }
  return status;
}

/* Whether the text is one JSON string without escapes. */
static bool is_plain_string(const char *text, size_t size) {
  return size >= 2 && text[0] == '"' && text[size - 1] == '"' &&
         kind_of_text(text + 1, size - 2) == TEXT_PLAIN;
}

static vdb_status decode_json(lua_State *L, const vdb_value *value, const value_rules *rules,
                              vdb_error *error) {
  const char *text = value->bytes;
  if (!is_plain_string(text, value->size)) return json_decode(L, text, value->size, rules->integers, error);
  lua_pushlstring(L, text + 1, value->size - 2);
  return VDB_OK;
}

vdb_status value_decode(lua_State *L, const vdb_value *value, const value_rules *rules, vdb_error *error) {
  switch (value->encoding) {
  case VDB_JSON: return decode_json(L, value, rules, error);
  case VDB_BYTES: lua_pushlstring(L, value->bytes, value->size); return VDB_OK;
  case VDB_LUA: return dump_decode(L, value->bytes, value->size, rules, error);
  case VDB_PICKLE: break;
  }
  return error_set(error, VDB_UNSUPPORTED,
                   "the value is a Python pickle, which only Python reads: it is kept");
}
