/*
** control.h - the shared control page (db.ctl) and the writers' lock.
**
** All handles on a store map this one page. It says where the logs end, which generation of them is current, and
** holds the lock that writers take. The argument why it may be read without a lock, and why a process may die
** between any two of its stores, is at the head of control.c.
**
** A control_handle belongs to one store handle. The page's atomics may be read at any time; its other fields are written
** under the writers' lock, or by the first opener while nobody else has the store open.
*/
#ifndef VIPERDB_CONTROL_H
#define VIPERDB_CONTROL_H

#include <pthread.h>
#include <stdatomic.h>

#include "os.h"
#include "viperdb.h"

#pragma GCC visibility push(hidden)

/* The store's folder. */
#define KEY_LOG_NAME "db.klog"
#define VALUE_LOG_NAME "db.vlog"
#define INDEX_NAME "db.index"
#define CONTROL_NAME "db.ctl"
#define OPEN_NAME ".OPEN"

#define CONTROL_SIZE 4096

/* Where the store stands after a commit. */
typedef struct control_totals {
  uint64_t committed;      /* length of the key log */
  uint64_t value_log_end;  /* length of the value log */
  uint64_t keys;           /* keys whose newest line is a `set` */
  uint64_t key_log_live;   /* bytes of those lines */
  uint64_t value_log_live; /* bytes of their values */
  uint32_t check;          /* in the page: CRC-32 of the fields above */
} control_totals;

/* Everything before these lengths is on the disk. */
typedef struct control_mark {
  uint64_t generation;
  uint64_t key_log;
  uint64_t value_log;
  int64_t time;   /* milliseconds since the epoch */
  uint32_t check; /* CRC-32 of the fields above */
} control_mark;

/* The file behind a log or index when the page was last written: how a replaced one is noticed. */
typedef struct control_identity {
  uint64_t device;
  uint64_t inode;
} control_identity;

static inline control_identity control_identify(const struct stat *status) {
  return (control_identity){.device = (uint64_t)status->st_dev, .inode = (uint64_t)status->st_ino};
}

static inline bool control_same_file(const control_identity *identity, const struct stat *status) {
  return identity->device == (uint64_t)status->st_dev && identity->inode == (uint64_t)status->st_ino;
}

typedef enum control_state {
  CONTROL_UNUSED = 0,  /* zeros, or being made */
  CONTROL_CLOSED = 1,  /* the last handle closed cleanly; the logs are as long as `committed` says */
  CONTROL_OPEN = 2,    /* written to, or left by a process that died; the disk doesn't say otherwise */
  CONTROL_RESUMED = 3, /* as it was closed, and nobody has written since; the disk may still say "closed" */
  CONTROL_BEGUN = 4    /* somebody is about to write, and gets that onto the disk first */
} control_state;

typedef struct control_page {
  char magic[8];
  uint32_t version;
  uint32_t layout; /* sizeof(pthread_mutex_t): another C library has another one */
  char boot[40];   /* the kernel's boot id */
  _Atomic uint32_t state;

  /* Read by every call, written rarely. */
  _Alignas(64) _Atomic uint64_t generation; /* odd while the files are being exchanged */
  _Atomic uint32_t failed;                  /* errno of a failed sync: nobody may write */
  _Atomic uint32_t unrepaired; /* a writer died or failed half way: repair before the next write */
  control_identity key_log;
  control_identity value_log;
  int64_t last_reclaim; /* milliseconds since the epoch */

  /* Written by every put. */
  _Alignas(64) _Atomic uint64_t committed; /* length of the key log; the commit point */
  _Atomic uint64_t applied;                /* the index knows all lines before */
  _Atomic uint64_t value_log_end;          /* bound for readers; never less than a committed line needs */
  _Atomic uint64_t key_log_allocated;      /* lengths of the files; guarded by `growth` */
  _Atomic uint64_t value_log_allocated;
  _Atomic uint64_t key_log_touched; /* filler begins here, or at the log's end when that is greater */
  _Atomic uint64_t value_log_touched;
  control_totals totals[2]; /* the one whose `committed` equals the field above counts */

  control_mark marks[2];   /* the valid one with the greatest key_log counts */
  _Atomic uint64_t synced; /* length of the key log on the disk; guarded by `syncers` for writing */

  _Alignas(64) pthread_mutex_t writers;
  _Alignas(64) pthread_mutex_t syncers;
  pthread_mutex_t growth;
} control_page;

