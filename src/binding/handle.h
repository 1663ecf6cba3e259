/*
** handle.h - the userdata behind `db`: its life, and the calls that move values between Lua and the engine.
**
** A handle is made closed and opened after, so that whatever fails on the way finds something whole to collect.
** Closing makes it closed again; __gc, __close and db:close() share that function.
**
** No Lua error may pass through an engine call and no Lua code may run while the engine's bytes are in use:
** values are encoded before the engine is called, and what it hands out is copied before Lua is asked for
** memory. A call that runs Lua code from inside the engine (a progress function) marks the handle as running;
** until it ends every other call on it answers BUSY.
**
** The attached table is shared by a handle, its views, walks and transactions, and keeps all that they point to.
*/
#ifndef VIPERDB_HANDLE_H
#define VIPERDB_HANDLE_H

#include "../engine/viperdb.h"
#include "compat.h"
#include "scratch.h"
#include "value.h"

#pragma GCC visibility push(hidden)

typedef struct handle {
  vdb_store *store; /* NULL: closed */
  value_rules rules;
  scratch scratch;
  bool running;        /* inside an engine call that calls back */
  bool in_transaction; /* inside db:transaction */
} handle;

/* Slots of the attached table, beside SCRATCH_SLOT. */
#define HANDLE_SLOT 2 /* the handle itself */
#define PATH_SLOT 3   /* the path it was opened with */
#define READS_SLOT 4  /* of the transaction that is running: see draft.h */
#define CHANGES_SLOT 5
#define SLOTS 5

/* Calls of Lua. The first upvalue is the metatable of the handles. */
int handle_open(lua_State *L);     /* viperdb.open(path, options) */
int handle_close(lua_State *L);    /* db:close() */
int handle_leave(lua_State *L);    /* __close */
int handle_collect(lua_State *L);  /* __gc */
int handle_tostring(lua_State *L); /* __tostring */

/* Argument 1 of a method or metamethod of the handle. */
handle *handle_argument(lua_State *L);

/*
** The userdata at argument 1 if its metatable is the function's first upvalue, else NULL: a table with a
** borrowed metatable and a method called with a dot land here.
*/
void *handle_self(lua_State *L);

/* VDB_OK, or why the store can't be used now: VDB_CLOSED, VDB_BUSY. */
vdb_status handle_ready(const handle *h, vdb_error *error);

/*
** Argument 1, the owner, is the handle or a view of it. Reading pushes the value if it gives VDB_OK; writing
** nil deletes. Both may raise what a class's functions raise, and memory errors, never inside the engine.
*/
vdb_status handle_read(lua_State *L, handle *h, const vdb_key *key, vdb_error *error);
vdb_status handle_write(lua_State *L, handle *h, const vdb_key *key, int value, int64_t expiration,
                        vdb_error *error);

/*
** The same for a key that is read to be changed: what is read comes with its version and expiration, for VDB_ABSENT
** too, and writing is VDB_CONFLICT when the key has been written since.
*/
vdb_status handle_read_version(lua_State *L, handle *h, const vdb_key *key, vdb_version *version,
                               int64_t *expiration, vdb_error *error);
vdb_status handle_write_version(lua_State *L, handle *h, const vdb_key *key, int value, int64_t expiration,
                                const vdb_version *version, vdb_error *error);

/*
** Pushes the key (unless NULL) and the value (unless NULL) that the engine just handed out, from a copy of their
** bytes. scratch_prepare must have been called before the engine. On failure nothing is pushed.
*/
vdb_status handle_push_record(lua_State *L, int owner, handle *h, const vdb_key *key, const vdb_value *value,
                              vdb_error *error);

/* The two ways to report a failure: nil, message, code (returns 3); an error with the message. */
int handle_failure(lua_State *L, const vdb_error *error);
int handle_raise(lua_State *L, const vdb_error *error);

/* true, or the failure. */
int handle_done(lua_State *L, vdb_status status, const vdb_error *error);

/* true for VDB_OK, false for VDB_ABSENT, or the failure. */
int handle_presence(lua_State *L, vdb_status status, const vdb_error *error);

/* What was pushed for VDB_OK, nil for VDB_ABSENT, or the failure. */
int handle_pushed(lua_State *L, vdb_status status, const vdb_error *error);

/* Pushes "<kind>: <path>", with " (closed)" when it is. Argument 1 is the owner. */
int handle_push_name(lua_State *L, const handle *h, const char *kind);

#pragma GCC visibility pop

#endif
