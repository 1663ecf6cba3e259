/*
** retry.h - trying again what met a write of somebody else.
**
** Nobody waits for a lock while Lua code runs, so who comes second has to start again. The one who came first got its
** work done: however many try, one of them always gets on.
*/
#ifndef VIPERDB_RETRY_H
#define VIPERDB_RETRY_H

#include "../engine/viperdb.h"

#pragma GCC visibility push(hidden)

#define RETRY_TRIES 100 /* unless the caller says otherwise */

/*
** After try number `tries`: true after a wait when it is worth another one, as the status is VDB_CONFLICT and there are
** tries left. When none are left, the error says so. All waits between RETRY_TRIES tries take about a quarter of a
** second.
*/
bool retry_after(uint64_t tries, uint64_t limit, vdb_status status, vdb_error *error);

#pragma GCC visibility pop

#endif
