/*
** recover.c - from whatever is on disk to a consistent store, and the clean end.
**
** The first opener comes here while nobody else has the store open. What it finds is one of three things.
**
** - The control page fits the files: made in this boot, or left by a clean close, and the logs are the very files, as
**   long as it says. Then at most a process was killed. What that left half done is what store_repair mends while the
**   store is open, too; so opening does not depend on the number of keys.
** - There is a control page, but it doesn't fit: the machine may have lost power, or somebody else has written. Every line
**   and value behind the last sync mark is checked, and the first bad one ends the store: disks write in any order, so
**   nothing behind it is known to have been there before. What is cut is kept beside the store.
** - There is none: another program, such as the original, wrote the folder. Its lines are read. A bad last line is a torn
**   tail. A bad line with good ones behind it is damage, and nobody but the owner can decide what to do about it.
**
** In the last two the index is made anew from the lines, under another name until it is complete.
*/
#define _GNU_SOURCE

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "scan.h"
#include "swap.h"

/* The files ---------------------------------------------------------------------------------------------------- */

typedef struct found_files {
  struct stat key_log, value_log;
  bool marked_open; /* .OPEN was there */
} found_files;

static vdb_status explain_mark(vdb_error *error) {
  if (errno == EINVAL || errno == ELOOP)
    return error_set(error, VDB_UNSUPPORTED, OPEN_NAME " is not a regular file: move it away");
  return error_system(error, "cannot open " OPEN_NAME);
}

static vdb_status open_logs(vdb_store *store, store_view *view, found_files *files, vdb_error *error) {
  int flags = store->options.readonly ? O_RDONLY : O_RDWR | O_CREAT;
  vdb_status status = log_open(&view->key_log, store->folder, flags, &files->key_log, error);
  if (status == VDB_OK) status = log_open(&view->value_log, store->folder, flags, &files->value_log, error);
  if (status != VDB_OK) return status;
  struct stat mark;
  int file = os_open_regular(store->folder, OPEN_NAME, O_RDONLY, &mark);
  if (file < 0 && errno != ENOENT) return explain_mark(error);
  files->marked_open = file >= 0;
  if (file >= 0) os.close(file);
  return VDB_OK;
}

/* The original looks for this file to learn that it must repair. A store that can't be opened doesn't get it. */
static vdb_status mark_open(vdb_store *store, vdb_error *error) {
  struct stat status;
  int file = os_open_regular(store->folder, OPEN_NAME, O_RDWR | O_CREAT, &status);
  if (file < 0) return explain_mark(error);
  os.close(file);
  return VDB_OK;
}

/* Every commit was at the end of a line. */
static bool ends_line(const store_view *view, uint64_t length) {
  char last = '\0';
  return length == 0 || (os_read_all(view->key_log.file, &last, 1, length - 1) == 0 && last == '\n');
}

static bool page_fits(const control_page *page, const store_view *view, const found_files *files,
                      const char *boot) {
  uint64_t key_log = (uint64_t)files->key_log.st_size, value_log = (uint64_t)files->value_log.st_size;
  uint64_t committed = atomic_load(&page->committed), applied = atomic_load(&page->applied);
  const control_totals *totals = control_now(page);
  bool closed = control_unwritten(page);
  bool same_boot = boot[0] != '\0' && strcmp(boot, page->boot) == 0;
  bool used = atomic_load(&page->state) != CONTROL_UNUSED;
  if (atomic_load(&page->failed) != 0 || !used || (!closed && !same_boot)) return false;
  if (!control_same_file(&page->key_log, &files->key_log)) return false;
  if (!control_same_file(&page->value_log, &files->value_log)) return false;
  if (applied > committed || atomic_load(&page->generation) % 2 != 0) return false;
  if (key_log < committed || !ends_line(view, committed)) return false;
  if (closed) return key_log == committed && value_log == totals->value_log_end && applied == committed;
  return value_log >= totals->value_log_end;
}

