/*
** dump_read.c - a dump as a Lua value.
**
** The bytes may be hostile: nothing is read beyond their end, at most DUMP_MAX_DEPTH calls are nested, and nothing is
** allocated for more than what was already read. Only the one dump of a value is accepted, so keys that ascend can't
** repeat. What is read has no metatable until it is whole, so no code runs on half of it; a load function may see a
** table around its object that is still being filled.
*/
#include "dump.h"

#include <math.h>

#include "../engine/error.h"
#include "../text/number.h"
#include "bytecode.h"
#include "class.h"
#include "dump_cursor.h"
#include "dump_keys.h"
#include "json_markers.h"
#include "place.h"

#define STACK_PER_TABLE 12 /* what one level keeps there and what one step pushes */

typedef struct dump_reader {
  lua_State *L;
  dump_cursor cursor;
  const value_rules *rules;
  int numbered; /* stack index: nil, or a table with objects by number, from 1, and classes by -1 - number */
  int objects;  /* how many were met */
  int classes;
  int depth;
} dump_reader;

static bool read_value(dump_reader *r);

/* ---- Failures ---- */

static bool fail(dump_reader *r, vdb_status status, const char *message) {
  r->cursor.status = error_set(r->cursor.error, status, "%s", message);
  return false;
}

/* The message has the class's name in place of its %s. */
static bool fail_class(dump_reader *r, vdb_status status, const char *format, const char *name, size_t size) {
  char quoted[PLACE_SIZE];
  r->cursor.status = error_set(r->cursor.error, status, format, place_quote(name, size, quoted));
  return false;
}

/* ---- Numbers of objects and classes ---- */

static void prepare_numbered(dump_reader *r) {
  if (!lua_isnil(r->L, r->numbered)) return;
  lua_newtable(r->L);
  lua_replace(r->L, r->numbered);
}

static bool read_reference(dump_reader *r) {
  int id;
  if (!cursor_take_earlier(&r->cursor, r->objects, &id)) return false;
  lua_rawgeti(r->L, r->numbered, id + 1);
  if (!lua_isnil(r->L, -1)) return true;
  return fail(r, VDB_CORRUPT, "binary dump: an object inside the plain value that it is made of");
}

/* Keeps the value on top under the number of an object. */
static void keep_object(dump_reader *r, int id) {
  prepare_numbered(r);
  lua_pushvalue(r->L, -1);
  lua_rawseti(r->L, r->numbered, id + 1);
}

static bool is_known_class(dump_reader *r, int class) {
  bool known = false;
  for (int i = 0; i < r->classes && !known; i++) {
    lua_rawgeti(r->L, r->numbered, -1 - i);
    known = lua_rawequal(r->L, -1, class);
    lua_pop(r->L, 1);
  }
  return known;
}

static bool read_named_class(dump_reader *r, unsigned tag, const char *start) {
  const char *name;
  size_t size;
  if (!cursor_take_string(&r->cursor, tag, &name, &size)) return false;
  if (size == 0 || size > CLASS_MAX_NAME_SIZE)
    return cursor_corrupt(&r->cursor, start, "the name of a class has 1 to 255 bytes");
  lua_pushlstring(r->L, name, size);
  class_find(r->L);
  if (lua_isnil(r->L, -1))
    return fail_class(r, VDB_UNSUPPORTED,
                      "the value has an object of the class %s: first call viperdb.register with it", name,
                      size);
  if (is_known_class(r, lua_gettop(r->L)))
    return cursor_corrupt(&r->cursor, start, "the name of a class that came before");
  prepare_numbered(r);
  lua_pushvalue(r->L, -1);
  lua_rawseti(r->L, r->numbered, -1 - r->classes++);
  return true;
}

/* Pushes the class. */
static bool read_class(dump_reader *r) {
  const char *start = r->cursor.at;
  int id;
  if (r->cursor.at < r->cursor.end && cursor_is_string((unsigned char)*r->cursor.at)) {
    r->cursor.at++;
    return read_named_class(r, (unsigned char)*start, start);
  }
  if (!cursor_take_earlier(&r->cursor, r->classes, &id)) return false;
  lua_rawgeti(r->L, r->numbered, -1 - id);
  return true;
}

/* ---- Tables ---- */

static bool read_items(dump_reader *r, int table, int *items) {
  for (*items = 0; !cursor_take_if(&r->cursor, DUMP_END); ++*items) {
    if (!read_value(r)) return false;
    lua_rawseti(r->L, table, *items + 1);
  }
  return true;
}

