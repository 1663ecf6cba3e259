/*
** viperdb.h - the engine's public contract.
**
** ViperDB keeps keys and values in a folder: a key log (text, one JSON object a line), a value log
** (raw bytes) and a hash index that can be rebuilt from them. This header is all a C program needs.
**
**   vdb_store *store;
**   vdb_error error;
**   if (vdb_open("./db", NULL, &store, &error) != VDB_OK) { puts(error.message); exit(1); }
**
**   vdb_key key = vdb_string("hello", 5);
**   vdb_value value = {.encoding = VDB_BYTES, .bytes = "world", .size = 5};
**   vdb_put(store, &key, &value, &error);
**   if (vdb_get(store, &key, &value, &error) == VDB_OK) fwrite(value.bytes, 1, value.size, stdout);
**
**   vdb_walk *walk;
**   vdb_walk_begin(store, &walk, &error);
**   while (vdb_walk_next(walk, &key, &value, &error) == VDB_OK) ...
**   vdb_walk_end(walk);
**   vdb_close(store, &error);
**
** Results. Every call that can fail returns a vdb_status and fills the caller's vdb_error when it is
** neither VDB_OK nor VDB_ABSENT. `error` may be NULL. A failed call changes nothing in the store,
** unless its comment says otherwise.
**
** Bytes. What is passed in is borrowed until the call returns. What is handed out (the bytes of a
** value, the string of a walked key) lies in mapped or internal memory, must not be written to, and
** is valid until the next call on the same store or walk.
**
** Threads and processes. A vdb_store is used by one thread at a time. Any number of stores, in any
** number of threads and processes, may be open on one folder at once. A store that was opened before
** fork() can be used in the child: its first call there takes a handle of the child's own.
*/
#ifndef VIPERDB_H
#define VIPERDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VDB_VERSION "0.1.0"

#if defined(__GNUC__)
#define VDB_API __attribute__((visibility("default")))
#else
#define VDB_API
#endif

/* Limits. A key's limit counts the bytes of its string. */
#define VDB_MAX_KEY_SIZE 65536u
#define VDB_MAX_VALUE_SIZE (UINT64_C(1) << 30)

typedef enum vdb_status {
  VDB_OK = 0,
  VDB_ABSENT,      /* no such key, or the end of a walk: an answer, not an error */
  VDB_CORRUPT,     /* what is on disk is damaged; the message names the file and the byte */
  VDB_IO,          /* the operating system refused a call; the message names it */
  VDB_FULL,        /* no space left on the device, or over a quota or file size limit */
  VDB_READONLY,    /* the store was opened read-only, or became so after a failed sync */
  VDB_CLOSED,      /* the store is closed */
  VDB_TYPE,        /* this type of key or value can't be stored */
  VDB_RANGE,       /* a number is outside what can be stored or read exactly */
  VDB_TOO_BIG,     /* a key, a value or a nesting over its limit */
  VDB_UNSUPPORTED, /* the folder, the file system or an encoding is not one this build can read */
  VDB_BUSY,        /* another process holds what this call needs, for longer than it may wait */
  VDB_CONFLICT,    /* what was read has changed since */
  VDB_NO_MEMORY    /* memory ran out */
} vdb_status;

typedef struct vdb_error {
  vdb_status status;
  char message[512]; /* what, where and what to do; one line, no newline at the end */
} vdb_error;

/* "CORRUPT", "IO" ... "NO_MEMORY"; "OK" and "ABSENT" for the two that are not errors. */
VDB_API const char *vdb_status_name(vdb_status status);

/*
** Keys. A float with the value of a 64-bit integer is the same key as that integer. NaN is refused
** (VDB_RANGE); infinities are keys, as in a Lua table.
*/
typedef enum vdb_key_type { VDB_STRING, VDB_INTEGER, VDB_FLOAT, VDB_BOOLEAN } vdb_key_type;

typedef struct vdb_key {
  vdb_key_type type;
  size_t size;        /* VDB_STRING: bytes in string */
  const char *string; /* VDB_STRING: any bytes, zeros included; no terminator is needed or added */
  int64_t integer;    /* VDB_INTEGER; VDB_BOOLEAN: 0 or 1 */
  double number;      /* VDB_FLOAT */
} vdb_key;

VDB_API vdb_key vdb_string(const char *bytes, size_t size);
VDB_API vdb_key vdb_integer(int64_t integer);
VDB_API vdb_key vdb_float(double number);
VDB_API vdb_key vdb_boolean(bool boolean);

/* How a value's bytes are to be read. The engine stores the name and looks no further. */
typedef enum vdb_encoding {
  VDB_JSON,  /* a JSON text */
  VDB_BYTES, /* bytes as they are */
  VDB_LUA,   /* the binding's binary dump */
  VDB_PICKLE /* written by the Python original; kept, never read */
} vdb_encoding;

