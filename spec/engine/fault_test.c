/*
** fault_test.c - each system call fails, one after the other, while a store is opened, used and closed.
**
** A call of the store that fails says so and changes nothing; what it said was done is there. The store can
** be used afterwards, or after it was opened again.
*/
#include "fixture.h"

static os_table real;

/* The call that fails. */
static int calls, fault_at, fault_errno;
static bool faults_from_there; /* not only that one */
static const char *fault_name;

static bool fails(const char *name) {
  calls++;
  if (fault_at == 0 || calls < fault_at || (calls > fault_at && !faults_from_there)) return false;
  if (calls == fault_at) fault_name = name;
  errno = fault_errno;
  return true;
}

static int faulty_open(int folder, const char *name, int flags, mode_t mode) {
  return fails("open") ? -1 : real.open(folder, name, flags, mode);
}

static int faulty_open_folder(const char *path) {
  return fails("open_folder") ? -1 : real.open_folder(path);
}

static int faulty_make_folder(const char *path, mode_t mode) {
  return fails("make_folder") ? -1 : real.make_folder(path, mode);
}

static int faulty_status(int file, struct stat *status) {
  return fails("status") ? -1 : real.status(file, status);
}

static ssize_t faulty_read(int file, void *bytes, size_t size, off_t offset) {
  return fails("read") ? -1 : real.read(file, bytes, size, offset);
}

/* A failing write may have written a part. */
static ssize_t faulty_write(int file, const void *bytes, size_t size, off_t offset) {
  if (!fails("write")) return real.write(file, bytes, size, offset);
  int reason = errno;
  (void)real.write(file, bytes, size / 2, offset);
  errno = reason;
  return -1;
}

static int faulty_cut(int file, off_t size) {
  return fails("cut") ? -1 : real.cut(file, size);
}

static bool sync_failed;

static int faulty_sync(int file) {
  (void)file;
  if (!fails("sync")) return 0;
  sync_failed = true;
  return -1;
}

static int faulty_sync_folder(int folder) {
  (void)folder;
  if (!fails("sync_folder")) return 0;
  sync_failed = true;
  return -1;
}

static void *faulty_map(int file, size_t size, off_t offset, os_map_kind kind) {
  return fails("map") ? MAP_FAILED : real.map(file, size, offset, kind);
}

static int faulty_read_folder(int folder, bool (*visit)(void *context, const char *name), void *context) {
  return fails("read_folder") ? -1 : real.read_folder(folder, visit, context);
}

static int faulty_rename(int folder, const char *from, const char *to) {
  return fails("rename") ? -1 : real.rename(folder, from, to);
}

static int faulty_remove(int folder, const char *name) {
  return fails("remove") ? -1 : real.remove(folder, name);
}

static int faulty_lock(int file, off_t byte, os_lock_kind kind) {
  return kind != OS_UNLOCK && fails("lock") ? -1 : real.lock(file, byte, kind);
}

static int faulty_memory_file(const char *name) {
  return fails("memory_file") ? -1 : real.memory_file(name);
}

static int faulty_random(void *bytes, size_t size) {
  return fails("random") ? -1 : real.random(bytes, size);
}

static int faulty_size_limit(uint64_t *bytes) {
  return fails("size_limit") ? -1 : real.size_limit(bytes);
}

static void install_faults(void) {
  real = os;
  os.open = faulty_open;
  os.open_folder = faulty_open_folder;
  os.make_folder = faulty_make_folder;
  os.status = faulty_status;
  os.read = faulty_read;
  os.write = faulty_write;
  os.cut = faulty_cut;
  os.sync = faulty_sync;
  os.sync_folder = faulty_sync_folder;
  os.map = faulty_map;
  os.read_folder = faulty_read_folder;
  os.rename = faulty_rename;
  os.remove = faulty_remove;
  os.lock = faulty_lock;
  os.memory_file = faulty_memory_file;
  os.random = faulty_random;
  os.size_limit = faulty_size_limit;
}

static bool lied; /* a failed system call was taken for something else */

static void fail_call(int number, int reason) {
  calls = 0;
  fault_at = number;
  fault_errno = reason;
  fault_name = "none";
  sync_failed = lied = false;
}

/* What is done, and what must be there ------------------------------------------------------------------ */

enum { NAMES = 6 };
static const char *const names[NAMES] = {"kept", "small", "big", "huge", "deleted", "batch"};
static size_t sizes[NAMES]; /* of the values that must be there, SIZE_MAX for none */
static char bytes[700000];

/* A status of a call, under a fault. */
static vdb_status told(vdb_status status) {
  if (status == VDB_CORRUPT || status == VDB_CONFLICT || status == VDB_CLOSED || status == VDB_ABSENT) {
    printf("# told %s for a failed %s: %s\n", vdb_status_name(status), fault_name, last_error.message);
    lied = true;
  }
  return status;
}

static vdb_status put_name(vdb_store *store, int name, size_t size) {
  vdb_status status = told(put_bytes(store, text_key(names[name]), bytes, size));
  if (status == VDB_OK) sizes[name] = size;
  return status;
}

