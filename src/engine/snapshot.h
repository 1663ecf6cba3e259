/*
** snapshot.h - the store as it was at one moment.
**
** A snapshot is a length of the key log: a key's line then is its newest line before that length. It costs no copy and
** holds nobody up, but it keeps one generation of the files alive. Belongs to one handle, used by the handle's thread.
*/
#ifndef VIPERDB_SNAPSHOT_H
#define VIPERDB_SNAPSHOT_H

#include "store.h"

#pragma GCC visibility push(hidden)

#define SNAPSHOT_ANSWERS 256u

/* A key whose newest line lies behind the snapshot's end, and its newest line before it. */
typedef struct snapshot_answer {
  bool known;
  uint64_t hash;
  uint64_t line;
} snapshot_answer;

struct vdb_snapshot {
  vdb_store *store;
  store_view *view;
  uint64_t end;
  record_scratch scratch;
  snapshot_answer answers[SNAPSHOT_ANSWERS];
};

/* Fills a snapshot of zeros with the store as it is now. */
vdb_status snapshot_take(vdb_snapshot *snapshot, vdb_store *store, vdb_error *error);
void snapshot_drop(vdb_snapshot *snapshot);

/*
** The key's line at that moment, parsed into *entry; VDB_ABSENT when it had none. The text must not lie in the mapped
** logs or the snapshot's scratch.
*/
vdb_status snapshot_find(vdb_snapshot *snapshot, const char *key, size_t size, uint64_t *line, record *entry,
                         vdb_error *error);

#pragma GCC visibility pop

#endif
