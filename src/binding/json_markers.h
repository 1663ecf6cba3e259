/*
** json_markers.h - the values by which other JSON libraries say what Lua has no value for.
**
**   cjson.empty_array               []; read back as an empty table
**   cjson.array_mt                  an array, empty too; what is no sequence is refused
**   cjson.empty_array_mt            [] when empty
**   vim.empty_dict()                {} when empty, as every other empty table
**   vim.NIL                         null; what null is read as in Neovim, which knows no other
**
** The marker of a table says how it looks as JSON. It is no part of the value: no table that is read has a
** metatable.
*/
#ifndef VIPERDB_JSON_MARKERS_H
#define VIPERDB_JSON_MARKERS_H

#include "compat.h"

#pragma GCC visibility push(hidden)

#pragma GCC visibility push(hidden)

/* Where the markers of this Lua state are now; NULL for one that is not there. */
typedef struct json_markers {
  const void *array_metatable;
  const void *empty_array_metatable;
  const void *empty_array;
  const void *empty_dict_metatable;
  const void *nil;
} json_markers;

/* Calls no metamethod. Needs three places on the Lua stack and leaves none taken. */
void json_markers_find(lua_State *L, json_markers *markers);

/* Pushes what null is read as: vim.NIL or, where there was none at the first call, the NULL lightuserdata. */
void json_markers_push_null(lua_State *L);

#pragma GCC visibility pop

#endif
