/*
** batch.c - several changes as one: all of them or none.
**
** The lines of a batch follow each other in the key log, and each says how many are still to come. They become part of
** the store by one store to `committed`, behind the last of them; a log that ends in the middle of a batch ends before it.
**
** Before the lock is taken, everything that needs memory is got: key texts, and an entry for each change. Under the lock
** the keys that were read are looked up first, then what each change replaces, then lines and values are written.
*/
#include "append.h"
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/* As many new keys find a slot each without a split, wherever they fall. */
#define FEW_KEYS 16u

typedef struct batch_entry {
  line_change change;
  bool existed;
  bool idle; /* deletes a key that is not there */
  uint64_t prev;
  record old;
} batch_entry;

typedef struct batch {
  batch_entry *entries;
  size_t count;
  line_change *reads; /* only their keys */
  size_t read_count;
  char *texts;
} batch;

static void free_batch(batch *batch_of) {
  free(batch_of->entries);
  free(batch_of->reads);
  free(batch_of->texts);
}

static vdb_status check_change(const vdb_change *change, vdb_error *error) {
  vdb_status status = record_check_key(&change->key, error);
  return status == VDB_OK && change->value != NULL ? append_check_value(change->value, error) : status;
}

static void fill_entry(batch_entry *entry, const vdb_change *change, int64_t now) {
  record *line = &entry->change.line;
  line->type = change->value == NULL ? RECORD_DEL : RECORD_SET;
  line->timestamp = now;
  line->expiration = VDB_NEVER;
  if (change->value == NULL) return;
  entry->change.bytes = change->value->bytes;
  line->encoding = change->value->encoding;
  line->value_size = change->value->size;
  if (change->value->expiration != 0) line->expiration = change->value->expiration;
}

static char *print_text(char *at, const vdb_key *key, line_change *change) {
  change->key = at;
  change->key_size = record_print_key(at, key);
  return at + change->key_size;
}

static vdb_status get_memory(batch *batch_of, size_t text_room, vdb_error *error) {
  batch_of->texts = malloc(text_room + 1);
  batch_of->entries = calloc(batch_of->count + 1, sizeof *batch_of->entries);
  batch_of->reads = calloc(batch_of->read_count + 1, sizeof *batch_of->reads);
  if (batch_of->texts != NULL && batch_of->entries != NULL && batch_of->reads != NULL) return VDB_OK;
  free_batch(batch_of);
  *batch_of = (batch){0};
  return error_set(error, VDB_NO_MEMORY, "out of memory");
}

static vdb_status prepare(batch *batch_of, const vdb_key *reads, const vdb_change *changes,
                          vdb_error *error) {
  size_t room = 0;
  vdb_status status = VDB_OK;
  for (size_t i = 0; i < batch_of->count && status == VDB_OK; i++) {
    status = check_change(&changes[i], error);
    if (status == VDB_OK) room += record_key_bound(&changes[i].key);
  }
  for (size_t i = 0; i < batch_of->read_count && status == VDB_OK; i++) {
    status = record_check_key(&reads[i], error);
    if (status == VDB_OK) room += record_key_bound(&reads[i]);
  }
  if (status == VDB_OK) status = get_memory(batch_of, room, error);
  if (status != VDB_OK) return status;
  char *at = batch_of->texts;
  int64_t now = os_now();
  for (size_t i = 0; i < batch_of->count; i++) {
    at = print_text(at, &changes[i].key, &batch_of->entries[i].change);
    fill_entry(&batch_of->entries[i], &changes[i], now);
  }
  for (size_t i = 0; i < batch_of->read_count; i++) at = print_text(at, &reads[i], &batch_of->reads[i]);
  return VDB_OK;
}

static int by_key(const void *left, const void *right) {
  const line_change *a = *(const line_change *const *)left, *b = *(const line_change *const *)right;
  if (a->key_size != b->key_size) return a->key_size < b->key_size ? -1 : 1;
  return memcmp(a->key, b->key, a->key_size);
}

static vdb_status check_distinct(const batch *batch_of, vdb_error *error) {
  if (batch_of->count < 2) return VDB_OK;
  const line_change **order = malloc(batch_of->count * sizeof *order);
  if (order == NULL) return error_set(error, VDB_NO_MEMORY, "out of memory");
  for (size_t i = 0; i < batch_of->count; i++) order[i] = &batch_of->entries[i].change;
  qsort(order, batch_of->count, sizeof *order, by_key);
  bool twice = false;
  for (size_t i = 1; i < batch_of->count && !twice; i++) twice = by_key(&order[i - 1], &order[i]) == 0;
  free(order);
  return twice ? error_set(error, VDB_TYPE, "a batch can change each key only once") : VDB_OK;
}

