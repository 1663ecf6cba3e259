/*
** transaction.h - several reads and writes as one: db:transaction.
**
** The function gets a transaction, which is the store as it was at one moment with the function's own writes on top.
** These are kept in memory until the function returns, and then written as one batch, if what was read is still so.
** Else all of it is forgotten, and the function is called again.
*/
#ifndef VIPERDB_TRANSACTION_H
#define VIPERDB_TRANSACTION_H

#include "handle.h"

#pragma GCC visibility push(hidden)

/*
** db:transaction(f, {tries = n}) -> what f(tx) returns, or true when that is nothing. An error of f passes through; then
** nothing is written, as on failure: nil, message, code.
*/
int transaction_run(lua_State *L);

/*
** Makes the transactions' metatable, once for each Lua state. At `names` is the handles' table of names: none of them is
** a key in tx.name either.
*/
void transaction_register(lua_State *L, int names);

#pragma GCC visibility pop

#endif
