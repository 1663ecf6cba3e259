/*
** power_rounds.h - what is written while the power may fail, and what must be there afterwards.
**
** A round writes to one store. The state after each operation is kept: the version of each key, from which
** its value is made. What is left after a failure must be one of these states, none before the last that
** was promised to be on the disk.
**
** Now and then an image is not only looked at, but lived in: it is opened while the power may fail again,
** and written to.
*/
#ifndef VIPERDB_POWER_ROUNDS_H
#define VIPERDB_POWER_ROUNDS_H

#include "power.h"

#define NUMBERS 24 /* keys that are numbers */
#define TEXTS 8    /* and texts, each of a length of its own */
#define KEYS (NUMBERS + TEXTS)
#define OPERATIONS 60
#define SPARE 64 /* operations that are kept for the lives in images */
#define LONGEST 32768

static int refused, wrong, unchecked, lives, written_again;
static unsigned lived_in = 100;   /* one image in so many */
static unsigned longest_life = 5; /* operations */

/* States ------------------------------------------------------------------------------------------------ */

typedef int state[KEYS]; /* 0 is absent */

typedef struct history {
  state states[OPERATIONS + SPARE + 1]; /* after each operation */
  int operation, promised;
  int version;
  size_t text_sizes[TEXTS]; /* 0: no such key yet */
} history;

static history told;

static uint64_t expectation(void) {
  return (uint64_t)told.operation << 32 | (uint64_t)told.promised << 1 | 1;
}

static bool is_used(int key) {
  return key < NUMBERS || told.text_sizes[key - NUMBERS] > 0;
}

static vdb_key key_at(int key) {
  static char text[SECTOR];
  memset(text, 'x', sizeof text);
  return key < NUMBERS ? vdb_integer(key) : vdb_string(text, told.text_sizes[key - NUMBERS]);
}

static size_t make_value(char *bytes, int key, int version) {
  size_t size = version % 17 == 0 ? 20000 + (size_t)version % 9000 : 8 + (size_t)(version * 37 + key) % 700;
  memset(bytes, 'a' + version % 26, size);
  memcpy(bytes, &version, sizeof version);
  memcpy(bytes + sizeof version, &key, sizeof key);
  return size;
}

/* -1 when the value is none that was ever written. */
static int read_version(vdb_store *store, int key) {
  static char expected[LONGEST];
  vdb_key name = key_at(key);
  vdb_value value;
  int version;
  vdb_status status = vdb_get(store, &name, &value, &last_error);
  if (status == VDB_ABSENT) return 0;
  if (status != VDB_OK || value.size < 8) return -1;
  memcpy(&version, value.bytes, sizeof version);
  if (version <= 0 || version > told.version) return -1;
  size_t size = make_value(expected, key, version);
  return size == value.size && memcmp(expected, value.bytes, size) == 0 ? version : -1;
}

/* After which operation the store was as it is; -1 when that may not be. */
static int find_state(vdb_store *store) {
  state found;
  uint64_t count = 0;
  for (int key = 0; key < KEYS; key++) {
    found[key] = is_used(key) ? read_version(store, key) : 0;
    count += found[key] != 0;
    if (found[key] < 0) printf("# key %d: %s\n", key, last_error.message);
  }
  if (count_of(store) != count) return -1;
  for (int at = told.operation; at >= told.promised; at--)
    if (memcmp(told.states[at], found, sizeof found) == 0) return at;
  return -1;
}

/* Operations -------------------------------------------------------------------------------------------- */

static int *next_state(void) {
  memcpy(told.states[told.operation + 1], told.states[told.operation], sizeof(state));
  return told.states[++told.operation];
}

static void claim(vdb_status status) {
  if (status == VDB_OK || status == VDB_ABSENT) return;
  printf("# operation %d: %s %s\n", told.operation, vdb_status_name(status), last_error.message);
  wrong++;
}

static void put_version(vdb_store *store, int key, int version) {
  char bytes[LONGEST];
  next_state()[key] = version;
  size_t size = make_value(bytes, key, version);
  claim(put_bytes(store, key_at(key), bytes, size));
}

static void delete_key(vdb_store *store, int key) {
  vdb_key name = key_at(key);
  next_state()[key] = 0;
  claim(vdb_delete(store, &name, &last_error));
}

/* A line without a value of its own. */
static void expire_one(vdb_store *store) {
  vdb_key name = key_at((int)random_below(NUMBERS));
  next_state();
  claim(vdb_expire(store, &name, os_now() + INT64_C(1000000000000), &last_error));
}

static size_t key_log_size(vdb_store *store) {
  vdb_stats stats = {0};
  claim(vdb_stat(store, &stats, &last_error));
  return (size_t)stats.key_log_bytes;
}

