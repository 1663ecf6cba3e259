/*
** folder_fuzz.c - libFuzzer target for whole folders: no content of any file may crash, hang or flood the
** host.
**
** A template is made once: a store with overwrites, deletes, a batch and an expiration, and the files of
** the same store after a reclaim, as *.new beside a db.swap that asks for them. An input is a list of edits
** of these files. Then what would keep the edits from being looked at is made to fit, as far as the input
** asks for that: checksums of lines and sync marks, boot id and identities in the control page, its
** lengths. The folder is opened and everything is done with it.
**
**     input     flags (16 bits), then edits
**     edit      kind (8), file (8), offset (32), size (16), `size` bytes
**
** Besides not doing harm the store must keep one promise whatever it was made of: what it says it stored
** can be read.
**
**   clang -g -O1 -fsanitize=fuzzer,address,undefined spec/fuzz/folder_fuzz.c src/engine/[a-z]*.c
**     src/text/[a-z]*.c -o folder_fuzz
**   ./folder_fuzz -max_len=4096 -timeout=10 spec/fuzz/corpus/folder
*/
#define _GNU_SOURCE

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/engine/control.h"
#include "../../src/engine/crc32.h"
#include "../../src/engine/record.h"
#include "../../src/engine/swap.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { KEY_LOG, VALUE_LOG, CONTROL, INDEX, NEW_KEY_LOG, NEW_VALUE_LOG, NEW_INDEX, SWAP, FILES };
static const char *const file_names[FILES] = {"db.klog",     "db.vlog",     "db.ctl",       "db.index",
                                              "db.klog.new", "db.vlog.new", "db.index.new", "db.swap"};

enum {
  CHECKSUMS = 1,    /* lines get the checksum that they should have */
  BELIEVED = 2,     /* the control page gets boot id and identities that fit */
  MEASURED = 4,     /* and lengths that fit */
  CLOSED = 8,       /* and says that the store was closed */
  MARKS = 16,       /* sync marks get the checksum that they should have */
  OTHER_BOOT = 32,  /* the boot id is another one */
  UNCLEAN = 64,     /* .OPEN is there */
  READONLY = 128,   /* opened with readonly */
  SWAPPED = 256,    /* db.swap and the new files are there */
  REPLAYED = 512,   /* the index is said to know no line */
  NO_INDEX = 1024,  /* db.index is not there */
  NO_CONTROL = 2048 /* db.ctl is not there */
};

#define MOST ((size_t)1 << 20) /* bytes of an edited file */

typedef struct image {
  bool there;
  size_t size;
  char *bytes; /* room for MOST */
} image;

static image template[FILES], edited[FILES];
static char folder_path[64], store_path[80], target_path[80];
static int folder = -1;
static const char *const keys[] = {"one", "two", "three", "gone", "first", "second", "late", "new"};
#define KEYS (sizeof keys / sizeof *keys)

static void require_that(bool truth, const char *sentence) {
  if (truth) return;
  fprintf(stderr, "%s\n", sentence);
  abort();
}

/* Folders and time -----------------------------------------------------------------------------------*/

static void remove_files(const char *path) {
  DIR *entries = opendir(path);
  const struct dirent *entry;
  while (entries != NULL && (entry = readdir(entries)) != NULL)
    (void)unlinkat(dirfd(entries), entry->d_name, 0);
  if (entries != NULL) closedir(entries);
}

static void remove_folder(void) {
  remove_files(store_path);
  remove_files(target_path);
  (void)rmdir(store_path);
  (void)rmdir(target_path);
  (void)rmdir(folder_path);
}

/* Waiting takes no time: it moves the clock. */
static int64_t slept;
static int (*real_clock)(int clock, int64_t *nanoseconds);

static int sleep_in_thought(int64_t nanoseconds) {
  slept += nanoseconds;
  return 0;
}

static int moved_clock(int clock, int64_t *nanoseconds) {
  int result = real_clock(clock, nanoseconds);
  *nanoseconds += slept;
  return result;
}

/* The template ---------------------------------------------------------------------------------------*/

static bool put(vdb_store *store, const char *key, const char *text, size_t size) {
  vdb_key name = vdb_string(key, strlen(key));
  vdb_value value = {.encoding = VDB_BYTES, .bytes = text, .size = size};
  return vdb_put(store, &name, &value, NULL) == VDB_OK;
}

static bool commit_two(vdb_store *store) {
  const vdb_value value = {.encoding = VDB_JSON, .bytes = "[1, 2]", .size = 6};
  const vdb_change changes[] = {{.key = vdb_string("first", 5), .value = &value},
                                {.key = vdb_string("second", 6), .value = &value}};
  return vdb_commit(store, NULL, NULL, 0, changes, 2, NULL) == VDB_OK;
}

