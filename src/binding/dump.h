/*
** dump.h - the binary dump: every Lua value that can be stored and that JSON doesn't hold exactly.
**
** The layout is documented at the head of dump.c and in docs/FORMAT.md. Raises Lua errors for memory, and passes on
** what a class's dump or load function raises; everything else is a status.
*/
#ifndef VIPERDB_DUMP_H
#define VIPERDB_DUMP_H

#include "value.h"

#pragma GCC visibility push(hidden)

#define DUMP_MAX_DEPTH 128

/* As json_encode, for the dump. VDB_TYPE names what can't be stored and where it stands. */
vdb_status dump_encode(lua_State *L, int index, const value_rules *rules, buffer *out, vdb_error *error);

/* As json_decode. VDB_UNSUPPORTED: an unknown class, version or a function that may not be loaded. */
vdb_status dump_decode(lua_State *L, const char *bytes, size_t size, const value_rules *rules, vdb_error *error);

/*
** viperdb.register(name, metatable [, {dump = f, load = f}]): stack arguments as given from Lua; raises on misuse.
** dump(object) returns a plain value to store in its place, load(value) returns the object.
*/
int dump_register(lua_State *L);

#pragma GCC visibility pop

#endif
