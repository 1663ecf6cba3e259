/*
** damage_test.c - files that were cut, changed, lengthened or mixed up while nobody had the store open.
**
** A store with a short history is closed, or its process is killed. Then its files are damaged in every way
** that the names below tell, and it is opened. Whatever comes of that: no value is read that its key never
** had, what is read is what the store held after some operation, but for places that are told as
** VDB_CORRUPT, and opening again changes nothing.
*/
#define _GNU_SOURCE

#include "fixture.h"

#include "../../src/engine/control.h"

/* The history ------------------------------------------------------------------------------------------- */

enum { KEYS = 9, CHANGES = 16 };
static const char *const keys[KEYS] = {"a", "b", "c", "key d", "e", "timed", "x", "y", "z"};
#define EXPIRATION INT64_C(3102444800000) /* one bit away from a time that is past */

/* Steps with the same number are one operation; a batch when there are several. */
typedef struct change {
  int operation, key;
  const char *value; /* NULL: deleted */
  int64_t expiration;
} change;

static const change changes[CHANGES] = {{1, 0, "first a", 0},
                                        {2, 1, "first b", 0},
                                        {3, 2, "the value of c", 0},
                                        {4, 0, "second a", 0},
                                        {5, 3, "d", 0},
                                        {6, 5, "timed", EXPIRATION},
                                        {7, 4, "e, deleted soon", 0},
                                        {8, 1, NULL, 0},
                                        {9, 6, "x", 0},
                                        {9, 7, "y", 0},
                                        {9, 4, NULL, 0},
                                        {10, 8, "z", 0},
                                        {11, 2, "another c", 0},
                                        {12, 1, "second b", 0},
                                        {13, 7, "y again", 0},
                                        {14, 8, "last z", 0}};
enum { OPERATIONS = 14, SYNCED = 5 };

/* For each key after each operation: 1 + the change that gave it its value, 0 when it is absent. */
static int states[OPERATIONS + 1][KEYS];

static void compute_states(void) {
  for (int i = 0; i < CHANGES; i++)
    for (int at = changes[i].operation; at <= OPERATIONS; at++)
      states[at][changes[i].key] = changes[i].value != NULL ? i + 1 : 0;
}

static bool write_operation(vdb_store *store, int operation) {
  vdb_change batch[4];
  vdb_value values[4];
  size_t count = 0;
  for (int i = 0; i < CHANGES; i++) {
    const change *next = &changes[i];
    if (next->operation != operation) continue;
    vdb_value *value = next->value != NULL ? &values[count] : NULL;
    if (value != NULL) *value = (vdb_value){VDB_BYTES, next->value, strlen(next->value), next->expiration};
    batch[count++] = (vdb_change){.key = text_key(keys[next->key]), .value = value};
  }
  if (count > 1) return vdb_commit(store, NULL, NULL, 0, batch, count, &last_error) == VDB_OK;
  if (batch->value == NULL) return vdb_delete(store, &batch->key, &last_error) == VDB_OK;
  return vdb_put(store, &batch->key, batch->value, &last_error) == VDB_OK;
}

static bool write_history(vdb_store *store) {
  bool good = store != NULL;
  for (int operation = 1; operation <= OPERATIONS && good; operation++) {
    good = write_operation(store, operation);
    if (operation == SYNCED) good = good && vdb_sync(store, &last_error) == VDB_OK;
  }
  return good;
}

/* The files --------------------------------------------------------------------------------------------- */

enum { KEY_LOG, VALUE_LOG, CONTROL, INDEX, FILES };
static const char *const file_names[FILES] = {"db.klog", "db.vlog", "db.ctl", "db.index"};

/* A folder, and what its files hold. Restored in place, they stay the files that the store knows. */
typedef struct saved_store {
  const char *path;
  bool unclean;
  char *bytes[FILES];
  size_t sizes[FILES];
  ino_t index; /* the file that still holds the saved index, 0 for none */
} saved_store;

static void save_file(saved_store *saved, int which) {
  FILE *file = fopen(file_path(saved->path, file_names[which]), "rb");
  int64_t found = file_size(saved->path, file_names[which]);
  size_t size = found > 0 ? (size_t)found : 0;
  free(saved->bytes[which]);
  saved->bytes[which] = malloc(size + 1);
  saved->sizes[which] = fread(saved->bytes[which], 1, size, file);
  fclose(file);
}

