/*
** json.h - Lua values as JSON text, only where JSON holds them exactly.
**
** Raise Lua errors for memory only (through the Lua API); everything else is a status. The buffer is owned
** by a userdata, so nothing leaks when they do. Never called while the store's lock is held.
**
** An empty table is written as {}, as lua-cjson does, and [] and {} are both read as an empty table; in
** Neovim they are two, as for vim.json. What other JSON libraries have for an empty array and for null is
** understood, see json_markers.h. null is read as the NULL lightuserdata, in Neovim as vim.NIL. A string is
** read as UTF-8; an escaped surrogate without its other half becomes the three bytes that utf8.char gives for
** it, which is no UTF-8, so that JSON doesn't hold the string when it is written again.
*/
#ifndef VIPERDB_JSON_H
#define VIPERDB_JSON_H

#include "../engine/viperdb.h"
#include "buffer.h"
#include "compat.h"

#pragma GCC visibility push(hidden)

#define JSON_MAX_DEPTH 128 /* containers inside containers */

/*
** Appends the JSON text of the value at `index` to `out`. VDB_OK; VDB_TYPE: JSON doesn't hold this value
** exactly (the caller tries the dump); VDB_TOO_BIG: over VDB_MAX_VALUE_SIZE or JSON_MAX_DEPTH;
** VDB_NO_MEMORY. On failure out->size is as it was. The Lua stack is as it was in every case.
*/
vdb_status json_encode(lua_State *L, int index, buffer *out, vdb_error *error);

/* What becomes of an integer that this Lua can't hold exactly (beyond 2^53 where numbers are doubles). */
typedef enum json_integers {
  JSON_INTEGERS_EXACT, /* VDB_RANGE */
  JSON_INTEGERS_FLOAT, /* the nearest double */
  JSON_INTEGERS_STRING /* its digits as a string */
} json_integers;

/*
** Pushes the value of a whole JSON text (RFC 8259); of equal names in an object the last counts. VDB_OK;
** VDB_CORRUPT: not JSON, the message names the byte, counted from 0; VDB_TOO_BIG: nested deeper than
** JSON_MAX_DEPTH or over VDB_MAX_VALUE_SIZE; VDB_RANGE: a number this Lua can't hold; VDB_NO_MEMORY.
** On failure nothing is pushed.
*/
vdb_status json_decode(lua_State *L, const char *text, size_t size, json_integers integers, vdb_error *error);

#pragma GCC visibility pop

#endif