static void fill(vdb_store *store) {
  vdb_key gone = vdb_string("gone", 4), late = vdb_string("late", 4);
  bool good = put(store, "one", "1", 1) && put(store, "two", "22", 2) && put(store, "gone", "soon", 4);
  good = good && put(store, "one", "the value of one", 16) && vdb_delete(store, &gone, NULL) == VDB_OK;
  good = good && commit_two(store) && put(store, "late", "later", 5);
  good = good && vdb_expire(store, &late, INT64_C(4102444800000), NULL) == VDB_OK;
  require_that(good && put(store, "three", "", 0), "the template can be filled");
}

static void read_image(image *out, const char *name) {
  int file = openat(folder, name, O_RDONLY);
  ssize_t size = file < 0 ? -1 : pread(file, out->bytes, MOST, 0);
  require_that(size >= 0, "the template can be read");
  close(file);
  out->size = (size_t)size;
  out->there = true;
}

/* The files of the reclaimed store are the new files of a swap that was about to happen. */
static void read_template(void) {
  vdb_store *store;
  for (int i = 0; i < FILES; i++) {
    template[i].bytes = malloc(MOST);
    edited[i].bytes = malloc(MOST);
  }
  require_that(vdb_open(store_path, NULL, &store, NULL) == VDB_OK, "the template can be made");
  folder = open(store_path, O_RDONLY | O_DIRECTORY);
  fill(store);
  require_that(vdb_close(store, NULL) == VDB_OK, "the template can be closed");
  for (int i = KEY_LOG; i <= INDEX; i++) read_image(&template[i], file_names[i]);
  require_that(vdb_open(store_path, NULL, &store, NULL) == VDB_OK, "the template can be opened");
  require_that(vdb_reclaim(store, NULL, NULL, NULL) == VDB_OK, "the template can be reclaimed");
  require_that(vdb_close(store, NULL) == VDB_OK, "the template can be closed again");
  const control_page *page;
  read_image(&template[SWAP], "db.ctl");
  page = (const control_page *)(void *)template[SWAP].bytes;
  swap_file swap = {.generation = page->generation, .totals = *control_now(page), .time = page->last_reclaim};
  read_image(&template[NEW_KEY_LOG], "db.klog");
  read_image(&template[NEW_VALUE_LOG], "db.vlog");
  read_image(&template[NEW_INDEX], "db.index");
  require_that(swap_write(folder, &swap, NULL) == VDB_OK, "a swap file can be written");
  read_image(&template[SWAP], "db.swap");
}

static void start(void) {
  const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(folder_path, sizeof folder_path, "%s/viperdb-fuzz-XXXXXX", top);
  require_that(mkdtemp(folder_path) != NULL, "a folder can be made");
  snprintf(store_path, sizeof store_path, "%s/store", folder_path);
  snprintf(target_path, sizeof target_path, "%s/repaired", folder_path);
  atexit(remove_folder);
  real_clock = os.clock;
  os.clock = moved_clock;
  os.sleep = sleep_in_thought;
  read_template();
}

/* Edits ----------------------------------------------------------------------------------------------*/

typedef struct input {
  const uint8_t *at;
  size_t left;
} input;

static uint32_t take_number(input *from, size_t bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < bytes && from->left > 0; i++, from->left--) number |= (uint32_t)*from->at++ << 8 * i;
  return number;
}

static void overwrite(image *file, size_t at, const uint8_t *bytes, size_t size) {
  if (size > MOST - at) size = MOST - at;
  memcpy(file->bytes + at, bytes, size);
  if (at + size > file->size) file->size = at + size;
}

static void repeat(image *file, size_t at, uint32_t count) {
  size_t size = file->size - at < count ? file->size - at : count;
  if (size > MOST - file->size) size = MOST - file->size;
  memmove(file->bytes + at + size, file->bytes + at, file->size - at);
  file->size += size;
}

static void add_filler(image *file, size_t count, int byte) {
  if (count > MOST - file->size) count = MOST - file->size;
  memset(file->bytes + file->size, byte, count);
  file->size += count;
}

static void edit_one(input *from) {
  uint32_t kind = take_number(from, 1) % 8, which = take_number(from, 1) % FILES;
  uint32_t offset = take_number(from, 4), size = take_number(from, 2);
  image *file = &edited[which];
  size_t at = offset % (file->size + 1), most = size < from->left ? size : from->left;
  const uint8_t *bytes = from->at;
  switch (kind) {
  case 0: overwrite(file, at, bytes, most); break;
  case 1: file->size = at; break;
  case 2: overwrite(file, file->size, bytes, most); break;
  case 3: overwrite(file, at / 8 * 8, bytes, most < 8 ? most : 8); break;
  case 4: file->size = 0, overwrite(file, 0, bytes, most); break;
  case 5: file->there = false; return;
  case 6: repeat(file, at, size); return;
  default: add_filler(file, offset % 70000, size % 3 == 0 ? 0 : size % 3 == 1 ? '\n' : 'x'); return;
  }
  if (kind == 1) return;
  from->at += most;
  from->left -= most;
}

