/*
** dump_write.c - a Lua value as a dump.
**
** Items are written as they are met, up to the first nil; the other keys are listed first and sorted. No metamethod is
** called.
**
** Every table, object and function gets its number before what is in it is written, so a cycle ends at a reference. The
** table that knows the numbers also keeps everything alive that has one: a dump function may take it out of the value,
** and its address must not be used again for something else meanwhile. An object whose dump function has run, and whose
** plain value is not written yet, has false for a number: nothing can refer to it, since it is not there when its plain
** value is read.
**
** Dump functions and finalizers can change tables while they are written. An entry that is gone when its turn comes is
** left out, as if it had gone before; an item that is new at the end of the items, which no reader would accept as
** another key, is an error.
*/
#include "dump.h"

#include <math.h>

#include "../engine/error.h"
#include "bytecode.h"
#include "class.h"
#include "dump_format.h"
#include "dump_keys.h"
#include "json_markers.h"
#include "place.h"
#include "scratch.h"

#define STACK_PER_TABLE 16 /* what one level keeps there, and what looking for markers pushes */

typedef struct dump_writer {
  lua_State *L;
  buffer *out;
  size_t start; /* out->size before the dump */
  const value_rules *rules;
  int numbers;    /* stack index: nil, or a table from objects and classes to their numbers */
  size_t objects; /* numbers given to tables, objects and functions */
  size_t classes;
  int depth;
  bool knows_markers;
  json_markers markers;
  vdb_error *error;
  vdb_status status; /* why a function returned false */
} dump_writer;

static bool write_value(dump_writer *w, int index, const place *at);

/* ---- Failures ---- */

/* The message is the place and what is wrong with it. */
static bool refuse(dump_writer *w, vdb_status status, const place *at, const char *what) {
  char text[PLACE_SIZE];
  w->status = error_set(w->error, status, "%s %s", place_print(w->L, at, text), what);
  return false;
}

static bool refuse_type(dump_writer *w, const place *at, int index, const char *what) {
  char text[PLACE_SIZE];
  w->status = error_set(w->error, VDB_TYPE, "%s is a %s%s", place_print(w->L, at, text),
                        luaL_typename(w->L, index), what);
  return false;
}

static bool fail(dump_writer *w, vdb_status status, const char *message) {
  w->status = error_set(w->error, status, "%s", message);
  return false;
}

/* ---- Bytes ---- */

static bool write_bytes(dump_writer *w, const void *bytes, size_t size) {
  if (size > VDB_MAX_VALUE_SIZE || w->out->size - w->start > VDB_MAX_VALUE_SIZE - size)
    return fail(w, VDB_TOO_BIG, "the value is larger than 1 GiB as a dump: store it in parts");
  return buffer_append(w->out, bytes, size) || fail(w, VDB_NO_MEMORY, "no memory for the dump");
}

static bool write_tag(dump_writer *w, unsigned tag) {
  char byte = (char)tag;
  return write_bytes(w, &byte, 1);
}

/* The number's bytes up to the highest that is not zero, at least one. Their count goes into the tag. */
static bool write_unsigned(dump_writer *w, unsigned tag, uint64_t number) {
  unsigned char bytes[1 + sizeof number];
  size_t size = 1;
  do {
    bytes[size++] = (unsigned char)number;
    number >>= 8;
  } while (number > 0);
  bytes[0] = (unsigned char)(tag + size - 2);
  return write_bytes(w, bytes, size);
}

static bool write_integer(dump_writer *w, int64_t integer) {
  if (integer < 0) return write_unsigned(w, DUMP_NEGATIVE, ~(uint64_t)integer);
  if (integer < DUMP_SMALL_COUNT) return write_tag(w, DUMP_SMALL + (unsigned)integer);
  return write_unsigned(w, DUMP_POSITIVE, (uint64_t)integer);
}

static bool write_float(dump_writer *w, double real) {
  if (isnan(real)) return write_tag(w, DUMP_NAN);
  uint64_t bits;
  unsigned char bytes[1 + sizeof bits] = {DUMP_FLOAT};
  memcpy(&bits, &real, sizeof bits);
  for (size_t i = 1; i < sizeof bytes; i++, bits >>= 8) bytes[i] = (unsigned char)bits;
  return write_bytes(w, bytes, sizeof bytes);
}

