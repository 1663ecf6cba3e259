/*
** handle.c - the userdata behind `db`: its life, and the calls that move values between Lua and the engine.
*/
#include "handle.h"

#include <string.h>

#include "../engine/error.h"
#include "arguments.h"
#include "key.h"

#define LOCAL_SIZE 1024 /* records up to this size are copied to the C stack, others to the scratch buffer */

/* Results. */

/* The path in argument 1, or of the store in argument 1, pushed; NULL with nothing of use pushed. */
static const char *push_path(lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING) {
    lua_pushvalue(L, 1);
  } else {
    if (lua_type(L, 1) == LUA_TUSERDATA) compat_push_attached(L, 1);
    if (lua_istable(L, -1)) lua_rawgeti(L, -1, PATH_SLOT);
  }
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* A remedy that is a call is shown as it is to be typed, with the store's path. */
static void push_message(lua_State *L, const vdb_error *error) {
  static const char remedy[] = "run viperdb.repair";
  size_t size = strlen(error->message), end = sizeof remedy - 1;
  bool named = size > end && strcmp(error->message + size - end, remedy) == 0;
  const char *path = named ? push_path(L) : NULL;
  if (path == NULL) lua_pushstring(L, error->message);
  else lua_pushfstring(L, "%s(\"%s\", \"%s.repaired\")", error->message, path, path);
}

int handle_failure(lua_State *L, const vdb_error *error) {
  push_message(L, error);
  lua_pushnil(L);
  lua_insert(L, -2);
  lua_pushstring(L, vdb_status_name(error->status));
  return 3;
}

int handle_raise(lua_State *L, const vdb_error *error) {
  luaL_where(L, 1);
  int where = lua_gettop(L);
  push_message(L, error);
  lua_pushvalue(L, where);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return lua_error(L);
}

int handle_done(lua_State *L, vdb_status status, const vdb_error *error) {
  if (status != VDB_OK) return handle_failure(L, error);
  lua_pushboolean(L, true);
  return 1;
}

int handle_presence(lua_State *L, vdb_status status, const vdb_error *error) {
  if (status != VDB_OK && status != VDB_ABSENT) return handle_failure(L, error);
  lua_pushboolean(L, status == VDB_OK);
  return 1;
}

int handle_pushed(lua_State *L, vdb_status status, const vdb_error *error) {
  if (status != VDB_OK && status != VDB_ABSENT) return handle_failure(L, error);
  if (status == VDB_ABSENT) lua_pushnil(L);
  return 1;
}

/* Arguments. */

void *handle_self(lua_State *L) {
  void *self = lua_touserdata(L, 1);
  if (self == NULL || !lua_getmetatable(L, 1)) return NULL;
  bool same = lua_rawequal(L, -1, lua_upvalueindex(1));
  lua_pop(L, 1);
  return same ? self : NULL;
}

handle *handle_argument(lua_State *L) {
  handle *h = handle_self(L);
  if (h == NULL)
    luaL_argerror(L, 1, lua_pushfstring(L, "a viperdb store expected, got %s", luaL_typename(L, 1)));
  return h;
}

vdb_status handle_ready(const handle *h, vdb_error *error) {
  if (h->store == NULL) return error_set(error, VDB_CLOSED, "attempt to use a closed store");
  if (h->running)
    return error_set(error, VDB_BUSY,
                     "a progress function can't use the store that it reports on: open another handle");
  return VDB_OK;
}

/* Life. */

static handle *push_closed_handle(lua_State *L, int path) {
  handle *h = lua_newuserdata(L, sizeof *h);
  *h = (handle){0};
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  lua_createtable(L, SLOTS, 0);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, HANDLE_SLOT);
  lua_pushvalue(L, path);
  lua_rawseti(L, -2, PATH_SLOT);
  compat_attach(L, -2);
  return h;
}

int handle_open(lua_State *L) {
  vdb_options options;
  value_rules rules;
  vdb_error error;
  const char *path = argument_path(L, 1);
  argument_open_options(L, 2, &options, &rules);
  handle *h = push_closed_handle(L, 1);
  h->rules = rules;
  if (vdb_open(path, &options, &h->store, &error) != VDB_OK) return handle_failure(L, &error);
  return 1;
}

/* A closed handle is closed already: that is a success. */
static vdb_status close_handle(handle *h, vdb_error *error) {
  if (h->running) return handle_ready(h, error);
  vdb_store *store = h->store;
  h->store = NULL;
  scratch_end(&h->scratch);
  return vdb_close(store, error);
}

int handle_close(lua_State *L) {
  vdb_error error;
  vdb_status status = close_handle(handle_argument(L), &error);
  return handle_done(L, status, &error);
}

/* The end of a <close> variable. An error that is on its way already is the one to keep. */
int handle_leave(lua_State *L) {
  vdb_error error;
  vdb_status status = close_handle(handle_argument(L), &error);
  if (status != VDB_OK && lua_isnoneornil(L, 2)) return handle_raise(L, &error);
  return 0;
}

/* Raises nothing, as it is called for a table too that was given this metatable. */
int handle_collect(lua_State *L) {
  handle *h = handle_self(L);
  vdb_error ignored;
  if (h != NULL) close_handle(h, &ignored);
  return 0;
}

