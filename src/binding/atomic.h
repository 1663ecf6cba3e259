/*
** atomic.h - the calls that look at a key and change it as one step: nothing that others write is lost in between.
**
** No lock is held while Lua code runs: a change is refused when the key was written since it was looked at, and the call
** starts again. On failure each returns nil, message, code; a wrong type of argument raises.
**
** update, incr and cas change a value: its expiration stays. add and replace store a value, as set does.
*/
#ifndef VIPERDB_ATOMIC_H
#define VIPERDB_ATOMIC_H

#include "handle.h"

#pragma GCC visibility push(hidden)

int atomic_add(lua_State *L);     /* db:add(k, v, options) -> whether it was absent, and so is stored now */
int atomic_replace(lua_State *L); /* db:replace(k, v, options) -> whether it was there, and so is replaced */

/*
** db:update(k, f, {tries = n}) -> new value: what f returns for the old one. nil is an absent key on both sides. f is
** called again when the key was written meanwhile.
*/
int atomic_update(lua_State *L);

/* db:incr(k, by, init) -> new number; an absent key counts as init. */
int atomic_incr(lua_State *L);

/* db:cas(k, old, new) -> whether the key had the old value, and so has the new one now; nil is an absent key. */
int atomic_cas(lua_State *L);

#pragma GCC visibility pop

#endif
