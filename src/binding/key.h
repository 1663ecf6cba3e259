/*
** key.h - keys between Lua and the engine.
*/
#ifndef VIPERDB_KEY_H
#define VIPERDB_KEY_H

#include "../engine/viperdb.h"
#include "compat.h"
#include "json.h"

#pragma GCC visibility push(hidden)

typedef enum key_kind {
  KEY_STORABLE,
  KEY_NIL,    /* nil or NaN: never there, and can't be written, as in a Lua table */
  KEY_FOREIGN /* of a type that a Lua table takes and a store doesn't */
} key_kind;

/* Whether the float is the same key as a 64-bit integer. */
bool key_is_whole(double real);

/* Reads the key at `index`. Its string is borrowed from the Lua value. */
key_kind key_read(lua_State *L, int index, vdb_key *key);

/* Each pushes what is wrong with a key of its kind. */
const char *key_foreign_message(lua_State *L, int index);
const char *key_nil_message(lua_State *L, int index);

/* Pushes the key. VDB_RANGE, with nothing pushed: an integer that no number of this Lua equals. */
vdb_status key_push(lua_State *L, const vdb_key *key, json_integers integers, vdb_error *error);

/* Puts the key before the error's message. */
void key_name_in_error(const vdb_key *key, vdb_error *error);

#pragma GCC visibility pop

#endif
