/*
** indexing.h - the store as a table: db[k], db[k] = v, #db, and the view without methods.
**
** Indexing raises on failure. In `db.name` the names of methods win; a view has no methods, so there every
** name is a key.
*/
#ifndef VIPERDB_INDEXING_H
#define VIPERDB_INDEXING_H

#include "handle.h"

#pragma GCC visibility push(hidden)

/*
** Metamethods of the handle; the first upvalue is its metatable, the second the table of names: a method's
** function, or false for a name that is kept free.
*/
int indexing_read(lua_State *L);
int indexing_write(lua_State *L);
int indexing_length(lua_State *L);

/*
** For whatever else is indexed as a store is. The name or key is at index 2, the second upvalue is the table of names.
** Failures raise.
*/

/* Whether it is a name and no key: then its function, or nil for one that is kept free, is pushed. */
bool indexing_is_name(lua_State *L);

/* The error of an assignment to a name; `owner` is what the program calls the userdata. */
int indexing_refuse_name(lua_State *L, const char *owner);

/* The key, or false for nil and NaN, which are never there. */
bool indexing_key(lua_State *L, vdb_key *key);
void indexing_key_to_write(lua_State *L, vdb_key *key);

/* What was pushed for VDB_OK, nil for VDB_ABSENT. */
int indexing_pushed(lua_State *L, vdb_status status, const vdb_error *error);

/* db:table(). */
int indexing_view(lua_State *L);

/* Makes the views' metatable, once for each Lua state. */
void indexing_register(lua_State *L);

#pragma GCC visibility pop

#endif