/* The text of this length, or an older one when there is no room for another. */
static int text_of(size_t size) {
  for (int i = 0; i < TEXTS; i++) {
    if (told.text_sizes[i] == 0) told.text_sizes[i] = size;
    if (told.text_sizes[i] == size) return NUMBERS + i;
  }
  return NUMBERS + (int)random_below(TEXTS);
}

/*
** A key so long that its line fills a sector up, if it guesses right: then the next line does not need this
** sector.
*/
static void fill_sector(vdb_store *store) {
  static size_t around = 130; /* bytes of such a line beside its key */
  size_t before = key_log_size(store);
  int key = text_of(SECTOR - (before + around) % SECTOR);
  put_version(store, key, ++told.version);
  around = key_log_size(store) - before - told.text_sizes[key - NUMBERS];
}

static void write_batch(vdb_store *store) {
  char bytes[4][LONGEST];
  vdb_value values[4];
  vdb_change batch[4];
  int *after = next_state(), first = (int)random_below(NUMBERS);
  for (int i = 0; i < 4; i++) {
    int key = (first + i * 5) % NUMBERS;
    after[key] = i == 3 ? 0 : ++told.version;
    values[i] = (vdb_value){.encoding = VDB_BYTES, .bytes = bytes[i]};
    if (i < 3) values[i].size = make_value(bytes[i], key, told.version);
    batch[i] = (vdb_change){.key = key_at(key), .value = i < 3 ? &values[i] : NULL};
  }
  claim(vdb_commit(store, NULL, NULL, 0, batch, 4, &last_error));
}

static void write_something(vdb_store *store, vdb_options options) {
  uint64_t choice = random_below(100);
  if (choice < 56) put_version(store, (int)random_below(NUMBERS), ++told.version);
  else if (choice < 68) delete_key(store, (int)random_below(NUMBERS));
  else if (choice < 72) expire_one(store);
  else if (choice < 84) fill_sector(store);
  else write_batch(store);
  if (options.sync == VDB_SYNC_ALWAYS) told.promised = told.operation;
}

/*
** Reclaims in slices, with writes in between: some anywhere, and some while the new files are being
** exchanged.
*/
static vdb_status reclaim_slowly(vdb_store *store, vdb_options options) {
  static const vdb_reclaim_options slice = {.budget_seconds = 1e-9};
  bool more = true, synced = false;
  vdb_status status = VDB_OK;
  while (more && status == VDB_OK) {
    int before = syncs;
    status = vdb_reclaim(store, &slice, &more, &last_error);
    synced = synced || syncs > before;
    bool room = told.operation < OPERATIONS;
    if (more && room && (synced || random_below(32) == 0)) write_something(store, options);
  }
  return status;
}

static vdb_store *open_again(vdb_store *store, const char *path, vdb_options options) {
  doing = CLOSING;
  if (!close_store(store)) wrong++;
  told.promised = told.operation;
  if (random_below(2)) new_boot();
  doing = OPENING;
  return open_with(path, options);
}

/* A sync and a reclaim promise what was written before. */
static void keep_promises(vdb_store *store, vdb_options options) {
  uint64_t choice = random_below(20);
  doing = choice < 8 ? SYNCING : choice < 14 ? RECLAIMING : SLICING;
  if (doing == SYNCING) claim(vdb_sync(store, &last_error));
  else if (doing == RECLAIMING) claim(vdb_reclaim(store, NULL, NULL, &last_error));
  else claim(reclaim_slowly(store, options));
  told.promised = told.operation;
}

static vdb_store *operate(vdb_store *store, const char *path, vdb_options options) {
  uint64_t choice = random_below(100);
  doing = WRITING;
  if (choice < 70) write_something(store, options);
  else if (choice < 90) keep_promises(store, options);
  else return open_again(store, path, options);
  return store;
}

/* Images ------------------------------------------------------------------------------------------------ */

static bool takes_writes(vdb_store *store) {
  return put_text(store, "after", "all") == VDB_OK && holds(store, "after", "all");
}

static void refuse(const char *where) {
  refused++;
  printf("# at %s of operation %d, %d promised\n", where, told.operation, told.promised);
}

static void check_image(const char *folder, const char *where) {
  uint64_t problems = 0;
  vdb_store *store = open_store(folder);
  if (store == NULL) {
    refuse(where);
    return;
  }
  int first = find_state(store), again = -1;
  if (vdb_check(store, NULL, NULL, &problems, &last_error) != VDB_OK || problems > 0) unchecked++;
  vdb_close(store, NULL);
  store = open_store(folder);
  if (store != NULL) again = find_state(store);
  bool good = first >= 0 && first == again && takes_writes(store);
  vdb_close(store, NULL);
  if (!good)
    printf("# wrong at %s of operation %d, %d promised: %d, %d\n", where, told.operation, told.promised,
           first, again);
  wrong += !good;
}

