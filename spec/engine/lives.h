/*
** lives.h - what may happen to a store, as lists of operations.
**
** A life is what one or two handles of a process do to a store that was found in some condition. Done to a table in memory,
** the same operations tell what the store must hold.
*/
#ifndef VIPERDB_LIVES_H
#define VIPERDB_LIVES_H

#include "faults.h"

/* What is stored ---------------------------------------------------------------------------------------- */

/* The lines of the long keys make the key log grow; only some lives have them. */
enum { KEPT, SMALL, BIG, GONE, BRIEF, FIRST, LAST, LONG, NAMES = LONG + 4 };
enum { EXPIRES = 1 << 8, WRONG = -1 };
#define FAR_AWAY INT64_C(9999999999999) /* milliseconds since the epoch */

/* Of each key the version of its value, and whether that is to expire one day; 0 for absent. */
typedef struct table {
  int cells[NAMES];
} table;

static int names_used;

static inline vdb_key key_of(int name) {
  static const char *const texts[LONG] = {"kept", "small", "big", "gone", "brief", "first", "last"};
  static char long_texts[NAMES - LONG][VDB_MAX_KEY_SIZE];
  if (name < LONG) return text_key(texts[name]);
  char *text = long_texts[name - LONG];
  if (text[0] == 0) memset(text, 'a' + name, VDB_MAX_KEY_SIZE);
  return vdb_string(text, VDB_MAX_KEY_SIZE);
}

/* Versions 3 and 8 are written through the file, version 4 is more than it grows by. */
static const size_t value_sizes[] = {1000, 10, 300, 20000, 300000};

/* A value tells its key and version by each byte and by its size. */
static inline vdb_value value_of(int name, int version) {
  static unsigned char bytes[NAMES][300000];
  size_t size = value_sizes[version % 5];
  int byte = version * NAMES + name;
  if (bytes[name][0] != byte || bytes[name][size - 1] != byte) memset(bytes[name], byte, size);
  return (vdb_value){.encoding = VDB_BYTES, .bytes = bytes[name], .size = size};
}

