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
** The syncers' lock is held meanwhile: who is syncing the old files must not write down their length for the new ones, and
** who asks whether the files before the exchange are on the disk must wait until the name of db.swap is.
**
** db.swap names the new logs by inode, too. A log with that inode under its final name was renamed before, even if other new
** files are there. Without such a log and without a new one the folder has lost a file, and is left alone.
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
  const control_totals *totals = &swap->totals;
  unsigned long long numbers[] = {
      swap->generation,      totals->keys,          totals->committed,
      swap->key_log_inode,   totals->key_log_live,  (unsigned long long)swap->time,
      totals->value_log_end, swap->value_log_inode, totals->value_log_live};
  static const char *const names[] = {"generation", "keys", "klog",       "klog_inode", "klog_live",
                                      "time",       "vlog", "vlog_inode", "vlog_live"};
  int size = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    size += snprintf(out + size, SWAP_SIZE - (size_t)size, "%s\"%s\": %llu", i == 0 ? "{" : ", ", names[i],
                     numbers[i]);
  size += snprintf(out + size, SWAP_SIZE - (size_t)size, "}");
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
  swap->key_log_inode = next_number(&at);
  swap->totals.key_log_live = next_number(&at);
  swap->time = (int64_t)next_number(&at);
  swap->totals.value_log_end = next_number(&at);
  swap->value_log_inode = next_number(&at);
  swap->totals.value_log_live = next_number(&at);
  char again[SWAP_SIZE];
  return print_swap(again, swap) == size && memcmp(again, text, size) == 0;
}

vdb_status swap_sync_folder(int folder, control_page *page, vdb_error *error) {
  if (os.sync_folder(folder) == 0) return VDB_OK;
  if (page != NULL) control_fail(page);
  return error_system(error, "cannot sync the store's folder");
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
  if (result == VDB_OK) result = swap_sync_folder(folder, NULL, error);
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
  size_t size = status.st_size < SWAP_SIZE ? (size_t)status.st_size : 0;
  bool read = os_read_all(file, text, size, 0) == 0;
  vdb_status result = read ? VDB_OK : error_system(error, "cannot read " SWAP_NAME);
  os.close(file);
  if (!read || (size > 0 && parse_swap(text, size, swap))) return result;
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

/* VDB_ABSENT when there is no such file. */
static vdb_status look(int folder, const char *name, struct stat *found, vdb_error *error) {
  int file = os_open_regular(folder, name, O_RDONLY, found);
  if (file >= 0) os.close(file);
  if (file >= 0) return VDB_OK;
  return errno == ENOENT ? VDB_ABSENT : error_open(error, name);
}

static vdb_status rename_log(int folder, size_t which, uint64_t inode, vdb_error *error) {
  struct stat found;
  vdb_status status = look(folder, swap_names[which], &found, error);
  if (status == VDB_OK && found.st_ino == inode) return VDB_OK;
  if (status != VDB_OK && status != VDB_ABSENT) return status;
  if (os.rename(folder, swap_new_names[which], swap_names[which]) == 0) return VDB_OK;
  if (errno != ENOENT) return error_system(error, "cannot rename %s", swap_new_names[which]);
  return error_set(error, VDB_CORRUPT,
                   "%s is missing, and " SWAP_NAME
                   " asks for it: put it back, or run viperdb.repair on a copy "
                   "of the folder",
                   swap_new_names[which]);
}

static vdb_status rename_index(int folder, vdb_error *error) {
  if (os.rename(folder, swap_new_names[2], swap_names[2]) == 0 || errno == ENOENT) return VDB_OK;
  return error_system(error, "cannot rename %s", swap_new_names[2]);
}

/* The name of db.swap gets onto the disk before any other: without it a half exchanged store could not be told. */
static vdb_status rename_new_files(int folder, control_page *page, const swap_file *swap, vdb_error *error) {
  vdb_status status = swap_sync_folder(folder, page, error);
  if (status == VDB_OK) status = rename_log(folder, 0, swap->key_log_inode, error);
  OS_STEP("renamed");
  if (status == VDB_OK) status = rename_log(folder, 1, swap->value_log_inode, error);
  OS_STEP("renamed");
  if (status == VDB_OK) status = rename_index(folder, error);
  OS_STEP("renamed");
  return status == VDB_OK ? swap_sync_folder(folder, page, error) : status;
}

static vdb_status remove_swap(int folder, control_page *page, vdb_error *error) {
  vdb_status status = remove_if_there(folder, SWAP_NAME, error);
  return status == VDB_OK ? swap_sync_folder(folder, page, error) : status;
}

static vdb_status identify(int folder, const char *name, uint64_t length, control_identity *identity,
                           vdb_error *error) {
  struct stat found;
  vdb_status status = look(folder, name, &found, error);
  if (status != VDB_OK && status != VDB_ABSENT) return status;
  if (status == VDB_ABSENT || (uint64_t)found.st_size != length)
    return error_set(error, VDB_CORRUPT, "%s is not as long as " SWAP_NAME " says: run viperdb.repair", name);
  *identity = control_identify(&found);
  return VDB_OK;
}

static vdb_status place_new_files(int folder, control_page *page, const swap_file *swap, vdb_error *error) {
  const control_totals *totals = &swap->totals;
  vdb_status status = identify(folder, KEY_LOG_NAME, totals->committed, &page->key_log, error);
  if (status == VDB_OK)
    status = identify(folder, VALUE_LOG_NAME, totals->value_log_end, &page->value_log, error);
  if (status != VDB_OK) return status;
  atomic_store(&page->key_log_allocated, totals->committed);
  atomic_store(&page->value_log_allocated, totals->value_log_end);
  control_place(page, totals);
  atomic_store(&page->applied, totals->committed);
  page->last_reclaim = swap->time;
  atomic_store_explicit(&page->generation, swap->generation, memory_order_release);
  control_set_mark(page, totals->committed, totals->value_log_end);
  return VDB_OK;
}

/* From the first to the last store no log grows: its length belongs to other files afterwards. */
static vdb_status exchange(int folder, control_handle *control, const swap_file *swap, int64_t wait,
                           vdb_error *error) {
  control_page *page = control->page;
  vdb_status status = control_lock_growth(page, wait, error);
  if (status != VDB_OK) return status;
  atomic_store_explicit(&page->generation, swap->generation - 1, memory_order_release);
  OS_STEP("odd");
  status = rename_new_files(folder, page, swap, error);
  if (status == VDB_OK) status = place_new_files(folder, page, swap, error);
  OS_STEP("even");
  control_unlock_growth(page);
  if (status != VDB_OK) return status;
  status = control_sync(control, error);
  if (status != VDB_OK) control_fail(page);
  return status;
}

vdb_status swap_finish(int folder, control_handle *control, const swap_file *swap, int64_t wait,
                       vdb_error *error) {
  vdb_status status = control_lock_sync(control->page, wait, error);
  if (status != VDB_OK) return status;
  if (atomic_load(&control->page->generation) != swap->generation)
    status = exchange(folder, control, swap, wait, error);
  control_unlock_sync(control->page);
  return status == VDB_OK ? remove_swap(folder, control->page, error) : status;
}

vdb_status swap_finish_files(int folder, const swap_file *swap, vdb_error *error) {
  vdb_status status = rename_new_files(folder, NULL, swap, error);
  return status == VDB_OK ? remove_swap(folder, NULL, error) : status;
}
