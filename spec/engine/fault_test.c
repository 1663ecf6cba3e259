/*
** fault_test.c - each system call fails, once or from then on, while a store is opened, used, repaired and closed.
**
** A call of the store that fails says so and changes nothing; what it said was done is there. The store can
** be used afterwards, or after it was opened again.
*/
#include "lives.h"

/* The call that fails ----------------------------------------------------------------------------------- */

typedef enum extent { ONCE, THE_SAME, ALL } extent;

/* An error number of 0 is a read or write that does half its work. */
typedef struct fault {
  extent extent; /* this call only, all of the same name from there on, all from there on */
  int number;
} fault;

static fault with;
static int calls, fault_at;
static const char *fault_name;       /* NULL when it has not come to that */
static bool sync_failed, sync_fails; /* at all, and in the operation that is being done */
static bool must_be_readonly;
static bool lied; /* a failed system call was taken for something else */

/* What the system has no way to refuse. */
static bool cannot_fail(const char *name) {
  return strcmp(name, "clock") == 0 || strcmp(name, "user") == 0 || strcmp(name, "unlock") == 0;
}

static verdict fail_call(const char *name) {
  if (cannot_fail(name) || ++calls < fault_at) return GO;
  if (calls == fault_at) fault_name = name;
  if (calls > fault_at && with.extent == ONCE) return GO;
  if (with.extent == THE_SAME && strcmp(name, fault_name) != 0) return GO;
  if (with.number == 0) return HALF;
  if (strncmp(name, "sync", 4) == 0) sync_failed = sync_fails = true;
  errno = with.number;
  return FAIL;
}

/* What is done, and what must be there ------------------------------------------------------------------ */

static table said; /* what the store must hold, by what it said */

static const char *name_of_fault(void) {
  return fault_name != NULL ? fault_name : "nothing";
}

static void lie(const char *what, vdb_status status) {
  printf("# told %s for a failed %s in %s: %s\n", vdb_status_name(status), name_of_fault(), what,
         last_error.message);
  lied = true;
}

/* A failure says what has failed, and is not taken for a damaged file, another process, or a key that is not there. */
static bool is_honest(vdb_status status) {
  bool failed = status == VDB_IO || status == VDB_FULL || (status == VDB_READONLY && sync_failed);
  return status == VDB_OK || (failed && fault_name != NULL && last_error.message[0] != '\0');
}

static void read_said(vdb_store *store) {
  for (int name = 0; name < names_used; name++) {
    int cell;
    vdb_status status = read_cell(store, name, &cell);
    bool absent = status == VDB_ABSENT && said.cells[name] == 0;
    if (!absent && !is_honest(status)) lie("a read", status);
    if (status == VDB_OK && cell != said.cells[name]) lie("a read of what is not there", status);
  }
}

/* With VDB_SYNC_ALWAYS a write that could not be synced is done, but not promised. */
static bool may_be_done(const operation *next, vdb_status status) {
  return sync_mode == VDB_SYNC_ALWAYS && sync_failed && status != VDB_READONLY && next->kind != CLOSE;
}

static bool is_as_said(vdb_store *store);

static void settle(const operation *next) {
  table before = said;
  before_call = NULL;
  apply(next, &said);
  if (!is_as_said(handles[next->handle])) said = before;
  before_call = fail_call;
}

static void perform_with_faults(const operation *next) {
  if (handles[next->handle] == NULL && next->kind != OPEN && next->kind != OPEN_READONLY) return;
  last_error = (vdb_error){0};
  if (next->kind == READ) {
    read_said(handles[next->handle]);
    return;
  }
  sync_fails = false;
  vdb_status status = perform(next);
  bool syncs = next->kind == SYNC || (next->kind >= PUT && next->kind < SYNC && sync_mode == VDB_SYNC_ALWAYS);
  if (syncs && sync_fails) must_be_readonly = true;
  bool absent = status == VDB_ABSENT && said.cells[next->name] == 0;
  if (!absent && !is_honest(status)) lie("an operation", status);
  if (status == VDB_OK) apply(next, &said);
  else if (may_be_done(next, status)) settle(next);
}

static bool is_as_said(vdb_store *store) {
  table found;
  return store != NULL && read_table(store, &found) && same_table(&found, &said);
}

/* A store may be read-only when any sync has failed; after one that was asked for it must, until all have closed it. */
static bool works_again(vdb_store *store) {
  static const operation put = {PUT, 0, SMALL, 12};
  const vdb_value value = value_of(SMALL, 12);
  vdb_key key = key_of(SMALL);
  vdb_status status = vdb_put(store, &key, &value, &last_error);
  if (status == VDB_OK) apply(&put, &said);
  bool good = status == VDB_READONLY ? sync_failed : status == VDB_OK && !must_be_readonly;
  if (!good) printf("# put: %s %s\n", vdb_status_name(status), last_error.message);
  return good && is_as_said(store) && (status == VDB_READONLY || ends_in_filler(store));
}