#define VDB_NEVER INT64_MAX /* an expiration that doesn't come */

typedef struct vdb_value {
  vdb_encoding encoding;
  const void *bytes;
  size_t size;        /* bytes */
  int64_t expiration; /* milliseconds since the epoch; 0 is read as VDB_NEVER by vdb_put */
} vdb_value;

typedef enum vdb_sync_mode {
  VDB_SYNC_OS,      /* the operating system writes back when it likes: survives the process */
  VDB_SYNC_ALWAYS,  /* a write returns after fdatasync of both logs: survives power loss */
  VDB_SYNC_INTERVAL /* a helper thread syncs every sync_seconds */
} vdb_sync_mode;

typedef struct vdb_options {
  bool readonly; /* never write to the folder; it must exist */
  vdb_sync_mode sync;
  double sync_seconds; /* VDB_SYNC_INTERVAL: > 0 */
  double wait_seconds; /* how long a write, an opening or a closing may wait for others; 0 means 5 */
  /* When more than this part of both logs is dead, and they have 16 MiB together, writes do slices of a reclaim. 0: never. */
  double reclaim_fraction; /* at least 0, below 1 */
} vdb_options;

typedef struct vdb_store vdb_store;

/*
** Opens the store in the folder `path`, making the folder (0700, not its parents) when it is not
** there. `options` may be NULL. On failure *store is NULL and nothing is left open.
** VDB_CORRUPT: the logs are damaged, see vdb_repair. VDB_UNSUPPORTED: not a folder, or its files are
** not regular files. VDB_BUSY: another process was opening or closing the store for wait_seconds.
*/
VDB_API vdb_status vdb_open(const char *path, const vdb_options *options, vdb_store **store,
                            vdb_error *error);

/*
** Closes and frees. Always frees, also when it fails: the error then tells what could not be written
** at the end (nothing that vdb_put promised is lost by it). NULL is allowed.
*/
VDB_API vdb_status vdb_close(vdb_store *store, vdb_error *error);

/* VDB_OK and *value, or VDB_ABSENT. VDB_CORRUPT when the stored line or value is damaged. */
VDB_API vdb_status vdb_get(vdb_store *store, const vdb_key *key, vdb_value *value, vdb_error *error);

/* VDB_OK or VDB_ABSENT, without reading the value. */
VDB_API vdb_status vdb_has(vdb_store *store, const vdb_key *key, vdb_error *error);

/* VDB_OK and when the key expires (VDB_NEVER, or milliseconds since the epoch), or VDB_ABSENT. */
VDB_API vdb_status vdb_expiration(vdb_store *store, const vdb_key *key, int64_t *expiration,
                                  vdb_error *error);

/* Stores the value under the key. When it returns VDB_OK the write survives the process. */
VDB_API vdb_status vdb_put(vdb_store *store, const vdb_key *key, const vdb_value *value, vdb_error *error);

/* VDB_OK when the key was there, VDB_ABSENT when it was not (an expired key was not). */
VDB_API vdb_status vdb_delete(vdb_store *store, const vdb_key *key, vdb_error *error);

/* Gives an existing key another expiration (VDB_NEVER: none); the value stays. VDB_ABSENT if not there. */
VDB_API vdb_status vdb_expire(vdb_store *store, const vdb_key *key, int64_t expiration, vdb_error *error);

/* A put, or with value NULL a delete. */
typedef struct vdb_change {
  vdb_key key;
  const vdb_value *value;
} vdb_change;

/*
** Reading, computing and writing back without losing what others write meanwhile, and without a lock in between:
**
**   do {
**     vdb_get_version(store, &change.key, &old, &version, &error);
**     ... make the value of the change from the old one ...
**   } while (vdb_change_if(store, &change, &version, &error) == VDB_CONFLICT);
**
** vdb_get_version is vdb_get, or vdb_has when value is NULL, and tells which version of the key that was, for VDB_ABSENT
** too. vdb_change_if is vdb_put or vdb_delete, but VDB_CONFLICT when the key has been written since or the files were
** reclaimed. A key that has expired since counts as not written.
*/
typedef struct vdb_version {
  uint64_t generation;
  uint64_t line;
} vdb_version;
VDB_API vdb_status vdb_get_version(vdb_store *store, const vdb_key *key, vdb_value *value,
                                   vdb_version *version, vdb_error *error);
VDB_API vdb_status vdb_change_if(vdb_store *store, const vdb_change *change, const vdb_version *version,
                                 vdb_error *error);

/* How many keys have a value, expired ones that were not reclaimed yet included. */
VDB_API vdb_status vdb_count(vdb_store *store, uint64_t *count, vdb_error *error);

