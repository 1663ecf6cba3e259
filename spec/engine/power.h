/*
** power.h - the power fails, at any call to the system and, in the build with steps, at any step of a
** write.
**
** What is then on the disk (power_disk.h) is written to a folder, an image, and the test looks at it in
** another boot. When few things have changed since they were synced, every subset of them makes an image,
** sector by sector or at least page by page; and some random mixtures always do. An image that came before
** is not looked at again.
**
** The store under test goes on as if nothing had happened, in its own boot. An image may be watched as
** well, as a disk of its own: so the power fails during the recovery from a failure, too.
*/
#ifndef VIPERDB_POWER_H
#define VIPERDB_POWER_H

#include <time.h>

#include "power_disk.h"

/* What the test does with an image; and what it expects of it, as a number, which tells images apart, too. */
static void after_failure(const char *folder, const char *where);
static uint64_t expectation(void);

/* The second is an image of the first. */
#define DISKS 2
static disk disks[DISKS];
static disk *watched; /* NULL: nothing is */
static int in_image;  /* how deep */

/* A file is looked at in one moment of so many; the files of the build with steps are small. */
#ifdef OS_STEPS
#define LOOK_RARELY 1
#else
#define LOOK_RARELY 16
#endif

/* How much is tried: all subsets of so many things, so many mixtures at a time, at one in so many moments. */
static unsigned few_things = 8, mixtures = 2, rarely = 1;

static unsigned all_states, mixed_states, same_states;
static int cut_short, early_lines, syncs;

/*
** What the store is doing when the power fails: how often all subsets were tried then, and how often only
** mixtures.
*/
typedef enum activity { WRITING, SYNCING, RECLAIMING, SLICING, CLOSING, OPENING, RECOVERING } activity;
#define ACTIVITIES 7
static activity doing;
static unsigned all_moments[ACTIVITIES], other_moments[ACTIVITIES];

/* Images ------------------------------------------------------------------------------------------------ */

/* Files of an image stand for those that they are copies of: a store knows its files by their numbers. */
static struct { ino_t copy, original; } copies[DISKS * FILES];
static int copy_count;

static ino_t original_of(ino_t inode) {
  for (int i = copy_count - 1; i >= 0; i--)
    if (copies[i].copy == inode) return copies[i].original;
  return inode;
}

static size_t compose(const disk_file *file, char **out) {
  size_t size = file->versions[file->size_pick].size;
  *out = scratch(padded(size) + 1);
  for (size_t at = 0; at < size; at += SECTOR)
    memcpy(*out + at, sector_at(file, file->picks[at / SECTOR], at), SECTOR);
  return size;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
  uint64_t word;
  const char *at = bytes;
  for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
    memcpy(&word, at, sizeof word);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
  }
  for (; size > 0; at++, size--) hash = (hash ^ (unsigned char)*at) * UINT64_C(0x9e3779b97f4a7c15);
  return hash;
}

static uint64_t hash_image(const disk *on, const disk_name *names, int count, uint64_t hash) {
  for (int i = 0; i < count; i++) {
    const disk_file *file = names[i].inode != 0 ? file_of((disk *)on, names[i].inode) : NULL;
    char *bytes;
    if (file == NULL) continue;
    size_t size = compose(file, &bytes);
    ino_t original = original_of(file->inode);
    hash = mix(hash, names[i].name, strlen(names[i].name) + 1);
    hash = mix(hash, &original, sizeof original);
    hash = mix(hash, &size, sizeof size);
    hash = mix(hash, bytes, size);
  }
  return hash;
}

#define SEEN ((size_t)1 << 17)
static uint64_t seen[SEEN];
static size_t seen_count;

static void forget_seen(void) {
  memset(seen, 0, sizeof seen);
  seen_count = 0;
}

static bool came_before(uint64_t hash) {
  size_t at = hash % SEEN;
  while (seen[at] != 0 && seen[at] != hash) at = (at + 1) % SEEN;
  if (seen[at] == hash) return true;
  if (seen_count < SEEN / 4 * 3) {
    seen[at] = hash;
    seen_count++;
  }
  return false;
}

