/*
** fixture.h - what the tests of the store share: folders, short names for calls, children, random numbers.
**
** A folder made here is removed when the process that made it ends, and only by that one.
*/
#ifndef VIPERDB_FIXTURE_H
#define VIPERDB_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/engine/os.h"
#include "../../src/engine/viperdb.h"
#include "tap.h"

/* Folders ----------------------------------------------------------------------------------------------- */

#define FOLDERS 4096
static char store_paths[FOLDERS][128];
static int folder_count;
static pid_t folder_owner;

static inline void run(const char *format, const char *path) {
  char command[1024];
  snprintf(command, sizeof command, format, path);
  if (system(command) != 0) printf("# failed: %s\n", command);
}

/* A store's folder holds no folders, but for what a test put there. */
static inline void remove_store(const char *path) {
  DIR *entries = opendir(path);
  if (entries == NULL) return;
  int folder = dirfd(entries);
  const struct dirent *entry;
  while ((entry = readdir(entries)) != NULL) (void)unlinkat(folder, entry->d_name, 0);
  closedir(entries);
  (void)rmdir(path);
}

static inline void remove_folders(void) {
  if (getpid() != folder_owner) return;
  for (int i = 0; i < folder_count; i++) {
    remove_store(store_paths[i]);
    char *end = strrchr(store_paths[i], '/');
    *end = '\0';
    if (rmdir(store_paths[i]) != 0) run("rm -rf '%s'", store_paths[i]);
  }
  folder_count = 0;
}

/* A path for a store in a new folder; the store's own folder is not there yet. */
static inline const char *new_path(void) {
  const char *top = getenv("TMPDIR");
  char *path = store_paths[folder_count < FOLDERS ? folder_count : 0];
  if (folder_count == 0) {
    folder_owner = getpid();
    atexit(remove_folders);
  }
  snprintf(path, sizeof *store_paths, "%s/viperdb-test-XXXXXX", top != NULL ? top : "/tmp");
  if (folder_count == FOLDERS || mkdtemp(path) == NULL) {
    printf("Bail out! cannot make a folder for the test\n");
    exit(1);
  }
  folder_count++;
  return strcat(path, "/store");
}

static inline const char *file_path(const char *path, const char *name) {
  static char out[2][700];
  static int which;
  which = 1 - which;
  snprintf(out[which], sizeof out[which], "%.400s/%.250s", path, name);
  return out[which];
}

static inline bool has_file(const char *path, const char *name) {
  struct stat status;
  return lstat(file_path(path, name), &status) == 0;
}

/* -1 when the file is not there. */
static inline int64_t file_size(const char *path, const char *name) {
  struct stat status;
  return stat(file_path(path, name), &status) == 0 ? (int64_t)status.st_size : -1;
}

static inline bool remove_file(const char *path, const char *name) {
  return unlink(file_path(path, name)) == 0;
}

/* Calls ------------------------------------------------------------------------------------------------- */

static vdb_error last_error;

static inline vdb_store *open_with(const char *path, vdb_options options) {
  vdb_store *store;
  last_error = (vdb_error){0};
  vdb_status status = vdb_open(path, &options, &store, &last_error);
  if (status != VDB_OK) printf("# open: %s %s\n", vdb_status_name(status), last_error.message);
  return store;
}

static inline vdb_store *open_store(const char *path) {
  return open_with(path, (vdb_options){0});
}

static inline bool close_store(vdb_store *store) {
  vdb_status status = vdb_close(store, &last_error);
  if (status != VDB_OK) printf("# close: %s %s\n", vdb_status_name(status), last_error.message);
  return status == VDB_OK;
}

static inline vdb_key text_key(const char *text) {
  return vdb_string(text, strlen(text));
}

static inline vdb_status put_bytes(vdb_store *store, vdb_key key, const void *bytes, size_t size) {
  vdb_value value = {.encoding = VDB_BYTES, .bytes = bytes, .size = size};
  return vdb_put(store, &key, &value, &last_error);
}