/* An interrupted reclaim comes first: it decides which files are the store. */
static vdb_status finish_reclaim(vdb_store *store, const char *boot, vdb_error *error) {
  swap_file swap;
  control_page *page = store->control.page;
  vdb_status status = swap_read(store->folder, &swap, error);
  if (status == VDB_ABSENT) return swap_remove_new_files(store->folder, error);
  if (status != VDB_OK) return status;
  if (control_usable(page) && boot[0] != '\0' && strcmp(boot, page->boot) == 0)
    return swap_finish(store->folder, &store->control, &swap, store->wait, error);
  return swap_finish_files(store->folder, &swap, error);
}

/* Going on ----------------------------------------------------------------------------------------------------- */

/* VDB_ABSENT when the index is of no use. */
static vdb_status resume(vdb_store *store, store_view *view, const found_files *files, const char *boot,
                         vdb_error *error) {
  control_page *page = store->control.page;
  view->generation = atomic_load(&page->generation);
  vdb_status status = index_open(&view->index, store->folder, false, view->generation, error);
  if (status != VDB_OK) return status;
  atomic_store(&page->key_log_allocated, (uint64_t)files->key_log.st_size);
  atomic_store(&page->value_log_allocated, (uint64_t)files->value_log.st_size);
  memset(page->boot, 0, sizeof page->boot);
  memcpy(page->boot, boot, OS_BOOT_SIZE);
  bool unwritten = control_unwritten(page);
  if (unwritten) atomic_store(&page->state, CONTROL_RESUMED);
  store->view = view;
  if (!unwritten) status = store_repair(store, error);
  if (status != VDB_OK) {
    index_close(&view->index);
    store->view = NULL;
  }
  return status;
}

/* Making anew -------------------------------------------------------------------------------------------------- */

#define LOST_NAME_SIZE 64

/* An opener that died may have left a file of this very millisecond: the next name that is free will do. */
static int make_lost(int folder, char name[LOST_NAME_SIZE], int64_t *time, const char *suffix) {
  struct stat status;
  for (;; ++*time) {
    snprintf(name, LOST_NAME_SIZE, "db.lost-%lld.%s", (long long)*time, suffix);
    int file = os_open_regular(folder, name, O_RDWR | O_CREAT | O_EXCL, &status);
    if (file >= 0 || errno != EEXIST) return file;
  }
}

static vdb_status copy_lost(int folder, int64_t *time, const char *suffix, log_file *log, uint64_t from,
                            uint64_t to, vdb_error *error) {
  char name[LOST_NAME_SIZE];
  vdb_status result = log_cover(log, to, error);
  if (result != VDB_OK) return result;
  int file = make_lost(folder, name, time, suffix);
  if (file < 0) return error_system(error, "cannot make %s for what is cut from %s", name, log->name);
  if (os_write_all(file, log->base + from, (size_t)(to - from), 0) != 0 || os.sync(file) != 0)
    result = error_system(error, "cannot write %s", name);
  os.close(file);
  return result;
}

/* The end of what is not filler. */
static uint64_t real_end(log_file *log, uint64_t from, char filler) {
  uint64_t end = log->size;
  if (log_cover(log, end, NULL) != VDB_OK) return end;
  while (end > from && log->base[end - 1] == filler) end--;
  return end;
}

/* What lies behind the end of the store is kept under names of its own before it is cut. */
static vdb_status keep_lost(vdb_store *store, store_view *view, const control_totals *totals,
                            vdb_error *error) {
  uint64_t key_log = real_end(&view->key_log, totals->committed, '\n');
  uint64_t value_log = real_end(&view->value_log, totals->value_log_end, '\0');
  int64_t time = os_now();
  vdb_status status = VDB_OK;
  if (key_log > totals->committed)
    status = copy_lost(store->folder, &time, "klog", &view->key_log, totals->committed, key_log, error);
  if (status != VDB_OK || value_log <= totals->value_log_end) return status;
  return copy_lost(store->folder, &time, "vlog", &view->value_log, totals->value_log_end, value_log, error);
}

static vdb_status cut_logs(store_view *view, const control_totals *totals, vdb_error *error) {
  vdb_status status = log_cut(&view->key_log, totals->committed, error);
  return status == VDB_OK ? log_cut(&view->value_log, totals->value_log_end, error) : status;
}