static void edit(input *from, uint32_t flags) {
  for (int i = 0; i < FILES; i++) {
    edited[i].there = (i < NEW_KEY_LOG || (flags & SWAPPED)) && template[i].there;
    edited[i].size = template[i].size;
    memcpy(edited[i].bytes, template[i].bytes, template[i].size);
  }
  if (flags & NO_INDEX) edited[INDEX].there = false;
  if (flags & NO_CONTROL) edited[CONTROL].there = false;
  for (int edits = 0; edits < 64 && from->left > 0; edits++) edit_one(from);
}

/* Making it fit --------------------------------------------------------------------------------------*/

/* What the checksum of a line should be; false when it can't be told. */
static bool right_checksum(const record *entry, const image *values, uint32_t *checksum) {
  *checksum = entry->line_crc;
  if (entry->type == RECORD_DEL) return true;
  if (entry->offset > values->size || entry->value_size > values->size - entry->offset) return false;
  *checksum = crc32_update(*checksum, ":", 1);
  *checksum = crc32_update(*checksum, values->bytes + entry->offset, (size_t)entry->value_size);
  return true;
}

/* Copies a line with its checksum made right, and returns the copy's size. */
static size_t repair_line(char *out, const char *line, size_t size, const image *values) {
  static const char name[] = "\"checksum\": ";
  static record_scratch scratch;
  record entry;
  uint32_t checksum;
  memcpy(out, line, size);
  if (record_parse(line, size, &entry, &scratch) != VDB_OK) return size;
  const char *at = memmem(line, size, name, sizeof name - 1);
  if (at == NULL || !right_checksum(&entry, values, &checksum)) return size;
  size_t before = (size_t)(at - line) + sizeof name - 1;
  char digits[16];
  size_t old = 0, fresh = (size_t)snprintf(digits, sizeof digits, "%u", (unsigned)checksum);
  while (before + old < size && line[before + old] >= '0' && line[before + old] <= '9') old++;
  memcpy(out + before, digits, fresh);
  memcpy(out + before + fresh, line + before + old, size - before - old);
  return size + fresh - old;
}

static void repair_lines(image *lines, const image *values) {
  static char out[2 * MOST];
  size_t at = 0, end = 0;
  while (at < lines->size) {
    const char *newline = memchr(lines->bytes + at, '\n', lines->size - at);
    size_t size = newline == NULL ? lines->size - at : (size_t)(newline - lines->bytes) + 1 - at;
    if (end + size + 16 > sizeof out) break;
    end += repair_line(out + end, lines->bytes + at, size, values);
    at += size;
  }
  lines->size = end < MOST ? end : MOST;
  memcpy(lines->bytes, out, lines->size);
}

static void fit_lengths(control_page *page, uint32_t flags) {
  control_totals totals = *control_now(page);
  uint64_t applied = atomic_load(&page->applied), committed = edited[KEY_LOG].size;
  if (applied > committed || (flags & CLOSED)) applied = committed;
  totals.committed = committed;
  totals.value_log_end = edited[VALUE_LOG].size;
  control_place(page, &totals);
  atomic_store(&page->applied, flags & REPLAYED ? 0 : applied);
}

static void fit_control(uint32_t flags) {
  static const image *const logs[] = {&edited[KEY_LOG], &edited[VALUE_LOG]};
  control_page *page = (control_page *)(void *)edited[CONTROL].bytes;
  struct stat key_log, value_log;
  if (edited[CONTROL].size < sizeof *page || !logs[0]->there || !logs[1]->there) return;
  if (flags & BELIEVED && fstatat(folder, "db.klog", &key_log, 0) == 0 &&
      fstatat(folder, "db.vlog", &value_log, 0) == 0) {
    page->key_log = control_identify(&key_log);
    page->value_log = control_identify(&value_log);
    os_boot(page->boot);
    page->boot[sizeof page->boot - 1] = '\0';
    if (flags & OTHER_BOOT) page->boot[0] ^= 1;
    atomic_store(&page->state, flags & CLOSED ? CONTROL_CLOSED : CONTROL_OPEN);
  }
  if (flags & MEASURED) fit_lengths(page, flags);
  if (flags & REPLAYED) atomic_store(&page->applied, 0);
  for (int i = 0; i < 2 && (flags & MARKS); i++)
    page->marks[i].check = crc32_update(0, &page->marks[i], offsetof(control_mark, check));
}