/* Keys ascend, and none of them continues the items. */
static bool check_key(dump_reader *r, const char *start, const vdb_key *last, const vdb_key *key, int items) {
  if (last != NULL && dump_keys_compare(last, key) >= 0)
    return cursor_corrupt(&r->cursor, start, "a key out of order");
  bool is_item = key->type == VDB_INTEGER && key->integer >= 1 && key->integer <= (int64_t)items + 1;
  return !is_item || cursor_corrupt(&r->cursor, start, "a key that is an item's");
}

/* Two keys can only become one where an integer was not exact. */
static bool push_new_key(dump_reader *r, int table, const vdb_key *key) {
  r->cursor.status = key_push(r->L, key, r->rules->integers, r->cursor.error);
  if (r->cursor.status != VDB_OK) return false;
  if (r->rules->integers == JSON_INTEGERS_EXACT) return true;
  lua_pushvalue(r->L, -1);
  lua_rawget(r->L, table);
  bool is_new = lua_isnil(r->L, -1);
  lua_pop(r->L, 1);
  return is_new ||
         fail(r, VDB_RANGE, "two keys of a table become one in this Lua: read it with Lua 5.3 or later");
}

static bool read_entry(dump_reader *r, int table, int items, const vdb_key *last, vdb_key *key) {
  const char *start = r->cursor.at;
  if (!cursor_take_key(&r->cursor, key) || !check_key(r, start, last, key, items)) return false;
  if (!push_new_key(r, table, key) || !read_value(r)) return false;
  lua_rawset(r->L, table);
  return true;
}

static bool read_keys(dump_reader *r, int table, int items) {
  vdb_key keys[2];
  const vdb_key *last = NULL;
  for (int i = 0; !cursor_take_if(&r->cursor, DUMP_END); i ^= 1) {
    if (!read_entry(r, table, items, last, &keys[i])) return false;
    last = &keys[i];
  }
  return true;
}

/* Pushes the table and keeps it under the next number, so that what is in it can refer to it. */
static bool read_fields(dump_reader *r, int id) {
  int items;
  lua_newtable(r->L);
  keep_object(r, id);
  int table = lua_gettop(r->L);
  return read_items(r, table, &items) && read_keys(r, table, items);
}

/* ---- Objects ---- */

static bool read_object(dump_reader *r) {
  int id = r->objects++;
  if (!read_class(r) || !read_fields(r, id)) return false;
  lua_rawgeti(r->L, -2, CLASS_METATABLE);
  lua_setmetatable(r->L, -2);
  lua_replace(r->L, -2);
  return true;
}

static bool fail_of_class(dump_reader *r, int class, vdb_status status, const char *format) {
  size_t size;
  lua_rawgeti(r->L, class, CLASS_NAME);
  const char *name = lua_tolstring(r->L, -1, &size);
  return fail_class(r, status, format, name, size);
}

/* Replaces the plain value on top by its object. */
static bool call_load(dump_reader *r, int class) {
  lua_rawgeti(r->L, class, CLASS_LOAD);
  if (lua_isnil(r->L, -1))
    return fail_of_class(
        r, class, VDB_UNSUPPORTED,
        "the value has an object of the class %s, which is registered here without a load function");
  int function = lua_gettop(r->L), plain = function - 1;
  compat_bound_nesting(r->L, r->depth);
  lua_pushvalue(r->L, function);
  lua_pushvalue(r->L, plain);
  lua_call(r->L, 1, 1);
  lua_replace(r->L, plain);
  lua_settop(r->L, plain);
  return !lua_isnil(r->L, -1) ||
         fail_of_class(r, class, VDB_TYPE, "the load function of the class %s returned nil");
}

static bool read_rebuilt(dump_reader *r) {
  int id = r->objects++;
  if (!read_class(r)) return false;
  int class = lua_gettop(r->L);
  if (!read_value(r) || !call_load(r, class)) return false;
  keep_object(r, id);
  lua_replace(r->L, class);
  return true;
}

static bool read_function(dump_reader *r) {
  const char *start = r->cursor.at, *code;
  size_t size;
  unsigned tag;
  int id = r->objects++;
  if (!cursor_take_tag(&r->cursor, &tag)) return false;
  if (!cursor_is_string(tag)) return cursor_corrupt(&r->cursor, start, "the bytecode of a function expected");
  if (!cursor_take_string(&r->cursor, tag, &code, &size)) return false;
  if (!r->rules->functions)
    return fail(r, VDB_UNSUPPORTED,
                "the value has a function: only a store opened with functions = true loads it");
  r->cursor.status = bytecode_load(r->L, code, size, r->cursor.error);
  if (r->cursor.status != VDB_OK) return false;
  keep_object(r, id);
  return true;
}

