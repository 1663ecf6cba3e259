/*
** atomic.c - the calls that look at a key and change it as one step: nothing that others write is lost in between.
**
** Each call is a try that is made again as long as it ends with VDB_CONFLICT. Argument 1 is the handle, 2 the key.
*/
#include "atomic.h"

#include <math.h>
#include <string.h>

#include "../engine/error.h"
#include "arguments.h"
#include "key.h"
#include "retry.h"

/* Presence. */

/* VDB_ABSENT: the key is there, or not, when it should not, or should, be. */
static vdb_status try_to_store(lua_State *L, handle *h, const vdb_key *key, int64_t expiration,
                               vdb_status wanted, vdb_error *error) {
  vdb_version version;
  vdb_status status = handle_ready(h, error);
  if (status == VDB_OK) status = vdb_get_version(h->store, key, NULL, &version, error);
  if (status != VDB_OK && status != VDB_ABSENT) return status;
  if (status != wanted) return VDB_ABSENT;
  return handle_write_version(L, h, key, 3, expiration, &version, error);
}

static int store_when(lua_State *L, vdb_status wanted) {
  handle *h = handle_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status;
  uint64_t tries = 0;
  argument_key_to_write(L, 2, &key);
  if (lua_isnoneornil(L, 3)) luaL_argerror(L, 3, "value expected: to delete use db:delete");
  int64_t expiration = argument_expiration_option(L, 4);
  lua_settop(L, 3);
  do {
    status = try_to_store(L, h, &key, expiration, wanted, &error);
  } while (retry_after(++tries, RETRY_TRIES, status, &error));
  return handle_presence(L, status, &error);
}

int atomic_add(lua_State *L) {
  return store_when(L, VDB_ABSENT);
}

int atomic_replace(lua_State *L) {
  return store_when(L, VDB_OK);
}

/* Functions. */

/* Pushes what the key holds, or nil. */
static vdb_status push_old(lua_State *L, handle *h, const vdb_key *key, vdb_version *version,
                           int64_t *expiration, vdb_error *error) {
  vdb_status status = handle_read_version(L, h, key, version, expiration, error);
  if (status != VDB_ABSENT) return status;
  lua_pushnil(L);
  return VDB_OK;
}

/* The function is argument 3; the new value is pushed. */
static vdb_status try_to_update(lua_State *L, handle *h, const vdb_key *key, vdb_error *error) {
  vdb_version version;
  int64_t expiration;
  lua_settop(L, 3);
  compat_bound_nesting(L, 0);
  int top = lua_gettop(L);
  lua_pushvalue(L, 3);
  vdb_status status = push_old(L, h, key, &version, &expiration, error);
  if (status != VDB_OK) return status;
  lua_call(L, 1, LUA_MULTRET);
  if (lua_gettop(L) == top)
    luaL_error(L,
               "the function of db:update returned nothing: it must return the new value, or nil to delete");
  int value = top + 1;
  lua_settop(L, value);
  return handle_write_version(L, h, key, value, expiration, &version, error);
}

int atomic_update(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status;
  uint64_t tries = 0;
  argument_key_to_write(L, 2, &key);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  uint64_t limit = argument_tries(L, 4);
  do {
    status = try_to_update(L, h, &key, &error);
  } while (retry_after(++tries, limit, status, &error));
  return handle_pushed(L, status, &error);
}

/* Numbers. */

static vdb_status overflow(vdb_error *error) {
  return error_set(error, VDB_RANGE, "the sum is beyond what this Lua counts exactly");
}

/* Whether a Lua without integers would count on here without getting anywhere. */
static bool is_past_counting(double left, double right, double sum) {
  if (COMPAT_HAS_INTEGERS || floor(left) != left || floor(right) != right) return false;
  const double end = (double)COMPAT_EXACT_DOUBLE;
  return fabs(left) >= end || fabs(right) >= end || fabs(sum) >= end;
}

/* Pushes the sum of the numbers at two indices. */
static vdb_status push_sum(lua_State *L, int left, int right, vdb_error *error) {
  if (compat_is_integer(L, left) && compat_is_integer(L, right)) {
    int64_t sum;
    if (__builtin_add_overflow(compat_to_integer(L, left), compat_to_integer(L, right), &sum))
      return overflow(error);
    compat_push_integer(L, sum);
    return VDB_OK;
  }
  double sum = lua_tonumber(L, left) + lua_tonumber(L, right);
  if (!isfinite(sum) || is_past_counting(lua_tonumber(L, left), lua_tonumber(L, right), sum))
    return overflow(error);
  lua_pushnumber(L, sum);
  return VDB_OK;
}