static bool write_string(dump_writer *w, const char *bytes, size_t size) {
  bool done = size <= DUMP_SHORT_STRING_SIZE ? write_tag(w, DUMP_SHORT_STRING + (unsigned)size)
                                             : write_unsigned(w, DUMP_LONG_STRING, size);
  return done && write_bytes(w, bytes, size);
}

static bool write_lua_string(dump_writer *w, int index) {
  size_t size;
  const char *bytes = lua_tolstring(w->L, index, &size);
  /* a size that has no tag: refused before it is written */
  return size > VDB_MAX_VALUE_SIZE ? write_bytes(w, bytes, size) : write_string(w, bytes, size);
}

/* Whether a Lua without integers means an integer by this double. */
static bool is_meant_whole(double real) {
  return fabs(real) <= (double)COMPAT_EXACT_DOUBLE && key_is_whole(real) && (real != 0 || !signbit(real));
}

static bool write_number(dump_writer *w, int index) {
  if (compat_is_integer(w->L, index)) return write_integer(w, compat_to_integer(w->L, index));
  double real = lua_tonumber(w->L, index);
  if (!COMPAT_HAS_INTEGERS && is_meant_whole(real)) return write_integer(w, (int64_t)real);
  return write_float(w, real);
}

/* ---- Numbers of objects and classes ---- */

/* numbers[value at index] = the value on top, which is popped. */
static void set_number(dump_writer *w, int index) {
  lua_State *L = w->L;
  if (lua_isnil(L, w->numbers)) {
    lua_newtable(L);
    lua_replace(L, w->numbers);
  }
  lua_pushvalue(L, index);
  lua_insert(L, -2);
  lua_rawset(L, w->numbers);
}

/* Gives the value the next number. */
static void give_number(dump_writer *w, int index, size_t *count) {
  compat_push_count(w->L, (*count)++);
  set_number(w, index);
}

/* Pushes the number of the value, false while its plain value is written, or nil. */
static int push_number(dump_writer *w, int index) {
  if (lua_isnil(w->L, w->numbers)) {
    lua_pushnil(w->L);
  } else {
    lua_pushvalue(w->L, index);
    lua_rawget(w->L, w->numbers);
  }
  return lua_type(w->L, -1);
}

/* If the object at `index` was met before: writes a reference to it. */
static bool write_met(dump_writer *w, int index, const place *at, bool *met) {
  int type = push_number(w, index);
  int64_t number = (int64_t)lua_tonumber(w->L, -1);
  lua_pop(w->L, 1);
  *met = type != LUA_TNIL;
  if (type == LUA_TNUMBER) return write_tag(w, DUMP_REFERENCE) && write_integer(w, number);
  return type == LUA_TNIL ||
         refuse(w, VDB_TYPE, at, "leads back to the object whose dump function returned it");
}

/* The class is on top. */
static bool write_class(dump_writer *w) {
  int class = lua_gettop(w->L);
  if (push_number(w, class) == LUA_TNUMBER) {
    int64_t number = (int64_t)lua_tonumber(w->L, -1);
    lua_pop(w->L, 1);
    return write_integer(w, number);
  }
  lua_pop(w->L, 1);
  give_number(w, class, &w->classes);
  lua_rawgeti(w->L, class, CLASS_NAME);
  bool done = write_lua_string(w, -1);
  lua_pop(w->L, 1);
  return done;
}

/* ---- Tables ---- */

static bool write_key(dump_writer *w, const vdb_key *key) {
  switch (key->type) {
  case VDB_STRING: return write_string(w, key->string, key->size);
  case VDB_INTEGER: return write_integer(w, key->integer);
  case VDB_FLOAT: return write_float(w, key->number);
  default: return write_tag(w, key->integer != 0 ? DUMP_TRUE : DUMP_FALSE);
  }
}

/* Counts the items on the way. */
static bool write_items(dump_writer *w, int table, const place *outer, int *items) {
  place at = {.outer = outer, .kind = PLACE_ITEM, .number = 1};
  int value = lua_gettop(w->L) + 1;
  for (;; at.number++) {
    lua_rawgeti(w->L, table, at.number);
    if (lua_isnil(w->L, value)) break;
    if (!write_value(w, value, &at)) return false;
    lua_settop(w->L, value - 1);
  }
  lua_pop(w->L, 1);
  *items = at.number - 1;
  return write_tag(w, DUMP_END);
}

