/*
** log.c - one append-only file: reserve, append, read, sync, cut.
**
**     0                                committed          allocated = file's end
**     | records, never changed again ...   | filler ........ |
**     [ read-only mapping of everything, and more than the file holds ............... ]
**                                    [ writable window ..... ]
**
** The file grows by writing real filler, never by truncation upwards or a sparse mapping: a full disk then answers
** pwrite with an errno, where a store into a hole would answer the process with SIGBUS. After that, appending is
** storing to memory. What is stored there belongs to the page cache at once, so it survives the process.
**
** A crash leaves filler, or part of an append beyond the committed end, which log_refill turns into filler again.
** Both are what any reader of the format takes as the end.
*/
#define _GNU_SOURCE

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"

void log_init(log_file *log, const char *name, char filler) {
  *log = (log_file){.file = -1, .name = name, .filler = filler};
}

vdb_status log_open(log_file *log, int folder, int flags, struct stat *status, vdb_error *error) {
  log->file = os_open_regular(folder, log->name, flags, status);
  if (log->file < 0) return error_open(error, log->name);
  log->size = (uint64_t)status->st_size;
  return VDB_OK;
}

vdb_status log_open_renamed(log_file *log, int folder, const char *new_name, int flags, struct stat *status,
                            vdb_error *error) {
  log->file = os_open_regular(folder, new_name, flags, status);
  if (log->file < 0 && errno == ENOENT) return log_open(log, folder, flags, status, error);
  if (log->file < 0) return error_open(error, new_name);
  log->size = (uint64_t)status->st_size;
  return VDB_OK;
}

static void drop_window(log_file *log) {
  if (log->window != NULL) os.unmap(log->window, log->window_size);
  log->window = NULL;
}

void log_close(log_file *log) {
  drop_window(log);
  if (log->base != NULL) os.unmap((void *)log->base, log->mapped);
  if (log->file >= 0) os.close(log->file);
  log_init(log, log->name, log->filler);
}

static uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

static vdb_status map_log(log_file *log, uint64_t length, vdb_error *error) {
  size_t mapped;
  void *fresh = os_map_growing(log->file, length, OS_MAP_READ, &mapped);
  if (fresh == MAP_FAILED) return error_system(error, "cannot map %s", log->name);
  if (log->base != NULL) os.unmap((void *)log->base, log->mapped);
  log->base = fresh;
  log->mapped = mapped;
  return VDB_OK;
}

vdb_status log_measure(log_file *log, vdb_error *error) {
  struct stat status;
  if (os.status(log->file, &status) != 0)
    return error_system(error, "cannot ask for the size of %s", log->name);
  log->size = (uint64_t)status.st_size;
  return VDB_OK;
}

vdb_status log_cover(log_file *log, uint64_t length, vdb_error *error) {
  vdb_status status = length > log->size ? log_measure(log, error) : VDB_OK;
  if (status != VDB_OK) return status;
  if (length > log->size)
    return error_set(error, VDB_CORRUPT,
                     "%s ends at byte %llu, but what lies before byte %llu is asked for: run "
                     "viperdb.repair",
                     log->name, (unsigned long long)log->size, (unsigned long long)length);
  return length <= log->mapped ? VDB_OK : map_log(log, length, error);
}

/*
** A write beyond RLIMIT_FSIZE raises SIGXFSZ, whose default ends the host; so the limit is asked first.
*/
static int check_size_limit(uint64_t length) {
  uint64_t limit;
  if (os.size_limit(&limit) != 0) return -1;
  if (length <= limit && length <= (uint64_t)INT64_MAX) return 0;
  errno = EFBIG;
  return -1;
}

static int write_filler(const log_file *log, uint64_t from, uint64_t to) {
  char block[16 * 1024];
  memset(block, log->filler, sizeof block);
  while (from < to) {
    size_t size = to - from < sizeof block ? (size_t)(to - from) : sizeof block;
    if (os_write_all(log->file, block, size, from) != 0) return -1;
    from += size;
  }
  return 0;
}

