/*
** view.c - one generation of the store's files, open and mapped.
**
** Reclaim exchanges all files and raises the generation. Between the two the generation is odd, and nobody opens a
** view then. Afterwards the control page names the files that belong together by device and inode, so that a view
** never mixes two generations, however often the files are exchanged while it is being opened.
*/
#define _GNU_SOURCE

#include "store.h"

#include <fcntl.h>
#include <stdlib.h>

#include "error.h"

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

/* VDB_ABSENT when the files are not those of this generation (any more). */
static vdb_status open_files(vdb_store *store, store_view *view, vdb_error *error) {
  const control_page *page = store->control.page;
  int flags = store->options.readonly ? O_RDONLY : O_RDWR;
  struct stat key_log, value_log;
  vdb_status status = log_open(&view->key_log, store->folder, flags, &key_log, error);
  if (status == VDB_OK) status = log_open(&view->value_log, store->folder, flags, &value_log, error);
  if (status != VDB_OK) return status;
  if (!control_same_file(&page->key_log, &key_log) || !control_same_file(&page->value_log, &value_log))
    return VDB_ABSENT;
  status = index_open(&view->index, store->folder, store->options.readonly, view->generation, error);
  if (status == VDB_OK) status = log_cover(&view->key_log, 0, error);
  return status;
}

static vdb_status try_open(vdb_store *store, uint64_t generation, store_view **out, vdb_error *error) {
  store_view *view = view_new();
  if (view == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  view->generation = generation;
  vdb_status status = open_files(store, view, error);
  if (status == VDB_OK) {
    *out = view;
    return VDB_OK;
  }
  view_release(view);
  return status;
}

static uint64_t generation_now(const vdb_store *store) {
  return atomic_load_explicit(&store->control.page->generation, memory_order_acquire);
}

vdb_status view_open(vdb_store *store, store_view **view, vdb_error *error) {
  int64_t end = os_ticks() + store->wait;
  for (;;) {
    uint64_t generation = generation_now(store);
    vdb_status status = generation % 2 != 0 ? VDB_ABSENT : try_open(store, generation, view, error);
    if (status == VDB_OK && generation_now(store) == generation) return VDB_OK;
    if (status == VDB_OK) view_release(*view);
    *view = NULL;
    if (status != VDB_OK && generation_now(store) == generation && generation % 2 == 0) {
      if (status != VDB_ABSENT) return status;
      return error_set(error, VDB_CORRUPT,
                       "the store's files were replaced while it is open: close it in all "
                       "processes and open it again");
    }
    if (os_ticks() >= end)
      return error_set(error, VDB_BUSY,
                       "another process has been exchanging the store's files for too long: "
                       "is it stopped?");
    os.sleep(100 * 1000);
  }
}

vdb_status view_refresh(vdb_store *store, vdb_error *error) {
  if (store->view != NULL && store->view->generation == generation_now(store)) return VDB_OK;
  store_view *fresh;
  vdb_status status = view_open(store, &fresh, error);
  if (status != VDB_OK) return status;
  view_release(store->view);
  store->view = fresh;
  return VDB_OK;
}
