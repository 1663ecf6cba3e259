/*
** value.h - which encoding a Lua value gets, and the way back.
**
** A string of valid UTF-8, number, boolean, null or table that JSON holds exactly is `json`; any other string is
** `bytes`; whatever else can be stored is `lua`, the binary dump.
*/
#ifndef VIPERDB_VALUE_H
#define VIPERDB_VALUE_H

#include "../engine/viperdb.h"
#include "buffer.h"
#include "compat.h"
#include "json.h"

#pragma GCC visibility push(hidden)

/* How a handle was asked to treat values (options of viperdb.open). */
typedef struct value_rules {
  bool functions;         /* functions may be stored and loaded */
  json_integers integers; /* integers this Lua can't hold */
} value_rules;

/*
** Encodes the value at `index`. value->bytes points into `scratch` (emptied first) or into the Lua string itself,
** so it holds while both do. VDB_TYPE, VDB_RANGE, VDB_TOO_BIG, VDB_NO_MEMORY with a message that names the place
** inside a table (`value.list[3]`). Class dump functions run here: they may raise, and the error passes through.
*/
vdb_status value_encode(lua_State *L, int index, const value_rules *rules, buffer *scratch, vdb_value *value,
                        vdb_error *error);

/* Pushes the Lua value. VDB_CORRUPT, VDB_RANGE, VDB_UNSUPPORTED; on failure nothing is pushed. */
vdb_status value_decode(lua_State *L, const vdb_value *value, const value_rules *rules, vdb_error *error);

#pragma GCC visibility pop

#endif
