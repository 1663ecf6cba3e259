/*
** maintenance.h - the calls on a whole store: sync, reclaim, stats, check, repair.
**
** On failure each returns nil, message, code; a wrong type of argument raises.
*/
#ifndef VIPERDB_MAINTENANCE_H
#define VIPERDB_MAINTENANCE_H

#include "handle.h"

#pragma GCC visibility push(hidden)

int maintenance_sync(lua_State *L);    /* db:sync() -> true */
int maintenance_reclaim(lua_State *L); /* db:reclaim() -> true */
int maintenance_stats(lua_State *L);   /* db:stats() -> table, fields as in vdb_stats */

/*
** db:check(options), viperdb.repair(path, target, options) -> true when nothing is damaged, else the number of
** damaged places and a list of the first MAINTENANCE_LISTED of them. options.progress(done, total, problem) is
** called now and then, and with the text of each problem; when it returns false the work stops with CONFLICT, and
** what it raises is raised when the work has stopped.
*/
#define MAINTENANCE_LISTED 1000
int maintenance_check(lua_State *L);
int maintenance_repair(lua_State *L);

#pragma GCC visibility pop

#endif
