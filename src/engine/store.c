/*
** store.c - the story: open, get, has, count, stats, close. Writing is told in write.c.
*/
#define _GNU_SOURCE

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "background.h"
#include "error.h"
#include "growth.h"

#define DEFAULT_WAIT_SECONDS 5.0

/* Opening ----------------------------------------------------------------------------------------------------- */

static bool is_foreign(void *context, const char *name) {
  bool ours = strncmp(name, "db.", 3) == 0 || strcmp(name, OPEN_NAME) == 0;
  *(bool *)context = !ours;
  return ours;
}

/* A folder with other files and no store in it is more likely a slip than a wish. */
static vdb_status check_folder(int folder, const char *path, vdb_error *error) {
  struct stat status;
  int file = os_open_regular(folder, KEY_LOG_NAME, O_RDONLY, &status);
  if (file >= 0) os.close(file);
  if (file >= 0 || errno != ENOENT) return VDB_OK;
  bool foreign = false;
  if (os.read_folder(folder, is_foreign, &foreign) != 0)
    return error_system(error, "cannot list the folder %s", path);
  if (!foreign) return VDB_OK;
  return error_set(error, VDB_UNSUPPORTED,
                   "the folder %s holds other files and no store: name a folder of its own", path);
}

/* A new folder is on the disk when the folder around it is; that may be one that can't be read, and so not be synced. */
static vdb_status sync_around(const vdb_store *store, const char *path, vdb_error *error) {
  int around = os.open(store->folder, "..", O_RDONLY | O_DIRECTORY, 0);
  if (around < 0 && errno == EACCES) return VDB_OK;
  vdb_status status = VDB_OK;
  if (around < 0 || os.sync_folder(around) != 0)
    status = error_system(error, "cannot sync the folder around %s", path);
  if (around >= 0) os.close(around);
  return status;
}

static vdb_status open_folder(vdb_store *store, const char *path, vdb_error *error) {
  bool made = !store->options.readonly && os.make_folder(path, 0700) == 0;
  if (!made && !store->options.readonly && errno != EEXIST)
    return error_system(error, "cannot make the folder %s", path);
  store->folder = os.open_folder(path);
  if (store->folder < 0 && errno == ENOTDIR)
    return error_set(error, VDB_UNSUPPORTED, "%s is not a folder: a store needs a folder of its own", path);
  if (store->folder < 0) return error_system(error, "cannot open the folder %s", path);
  if (made) return sync_around(store, path, error);
  if (store->options.readonly) return VDB_OK;
  return check_folder(store->folder, path, error);
}

/* Nobody else has the store open: look at everything, then let others in. */
static vdb_status open_first(vdb_store *store, vdb_error *error) {
  vdb_status status = recover_store(store, error);
  return status == VDB_OK ? control_use_shared(&store->control, error) : status;
}

/* Others have it open. Only a repair that somebody's death left to do needs the writers' lock. */
static vdb_status open_joined(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  vdb_status status = control_use_shared(&store->control, error);
  if (status != VDB_OK) return status;
  uint32_t state = atomic_load(&page->state);
  if (!control_usable(page) || state == CONTROL_UNUSED || state == CONTROL_CLOSED)
    return error_set(error, VDB_UNSUPPORTED,
                     CONTROL_NAME " was replaced, or another version of ViperDB has the "
                                  "store open: close it in all processes first");
  if (atomic_load(&page->unrepaired) == 0) return view_refresh(store, error);
  status = control_lock(page, store->wait, error);
  if (status != VDB_OK) return status;
  status = store_repair(store, error);
  control_unlock(page);
  return status;
}

static vdb_status open_writable(vdb_store *store, vdb_error *error) {
  vdb_status status = control_open(&store->control, store->folder, false, error);
  if (status != VDB_OK) return status;
  status = control_enter_door(&store->control, store->wait, error);
  if (status != VDB_OK) return status;
  status = control_use_alone(&store->control, error);
  if (status == VDB_OK) status = open_first(store, error);
  else if (status == VDB_ABSENT) status = open_joined(store, error);
  control_leave_door(&store->control);
  if (status == VDB_OK && store->options.sync == VDB_SYNC_INTERVAL) status = syncer_start(store, error);
  return status;
}

