/*
** json_read.c - a JSON text (RFC 8259) as a Lua value.
**
** The text may be hostile: nothing is read beyond its end, at most JSON_MAX_DEPTH containers are entered,
** and no table or buffer is sized by more than what was already read. A string without escapes goes from
** the text to Lua in one step. The first items of an array or object wait on the Lua stack, so that most
** tables are made with their exact size.
**
** The text must be valid UTF-8. An escaped surrogate without its other half becomes the three bytes that
** utf8.char(0xD800) gives: no valid UTF-8, so such a string is written again as bytes, and stays what it is.
** Of a name that an object repeats, the last value counts.
*/
#include "json.h"

#include "../engine/error.h"
#include "../text/number.h"
#include "../text/utf8.h"
#include "json_markers.h"
#include "json_string.h"
#include "scratch.h"

#include <limits.h>

#define WAITING_ITEMS 32 /* array items on the stack before there is a table */
#define WAITING_PAIRS 16
#define STACK_PER_CONTAINER 40 /* the waiting ones, the table, and what one step pushes */
#define SHORT_RUN 4            /* words of a string that are looked at before a call is worth it */
#define SHORT_STRING 1024      /* an escaped string of up to so many bytes is unescaped on the C stack */

typedef struct json_reader {
  lua_State *L;
  const char *text;
  const char *end;
  const char *at; /* next byte */
  int depth;
  json_integers integers;
  vdb_error *error;
  vdb_status status; /* why a function returned false */
} json_reader;

static bool read_value(json_reader *r);

static bool fail(json_reader *r, vdb_status status, const char *at, const char *what) {
  r->status = error_set(r->error, status, "JSON text at byte %zu: %s", (size_t)(at - r->text), what);
  return false;
}

static bool corrupt(json_reader *r, const char *at, const char *what) {
  return fail(r, VDB_CORRUPT, at, at < r->end ? what : "the text ends too early");
}

/* ---- Single bytes ---- */

static inline bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static inline void skip_space(json_reader *r) {
  while (r->at < r->end && is_space(*r->at)) r->at++;
}

/* The next byte that is no space, still unread; a space when there is none. */
static inline char peek(json_reader *r) {
  skip_space(r);
  return r->at < r->end ? *r->at : ' ';
}

/* ---- Strings ---- */

static bool read_hex(const char *at, const char *end, uint32_t *value) {
  if (end - at < 4) return false;
  *value = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    if (c >= '0' && c <= '9') *value = *value << 4 | (uint32_t)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') *value = *value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
    else return false;
  }
  return true;
}

/* The code point of \uXXXX or of two that make a pair; `at` is behind the first \u and moves on. */
static bool read_code_point(const char **at, const char *end, uint32_t *code_point) {
  uint32_t high, low;
  if (!read_hex(*at, end, &high)) return false;
  *at += 4;
  *code_point = high;
  if ((high & 0xFC00) != 0xD800 || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return true;
  if (!read_hex(*at + 2, end, &low) || (low & 0xFC00) != 0xDC00) return true;
  *at += 6;
  *code_point = 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF);
  return true;
}

/* What stands behind a backslash and what it means; zero is no escape of one character. */
static const char short_escapes[UCHAR_MAX + 1] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* Writes what an escape means; `at` is behind its backslash and moves on. Returns the bytes, 0: no escape. */
static size_t unescape_one(const char **at, const char *end, char *out) {
  uint32_t code_point;
  char c = *(*at)++;
  if (c == 'u') return read_code_point(at, end, &code_point) ? utf8_encode(out, code_point) : 0;
  *out = short_escapes[(unsigned char)c];
  return *out != '\0';
}

/*
** The string from `start` to its closing quote at `end`, into `out`, which has room for as many bytes and
** JSON_WORD more: no escape is shorter than what it stands for.
*/
static bool unescape(json_reader *r, const char *start, const char *end, char *out, size_t *size) {
  const char *at = start;
  char *to = out;
  uint64_t seen = 0;
  for (;;) {
    size_t run = json_copy_run(to, at, (size_t)(end - at), &seen);
    at += run;
    to += run;
    if (at == end) break;
    const char *stop = at++;
    if (*stop != '\\') return corrupt(r, stop, "a control character in a string");
    size_t written = unescape_one(&at, end, to);
    if (written == 0) return corrupt(r, stop, "not an escape");
    to += written;
  }
  *size = (size_t)(to - out);
  if ((seen & JSON_NOT_ASCII) == 0 || utf8_valid(start, (size_t)(end - start))) return true;
  return corrupt(r, start, "a string that is not UTF-8");
}