/* What can have others inside. */
static bool read_nested(dump_reader *r, unsigned tag) {
  if (r->depth == DUMP_MAX_DEPTH)
    return cursor_corrupt(&r->cursor, r->cursor.at - 1, "nested deeper than 128 levels");
  if (!lua_checkstack(r->L, STACK_PER_TABLE)) return fail(r, VDB_NO_MEMORY, "no room on the Lua stack");
  r->depth++;
  bool done;
  if (tag == DUMP_TABLE) done = read_fields(r, r->objects++);
  else done = tag == DUMP_OBJECT ? read_object(r) : read_rebuilt(r);
  r->depth--;
  return done;
}

/* ---- Other values ---- */

/* Pushes an integer that this Lua doesn't hold exactly in the way that was asked for. */
static bool push_wide(dump_reader *r, int64_t integer) {
  char digits[NUMBER_INTEGER_SIZE];
  switch (r->rules->integers) {
  case JSON_INTEGERS_FLOAT: lua_pushnumber(r->L, (lua_Number)integer); return true;
  case JSON_INTEGERS_STRING:
    lua_pushlstring(r->L, digits, number_print_integer(digits, integer));
    return true;
  case JSON_INTEGERS_EXACT: break;
  }
  return fail(
      r, VDB_RANGE,
      "an integer that this Lua can't hold exactly: open the store with integers = \"float\" or \"string\"");
}

static bool read_integer(dump_reader *r, unsigned tag) {
  int64_t integer;
  if (!cursor_take_integer(&r->cursor, tag, &integer)) return false;
  bool in_doubles = integer >= -COMPAT_EXACT_DOUBLE && integer <= COMPAT_EXACT_DOUBLE;
  return ((COMPAT_HAS_INTEGERS || in_doubles) && compat_push_integer(r->L, integer)) || push_wide(r, integer);
}

static bool read_float(dump_reader *r) {
  double real;
  if (!cursor_take_float(&r->cursor, &real)) return false;
  lua_pushnumber(r->L, real);
  return true;
}

static bool read_string(dump_reader *r, unsigned tag) {
  const char *bytes;
  size_t size;
  if (!cursor_take_string(&r->cursor, tag, &bytes, &size)) return false;
  lua_pushlstring(r->L, bytes, size);
  return true;
}

/* Pushes the value, or leaves something on the stack. */
static bool read_value(dump_reader *r) {
  unsigned tag;
  if (!cursor_take_tag(&r->cursor, &tag)) return false;
  if (cursor_is_integer(tag)) return read_integer(r, tag);
  if (cursor_is_string(tag)) return read_string(r, tag);
  switch (tag) {
  case DUMP_NULL: json_markers_push_null(r->L); return true;
  case DUMP_FALSE: lua_pushboolean(r->L, 0); return true;
  case DUMP_TRUE: lua_pushboolean(r->L, 1); return true;
  case DUMP_NAN: lua_pushnumber(r->L, (lua_Number)NAN); return true;
  case DUMP_FLOAT: return read_float(r);
  case DUMP_TABLE:
  case DUMP_OBJECT:
  case DUMP_REBUILT: return read_nested(r, tag);
  case DUMP_FUNCTION: return read_function(r);
  case DUMP_REFERENCE: return read_reference(r);
  default: return cursor_corrupt(&r->cursor, r->cursor.at - 1, "not a value");
  }
}

static bool read_dump(dump_reader *r) {
  unsigned version;
  if (!cursor_take_tag(&r->cursor, &version)) return false;
  if (version != DUMP_VERSION)
    return fail(r, VDB_UNSUPPORTED,
                "the value is a binary dump of another version: read it with a newer viperdb");
  if (!read_value(r)) return false;
  return r->cursor.at == r->cursor.end ||
         cursor_corrupt(&r->cursor, r->cursor.at, "more bytes after the value");
}

vdb_status dump_decode(lua_State *L, const char *bytes, size_t size, const value_rules *rules,
                       vdb_error *error) {
  int top = lua_gettop(L);
  dump_reader r = {
      .L = L,
      .cursor = {.bytes = bytes, .end = bytes + size, .at = bytes, .error = error, .status = VDB_OK},
      .rules = rules,
      .numbered = top + 1,
  };
  if (size > VDB_MAX_VALUE_SIZE) return error_set(error, VDB_TOO_BIG, "a binary dump of more than 1 GiB");
  if (!lua_checkstack(L, STACK_PER_TABLE)) return error_set(error, VDB_NO_MEMORY, "no room on the Lua stack");
  lua_pushnil(L);
  if (read_dump(&r)) lua_replace(L, top + 1);
  else lua_settop(L, top);
  return r.cursor.status;
}
