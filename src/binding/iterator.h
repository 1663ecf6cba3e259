/*
** iterator.h - walks over a store, in the order of the last write.
*/
#ifndef VIPERDB_ITERATOR_H
#define VIPERDB_ITERATOR_H

#include "handle.h"

#pragma GCC visibility push(hidden)

/* db:pairs(), db:keys(): methods of the handle. */
int iterator_pairs(lua_State *L);
int iterator_keys(lua_State *L);

/* Starts a walk over the store of argument 1, a handle or a view; returns the results of pairs. */
int iterator_begin(lua_State *L, handle *h, bool keys_only);

/* Makes the walks' metatable, once for each Lua state. */
void iterator_register(lua_State *L);

#pragma GCC visibility pop

#endif