static bool is_tidy(void) {
  static const char *const leftovers[] = {".OPEN", "db.swap", "db.klog.new", "db.vlog.new", "db.index.new"};
  for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++)
    if (has_file(path, leftovers[i])) return false;
  return true;
}

static bool reopens(void) {
  sync_failed = must_be_readonly = false;
  vdb_store *store = open_store(path);
  bool good = is_as_said(store) && (fault_at % 4 > 0 || works_again(store)) && is_sound(store, &said, 0);
  return close_store(store) && is_tidy() && good;
}

/* Lives with faults ------------------------------------------------------------------------------------- */

static bool survives(const life *now, bool witnessed, const table *held) {
  bool good = begin(now, witnessed);
  bool readonly = now->operations[0].kind == OPEN_READONLY;
  said = *held;
  calls = 0;
  fault_name = NULL;
  sync_failed = must_be_readonly = lied = closed_standard_file = false;
  sync_mode = now->sync;
  for (int i = 0; i < now->count; i++) {
    const operation *next = &now->operations[i];
    vdb_store *store = handles[next->handle];
    before_call = NULL;
    if (next->kind == CLOSE && store != NULL)
      good = (readonly ? is_as_said(store) : works_again(store)) && good;
    before_call = fail_call;
    perform_with_faults(next);
  }
  before_call = NULL;
  if (witnessed) good = works_again(witness) && good;
  if (witnessed) vdb_close(witness, NULL);
  if (closed_standard_file) printf("# a file was closed that belongs to the host\n");
  return reopens() && good && !lied && !closed_standard_file;
}

static int runs;

static bool survives_with(fault next, const life *now, bool witnessed, const table *held) {
  with = next;
  runs++;
  if (survives(now, witnessed, held)) return true;
  printf("# wrong: %s fails at call %d, extent %d, error %d\n", name_of_fault(), fault_at, (int)with.extent,
         with.number);
  return false;
}

/* A long run has every error at each call; otherwise those that come to the same take turns. */
static bool survives_each(const life *now, bool witnessed, const table *held) {
  static const int numbers[] = {EIO, EMFILE, ENOSPC};
  int turn = fault_at % 3;
  bool good = survives_with((fault){ONCE, ENOSPC}, now, witnessed, held);
  bool in_parts = fault_name != NULL && (strcmp(fault_name, "read") == 0 || strcmp(fault_name, "write") == 0);
  good = survives_with((fault){ONCE, EINTR}, now, witnessed, held) && good;
  for (int i = 0; i < 2; i++)
    if (fault_at % 2 == i || soak() > 1)
      good = survives_with((fault){ONCE, numbers[i]}, now, witnessed, held) && good;
  if (in_parts) good = survives_with((fault){ONCE, 0}, now, witnessed, held) && good;
  good = survives_with((fault){THE_SAME, numbers[turn]}, now, witnessed, held) && good;
  return survives_with((fault){ALL, numbers[turn]}, now, witnessed, held) && good;
}

static void test_faults_in(const life *now, bool witnessed) {
  table held;
  int wrong = !prepare(now, witnessed, &held);
  fault_name = "";
  for (fault_at = 1; fault_name != NULL && fault_at < 1000; fault_at++)
    wrong += !survives_each(now, witnessed, &held);
  ok(wrong == 0 && fault_at > 10, "%s%s: each of %d system calls may fail, once or from there on", now->name,
     witnessed ? ", beside another process" : "", fault_at - 2);
}

/* Calls that are interrupted or do half their work ------------------------------------------------------- */

static int turn;

static verdict interrupt(const char *name) {
  bool opens = strcmp(name, "open") == 0 || strcmp(name, "create") == 0;
  if (!opens && strcmp(name, "read") != 0 && strcmp(name, "write") != 0) return GO;
  turn++;
  errno = EINTR;
  return opens ? (turn % 2 ? FAIL : GO) : turn % 3 == 0 ? FAIL : turn % 3 == 1 ? HALF : GO;
}

static void test_interrupted_calls(void) {
  const life *now = &lives[0];
  bool good = prepare(now, false, &said) && begin(now, false);
  before_call = interrupt;
  for (int i = 0; i < now->count; i++) {
    good = good && perform(&now->operations[i]) == VDB_OK;
    apply(&now->operations[i], &said);
  }
  ok(good && turn > 50, "calls that are interrupted or do half their work are made again");
  ok(reopens(), "and nothing is missing");
  before_call = NULL;
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
  static char bytes[500000];
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
  ok(put_bytes(store, vdb_integer(0), bytes, sizeof bytes) == VDB_FULL && walked(store) == found,
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
  os.write = gate_write;
}

int main(void) {
  install_gate();
  for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
    test_faults_in(&lives[i], false);
    bool repairs = lives[i].found > NO_CONTROL;
    if (may_be_witnessed(&lives[i]) && (repairs || soak() > 1)) test_faults_in(&lives[i], true);
  }
  printf("# %d injected failures\n", runs);
  test_interrupted_calls();
  test_full_disk();
  return done_testing();
}
