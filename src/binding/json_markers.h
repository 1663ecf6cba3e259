/*
** json_markers.h - the values by which other JSON libraries say what Lua has no value for.
**
**   cjson.empty_array               []; read back as an empty table
**   cjson.array_mt                  an array, empty too; what is no sequence is refused
**   cjson.empty_array_mt            [] when empty
**   vim.empty_dict()                {} when empty; what {} is read as in Neovim
**   vim.NIL                         null; what null is read as in Neovim, which knows no other
**
** The marker of a table says how it looks as JSON. It is no part of the value: no table that is read has a
** metatable, except for an empty object in Neovim. A table without items and without a marker is [] there, as
** for vim.json, and {} everywhere else, as for lua-cjson.
*/
#ifndef VIPERDB_JSON_MARKERS_H
#define VIPERDB_JSON_MARKERS_H

#include "compat.h"

#pragma GCC visibility push(hidden)

/* Where the markers of this Lua state are now; NULL for one that is not there. */
typedef struct json_markers {
  const void *array_metatable;
  const void *empty_array_metatable;
  const void *empty_array;
  const void *empty_dict_metatable;
  const void *nil;
} json_markers;

/* None of these calls a metamethod. Each needs three places on the Lua stack. */

void json_markers_find(lua_State *L, json_markers *markers);

/* Pushes what null is read as: vim.NIL or, where there was none at the first call, the NULL lightuserdata. */
void json_markers_push_null(lua_State *L);

/* Pushes what {} is read as: a new table, with vim._empty_dict_mt where that was there at the first call. */
void json_markers_push_empty_object(lua_State *L);

/* Whether an empty object and an empty array differ in this state: an empty table without a marker is [] then. */
bool json_markers_know_empty_objects(lua_State *L);

#pragma GCC visibility pop

#endif
