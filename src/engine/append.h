/*
** append.h - writing lines and their values at the ends of the logs. Under the writers' lock.
*/
#ifndef VIPERDB_APPEND_H
#define VIPERDB_APPEND_H

#include "store.h"

#pragma GCC visibility push(hidden)

/* A line to write. Its value is written behind the value log's end, or stays where it is. */
typedef struct line_change {
  const char *key;
  size_t key_size;
  record line;
  const void *bytes;
  bool value_stays;
} line_change;

/* VDB_OK, or why this value can't be stored: VDB_TOO_BIG, VDB_TYPE. */
vdb_status append_check_value(const vdb_value *value, vdb_error *error);

/* A key that has no line yet gets room for a slot; the search is done again when that moved slots. */
vdb_status append_ensure_slot(vdb_store *store, store_view *view, const line_change *change,
                              store_found *found, vdb_error *error);

/*
** Writes value and line behind totals->value_log_end and totals->committed, and moves both on. Nobody sees them before
** control_commit. After a failure page->unrepaired may be set.
*/
vdb_status append_write(vdb_store *store, control_totals *totals, line_change *change, uint64_t prev,
                        vdb_error *error);

/*
** The growth lock, for who is about to make a log longer or shorter. VDB_CORRUPT, and it isn't taken, when the page says that
** a log ends before these totals: filler would be written over what is committed.
*/
vdb_status append_lock_growth(vdb_store *store, const control_totals *totals, vdb_error *error);

/* What a line that replaces `old` (if `existed`) changes in the counts. */
void append_count(control_totals *totals, bool existed, const record *old, const record *line);

/* One line from start to end: slot, value, line, commit, index. `found` is what the key has now. */
vdb_status append_line(vdb_store *store, line_change *change, store_found *found, vdb_error *error);

#pragma GCC visibility pop

#endif