static inline bool all_are(const char *bytes, size_t size, char wanted) {
  return size == 0 || (bytes[0] == wanted && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static inline int cell_of(int name, const vdb_value *value) {
  if (value->size == 0) return WRONG;
  int byte = *(const unsigned char *)value->bytes, version = byte / NAMES;
  bool whole = value->size == value_sizes[version % 5] && all_are(value->bytes, value->size, (char)byte);
  if (byte % NAMES != name || !whole) return WRONG;
  if (value->expiration == VDB_NEVER) return version;
  return value->expiration == FAR_AWAY ? version | EXPIRES : WRONG;
}

static inline vdb_status read_cell(vdb_store *store, int name, int *cell) {
  vdb_key key = key_of(name);
  vdb_value value;
  vdb_status status = vdb_get(store, &key, &value, &last_error);
  *cell = status == VDB_OK ? cell_of(name, &value) : 0;
  if (*cell == WRONG) printf("# key %d has a value that was never written\n", name);
  return status;
}

/* VDB_OK and every key, or the first failure. */
static inline vdb_status read_cells(vdb_store *store, table *found) {
  vdb_status status = VDB_OK;
  *found = (table){0};
  for (int name = 0; name < names_used && (status == VDB_OK || status == VDB_ABSENT); name++)
    status = read_cell(store, name, &found->cells[name]);
  return status == VDB_ABSENT ? VDB_OK : status;
}

static inline bool read_table(vdb_store *store, table *found) {
  vdb_status status = read_cells(store, found);
  if (status != VDB_OK) printf("# get: %s %s\n", vdb_status_name(status), last_error.message);
  return status == VDB_OK;
}

static inline bool same_table(const table *left, const table *right) {
  return memcmp(left, right, sizeof *left) == 0;
}

/* Walks, counts and checks; `others` keys are there beside the table's. */
static inline bool is_sound(vdb_store *store, const table *held, int others) {
  uint64_t problems = 1, count = count_of(store);
  int64_t alive = others, found = walked(store);
  for (int name = 0; name < NAMES; name++) alive += held->cells[name] != 0;
  vdb_status status = vdb_check(store, NULL, NULL, &problems, &last_error);
  if (status == VDB_OK && problems == 0 && found == alive && count >= (uint64_t)alive) return true;
  printf("# %d keys walked, %d counted, %d wanted; %d problems %s\n", (int)found, (int)count, (int)alive,
         (int)problems, status == VDB_OK ? "" : last_error.message);
  return false;
}

static const char *path; /* of the store */

typedef struct contents {
  size_t size;
  char bytes[1 << 21];
} contents;

static inline void read_file(const char *name, contents *whole) {
  int file = open(file_path(path, name), O_RDONLY);
  ssize_t size = pread(file, whole->bytes, sizeof whole->bytes, 0);
  whole->size = size > 0 ? (size_t)size : 0;
  close(file);
}

static inline bool has_filler_behind(const char *name, uint64_t end, char filler) {
  static contents whole;
  read_file(name, &whole);
  if (whole.size >= end && all_are(whole.bytes + end, whole.size - (size_t)end, filler)) return true;
  printf("# %s has something behind its end\n", name);
  return false;
}

static inline bool ends_in_filler(vdb_store *store) {
  vdb_stats stats;
  return vdb_stat(store, &stats, &last_error) == VDB_OK &&
         has_filler_behind("db.klog", stats.key_log_bytes, '\n') &&
         has_filler_behind("db.vlog", stats.value_log_bytes, '\0');
}

/* Lives ------------------------------------------------------------------------------------------------- */

typedef enum operation_kind {
  OPEN,
  OPEN_READONLY,
  READ, /* every key */
  PUT,
  DELETE,
  EXPIRE,     /* one day */
  END,        /* has expired */
  BATCH,      /* puts FIRST and LAST, deletes the named one */
  LONG_BATCH, /* puts a long key, too */
  SYNC,
  RECLAIM,
  SLICES, /* of a reclaim: as many as the version says; 0 for all that are left */
  CLOSE
} operation_kind;

typedef struct operation {
  operation_kind kind;
  int handle; /* 0 or 1 */
  int name, version;
} operation;

static inline void apply(const operation *next, table *held) {
  int *cell = &held->cells[next->name];
  bool batch = next->kind == BATCH || next->kind == LONG_BATCH;
  if (next->kind == PUT) *cell = next->version;
  if (next->kind == EXPIRE) *cell |= EXPIRES;
  if (next->kind == DELETE || next->kind == END || batch) *cell = 0;
  if (batch) held->cells[FIRST] = held->cells[LAST] = next->version;
  if (next->kind == LONG_BATCH) held->cells[NAMES - 1] = next->version;
}

static inline vdb_status commit_batch(vdb_store *store, const operation *batch) {
  const int names[] = {FIRST, LAST, NAMES - 1};
  vdb_value values[3];
  vdb_change changes[4] = {{.key = key_of(batch->name)}};
  size_t puts = batch->kind == LONG_BATCH ? 3 : 2;
  for (size_t i = 0; i < puts; i++) {
    values[i] = value_of(names[i], batch->version);
    changes[i + 1] = (vdb_change){.key = key_of(names[i]), .value = &values[i]};
  }
  return vdb_commit(store, NULL, NULL, 0, changes, puts + 1, &last_error);
}

static inline vdb_status reclaim_slices(vdb_store *store, int slices) {
  static const vdb_reclaim_options slice = {.budget_seconds = 1e-9};
  bool more = true;
  vdb_status status = VDB_OK;
  for (int i = 0; status == VDB_OK && more && (slices == 0 || i < slices); i++)
    status = vdb_reclaim(store, &slice, &more, &last_error);
  return status;
}

static vdb_store *handles[2];
static vdb_sync_mode sync_mode; /* of the handles that a life opens */
static table seen;              /* by the last READ */

static inline vdb_status open_handle(int handle, bool readonly) {
  const vdb_options options = {.readonly = readonly, .sync = sync_mode};
  return vdb_open(path, &options, &handles[handle], &last_error);
}

static inline vdb_status close_handle(int handle) {
  vdb_store *store = handles[handle];
  handles[handle] = NULL;
  return vdb_close(store, &last_error);
}

static inline vdb_status perform(const operation *next) {
  vdb_store *store = handles[next->handle];
  vdb_key key = key_of(next->name);
  vdb_value value;
  switch (next->kind) {
  case OPEN:
  case OPEN_READONLY: return open_handle(next->handle, next->kind == OPEN_READONLY);
  case READ: return read_cells(store, &seen);
  case PUT: value = value_of(next->name, next->version); return vdb_put(store, &key, &value, &last_error);
  case DELETE: return vdb_delete(store, &key, &last_error);
  case EXPIRE: return vdb_expire(store, &key, FAR_AWAY, &last_error);
  case END: return vdb_expire(store, &key, 1, &last_error);
  case BATCH:
  case LONG_BATCH: return commit_batch(store, next);
  case SYNC: return vdb_sync(store, &last_error);
  case RECLAIM: return vdb_reclaim(store, NULL, NULL, &last_error);
  case SLICES: return reclaim_slices(store, next->version);
  default: return close_handle(next->handle);
  }
}

/* Where a life begins ----------------------------------------------------------------------------------- */

typedef enum condition {
  NOTHING,
  CLOSED,
  NO_INDEX,
  NO_CONTROL,
  KILLED, /* in the middle of a batch */
  OTHER_BOOT,
  FAILED_SYNC,
  NEW_FILES,
  SWAP,
  SWAP_BEGUN,
  SWAP_OTHER_BOOT
} condition;

/* What somebody did before the life, and where it ended. */
static const struct {
  operation last;
  trap at;
} deaths_before[] = {[KILLED] = {{BATCH, 0, BIG, 8}, {"write", 2, MIDDLE}},
                     [OTHER_BOOT] = {{BATCH, 0, BIG, 8}, {"write", 2, MIDDLE}},
                     [FAILED_SYNC] = {{SYNC, 0, 0, 0}, {"sync", 1, REFUSED}},
                     [NEW_FILES] = {{RECLAIM, 0, 0, 0}, {"sync", 1, BEFORE}},
                     [SWAP] = {{RECLAIM, 0, 0, 0}, {"rename", 1, AFTER}},
                     [SWAP_BEGUN] = {{RECLAIM, 0, 0, 0}, {"rename", 2, AFTER}},
                     [SWAP_OTHER_BOOT] = {{RECLAIM, 0, 0, 0}, {"rename", 1, AFTER}}};

static const operation put_small = {PUT, 0, SMALL, 6};

static inline int die_before(void *context) {
  condition as = *(const condition *)context;
  if (open_handle(0, false) != VDB_OK || perform(&put_small) != VDB_OK) return 1;
  arm(deaths_before[as].at);
  return perform(&deaths_before[as].last) == VDB_OK ? 2 : DIED;
}

/* In another boot nothing is to be made of what was not synced: here, the slots of the index. */
static inline bool garble(const char *index) {
  static const char zeros[65536];
  int file = open(file_path(path, index), O_RDWR);
  bool good = pwrite(file, zeros, sizeof zeros, sizeof zeros) == (ssize_t)sizeof zeros;
  close(file);
  return good;
}

/* The same files again, with what was in them: a copy would not be the store's. */
typedef struct image {
  char name[256];
  char *bytes;
  size_t size;
} image;

static image images[16];
static int image_count;
static char kept[160]; /* a folder with second links to the files */

static inline bool take_image(void) {
  snprintf(kept, sizeof kept, "%s-kept", path);
  bool good = mkdir(kept, 0700) == 0;
  while (image_count > 0) free(images[--image_count].bytes);
  DIR *entries = opendir(path);
  const struct dirent *entry;
  while (entries != NULL && (entry = readdir(entries)) != NULL) {
    image *next = &images[image_count];
    int64_t size = file_size(path, entry->d_name);
    if (size < 0 || (entry->d_name[0] == '.' && strcmp(entry->d_name, ".OPEN") != 0)) continue;
    snprintf(next->name, sizeof next->name, "%s", entry->d_name);
    next->size = (size_t)size;
    next->bytes = malloc(next->size + 1);
    int file = open(file_path(path, next->name), O_RDONLY);
    good = good && pread(file, next->bytes, next->size, 0) == size;
    close(file);
    good = good && link(file_path(path, next->name), file_path(kept, next->name)) == 0;
    image_count++;
  }
  if (entries != NULL) closedir(entries);
  return good;
}

static inline bool restore_image(void) {
  bool good = true;
  remove_store(path);
  if (image_count > 0) mkdir(path, 0700);
  for (int i = 0; i < image_count; i++) {
    const image *next = &images[i];
    good = good && link(file_path(kept, next->name), file_path(path, next->name)) == 0;
    int file = open(file_path(path, next->name), O_RDWR | O_TRUNC);
    good = good && pwrite(file, next->bytes, next->size, 0) == (ssize_t)next->size;
    close(file);
  }
  return good;
}

/* Another process that has the store open all along, while the one before dies, too. */
static vdb_store *witness;

typedef struct life {
  const char *name;
  const operation *operations;
  int count;
  condition found;
  vdb_sync_mode sync;
  bool long_keys;
} life;

#define OPERATIONS(list) (list), (int)(sizeof(list) / sizeof *(list))

static const operation writing[] = {
    {OPEN, 0, 0, 0},  {READ, 0, 0, 0},      {PUT, 0, KEPT, 7},    {PUT, 0, SMALL, 1},  {PUT, 0, BIG, 4},
    {PUT, 0, BIG, 8}, {DELETE, 0, GONE, 0}, {EXPIRE, 0, KEPT, 0}, {END, 0, BRIEF, 0},  {BATCH, 0, SMALL, 8},
    {READ, 0, 0, 0},  {SYNC, 0, 0, 0},      {PUT, 0, GONE, 6},    {PUT, 0, FIRST, 11}, {CLOSE, 0, 0, 0}};

static const operation growing[] = {{OPEN, 0, 0, 0},       {PUT, 0, LONG, 1},  {PUT, 0, LONG + 1, 1},
                                    {PUT, 0, LONG + 2, 1}, {PUT, 0, SMALL, 2}, {LONG_BATCH, 0, SMALL, 11},
                                    {READ, 0, 0, 0},       {PUT, 0, GONE, 6},  {DELETE, 0, LONG + 1, 0},
                                    {CLOSE, 0, 0, 0}};

static const operation reclaiming[] = {{OPEN, 0, 0, 0},    {DELETE, 0, GONE, 0}, {END, 0, BRIEF, 0},
                                       {RECLAIM, 0, 0, 0}, {READ, 0, 0, 0},      {PUT, 0, SMALL, 1},
                                       {CLOSE, 0, 0, 0}};

static const operation slicing[] = {
    {OPEN, 0, 0, 0},     {OPEN, 1, 0, 0},   {SLICES, 0, 0, 3},    {PUT, 1, KEPT, 6}, {SLICES, 0, 0, 3},
    {BATCH, 1, GONE, 8}, {SLICES, 0, 0, 4}, {DELETE, 1, LAST, 0}, {SLICES, 0, 0, 0}, {READ, 1, 0, 0},
    {PUT, 1, SMALL, 1},  {CLOSE, 1, 0, 0},  {CLOSE, 0, 0, 0}};

static const operation short_life[] = {
    {OPEN, 0, 0, 0}, {READ, 0, 0, 0}, {PUT, 0, LAST, 6}, {DELETE, 0, LAST, 0}, {CLOSE, 0, 0, 0}};

static const operation reading[] = {{OPEN_READONLY, 0, 0, 0}, {READ, 0, 0, 0}, {CLOSE, 0, 0, 0}};

static const life lives[] = {
    {"puts, deletes, expirations and a batch", OPERATIONS(writing), CLOSED, VDB_SYNC_OS, false},
    {"the same, each synced", OPERATIONS(writing), CLOSED, VDB_SYNC_ALWAYS, false},
    {"a batch that makes the logs grow", OPERATIONS(growing), CLOSED, VDB_SYNC_OS, true},
    {"a reclaim", OPERATIONS(reclaiming), CLOSED, VDB_SYNC_OS, false},
    {"a reclaim in slices beside a writer", OPERATIONS(slicing), CLOSED, VDB_SYNC_OS, false},
    {"the first opening of a store", OPERATIONS(short_life), NOTHING, VDB_SYNC_OS, false},
    {"opening and closing", OPERATIONS(short_life), CLOSED, VDB_SYNC_OS, false},
    {"opening after a lost index", OPERATIONS(short_life), NO_INDEX, VDB_SYNC_OS, false},
    {"opening after a lost control page", OPERATIONS(short_life), NO_CONTROL, VDB_SYNC_OS, false},
    {"opening after a death in a batch", OPERATIONS(short_life), KILLED, VDB_SYNC_OS, false},
    {"opening in another boot after that", OPERATIONS(short_life), OTHER_BOOT, VDB_SYNC_OS, false},
    {"opening after a failed sync", OPERATIONS(short_life), FAILED_SYNC, VDB_SYNC_OS, false},
    {"opening after a death in a reclaim", OPERATIONS(short_life), NEW_FILES, VDB_SYNC_OS, false},
    {"opening with an exchange of files pending", OPERATIONS(short_life), SWAP, VDB_SYNC_OS, false},
    {"opening with an exchange of files begun", OPERATIONS(short_life), SWAP_BEGUN, VDB_SYNC_OS, false},
    {"the same in another boot", OPERATIONS(short_life), SWAP_OTHER_BOOT, VDB_SYNC_OS, false},
    {"reading after a death in a batch", OPERATIONS(reading), KILLED, VDB_SYNC_OS, false},
    {"reading in another boot after that", OPERATIONS(reading), OTHER_BOOT, VDB_SYNC_OS, false},
};

static const operation first_life[] = {{OPEN, 0, 0, 0},   {PUT, 0, KEPT, 1},  {PUT, 0, BIG, 3},
                                       {PUT, 0, GONE, 2}, {PUT, 0, BRIEF, 1}, {PUT, 0, KEPT, 2},
                                       {CLOSE, 0, 0, 0}};

/* Conditions that there can be while another process has the store open. */
static inline bool may_be_witnessed(const life *of) {
  return of->found == CLOSED || of->found == KILLED || of->found == NEW_FILES || of->found == SWAP ||
         of->found == SWAP_BEGUN;
}

static inline bool bring_about(condition found) {
  if (found == NO_INDEX) return remove_file(path, "db.index");
  if (found == NO_CONTROL) return remove_file(path, "db.ctl");
  if (found >= KILLED && in_child(die_before, &found) != DIED) return false;
  if (found == OTHER_BOOT) return garble("db.index");
  return found == SWAP_OTHER_BOOT ? garble("db.index.new") : true;
}

/* Makes the store that lives of this kind begin with, and tells what it holds. */
static inline bool prepare(const life *next, bool witnessed, table *held) {
  bool good = true;
  path = new_path();
  names_used = next->long_keys ? NAMES : LONG;
  sync_mode = VDB_SYNC_OS;
  *held = (table){0};
  for (size_t i = 0; next->found != NOTHING && i < sizeof first_life / sizeof *first_life; i++) {
    good = good && perform(&first_life[i]) == VDB_OK;
    apply(&first_life[i], held);
  }
  if (next->found >= KILLED) apply(&put_small, held);
  if (!witnessed) good = good && bring_about(next->found);
  return take_image() && good;
}

/* Where it begins once more. Nothing happens at the gate until that is asked for. */
static inline bool begin(const life *next, bool witnessed) {
  before_call = NULL;
  after_call = NULL;
  boot = next->found == OTHER_BOOT || next->found == SWAP_OTHER_BOOT;
  slept = 0;
  sync_mode = VDB_SYNC_OS;
  bool good = restore_image();
  if (!witnessed) return good;
  witness = open_with(path, (vdb_options){.wait_seconds = 0.001});
  return good && witness != NULL && bring_about(next->found);
}

#endif
