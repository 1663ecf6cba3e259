/*
** store.h - what the parts of the engine above the files share: an open store and one generation of its files.
**
** Included only by the files that include no Lua header and are above index.h, log.h and control.h: store.c, view.c,
** lookup.c, write.c, snapshot.c, walk.c, scan.c, recover.c, reclaim.c, sync.c and check.c.
*/
#ifndef VIPERDB_STORE_H
#define VIPERDB_STORE_H

#include "control.h"
#include "index.h"
#include "log.h"
#include "record.h"

#pragma GCC visibility push(hidden)

/*
** A view is one generation of the files, open and mapped. Reclaim raises the generation; a handle then opens a new
** view at its next call. Walks that began before keep theirs, and with it a store that doesn't change any more.
*/
typedef struct store_view {
  unsigned references;
  uint64_t generation;
  uint64_t settled;       /* how far `applied` was when last asked for; see find_settled in store.c */
  uint64_t coming_length; /* of the key log, when the view was opened while its generation was yet to come */
  log_file key_log;
  log_file value_log;
  hash_index index;
} store_view;

struct background;
struct growth;
struct syncer;
struct reclaim_job;

struct vdb_store {
  unsigned references; /* the caller's, and one of each walk */
  bool closed;
  int folder; /* -1 when there is none */
  uint64_t process;
  control_handle control;
  store_view *view;
  struct background *closing; /* closes the files of a generation that has gone */
  vdb_options options;
  int64_t wait; /* nanoseconds */
  char *key_text;
  size_t key_text_room;
  record_scratch scratch;
  struct growth *growth;       /* NULL until a log got short of room */
  struct syncer *syncer;       /* VDB_SYNC_INTERVAL only */
  struct reclaim_job *reclaim; /* one that was begun and isn't done */
  uint64_t reclaim_from;       /* length of the key log from which on reclaim_tend tries again */
};

/* What a lookup found. */
typedef struct store_found {
  bool exists; /* the key has a line, be it a tombstone */
  uint64_t line;
  record record; /* when it exists */
  index_probe probe;
} store_found;

/* A line that is kept while others are read. The mapping may move meanwhile, so the key's place in it is kept. */
typedef struct kept_line {
  record entry; /* its key only if it is elsewhere than in the key log */
  uint64_t line;
  uint64_t key; /* offset of the key's text in the key log; RECORD_NONE when it is elsewhere */
  uint64_t hash;
} kept_line;

/* view.c ------------------------------------------------------------------------------------------------------ */

/* A closed view with one reference. NULL when memory runs out. */
store_view *view_new(void);
store_view *view_share(store_view *view);
void view_release(store_view *view);

/* Gives up the handle's reference to a view that may be of an old generation: no call waits until large files are gone. */
void view_retire(vdb_store *store, store_view *view);

/* fdatasync of both logs. */
vdb_status view_sync(store_view *view, vdb_error *error);

/* Makes the store's view one that shows the store as it is now, if it isn't or there is none. Takes no lock. */
vdb_status view_refresh(vdb_store *store, vdb_error *error);

/* store.c ----------------------------------------------------------------------------------------------------- */

/* The start of every call: closed, forked, another generation? The store's view is current afterwards. */
vdb_status store_enter(vdb_store *store, vdb_error *error);

/* The canonical text of the key, in store->key_text. */
vdb_status store_key_text(vdb_store *store, const vdb_key *key, size_t *size, vdb_error *error);

/* How much of the view's key log the index knows: the store as it is now. After store_enter. */
uint64_t store_length(vdb_store *store);

/* Another handle on the same folder, for another thread of this process. */
vdb_status store_open_sibling(const vdb_store *store, vdb_store **out, vdb_error *error);

/* Gives up one reference to the handle's memory. */
void store_release(vdb_store *store);

/* lookup.c ---------------------------------------------------------------------------------------------------- */

