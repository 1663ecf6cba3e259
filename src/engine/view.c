/*
** view.c - one generation of the store's files, open and mapped.
**
** Reclaim exchanges all files and raises the generation by two. In between it is odd: files are being renamed, and nobody
** writes. Two generations show the store as it is then, the one before and the one to come, whose files are complete by
** then, under their new names or already under the old ones. A reader that has the one before stays with it; any other
** opens the one to come. So nobody waits for the end of an exchange, even if whoever makes it is stopped or dead.
**
** While the generation is even, the control page names the files that belong together by device and inode, so that a view
** never mixes two generations, however often the files are exchanged while it is being opened.
*/
#define _GNU_SOURCE

#include "store.h"

#include <fcntl.h>
#include <stdlib.h>

#include "background.h"
#include "error.h"
#include "growth.h"
#include "swap.h"

store_view *view_new(void) {
  store_view *view = calloc(1, sizeof *view);
  if (view == NULL) return NULL;
  view->references = 1;
  log_init(&view->key_log, KEY_LOG_NAME, '\n');
  log_init(&view->value_log, VALUE_LOG_NAME, '\0');
  index_init(&view->index, INDEX_NAME);
  return view;
}

store_view *view_share(store_view *view) {
  view->references++;
  return view;
}

void view_release(store_view *view) {
  if (view == NULL || --view->references > 0) return;
  log_close(&view->key_log);
  log_close(&view->value_log);
  index_close(&view->index);
  free(view);
}

/* The disk works on both while the first is waited for. What fails in that is told by the fdatasync. */
vdb_status view_sync(store_view *view, vdb_error *error) {
  (void)os.write_back(view->key_log.file);
  vdb_status status = log_sync(&view->value_log, error);
  return status == VDB_OK ? log_sync(&view->key_log, error) : status;
}

static uint64_t generation_now(const vdb_store *store) {
  return atomic_load_explicit(&store->control.page->generation, memory_order_acquire);
}

static bool shows(const store_view *view, uint64_t generation) {
  if (view == NULL) return false;
  if (generation % 2 == 0) return view->generation == generation;
  return view->generation + 1 == generation || view->generation == generation + 1;
}

/* VDB_ABSENT when the files are not those of this generation (any more). */
static vdb_status open_current(vdb_store *store, store_view *view, vdb_error *error) {
  const control_page *page = store->control.page;
  int flags = store->options.readonly ? O_RDONLY : O_RDWR;
  struct stat key_log, value_log;
  vdb_status status = log_open(&view->key_log, store->folder, flags, &key_log, error);
  if (status == VDB_OK) status = log_open(&view->value_log, store->folder, flags, &value_log, error);
  if (status != VDB_OK) return status;
  if (!control_same_file(&page->key_log, &key_log) || !control_same_file(&page->value_log, &value_log))
    return VDB_ABSENT;
  return index_open(&view->index, store->folder, store->options.readonly, view->generation, error);
}

static vdb_status open_coming_index(vdb_store *store, store_view *view, vdb_error *error) {
  bool readonly = store->options.readonly;
  view->index.name = swap_new_names[2];
  vdb_status status = index_open(&view->index, store->folder, readonly, view->generation, error);
  view->index.name = INDEX_NAME;
  if (status != VDB_ABSENT) return status;
  return index_open(&view->index, store->folder, readonly, view->generation, error);
}

/* VDB_ABSENT when the exchange is over. */
static vdb_status open_coming(vdb_store *store, store_view *view, vdb_error *error) {
  log_file *key_log = &view->key_log, *value_log = &view->value_log;
  int flags = store->options.readonly ? O_RDONLY : O_RDWR;
  struct stat found;
  swap_file swap;
  vdb_status status = swap_read(store->folder, &swap, error);
  if (status == VDB_OK)
    status = log_open_renamed(key_log, store->folder, swap_new_names[0], flags, &found, error);
  if (status == VDB_OK)
    status = log_open_renamed(value_log, store->folder, swap_new_names[1], flags, &found, error);
  if (status != VDB_OK) return status;
  bool whole = key_log->size == swap.totals.committed && value_log->size == swap.totals.value_log_end;
  if (!whole || swap.generation != view->generation) return VDB_ABSENT;
  view->coming_length = swap.totals.committed;
  return open_coming_index(store, view, error);
}

static vdb_status try_open(vdb_store *store, uint64_t generation, store_view **out, vdb_error *error) {
  bool exchanging = generation % 2 != 0;
  store_view *view = view_new();
  if (view == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  view->generation = exchanging ? generation + 1 : generation;
  vdb_status status = exchanging ? open_coming(store, view, error) : open_current(store, view, error);
  if (status == VDB_OK) status = log_cover(&view->key_log, 0, error);
  if (status == VDB_OK && shows(view, generation_now(store))) {
    *out = view;
    return VDB_OK;
  }
  view_release(view);
  return status == VDB_OK ? VDB_ABSENT : status;
}

#define SOON_CLOSED ((uint64_t)8 * 1024 * 1024)

static int close_view(void *view) {
  view_release(view);
  return 0;
}

/* Who closes a deleted file as the last frees its blocks; with large files no call should have to wait for that. */
void view_retire(vdb_store *store, store_view *view) {
  bool last = view != NULL && view->references == 1;
  if (last && view->key_log.size + view->value_log.size >= SOON_CLOSED) {
    (void)background_end(store->closing);
    store->closing = background_start(close_view, view);
    if (store->closing != NULL) return;
  }
  view_release(view);
}

/* An exchange that gets in between is a reason to try again, but not for ever: somebody may be changing the files. */
static vdb_status reopen(vdb_store *store, vdb_error *error) {
  int64_t end = os_ticks() + store->wait;
  for (;;) {
    uint64_t generation = generation_now(store);
    store_view *fresh = NULL;
    vdb_status status = try_open(store, generation, &fresh, error);
    if (status == VDB_OK) {
      view_retire(store, store->view);
      store->view = fresh;
      growth_settle(store);
      return VDB_OK;
    }
    bool same = generation_now(store) == generation;
    if (same && status != VDB_ABSENT) return status;
    if ((same && generation % 2 == 0) || os_ticks() >= end)
      return error_set(error, VDB_CORRUPT,
                       "the store's files were replaced while it is open: close it in all "
                       "processes and open it again");
    os.sleep(100 * 1000);
  }
}

vdb_status view_refresh(vdb_store *store, vdb_error *error) {
  return shows(store->view, generation_now(store)) ? VDB_OK : reopen(store, error);
}
