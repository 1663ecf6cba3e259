/*
** append.c - writing lines and their values at the ends of the logs. Under the writers' lock.
**
** All that can fail comes before the first byte is written: room in the index, in the key log and in the value log.
** From then on there are only stores to memory, in the order that control.c explains; but for a big value, which is
** written through the file and leaves filler behind when that fails.
*/
#include "append.h"

#include <string.h>

#include "error.h"

/* What puts leave free at the end of the key log, so that keys can still be deleted on a full disk. */
#define TOMBSTONE_SPARE ((size_t)16 * 1024)

/* The index has 48 bits for a line's offset. */
#define KEY_LOG_MAX ((UINT64_C(1) << 48) - (UINT64_C(1) << 21))

vdb_status append_check_value(const vdb_value *value, vdb_error *error) {
  if (value->size > VDB_MAX_VALUE_SIZE)
    return error_set(error, VDB_TOO_BIG, "the value has %zu bytes: at most %llu can be stored", value->size,
                     (unsigned long long)VDB_MAX_VALUE_SIZE);
  if ((unsigned)value->encoding <= VDB_PICKLE) return VDB_OK;
  return error_set(error, VDB_TYPE, "the value has the unknown encoding %d: use one of vdb_encoding",
                   (int)value->encoding);
}

static uint64_t without(uint64_t total, uint64_t part) {
  return total > part ? total - part : 0;
}

/* The totals are counts for people; a damaged page must not make them wrap around. */
void append_count(control_totals *totals, bool existed, const record *old, const record *line) {
  if (existed && old->type == RECORD_SET) {
    totals->keys = without(totals->keys, 1);
    totals->key_log_live = without(totals->key_log_live, old->line_size);
    totals->value_log_live = without(totals->value_log_live, old->value_size);
  }
  if (line->type == RECORD_DEL) return;
  totals->keys++;
  totals->key_log_live += line->line_size;
  totals->value_log_live += line->value_size;
}

vdb_status append_lock_growth(vdb_store *store, const control_totals *totals, vdb_error *error) {
  control_page *page = store->control.page;
  vdb_status status = control_lock_growth(page, store->wait, error);
  if (status != VDB_OK) return status;
  if (log_has_room(totals->committed, 0, &page->key_log_allocated) &&
      log_has_room(totals->value_log_end, 0, &page->value_log_allocated))
    return VDB_OK;
  control_unlock_growth(page);
  return error_set(error, VDB_CORRUPT,
                   CONTROL_NAME " is damaged: close the store in all processes and open it again");
}

/* A log and how much of it is to be written. */
typedef struct log_part {
  log_file *log;
  _Atomic uint64_t *allocated;
  uint64_t tail;
  size_t size, spare;
} log_part;

static vdb_status reserve(vdb_store *store, const control_totals *totals, const log_part *part,
                          vdb_error *error) {
  bool grows = !log_has_room(part->tail, part->size + part->spare, part->allocated);
  vdb_status status = grows ? append_lock_growth(store, totals, error) : VDB_OK;
  if (status != VDB_OK) return status;
  status = log_reserve(part->log, part->tail, part->size, part->spare, part->allocated, error);
  if (grows) control_unlock_growth(store->control.page);
  return status;
}

/* What goes into the value log. */
static size_t value_bytes(const line_change *change) {
  return change->line.type == RECORD_DEL || change->value_stays ? 0 : (size_t)change->line.value_size;
}

static vdb_status reserve_logs(vdb_store *store, const control_totals *totals, const line_change *change,
                               vdb_error *error) {
  control_page *page = store->control.page;
  log_part line = {.log = &store->view->key_log,
                   .allocated = &page->key_log_allocated,
                   .tail = totals->committed,
                   .size = record_bound(change->key_size),
                   .spare = change->line.type == RECORD_SET ? TOMBSTONE_SPARE : 0};
  if (totals->committed > KEY_LOG_MAX)
    return error_set(error, VDB_FULL, KEY_LOG_NAME " has reached its greatest length");
  vdb_status status = reserve(store, totals, &line, error);
  size_t size = value_bytes(change);
  if (status != VDB_OK || size == 0 || size > LOG_BIG_WRITE) return status;
  log_part value = {.log = &store->view->value_log,
                    .allocated = &page->value_log_allocated,
                    .tail = totals->value_log_end,
                    .size = size};
  return reserve(store, totals, &value, error);
}

