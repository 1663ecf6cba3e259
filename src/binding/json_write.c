/*
** json_write.c - a Lua value as JSON text.
**
** A table is walked once with lua_next and written on the way: its first key decides between array and
** object, and a later key that doesn't fit ends the attempt. So the text holds all of the table or there is
** none. Pairs come in lua_next's order; no space is written between tokens; UTF-8 stands as it is.
**
** No metamethod is called. A metatable is refused unless it is one of json_markers.h.
*/
#include "json.h"

#include "../engine/error.h"
#include "../text/number.h"
#include "../text/utf8.h"
#include "json_markers.h"
#include "json_string.h"
#include "scratch.h"

#include <limits.h>
#include <math.h>

#define FEW_TABLES 16         /* so many are looked for one by one */
#define STACK_PER_TABLE 8     /* key, value and what a look-up of markers pushes */
#define SHORT_STRING 32       /* bytes that are copied without a call */
#define LONGEST_ESCAPE 6      /* bytes of \u001f */
#define TABLE_ADDRESS_SHIFT 4 /* tables lie at least this far apart */

/*
** Addresses of the tables met inside the outermost one. That one needs no place: who comes back to it comes
** back to a table inside it next. The first few stand in a list; then all move to a hash table with open
** addressing, at most half full, whose memory belongs to a userdata on the Lua stack.
*/
typedef struct table_set {
  size_t count;
  size_t capacity;    /* of slots, a power of two */
  const void **slots; /* the bytes of `memory` */
  buffer *memory;
  const void **few; /* FEW_TABLES of them */
} table_set;

typedef struct json_writer {
  lua_State *L;
  buffer *out;
  size_t start; /* out->size before the value */
  int anchor;   /* stack index that keeps the set's memory alive */
  int depth;    /* tables that are being written */
  vdb_error *error;
  vdb_status status; /* why a function returned false */
  table_set tables;
  bool knows_markers;
  json_markers markers;
} json_writer;

static bool write_inner_table(json_writer *w, int table);

static bool fail(json_writer *w, vdb_status status, const char *message) {
  w->status = error_set(w->error, status, "%s", message);
  return false;
}

static bool fail_size(json_writer *w) {
  return fail(w, VDB_TOO_BIG, "the value is larger than 1 GiB as JSON: store it in parts");
}

static bool fail_text(json_writer *w) {
  return fail(w, VDB_TYPE, "JSON holds no string that is not UTF-8");
}

/* ---- Text ---- */

/* An oversized text is noticed here at the latest, before its buffer grows again. */
static bool grow(json_writer *w, size_t extra) {
  if (w->out->size - w->start > VDB_MAX_VALUE_SIZE) return fail_size(w);
  return buffer_reserve(w->out, extra) || fail(w, VDB_NO_MEMORY, "no memory for the JSON text");
}

static inline bool make_room(json_writer *w, size_t extra) {
  return extra <= w->out->capacity - w->out->size || grow(w, extra);
}

static inline void put(json_writer *w, const void *bytes, size_t size) {
  memcpy(w->out->bytes + w->out->size, bytes, size);
  w->out->size += size;
}

static inline bool write_text(json_writer *w, const void *bytes, size_t size) {
  if (!make_room(w, size)) return false;
  put(w, bytes, size);
  return true;
}

static inline bool write_char(json_writer *w, char c) {
  if (!make_room(w, 1)) return false;
  w->out->bytes[w->out->size++] = c;
  return true;
}

/* There is room for LONGEST_ESCAPE more. */
static void put_escape(json_writer *w, unsigned char c) {
  static const char short_forms[] = "btn?fr", digits[] = "0123456789abcdef";
  char text[LONGEST_ESCAPE] = {'\\', (char)c};
  size_t size = 2;
  if (c >= '\b' && c <= '\r' && c != '\v') {
    text[1] = short_forms[c - '\b'];
  } else if (c < ' ') {
    memcpy(text + 1, "u00", 3);
    text[4] = digits[c >> 4];
    text[5] = digits[c & 15];
    size = LONGEST_ESCAPE;
  }
  put(w, text, size);
}