static void get_name(vdb_store *store, int name) {
  vdb_key key = text_key(names[name]);
  vdb_value value;
  if (sizes[name] != SIZE_MAX) told(vdb_get(store, &key, &value, &last_error));
}

static bool is_as_said(vdb_store *store) {
  uint64_t count = 0;
  for (int i = 0; i < NAMES; i++) {
    bool there = sizes[i] != SIZE_MAX;
    if (there) count++;
    if (there ? !holds_bytes(store, text_key(names[i]), bytes, sizes[i]) : !lacks(store, names[i])) {
      printf("# wrong: %s\n", names[i]);
      return false;
    }
  }
  if (count_of(store) == count && walked(store) == (int64_t)count) return true;
  printf("# %d keys counted, %d walked, %d wanted\n", (int)count_of(store), (int)walked(store), (int)count);
  return false;
}

static void delete_name(vdb_store *store, int name) {
  if (told(delete_text(store, names[name])) == VDB_OK) sizes[name] = SIZE_MAX;
}

static void commit_two(vdb_store *store) {
  const vdb_value value = {.encoding = VDB_BYTES, .bytes = bytes, .size = 300};
  const vdb_change changes[] = {{.key = text_key(names[5]), .value = &value},
                                {.key = text_key(names[1]), .value = &value}};
  if (told(vdb_commit(store, NULL, NULL, 0, changes, 2, &last_error)) == VDB_OK) sizes[5] = sizes[1] = 300;
}

/* Every kind of call. Whether each says the truth is looked at in between, without faults. */
static bool use(vdb_store *store) {
  put_name(store, 1, 10);
  put_name(store, 2, 20000);
  put_name(store, 3, 600000);
  delete_name(store, 4);
  commit_two(store);
  for (int i = 0; i < NAMES; i++) get_name(store, i);
  told(vdb_sync(store, &last_error));
  told(vdb_reclaim(store, NULL, NULL, &last_error));
  for (int i = 0; i < NAMES; i++) get_name(store, i);
  put_name(store, 2, 30000);
  int at = fault_at;
  fault_at = 0;
  bool right = !lied && is_as_said(store);
  fault_at = at;
  return right;
}

static const char *path;

static vdb_store *make_store(void) {
  path = new_path();
  vdb_store *store = open_store(path);
  for (int i = 0; i < NAMES; i++) sizes[i] = SIZE_MAX;
  put_name(store, 0, 5);
  put_name(store, 4, 7);
  return store;
}

/*
** A call after the fault: works, unless a sync has failed, which makes the store read-only until it is
** opened again.
*/
static bool works_again(vdb_store *store) {
  vdb_status status = put_name(store, 1, 77);
  return status == VDB_OK || (status == VDB_READONLY && sync_failed);
}

static bool reopens(void) {
  vdb_store *store = open_store(path);
  uint64_t problems = 1;
  if (store == NULL) return false;
  bool right = is_as_said(store) && put_name(store, 1, 88) == VDB_OK && is_as_said(store);
  if (vdb_check(store, NULL, NULL, &problems, &last_error) != VDB_OK || problems > 0) {
    printf("# a check finds %d problems: %s\n", (int)problems, last_error.message);
    right = false;
  }
  if (!close_store(store) || has_file(path, ".OPEN") || has_file(path, "db.swap")) right = false;
  for (int i = 0; i < 3; i++)
    if (has_file(path, (const char *const[]){"db.klog.new", "db.vlog.new", "db.index.new"}[i])) right = false;
  return right;
}

/* A fault in an open store's calls, and in its close. */
static bool fault_in_use(int number, int reason) {
  vdb_store *store = make_store();
  fail_call(number, reason);
  bool right = use(store);
  fault_at = 0;
  right = right && works_again(store) && is_as_said(store);
  vdb_close(store, NULL);
  return reopens() && right;
}

static bool fault_in_close(int number, int reason) {
  vdb_store *store = make_store();
  fail_call(number, reason);
  vdb_close(store, NULL);
  fault_at = 0;
  return reopens();
}

typedef enum opened { NOT_YET, CLOSED, UNCLEAN, WITHOUT_INDEX, WITHOUT_CONTROL, KINDS } opened;
static const char *const opened_names[] = {"of a new store", "of a closed store", "after a death",
                                           "without the index", "without the control page"};

static int put_and_die(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  put_name(store, 1, 99);
  raise(SIGKILL);
  return 0;
}

static void make_closed(opened kind) {
  if (kind == NOT_YET) {
    path = new_path();
    for (int i = 0; i < NAMES; i++) sizes[i] = SIZE_MAX;
    return;
  }
  close_store(make_store());
  if (kind == UNCLEAN) {
    in_child(put_and_die, NULL);
    sizes[1] = 99;
  }
  if (kind == WITHOUT_INDEX) remove_file(path, "db.index");
  if (kind == WITHOUT_CONTROL) remove_file(path, "db.ctl");
}

static opened kind_to_open;

