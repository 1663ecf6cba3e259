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

/* db:table(). */
int indexing_view(lua_State *L);

/* Makes the views' metatable, once for each Lua state. */
void indexing_register(lua_State *L);

#pragma GCC visibility pop

#endif
