/*
** power_test.c - what is left after the power fails.
**
** The test keeps, beside the files that a store writes, what a disk would hold: the bytes of each file when it was last
** synced, and the names in the folder when that was. At any call to the system the power may fail. Then every page that
** was written since its file's last sync is on the disk or not, or torn at a sector; the files are as long as they are
** or as they were; and of the changes of names since the folder's last sync, the first few have happened. The folder that
** comes of that is opened in another boot, and must hold the state after some operation: no earlier one than the last
** that was promised to be on the disk.
*/
#define _GNU_SOURCE

#include "fixture.h"

#define KEYS 24
#define OPERATIONS 60
#define PAGE 4096
#define SECTOR 512
#define FILES 64
#define CHANGES 256

/* The disk ---------------------------------------------------------------------------------------------- */

typedef struct disk_file {
  ino_t inode;
  int now; /* the file as the system has it */
  char *synced;
  size_t synced_size;
} disk_file;

typedef struct disk_name {
  char name[32];
  ino_t inode; /* 0: the name is gone */
} disk_name;

static disk_file files[FILES];
static int file_count;
static disk_name names[FILES]; /* as the disk has them */
static int name_count;
static disk_name changes[CHANGES]; /* since then, in order */
static int change_count;

/* Files of an image stand for those that they are copies of. */
static struct { ino_t copy, original; } copies[FILES];
static int copy_count;

static os_table real;
static bool recording;
static char boot_path[200];

static disk_file *file_of(ino_t inode) {
  for (int i = 0; i < file_count; i++)
    if (files[i].inode == inode) return &files[i];
  return NULL;
}

static void change_name(disk_name *list, int *count, const char *name, ino_t inode) {
  for (int i = 0; i < *count; i++)
    if (strcmp(list[i].name, name) == 0) {
      list[i].inode = inode;
      return;
    }
  snprintf(list[*count].name, sizeof list->name, "%s", name);
  list[(*count)++].inode = inode;
}

static void note_change(const char *name, ino_t inode) {
  disk_name *change = &changes[change_count++];
  snprintf(change->name, sizeof change->name, "%s", name);
  change->inode = inode;
}