/*
** Walks the keys that are there now, in the order of their last write. The walk sees the store as it
** was at vdb_walk_begin, whatever is written meanwhile (a key that expires meanwhile goes). It must be
** ended before or after the store is closed; a step after the close is VDB_CLOSED. `value` may be NULL: the values
** are not read then. A damaged value gives VDB_CORRUPT with *key filled; the next step goes on behind it. Ending a walk
** is allowed inside a vdb_report.
*/
typedef struct vdb_walk vdb_walk;
VDB_API vdb_status vdb_walk_begin(vdb_store *store, vdb_walk **walk, vdb_error *error);
VDB_API vdb_status vdb_walk_next(vdb_walk *walk, vdb_key *key, vdb_value *value, vdb_error *error);
VDB_API void vdb_walk_end(vdb_walk *walk);

/*
** The store as it is now, whatever is written later. Rules as for a walk: ended before or after the store is closed; the
** bytes handed out are valid until the next call on the snapshot or its store. `value` may be NULL: it is not read then.
*/
typedef struct vdb_snapshot vdb_snapshot;
VDB_API vdb_status vdb_snapshot_begin(vdb_store *store, vdb_snapshot **snapshot, vdb_error *error);
VDB_API vdb_status vdb_snapshot_get(vdb_snapshot *snapshot, const vdb_key *key, vdb_value *value,
                                    vdb_error *error);
VDB_API void vdb_snapshot_end(vdb_snapshot *snapshot);

/*
** Writes all the changes as one batch: after a crash all of them are there or none. Each key may come once (VDB_TYPE).
** Deleting a key that is not there changes nothing. With a snapshot the batch depends on what was read from it: when one
** of the keys in `reads` has been written since, or the files were reclaimed, nothing is written and the result is
** VDB_CONFLICT; take a new snapshot and try again. Without (NULL), reads must be empty.
*/
VDB_API vdb_status vdb_commit(vdb_store *store, const vdb_snapshot *snapshot, const vdb_key *reads,
                              size_t read_count, const vdb_change *changes, size_t change_count,
                              vdb_error *error);

/* Returns when every write that returned before, of any process, is on the disk. */
VDB_API vdb_status vdb_sync(vdb_store *store, vdb_error *error);

typedef struct vdb_stats {
  uint64_t keys;            /* as vdb_count */
  uint64_t key_log_bytes;   /* committed length of db.klog */
  uint64_t key_log_live;    /* of these, bytes of newest `set` lines */
  uint64_t value_log_bytes; /* committed length of db.vlog */
  uint64_t value_log_live;  /* of these, bytes that newest `set` lines refer to */
  uint64_t index_bytes;     /* length of db.index */
  uint64_t index_slots;     /* slots in use; deleted keys keep theirs until reclaim */
  double index_load;        /* slots in use / slots there are */
  uint64_t generation;      /* counts reclaims */
  uint64_t synced_key_log;  /* length of db.klog known to be on the disk */
  int64_t last_sync;        /* milliseconds since the epoch, 0 for never */
  int64_t last_reclaim;     /* milliseconds since the epoch, 0 for never */
  char boot[37];            /* the kernel's boot id under which the control page was made */
} vdb_stats;
VDB_API vdb_status vdb_stat(vdb_store *store, vdb_stats *stats, vdb_error *error);

/*
** Called by vdb_check and vdb_repair: for each damaged place (`problem` is text, `done` the byte in the
** key log), and now and then with `problem` NULL to report progress. `done` and `total` are bytes of the
** key log. Returning false stops the work with VDB_CONFLICT.
*/
typedef bool (*vdb_report)(void *context, const char *problem, uint64_t done, uint64_t total);

typedef struct vdb_reclaim_options {
  double budget_seconds; /* return after about this time and go on at the next call; 0: until it is done */
  vdb_report progress;   /* may be NULL */
  void *context;         /* for progress */
} vdb_reclaim_options;

/*
** Rewrites the logs without old versions, deleted keys and expired keys, while everybody reads and writes on. Live keys
** come out in the order of their key texts. `options` and `more` may be NULL; *more tells that the budget was used up and
** the next call goes on. What was begun is given up when the handle is closed. VDB_BUSY: another handle is reclaiming.
** VDB_FULL: no room for the copy. VDB_CORRUPT: a live record is damaged. After any failure the store is as it was.
*/
VDB_API vdb_status vdb_reclaim(vdb_store *store, const vdb_reclaim_options *options, bool *more,
                               vdb_error *error);

/* Reads every line, value and index slot. *problems counts what is damaged. Changes nothing. */
VDB_API vdb_status vdb_check(vdb_store *store, vdb_report report, void *context, uint64_t *problems,
                             vdb_error *error);

/* Writes every good record of the folder `path` to a new store in `target`. Never changes `path`. */
VDB_API vdb_status vdb_repair(const char *path, const char *target, vdb_report report, void *context,
                              vdb_error *error);

#ifdef __cplusplus
}
#endif

#endif
