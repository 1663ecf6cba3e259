/*
** interleave_files.h - one folder in memory, behind the engine's table of system calls.
**
** An order of steps is run in some ten microseconds when no file is made, mapped or removed by the system for it. What
** files are here is what the engine may expect of the system: bytes that all who have a file open see at once, names
** that are exchanged as a whole, files that live on without a name, locks that go with who opened the file. All mappings
** of a file are its own bytes. Nothing here is for threads that run at the same time.
**
** `keep_files` remembers the folder as it is, and `restore_files` brings that back, the clock included.
*/
#ifndef VIPERDB_INTERLEAVE_FILES_H
#define VIPERDB_INTERLEAVE_FILES_H

#include "fixture.h"

#include <time.h>

enum {
  FILES = 48,
  FILE_ROOM = 512 * 1024,
  DESCRIPTORS = 64,
  LOCK_BYTES = 3,
  FOLDER = 1000, /* its descriptor */
  OWNER = 1
};

#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_ID "01234567-89ab-cdef-0123-456789abcdef\n"

typedef struct memory_file {
  char name[64]; /* empty: it has none (any more) */
  size_t size;
} memory_file;

typedef struct memory_descriptor {
  memory_file *file; /* NULL: not in use */
  os_lock_kind locks[LOCK_BYTES];
} memory_descriptor;

static memory_file memory_files[FILES], kept_files[FILES];
static int memory_file_count, kept_file_count;
static memory_descriptor memory_descriptors[DESCRIPTORS];
static int64_t memory_time;
static char kept_bytes[FILES][FILE_ROOM];

/* Mapped, so that it begins at a page. */
static char *memory_bytes(const memory_file *file) {
  static char *all;
  if (all == NULL) all = shared_memory((size_t)FILES * FILE_ROOM);
  return all + (size_t)(file - memory_files) * FILE_ROOM;
}

/* Between two orders no file may be open. */
static inline int open_files(void) {
  int count = 0;
  for (int i = 0; i < DESCRIPTORS; i++) count += memory_descriptors[i].file != NULL;
  return count;
}

static inline void keep_files(void) {
  kept_file_count = 0;
  for (int i = 0; i < memory_file_count; i++) {
    if (memory_files[i].name[0] == '\0') continue;
    memcpy(kept_bytes[kept_file_count], memory_bytes(&memory_files[i]), memory_files[i].size);
    kept_files[kept_file_count++] = memory_files[i];
  }
}

static inline void restore_files(void) {
  memory_time = 0;
  memory_file_count = kept_file_count;
  for (int i = 0; i < kept_file_count; i++) {
    memory_files[i] = kept_files[i];
    memcpy(memory_bytes(&memory_files[i]), kept_bytes[i], kept_files[i].size);
  }
}

/* Names and descriptors --------------------------------------------------------------------------------- */

static inline int refuse(int reason) {
  errno = reason;
  return -1;
}

static inline memory_file *file_named(const char *name) {
  for (int i = 0; i < memory_file_count; i++)
    if (strcmp(memory_files[i].name, name) == 0) return &memory_files[i];
  return NULL;
}

static inline memory_file *make_file(const char *name) {
  if (memory_file_count == FILES) return NULL;
  memory_file *file = &memory_files[memory_file_count++];
  *file = (memory_file){.size = 0};
  snprintf(file->name, sizeof file->name, "%s", name);
  return file;
}

static inline int describe(memory_file *file) {
  for (int i = 0; file != NULL && i < DESCRIPTORS; i++) {
    if (memory_descriptors[i].file != NULL) continue;
    memory_descriptors[i] = (memory_descriptor){.file = file};
    return i;
  }
  return refuse(EMFILE);
}

static inline int memory_open(int folder, const char *name, int flags, mode_t mode) {
  (void)folder;
  (void)mode;
  memory_file *file = file_named(name);
  if (file == NULL && (flags & O_CREAT) == 0) return refuse(ENOENT);
  if (file != NULL && (flags & O_EXCL) != 0) return refuse(EEXIST);
  if (file == NULL) file = make_file(name);
  if (file != NULL && (flags & O_TRUNC) != 0) file->size = 0;
  return describe(file);
}

static inline int memory_open_folder(const char *name) {
  (void)name;
  return FOLDER;
}

static inline int memory_make_folder(const char *name, mode_t mode) {
  (void)name;
  (void)mode;
  return refuse(EEXIST);
}

static inline int memory_close(int file) {
  if (file != FOLDER) memory_descriptors[file].file = NULL;
  return 0;
}

static inline int memory_remove(int folder, const char *name) {
  (void)folder;
  memory_file *file = file_named(name);
  if (file == NULL) return refuse(ENOENT);
  file->name[0] = '\0';
  return 0;
}

static inline int memory_rename(int folder, const char *from, const char *to) {
  memory_file *file = file_named(from);
  if (file == NULL) return refuse(ENOENT);
  (void)memory_remove(folder, to);
  snprintf(file->name, sizeof file->name, "%s", to);
  return 0;
}

