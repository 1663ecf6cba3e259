/*
** arguments.c - keys, options and times as Lua passes them.
*/
#define _POSIX_C_SOURCE 200809L

#include "arguments.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "key.h"
#include "retry.h"

/* Keys and paths. */

bool argument_key(lua_State *L, int index, vdb_key *key) {
  luaL_checkany(L, index);
  key_kind kind = key_read(L, index, key);
  if (kind == KEY_FOREIGN) luaL_argerror(L, index, key_foreign_message(L, index));
  return kind == KEY_STORABLE;
}

void argument_key_to_write(lua_State *L, int index, vdb_key *key) {
  if (!argument_key(L, index, key)) luaL_argerror(L, index, key_nil_message(L, index));
}

const char *argument_path(lua_State *L, int index) {
  size_t size;
  const char *path = luaL_checklstring(L, index, &size);
  if (strlen(path) != size) luaL_argerror(L, index, "a path can't hold a zero byte");
  return path;
}

/* Times. */

int64_t clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Anything before the epoch is as expired as the first millisecond after it; 0 has a meaning of its own. */
static int64_t expiration_from_double(double milliseconds) {
  if (milliseconds >= (double)VDB_NEVER) return VDB_NEVER;
  return milliseconds < 1 ? 1 : (int64_t)milliseconds;
}

static double check_time(lua_State *L, int index) {
  double time = luaL_checknumber(L, index);
  if (isnan(time)) luaL_argerror(L, index, "NaN is not a time");
  return time;
}

int64_t argument_expiration(lua_State *L, int index) {
  double milliseconds = check_time(L, index);
  if (!compat_is_integer(L, index)) return expiration_from_double(milliseconds);
  int64_t exact = compat_to_integer(L, index);
  return exact < 1 ? 1 : exact;
}

int64_t argument_seconds_from_now(lua_State *L, int index) {
  return expiration_from_double((double)clock_now() + check_time(L, index) * 1000);
}

/* Options: each table has a reader that takes one field, named and with its value on top of the stack. */

typedef void (*field_reader)(lua_State *L, int options, const char *name, void *into);

static void bad_field(lua_State *L, int options, const char *name, const char *expected) {
  luaL_argerror(L, options, lua_pushfstring(L, "option '%s' must be %s", name, expected));
}

static void unknown_field(lua_State *L, int options, const char *name) {
  luaL_argerror(L, options, lua_pushfstring(L, "unknown option '%s'", name));
}

static void read_fields(lua_State *L, int options, field_reader read, void *into) {
  if (lua_isnoneornil(L, options)) return;
  luaL_checktype(L, options, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, options)) {
    if (lua_type(L, -2) != LUA_TSTRING) luaL_argerror(L, options, "the names of options are strings");
    read(L, options, lua_tostring(L, -2), into);
    lua_pop(L, 1);
  }
}

typedef struct open_options {
  vdb_options *engine;
  value_rules *rules;
} open_options;

static bool boolean_field(lua_State *L, int options, const char *name) {
  if (!lua_isboolean(L, -1)) bad_field(L, options, name, "true or false");
  return lua_toboolean(L, -1);
}

/* Whether the field on top is this string. */
static bool field_is(lua_State *L, const char *text) {
  return lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), text) == 0;
}

static bool field_is_positive(lua_State *L) {
  return lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) > 0 && lua_tonumber(L, -1) < HUGE_VAL;
}

static void read_sync(lua_State *L, int options, vdb_options *engine) {
  if (field_is(L, "os")) {
    engine->sync = VDB_SYNC_OS;
  } else if (field_is(L, "always")) {
    engine->sync = VDB_SYNC_ALWAYS;
  } else if (field_is_positive(L)) {
    engine->sync = VDB_SYNC_INTERVAL;
    engine->sync_seconds = lua_tonumber(L, -1);
  } else {
    bad_field(L, options, "sync", "\"os\", \"always\" or a number of seconds above 0");
  }
}