int handle_push_name(lua_State *L, const handle *h, const char *kind) {
  compat_push_attached(L, 1);
  lua_rawgeti(L, -1, PATH_SLOT);
  lua_pushfstring(L, "%s: %s%s", kind, lua_tostring(L, -1), h->store == NULL ? " (closed)" : "");
  return 1;
}

int handle_tostring(lua_State *L) {
  return handle_push_name(L, handle_argument(L), "viperdb store");
}

/* Keys and values. */

/* Pushes both, or nothing. */
static vdb_status push_both(lua_State *L, const value_rules *rules, const vdb_key *key,
                            const vdb_value *value, vdb_error *error) {
  int top = lua_gettop(L);
  vdb_status status = VDB_OK;
  if (key != NULL) status = key_push(L, key, rules->integers, error);
  if (status == VDB_OK && value != NULL) status = value_decode(L, value, rules, error);
  if (status != VDB_OK && key != NULL) key_name_in_error(key, error);
  if (status != VDB_OK) lua_settop(L, top);
  return status;
}

static size_t key_bytes(const vdb_key *key) {
  return key != NULL && key->type == VDB_STRING ? key->size : 0;
}

/* As push_both, with the bytes of key and value moved to `bytes` first. */
static vdb_status push_copy(lua_State *L, const value_rules *rules, const vdb_key *key,
                            const vdb_value *value, char *bytes, vdb_error *error) {
  vdb_key key_copy;
  vdb_value value_copy;
  if (key != NULL) {
    key_copy = *key;
    if (key_bytes(key) > 0) key_copy.string = memcpy(bytes, key->string, key->size);
    key = &key_copy;
  }
  if (value != NULL) {
    value_copy = *value;
    if (value->size > 0) value_copy.bytes = memcpy(bytes + key_bytes(key), value->bytes, value->size);
    value = &value_copy;
  }
  return push_both(L, rules, key, value, error);
}

vdb_status handle_push_record(lua_State *L, int owner, handle *h, const vdb_key *key, const vdb_value *value,
                              vdb_error *error) {
  char local[LOCAL_SIZE];
  size_t size = key_bytes(key) + (value != NULL ? value->size : 0);
  if (size <= sizeof local) return push_copy(L, &h->rules, key, value, local, error);

  buffer *lent = scratch_lend(L, owner, &h->scratch);
  int keeper = lua_gettop(L);
  vdb_status status = VDB_OK;
  if (buffer_reserve(lent, size)) status = push_copy(L, &h->rules, key, value, lent->bytes, error);
  else status = error_set(error, VDB_NO_MEMORY, "not enough memory to read the value");
  scratch_give_back(&h->scratch, lent);
  lua_remove(L, keeper);
  return status;
}

vdb_status handle_read(lua_State *L, handle *h, const vdb_key *key, vdb_error *error) {
  vdb_value value;
  scratch_prepare(L, 1, &h->scratch);
  vdb_status status = handle_ready(h, error);
  if (status == VDB_OK) status = vdb_get(h->store, key, &value, error);
  if (status == VDB_OK) status = handle_push_record(L, 1, h, NULL, &value, error);
  return status;
}

vdb_status handle_read_version(lua_State *L, handle *h, const vdb_key *key, vdb_version *version,
                               int64_t *expiration, vdb_error *error) {
  vdb_value value = {.expiration = VDB_NEVER};
  scratch_prepare(L, 1, &h->scratch);
  vdb_status status = handle_ready(h, error);
  if (status == VDB_OK) status = vdb_get_version(h->store, key, &value, version, error);
  *expiration = value.expiration;
  if (status == VDB_OK) status = handle_push_record(L, 1, h, NULL, &value, error);
  return status;
}

/* NULL for a value deletes, NULL for a version is any. */
static vdb_status write_bytes(handle *h, const vdb_key *key, const vdb_value *value,
                              const vdb_version *version, vdb_error *error) {
  if (version != NULL)
    return vdb_change_if(h->store, &(vdb_change){.key = *key, .value = value}, version, error);
  return value != NULL ? vdb_put(h->store, key, value, error) : vdb_delete(h->store, key, error);
}

/* A class's dump function may have closed the store meanwhile, so it is asked again. */
static vdb_status encode_and_write(lua_State *L, handle *h, const vdb_key *key, int index, int64_t expiration,
                                   const vdb_version *version, vdb_error *error) {
  vdb_value value;
  buffer *lent = scratch_lend(L, 1, &h->scratch);
  vdb_status status = value_encode(L, index, &h->rules, lent, &value, error);
  value.expiration = expiration;
  if (status == VDB_OK) status = handle_ready(h, error);
  if (status == VDB_OK) status = write_bytes(h, key, &value, version, error);
  scratch_give_back(&h->scratch, lent);
  lua_pop(L, 1);
  return status;
}

vdb_status handle_write_version(lua_State *L, handle *h, const vdb_key *key, int value, int64_t expiration,
                                const vdb_version *version, vdb_error *error) {
  scratch_prepare(L, 1, &h->scratch);
  vdb_status status = handle_ready(h, error);
  if (status != VDB_OK) return status;
  if (!lua_isnil(L, value)) return encode_and_write(L, h, key, value, expiration, version, error);
  status = write_bytes(h, key, NULL, version, error);
  return status == VDB_ABSENT ? VDB_OK : status;
}

vdb_status handle_write(lua_State *L, handle *h, const vdb_key *key, int value, int64_t expiration,
                        vdb_error *error) {
  return handle_write_version(L, h, key, value, expiration, NULL, error);
}