/* Pushes the key, then the value, which may be gone. */
static bool push_entry(dump_writer *w, int table, const vdb_key *key) {
  w->status = key_push(w->L, key, JSON_INTEGERS_EXACT, w->error);
  if (w->status != VDB_OK) return false;
  lua_pushvalue(w->L, -1);
  lua_rawget(w->L, table);
  return true;
}

static bool write_keys(dump_writer *w, int table, int items, const place *outer) {
  dump_keys keys;
  w->status = dump_keys_push(w->L, table, items, outer, &keys, w->error);
  if (w->status != VDB_OK) return false;
  int top = lua_gettop(w->L);
  place at = {.outer = outer, .kind = PLACE_FIELD, .number = top + 1};
  for (size_t i = 0; i < keys.count; i++) {
    if (!push_entry(w, table, &keys.list[i])) return false;
    bool done = lua_isnil(w->L, top + 2) || (write_key(w, &keys.list[i]) && write_value(w, top + 2, &at));
    if (!done) return false;
    lua_settop(w->L, top);
  }
  lua_pop(w->L, 1);
  return write_tag(w, DUMP_END);
}

static bool write_fields(dump_writer *w, int table, const place *at) {
  int items;
  return write_items(w, table, at, &items) && write_keys(w, table, items, at);
}

/* ---- Objects ---- */

/* Calls the dump function of the class on top, and replaces it by the plain value. */
static bool call_dump(dump_writer *w, int object, const place *at) {
  int class = lua_gettop(w->L);
  compat_bound_nesting(w->L, w->depth);
  lua_rawgeti(w->L, class, CLASS_DUMP);
  lua_pushvalue(w->L, object);
  lua_call(w->L, 1, 1);
  lua_replace(w->L, class);
  lua_settop(w->L, class);
  return !lua_isnil(w->L, -1) ||
         refuse(w, VDB_TYPE, at, "returned nil: a dump function returns the plain value");
}

/* The class, which has a dump function, is on top. */
static bool write_rebuilt(dump_writer *w, int object, const place *outer) {
  place at = {.outer = outer, .kind = PLACE_DUMPED};
  size_t number = w->objects++;
  lua_pushboolean(w->L, 0);
  set_number(w, object);
  if (!write_tag(w, DUMP_REBUILT) || !write_class(w)) return false;
  if (!call_dump(w, object, &at) || !write_value(w, lua_gettop(w->L), &at)) return false;
  compat_push_count(w->L, number);
  set_number(w, object);
  return true;
}

/* The class is on top. */
static bool write_object(dump_writer *w, int object, const place *at) {
  lua_rawgeti(w->L, -1, CLASS_DUMP);
  bool has_functions = !lua_isnil(w->L, -1);
  lua_pop(w->L, 1);
  if (has_functions) return write_rebuilt(w, object, at);
  if (!lua_istable(w->L, object))
    return refuse_type(w, at, object, " of a class without a dump function: register it with dump and load");
  give_number(w, object, &w->objects);
  return write_tag(w, DUMP_OBJECT) && write_class(w) && write_fields(w, object, at);
}

static bool write_plain_table(dump_writer *w, int table, const place *at) {
  give_number(w, table, &w->objects);
  return write_tag(w, DUMP_TABLE) && write_fields(w, table, at);
}

static const json_markers *find_markers(dump_writer *w) {
  if (!w->knows_markers) json_markers_find(w->L, &w->markers);
  w->knows_markers = true;
  return &w->markers;
}

static bool is_marker(const json_markers *markers, const void *metatable) {
  return metatable == markers->array_metatable || metatable == markers->empty_array_metatable ||
         metatable == markers->empty_dict_metatable;
}

