/*
** write.c - put, delete, expire: one line, and the value behind it, under the writers' lock.
**
** The key's text is made before the lock is taken. Nothing here calls back.
*/
#include "append.h"

#include "error.h"
#include "growth.h"
#include "swap.h"

/* Repair ------------------------------------------------------------------------------------------------------ */

static vdb_status replay_line(vdb_store *store, store_view *view, uint64_t line, bool recount, size_t *size,
                              vdb_error *error) {
  record entry;
  record_scratch scratch = {0};
  store_found found;
  vdb_status status = view_read_line(view, line, &entry, &scratch, error);
  if (status == VDB_OK)
    status = index_make_room(&view->index, index_hash(&view->index, entry.key, entry.key_size), error);
  if (status == VDB_OK) status = view_find(view, &store->scratch, entry.key, entry.key_size, &found, error);
  if (status == VDB_OK && found.probe.slot == NULL)
    status =
        error_set(error, VDB_CORRUPT, INDEX_NAME " is full of damaged slots: close the store and delete it");
  if (status == VDB_OK) {
    index_publish(&view->index, &found.probe, line, entry.type == RECORD_SET ? entry.offset : 0);
    if (recount) index_recount(&view->index, &found.probe);
    *size = entry.line_size;
  }
  record_scratch_free(&scratch);
  return status;
}

vdb_status store_replay(vdb_store *store, store_view *view, bool recount, vdb_error *error) {
  control_page *page = store->control.page;
  uint64_t line = atomic_load_explicit(&page->applied, memory_order_acquire);
  uint64_t end = atomic_load_explicit(&page->committed, memory_order_acquire);
  while (line < end) {
    size_t size;
    vdb_status status = replay_line(store, view, line, recount, &size, error);
    if (status != VDB_OK) return status;
    line += size;
  }
  atomic_store_explicit(&page->applied, end, memory_order_release);
  return VDB_OK;
}

/*
** A big value is written through the file: when its writer dies, that is longer than anybody was told. Behind `touched` is
** filler already. Where that makes no sense all is cleared.
*/
static vdb_status clear_tail(log_file *log, uint64_t end, uint64_t touched, uint64_t allocated,
                             vdb_error *error) {
  vdb_status status = log_measure(log, error);
  if (status == VDB_OK && log->size > allocated) {
    status = log_cut(log, allocated, error);
    if (status == VDB_OK) status = log_measure(log, error);
  }
  bool known = touched >= end && touched < allocated;
  return status == VDB_OK ? log_refill(log, end, known ? touched : allocated, error) : status;
}

/* What lies behind `allocated` may be filler that a thread is still writing: so nobody may be. */
static vdb_status clear_tails(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  store_view *view = store->view;
  const control_totals *totals = control_now(page);
  vdb_status status = append_lock_growth(store, totals, error);
  if (status != VDB_OK) return status;
  status = clear_tail(&view->key_log, totals->committed, atomic_load(&page->key_log_touched),
                      atomic_load(&page->key_log_allocated), error);
  if (status == VDB_OK)
    status = clear_tail(&view->value_log, totals->value_log_end, atomic_load(&page->value_log_touched),
                        atomic_load(&page->value_log_allocated), error);
  control_unlock_growth(page);
  return status;
}

/* A process that died between the commit point of a reclaim and its end left the rest to do. */
static vdb_status finish_exchange(vdb_store *store, vdb_error *error) {
  swap_file swap;
  vdb_status status = swap_read(store->folder, &swap, error);
  if (status != VDB_OK) return status == VDB_ABSENT ? VDB_OK : status;
  return swap_finish(store->folder, &store->control, &swap, store->wait, error);
}

vdb_status store_repair(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  if (!control_usable(page))
    return error_set(error, VDB_CORRUPT,
                     CONTROL_NAME " is damaged: close the store in all processes and open it again");
  vdb_status status = finish_exchange(store, error);
  if (status == VDB_OK) status = view_refresh(store, error);
  if (status == VDB_OK) status = index_repair(&store->view->index, error);
  if (status == VDB_OK) status = clear_tails(store, error);
  if (status == VDB_OK) status = store_replay(store, store->view, true, error);
  if (status == VDB_OK) atomic_store_explicit(&page->unrepaired, 0, memory_order_release);
  return status;
}