/* Without quotes. */
static bool write_escaped(json_writer *w, const char *string, size_t size) {
  uint64_t seen = 0;
  const char *at = string, *end = string + size;
  for (;; at++) {
    if (!make_room(w, (size_t)(end - at) + LONGEST_ESCAPE + JSON_WORD)) return false;
    size_t run = json_copy_run(w->out->bytes + w->out->size, at, (size_t)(end - at), &seen);
    w->out->size += run;
    at += run;
    if (at == end) break;
    put_escape(w, (unsigned char)*at);
  }
  return (seen & JSON_NOT_ASCII) == 0 || utf8_valid(string, size) || fail_text(w);
}

static bool write_any_string(json_writer *w, const char *string, size_t size) {
  if (size > VDB_MAX_VALUE_SIZE) return fail_size(w);
  if (!make_room(w, size + 2)) return false;
  bool ascii = true;
  put(w, "\"", 1);
  if (size <= SHORT_STRING || utf8_string_run(string, size, &ascii) < size)
    return write_escaped(w, string, size) && write_char(w, '"');
  if (!ascii && !utf8_valid(string, size)) return fail_text(w);
  put(w, string, size);
  put(w, "\"", 1);
  return true;
}

/* Copies up to SHORT_STRING bytes, in words of which the last two may overlap. False: not all are plain. */
static inline bool copy_short(char *to, const char *string, size_t size) {
  uint64_t special = 0;
  if (size >= JSON_WORD) {
    for (size_t at = 0; at < size; at += JSON_WORD) {
      if (at > size - JSON_WORD) at = size - JSON_WORD;
      special |= json_special(json_load_word(string + at));
      memcpy(to + at, string + at, JSON_WORD);
    }
    return special == 0;
  }
  if (size >= 4) {
    uint32_t first, last;
    memcpy(&first, string, 4);
    memcpy(&last, string + size - 4, 4);
    memcpy(to, &first, 4);
    memcpy(to + size - 4, &last, 4);
    return json_special((uint64_t)first << 32 | last) == 0;
  }
  uint64_t word = JSON_EVERY_BYTE(' ');
  for (size_t i = 0; i < size; i++) word = word << 8 | (unsigned char)(to[i] = string[i]);
  return json_special(word) == 0;
}

/* In quotes. There is room for a short string, and most are short and plain. */
static inline bool quote(json_writer *w, const char *string, size_t size) {
  char *to = w->out->bytes + w->out->size;
  if (size > SHORT_STRING || !copy_short(to + 1, string, size)) return write_any_string(w, string, size);
  to[0] = to[size + 1] = '"';
  w->out->size += size + 2;
  return true;
}

static inline bool write_string(json_writer *w, int index) {
  size_t size;
  const char *string = lua_tolstring(w->L, index, &size);
  return make_room(w, SHORT_STRING + 2) && quote(w, string, size);
}

/* After a comma or the opening brace, before a colon. */
static inline bool write_name(json_writer *w, int index, char separator) {
  size_t size;
  const char *string = lua_tolstring(w->L, index, &size);
  if (!make_room(w, SHORT_STRING + 3)) return false;
  w->out->bytes[w->out->size++] = separator;
  return quote(w, string, size) && write_char(w, ':');
}

/* Whether a Lua without integers means an integer by this double. */
static bool is_whole(double real) {
  if (!(fabs(real) <= (double)COMPAT_EXACT_DOUBLE) || (double)(int64_t)real != real) return false;
  return real != 0 || !signbit(real);
}

static bool write_number(json_writer *w, int index) {
  if (!make_room(w, NUMBER_FLOAT_SIZE)) return false;
  char *out = w->out->bytes + w->out->size;
  if (compat_is_integer(w->L, index)) {
    w->out->size += number_print_integer(out, compat_to_integer(w->L, index));
    return true;
  }
  double real = lua_tonumber(w->L, index);
  if (!isfinite(real)) return fail(w, VDB_TYPE, "JSON holds no NaN and no infinity");
  if (!COMPAT_HAS_INTEGERS && is_whole(real)) w->out->size += number_print_integer(out, (int64_t)real);
  else w->out->size += number_print_float(out, real);
  return true;
}

/* ---- Tables met ---- */

/* False when the table was there already. There is a free slot. */
static bool insert_slot(const void **slots, size_t capacity, const void *table) {
  uint64_t hash = ((uint64_t)(uintptr_t)table >> TABLE_ADDRESS_SHIFT) * UINT64_C(0x9E3779B97F4A7C15);
  size_t at = (size_t)(hash >> 32) & (capacity - 1);
  while (slots[at] != NULL) {
    if (slots[at] == table) return false;
    at = (at + 1) & (capacity - 1);
  }
  slots[at] = table;
  return true;
}