static void start_page(control_page *page, const store_view *view, const found_files *files, const char *boot,
                       const control_totals *totals) {
  control_reset(page, view->generation - 1);
  memcpy(page->boot, boot, OS_BOOT_SIZE);
  page->key_log = control_identify(&files->key_log);
  page->value_log = control_identify(&files->value_log);
  atomic_store(&page->key_log_allocated, totals->committed);
  atomic_store(&page->value_log_allocated, totals->value_log_end);
  control_place(page, totals);
  atomic_store(&page->applied, totals->committed);
}

/* How far the logs are known to be good, and whether that is known at all. */
static scan_trust trust_of(const control_page *page, const found_files *files) {
  scan_trust trust = {.check_values = files->marked_open};
  control_mark mark;
  if (!control_usable(page)) return trust;
  trust.check_values = true;
  if (!control_same_file(&page->key_log, &files->key_log)) return trust;
  trust.marked = true;
  if (control_get_mark(page, &mark)) trust.mark = mark.key_log;
  return trust;
}

static uint64_t next_generation(const control_page *page) {
  return control_usable(page) ? (atomic_load(&page->generation) | 1) + 1 : 2;
}

static vdb_status make_index(vdb_store *store, store_view *view, const scan_trust *trust,
                             control_totals *totals, vdb_error *error) {
  bool in_memory = store->options.readonly;
  view->index.name = in_memory ? INDEX_NAME : swap_new_names[SWAP_FILES - 1];
  vdb_status status = index_create(&view->index, in_memory ? -1 : store->folder, view->generation, error);
  if (status == VDB_OK) status = scan_logs(view, trust, totals, error);
  if (status == VDB_OK && !in_memory && os.rename(store->folder, view->index.name, INDEX_NAME) != 0)
    status = error_system(error, "cannot rename %s", view->index.name);
  if (status != VDB_OK && !in_memory) (void)os.remove(store->folder, view->index.name);
  view->index.name = INDEX_NAME;
  return status;
}

/*
** After a failed sync the kernel may take pages for clean that never reached the disk. Writing them again makes them
** dirty, so that the next sync means what it says.
*/
static vdb_status write_again(log_file *log, uint64_t from, uint64_t to, vdb_error *error) {
  vdb_status status = log_cover(log, to, error);
  if (status != VDB_OK) return status;
  if (from < to && os_write_all(log->file, log->base + from, (size_t)(to - from), from) != 0)
    return error_system(error, "cannot write %s again after a failed sync", log->name);
  return log_sync(log, error);
}

/* Synced in any case, as what was cut must not come back: a value written again would make its lost line whole. */
static vdb_status sync_kept(const control_page *page, store_view *view, const control_totals *totals,
                            vdb_error *error) {
  control_mark mark = {0};
  if (!control_usable(page) || atomic_load(&page->failed) == 0) return view_sync(view, error);
  (void)control_get_mark(page, &mark);
  vdb_status status = write_again(&view->value_log, mark.value_log, totals->value_log_end, error);
  return status == VDB_OK ? write_again(&view->key_log, mark.key_log, totals->committed, error) : status;
}

static vdb_status remake(vdb_store *store, store_view *view, const found_files *files, const char *boot,
                         vdb_error *error) {
  control_page *page = store->control.page;
  scan_trust trust = trust_of(page, files);
  control_totals totals = {0};
  view->generation = next_generation(page);
  vdb_status status = make_index(store, view, &trust, &totals, error);
  if (status == VDB_OK) status = keep_lost(store, view, &totals, error);
  if (status == VDB_OK) status = cut_logs(view, &totals, error);
  if (status == VDB_OK) status = sync_kept(page, view, &totals, error);
  if (status != VDB_OK) return status;
  start_page(page, view, files, boot, &totals);
  status = control_reset_locks(page, error);
  atomic_store_explicit(&page->generation, view->generation, memory_order_release);
  if (status == VDB_OK) status = control_begin(&store->control, error);
  if (status == VDB_OK) status = swap_sync_folder(store->folder, NULL, error);
  store->view = view;
  return status;
}

