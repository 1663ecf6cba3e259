/*
** dump.h - the binary dump: every Lua value that can be stored and that JSON doesn't hold exactly.
**
** The layout is documented in dump_format.h and in docs/FORMAT.md. Raises Lua errors for memory, and passes on what a
** class's dump or load function raises; everything else is a status.
**
** The functions of classes may do anything, use and close the same store included. A value that they change while it
** is stored is stored as it is met, or refused.
*/
#ifndef VIPERDB_DUMP_H
#define VIPERDB_DUMP_H

#include "value.h"

#pragma GCC visibility push(hidden)

#define DUMP_MAX_DEPTH 128 /* tables and objects inside one another */

/*
** As json_encode, for the dump. VDB_TYPE names what can't be stored and where it stands; VDB_TOO_BIG: over
** VDB_MAX_VALUE_SIZE, or nested deeper than DUMP_MAX_DEPTH.
*/
vdb_status dump_encode(lua_State *L, int index, const value_rules *rules, buffer *out, vdb_error *error);

/*
** As json_decode. VDB_CORRUPT: no dump that dump_encode writes, the message names the byte. VDB_UNSUPPORTED: an unknown
** class, a later version, or a function that may not be loaded. VDB_TYPE: a load function returned nil.
*/
vdb_status dump_decode(lua_State *L, const char *bytes, size_t size, const value_rules *rules,
                       vdb_error *error);

#pragma GCC visibility pop

#endif