_Static_assert(sizeof(control_page) <= CONTROL_SIZE, "the control page is one page");
_Static_assert(sizeof(void *) == 8, "mapped files are addressed with 64 bits");

typedef struct control_handle {
  int file;           /* -1 when not open */
  control_page *page; /* NULL when not mapped; not writable when readonly */
  bool readonly;
} control_handle;

void control_init(control_handle *control);

/*
** Opens and maps db.ctl, making it when it is not there and `readonly` is false. VDB_ABSENT: readonly, and there
** is none that could be used. The page may hold anything: see control_usable.
*/
vdb_status control_open(control_handle *control, int folder, bool readonly, vdb_error *error);

/* Whether nobody has written since the last clean close. */
bool control_unwritten(const control_page *page);

/*
** Before the first write: gets onto the disk that the store is no longer as it was closed. Or else, after a power loss,
** "closed" would vouch for an index that knows lines which the log lost. Under the writers' lock or alone.
*/
vdb_status control_begin(control_handle *control, vdb_error *error);

/* A sync has just failed, and errno says why: nobody may write any more. */
void control_fail(control_page *page);

/* Gets the page itself onto the disk. */
vdb_status control_sync(control_handle *control, vdb_error *error);

/* A page of this process alone, for a read-only store that needs recovery. */
vdb_status control_open_private(control_handle *control, vdb_error *error);

/*
** Unmaps and closes; a closed control is fine. With that the locks below go, but not while a child of fork still has
** the file: who closes the store for good gives them up first.
*/
void control_close(control_handle *control);

/* Whether the page was made by this version of the engine and is whole. */
bool control_usable(const control_page *page);

/* Makes the page empty and usable, with this odd generation, state CONTROL_BEGUN. Only while alone. */
void control_reset(control_page *page, uint64_t generation);

/* Makes the three mutexes anew. Only while alone: what a dead process left in them must not be believed. */
vdb_status control_reset_locks(control_page *page, vdb_error *error);

/*
** Three locks of the file system, dropped by the kernel when their holder dies:
** the door is held by whoever is opening or closing the store; use is shared by all who have it open for writing,
** and exclusive to tell that nobody else has; reclaim is held by whoever rewrites the logs.
*/
typedef enum control_lock_byte { CONTROL_DOOR = 0, CONTROL_USE = 1, CONTROL_RECLAIM = 2 } control_lock_byte;
vdb_status control_enter_door(control_handle *control, int64_t wait_nanoseconds, vdb_error *error);
void control_leave_door(control_handle *control);
/* VDB_ABSENT: somebody else has the store open. */
vdb_status control_use_alone(control_handle *control, vdb_error *error);
vdb_status control_use_shared(control_handle *control, vdb_error *error);
void control_leave_use(control_handle *control);
/* VDB_BUSY: another handle has it. */
vdb_status control_try_reclaim(control_handle *control, vdb_error *error);
void control_leave_reclaim(control_handle *control);

/*
** The writers' lock. VDB_BUSY after wait_nanoseconds. When its last holder died, page->unrepaired is set.
** Nothing that can raise, yield or call back runs while it is held.
*/
vdb_status control_lock(control_page *page, int64_t wait_nanoseconds, vdb_error *error);
void control_unlock(control_page *page);

/* The lock of those who sync, so that one sync serves all who wait. */
vdb_status control_lock_sync(control_page *page, int64_t wait_nanoseconds, vdb_error *error);
void control_unlock_sync(control_page *page);

/* The lock of those who make the logs longer; see growth.c. Taken after the other two, and nothing is taken after it. */
vdb_status control_lock_growth(control_page *page, int64_t wait_nanoseconds, vdb_error *error);
void control_unlock_growth(control_page *page);

/* The totals that belong to `committed`. Under the writers' lock. */
const control_totals *control_now(const control_page *page);

/* Before anything is written behind the logs' ends: how far that goes. Under the writers' lock. */
void control_touch(control_page *page, uint64_t key_log, uint64_t value_log);

/* The commit point of a write: from here on it survives the process. Under the writers' lock. */
void control_commit(control_page *page, const control_totals *next);

/* Sets totals that don't follow from the ones before: recovery, reclaim. Under the writers' lock or alone. */
void control_place(control_page *page, const control_totals *totals);

/* Under the syncers' lock: everything before these lengths is on the disk now. */
void control_set_mark(control_page *page, uint64_t key_log, uint64_t value_log);

/* The mark that counts; false when there is none for this generation. */
bool control_get_mark(const control_page *page, control_mark *mark);

#pragma GCC visibility pop

#endif
