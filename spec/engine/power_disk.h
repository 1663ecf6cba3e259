/*
** power_disk.h - a disk that is played: what is on it, what the system has of it, and what it may have kept
** of that.
**
** Beside the files that a store writes, the disk keeps what would be on it: of each file what it held when
** it was last synced, and what the system was seen to have of it since; of the folder the names when that
** was last synced, and the changes since. When the power fails, the disk has
**
**   of each page        what it held at any of these moments; torn, of each sector of it
**   of each file        its length at any of these moments
**   of the names        the first few changes, or any of them: a rename happens as a whole
**
** and each of these is independent of all others. A choice says what it is: by bits, one for each thing
** that has changed since it was synced, or at random.
*/
#ifndef VIPERDB_POWER_DISK_H
#define VIPERDB_POWER_DISK_H

#include "fixture.h"

#define PAGE ((size_t)4096)
#define SECTOR ((size_t)512)
#define FILES 40
#define NAMES 40
#define CHANGES 64
#define VERSIONS 6

/* Zeros fill it up to a whole page. */
typedef struct disk_version {
  char *bytes;
  size_t size;
} disk_version;

typedef struct disk_file {
  ino_t inode;
  int now;                         /* the file as the system has it */
  disk_version versions[VERSIONS]; /* the first is on the disk, the last is the present one, once looked at */
  int version_count;
  unsigned char *picks; /* of an image: the version of each sector, */
  int size_pick;        /* and the one that gives the length */
} disk_file;

typedef struct disk_name {
  char name[40];
  ino_t inode; /* 0: the name is gone */
} disk_name;

typedef struct disk_change {
  disk_name set; /* no name when something is removed */
  char gone[40]; /* no name when something is made */
  bool done;     /* in an image */
} disk_change;

typedef struct disk {
  ino_t folder;
  disk_file files[FILES];
  int file_count;
  disk_name names[NAMES];
  int name_count;
  disk_change changes[CHANGES];
  int change_count;
} disk;

static void give_up(const char *what) {
  printf("Bail out! %s\n", what);
  exit(1);
}

/* Names ------------------------------------------------------------------------------------------------- */

static void set_name(disk_name *list, int *count, const char *name, ino_t inode) {
  for (int i = 0; i < *count; i++)
    if (strcmp(list[i].name, name) == 0) {
      list[i].inode = inode;
      return;
    }
  if (*count == NAMES) give_up("too many names");
  snprintf(list[*count].name, sizeof list->name, "%s", name);
  list[(*count)++].inode = inode;
}

/* The names that are there when the changes that are `done`, or all of them, have happened. */
static int names_left(const disk *on, disk_name *out, bool all) {
  int count = on->name_count;
  memcpy(out, on->names, sizeof on->names);
  for (int i = 0; i < on->change_count; i++) {
    const disk_change *change = &on->changes[i];
    if (!all && !change->done) continue;
    if (change->gone[0] != '\0') set_name(out, &count, change->gone, 0);
    if (change->set.name[0] != '\0') set_name(out, &count, change->set.name, change->set.inode);
  }
  return count;
}

static void note_change(disk *on, const char *name, ino_t inode, const char *gone) {
  if (on->change_count == CHANGES) give_up("too many changes of names");
  disk_change *change = &on->changes[on->change_count++];
  *change = (disk_change){.set.inode = inode};
  snprintf(change->set.name, sizeof change->set.name, "%s", name);
  snprintf(change->gone, sizeof change->gone, "%s", gone);
}

