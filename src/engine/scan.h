/*
** scan.h - reading the logs from their start into an empty index.
*/
#ifndef VIPERDB_SCAN_H
#define VIPERDB_SCAN_H

#include "store.h"

#pragma GCC visibility push(hidden)

typedef struct scan_trust {
  uint64_t mark;     /* lines before are known to have been on the disk, with their values */
  bool marked;       /* this store's own control page says so, if only that nothing is known (mark 0) */
  bool check_values; /* the store was not closed cleanly: values behind the mark are checked as well */
} scan_trust;

/*
** Fills the view's empty index and *totals with the lines of its key log. Ends before a torn tail. VDB_CORRUPT names
** file, byte and remedy when the logs are damaged where power loss can't be the reason.
*/
vdb_status scan_logs(store_view *view, const scan_trust *trust, control_totals *totals, vdb_error *error);

#pragma GCC visibility pop

#endif