static bool fault_in_open(int number, int reason) {
  make_closed(kind_to_open);
  fail_call(number, reason);
  vdb_store *store;
  vdb_error error = {0};
  vdb_status status = vdb_open(path, NULL, &store, &error);
  fault_at = 0;
  bool right =
      status == VDB_OK ? store != NULL && is_as_said(store) : store == NULL && error.message[0] != '\0';
  if (status == VDB_ABSENT || status == VDB_CORRUPT) right = false;
  if (!right) printf("# open: %s %s\n", vdb_status_name(status), error.message);
  vdb_close(store, NULL);
  return reopens() && right;
}

static void test_each_fault(const char *when, bool (*with_fault)(int number, int reason)) {
  static const struct {
    int number;
    const char *name;
  } reasons[] = {{ENOSPC, "ENOSPC"}, {EIO, "EIO"}, {EMFILE, "EMFILE"}};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    int number = 1, wrong = 0;
    for (;; number++) {
      bool right = with_fault(number, reasons[i].number);
      remove_store(path);
      if (strcmp(fault_name, "none") == 0) break;
      if (!right) printf("# wrong after a fault in call %d, %s\n", number, fault_name);
      if (!right) wrong++;
    }
    ok(wrong == 0 && number > 5, "each of %d system calls %s may fail with %s", number - 1, when,
       reasons[i].name);
  }
}

/* Calls that are interrupted or do half their work ------------------------------------------------------- */

static int turn;

static ssize_t halting_write(int file, const void *from, size_t size, off_t offset) {
  if (++turn % 3 == 0) {
    errno = EINTR;
    return -1;
  }
  return real.write(file, from, size > 1 && turn % 3 == 1 ? size / 2 : size, offset);
}

static ssize_t halting_read(int file, void *to, size_t size, off_t offset) {
  if (++turn % 3 == 0) {
    errno = EINTR;
    return -1;
  }
  return real.read(file, to, size > 1 && turn % 3 == 1 ? size / 2 : size, offset);
}

static int halting_open(int folder, const char *name, int flags, mode_t mode) {
  if (++turn % 2 == 0) return real.open(folder, name, flags, mode);
  errno = EINTR;
  return -1;
}

static void test_interrupted_calls(void) {
  os.write = halting_write;
  os.read = halting_read;
  os.open = halting_open;
  vdb_store *store = make_store();
  ok(store != NULL && use(store) && sizes[3] == 600000 && sizes[2] == 30000 && sizes[5] == 300,
     "calls that are interrupted or do half their work are made again");
  close_store(store);
  ok(reopens(), "and nothing is missing");
  os.write = faulty_write;
  os.read = faulty_read;
  os.open = faulty_open;
}

/* A full disk ------------------------------------------------------------------------------------------- */

static bool disk_is_full;

static ssize_t full_write(int file, const void *from, size_t size, off_t offset) {
  struct stat status;
  if (disk_is_full && fstat(file, &status) == 0 && offset + (off_t)size > status.st_size) {
    errno = ENOSPC;
    return -1;
  }
  return real.write(file, from, size, offset);
}

static void test_full_disk(void) {
  os.write = full_write;
  path = new_path();
  vdb_store *store = open_store(path);
  int stored = 0, deleted = 0, found = 0;
  for (int i = 0; i < 100; i++) put_bytes(store, vdb_integer(i), &i, sizeof i);
  disk_is_full = true;
  vdb_status status = VDB_OK;
  for (int i = 100; status == VDB_OK && i < 100000; i++) {
    status = put_bytes(store, vdb_integer(i), &i, sizeof i);
    stored = status == VDB_OK ? i : stored;
  }
  ok(status == VDB_FULL && stored > 100,
     "puts go on until the room is used up, then say that the disk is full");
  for (int i = 0; i <= stored; i++) found += holds_bytes(store, vdb_integer(i), &i, sizeof i);
  ok(found == stored + 1 && count_of(store) == (uint64_t)found, "all %d keys that were stored are there",
     found);
  ok(put_bytes(store, vdb_integer(0), bytes, 500000) == VDB_FULL && walked(store) == found,
     "a big value says so, too, and changes nothing");
  for (int i = 0; i < 50; i++) {
    vdb_key key = vdb_integer(i);
    deleted += vdb_delete(store, &key, &last_error) == VDB_OK;
  }
  ok(deleted == 50, "keys can be deleted on a full disk");
  disk_is_full = false;
  ok(put_text(store, "room", "again") == VDB_OK && holds(store, "room", "again"),
     "when there is room puts go on");
  ok(reclaim(store) && count_of(store) == (uint64_t)found - 49, "and reclaim works");
  close_store(store);
  os.write = faulty_write;
}

int main(void) {
  memset(bytes, 'v', sizeof bytes);
  install_faults();
  test_each_fault("in an open store", fault_in_use);
  test_each_fault("when it closes", fault_in_close);
  for (int kind = NOT_YET; kind < KINDS; kind++) {
    char when[80];
    kind_to_open = (opened)kind;
    snprintf(when, sizeof when, "of the opening %s", opened_names[kind]);
    test_each_fault(when, fault_in_open);
  }
  test_interrupted_calls();
  test_full_disk();
  return done_testing();
}