static inline int memory_read_folder(int folder, bool (*visit)(void *context, const char *name),
                                     void *context) {
  (void)folder;
  for (int i = 0; i < memory_file_count; i++) {
    const char *name = memory_files[i].name;
    if (name[0] != '\0' && name[0] != '/' && !visit(context, name)) break;
  }
  return 0;
}

static inline int memory_file_without_name(const char *name) {
  (void)name;
  return describe(make_file(""));
}

/* Bytes ------------------------------------------------------------------------------------------------- */

static inline int memory_status(int file, struct stat *status) {
  memset(status, 0, sizeof *status);
  status->st_uid = OWNER;
  status->st_mode = file == FOLDER ? S_IFDIR | 0700 : S_IFREG | 0600;
  if (file == FOLDER) return 0;
  const memory_file *known = memory_descriptors[file].file;
  status->st_ino = (ino_t)(known - memory_files) + 1;
  status->st_size = (off_t)known->size;
  return 0;
}

static inline ssize_t memory_read(int file, void *bytes, size_t size, off_t offset) {
  const memory_file *known = memory_descriptors[file].file;
  if ((size_t)offset >= known->size) return 0;
  size_t left = known->size - (size_t)offset;
  memcpy(bytes, memory_bytes(known) + offset, size < left ? size : left);
  return (ssize_t)(size < left ? size : left);
}

static inline int memory_cut(int file, off_t size) {
  memory_file *known = memory_descriptors[file].file;
  size_t length = (size_t)size;
  if (length > FILE_ROOM) return refuse(ENOSPC);
  if (length > known->size) memset(memory_bytes(known) + known->size, 0, length - known->size);
  known->size = length;
  return 0;
}

static inline ssize_t memory_write(int file, const void *bytes, size_t size, off_t offset) {
  memory_file *known = memory_descriptors[file].file;
  size_t end = (size_t)offset + size;
  if (end > known->size && memory_cut(file, (off_t)end) != 0) return -1;
  memcpy(memory_bytes(known) + offset, bytes, size);
  return (ssize_t)size;
}

static inline void *memory_map(int file, size_t size, off_t offset, os_map_kind kind) {
  (void)size;
  (void)kind;
  return memory_bytes(memory_descriptors[file].file) + offset;
}

static inline int memory_unmap(void *address, size_t size) {
  (void)address;
  (void)size;
  return 0;
}

static inline int memory_sync(int file) {
  (void)file;
  return 0;
}

/* A lock belongs to who opened the file, as those of open file descriptions do. */
static inline int memory_lock(int file, off_t byte, os_lock_kind kind) {
  memory_descriptor *mine = &memory_descriptors[file];
  for (int i = 0; i < DESCRIPTORS; i++) {
    const memory_descriptor *other = &memory_descriptors[i];
    if (other == mine || other->file != mine->file || other->locks[byte] == OS_UNLOCK) continue;
    if (kind == OS_LOCK_EXCLUSIVE || (kind == OS_LOCK_SHARED && other->locks[byte] == OS_LOCK_EXCLUSIVE))
      return refuse(EAGAIN);
  }
  mine->locks[byte] = kind;
  return 0;
}

/* The rest ---------------------------------------------------------------------------------------------- */

/*
** A microsecond passes between two looks at the clock. It begins at a time at which the checksums have so many digits that
** after a reclaim a line comes to stand where another version of its key stood before.
*/
static inline int memory_clock(int clock, int64_t *nanoseconds) {
  memory_time += 1000;
  *nanoseconds = memory_time + (clock == CLOCK_REALTIME ? INT64_C(1795332034292000000) : 0);
  return 0;
}

static inline uid_t memory_user(void) {
  return OWNER;
}

static inline int no_size_limit(uint64_t *bytes) {
  *bytes = UINT64_MAX;
  return 0;
}

static inline void use_memory_files(void) {
  os.open = memory_open;
  os.open_folder = memory_open_folder;
  os.make_folder = memory_make_folder;
  os.close = memory_close;
  os.status = memory_status;
  os.read = memory_read;
  os.write = memory_write;
  os.cut = memory_cut;
  os.sync = memory_sync;
  os.sync_folder = memory_sync;
  os.map = memory_map;
  os.unmap = memory_unmap;
  os.read_folder = memory_read_folder;
  os.rename = memory_rename;
  os.remove = memory_remove;
  os.lock = memory_lock;
  os.memory_file = memory_file_without_name;
  os.clock = memory_clock;
  os.user = memory_user;
  os.size_limit = no_size_limit;
}

/* A new folder, and what else the engine opens. */
static inline void empty_files(void) {
  memory_file_count = 0;
  int boot = describe(make_file(BOOT_FILE));
  (void)memory_write(boot, BOOT_ID, sizeof BOOT_ID - 1, 0);
  (void)memory_close(boot);
}

#endif