static void write_copy(const char *path, const disk_file *source) {
  char *bytes;
  struct stat status;
  size_t size = compose(source, &bytes);
  int copy = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (copy < 0 || write(copy, bytes, size) != (ssize_t)size || fstat(copy, &status) != 0)
    give_up("cannot write an image");
  copies[copy_count].original = original_of(source->inode);
  copies[copy_count++].copy = status.st_ino;
  cut_short += size < source->versions[source->version_count - 1].size;
  close(copy);
}

static void write_image(disk *on, const char *folder, const disk_name *names, int count) {
  if (mkdir(folder, 0700) != 0) give_up("cannot make the folder of an image");
  for (int i = 0; i < count; i++) {
    const disk_file *source = names[i].inode != 0 ? file_of(on, names[i].inode) : NULL;
    if (source != NULL) write_copy(file_path(folder, names[i].name), source);
  }
}

/* Boots ------------------------------------------------------------------------------------------------- */

static char boot_path[200];
static int boot_file = -1;
static unsigned boot, boots;

static void set_boot(unsigned number) {
  char text[40];
  int size = snprintf(text, sizeof text, "%08x-0000-0000-0000-000000000000\n", number);
  if (pwrite(boot_file, text, (size_t)size, 0) != size) give_up("cannot write the boot id");
  boot = number;
}

static void new_boot(void) {
  set_boot(++boots);
}