/*
** Filler that was written before the disk was full is given back. Should that fail too, it stays behind the
** recorded end, where the next extension writes over it.
*/
static int extend(const log_file *log, uint64_t length, _Atomic uint64_t *allocated) {
  uint64_t old = atomic_load_explicit(allocated, memory_order_relaxed);
  if (check_size_limit(length) != 0) return -1;
  if (write_filler(log, old, length) != 0) {
    int reason = errno;
    (void)os.cut(log->file, (off_t)old);
    errno = reason;
    return -1;
  }
  atomic_store_explicit(allocated, length, memory_order_release);
  return 0;
}

int log_extend(const log_file *log, _Atomic uint64_t *allocated) {
  uint64_t have = atomic_load_explicit(allocated, memory_order_relaxed);
  return extend(log, round_up(have + 1, LOG_EXTENT), allocated);
}

/* First with the spare and a whole extent, then, on a disk that is nearly full, with what is needed now. */
static vdb_status ensure_allocated(log_file *log, uint64_t needed, size_t spare, _Atomic uint64_t *allocated,
                                   vdb_error *error) {
  if (log_has_room(needed, spare, allocated)) return VDB_OK;
  uint64_t generous = round_up(needed + spare + LOG_EXTENT / 2, LOG_EXTENT);
  if (extend(log, generous, allocated) == 0) return VDB_OK;
  uint64_t modest = round_up(needed + spare, os_page());
  if (extend(log, modest, allocated) == 0) return VDB_OK;
  return error_system(error, "cannot extend %s to %llu bytes, nothing was written", log->name,
                      (unsigned long long)needed);
}

static vdb_status move_window(log_file *log, uint64_t tail, uint64_t needed, uint64_t allocated,
                              vdb_error *error) {
  uint64_t start = tail / os_page() * os_page();
  uint64_t end = needed - start < LOG_EXTENT ? start + LOG_EXTENT : needed;
  if (end > allocated) end = allocated;
  drop_window(log);
  void *window = os.map(log->file, (size_t)(end - start), (off_t)start, OS_MAP_WRITE_NOW);
  if (window == MAP_FAILED) return error_system(error, "cannot map the end of %s", log->name);
  log->window = window;
  log->window_start = start;
  log->window_size = (size_t)(end - start);
  return VDB_OK;
}

vdb_status log_reserve(log_file *log, uint64_t tail, size_t size, size_t spare, _Atomic uint64_t *allocated,
                       vdb_error *error) {
  uint64_t needed = tail + size;
  vdb_status status = ensure_allocated(log, needed, spare, allocated, error);
  if (status != VDB_OK) return status;
  bool inside =
      log->window != NULL && tail >= log->window_start && needed <= log->window_start + log->window_size;
  if (inside) return VDB_OK;
  return move_window(log, tail, needed, atomic_load_explicit(allocated, memory_order_relaxed), error);
}

vdb_status log_write_big(log_file *log, uint64_t tail, const void *bytes, size_t size,
                         _Atomic uint64_t *allocated, vdb_error *error) {
  uint64_t old = atomic_load_explicit(allocated, memory_order_relaxed);
  uint64_t needed = tail + size;
  if (check_size_limit(needed) == 0 && os_write_all(log->file, bytes, size, tail) == 0) {
    if (needed > old) atomic_store_explicit(allocated, needed, memory_order_release);
    return VDB_OK;
  }
  vdb_status status = error_system(error, "cannot write %zu bytes to %s", size, log->name);
  if (needed > old) (void)os.cut(log->file, (off_t)old);
  return status;
}

vdb_status log_refill(log_file *log, uint64_t from, uint64_t to, vdb_error *error) {
  if (from >= to || write_filler(log, from, to) == 0) return VDB_OK;
  return error_system(error, "cannot clear the end of %s", log->name);
}

vdb_status log_sync(log_file *log, vdb_error *error) {
  if (os.sync(log->file) == 0) return VDB_OK;
  return error_system(error, "cannot sync %s", log->name);
}

vdb_status log_cut(log_file *log, uint64_t length, vdb_error *error) {
  drop_window(log);
  if (os.cut(log->file, (off_t)length) == 0) return VDB_OK;
  return error_system(error, "cannot cut %s to %llu bytes", log->name, (unsigned long long)length);
}