static void write_image(const image *file, const char *name) {
  if (!file->there) return;
  int out = openat(folder, name, O_RDWR | O_CREAT | O_EXCL, 0600);
  require_that(out >= 0, "a file can be made");
  require_that(write(out, file->bytes, file->size) == (ssize_t)file->size, "a file can be written");
  close(out);
}

static void write_folder(uint32_t flags) {
  remove_files(store_path);
  if (flags & CHECKSUMS) {
    repair_lines(&edited[KEY_LOG], &edited[VALUE_LOG]);
    repair_lines(&edited[NEW_KEY_LOG], &edited[NEW_VALUE_LOG]);
  }
  for (int i = 0; i < FILES; i++)
    if (i != CONTROL) write_image(&edited[i], file_names[i]);
  fit_control(flags);
  write_image(&edited[CONTROL], file_names[CONTROL]);
  const image mark = {.there = (flags & UNCLEAN) != 0, .bytes = edited[KEY_LOG].bytes};
  write_image(&mark, ".OPEN");
}

/* Everything that can be done ------------------------------------------------------------------------*/

static unsigned touched; /* so that no read is left out */

static void touch(const void *bytes, size_t size) {
  touched ^= crc32_update(0, bytes, size);
}

static void read_keys(vdb_store *store) {
  vdb_value value;
  vdb_version version;
  vdb_snapshot *snapshot;
  for (size_t i = 0; i < KEYS; i++) {
    vdb_key key = vdb_string(keys[i], strlen(keys[i]));
    if (vdb_get_version(store, &key, &value, &version, NULL) == VDB_OK) touch(value.bytes, value.size);
  }
  if (vdb_snapshot_begin(store, &snapshot, NULL) != VDB_OK) return;
  for (size_t i = 0; i < KEYS; i++) {
    vdb_key key = vdb_string(keys[i], strlen(keys[i]));
    if (vdb_snapshot_get(snapshot, &key, &value, NULL) == VDB_OK) touch(value.bytes, value.size);
  }
  vdb_snapshot_end(snapshot);
}

static void walk(vdb_store *store) {
  vdb_walk *steps;
  vdb_key key;
  vdb_value value;
  vdb_status status = vdb_walk_begin(store, &steps, NULL);
  if (status != VDB_OK) return;
  for (int i = 0; i < 20000 && (status == VDB_OK || i < 50); i++) {
    status = vdb_walk_next(steps, &key, &value, NULL);
    if (status == VDB_OK) touch(value.bytes, value.size);
    if (status == VDB_OK && key.type == VDB_STRING) touch(key.string, key.size);
    if (status == VDB_ABSENT) break;
  }
  vdb_walk_end(steps);
}

static void look_around(vdb_store *store) {
  vdb_stats stats;
  uint64_t count, problems;
  read_keys(store);
  walk(store);
  (void)vdb_count(store, &count, NULL);
  (void)vdb_stat(store, &stats, NULL);
  (void)vdb_check(store, NULL, NULL, &problems, NULL);
}

static void check_put(vdb_store *store, const char *key, const char *bytes, size_t size) {
  vdb_key name = vdb_string(key, strlen(key));
  vdb_value value;
  if (!put(store, key, bytes, size)) return;
  require_that(vdb_get(store, &name, &value, NULL) == VDB_OK && value.size == size &&
                   memcmp(value.bytes, bytes, size) == 0,
               "what was stored is there");
}

static void write_keys(vdb_store *store) {
  static char big[20000];
  for (size_t i = 0; i < KEYS; i++) {
    vdb_key key = vdb_string(keys[i], strlen(keys[i]));
    if (i % 3 == 0) (void)vdb_delete(store, &key, NULL);
    if (i % 3 == 1) (void)vdb_expire(store, &key, VDB_NEVER, NULL);
    if (i % 3 != 0) check_put(store, keys[i], "fresh", 5);
  }
  (void)commit_two(store);
  check_put(store, "big", big, sizeof big);
}

static void use(vdb_store *store) {
  look_around(store);
  write_keys(store);
  (void)vdb_sync(store, NULL);
  (void)vdb_reclaim(store, NULL, NULL, NULL);
  look_around(store);
  write_keys(store);
}

static void open_and_use(bool readonly) {
  vdb_options options = {.readonly = readonly, .wait_seconds = 0.01};
  vdb_store *store;
  if (vdb_open(store_path, &options, &store, NULL) == VDB_OK) use(store);
  (void)vdb_close(store, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (folder < 0) start();
  input from = {.at = bytes, .left = size};
  uint32_t flags = take_number(&from, 2);
  edit(&from, flags);
  write_folder(flags);
  if (flags & READONLY) open_and_use(true);
  open_and_use(false);
  open_and_use(false);
  (void)vdb_repair(store_path, target_path, NULL, NULL, NULL);
  remove_files(target_path);
  return 0;
}
