/*
** bytecode.h - Lua functions as bytes, for the Lua that made them.
**
** What a function can't take along is refused: upvalues and an environment of its own, apart from the table of globals.
** Bytecode is trusted as code is; the interpreter doesn't check it. It is only loaded when its header is the one that
** this very Lua writes.
*/
#ifndef VIPERDB_BYTECODE_H
#define VIPERDB_BYTECODE_H

#include "../engine/viperdb.h"
#include "buffer.h"
#include "compat.h"

#pragma GCC visibility push(hidden)

/* Appends the function's bytecode. VDB_TYPE: it can't be stored; the message begins with `place`. */
vdb_status bytecode_write(lua_State *L, int index, const char *place, buffer *out, vdb_error *error);

/* Pushes the function. VDB_UNSUPPORTED: of another Lua. VDB_CORRUPT. On failure nothing is pushed. */
vdb_status bytecode_load(lua_State *L, const char *bytes, size_t size, vdb_error *error);

#pragma GCC visibility pop

#endif