/* Does the first operation that was lost once more: what was lost behind it must not be back with it. */
static void write_again(vdb_store *store) {
  state from, to;
  memcpy(from, told.states[told.operation], sizeof from);
  memcpy(to, told.states[told.operation + 1], sizeof to);
  for (int key = 0; key < KEYS; key++) {
    if (from[key] == to[key]) continue;
    if (to[key] != 0) put_version(store, key, to[key]);
    else delete_key(store, key);
  }
  written_again++;
}

/* What was found is what has been written so far, whatever was `lost` behind it. */
static void go_on(vdb_store *store, const char *folder, vdb_options options, bool lost) {
  doing = WRITING;
  if (lost && options.sync == VDB_SYNC_OS) {
    write_again(store);
    fail_power("rest");
  }
  for (uint64_t left = random_below(longest_life + 1); left > 0 && store != NULL; left--)
    store = operate(store, folder, options);
  doing = CLOSING;
  if (store == NULL || !close_store(store)) wrong++;
}

static void live_in(const char *folder, const char *where) {
  static const vdb_options kinds[] = {{.sync = VDB_SYNC_OS}, {.sync = VDB_SYNC_ALWAYS}};
  vdb_options options = kinds[random_below(2)];
  int found = -1, written = told.operation;
  doing = RECOVERING;
  vdb_store *store = open_with(folder, options);
  if (store == NULL) refuse(where);
  else found = find_state(store);
  if (found >= 0) {
    told.operation = told.promised = found;
    go_on(store, folder, options, found < written);
  } else if (store != NULL) {
    printf("# wrong in a life after %s of operation %d, %d promised\n", where, told.operation, told.promised);
    wrong++;
    vdb_close(store, NULL);
  }
}

static void watch_life(const char *folder, const char *where) {
  history before = told;
  activity done_before = doing;
  start_disk(&disks[1], folder);
  watched = &disks[1];
  lives++;
  live_in(folder, where);
  watched = NULL;
  empty_disk(&disks[1]);
  told = before;
  doing = done_before;
}

static void after_failure(const char *folder, const char *where) {
  if (in_image == 1 && random_below(lived_in) == 0) watch_life(folder, where);
  else check_image(folder, where);
}

/* Rounds ------------------------------------------------------------------------------------------------ */

static vdb_store *start_round(const char *path, vdb_options options) {
  start_boots(path);
  forget_seen();
  memset(&told, 0, sizeof told);
  watched = &disks[0];
  doing = OPENING;
  return open_with(path, options);
}

static void end_round(const char *path) {
  watched = NULL;
  empty_disk(&disks[0]);
  remove_store(path);
  end_boots();
}

static void play_round(vdb_options options, int operations) {
  const char *path = new_path();
  vdb_store *store = start_round(path, options);
  while (told.operation < operations && store != NULL) {
    store = operate(store, path, options);
    perhaps("rest", 1);
  }
  doing = CLOSING;
  if (store == NULL || !close_store(store)) wrong++;
  told.promised = told.operation;
  fail_power("the end");
  end_round(path);
}

static void play_rounds(int rounds, int operations) {
  if (access("/dev/shm", W_OK) == 0)
    setenv("TMPDIR", "/dev/shm", 1); /* the disk is played here, so memory will do */
  watch_system();
  for (int i = 0; i < rounds; i++)
    play_round((vdb_options){.sync = i % 2 == 0 ? VDB_SYNC_OS : VDB_SYNC_ALWAYS}, operations);
}

/* Judgement --------------------------------------------------------------------------------------------- */

static void report_states(void) {
  static const char *const names[ACTIVITIES] = {"writing", "a sync",  "a reclaim", "a reclaim in slices",
                                                "closing", "opening", "recovery"};
  for (int i = 0; i < ACTIVITIES; i++)
    printf("# %s: all subsets at %u moments, only random mixtures at %u\n", names[i], all_moments[i],
           other_moments[i]);
  printf("# %u states after power failures: %u from all subsets, %u from random mixtures; %u came again\n",
         all_states + mixed_states, all_states, mixed_states, same_states);
  printf("# from %d of them the store went on while the power failed again\n", lives);
}

static void judge(void) {
  ok(refused == 0, "a store opens after each failure");
  ok(wrong == 0, "and holds what it held after some operation, none before the last that was promised");
  ok(unchecked == 0, "and a check finds no problem in it");
  ok(early_lines == 0, "no key log is synced before the values that its lines name");
}

#endif
