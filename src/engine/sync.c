/*
** sync.c - getting what was written onto the disk.
**
** One lock in the control page orders those who sync, in all processes. Who gets it syncs everything that is committed
** by then, and writes down how far that is; whoever waited finds that enough, and returns. So many writers share one
** fdatasync of each log. The disk may get a line before its value, as it may at any time: so after a power failure
** recovery checks every line and value behind the last mark, and a mark is written when both are there.
**
** A failed fdatasync is final: the kernel may have dropped the pages that it could not write, so a second call that
** succeeds would prove nothing. `failed` in the control page makes the store read-only for everybody, until nobody has
** it open and the next opener has checked what is there.
*/
#define _POSIX_C_SOURCE 200809L

#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "error.h"
#include "swap.h"

vdb_status sync_check_failed(const control_page *page, vdb_error *error) {
  uint32_t reason = atomic_load_explicit(&page->failed, memory_order_relaxed);
  if (reason == 0) return VDB_OK;
  errno = (int)reason;
  (void)error_system(error,
                     "an earlier sync failed, so the store is read-only until all processes have closed it");
  if (error != NULL) error->status = VDB_READONLY;
  return VDB_READONLY;
}

static bool exchanging(const control_page *page) {
  return atomic_load_explicit(&page->generation, memory_order_acquire) % 2 != 0;
}

static bool enough(const control_page *page, const store_view *view, uint64_t length) {
  if (exchanging(page)) return false;
  if (atomic_load_explicit(&page->generation, memory_order_acquire) != view->generation) return true;
  return atomic_load_explicit(&page->synced, memory_order_acquire) >= length;
}

/* Who exchanges files holds the lock. It is dead, then; its files are on the disk, but perhaps not the name of db.swap. */
static vdb_status sync_swap(vdb_store *store, vdb_error *error) {
  return swap_sync_folder(store->folder, store->control.page, error);
}

static vdb_status sync_logs(control_page *page, store_view *view, vdb_error *error) {
  uint64_t key_log = atomic_load_explicit(&page->committed, memory_order_acquire);
  uint64_t value_log = atomic_load_explicit(&page->value_log_end, memory_order_acquire);
  vdb_status status = view_sync(view, error);
  if (status == VDB_OK) control_set_mark(page, key_log, value_log);
  else control_fail(page);
  return status;
}

/* A reclaim that has exchanged the files meanwhile has synced all of them. */
vdb_status sync_until(vdb_store *store, store_view *view, uint64_t length, vdb_error *error) {
  control_page *page = store->control.page;
  vdb_status status = sync_check_failed(page, error);
  if (status != VDB_OK || enough(page, view, length)) return status;
  status = control_lock_sync(page, store->wait, error);
  if (status != VDB_OK) return status;
  status = sync_check_failed(page, error);
  if (status == VDB_OK && !enough(page, view, length))
    status = exchanging(page) ? sync_swap(store, error) : sync_logs(page, view, error);
  control_unlock_sync(page);
  return status;
}

vdb_status vdb_sync(vdb_store *store, vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status != VDB_OK) return status;
  if (store->options.readonly)
    return error_set(error, VDB_READONLY,
                     "the store was opened with readonly: only a handle that writes can sync");
  uint64_t length = atomic_load_explicit(&store->control.page->committed, memory_order_acquire);
  return sync_until(store, store->view, length, error);
}

/* The helper thread of VDB_SYNC_INTERVAL. A handle is used by one thread at a time, so it has one of its own. */
struct syncer {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool stop;
  uint64_t process;
  double seconds;
  vdb_store *store;
};

static struct timespec after(double seconds) {
  int64_t end = os_ticks() + (int64_t)((seconds < 1e9 ? seconds : 1e9) * 1e9);
  return (struct timespec){.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
}

/* A sync that failed for good has told everybody through the control page; one that found the lock taken comes again. */
static void *sync_again_and_again(void *context) {
  struct syncer *syncer = context;
  pthread_mutex_lock(&syncer->lock);
  while (!syncer->stop) {
    struct timespec end = after(syncer->seconds);
    while (!syncer->stop && pthread_cond_timedwait(&syncer->wake, &syncer->lock, &end) == 0) continue;
    if (syncer->stop) break;
    pthread_mutex_unlock(&syncer->lock);
    vdb_sync(syncer->store, NULL);
    pthread_mutex_lock(&syncer->lock);
  }
  pthread_mutex_unlock(&syncer->lock);
  return NULL;
}

static int make_wake(pthread_cond_t *wake) {
  pthread_condattr_t attributes;
  int reason = pthread_condattr_init(&attributes);
  if (reason != 0) return reason;
  reason = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (reason == 0) reason = pthread_cond_init(wake, &attributes);
  pthread_condattr_destroy(&attributes);
  return reason;
}

vdb_status syncer_start(vdb_store *store, vdb_error *error) {
  struct syncer *syncer = calloc(1, sizeof *syncer);
  if (syncer == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  syncer->seconds = store->options.sync_seconds;
  syncer->process = store->process;
  vdb_status status = store_open_sibling(store, &syncer->store, error);
  if (status == VDB_OK) {
    int reason = pthread_mutex_init(&syncer->lock, NULL);
    if (reason == 0) reason = make_wake(&syncer->wake);
    if (reason == 0) reason = os.thread(&syncer->thread, sync_again_and_again, syncer);
    errno = reason;
    if (reason != 0) status = error_system(error, "cannot start the thread that syncs");
  }
  if (status == VDB_OK) {
    store->syncer = syncer;
    return VDB_OK;
  }
  vdb_close(syncer->store, NULL);
  free(syncer);
  return status;
}

/*
** In a child of fork there is no thread to stop, its lock may be held for ever, and its handle may be in the middle of
** anything. Only what holds locks of the file system is given back; the rest of the handle is left where it is.
*/
static void forget_thread(struct syncer *syncer) {
  if (syncer->store->control.file >= 0) os.close(syncer->store->control.file);
  free(syncer);
}

static void stop_thread(struct syncer *syncer) {
  pthread_mutex_lock(&syncer->lock);
  syncer->stop = true;
  pthread_cond_signal(&syncer->wake);
  pthread_mutex_unlock(&syncer->lock);
  pthread_join(syncer->thread, NULL);
  pthread_cond_destroy(&syncer->wake);
  pthread_mutex_destroy(&syncer->lock);
  vdb_close(syncer->store, NULL);
  free(syncer);
}

void syncer_stop(vdb_store *store) {
  struct syncer *syncer = store->syncer;
  store->syncer = NULL;
  if (syncer == NULL) return;
  if (syncer->process == os_process()) stop_thread(syncer);
  else forget_thread(syncer);
}
