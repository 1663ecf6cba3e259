/*
** dump_keys.h - keys of tables in the order of a dump.
*/
#ifndef VIPERDB_DUMP_KEYS_H
#define VIPERDB_DUMP_KEYS_H

#include "compat.h"
#include "key.h"
#include "place.h"

#pragma GCC visibility push(hidden)

/* The order of dump_format.h, for qsort. Takes two vdb_key, without floats that are whole. */
int dump_keys_compare(const void *one, const void *other);

/* The keys of a table that are not among its items 1 .. n, in their order. */
typedef struct dump_keys {
  vdb_key *list;
  size_t count;
  size_t string_bytes; /* behind the list, where the keys have their strings */
} dump_keys;

/*
** Lists the keys of the table at `table`, which stands at `at` and has so many items. Pushes the memory that the list
** lies in, or nil when it is empty. VDB_TYPE: a key that can't be stored, or a new item.
*/
vdb_status dump_keys_push(lua_State *L, int table, int items, const place *at, dump_keys *keys,
                          vdb_error *error);

#pragma GCC visibility pop

#endif