static void read_integers(lua_State *L, int options, value_rules *rules) {
  if (field_is(L, "float")) rules->integers = JSON_INTEGERS_FLOAT;
  else if (field_is(L, "string")) rules->integers = JSON_INTEGERS_STRING;
  else bad_field(L, options, "integers", "\"float\" or \"string\"");
}

static void read_open_field(lua_State *L, int options, const char *name, void *into) {
  const open_options *o = into;
  if (strcmp(name, "sync") == 0) read_sync(L, options, o->engine);
  else if (strcmp(name, "wait") == 0) {
    if (!field_is_positive(L)) bad_field(L, options, name, "a number of seconds above 0");
    o->engine->wait_seconds = lua_tonumber(L, -1);
  } else if (strcmp(name, "readonly") == 0) o->engine->readonly = boolean_field(L, options, name);
  else if (strcmp(name, "functions") == 0) o->rules->functions = boolean_field(L, options, name);
  else if (strcmp(name, "integers") == 0) read_integers(L, options, o->rules);
  else if (strcmp(name, "reclaim") == 0) {
    if (!field_is_positive(L) || lua_tonumber(L, -1) >= 1)
      bad_field(L, options, name, "a number between 0 and 1");
    o->engine->reclaim_fraction = lua_tonumber(L, -1);
  } else unknown_field(L, options, name);
}

void argument_open_options(lua_State *L, int index, vdb_options *options, value_rules *rules) {
  *options = (vdb_options){0};
  *rules = (value_rules){.integers = JSON_INTEGERS_EXACT};
  open_options into = {options, rules};
  read_fields(L, index, read_open_field, &into);
}

static void read_expiration_field(lua_State *L, int options, const char *name, void *into) {
  int64_t *expiration = into;
  bool ttl = strcmp(name, "ttl") == 0;
  if (!ttl && strcmp(name, "expiration") != 0) unknown_field(L, options, name);
  if (lua_type(L, -1) != LUA_TNUMBER || isnan(lua_tonumber(L, -1)))
    bad_field(L, options, name, ttl ? "a number of seconds" : "a number of milliseconds since the epoch");
  if (*expiration != 0) luaL_argerror(L, options, "give either 'ttl' or 'expiration'");
  *expiration = ttl ? argument_seconds_from_now(L, -1) : argument_expiration(L, -1);
}

int64_t argument_expiration_option(lua_State *L, int index) {
  int64_t expiration = 0;
  read_fields(L, index, read_expiration_field, &expiration);
  return expiration == 0 ? VDB_NEVER : expiration;
}

static void read_tries_field(lua_State *L, int options, const char *name, void *into) {
  uint64_t *tries = into;
  if (strcmp(name, "tries") != 0) unknown_field(L, options, name);
  double wanted = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
  if (!(wanted >= 1)) bad_field(L, options, name, "a number that is at least 1");
  *tries = wanted < (double)COMPAT_EXACT_DOUBLE ? (uint64_t)wanted : UINT64_MAX;
}

uint64_t argument_tries(lua_State *L, int index) {
  uint64_t tries = RETRY_TRIES;
  read_fields(L, index, read_tries_field, &tries);
  return tries;
}

typedef struct work_options {
  int progress;   /* stack index */
  double *budget; /* NULL where the call knows no budget */
} work_options;

static void read_work_field(lua_State *L, int options, const char *name, void *into) {
  const work_options *o = into;
  if (strcmp(name, "progress") == 0) {
    if (!lua_isfunction(L, -1)) bad_field(L, options, name, "a function");
    lua_pushvalue(L, -1);
    lua_replace(L, o->progress);
  } else if (strcmp(name, "budget") == 0 && o->budget != NULL) {
    if (!field_is_positive(L)) bad_field(L, options, name, "a number of seconds above 0");
    *o->budget = lua_tonumber(L, -1);
  } else {
    unknown_field(L, options, name);
  }
}

void argument_push_progress(lua_State *L, int index, double *budget) {
  lua_pushnil(L);
  work_options into = {lua_gettop(L), budget};
  read_fields(L, index, read_work_field, &into);
}