vdb_status recover_store(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  char boot[OS_BOOT_SIZE];
  found_files files;
  os_boot(boot);
  store_view *view = view_new();
  if (view == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  vdb_status status = control_usable(page) ? control_reset_locks(page, error) : VDB_OK;
  if (status == VDB_OK) status = finish_reclaim(store, boot, error);
  if (status == VDB_OK) status = open_logs(store, view, &files, error);
  if (status == VDB_OK) {
    bool fits = control_usable(page) && page_fits(page, view, &files, boot);
    status = fits ? resume(store, view, &files, boot, error) : VDB_ABSENT;
    if (status == VDB_ABSENT || status == VDB_CORRUPT) status = remake(store, view, &files, boot, error);
  }
  if (status == VDB_OK) status = mark_open(store, error);
  if (store->view != view) view_release(view);
  return status;
}

/* In memory ---------------------------------------------------------------------------------------------------- */

/* What the page in the folder, which must not be written to, says about the logs. */
static scan_trust trust_of_folder(int folder, const found_files *files) {
  control_handle control;
  control_init(&control);
  if (control_open(&control, folder, true, NULL) != VDB_OK)
    return (scan_trust){.check_values = files->marked_open};
  scan_trust trust = trust_of(control.page, files);
  control_close(&control);
  return trust;
}

static vdb_status fill_memory(vdb_store *store, store_view *view, vdb_error *error) {
  found_files files;
  control_totals totals = {0};
  char boot[OS_BOOT_SIZE];
  os_boot(boot);
  view->generation = 2;
  vdb_status status = open_logs(store, view, &files, error);
  if (status != VDB_OK) return status;
  scan_trust trust = trust_of_folder(store->folder, &files);
  status = make_index(store, view, &trust, &totals, error);
  if (status != VDB_OK) return status;
  start_page(store->control.page, view, &files, boot, &totals);
  atomic_store(&store->control.page->generation, view->generation);
  return VDB_OK;
}

vdb_status recover_in_memory(vdb_store *store, vdb_error *error) {
  swap_file swap;
  vdb_status status = swap_read(store->folder, &swap, error);
  if (status == VDB_OK)
    return error_set(error, VDB_UNSUPPORTED,
                     "a reclaim was interrupted: open the store for writing once, so that it is finished");
  if (status == VDB_ABSENT) status = control_open_private(&store->control, error);
  if (status != VDB_OK) return status;
  store->view = view_new();
  if (store->view == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  return fill_memory(store, store->view, error);
}

/* The clean end ------------------------------------------------------------------------------------------------ */

/* After a failure the next opener must write again what may be lost. */
static vdb_status sync_all(vdb_store *store, vdb_error *error) {
  vdb_status status = view_sync(store->view, error);
  if (status == VDB_OK) status = index_sync(&store->view->index, error);
  if (status != VDB_OK) control_fail(store->control.page);
  return status;
}

/* The last writer may have died without anybody noticing: the lock tells. */
static vdb_status mend_last(vdb_store *store, vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status == VDB_OK) status = store_lock(store, error);
  if (status == VDB_OK) store_unlock(store);
  return status;
}

/* The page says "closed" only after everything else is on the disk: it is believed after a power loss, too. */
static vdb_status close_written(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  vdb_status status = mend_last(store, error);
  if (status == VDB_OK) status = swap_remove_new_files(store->folder, error);
  if (status != VDB_OK) return status;
  control_totals totals = *control_now(page);
  status = cut_logs(store->view, &totals, error);
  if (status == VDB_OK) status = sync_all(store, error);
  if (status != VDB_OK) return status;
  atomic_store(&page->key_log_allocated, totals.committed);
  atomic_store(&page->value_log_allocated, totals.value_log_end);
  control_set_mark(page, totals.committed, totals.value_log_end);
  atomic_store_explicit(&page->state, CONTROL_CLOSED, memory_order_release);
  return control_sync(&store->control, error);
}

vdb_status recover_close(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  vdb_status status = sync_check_failed(page, error);
  if (status != VDB_OK) return status;
  if (control_unwritten(page)) atomic_store_explicit(&page->state, CONTROL_CLOSED, memory_order_release);
  else status = close_written(store, error);
  if (status == VDB_OK && os.remove(store->folder, OPEN_NAME) != 0 && errno != ENOENT)
    status = error_system(error, "cannot remove " OPEN_NAME);
  return status;
}