/* The lock ---------------------------------------------------------------------------------------------------- */

static vdb_status make_current(vdb_store *store, vdb_error *error) {
  control_page *page = store->control.page;
  vdb_status status = sync_check_failed(page, error);
  if (status == VDB_OK) status = control_begin(&store->control, error);
  if (status != VDB_OK) return status;
  bool broken = atomic_load(&page->unrepaired) != 0 || atomic_load(&page->generation) % 2 != 0;
  return broken ? store_repair(store, error) : view_refresh(store, error);
}

vdb_status store_lock(vdb_store *store, vdb_error *error) {
  vdb_status status = store_enter(store, error);
  if (status != VDB_OK) return status;
  if (store->options.readonly)
    return error_set(error, VDB_READONLY, "the store was opened with readonly: open it without to write");
  status = control_lock(store->control.page, store->wait, error);
  if (status != VDB_OK) return status;
  status = make_current(store, error);
  if (status != VDB_OK) store_unlock(store);
  return status;
}

void store_unlock(vdb_store *store) {
  control_unlock(store->control.page);
}

/* Calls ------------------------------------------------------------------------------------------------------- */

vdb_status store_promise(vdb_store *store, uint64_t length, vdb_error *error) {
  if (store->options.reclaim_fraction > 0) reclaim_tend(store);
  growth_tend(store);
  if (store->options.sync != VDB_SYNC_ALWAYS) return VDB_OK;
  return sync_until(store, store->view, length, error);
}

static vdb_status find_locked(vdb_store *store, const line_change *change, store_found *found,
                              vdb_error *error) {
  return view_find(store->view, &store->scratch, change->key, change->key_size, found, error);
}

static uint64_t committed_now(const vdb_store *store) {
  return atomic_load_explicit(&store->control.page->committed, memory_order_relaxed);
}

/* The key's place in the index is in no cache, as a rule: it is on its way while the lock is taken. */
static void fetch_slot(vdb_store *store, const line_change *change) {
  if (store->view == NULL) return;
  hash_index *index = &store->view->index;
  index_fetch(index, index_hash(index, change->key, change->key_size));
}

static vdb_status start_change(vdb_store *store, const vdb_key *key, line_change *change, vdb_error *error) {
  vdb_status status = store->closed ? store_enter(store, error) : VDB_OK;
  if (status == VDB_OK) status = store_key_text(store, key, &change->key_size, error);
  if (status != VDB_OK) return status;
  change->key = store->key_text;
  fetch_slot(store, change);
  change->line.timestamp = os_now();
  change->line.expiration = VDB_NEVER;
  change->line.prev = RECORD_NONE;
  return VDB_OK;
}

/* VDB_OK when what was found is the version that the change is for. NULL is any. */
static vdb_status check_version(const vdb_store *store, const store_found *found, const vdb_version *version,
                                vdb_error *error) {
  if (version == NULL) return VDB_OK;
  uint64_t line = found->exists ? found->line : RECORD_NONE;
  if (version->generation == store->view->generation && version->line == line) return VDB_OK;
  return error_set(error, VDB_CONFLICT, "the key has been written since it was read: read it again");
}

static vdb_status put_locked(vdb_store *store, line_change *change, const vdb_version *version,
                             vdb_error *error) {
  store_found found;
  vdb_status status = find_locked(store, change, &found, error);
  if (status == VDB_OK) status = check_version(store, &found, version, error);
  return status == VDB_OK ? append_line(store, change, &found, error) : status;
}

