/*
** background.h - one piece of work for a thread, so that a call never waits for the disk.
**
** Belongs to one store handle, used by the handle's thread. The work itself runs in another and must keep to what
** nobody else touches meanwhile.
*/
#ifndef VIPERDB_BACKGROUND_H
#define VIPERDB_BACKGROUND_H

#include "os.h"

#pragma GCC visibility push(hidden)

typedef struct background background;

/* Starts a thread that calls work(context), which returns 0 or an errno. NULL when there is none to be had. */
background *background_start(int (*work)(void *context), void *context);

/* Whether the work is done, and *reason is what it returned. */
bool background_done(const background *job, int *reason);

/* Waits for the thread, frees, and returns what the work returned. In a child of fork it only frees. NULL is allowed. */
int background_end(background *job);

#pragma GCC visibility pop

#endif
