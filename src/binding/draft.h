/*
** draft.h - what a running transaction has read and is going to write.
**
** Two tables in the handle's attached table: the keys that were read from the snapshot, and key -> change, a userdata.
** Keys of Lua tables are equal when they are equal in a store. All memory is Lua's.
**
** At index 1 is the handle or the transaction, as both have that attached table; at 2 is the key.
*/
#ifndef VIPERDB_DRAFT_H
#define VIPERDB_DRAFT_H

#include "handle.h"

#pragma GCC visibility push(hidden)

/* The value that a key will have, or that it will have none. */
typedef struct draft_change draft_change;

/* Pushes the tables of a new draft. */
void draft_push(lua_State *L);

/* Pops them, and makes them the draft of the handle. Can't fail and runs no finalizer. */
void draft_begin(lua_State *L);

/* Forgets the draft of the handle. */
void draft_end(lua_State *L);

/* The key has been read from the snapshot. */
void draft_note_read(lua_State *L);

/* Pushes the change of the key; NULL, with nothing pushed, when there is none. */
const draft_change *draft_find(lua_State *L);

/* Whether the key will have a value, which has not expired yet. */
bool draft_has_value(const draft_change *found);

/* Pushes the value, or VDB_ABSENT. The change is on the stack. */
vdb_status draft_push_value(lua_State *L, const draft_change *found, const value_rules *rules,
                            vdb_error *error);

/* The key will have the value at index 3. `number` counts the changes: they are written in its order. */
vdb_status draft_set(lua_State *L, handle *h, uint64_t number, int64_t expiration, vdb_error *error);
void draft_delete(lua_State *L, uint64_t number);

/* Writes all changes as one batch, if nothing has been written that was read. The draft must not be changed any more. */
vdb_status draft_commit(lua_State *L, handle *h, const vdb_snapshot *snapshot, vdb_error *error);

#pragma GCC visibility pop

#endif
