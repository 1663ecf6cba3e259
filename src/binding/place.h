/*
** place.h - where in a value something stands, for messages: value.list[3].owner
**
** Whoever walks down a value keeps one place a level, on the C stack; they are only looked at when a message is
** written.
*/
#ifndef VIPERDB_PLACE_H
#define VIPERDB_PLACE_H

#include "compat.h"

#pragma GCC visibility push(hidden)

#define PLACE_SIZE 200 /* of the text with its terminator */

typedef enum place_kind {
  PLACE_ITEM,  /* [number] */
  PLACE_FIELD, /* .name, or the key in [] */
  PLACE_DUMPED /* :dump(), what the dump function of a class returned */
} place_kind;

typedef struct place {
  const struct place *outer; /* NULL for the outermost step into the value */
  place_kind kind;
  int number; /* PLACE_ITEM: the item's; PLACE_FIELD: stack index of the key, which is any storable key */
} place;

/* The text of a place, NULL being the value as a whole, into out[PLACE_SIZE]: one line of ASCII, cut off when long. */
const char *place_print(lua_State *L, const place *at, char *out);

/* A string in quotes and with escapes into out[PLACE_SIZE], cut off when long. */
const char *place_quote(const char *bytes, size_t size, char *out);

#pragma GCC visibility pop

#endif