/* A log is saved up to its end, without what was allocated for more. */
static void save_store(saved_store *saved) {
  for (int i = 0; i < FILES; i++) save_file(saved, i);
  saved->unclean = has_file(saved->path, ".OPEN");
  const control_page *page = (const control_page *)(void *)saved->bytes[CONTROL];
  saved->sizes[KEY_LOG] = (size_t)page->committed;
  saved->sizes[VALUE_LOG] = (size_t)page->value_log_end;
}

static void write_file(const char *path, const char *name, const char *bytes, size_t size) {
  int file = open(file_path(path, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || pwrite(file, bytes, size, 0) != (ssize_t)size || ftruncate(file, (off_t)size) != 0)
    printf("Bail out! cannot write %s\n", name);
  close(file);
}

static void remove_others(const char *path) {
  DIR *entries = opendir(path);
  const struct dirent *entry;
  while (entries != NULL && (entry = readdir(entries)) != NULL) {
    bool ours = false;
    for (int i = 0; i < FILES; i++) ours = ours || strcmp(entry->d_name, file_names[i]) == 0;
    if (!ours) (void)unlinkat(dirfd(entries), entry->d_name, 0);
  }
  if (entries != NULL) closedir(entries);
}

/* What is left of a store beside its logs. */
typedef enum left { ALL, NO_INDEX, LOGS_ONLY, LEFT } left;
static const char *const left_names[LEFT] = {"control page and index kept", "without the index",
                                             "without control page and index"};

static bool with_writes;      /* does the case that follows write */
static bool index_is_written; /* by the case that follows */

static ino_t inode_of_index(const saved_store *saved) {
  struct stat status;
  return stat(file_path(saved->path, "db.index"), &status) == 0 ? status.st_ino : 0;
}

static void restore(saved_store *saved, bool unclean, left what) {
  remove_others(saved->path);
  for (int i = 0; i < FILES; i++)
    if (i != INDEX || saved->index == 0 || saved->index != inode_of_index(saved))
      write_file(saved->path, file_names[i], saved->bytes[i], saved->sizes[i]);
  saved->index = index_is_written ? 0 : inode_of_index(saved);
  if (unclean) write_file(saved->path, ".OPEN", "", 0);
  if (what != ALL) remove_file(saved->path, "db.index");
  if (what == LOGS_ONLY) remove_file(saved->path, "db.ctl");
}

static saved_store closed, killed;

static int write_and_die(void *context) {
  (void)context;
  if (write_history(open_store(killed.path))) raise(SIGKILL);
  return 1;
}

static void make_stores(void) {
  closed.path = new_path();
  vdb_store *store = open_store(closed.path);
  ok(write_history(store) && close_store(store), "a store gets a history and is closed");
  save_store(&closed);
  killed.path = new_path();
  ok(in_child(write_and_die, NULL) == -SIGKILL, "another gets the same, and its process is killed");
  save_store(&killed);
}

/* Reading ----------------------------------------------------------------------------------------------- */

enum { DAMAGED = -1, WRONG = -2 };

/* 1 + the change that gave the key this value, 0 when it is absent, DAMAGED, WRONG. */
static int read_key(vdb_store *store, int which) {
  vdb_key key = text_key(keys[which]);
  vdb_value value;
  vdb_status status = vdb_get(store, &key, &value, &last_error);
  if (status == VDB_ABSENT) return 0;
  if (status == VDB_CORRUPT || status == VDB_UNSUPPORTED)
    return strstr(last_error.message, "db.") != NULL ? DAMAGED : WRONG;
  for (int i = 0; i < CHANGES && status == VDB_OK; i++)
    if (changes[i].key == which && changes[i].value != NULL && strlen(changes[i].value) == value.size &&
        memcmp(changes[i].value, value.bytes, value.size) == 0)
      return i + 1;
  printf("# %s: %s %s\n", keys[which], vdb_status_name(status), last_error.message);
  return WRONG;
}

static bool read_keys(vdb_store *store, int found[KEYS]) {
  bool right = true;
  for (int key = 0; key < KEYS; key++) {
    found[key] = read_key(store, key);
    right = right && found[key] != WRONG;
  }
  return right;
}

/* A walk gives no key a value that a get doesn't. */
static bool walks(vdb_store *store, const int found[KEYS]) {
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  vdb_status status = vdb_walk_begin(store, &walk, &last_error);
  bool right = status == VDB_OK;
  while (right && (status = vdb_walk_next(walk, &key, &value, &last_error)) == VDB_OK) {
    bool known = false;
    for (int i = 0; i < KEYS && !known; i++)
      known = strlen(keys[i]) == key.size && memcmp(keys[i], key.string, key.size) == 0 && found[i] > 0;
    right = known;
  }
  vdb_walk_end(walk);
  return right && (status == VDB_ABSENT || status == VDB_CORRUPT || status == VDB_UNSUPPORTED);
}

static bool is_state(const int state[KEYS], const int found[KEYS]) {
  for (int key = 0; key < KEYS; key++)
    if (found[key] != DAMAGED && found[key] != state[key]) return false;
  return true;
}

static int state_of(const int found[KEYS]) {
  for (int at = OPERATIONS; at >= 0; at--)
    if (is_state(states[at], found)) return at;
  return -1;
}

static bool damage_is_found(vdb_store *store) {
  uint64_t problems = 0;
  vdb_status status = vdb_check(store, NULL, NULL, &problems, &last_error);
  return problems > 0 || status == VDB_CORRUPT || status == VDB_UNSUPPORTED;
}

/* What a damage may do ---------------------------------------------------------------------------------- */

typedef enum limit {
  SOME_STATE,     /* the store is as after some operation, but for what is told as damaged */
  LAST_STATE,     /* after the last one */
  WHOLE,          /* the last one, and nothing is damaged */
  CHECK_OR_STATE, /* as after some operation, or a check finds what is not */
  CHECK_TELLS_IT  /* anything that its keys once had; what is not as it was is found by a check */
} limit;

static int opened, refused, cases;

static bool within(vdb_store *store, limit most, const int found[KEYS]) {
  bool last = is_state(states[OPERATIONS], found);
  if (most == SOME_STATE) return state_of(found) >= 0;
  if (most == LAST_STATE) return last;
  if (most == CHECK_OR_STATE) return state_of(found) >= 0 || damage_is_found(store);
  if (most == CHECK_TELLS_IT) return last || damage_is_found(store);
  return memcmp(found, states[OPERATIONS], sizeof states[0]) == 0 && !damage_is_found(store);
}

static bool takes_writes(vdb_store *store) {
  bool good = put_text(store, "after", "all of it") == VDB_OK && holds(store, "after", "all of it");
  return good && put_text(store, "a", "a new a") == VDB_OK && holds(store, "a", "a new a");
}

/* VDB_OK, or a refusal that names a file; anything else is no way to treat a damaged store. */
static vdb_store *open_damaged(const char *path, bool *right) {
  vdb_store *store;
  vdb_status status = vdb_open(path, NULL, &store, &last_error);
  bool told = status == VDB_CORRUPT || status == VDB_UNSUPPORTED;
  *right =
      status == VDB_OK ||
      (told &&
       (strstr(last_error.message, "db.klog") != NULL || strstr(last_error.message, "db.vlog") != NULL) &&
       strstr(last_error.message, "byte ") != NULL);
  if (!*right) printf("# open: %s %s\n", vdb_status_name(status), last_error.message);
  return store;
}

static bool opens_again(const char *path, const int found[KEYS]) {
  int again[KEYS];
  bool right;
  vdb_store *store = open_damaged(path, &right);
  if (store == NULL) return false;
  right = read_keys(store, again) && memcmp(again, found, sizeof again) == 0;
  if (with_writes && state_of(found) >= 0) right = right && (takes_writes(store) || damage_is_found(store));
  vdb_close(store, NULL);
  return right;
}

static bool survives(const char *path, limit most) {
  bool right;
  int found[KEYS];
  vdb_store *store = open_damaged(path, &right);
  cases++;
  if (store == NULL) {
    refused++;
    return right && most != WHOLE;
  }
  opened++;
  right = read_keys(store, found) && walks(store, found) && within(store, most, found);
  if (!right)
    for (int i = 0; i < KEYS; i++) printf("# %s: %d\n", keys[i], found[i]);
  vdb_close(store, NULL);
  if (with_writes) right = opens_again(path, found) && right;
  return right;
}

static void start_counting(void) {
  opened = refused = cases = 0;
}

/* Cuts -------------------------------------------------------------------------------------------------- */

static void test_cuts(saved_store *saved, bool unclean, left what) {
  static const char *const ends[] = {"closed", "left open"};
  int wrong = 0;
  start_counting();
  for (int log = KEY_LOG; log <= VALUE_LOG; log++) {
    for (size_t length = 0; length <= saved->sizes[log]; length++) {
      with_writes = index_is_written = length % 16 == 0 || log == VALUE_LOG;
      restore(saved, unclean, what);
      if (truncate(file_path(saved->path, file_names[log]), (off_t)length) != 0) wrong++;
      if (survives(saved->path, length == saved->sizes[log] ? WHOLE : SOME_STATE)) continue;
      printf("# %s cut to %d bytes\n", file_names[log], (int)length);
      wrong++;
    }
  }
  ok(wrong == 0 && cases > 1000, "%s, %s, both logs cut at each byte: %d opened, %d refused",
     ends[unclean ? 1 : 0], left_names[what], opened, refused);
}

/* Bits -------------------------------------------------------------------------------------------------- */

static bool survives_flip(saved_store *saved, bool unclean, left what, int file, size_t bit, limit most) {
  restore(saved, unclean, what);
  saved->bytes[file][bit / 8] ^= (char)(1 << bit % 8);
  write_file(saved->path, file_names[file], saved->bytes[file], saved->sizes[file]);
  saved->bytes[file][bit / 8] ^= (char)(1 << bit % 8);
  if (survives(saved->path, most)) return true;
  printf("# bit %d of byte %d of %s\n", (int)(bit % 8), (int)(bit / 8), file_names[file]);
  return false;
}

static int flip_bits(saved_store *saved, bool unclean, left what, int file, size_t end, size_t step,
                     limit most) {
  int wrong = 0;
  for (size_t bit = 0; bit < end * 8; bit += step) {
    with_writes = bit % 29 == 0;
    index_is_written = with_writes || file == INDEX || saved == &killed;
    wrong += !survives_flip(saved, unclean, what, file, bit, most);
  }
  return wrong;
}

static void test_bits_of_logs(void) {
  start_counting();
  int wrong = flip_bits(&closed, false, ALL, KEY_LOG, closed.sizes[KEY_LOG], 1, LAST_STATE);
  wrong += flip_bits(&closed, false, ALL, VALUE_LOG, closed.sizes[VALUE_LOG], 1, LAST_STATE);
  ok(wrong == 0 && cases > 10000 && refused < 20,
     "each bit of both logs is flipped: of %d times what is read is right or told to be damaged", cases);
  start_counting();
  wrong = flip_bits(&closed, true, LOGS_ONLY, KEY_LOG, closed.sizes[KEY_LOG], 3, SOME_STATE);
  wrong += flip_bits(&closed, true, LOGS_ONLY, VALUE_LOG, closed.sizes[VALUE_LOG], 1, SOME_STATE);
  ok(wrong == 0 && refused > 100, "when all must be read, what is damaged is told or was the end: %d refused",
     refused);
  start_counting();
  wrong = flip_bits(&closed, false, LOGS_ONLY, KEY_LOG, closed.sizes[KEY_LOG], 5, CHECK_OR_STATE);
  wrong += flip_bits(&closed, false, NO_INDEX, KEY_LOG, closed.sizes[KEY_LOG], 7, CHECK_OR_STATE);
  ok(wrong == 0 && opened > 100,
     "when an index is made without reading all, a check finds what was not seen");
}

static void test_bits_of_the_control_page(void) {
  start_counting();
  int wrong = flip_bits(&closed, false, ALL, CONTROL, sizeof(control_page), 1, WHOLE);
  ok(wrong == 0 && refused == 0, "each bit of the control page of a closed store is flipped: %d open",
     opened);
  start_counting();
  wrong = flip_bits(&killed, true, ALL, CONTROL, sizeof(control_page), 1, WHOLE);
  ok(wrong == 0, "each bit of that which a killed process left: %d open, %d are refused", opened, refused);
}

static void test_bits_of_the_index(void) {
  start_counting();
  int wrong = flip_bits(&closed, false, ALL, INDEX, 160, 1, CHECK_TELLS_IT);
  wrong += flip_bits(&closed, false, ALL, INDEX, closed.sizes[INDEX], 1009, CHECK_TELLS_IT);
  const char *slots = closed.bytes[INDEX] + 65536;
  index_is_written = true;
  for (size_t byte = 0; byte < 65536; byte++)
    for (size_t bit = 0; bit < 8 && slots[byte] != 0; bit++)
      wrong += !survives_flip(&closed, false, ALL, INDEX, (65536 + byte) * 8 + bit, CHECK_TELLS_IT);
  ok(wrong == 0 && cases > 2000, "what flipped bits of the index hide is found by a check, %d times", cases);
}

/* Tails and mixtures ------------------------------------------------------------------------------------ */

static void append(const char *path, const char *name, const char *bytes, size_t size) {
  FILE *file = fopen(file_path(path, name), "ab");
  if (file == NULL || fwrite(bytes, 1, size, file) != size) printf("Bail out! cannot append\n");
  if (file != NULL) fclose(file);
}

static void test_tails(void) {
  static char tails[4][5000];
  static const size_t sizes[] = {1, 7, 4096, 5000};
  memset(tails[1], '\n', sizeof tails[1]);
  for (size_t i = 0; i < sizeof tails[2]; i++) tails[2][i] = (char)random_below(256);
  for (size_t i = 0; i < sizeof tails[3]; i++)
    tails[3][i] = "{\"checksum\": 1, \"key\": \"a\", \"type\": \"del\"}\n"[i % 43];
  int wrong = 0;
  start_counting();
  with_writes = index_is_written = true;
  for (int i = 0; i < 2 * LEFT * 2 * 4 * 4; i++) {
    saved_store *saved = i % 2 == 0 ? &closed : &killed;
    left what = (left)(i / 2 % LEFT);
    int log = i / (2 * LEFT) % 2, tail = i / (4 * LEFT) % 4;
    size_t size = sizes[i / (16 * LEFT) % 4];
    restore(saved, i % 2 != 0, what);
    append(saved->path, file_names[log], tails[tail], size);
    if (survives(saved->path, WHOLE)) continue;
    printf("# tail %d of %d bytes behind %s, %s, %d\n", tail, (int)size, file_names[log], left_names[what],
           i % 2);
    wrong++;
  }
  ok(wrong == 0, "zeros, newlines and junk behind the end of a log change nothing, %d times", cases);
}

/* The logs of one generation beside those of another, in all states of the rest. */
static void test_mixtures(void) {
  saved_store old = {.path = new_path()}, fresh = {.path = old.path};
  vdb_store *store = open_store(old.path);
  bool made = write_history(store) && close_store(store);
  save_store(&old);
  store = open_store(old.path);
  made = made && store != NULL && reclaim(store) && close_store(store);
  save_store(&fresh);
  int wrong = 0;
  start_counting();
  with_writes = index_is_written = true;
  for (int i = 0; i < 2 * LEFT * 2 * 2; i++) {
    saved_store *rest = i / (4 * LEFT) % 2 == 0 ? &old : &fresh;
    const saved_store *other = rest == &old ? &fresh : &old;
    int log = i / (2 * LEFT) % 2;
    restore(rest, i % 2 != 0, (left)(i / 2 % LEFT));
    write_file(rest->path, file_names[log], other->bytes[log], other->sizes[log]);
    if (!survives(rest->path, SOME_STATE)) printf("# mixture %d\n", i), wrong++;
  }
  ok(made && wrong == 0, "logs of two generations beside each other give no wrong value, %d times", cases);
  for (int i = 0; i < FILES; i++) {
    free(old.bytes[i]);
    free(fresh.bytes[i]);
  }
}

int main(void) {
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1); /* nothing here is about the disk */
  compute_states();
  make_stores();
  for (int what = ALL; what < LEFT; what += LOGS_ONLY) {
    test_cuts(&closed, false, (left)what);
    test_cuts(&killed, true, (left)what);
  }
  test_bits_of_logs();
  test_bits_of_the_control_page();
  test_bits_of_the_index();
  test_tails();
  test_mixtures();
  for (int i = 0; i < FILES; i++) {
    free(closed.bytes[i]);
    free(killed.bytes[i]);
  }
  return done_testing();
}