static vdb_status put_version(vdb_store *store, const vdb_key *key, const vdb_value *value,
                              const vdb_version *version, vdb_error *error) {
  line_change change = {.bytes = value->bytes};
  vdb_status status = append_check_value(value, error);
  if (status == VDB_OK) status = start_change(store, key, &change, error);
  if (status != VDB_OK) return status;
  change.line.type = RECORD_SET;
  change.line.encoding = value->encoding;
  change.line.value_size = value->size;
  if (value->expiration != 0) change.line.expiration = value->expiration;
  status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = put_locked(store, &change, version, error);
  uint64_t length = committed_now(store);
  store_unlock(store);
  return status == VDB_OK ? store_promise(store, length, error) : status;
}

/* An expired key gets its tombstone too, but was not there. */
static vdb_status delete_locked(vdb_store *store, line_change *change, const vdb_version *version,
                                vdb_error *error) {
  store_found found;
  vdb_status status = find_locked(store, change, &found, error);
  if (status == VDB_OK) status = check_version(store, &found, version, error);
  if (status != VDB_OK) return status;
  if (!found.exists || found.record.type == RECORD_DEL) return VDB_ABSENT;
  bool alive = record_alive(&found.record);
  status = append_line(store, change, &found, error);
  return status == VDB_OK && !alive ? VDB_ABSENT : status;
}

static vdb_status delete_version(vdb_store *store, const vdb_key *key, const vdb_version *version,
                                 vdb_error *error) {
  line_change change = {0};
  vdb_status status = start_change(store, key, &change, error);
  if (status != VDB_OK) return status;
  change.line.type = RECORD_DEL;
  status = store_lock(store, error);
  if (status != VDB_OK) return status;
  uint64_t before = committed_now(store);
  status = delete_locked(store, &change, version, error);
  uint64_t length = committed_now(store);
  store_unlock(store);
  if (length == before) return status;
  vdb_status synced = store_promise(store, length, error);
  return synced == VDB_OK ? status : synced;
}

vdb_status vdb_put(vdb_store *store, const vdb_key *key, const vdb_value *value, vdb_error *error) {
  return put_version(store, key, value, NULL, error);
}

vdb_status vdb_delete(vdb_store *store, const vdb_key *key, vdb_error *error) {
  return delete_version(store, key, NULL, error);
}

vdb_status vdb_change_if(vdb_store *store, const vdb_change *change, const vdb_version *version,
                         vdb_error *error) {
  if (change->value == NULL) return delete_version(store, &change->key, version, error);
  return put_version(store, &change->key, change->value, version, error);
}

/* The value is read for the new line's checksum, and stays where it is. */
static vdb_status expire_locked(vdb_store *store, line_change *change, vdb_error *error) {
  store_found found;
  const char *bytes;
  vdb_status status = find_locked(store, change, &found, error);
  if (status != VDB_OK) return status;
  if (!found.exists || found.record.type == RECORD_DEL) return VDB_ABSENT;
  if (!record_alive(&found.record)) return view_check_expired(store->view, found.line, &found.record, error);
  status = view_read_value(store->view, found.line, &found.record, &bytes, error);
  if (status != VDB_OK) return status;
  change->line.encoding = found.record.encoding;
  change->line.offset = found.record.offset;
  change->line.value_size = found.record.value_size;
  change->bytes = bytes;
  return append_line(store, change, &found, error);
}

vdb_status vdb_expire(vdb_store *store, const vdb_key *key, int64_t expiration, vdb_error *error) {
  line_change change = {.value_stays = true};
  vdb_status status = start_change(store, key, &change, error);
  if (status != VDB_OK) return status;
  change.line.type = RECORD_SET;
  if (expiration != 0) change.line.expiration = expiration;
  status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = expire_locked(store, &change, error);
  uint64_t length = committed_now(store);
  store_unlock(store);
  return status == VDB_OK ? store_promise(store, length, error) : status;
}

vdb_status store_copy_record(vdb_store *store, const record *entry, const void *bytes, vdb_error *error) {
  line_change change = {.key = entry->key, .key_size = entry->key_size, .line = *entry, .bytes = bytes};
  change.line.batch = 0;
  vdb_status status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = put_locked(store, &change, NULL, error);
  store_unlock(store);
  return status;
}