/* Parses the line at an offset of the view's key log. */
vdb_status view_read_line(store_view *view, uint64_t line, record *entry, record_scratch *scratch,
                          vdb_error *error);

/*
** Keeps a line that was just read, and brings near what a lookup of its key will touch. False when its key lies in the
** scratch, and so must be used before another line is read.
*/
bool view_keep_line(store_view *view, uint64_t line, const record *entry, kept_line *kept);

/* The key's newest line. */
vdb_status view_find(store_view *view, record_scratch *scratch, const char *key, size_t size,
                     store_found *found, vdb_error *error);

/*
** From a key's newest line back to its newest one before `end`. VDB_ABSENT when it had none. *line and *entry are that line.
*/
vdb_status view_go_back(store_view *view, uint64_t end, uint64_t *line, record *entry,
                        record_scratch *scratch, vdb_error *error);

/* The bytes of a record's value, checked against its checksum. */
vdb_status view_read_value(store_view *view, uint64_t line, const record *entry, const char **bytes,
                           vdb_error *error);

/* For the `set` line of a key that has expired: VDB_ABSENT when it is intact. */
vdb_status view_check_expired(store_view *view, uint64_t line, const record *entry, vdb_error *error);

/* Whether a record gives its key a value at this time. */
bool record_alive(const record *entry);

/* write.c ----------------------------------------------------------------------------------------------------- */

/* Takes the writers' lock for a write: current view, nothing left to repair, writing allowed. */
vdb_status store_lock(vdb_store *store, vdb_error *error);
void store_unlock(vdb_store *store);

/* Writes a record that comes from another store: all but its place and what came before. */
vdb_status store_copy_record(vdb_store *store, const record *entry, const void *bytes, vdb_error *error);

/*
** Puts the slots of the lines in [applied, committed) into the index. `recount`: a writer may have died over them, so
** that segments may not know how many slots they have in use. Under the lock or alone.
*/
vdb_status store_replay(vdb_store *store, store_view *view, bool recount, vdb_error *error);

/*
** With VDB_SYNC_ALWAYS a write counts when it is on the disk: syncs until the key log has this length there. A failure
** leaves the write done, but not promised. Without the lock.
*/
vdb_status store_promise(vdb_store *store, uint64_t length, vdb_error *error);

/* Makes good what a writer left that died or failed half way. Under the lock or alone. */
vdb_status store_repair(vdb_store *store, vdb_error *error);

/* recover.c --------------------------------------------------------------------------------------------------- */

/* For the first opener, who is alone: from whatever is on disk to a consistent store. Sets store->view. */
vdb_status recover_store(vdb_store *store, vdb_error *error);

/* For a read-only handle with no usable shared page: the same in the memory of this process. */
vdb_status recover_in_memory(vdb_store *store, vdb_error *error);

/* Under the door, after the last user has gone: cuts the logs, syncs, marks the store closed. */
vdb_status recover_close(vdb_store *store, vdb_error *error);

/* reclaim.c --------------------------------------------------------------------------------------------------- */

/*
** After a write, with reclaim_fraction: does a slice when it is time for it. A slice that fails is given up, which loses
** nothing; the next try comes when the logs have grown by half.
*/
void reclaim_tend(vdb_store *store);

/* Gives up a reclaim that was begun, and its new files. */
void reclaim_abandon(vdb_store *store);

/* The same in a child of fork: the new files are the parent's. */
void reclaim_forget(vdb_store *store);

/* sync.c ------------------------------------------------------------------------------------------------------ */

/* Returns when the first `length` bytes of the view's key log, and their values, are on the disk. */
vdb_status sync_until(vdb_store *store, store_view *view, uint64_t length, vdb_error *error);

/* VDB_READONLY with the reason, when a sync has failed. */
vdb_status sync_check_failed(const control_page *page, vdb_error *error);

vdb_status syncer_start(vdb_store *store, vdb_error *error);
void syncer_stop(vdb_store *store); /* forgets it when it was started by a parent process */

#pragma GCC visibility pop

#endif