static vdb_status write_big_value(vdb_store *store, const control_totals *totals, const void *bytes,
                                  size_t size, vdb_error *error) {
  control_page *page = store->control.page;
  uint64_t tail = totals->value_log_end;
  bool grows = !log_has_room(tail, size, &page->value_log_allocated);
  vdb_status status = grows ? append_lock_growth(store, totals, error) : VDB_OK;
  if (status != VDB_OK) return status;
  status = log_write_big(&store->view->value_log, tail, bytes, size, &page->value_log_allocated, error);
  if (grows) control_unlock_growth(page);
  if (status != VDB_OK) atomic_store_explicit(&page->unrepaired, 1, memory_order_release);
  return status;
}

static vdb_status write_value(vdb_store *store, control_totals *totals, line_change *change,
                              vdb_error *error) {
  size_t size = (size_t)change->line.value_size;
  if (change->line.type == RECORD_DEL || change->value_stays) return VDB_OK;
  change->line.offset = totals->value_log_end;
  if (size > LOG_BIG_WRITE) {
    vdb_status status = write_big_value(store, totals, change->bytes, size, error);
    if (status != VDB_OK) return status;
  } else if (size > 0) {
    memcpy(log_tail(&store->view->value_log, totals->value_log_end), change->bytes, size);
  }
  totals->value_log_end += size;
  OS_STEP("value");
  return VDB_OK;
}

vdb_status append_write(vdb_store *store, control_totals *totals, line_change *change, uint64_t prev,
                        vdb_error *error) {
  size_t size = value_bytes(change);
  vdb_status status = reserve_logs(store, totals, change, error);
  if (status != VDB_OK) return status;
  control_touch(store->control.page, totals->committed + record_bound(change->key_size),
                totals->value_log_end + size);
  status = write_value(store, totals, change, error);
  if (status != VDB_OK) return status;
  change->line.key = change->key;
  change->line.key_size = change->key_size;
  change->line.prev = prev;
  totals->committed +=
      record_print(log_tail(&store->view->key_log, totals->committed), &change->line, change->bytes);
  OS_STEP("line");
  return VDB_OK;
}

static void publish(control_page *page, store_view *view, store_found *found, const control_totals *totals,
                    const record *line) {
  uint64_t start = totals->committed - line->line_size;
  control_commit(page, totals);
  index_publish(&view->index, &found->probe, start, line->type == RECORD_SET ? line->offset : 0);
  atomic_store_explicit(&page->applied, totals->committed, memory_order_release);
  OS_STEP("applied");
}

/* A new key needs a free slot, and making room may have moved the one that the search ended at. */
vdb_status append_ensure_slot(vdb_store *store, store_view *view, const line_change *change,
                              store_found *found, vdb_error *error) {
  if (found->exists) return VDB_OK;
  vdb_status status = index_make_room(&view->index, found->probe.hash, error);
  if (status != VDB_OK || (index_unchanged(&view->index, &found->probe) && found->probe.slot != NULL))
    return status;
  status = view_find(view, &store->scratch, change->key, change->key_size, found, error);
  if (status == VDB_OK && found->probe.slot == NULL)
    return error_set(error, VDB_CORRUPT,
                     INDEX_NAME " is damaged: close the store in all processes, delete " INDEX_NAME
                                ", open it again");
  return status;
}

vdb_status append_line(vdb_store *store, line_change *change, store_found *found, vdb_error *error) {
  control_page *page = store->control.page;
  store_view *view = store->view;
  control_totals totals = *control_now(page);
  vdb_status status = append_ensure_slot(store, view, change, found, error);
  if (status == VDB_OK)
    status = append_write(store, &totals, change, found->exists ? found->line : RECORD_NONE, error);
  if (status != VDB_OK) return status;
  append_count(&totals, found->exists, &found->record, &change->line);
  publish(page, view, found, &totals, &change->line);
  return VDB_OK;
}
