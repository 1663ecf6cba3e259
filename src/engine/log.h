/*
** log.h - one append-only file: reserve, append, read, sync, cut.
**
** A log is read through one shared read-only mapping and written through a writable window on its tail, so that
** a stray write in the host can't change what was committed. Where the log ends is not known here: the control
** page knows. `allocated` below is the file's length in the control page; it is changed under the growth lock only.
**
** A log_file belongs to one store handle and is used by one thread at a time. Appending calls are made under the
** writers' lock; reading needs no lock.
*/
#ifndef VIPERDB_LOG_H
#define VIPERDB_LOG_H

#include <stdatomic.h>

#include "os.h"
#include "viperdb.h"

#pragma GCC visibility push(hidden)

#ifndef LOG_EXTENT
#define LOG_EXTENT ((size_t)256 * 1024) /* bytes of filler that a log grows by; a multiple of the page */
#endif

/* Values from here on go to the file by pwrite: copying them through fresh page mappings is slower. */
#define LOG_BIG_WRITE ((size_t)16 * 1024)

typedef struct log_file {
  int file;         /* -1 when not open */
  const char *name; /* for messages */
  char filler;      /* what the file holds beyond its committed end */
  const char *base; /* read-only mapping of [0, mapped); may reach beyond the file's end */
  size_t mapped;
  uint64_t size; /* bytes of the file as last asked: nothing behind is touched */
  char *window;  /* writable mapping of [window_start, window_start + window_size), NULL for none */
  uint64_t window_start;
  size_t window_size;
} log_file;

void log_init(log_file *log, const char *name, char filler);

/* Opens `name` in the folder; *status is its fstat. `flags` as open(2). On failure the log stays closed. */
vdb_status log_open(log_file *log, int folder, int flags, struct stat *status, vdb_error *error);

/* The same for a log that has `new_name` until it is renamed, which may have happened already. */
vdb_status log_open_renamed(log_file *log, int folder, const char *new_name, int flags, struct stat *status,
                            vdb_error *error);

/* Unmaps and closes; a closed log is fine. */
void log_close(log_file *log);

/* Asks for the file's size again. */
vdb_status log_measure(log_file *log, vdb_error *error);

/*
** Makes [0, length) readable at log->base. VDB_CORRUPT when the file is shorter. May move the mapping: pointers into
** it are dead then.
*/
vdb_status log_cover(log_file *log, uint64_t length, vdb_error *error);

/* Whether [tail, tail + size) can be written without making the file longer, for which the growth lock is needed. */
static inline bool log_has_room(uint64_t tail, size_t size, const _Atomic uint64_t *allocated) {
  return tail + size <= atomic_load_explicit(allocated, memory_order_acquire);
}

/* Makes the file an extent longer. 0, or -1 and errno, and nothing has changed. Under the growth lock. */
int log_extend(const log_file *log, _Atomic uint64_t *allocated);

/*
** Makes [tail, tail + size) writable through log_tail, extending the file when it is shorter. `spare` more bytes
** must fit behind it: what puts leave free there, tombstones can still use on a full disk. VDB_FULL changes
** nothing.
*/
vdb_status log_reserve(log_file *log, uint64_t tail, size_t size, size_t spare, _Atomic uint64_t *allocated,
                       vdb_error *error);

/* The writable memory of a reserved offset. */
static inline char *log_tail(const log_file *log, uint64_t offset) {
  return log->window + (offset - log->window_start);
}

/* Whether what was written last before `offset` went through the window. */
static inline bool log_in_window(const log_file *log, uint64_t offset) {
  return log->window != NULL && offset - log->window_start <= log->window_size;
}

/* Writes bytes at the tail through the file. On failure what was written is filler again or beyond `allocated`. */
vdb_status log_write_big(log_file *log, uint64_t tail, const void *bytes, size_t size,
                         _Atomic uint64_t *allocated, vdb_error *error);

/* Writes filler over [from, to). */
vdb_status log_refill(log_file *log, uint64_t from, uint64_t to, vdb_error *error);

/* fdatasync. The caller never tries again after a failure. */
vdb_status log_sync(log_file *log, vdb_error *error);

/* Cuts the file to its committed length. */
vdb_status log_cut(log_file *log, uint64_t length, vdb_error *error);

#pragma GCC visibility pop

#endif