/*
** A writer is in the middle of a write for less than a microsecond, if it is not dead; what a dead one left half done
** is seen only by who repairs it.
*/
static bool applied_soon(const control_page *page) {
  for (int tries = 0; tries < 500; tries++) {
    bool applied = atomic_load(&page->applied) == atomic_load(&page->committed);
    if (applied && atomic_load(&page->unrepaired) == 0) return true;
    os.sleep(100 * 1000);
  }
  return false;
}

/*
** Whether a read-only handle may use the shared page and index as they are, and so follow what writers do. After an
** unclean end in another boot the logs and the index may not fit together. While files are being exchanged nobody writes.
*/
static bool page_in_order(const control_page *page) {
  if (!control_usable(page)) return false;
  bool exchanging = atomic_load(&page->generation) % 2 != 0;
  if (!exchanging && !applied_soon(page)) return false;
  char boot[OS_BOOT_SIZE];
  os_boot(boot);
  return control_unwritten(page) || strcmp(boot, page->boot) == 0;
}

static vdb_status open_readonly(vdb_store *store, vdb_error *error) {
  vdb_status status = control_open(&store->control, store->folder, true, error);
  if (status == VDB_ABSENT) return recover_in_memory(store, error);
  if (status == VDB_OK) status = control_enter_door(&store->control, store->wait, error);
  if (status != VDB_OK) return status;
  bool followed = page_in_order(store->control.page) && view_refresh(store, NULL) == VDB_OK;
  control_leave_door(&store->control);
  if (followed) return VDB_OK;
  control_close(&store->control);
  return recover_in_memory(store, error);
}

static vdb_status open_files(vdb_store *store, vdb_error *error) {
  store->process = os_process();
  return store->options.readonly ? open_readonly(store, error) : open_writable(store, error);
}

static vdb_status check_options(const vdb_options *options, vdb_error *error) {
  if (options->sync == VDB_SYNC_INTERVAL && !(options->sync_seconds > 0))
    return error_set(error, VDB_RANGE, "sync: the number of seconds must be greater than 0");
  if (!(options->reclaim_fraction >= 0 && options->reclaim_fraction < 1))
    return error_set(error, VDB_RANGE, "reclaim: the fraction must be at least 0 and below 1");
  if (!(options->wait_seconds >= 0))
    return error_set(error, VDB_RANGE, "wait: the number of seconds is negative");
  return VDB_OK;
}

static vdb_store *new_store(const vdb_options *options) {
  vdb_store *store = calloc(1, sizeof *store);
  if (store == NULL) return NULL;
  store->references = 1;
  store->folder = -1;
  store->options = *options;
  double seconds = options->wait_seconds > 0 ? options->wait_seconds : DEFAULT_WAIT_SECONDS;
  store->wait = seconds < 1e9 ? (int64_t)(seconds * 1e9) : INT64_MAX / 4;
  control_init(&store->control);
  return store;
}

/* Gives back files and mappings, without a word to the other processes. */
static void drop_files(vdb_store *store) {
  (void)background_end(store->closing);
  store->closing = NULL;
  view_release(store->view);
  store->view = NULL;
  control_close(&store->control);
}

static vdb_status finish_open(vdb_store *store, vdb_status status, vdb_store **out, vdb_error *error) {
  if (status == VDB_OK) status = open_files(store, error);
  if (status == VDB_OK) {
    *out = store;
    return VDB_OK;
  }
  drop_files(store);
  if (store->folder >= 0) os.close(store->folder);
  store->closed = true;
  store_release(store);
  return status;
}

