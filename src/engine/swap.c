/*
** swap.c - exchanging a store's files for new ones; the one commit point of reclaim.
**
** When the new files are whole and on the disk, db.swap is written under another name, synced, and renamed: that rename
** is the commit point. A death before leaves *.new files that nobody asks for; they are deleted by the next who looks.
** After it, the rest is renames and stores that can be done again from db.swap alone, by whoever comes next:
**
**   generation odd      readers stay with the files that they have; nobody opens others
**   *.new -> *          each rename is there or not
**   control page        lengths, totals and identities of the new files, from db.swap
**   generation even     readers open the new files at their next call
**   control page synced, db.swap removed
**
** Only the last store of a finished exchange makes the generation that of db.swap, so a db.swap of the generation that
** the page already has is done with: it may be back after power loss, when much has been written since.
**
** The syncers' lock is held meanwhile: who is syncing the old files must not write down their length for the new ones.
*/
#define _GNU_SOURCE

#include "swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "error.h"

#define SWAP_NAME "db.swap"
#define SWAP_TEMPORARY "db.swap.new"

const char *const swap_names[SWAP_FILES] = {KEY_LOG_NAME, VALUE_LOG_NAME, INDEX_NAME};
const char *const swap_new_names[SWAP_FILES] = {KEY_LOG_NAME ".new", VALUE_LOG_NAME ".new",
                                                INDEX_NAME ".new"};

#define SWAP_SIZE 512

static size_t print_swap(char out[SWAP_SIZE], const swap_file *swap) {
  int size =
      snprintf(out, SWAP_SIZE,
               "{\"generation\": %llu, \"keys\": %llu, \"klog\": %llu, \"klog_live\": %llu, \"time\": %lld, "
               "\"vlog\": %llu, \"vlog_live\": %llu}",
               (unsigned long long)swap->generation, (unsigned long long)swap->totals.keys,
               (unsigned long long)swap->totals.committed, (unsigned long long)swap->totals.key_log_live,
               (long long)swap->time, (unsigned long long)swap->totals.value_log_end,
               (unsigned long long)swap->totals.value_log_live);
  uint32_t crc = crc32_update(0, out, (size_t)size);
  size +=
      snprintf(out + size - 1, SWAP_SIZE - (size_t)size, ", \"checksum\": %lu}\n", (unsigned long)crc) - 1;
  return (size_t)size;
}

/* The number behind the next colon. */
static uint64_t next_number(const char **text) {
  *text += strcspn(*text, ":");
  if (**text == ':') ++*text;
  return strtoull(*text, NULL, 10);
}

/* What was read must print as the same bytes; that checks its form and its checksum in one. */
static bool parse_swap(const char *text, size_t size, swap_file *swap) {
  const char *at = text;
  swap->generation = next_number(&at);
  swap->totals.keys = next_number(&at);
  swap->totals.committed = next_number(&at);
  swap->totals.key_log_live = next_number(&at);
  swap->time = (int64_t)next_number(&at);
  swap->totals.value_log_end = next_number(&at);
  swap->totals.value_log_live = next_number(&at);
  char again[SWAP_SIZE];
  return print_swap(again, swap) == size && memcmp(again, text, size) == 0;
}

vdb_status swap_write(int folder, const swap_file *swap, vdb_error *error) {
  char text[SWAP_SIZE];
  size_t size = print_swap(text, swap);
  struct stat status;
  int file = os_open_regular(folder, SWAP_TEMPORARY, O_RDWR | O_CREAT | O_TRUNC, &status);
  if (file < 0) return error_system(error, "cannot make " SWAP_TEMPORARY);
  bool written = os_write_all(file, text, size, 0) == 0 && os.sync(file) == 0;
  vdb_status result = written ? VDB_OK : error_system(error, "cannot write " SWAP_TEMPORARY);
  os.close(file);
  OS_STEP("before swap");
  if (result == VDB_OK && os.rename(folder, SWAP_TEMPORARY, SWAP_NAME) != 0)
    result = error_system(error, "cannot rename " SWAP_TEMPORARY);
  OS_STEP("swap");
  return result;
}