/* A table or userdata that is met for the first time. */
static bool write_new(dump_writer *w, int index, const place *at) {
  lua_State *L = w->L;
  bool is_table = lua_istable(L, index);
  const void *metatable = NULL;
  if (lua_getmetatable(L, index)) {
    metatable = lua_topointer(L, -1);
    class_find(L);
    if (!lua_isnil(L, -1)) return write_object(w, index, at);
  }
  if (is_table && (metatable == NULL || is_marker(find_markers(w), metatable)))
    return write_plain_table(w, index, at);
  if (!is_table) return refuse_type(w, at, index, ", which can't be stored");
  return refuse(w, VDB_TYPE, at, "has a metatable that is not registered: viperdb.register(name, metatable)");
}

static bool write_referable(dump_writer *w, int index, const place *at) {
  bool met;
  int top = lua_gettop(w->L);
  if (!lua_checkstack(w->L, STACK_PER_TABLE)) return fail(w, VDB_NO_MEMORY, "no room on the Lua stack");
  if (!write_met(w, index, at, &met)) return false;
  if (met) return true;
  if (w->depth == DUMP_MAX_DEPTH) return fail(w, VDB_TOO_BIG, "tables are nested deeper than 128 levels");
  w->depth++;
  bool done = write_new(w, index, at);
  w->depth--;
  lua_settop(w->L, top);
  return done;
}

/* ---- Other values ---- */

static bool write_code(dump_writer *w, int index, const place *at) {
  char text[PLACE_SIZE];
  place_print(w->L, at, text);
  if (!w->rules->functions)
    return refuse_type(w, at, index, ": only a store opened with functions = true takes functions");
  buffer *code = scratch_push_buffer(w->L);
  w->status = bytecode_write(w->L, index, text, code, w->error);
  bool done = w->status == VDB_OK && write_tag(w, DUMP_FUNCTION) && write_string(w, code->bytes, code->size);
  buffer_free(code);
  lua_pop(w->L, 1);
  return done;
}

static bool write_function(dump_writer *w, int index, const place *at) {
  bool met;
  if (!write_met(w, index, at, &met)) return false;
  if (met) return true;
  give_number(w, index, &w->objects);
  return write_code(w, index, at);
}

/* NULL, or what the JSON libraries use in its place or for an empty table. */
static bool write_userdata(dump_writer *w, int index, const place *at) {
  static const char empty_table[] = {DUMP_TABLE, DUMP_END, DUMP_END};
  const void *address = lua_topointer(w->L, index);
  bool is_light = lua_type(w->L, index) == LUA_TLIGHTUSERDATA;
  const json_markers *markers = find_markers(w);
  if (address == markers->nil || (is_light && address == NULL)) return write_tag(w, DUMP_NULL);
  if (address == markers->empty_array) {
    w->objects++;
    return write_bytes(w, empty_table, sizeof empty_table);
  }
  return is_light ? refuse_type(w, at, index, ", which can't be stored") : write_referable(w, index, at);
}

static bool write_value(dump_writer *w, int index, const place *at) {
  switch (lua_type(w->L, index)) {
  case LUA_TSTRING: return write_lua_string(w, index);
  case LUA_TNUMBER: return write_number(w, index);
  case LUA_TBOOLEAN: return write_tag(w, lua_toboolean(w->L, index) ? DUMP_TRUE : DUMP_FALSE);
  case LUA_TTABLE: return write_referable(w, index, at);
  case LUA_TFUNCTION: return write_function(w, index, at);
  case LUA_TLIGHTUSERDATA:
  case LUA_TUSERDATA: return write_userdata(w, index, at);
  default: return refuse_type(w, at, index, ", which can't be stored");
  }
}

vdb_status dump_encode(lua_State *L, int index, const value_rules *rules, buffer *out, vdb_error *error) {
  int top = lua_gettop(L);
  dump_writer w = {.L = L,
                   .out = out,
                   .start = out->size,
                   .rules = rules,
                   .numbers = top + 1,
                   .error = error,
                   .status = VDB_OK};
  if (!lua_checkstack(L, STACK_PER_TABLE)) return error_set(error, VDB_NO_MEMORY, "no room on the Lua stack");
  index = compat_absolute(L, index);
  lua_pushnil(L);
  bool done = write_tag(&w, DUMP_VERSION) && write_value(&w, index, NULL);
  lua_settop(L, top);
  if (!done) out->size = w.start;
  return w.status;
}
