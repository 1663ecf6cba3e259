/*
** swap.h - exchanging a store's files for new ones; the one commit point of reclaim.
**
** Called under the writers' lock, or by the first opener while nobody else has the store open.
*/
#ifndef VIPERDB_SWAP_H
#define VIPERDB_SWAP_H

#include "control.h"

#pragma GCC visibility push(hidden)

/* The files that are exchanged, and under which names their successors are made. */
#define SWAP_FILES 3
extern const char *const swap_names[SWAP_FILES]; /* key log, value log, index */
extern const char *const swap_new_names[SWAP_FILES];

/* What db.swap says about the new files. */
typedef struct swap_file {
  uint64_t generation;
  control_totals totals;
  int64_t time;
  uint64_t key_log_inode, value_log_inode;
} swap_file;

/* The commit point: db.swap is there, whole and synced, or it is not. */
vdb_status swap_write(int folder, const swap_file *swap, vdb_error *error);

/* VDB_ABSENT when there is no swap file; VDB_CORRUPT when it is damaged. */
vdb_status swap_read(int folder, swap_file *swap, vdb_error *error);

/* Exchanges the files and everything that the control page says about them. Done again, it does no harm. */
vdb_status swap_finish(int folder, control_handle *control, const swap_file *swap, int64_t wait,
                       vdb_error *error);

/* Only exchanges the files: for a control page that is to be made anew. */
vdb_status swap_finish_files(int folder, const swap_file *swap, vdb_error *error);

/* Gets the names of the folder's files onto the disk. A failure is final for `page`, unless it is NULL: to be made anew. */
vdb_status swap_sync_folder(int folder, control_page *page, vdb_error *error);

/* Removes new files that no swap file asks for. */
vdb_status swap_remove_new_files(int folder, vdb_error *error);

#pragma GCC visibility pop

#endif