vdb_status vdb_open(const char *path, const vdb_options *options, vdb_store **out, vdb_error *error) {
  static const vdb_options plain;
  if (options == NULL) options = &plain;
  *out = NULL;
  vdb_status status = check_options(options, error);
  if (status != VDB_OK) return status;
  vdb_store *store = new_store(options);
  if (store == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  return finish_open(store, open_folder(store, path, error), out, error);
}

vdb_status store_open_sibling(const vdb_store *store, vdb_store **out, vdb_error *error) {
  vdb_options options = store->options;
  options.sync = VDB_SYNC_OS;
  *out = NULL;
  vdb_store *sibling = new_store(&options);
  if (sibling == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  vdb_status status = VDB_OK;
  sibling->folder = os.open(store->folder, ".", O_RDONLY | O_DIRECTORY, 0);
  if (sibling->folder < 0) status = error_system(error, "cannot open the store's folder again");
  return finish_open(sibling, status, out, error);
}

/* Closing ----------------------------------------------------------------------------------------------------- */

void store_release(vdb_store *store) {
  if (--store->references > 0) return;
  free(store->key_text);
  record_scratch_free(&store->scratch);
  free(store);
}

/*
** Whoever closes last, as the kernel's locks tell, leaves a cleanly closed store. A child of fork that never used the
** handle still has its file: the lock would live on there if it were not given up.
*/
static vdb_status leave(vdb_store *store, vdb_error *error) {
  if (store->options.readonly || store->control.page == NULL) return VDB_OK;
  vdb_status status = control_enter_door(&store->control, store->wait, error);
  if (status == VDB_OK) status = control_use_alone(&store->control, error);
  if (status == VDB_OK) status = recover_close(store, error);
  else if (status == VDB_ABSENT) status = VDB_OK;
  control_leave_use(&store->control);
  control_leave_door(&store->control);
  return status;
}

/* A handle that came through fork and was never used here is the parent's to close. */
vdb_status vdb_close(vdb_store *store, vdb_error *error) {
  if (store == NULL || store->closed) return VDB_OK;
  bool mine = store->process == os_process();
  syncer_stop(store);
  growth_end(store);
  if (mine) reclaim_abandon(store);
  else reclaim_forget(store);
  vdb_status status = mine ? leave(store, error) : VDB_OK;
  drop_files(store);
  if (store->folder >= 0) os.close(store->folder);
  store->folder = -1;
  store->closed = true;
  store_release(store);
  return status;
}

/* Every call -------------------------------------------------------------------------------------------------- */

/* In a child of fork: the locks and the syncing thread are the parent's, so the child opens the store anew. */
static vdb_status adopt(vdb_store *store, vdb_error *error) {
  syncer_stop(store);
  growth_end(store);
  reclaim_forget(store);
  drop_files(store);
  vdb_status status = open_files(store, error);
  if (status != VDB_OK) drop_files(store);
  return status;
}

vdb_status store_enter(vdb_store *store, vdb_error *error) {
  if (store->closed) return error_set(error, VDB_CLOSED, "the store is closed");
  if (store->process != os_process() || store->control.page == NULL) {
    vdb_status status = adopt(store, error);
    if (status != VDB_OK) return status;
  }
  uint64_t generation = atomic_load_explicit(&store->control.page->generation, memory_order_acquire);
  OS_STOP("generation");
  if (store->view != NULL && generation == store->view->generation) return VDB_OK;
  return view_refresh(store, error);
}

/*
** While the files are being exchanged, `applied` may be that of the ones before or of the ones to come. The log of the view
** is complete then: one to come as long as it was when it was opened, an old one as long as it is.
*/
uint64_t store_length(vdb_store *store) {
  const control_page *page = store->control.page;
  const store_view *view = store->view;
  uint64_t before = atomic_load_explicit(&page->generation, memory_order_acquire);
  uint64_t applied = atomic_load_explicit(&page->applied, memory_order_acquire);
  OS_STOP("length");
  atomic_thread_fence(memory_order_acquire);
  uint64_t after = atomic_load_explicit(&page->generation, memory_order_relaxed);
  if (before == view->generation && after == view->generation) return applied;
  if (before < view->generation) return view->coming_length;
  (void)log_measure(&store->view->key_log, NULL);
  return store->view->key_log.size;
}

vdb_status store_key_text(vdb_store *store, const vdb_key *key, size_t *size, vdb_error *error) {
  vdb_status status = record_check_key(key, error);
  if (status != VDB_OK) return status;
  size_t room = record_key_bound(key);
  if (room > store->key_text_room) {
    char *text = realloc(store->key_text, room);
    if (text == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
    store->key_text = text;
    store->key_text_room = room;
  }
  *size = record_print_key(store->key_text, key);
  return VDB_OK;
}

/*
** A writer puts its lines into the index before it tells that all of them are there, and may die in between. A walk that
** begins then doesn't see them; so nobody else may see them before, nor a part of a batch: until then the key has the line
** that it had. Only a line behind what was known to be settled makes anybody ask how far that is now.
*/
static vdb_status find_settled(vdb_store *store, store_found *found, vdb_error *error) {
  store_view *view = store->view;
  if (!found->exists || found->line < view->settled) return VDB_OK;
  view->settled = store_length(store);
  vdb_status status = view_go_back(view, view->settled, &found->line, &found->record, &store->scratch, error);
  found->exists = status == VDB_OK;
  return status == VDB_ABSENT ? VDB_OK : status;
}

static vdb_status find_alive(vdb_store *store, const vdb_key *key, store_found *found, vdb_error *error) {
  size_t size;
  vdb_status status = store_enter(store, error);
  if (status == VDB_OK) status = store_key_text(store, key, &size, error);
  if (status == VDB_OK) status = view_find(store->view, &store->scratch, store->key_text, size, found, error);
  if (status == VDB_OK) status = find_settled(store, found, error);
  if (status != VDB_OK) return status;
  if (!found->exists || found->record.type == RECORD_DEL) return VDB_ABSENT;
  if (record_alive(&found->record)) return VDB_OK;
  return view_check_expired(store->view, found->line, &found->record, error);
}

static vdb_status read_found(vdb_store *store, const store_found *found, vdb_value *value, vdb_error *error) {
  const char *bytes;
  vdb_status status = view_read_value(store->view, found->line, &found->record, &bytes, error);
  if (status != VDB_OK) return status;
  *value = (vdb_value){
      .encoding = found->record.encoding,
      .bytes = bytes,
      .size = (size_t)found->record.value_size,
      .expiration = found->record.expiration,
  };
  return VDB_OK;
}

vdb_status vdb_get(vdb_store *store, const vdb_key *key, vdb_value *value, vdb_error *error) {
  store_found found;
  vdb_status status = find_alive(store, key, &found, error);
  return status == VDB_OK ? read_found(store, &found, value, error) : status;
}

vdb_status vdb_get_version(vdb_store *store, const vdb_key *key, vdb_value *value, vdb_version *version,
                           vdb_error *error) {
  store_found found;
  found.exists = false;
  vdb_status status = find_alive(store, key, &found, error);
  if (status != VDB_OK && status != VDB_ABSENT) return status;
  version->generation = store->view->generation;
  version->line = found.exists ? found.line : RECORD_NONE;
  return status == VDB_OK && value != NULL ? read_found(store, &found, value, error) : status;
}

vdb_status vdb_has(vdb_store *store, const vdb_key *key, vdb_error *error) {
  store_found found;
  return find_alive(store, key, &found, error);
}

vdb_status vdb_expiration(vdb_store *store, const vdb_key *key, int64_t *expiration, vdb_error *error) {
  store_found found;
  vdb_status status = find_alive(store, key, &found, error);
  if (status == VDB_OK) *expiration = found.record.expiration;
  return status;
}

vdb_status vdb_count(vdb_store *store, uint64_t *count, vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status == VDB_OK) *count = control_now(store->control.page)->keys;
  return status;
}

vdb_status vdb_stat(vdb_store *store, vdb_stats *stats, vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status != VDB_OK) return status;
  const control_page *page = store->control.page;
  control_totals totals = *control_now(page);
  index_size index;
  index_measure(&store->view->index, &index);
  control_mark mark = {0};
  bool synced = control_get_mark(page, &mark);
  *stats = (vdb_stats){
      .keys = totals.keys,
      .key_log_bytes = totals.committed,
      .key_log_live = totals.key_log_live,
      .value_log_bytes = totals.value_log_end,
      .value_log_live = totals.value_log_live,
      .index_bytes = index.bytes,
      .index_slots = index.used,
      .index_load = index.slots > 0 ? (double)index.used / (double)index.slots : 0,
      .generation = atomic_load(&page->generation) / 2,
      .synced_key_log = synced ? mark.key_log : 0,
      .last_sync = synced ? mark.time : 0,
      .last_reclaim = page->last_reclaim,
  };
  memcpy(stats->boot, page->boot, sizeof stats->boot - 1);
  return VDB_OK;
}
