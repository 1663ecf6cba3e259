/*
** methods.c - the calls on one key: db:get, db:set and their kin.
*/
#include "methods.h"

#include <math.h>

#include "arguments.h"

int method_get(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  vdb_error error;
  vdb_status status = VDB_ABSENT;
  if (argument_key(L, 2, &key)) status = handle_read(L, h, &key, &error);
  return handle_pushed(L, status, &error);
}

static int set(lua_State *L, handle *h, const vdb_key *key, int64_t expiration) {
  vdb_error error;
  vdb_status status = handle_write(L, h, key, 3, expiration, &error);
  return handle_done(L, status, &error);
}

int method_set(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  argument_key_to_write(L, 2, &key);
  luaL_checkany(L, 3);
  return set(L, h, &key, argument_expiration_option(L, 4));
}

int method_set_with_expiration(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  argument_key_to_write(L, 2, &key);
  luaL_checkany(L, 3);
  return set(L, h, &key, argument_expiration(L, 4));
}

/* An engine call that needs nothing but the key. */
typedef vdb_status (*key_call)(vdb_store *store, const vdb_key *key, vdb_error *error);

static int call_with_key(lua_State *L, key_call call) {
  handle *h = handle_argument(L);
  vdb_key key;
  vdb_error error;
  if (!argument_key(L, 2, &key)) return handle_presence(L, VDB_ABSENT, &error);
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = call(h->store, &key, &error);
  return handle_presence(L, status, &error);
}

int method_delete(lua_State *L) {
  return call_with_key(L, vdb_delete);
}

int method_has(lua_State *L) {
  return call_with_key(L, vdb_has);
}

/* A key may expire between the engine's look and this one. */
static vdb_status push_seconds_left(lua_State *L, int64_t expiration) {
  int64_t left = expiration == VDB_NEVER ? 1 : expiration - clock_now();
  if (left <= 0) return VDB_ABSENT;
  lua_pushnumber(L, expiration == VDB_NEVER ? HUGE_VAL : (lua_Number)left / 1000);
  return VDB_OK;
}

int method_ttl(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  int64_t expiration;
  vdb_error error;
  if (!argument_key(L, 2, &key)) return handle_pushed(L, VDB_ABSENT, &error);
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = vdb_expiration(h->store, &key, &expiration, &error);
  if (status == VDB_OK) status = push_seconds_left(L, expiration);
  return handle_pushed(L, status, &error);
}

static int expire(lua_State *L, handle *h, const vdb_key *key, int64_t expiration) {
  vdb_error error;
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = vdb_expire(h->store, key, expiration, &error);
  return handle_presence(L, status, &error);
}

int method_expire(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  argument_key_to_write(L, 2, &key);
  return expire(L, h, &key, argument_seconds_from_now(L, 3));
}

int method_persist(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_key key;
  argument_key_to_write(L, 2, &key);
  return expire(L, h, &key, VDB_NEVER);
}