/* VDB_ABSENT when there is no swap file. */
vdb_status swap_read(int folder, swap_file *swap, vdb_error *error) {
  struct stat status;
  int file = os_open_regular(folder, SWAP_NAME, O_RDONLY, &status);
  if (file < 0 && errno == ENOENT) return VDB_ABSENT;
  if (file < 0) return error_open(error, SWAP_NAME);
  char text[SWAP_SIZE + 1] = {0};
  vdb_status result = VDB_CORRUPT;
  if (status.st_size < SWAP_SIZE && os_read_all(file, text, (size_t)status.st_size, 0) == 0 &&
      parse_swap(text, (size_t)status.st_size, swap))
    result = VDB_OK;
  os.close(file);
  if (result == VDB_OK) return VDB_OK;
  return error_set(error, VDB_CORRUPT,
                   SWAP_NAME " is damaged: a reclaim was interrupted and can't be finished; keep "
                             "a copy of the folder and run viperdb.repair on it");
}

static vdb_status remove_if_there(int folder, const char *name, vdb_error *error) {
  if (os.remove(folder, name) == 0 || errno == ENOENT) return VDB_OK;
  return error_system(error, "cannot remove %s", name);
}

vdb_status swap_remove_new_files(int folder, vdb_error *error) {
  vdb_status status = remove_if_there(folder, SWAP_TEMPORARY, error);
  for (size_t i = 0; i < SWAP_FILES && status == VDB_OK; i++)
    status = remove_if_there(folder, swap_new_names[i], error);
  return status;
}

/* The name of db.swap gets onto the disk before any other: without it a half exchanged store could not be told. */
static vdb_status rename_new_files(int folder, vdb_error *error) {
  if (os.sync_folder(folder) != 0) return error_system(error, "cannot sync the store's folder");
  for (size_t i = 0; i < SWAP_FILES; i++) {
    if (os.rename(folder, swap_new_names[i], swap_names[i]) != 0 && errno != ENOENT)
      return error_system(error, "cannot rename %s", swap_new_names[i]);
    OS_STEP("renamed");
  }
  if (os.sync_folder(folder) != 0) return error_system(error, "cannot sync the store's folder");
  return VDB_OK;
}

static vdb_status remove_swap(int folder, vdb_error *error) {
  vdb_status status = remove_if_there(folder, SWAP_NAME, error);
  if (status == VDB_OK && os.sync_folder(folder) != 0)
    status = error_system(error, "cannot sync the store's folder");
  return status;
}

static vdb_status identify(int folder, const char *name, control_identity *identity, uint64_t *size,
                           vdb_error *error) {
  struct stat status;
  int file = os_open_regular(folder, name, O_RDONLY, &status);
  if (file < 0) return error_open(error, name);
  *identity = control_identify(&status);
  *size = (uint64_t)status.st_size;
  os.close(file);
  return VDB_OK;
}

static vdb_status place_new_files(int folder, control_page *page, const swap_file *swap, vdb_error *error) {
  uint64_t key_log, value_log;
  vdb_status status = identify(folder, KEY_LOG_NAME, &page->key_log, &key_log, error);
  if (status == VDB_OK) status = identify(folder, VALUE_LOG_NAME, &page->value_log, &value_log, error);
  if (status != VDB_OK) return status;
  if (key_log < swap->totals.committed || value_log < swap->totals.value_log_end)
    return error_set(error, VDB_CORRUPT, "the logs are shorter than " SWAP_NAME " says: run viperdb.repair");
  atomic_store(&page->key_log_allocated, key_log);
  atomic_store(&page->value_log_allocated, value_log);
  control_place(page, &swap->totals);
  atomic_store(&page->applied, swap->totals.committed);
  page->last_reclaim = swap->time;
  atomic_store_explicit(&page->generation, swap->generation, memory_order_release);
  control_set_mark(page, swap->totals.committed, swap->totals.value_log_end);
  return VDB_OK;
}

static vdb_status exchange(int folder, control_handle *control, const swap_file *swap, vdb_error *error) {
  control_page *page = control->page;
  atomic_store_explicit(&page->generation, swap->generation - 1, memory_order_release);
  OS_STEP("odd");
  vdb_status status = rename_new_files(folder, error);
  if (status == VDB_OK) status = place_new_files(folder, page, swap, error);
  OS_STEP("even");
  return status == VDB_OK ? control_sync(control, error) : status;
}

vdb_status swap_finish(int folder, control_handle *control, const swap_file *swap, int64_t wait,
                       vdb_error *error) {
  vdb_status status = control_lock_sync(control->page, wait, error);
  if (status != VDB_OK) return status;
  if (atomic_load(&control->page->generation) != swap->generation)
    status = exchange(folder, control, swap, error);
  control_unlock_sync(control->page);
  return status == VDB_OK ? remove_swap(folder, error) : status;
}

vdb_status swap_finish_files(int folder, vdb_error *error) {
  vdb_status status = rename_new_files(folder, error);
  return status == VDB_OK ? remove_swap(folder, error) : status;
}