/* Arguments 3 and 4 are what to add and what an absent key counts as; the sum is pushed. */
static vdb_status try_to_count(lua_State *L, handle *h, const vdb_key *key, vdb_error *error) {
  vdb_version version;
  int64_t expiration;
  lua_settop(L, 4);
  vdb_status status = handle_read_version(L, h, key, &version, &expiration, error);
  if (status == VDB_ABSENT) lua_pushvalue(L, 4);
  else if (status != VDB_OK) return status;
  if (lua_type(L, 5) != LUA_TNUMBER)
    return error_set(error, VDB_TYPE, "db:incr needs a number, and the value is a %s", luaL_typename(L, 5));
  status = push_sum(L, 5, 3, error);
  return status == VDB_OK ? handle_write_version(L, h, key, 6, expiration, &version, error) : status;
}

/* Strings that look like numbers are no numbers in a store. */
static void check_number(lua_State *L, int index, int missing) {
  if (lua_isnoneornil(L, index)) {
    compat_push_integer(L, missing);
    lua_replace(L, index);
  }
  luaL_checktype(L, index, LUA_TNUMBER);
}

int atomic_incr(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status;
  uint64_t tries = 0;
  argument_key_to_write(L, 2, &key);
  lua_settop(L, 4);
  check_number(L, 3, 1);
  check_number(L, 4, 0);
  do {
    status = try_to_count(L, h, &key, &error);
  } while (retry_after(++tries, RETRY_TRIES, status, &error));
  if (status == VDB_TYPE || status == VDB_RANGE) key_name_in_error(&key, &error);
  return handle_pushed(L, status, &error);
}

/* Comparison. */

static bool same_bytes(const vdb_value *left, const vdb_value *right) {
  if (left->encoding != right->encoding || left->size != right->size) return false;
  return left->size == 0 || memcmp(left->bytes, right->bytes, left->size) == 0;
}

/*
** Whether the value at `index` would be stored as these bytes. Values that were written by another Lua or by the Python
** original may be spelled otherwise: so the question is how this Lua would store what it reads.
*/
static vdb_status compare_as_read(lua_State *L, handle *h, int index, const vdb_value *wanted, bool *same,
                                  vdb_error *error) {
  vdb_value spelled;
  buffer *bytes = scratch_push_buffer(L);
  vdb_status status = value_encode(L, index, &h->rules, bytes, &spelled, error);
  *same = status == VDB_OK && same_bytes(&spelled, wanted);
  buffer_free(bytes);
  lua_pop(L, 1);
  return status;
}

/* VDB_ABSENT: the key holds something else. NULL for what is wanted, and argument 4 nil, are an absent key. */
static vdb_status try_to_swap(lua_State *L, handle *h, const vdb_key *key, const vdb_value *wanted,
                              vdb_error *error) {
  vdb_version version;
  vdb_value stored = {.expiration = VDB_NEVER};
  int top = lua_gettop(L);
  scratch_prepare(L, 1, &h->scratch);
  vdb_status status = handle_ready(h, error);
  if (status == VDB_OK) status = vdb_get_version(h->store, key, &stored, &version, error);
  if (status != VDB_OK && status != VDB_ABSENT) return status;
  bool same = (status == VDB_ABSENT) == (wanted == NULL);
  if (same && wanted != NULL && !same_bytes(&stored, wanted)) {
    status = handle_push_record(L, 1, h, NULL, &stored, error);
    if (status == VDB_OK) status = compare_as_read(L, h, lua_gettop(L), wanted, &same, error);
    lua_settop(L, top);
    if (status != VDB_OK) return status;
  }
  if (!same) return VDB_ABSENT;
  return handle_write_version(L, h, key, 4, stored.expiration, &version, error);
}

static vdb_status swap(lua_State *L, handle *h, const vdb_key *key, const vdb_value *wanted,
                       vdb_error *error) {
  vdb_status status;
  uint64_t tries = 0;
  do {
    status = try_to_swap(L, h, key, wanted, error);
  } while (retry_after(++tries, RETRY_TRIES, status, error));
  return status;
}

int atomic_cas(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  vdb_value old;
  vdb_error error;
  vdb_status status = VDB_OK;
  argument_key_to_write(L, 2, &key);
  luaL_checkany(L, 4);
  lua_settop(L, 4);
  bool absent = lua_isnil(L, 3);
  buffer *bytes = scratch_push_buffer(L);
  if (!absent) status = value_encode(L, 3, &h->rules, bytes, &old, &error);
  if (status == VDB_OK) status = swap(L, h, &key, absent ? NULL : &old, &error);
  buffer_free(bytes);
  return handle_presence(L, status, &error);
}
