/*
** arguments.h - keys, options and times as Lua passes them.
**
** A wrong type of argument is misuse: these functions raise. They are called before anything is taken or
** opened.
*/
#ifndef VIPERDB_ARGUMENTS_H
#define VIPERDB_ARGUMENTS_H

#include "../engine/viperdb.h"
#include "compat.h"
#include "value.h"

#pragma GCC visibility push(hidden)

/* The key of a method: false for nil or NaN. */
bool argument_key(lua_State *L, int index, vdb_key *key);

/* The key of a method that writes. */
void argument_key_to_write(lua_State *L, int index, vdb_key *key);

/* A path without zero bytes. */
const char *argument_path(lua_State *L, int index);

/* The options of viperdb.open: a table, nil or nothing. */
void argument_open_options(lua_State *L, int index, vdb_options *options, value_rules *rules);

/* {ttl = seconds} or {expiration = milliseconds since the epoch}, nil or nothing: VDB_NEVER. */
int64_t argument_expiration_option(lua_State *L, int index);

/* Milliseconds since the epoch. */
int64_t argument_expiration(lua_State *L, int index);

/* Seconds from now, as milliseconds since the epoch. */
int64_t argument_seconds_from_now(lua_State *L, int index);

/*
** {progress = function, budget = seconds}, nil or nothing: pushes the function or nil. A call that knows no budget
** passes NULL.
*/
void argument_push_progress(lua_State *L, int index, double *budget);

/* {tries = number}, nil or nothing: RETRY_TRIES. */
uint64_t argument_tries(lua_State *L, int index);

/* Milliseconds since the epoch, now. */
int64_t clock_now(void);

#pragma GCC visibility pop

#endif