static bool grow_set(json_writer *w) {
  table_set *set = &w->tables;
  if (set->memory == NULL) {
    set->memory = scratch_push_buffer(w->L);
    lua_replace(w->L, w->anchor);
  }
  const void **old = set->slots != NULL ? set->slots : set->few;
  size_t old_capacity = set->slots != NULL ? set->capacity : FEW_TABLES;
  size_t capacity = old_capacity * 4;
  const void **slots = calloc(capacity, sizeof *slots);
  if (slots == NULL) return fail(w, VDB_NO_MEMORY, "no memory for the addresses of the tables");
  for (size_t i = 0; i < old_capacity; i++)
    if (old[i] != NULL) insert_slot(slots, capacity, old[i]);
  buffer_free(set->memory);
  set->memory->bytes = (char *)slots;
  set->slots = slots;
  set->capacity = capacity;
  return true;
}

static bool insert_few(table_set *set, const void *table) {
  for (size_t i = 0; i < set->count; i++)
    if (set->few[i] == table) return false;
  set->few[set->count] = table;
  return true;
}

/* A table reached twice, in a cycle or not, would come back as two: JSON doesn't hold it. */
static bool meet_table(json_writer *w, const void *table) {
  table_set *set = &w->tables;
  bool full = set->slots == NULL ? set->count == FEW_TABLES : set->count * 2 >= set->capacity;
  if (full && !grow_set(w)) return false;
  bool is_new = set->slots == NULL ? insert_few(set, table) : insert_slot(set->slots, set->capacity, table);
  set->count++;
  return is_new || fail(w, VDB_TYPE, "JSON holds no table that is reached twice");
}

/* ---- Values that are no tables, and metatables ---- */

static const json_markers *find_markers(json_writer *w) {
  if (!w->knows_markers) json_markers_find(w->L, &w->markers);
  w->knows_markers = true;
  return &w->markers;
}

static bool write_userdata(json_writer *w, int index) {
  const void *address = lua_topointer(w->L, index);
  if (address == NULL) return write_text(w, "null", 4);
  const json_markers *markers = find_markers(w);
  if (address == markers->nil) return write_text(w, "null", 4);
  if (address == markers->empty_array) return write_text(w, "[]", 2);
  return fail(w, VDB_TYPE, "JSON holds no userdata");
}

/* What a metatable asks for. */
typedef struct table_form {
  bool array;       /* whatever is in it */
  bool empty_array; /* when nothing is in it */
  bool unmarked;    /* it has no metatable */
} table_form;

static bool read_form(json_writer *w, int index, table_form *form) {
  *form = (table_form){0};
  form->unmarked = !lua_getmetatable(w->L, index);
  if (form->unmarked) return true;
  const void *metatable = lua_topointer(w->L, -1);
  lua_pop(w->L, 1);
  const json_markers *markers = find_markers(w);
  form->array = metatable == markers->array_metatable;
  form->empty_array = form->array || metatable == markers->empty_array_metatable;
  if (form->empty_array || metatable == markers->empty_dict_metatable) return true;
  return fail(w, VDB_TYPE, "JSON holds no table with a metatable");
}

static bool write_scalar(json_writer *w, int type, int index) {
  switch (type) {
  case LUA_TSTRING: return write_string(w, index);
  case LUA_TNUMBER: return write_number(w, index);
  case LUA_TBOOLEAN: return lua_toboolean(w->L, index) ? write_text(w, "true", 4) : write_text(w, "false", 5);
  case LUA_TLIGHTUSERDATA:
  case LUA_TUSERDATA: return write_userdata(w, index);
  default: return fail(w, VDB_TYPE, "JSON holds no nil, function, coroutine or cdata");
  }
}

/* ---- Tables. `top` is the stack's top before the walk: the key is at top + 1, the value at top + 2 ---- */

static inline bool write_value(json_writer *w, int index) {
  int type = lua_type(w->L, index);
  return type == LUA_TTABLE ? write_inner_table(w, index) : write_scalar(w, type, index);
}

static bool write_item(json_writer *w, lua_Number position, int index) {
  return write_char(w, position == 1 ? '[' : ',') && write_value(w, index);
}