static ino_t inode_of(int folder, const char *name) {
  struct stat status;
  return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

/* Files ------------------------------------------------------------------------------------------------- */

static size_t padded(size_t size) {
  return (size + PAGE - 1) / PAGE * PAGE;
}

/* Memory that grows with what is asked of it. */
static char *scratch(size_t size) {
  static char *memory;
  static size_t room;
  if (size <= room) return memory;
  free(memory);
  room = 2 * size;
  memory = malloc(room);
  if (memory == NULL) give_up("no memory");
  return memory;
}

static disk_file *file_of(disk *on, ino_t inode) {
  for (int i = 0; i < on->file_count; i++)
    if (on->files[i].inode == inode) return &on->files[i];
  return NULL;
}

static disk_file *file_named(disk *on, const char *name) {
  disk_name names[NAMES];
  int count = names_left(on, names, true);
  for (int i = 0; i < count; i++)
    if (strcmp(names[i].name, name) == 0 && names[i].inode != 0) return file_of(on, names[i].inode);
  return NULL;
}

static void drop_versions(disk_file *file, int from, int to) {
  for (int i = from; i < to; i++) free(file->versions[i].bytes);
  memmove(&file->versions[from], &file->versions[to],
          (size_t)(file->version_count - to) * sizeof *file->versions);
  file->version_count -= to - from;
}

/* Keeps what the file has now, if that is new. */
static void look_at(disk_file *file) {
  struct stat status;
  if (fstat(file->now, &status) != 0) give_up("cannot ask for a size");
  size_t size = (size_t)status.st_size, room = padded(size);
  char *bytes = scratch(room + 1);
  if (pread(file->now, bytes, size, 0) != (ssize_t)size) give_up("cannot read a file");
  memset(bytes + size, 0, room - size);
  if (file->version_count > 0) {
    const disk_version *last = &file->versions[file->version_count - 1];
    if (last->size == size && memcmp(last->bytes, bytes, size) == 0) return;
  }
  if (file->version_count == VERSIONS) {
    int dropped = 1 + (int)random_below(VERSIONS - 1);
    drop_versions(file, dropped, dropped + 1);
  }
  disk_version fresh = {.bytes = malloc(room + 1), .size = size};
  if (fresh.bytes == NULL) give_up("no memory");
  memcpy(fresh.bytes, bytes, room);
  file->versions[file->version_count++] = fresh;
}

static void look_at_all(disk *on) {
  for (int i = 0; i < on->file_count; i++) look_at(&on->files[i]);
}

static bool is_synced(disk_file *file) {
  look_at(file);
  return file->version_count == 1;
}

static disk_file *add_file(disk *on, ino_t inode, const char *path) {
  if (on->file_count == FILES) give_up("too many files");
  disk_file *file = &on->files[on->file_count++];
  *file = (disk_file){.inode = inode, .now = open(path, O_RDONLY | O_CLOEXEC)};
  if (file->now < 0) give_up("cannot open a file again");
  return file;
}

static void drop_file(disk *on, int which) {
  disk_file *file = &on->files[which];
  drop_versions(file, 0, file->version_count);
  free(file->picks);
  close(file->now);
  *file = on->files[--on->file_count];
}

static bool has_name(const disk *on, ino_t inode) {
  for (int i = 0; i < on->name_count; i++)
    if (on->names[i].inode == inode) return true;
  return false;
}

/* The names as they are get onto the disk. A file without one is gone when the power fails. */
static void keep_names(disk *on) {
  disk_name names[NAMES];
  int count = names_left(on, names, true);
  on->name_count = on->change_count = 0;
  for (int i = 0; i < count; i++)
    if (names[i].inode != 0) on->names[on->name_count++] = names[i];
  for (int i = on->file_count - 1; i >= 0; i--)
    if (!has_name(on, on->files[i].inode)) drop_file(on, i);
}

static void empty_disk(disk *on) {
  while (on->file_count > 0) drop_file(on, 0);
  on->name_count = on->change_count = 0;
}

/* All of the folder is on the disk. */
static void start_disk(disk *on, const char *folder) {
  struct stat status;
  DIR *entries = opendir(folder);
  const struct dirent *entry;
  empty_disk(on);
  if (entries != NULL && fstat(dirfd(entries), &status) == 0) on->folder = status.st_ino;
  while (entries != NULL && (entry = readdir(entries)) != NULL) {
    const char *path = file_path(folder, entry->d_name);
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) continue;
    look_at(add_file(on, status.st_ino, path));
    set_name(on->names, &on->name_count, entry->d_name, status.st_ino);
  }
  if (entries != NULL) closedir(entries);
}

/* Choices ----------------------------------------------------------------------------------------------- */

static size_t extent(const disk_file *file) {
  size_t most = 0;
  for (int i = 0; i < file->version_count; i++)
    if (file->versions[i].size > most) most = file->versions[i].size;
  return padded(most);
}

static const char *sector_at(const disk_file *file, int version, size_t at) {
  static const char zeros[SECTOR];
  const disk_version *from = &file->versions[version];
  return at < padded(from->size) ? from->bytes + at : zeros;
}

static bool has_changed(const disk_file *file, size_t from, size_t to) {
  for (size_t at = from; at < to; at += SECTOR)
    if (memcmp(sector_at(file, 0, at), sector_at(file, file->version_count - 1, at), SECTOR) != 0)
      return true;
  return false;
}

/* The next of the bits says whether something that has changed is on the disk as it is now, or as it was. */
static bool next_bit(uint64_t bits, unsigned *used) {
  unsigned bit = (*used)++;
  return bit < 64 && (bits >> bit & 1) != 0;
}

/*
** Gives each thing that has changed since it was synced a bit of `bits`; how many there are. `grain`: PAGE
** or SECTOR. With `only` a file, just the things of that one; all others are as they are now.
*/
static unsigned choose_by_bits(disk *on, uint64_t bits, size_t grain, const disk_file *only) {
  unsigned used = 0;
  for (int i = 0; i < on->change_count; i++) on->changes[i].done = only != NULL || next_bit(bits, &used);
  for (int i = 0; i < on->file_count; i++) {
    disk_file *file = &on->files[i];
    bool all_now = only != NULL && only != file;
    int last = file->version_count - 1;
    bool other_size = file->versions[0].size != file->versions[last].size;
    file->size_pick = other_size && (all_now || next_bit(bits, &used)) ? last : 0;
    for (size_t at = 0; at < extent(file); at += grain) {
      bool now = has_changed(file, at, at + grain) && (all_now || next_bit(bits, &used));
      memset(file->picks + at / SECTOR, now ? last : 0, grain / SECTOR);
    }
  }
  return used;
}

static int any_version(const disk_file *file, uint64_t bias) {
  if (random_below(8) >= bias) return 0;
  return random_below(2) ? file->version_count - 1 : (int)random_below((uint64_t)file->version_count);
}

/* One page in eight is torn. */
static void choose_pages(disk_file *file, uint64_t bias) {
  for (size_t at = 0; at < extent(file); at += PAGE) {
    int whole = any_version(file, bias);
    bool torn = random_below(8) == 0;
    for (size_t sector = at; sector < at + PAGE; sector += SECTOR)
      file->picks[sector / SECTOR] = (unsigned char)(torn ? any_version(file, bias) : whole);
  }
}

/* Of each file little, much, or about half is there. */
static void choose_at_random(disk *on) {
  int first_few = (int)random_below((uint64_t)on->change_count + 1);
  bool in_order = random_below(2);
  for (int i = 0; i < on->change_count; i++)
    on->changes[i].done = in_order ? i < first_few : random_below(2) != 0;
  for (int i = 0; i < on->file_count; i++) {
    disk_file *file = &on->files[i];
    choose_pages(file, random_below(9));
    file->size_pick = any_version(file, random_below(4) ? 8 : 0);
  }
}

#endif