/* Where the boot id is kept, and beside it the images. */
static void start_boots(const char *path) {
  snprintf(boot_path, sizeof boot_path, "%s.boot", path);
  boot_file = open(boot_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (boot_file < 0) give_up("cannot keep the boot id");
  new_boot();
}

static void end_boots(void) {
  close(boot_file);
  remove(boot_path);
}

/* The failure ------------------------------------------------------------------------------------------- */

/* Whether this image is a new one. The store that is being written goes on in its own boot. */
static bool try_image(disk *failing, const char *where) {
  char folder[256];
  disk_name names[NAMES];
  int count = names_left(failing, names, false), copies_before = copy_count;
  unsigned boot_before = boot;
  if (came_before(hash_image(failing, names, count, expectation() | 1))) {
    same_states++;
    return false;
  }
  snprintf(folder, sizeof folder, "%s.image%d", boot_path, ++in_image);
  write_image(failing, folder, names, count);
  new_boot();
  after_failure(folder, where);
  in_image--;
  set_boot(boot_before);
  remove_store(folder);
  copy_count = copies_before;
  return true;
}

static void make_room(disk *on) {
  for (int i = 0; i < on->file_count; i++) {
    free(on->files[i].picks);
    on->files[i].picks = calloc(extent(&on->files[i]) / SECTOR + 1, 1);
    if (on->files[i].picks == NULL) give_up("no memory");
  }
}

/* False when there are too many. */
static bool try_subsets(disk *failing, size_t grain, const disk_file *only, const char *where) {
  unsigned things = choose_by_bits(failing, 0, grain, only);
  if (things > few_things) return false;
  for (uint64_t bits = 0; bits < (uint64_t)1 << things; bits++) {
    choose_by_bits(failing, bits, grain, only);
    all_states += try_image(failing, where);
  }
  return true;
}

static void fail_power(const char *where) {
  disk *failing = watched;
  look_at_all(failing);
  make_room(failing);
  watched = NULL;
  bool all = try_subsets(failing, SECTOR, NULL, where) || try_subsets(failing, PAGE, NULL, where);
  if (failing->file_count > 0)
    try_subsets(failing, SECTOR, &failing->files[random_below((uint64_t)failing->file_count)], where);
  for (unsigned i = 0; i < (all ? mixtures : 4 * mixtures); i++) {
    choose_at_random(failing);
    mixed_states += try_image(failing, where);
  }
  all_moments[doing] += all;
  other_moments[doing] += !all;
  watched = failing;
}

static void perhaps(const char *where, unsigned one_in) {
  if (watched == NULL) return;
  if (random_below(LOOK_RARELY) == 0) look_at_all(watched);
  if (random_below((uint64_t)one_in * rarely) == 0) fail_power(where);
}

/* The system, watched ----------------------------------------------------------------------------------- */

static os_table real;

static ino_t folder_inode(int folder) {
  struct stat status;
  return fstat(folder, &status) == 0 ? status.st_ino : 0;
}

static int watch_open(int folder, const char *name, int flags, mode_t mode) {
  if (strcmp(name, "/proc/sys/kernel/random/boot_id") == 0) return real.open(folder, boot_path, flags, mode);
  bool was_there = watched != NULL && inode_of(folder, name) != 0;
  int file = real.open(folder, name, flags, mode);
  struct stat status;
  if (watched == NULL || file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return file;
  if (was_there) return file;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  look_at(add_file(watched, status.st_ino, path));
  note_change(watched, name, status.st_ino, "");
  watched->folder = folder_inode(folder);
  return file;
}

static int watch_status(int file, struct stat *status) {
  int result = real.status(file, status);
  if (result == 0) status->st_ino = original_of(status->st_ino);
  return result;
}

/* Time and chance are played, too, so that each run is like the one before. A boot takes a second. */
static int watch_clock(int clock, int64_t *nanoseconds) {
  static int64_t now = INT64_C(1700000000) * 1000000000;
  now += 1000;
  *nanoseconds = clock == CLOCK_REALTIME ? now + (int64_t)boots * 1000000000 : now;
  return 0;
}

static int watch_random(void *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) ((unsigned char *)bytes)[i] = (unsigned char)random_below(256);
  return 0;
}

/* A key log that is synced, while the values that its lines name are not. */
static void check_order(const disk_file *synced) {
  static const char *const logs[][2] = {{"db.klog", "db.vlog"}, {"db.klog.new", "db.vlog.new"}};
  for (int i = 0; i < 2; i++) {
    disk_file *values = file_named(watched, logs[i][1]);
    if (file_named(watched, logs[i][0]) == synced && values != NULL) early_lines += !is_synced(values);
  }
}

static int watch_sync(int file) {
  struct stat status;
  perhaps("a sync", 1);
  int result = real.sync(file);
  disk_file *known = watched != NULL && fstat(file, &status) == 0 ? file_of(watched, status.st_ino) : NULL;
  if (known != NULL) {
    check_order(known);
    look_at(known);
    drop_versions(known, 0, known->version_count - 1);
    syncs++;
  }
  perhaps("the end of a sync", 1);
  return result;
}

static int watch_sync_folder(int folder) {
  perhaps("a sync of the folder", 1);
  int result = real.sync_folder(folder);
  if (watched != NULL && folder_inode(folder) == watched->folder) keep_names(watched);
  perhaps("the end of a sync of the folder", 1);
  return result;
}

static int watch_rename(int folder, const char *from, const char *to) {
  ino_t inode = watched != NULL ? inode_of(folder, from) : 0;
  perhaps("a rename", 1);
  int result = real.rename(folder, from, to);
  if (watched != NULL && result == 0) note_change(watched, to, inode, from);
  if (result == 0) perhaps("the end of a rename", 1);
  return result;
}

static int watch_remove(int folder, const char *name) {
  int result = real.remove(folder, name);
  if (watched != NULL && result == 0) note_change(watched, "", 0, name);
  if (result == 0) perhaps("the end of a removal", 1);
  return result;
}

static int watch_cut(int file, off_t size) {
  perhaps("a cut", 1);
  int result = real.cut(file, size);
  perhaps("the end of a cut", 1);
  return result;
}

static ssize_t watch_write(int file, const void *bytes, size_t size, off_t offset) {
  perhaps("a write", 8);
  return real.write(file, bytes, size, offset);
}

#ifdef OS_STEPS
static void watch_step(const char *name) {
  perhaps(name, 4);
}
#endif

static void watch_system(void) {
  real = os;
  os.open = watch_open;
  os.status = watch_status;
  os.clock = watch_clock;
  os.random = watch_random;
  os.thread = run_at_once;
  os.sync = watch_sync;
  os.sync_folder = watch_sync_folder;
  os.rename = watch_rename;
  os.remove = watch_remove;
  os.cut = watch_cut;
  os.write = watch_write;
#ifdef OS_STEPS
  os.step = watch_step;
#endif
}

#endif
