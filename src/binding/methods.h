/*
** methods.h - the calls on one key: db:get, db:set and their kin.
**
** On failure each returns nil, message, code; a wrong type of argument raises.
*/
#ifndef VIPERDB_METHODS_H
#define VIPERDB_METHODS_H

#include "handle.h"

#pragma GCC visibility push(hidden)

int method_get(lua_State *L);                 /* db:get(k) -> value, or nil when absent */
int method_set(lua_State *L);                 /* db:set(k, v, {ttl = seconds, expiration = ms}) -> true */
int method_set_with_expiration(lua_State *L); /* db:set_with_expiration(k, v, ms) -> true */
int method_delete(lua_State *L);              /* db:delete(k) -> whether it was there */
int method_has(lua_State *L);                 /* db:has(k) -> whether it is there */
int method_ttl(
    lua_State *L); /* db:ttl(k) -> seconds left, math.huge when it never expires, nil when absent */
int method_expire(lua_State *L);  /* db:expire(k, seconds) -> whether it is there */
int method_persist(lua_State *L); /* db:persist(k) -> whether it is there */

#pragma GCC visibility pop

#endif
