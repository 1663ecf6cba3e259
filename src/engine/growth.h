/*
** growth.h - room ahead of the writers, made by a thread, so that a write seldom waits for the file system.
**
** Belongs to one store handle, used by the handle's thread. growth.c argues why the other threads and processes may go on.
*/
#ifndef VIPERDB_GROWTH_H
#define VIPERDB_GROWTH_H

#include "store.h"

#pragma GCC visibility push(hidden)

#ifndef GROWTH_MOST
#define GROWTH_MOST ((uint64_t)32 * 1024 * 1024) /* bytes of room that are made ahead in a log, at most */
#endif

/* After a write, without the lock: starts a thread when the room in a file gets short. Never waits for one, never fails. */
void growth_tend(vdb_store *store);

/* Forgets a thread that is done: until then the files that it made longer stay open, even when they have been exchanged. */
void growth_settle(vdb_store *store);

/* Waits for the thread, if any, and forgets it; in a child of fork, which has none, it only forgets. */
void growth_end(vdb_store *store);

#pragma GCC visibility pop

#endif