/* The closing quote of the string: the next one with an even number of backslashes before it. NULL: none. */
static const char *find_quote(const char *start, const char *end) {
  const char *quote = start - 1;
  while ((quote = memchr(quote + 1, '"', (size_t)(end - quote - 1))) != NULL) {
    const char *before = quote;
    while (before > start && before[-1] == '\\') before--;
    if ((quote - before) % 2 == 0) break;
  }
  return quote;
}

static bool push_unescaped(json_reader *r, const char *start, const char *quote, char *out) {
  size_t size;
  if (!unescape(r, start, quote, out, &size)) return false;
  lua_pushlstring(r->L, out, size);
  return true;
}

/* By way of the C stack or, if it is long, of memory that the Lua stack keeps. */
static bool read_escaped(json_reader *r, const char *start) {
  char fixed[SHORT_STRING + JSON_WORD];
  const char *quote = find_quote(start, r->end);
  if (quote == NULL) return corrupt(r, r->end, "");
  size_t size = (size_t)(quote - start);
  r->at = quote + 1;
  if (size <= SHORT_STRING) return push_unescaped(r, start, quote, fixed);
  buffer *room = scratch_push_buffer(r->L);
  if (!buffer_reserve(room, size + JSON_WORD))
    return fail(r, VDB_NO_MEMORY, start, "no memory for the string");
  if (!push_unescaped(r, start, quote, room->bytes)) return false;
  buffer_free(room);
  lua_remove(r->L, -2);
  return true;
}

/* Where the run of bytes that stand for themselves ends; *ascii becomes false when one is not ASCII. */
static inline const char *skip_run(const char *at, const char *end, bool *ascii) {
  for (int words = 0; words < SHORT_RUN && end - at >= JSON_WORD; words++, at += JSON_WORD) {
    uint64_t word = json_load_word(at), marks = json_stops(word);
    if ((word & JSON_NOT_ASCII) != 0) break;
    if (marks != 0) return at + json_first_mark(marks);
  }
  return at + utf8_string_run(at, (size_t)(end - at), ascii);
}

static bool read_string(json_reader *r) {
  const char *start = r->at + 1;
  bool ascii = true;
  const char *stop = skip_run(start, r->end, &ascii);
  if (stop == r->end || *stop != '"') return read_escaped(r, start);
  size_t size = (size_t)(stop - start);
  if (!ascii && !utf8_valid(start, size)) return corrupt(r, start, "a string that is not UTF-8");
  lua_pushlstring(r->L, start, size);
  r->at = stop + 1;
  return true;
}

/* ---- Numbers and names ---- */

/* An integer that this Lua doesn't hold exactly. */
static bool push_big(json_reader *r, const char *digits, size_t size, double nearest) {
  if (r->integers == JSON_INTEGERS_STRING) lua_pushlstring(r->L, digits, size);
  else if (r->integers == JSON_INTEGERS_FLOAT && nearest - nearest == 0) lua_pushnumber(r->L, nearest);
  else
    return fail(r, VDB_RANGE, digits,
                "an integer that this Lua can't hold exactly: open the store with integers = \"float\" or "
                "\"string\"");
  return true;
}

static inline bool push_exact(lua_State *L, int64_t integer) {
  bool in_doubles = integer >= -COMPAT_EXACT_DOUBLE && integer <= COMPAT_EXACT_DOUBLE;
  return (COMPAT_HAS_INTEGERS || in_doubles) && compat_push_integer(L, integer);
}

static bool read_number(json_reader *r) {
  number n;
  const char *start = r->at;
  size_t size = number_parse(start, (size_t)(r->end - start), &n);
  r->at += size;
  switch (n.kind) {
  case NUMBER_INTEGER: return push_exact(r->L, n.integer) || push_big(r, start, size, (double)n.integer);
  case NUMBER_FLOAT: lua_pushnumber(r->L, n.real); return true;
  case NUMBER_BIG: return push_big(r, start, size, n.real);
  case NUMBER_HUGE: return fail(r, VDB_RANGE, start, "a number outside the range of floats");
  default: return corrupt(r, start, "not a JSON value");
  }
}

static bool take_name(json_reader *r, const char *name, size_t size) {
  if ((size_t)(r->end - r->at) < size || memcmp(r->at, name, size) != 0)
    return corrupt(r, r->at, "not a JSON value");
  r->at += size;
  return true;
}

/* ---- Arrays and objects ---- */