static vdb_status conflict(vdb_error *error) {
  return error_set(error, VDB_CONFLICT,
                   "a key that was read has been written since: try again with a new snapshot");
}

static vdb_status check_reads(vdb_store *store, const vdb_snapshot *snapshot, const batch *batch_of,
                              vdb_error *error) {
  if (snapshot == NULL) return VDB_OK;
  if (snapshot->view->generation != store->view->generation) return conflict(error);
  for (size_t i = 0; i < batch_of->read_count; i++) {
    store_found found;
    const line_change *read = &batch_of->reads[i];
    vdb_status status = view_find(store->view, &store->scratch, read->key, read->key_size, &found, error);
    if (status != VDB_OK) return status;
    if (found.exists && found.line >= snapshot->end) return conflict(error);
  }
  return VDB_OK;
}

static vdb_status find_old(vdb_store *store, batch *batch_of, uint64_t *lines, vdb_error *error) {
  *lines = 0;
  for (size_t i = 0; i < batch_of->count; i++) {
    batch_entry *entry = &batch_of->entries[i];
    store_found found;
    vdb_status status =
        view_find(store->view, &store->scratch, entry->change.key, entry->change.key_size, &found, error);
    if (status != VDB_OK) return status;
    bool nothing = !found.exists || found.record.type == RECORD_DEL;
    entry->idle = entry->change.line.type == RECORD_DEL && nothing;
    entry->existed = found.exists;
    entry->prev = found.exists ? found.line : RECORD_NONE;
    if (found.exists) entry->old = found.record;
    if (entry->idle) continue;
    ++*lines;
    status = append_ensure_slot(store, store->view, &entry->change, &found, error);
    if (status != VDB_OK) return status;
  }
  return *lines > FEW_KEYS ? index_reserve(&store->view->index, *lines, error) : VDB_OK;
}

static vdb_status write_lines(vdb_store *store, batch *batch_of, uint64_t lines, control_totals *totals,
                              vdb_error *error) {
  for (size_t i = 0; i < batch_of->count; i++) {
    batch_entry *entry = &batch_of->entries[i];
    if (entry->idle) continue;
    entry->change.line.batch = --lines;
    vdb_status status = append_write(store, totals, &entry->change, entry->prev, error);
    if (status != VDB_OK) return status;
    append_count(totals, entry->existed, &entry->old, &entry->change.line);
  }
  return VDB_OK;
}

/* The lines are read again for the index when they are committed, and then there is no way back. */
static vdb_status cover_lines(store_view *view, uint64_t committed, vdb_error *error) {
  vdb_status status = log_cover(&view->key_log, committed, error);
  return status == VDB_OK ? log_cover(&view->key_log, view->key_log.size, error) : status;
}

/* Once committed, the batch has happened. If the index can't follow now, the next who locks makes it follow. */
static vdb_status write_batch(vdb_store *store, batch *batch_of, vdb_error *error) {
  control_page *page = store->control.page;
  control_totals totals = *control_now(page);
  uint64_t lines;
  vdb_status status = find_old(store, batch_of, &lines, error);
  if (status != VDB_OK || lines == 0) return status;
  status = write_lines(store, batch_of, lines, &totals, error);
  if (status == VDB_OK) status = cover_lines(store->view, totals.committed, error);
  if (status != VDB_OK) {
    atomic_store_explicit(&page->unrepaired, 1, memory_order_release);
    return status;
  }
  control_commit(page, &totals);
  if (store_replay(store, store->view, false, NULL) != VDB_OK)
    atomic_store_explicit(&page->unrepaired, 1, memory_order_release);
  OS_STEP("applied");
  return VDB_OK;
}

static vdb_status commit_locked(vdb_store *store, const vdb_snapshot *snapshot, batch *batch_of,
                                uint64_t *length, vdb_error *error) {
  vdb_status status = store_lock(store, error);
  if (status != VDB_OK) return status;
  status = check_reads(store, snapshot, batch_of, error);
  if (status == VDB_OK) status = write_batch(store, batch_of, error);
  *length = atomic_load_explicit(&store->control.page->committed, memory_order_relaxed);
  store_unlock(store);
  return status;
}

vdb_status vdb_commit(vdb_store *store, const vdb_snapshot *snapshot, const vdb_key *reads, size_t read_count,
                      const vdb_change *changes, size_t change_count, vdb_error *error) {
  batch batch_of = {.count = change_count, .read_count = read_count};
  uint64_t length;
  vdb_status status = prepare(&batch_of, reads, changes, error);
  if (status == VDB_OK) status = check_distinct(&batch_of, error);
  if (status == VDB_OK) status = commit_locked(store, snapshot, &batch_of, &length, error);
  if (status == VDB_OK) status = store_promise(store, length, error);
  free_batch(&batch_of);
  return status;
}