static bool fail_sequence(json_writer *w) {
  return fail(w, VDB_TYPE, "JSON holds no table that is neither a sequence nor keyed by strings alone");
}

/*
** The items from number `first` on when keys don't come in order, because the table keeps them in its hash
** part. They are a sequence when they are whole numbers and each up to the largest has an item.
*/
static bool write_scattered(json_writer *w, int table, int top, lua_Number first) {
  lua_State *L = w->L;
  lua_Number largest = 0;
  do {
    lua_Number key = lua_type(L, top + 1) == LUA_TNUMBER ? lua_tonumber(L, top + 1) : 0;
    if (!(key >= first && key <= INT_MAX) || (lua_Number)(int)key != key) return fail_sequence(w);
    if (key > largest) largest = key;
    lua_settop(L, top + 1);
  } while (lua_next(L, table));
  for (int i = (int)first; i <= (int)largest; i++) {
    lua_rawgeti(L, table, i);
    if (lua_isnil(L, top + 1)) return fail_sequence(w);
    if (!write_item(w, i, top + 1)) return false;
    lua_settop(L, top);
  }
  return write_char(w, ']');
}

static bool write_array(json_writer *w, int table, int top) {
  lua_State *L = w->L;
  lua_Number position = 0;
  do {
    position++;
    if (lua_type(L, top + 1) != LUA_TNUMBER || lua_tonumber(L, top + 1) != position)
      return write_scattered(w, table, top, position);
    if (!write_item(w, position, top + 2)) return false;
    lua_settop(L, top + 1);
  } while (lua_next(L, table));
  return write_char(w, ']');
}

static bool write_object(json_writer *w, int table, int top) {
  lua_State *L = w->L;
  char separator = '{';
  do {
    if (lua_type(L, top + 1) != LUA_TSTRING) return fail_sequence(w);
    if (!write_name(w, top + 1, separator) || !write_value(w, top + 2)) return false;
    separator = ',';
    lua_settop(L, top + 1);
  } while (lua_next(L, table));
  return write_char(w, '}');
}

static bool write_empty(json_writer *w, const table_form *form) {
  bool is_array = form->unmarked ? json_markers_know_empty_objects(w->L) : form->empty_array;
  return write_text(w, is_array ? "[]" : "{}", 2);
}

static bool write_table(json_writer *w, int table, int top) {
  lua_State *L = w->L;
  table_form form;
  if (!read_form(w, table, &form)) return false;
  lua_pushnil(L);
  if (!lua_next(L, table)) return write_empty(w, &form);
  bool is_object = lua_type(L, top + 1) == LUA_TSTRING && !form.array;
  return is_object ? write_object(w, table, top) : write_array(w, table, top);
}

static bool write_inner_table(json_writer *w, int table) {
  if (!lua_checkstack(w->L, STACK_PER_TABLE)) return fail(w, VDB_NO_MEMORY, "no room on the Lua stack");
  if (!meet_table(w, lua_topointer(w->L, table))) return false;
  if (w->depth == JSON_MAX_DEPTH) return fail(w, VDB_TOO_BIG, "tables are nested deeper than 128 levels");
  w->depth++;
  bool done = write_table(w, table, table);
  w->depth--;
  return done;
}

static bool write_root_table(json_writer *w, int table) {
  int top = lua_gettop(w->L);
  lua_pushnil(w->L);
  w->anchor = top + 1;
  w->depth = 1;
  bool done = write_table(w, table, top + 1);
  if (w->tables.memory != NULL) buffer_free(w->tables.memory);
  lua_settop(w->L, top);
  return done;
}

vdb_status json_encode(lua_State *L, int index, buffer *out, vdb_error *error) {
  const void *few[FEW_TABLES]; /* not in the writer, which starts as zeros: that would take too long */
  json_writer w = {.L = L, .out = out, .start = out->size, .error = error, .tables.few = few};
  if (!lua_checkstack(L, STACK_PER_TABLE)) return error_set(error, VDB_NO_MEMORY, "no room on the Lua stack");
  int type = lua_type(L, index);
  bool is_table = type == LUA_TTABLE;
  bool done = is_table ? write_root_table(&w, compat_absolute(L, index)) : write_scalar(&w, type, index);
  if (done && out->size - w.start > VDB_MAX_VALUE_SIZE) done = fail_size(&w);
  if (!done) out->size = w.start;
  return w.status;
}