static inline vdb_status put_text(vdb_store *store, const char *key, const char *text) {
  return put_bytes(store, text_key(key), text, strlen(text));
}

static inline vdb_status delete_text(vdb_store *store, const char *key) {
  vdb_key wanted = text_key(key);
  return vdb_delete(store, &wanted, &last_error);
}

static inline bool holds_bytes(vdb_store *store, vdb_key key, const void *bytes, size_t size) {
  vdb_value value;
  vdb_status status = vdb_get(store, &key, &value, &last_error);
  if (status != VDB_OK && status != VDB_ABSENT)
    printf("# get: %s %s\n", vdb_status_name(status), last_error.message);
  if (status != VDB_OK || value.size != size) return false;
  return size == 0 || memcmp(value.bytes, bytes, size) == 0;
}

static inline bool holds(vdb_store *store, const char *key, const char *text) {
  return holds_bytes(store, text_key(key), text, strlen(text));
}

static inline bool lacks_key(vdb_store *store, vdb_key key) {
  vdb_value value;
  vdb_status status = vdb_get(store, &key, &value, &last_error);
  if (status != VDB_OK && status != VDB_ABSENT)
    printf("# get: %s %s\n", vdb_status_name(status), last_error.message);
  return status == VDB_ABSENT;
}

static inline bool lacks(vdb_store *store, const char *key) {
  return lacks_key(store, text_key(key));
}

static inline bool reclaim(vdb_store *store) {
  vdb_status status = vdb_reclaim(store, NULL, NULL, &last_error);
  if (status != VDB_OK) printf("# reclaim: %s %s\n", vdb_status_name(status), last_error.message);
  return status == VDB_OK;
}

/* UINT64_MAX when it can't be told. */
static inline uint64_t count_of(vdb_store *store) {
  uint64_t count;
  return vdb_count(store, &count, &last_error) == VDB_OK ? count : UINT64_MAX;
}

/* How many keys a walk gives, or -1 when it ends with an error. */
static inline int64_t walked(vdb_store *store) {
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  int64_t count = 0;
  vdb_status status = vdb_walk_begin(store, &walk, &last_error);
  if (status != VDB_OK) return -1;
  while ((status = vdb_walk_next(walk, &key, &value, &last_error)) == VDB_OK) count++;
  vdb_walk_end(walk);
  if (status != VDB_ABSENT) printf("# walk: %s %s\n", vdb_status_name(status), last_error.message);
  return status == VDB_ABSENT ? count : -1;
}

/* Children ---------------------------------------------------------------------------------------------- */

/* Runs `work` in a child, which ends with its result. */
static inline pid_t start_child(int (*work)(void *context), void *context) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(120); /* a child that hangs must not outlive the test */
    int result = work(context);
    fflush(stdout);
    _exit(result);
  }
  return child;
}

/* Exit code, or -signal. */
static inline int wait_child(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int in_child(int (*work)(void *context), void *context) {
  return wait_child(start_child(work, context));
}

static inline void *shared_memory(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  return memory;
}

/* Threads ----------------------------------------------------------------------------------------------- */

static inline void *do_nothing(void *context) {
  return context;
}

/* For os.thread in tests that watch system calls: what the engine has a thread do is done at once. */
static inline int run_at_once(pthread_t *thread, void *(*work)(void *context), void *context) {
  work(context);
  return pthread_create(thread, NULL, do_nothing, NULL);
}

/* Random numbers ---------------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static inline uint64_t random_below(uint64_t limit) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (random_state * UINT64_C(2685821657736338717) >> 32) % limit;
}

/* How much longer than usual a test is to run: SOAK=10 in the environment is ten times. */
static inline int soak(void) {
  const char *factor = getenv("SOAK");
  int times = factor != NULL ? atoi(factor) : 1;
  return times > 0 ? times : 1;
}

#endif