static ino_t inode_of(int folder, const char *name) {
  struct stat status;
  return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

static char *read_whole(int file, size_t *size) {
  struct stat status;
  fstat(file, &status);
  *size = (size_t)status.st_size;
  char *bytes = calloc(1, *size + PAGE);
  if (pread(file, bytes, *size, 0) != (ssize_t)*size) printf("# short read\n");
  return bytes;
}

static void forget_disk(void) {
  for (int i = 0; i < file_count; i++) {
    close(files[i].now);
    free(files[i].synced);
  }
  file_count = name_count = change_count = 0;
}

/* The failure ------------------------------------------------------------------------------------------- */

static int images, refused, wrong, unchecked, cut_short;

/* What the disk has of a page: one in two is there, one in eight of those in part. */
static void choose_page(char *out, const char *before, const char *now, uint64_t bias) {
  bool whole = random_below(8) > 0;
  for (size_t sector = 0; sector < PAGE; sector += SECTOR) {
    bool there = random_below(8) < bias;
    memcpy(out + sector, there ? now + sector : before + sector, SECTOR);
    if (!whole) continue;
    memcpy(out, there ? now : before, PAGE);
    return;
  }
}

static bool write_copy(const char *path, const disk_file *source, bool lucky) {
  size_t size, most;
  char *now = read_whole(source->now, &size);
  most = size > source->synced_size ? size : source->synced_size;
  char *before = calloc(1, most + PAGE), *grown = calloc(1, most + PAGE), *out = calloc(1, most + PAGE);
  memcpy(grown, now, size);
  if (source->synced_size > 0) memcpy(before, source->synced, source->synced_size);
  uint64_t bias = lucky ? 8 : random_below(9);
  for (size_t at = 0; at < most; at += PAGE) choose_page(out + at, before + at, grown + at, bias);
  size_t length = lucky || random_below(2) ? size : source->synced_size;
  if (length < size) cut_short++;
  int copy = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  bool good = copy >= 0 && write(copy, out, length) == (ssize_t)length;
  struct stat status;
  good = good && fstat(copy, &status) == 0 && copy_count < FILES;
  if (good) {
    copies[copy_count].copy = status.st_ino;
    copies[copy_count++].original = source->inode;
  }
  close(copy);
  free(now);
  free(before);
  free(grown);
  free(out);
  return good;
}

static bool write_image(const char *folder) {
  disk_name left[FILES];
  int count = name_count, done = (int)random_below((uint64_t)change_count + 1);
  bool good = mkdir(folder, 0700) == 0, lucky = random_below(10) == 0;
  memcpy(left, names, sizeof left);
  for (int i = 0; i < done; i++) change_name(left, &count, changes[i].name, changes[i].inode);
  copy_count = 0;
  for (int i = 0; i < count && good; i++) {
    const disk_file *source = left[i].inode != 0 ? file_of(left[i].inode) : NULL;
    if (source != NULL) good = write_copy(file_path(folder, left[i].name), source, lucky);
  }
  return good;
}

/* Operations and states --------------------------------------------------------------------------------- */

/* The version of each key after each operation; 0 is absent. A value is made from its key and version. */
static int states[OPERATIONS + 1][KEYS];
static int operation, promised;
static int version;

static size_t make_value(char *bytes, int key, int number) {
  size_t size = number % 17 == 0 ? 20000 + (size_t)number % 9000 : 8 + (size_t)(number * 37 + key) % 700;
  memset(bytes, 'a' + number % 26, size);
  memcpy(bytes, &number, sizeof number);
  memcpy(bytes + sizeof number, &key, sizeof key);
  return size;
}

/* -1 when the value is none that was ever written. */
static int read_version(vdb_store *store, int key) {
  static char expected[32768];
  vdb_key name = vdb_integer(key);
  vdb_value value;
  int number;
  vdb_status status = vdb_get(store, &name, &value, &last_error);
  if (status == VDB_ABSENT) return 0;
  if (status != VDB_OK || value.size < 8) return -1;
  memcpy(&number, value.bytes, sizeof number);
  if (number <= 0 || number > version) return -1;
  size_t size = make_value(expected, key, number);
  return size == value.size && memcmp(expected, value.bytes, size) == 0 ? number : -1;
}

static bool same_state(vdb_store *store, int *found) {
  int state[KEYS];
  for (int key = 0; key < KEYS; key++) {
    state[key] = read_version(store, key);
    if (state[key] < 0) printf("# key %d: %s\n", key, last_error.message);
  }
  for (int at = operation; at >= promised; at--)
    if (memcmp(states[at], state, sizeof state) == 0) {
      *found = at;
      return true;
    }
  return false;
}

static bool takes_writes(vdb_store *store) {
  return put_text(store, "after", "all") == VDB_OK && holds(store, "after", "all");
}

static void check_image(const char *folder, const char *where) {
  int first = -1, again = -1;
  uint64_t problems = 0;
  vdb_store *store = open_store(folder);
  images++;
  if (store == NULL) {
    refused++;
    printf("# at %s of operation %d, %d promised\n", where, operation, promised);
    return;
  }
  bool good = same_state(store, &first);
  if (vdb_check(store, NULL, NULL, &problems, &last_error) != VDB_OK || problems > 0) unchecked++;
  vdb_close(store, NULL);
  store = open_store(folder);
  good = good && store != NULL && same_state(store, &again) && first == again && takes_writes(store);
  vdb_close(store, NULL);
  if (!good)
    printf("# wrong at %s of operation %d, %d promised: %d, %d\n", where, operation, promised, first, again);
  wrong += !good;
}

static void new_boot(void) {
  static unsigned boot;
  FILE *file = fopen(boot_path, "w");
  fprintf(file, "%08x-0000-0000-0000-000000000000\n", ++boot);
  fclose(file);
}

/* The store that is being written goes on in its own boot. */
static void fail_power(const char *where) {
  char folder[256], saved[64] = {0};
  recording = false;
  snprintf(folder, sizeof folder, "%s.image", boot_path);
  FILE *file = fopen(boot_path, "r");
  size_t size = fread(saved, 1, sizeof saved, file);
  fclose(file);
  if (write_image(folder)) {
    new_boot();
    check_image(folder, where);
  } else {
    wrong++;
  }
  remove_store(folder);
  copy_count = 0;
  file = fopen(boot_path, "w");
  fwrite(saved, 1, size, file);
  fclose(file);
  recording = true;
}

static void perhaps(const char *where, uint64_t one_in) {
  if (recording && random_below(one_in) == 0) fail_power(where);
}

/* The system, watched ----------------------------------------------------------------------------------- */

static int watch_open(int folder, const char *name, int flags, mode_t mode) {
  if (strcmp(name, "/proc/sys/kernel/random/boot_id") == 0) return real.open(folder, boot_path, flags, mode);
  bool was_there = inode_of(folder, name) != 0;
  int file = real.open(folder, name, flags, mode);
  struct stat status;
  if (!recording || file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return file;
  if (file_of(status.st_ino) == NULL) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    files[file_count++] = (disk_file){.inode = status.st_ino, .now = open(path, O_RDONLY | O_CLOEXEC)};
  }
  if (!was_there) note_change(name, status.st_ino);
  return file;
}

static int watch_status(int file, struct stat *status) {
  int result = real.status(file, status);
  for (int i = 0; i < copy_count && result == 0; i++)
    if (copies[i].copy == status->st_ino) {
      status->st_ino = copies[i].original;
      break;
    }
  return result;
}

static int watch_sync(int file) {
  struct stat status;
  perhaps("a sync", 8);
  int result = real.sync(file);
  disk_file *known = recording && fstat(file, &status) == 0 ? file_of(status.st_ino) : NULL;
  if (known != NULL) {
    free(known->synced);
    known->synced = read_whole(known->now, &known->synced_size);
  }
  perhaps("the end of a sync", 8);
  return result;
}

static int watch_sync_folder(int folder) {
  perhaps("a sync of the folder", 4);
  int result = real.sync_folder(folder);
  for (int i = 0; recording && i < change_count; i++)
    change_name(names, &name_count, changes[i].name, changes[i].inode);
  if (recording) change_count = 0;
  return result;
}

static int watch_rename(int folder, const char *from, const char *to) {
  ino_t inode = inode_of(folder, from);
  perhaps("a rename", 2);
  int result = real.rename(folder, from, to);
  if (recording && result == 0) {
    note_change(to, inode);
    note_change(from, 0);
    perhaps("the end of a rename", 2);
  }
  return result;
}

static int watch_remove(int folder, const char *name) {
  int result = real.remove(folder, name);
  if (recording && result == 0) note_change(name, 0);
  if (result == 0) perhaps("the end of a removal", 4);
  return result;
}

static int watch_cut(int file, off_t size) {
  perhaps("a cut", 8);
  return real.cut(file, size);
}

static ssize_t watch_write(int file, const void *bytes, size_t size, off_t offset) {
  perhaps("a write", 60);
  return real.write(file, bytes, size, offset);
}

static void watch_system(void) {
  real = os;
  os.open = watch_open;
  os.status = watch_status;
  os.sync = watch_sync;
  os.sync_folder = watch_sync_folder;
  os.rename = watch_rename;
  os.remove = watch_remove;
  os.cut = watch_cut;
  os.write = watch_write;
}

/* Rounds ------------------------------------------------------------------------------------------------ */

static int *next_state(void) {
  memcpy(states[operation + 1], states[operation], sizeof states[0]);
  return states[++operation];
}

static void put_one(vdb_store *store) {
  static char bytes[32768];
  int key = (int)random_below(KEYS);
  next_state()[key] = ++version;
  size_t size = make_value(bytes, key, version);
  if (put_bytes(store, vdb_integer(key), bytes, size) != VDB_OK) wrong++;
}

static void delete_one(vdb_store *store) {
  int key = (int)random_below(KEYS);
  vdb_key name = vdb_integer(key);
  next_state()[key] = 0;
  vdb_status status = vdb_delete(store, &name, &last_error);
  if (status != VDB_OK && status != VDB_ABSENT) wrong++;
}

static void write_batch(vdb_store *store) {
  static char bytes[4][32768];
  vdb_value values[4];
  vdb_change batch[4];
  int *state = next_state(), first = (int)random_below(KEYS);
  for (int i = 0; i < 4; i++) {
    int key = (first + i * 5) % KEYS;
    state[key] = i == 3 ? 0 : ++version;
    values[i] = (vdb_value){.encoding = VDB_BYTES, .bytes = bytes[i]};
    if (i < 3) values[i].size = make_value(bytes[i], key, version);
    batch[i] = (vdb_change){.key = vdb_integer(key), .value = i < 3 ? &values[i] : NULL};
  }
  if (vdb_commit(store, NULL, NULL, 0, batch, 4, &last_error) != VDB_OK) wrong++;
}

static vdb_store *open_again(vdb_store *store, const char *path, vdb_options options) {
  if (!close_store(store)) wrong++;
  promised = operation;
  if (random_below(2)) new_boot();
  return open_with(path, options);
}

/* Reclaims in slices, with writes in between. */
static bool reclaim_slowly(vdb_store *store) {
  static const vdb_reclaim_options slice = {.budget_seconds = 1e-9};
  bool more = true;
  for (int i = 0; more; i++) {
    if (vdb_reclaim(store, &slice, &more, &last_error) != VDB_OK) return false;
    if (more && i % 16 == 15 && operation < OPERATIONS - 10) put_one(store);
  }
  return true;
}

/* What was promised when it returns. */
static vdb_store *operate(vdb_store *store, const char *path, vdb_options options) {
  uint64_t choice = random_below(100);
  bool good = true;
  if (choice < 60) put_one(store);
  else if (choice < 72) delete_one(store);
  else if (choice < 84) write_batch(store);
  else if (choice < 90) good = vdb_sync(store, &last_error) == VDB_OK;
  else if (choice < 95) good = choice < 93 ? reclaim(store) : reclaim_slowly(store);
  if (!good) wrong++;
  if (options.sync == VDB_SYNC_ALWAYS || (choice >= 84 && choice < 95)) promised = operation;
  return choice < 95 ? store : open_again(store, path, options);
}

static void play_round(vdb_options options) {
  const char *path = new_path();
  snprintf(boot_path, sizeof boot_path, "%s.boot", path);
  new_boot();
  forget_disk();
  memset(states, 0, sizeof states);
  operation = promised = version = 0;
  recording = true;
  vdb_store *store = open_with(path, options);
  while (operation < OPERATIONS - 1 && store != NULL) {
    store = operate(store, path, options);
    perhaps("rest", 3);
  }
  if (store == NULL || !close_store(store)) wrong++;
  promised = operation;
  fail_power("the end");
  recording = false;
  remove(boot_path);
}

int main(void) {
  if (access("/dev/shm", W_OK) == 0)
    setenv("TMPDIR", "/dev/shm", 1); /* the disk is played here, so memory will do */
  watch_system();
  int rounds = 60 * soak();
  for (int i = 0; i < rounds; i++)
    play_round((vdb_options){.sync = i % 2 == 0 ? VDB_SYNC_OS : VDB_SYNC_ALWAYS});
  ok(images > 1000 && cut_short > 100, "the power fails %d times, %d files are shorter after it", images,
     cut_short);
  ok(refused == 0, "a store opens after each");
  ok(wrong == 0, "and holds what it held after some operation, none before the last that was promised");
  ok(unchecked == 0, "and a check finds no problem in it");
  return done_testing();
}