/* After the opening byte: whether there is an item before the closing one. */
static bool enter(json_reader *r, char close, bool *more) {
  if (r->depth == JSON_MAX_DEPTH) return fail(r, VDB_TOO_BIG, r->at, "nested deeper than 128 levels");
  if (!lua_checkstack(r->L, STACK_PER_CONTAINER))
    return fail(r, VDB_NO_MEMORY, r->at, "no room on the Lua stack");
  r->depth++;
  r->at++;
  *more = peek(r) != close;
  if (!*more) r->at++;
  return true;
}

/* After an item: whether a comma or the closing byte comes. */
static bool go_on(json_reader *r, char close, bool *more) {
  char c = peek(r);
  *more = c == ',';
  if (c != ',' && c != close)
    return corrupt(r, r->at, close == ']' ? "expected `,` or `]`" : "expected `,` or `}`");
  r->at++;
  return true;
}

/* Puts a new table in its place at `table`, for the `count` items that wait above. */
static void place_table(lua_State *L, int table, int items, int pairs) {
  lua_createtable(L, items, pairs);
  lua_replace(L, table);
}

static bool read_array(json_reader *r) {
  lua_State *L = r->L;
  int count = 0;
  bool more;
  if (!enter(r, ']', &more)) return false;
  lua_pushnil(L);
  int table = lua_gettop(L);
  for (; more && count < WAITING_ITEMS; count++)
    if (!read_value(r) || !go_on(r, ']', &more)) return false;
  place_table(L, table, more ? 2 * count : count, 0);
  for (int i = count; i > 0; i--) lua_rawseti(L, table, i);
  while (more) {
    if (!read_value(r) || !go_on(r, ']', &more)) return false;
    lua_rawseti(L, table, ++count);
  }
  r->depth--;
  return true;
}

static bool read_pair(json_reader *r) {
  if (peek(r) != '"') return corrupt(r, r->at, "expected a name in `\"`");
  if (!read_string(r)) return false;
  if (peek(r) != ':') return corrupt(r, r->at, "expected `:`");
  r->at++;
  return read_value(r);
}

/* Upwards, so that of equal names the last counts. */
static void set_waiting_pairs(lua_State *L, int table, int count) {
  for (int key = table + 1; key <= table + 2 * count; key += 2) {
    lua_pushvalue(L, key);
    lua_pushvalue(L, key + 1);
    lua_rawset(L, table);
  }
  lua_settop(L, table);
}

static bool push_empty_object(json_reader *r) {
  json_markers_push_empty_object(r->L);
  r->depth--;
  return true;
}

static bool read_object(json_reader *r) {
  lua_State *L = r->L;
  int count = 0;
  bool more;
  if (!enter(r, '}', &more)) return false;
  if (!more) return push_empty_object(r);
  lua_pushnil(L);
  int table = lua_gettop(L);
  for (; more && count < WAITING_PAIRS; count++)
    if (!read_pair(r) || !go_on(r, '}', &more)) return false;
  place_table(L, table, 0, more ? 2 * count : count);
  set_waiting_pairs(L, table, count);
  while (more) {
    if (!read_pair(r) || !go_on(r, '}', &more)) return false;
    lua_rawset(L, table);
  }
  r->depth--;
  return true;
}

static bool read_value(json_reader *r) {
  switch (peek(r)) {
  case '"': return read_string(r);
  case '{': return read_object(r);
  case '[': return read_array(r);
  case 't': lua_pushboolean(r->L, 1); return take_name(r, "true", 4);
  case 'f': lua_pushboolean(r->L, 0); return take_name(r, "false", 5);
  case 'n': json_markers_push_null(r->L); return take_name(r, "null", 4);
  default: return read_number(r);
  }
}

vdb_status json_decode(lua_State *L, const char *text, size_t size, json_integers integers,
                       vdb_error *error) {
  if (size > VDB_MAX_VALUE_SIZE) return error_set(error, VDB_TOO_BIG, "a JSON text of more than 1 GiB");
  if (!lua_checkstack(L, STACK_PER_CONTAINER))
    return error_set(error, VDB_NO_MEMORY, "no room on the Lua stack");
  int top = lua_gettop(L);
  json_reader r = {.L = L,
                   .text = text,
                   .end = text + size,
                   .at = text,
                   .integers = integers,
                   .error = error,
                   .status = VDB_OK};
  bool done = read_value(&r);
  if (done && (skip_space(&r), r.at < r.end)) done = corrupt(&r, r.at, "more text after the value");
  if (!done) lua_settop(L, top);
  return r.status;
}
