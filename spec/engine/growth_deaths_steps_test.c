/*
** growth_deaths_steps_test.c - a process is stopped or dies while it makes the logs longer ahead, and others go on.
*/
#include "growing.h"
#include "steps.h"

static int *told; /* the key that a child is writing; shared */

/* A put that died may have happened, as the work comes behind it. */
static vdb_status put_and_tell(vdb_store *store, int key) {
  *told = key;
  return put_next(store, key);
}

static bool settle(vdb_store *store) {
  if (holds_number(store, *told, newest[*told])) return true;
  if (!holds_number(store, *told, newest[*told] + 1)) return false;
  newest[*told]++;
  return true;
}

static bool was_stopped; /* that put is the last one */

static int put_on(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  for (int i = 0; i < 4 * KEYS && !was_stopped; i++)
    if (put_and_tell(store, i % KEYS) != VDB_OK) return 1;
  return close_store(store) ? 0 : 2;
}

/* Stopped ----------------------------------------------------------------------------------------------- */

static bool stops;

/* Half of the filler is written, then it stops. */
static verdict stop_inside(const char *name) {
  bool now = inside && stops && strcmp(name, "write") == 0;
  return now ? HALF : GO;
}

static void stop_after(const char *name) {
  if (!inside || !stops || strcmp(name, "write") != 0) return;
  stops = false;
  raise(SIGSTOP);
  was_stopped = true;
}

static pid_t start_and_stop(void) {
  int status;
  stops = true;
  before_call = stop_inside;
  after_call = stop_after;
  pid_t child = start_child(put_on, NULL);
  before_call = NULL;
  after_call = NULL;
  waitpid(child, &status, WUNTRACED);
  if (WIFSTOPPED(status)) return child;
  printf("# the child didn't stop\n");
  return -1;
}

static bool lets_go_on(pid_t child) {
  return child > 0 && kill(child, SIGCONT) == 0 && wait_child(child) == 0;
}

/* More than there is room for, of which nothing must be seen. */
static vdb_status commit_much(vdb_store *store) {
  static char bytes[10000];
  vdb_value value = {.encoding = VDB_BYTES, .bytes = bytes, .size = sizeof bytes};
  vdb_change changes[KEYS];
  for (int i = 0; i < KEYS; i++) changes[i] = (vdb_change){.key = key_of(i), .value = &value};
  return vdb_commit(store, NULL, NULL, 0, changes, KEYS, &last_error);
}

static void test_stopped(void) {
  vdb_store *store = start_store(), *hasty = open_with(path, (vdb_options){.wait_seconds = 0.02});
  make_long(store, VERY_LONG);
  pid_t child = start_and_stop();
  static char big[100000];
  int done = 0;
  vdb_status status;
  ok(settle(hasty) && holds_newest(hasty), "while a process that makes a log longer is stopped, others read");
  status = put_bytes(hasty, key_of(0), big, sizeof big);
  ok(status == VDB_BUSY && holds_newest(hasty), "a big value that there is no room for is not there");
  while ((status = put_next(hasty, done % KEYS)) == VDB_OK && done < 1000) done++;
  ok(done > 0 && status == VDB_BUSY,
     "they write as long as there is room, and then are told that it is busy");
  ok(holds_newest(hasty) && count_of(hasty) == KEYS, "and nothing has changed");
  ok(commit_much(hasty) == VDB_BUSY && holds_newest(hasty), "nor is a part of a batch");
  vdb_store *late = open_with(path, (vdb_options){.readonly = true, .wait_seconds = 0.02});
  ok(late != NULL && holds_newest(late), "who opens the store to read it then does");
  ok(lets_go_on(child) && put_many(hasty, KEYS) == VDB_OK && holds_newest(store),
     "when it goes on, all go on");
  vdb_close(late, NULL);
  close_store(hasty);
  ok(ends_well(store), "and all is there");
}

static void test_stopped_and_reclaim(void) {
  vdb_store *store = start_store(), *hasty = open_with(path, (vdb_options){.wait_seconds = 0.02});
  make_long(store, VERY_LONG);
  pid_t child = start_and_stop();
  settle(hasty);
  ok(vdb_reclaim(hasty, NULL, NULL, &last_error) == VDB_BUSY && holds_newest(hasty) && holds_newest(store),
     "a reclaim that can't exchange the files while a log is made longer is told that it is busy");
  ok(lets_go_on(child) && put_many(store, KEYS) == VDB_OK && reclaim(hasty),
     "when that goes on, so do others");
  close_store(hasty);
  ok(ends_well(store), "and all is there");
}

/* Dead -------------------------------------------------------------------------------------------------- */

static verdict spring_inside(const char *name) {
  return inside ? spring(name) : GO;
}

/* The child dies at the n-th call; the parent writes on past that place. */
static bool die_in_work(int call, moment when, bool alone, bool *died) {
  vdb_store *store = start_store();
  make_long(store, VERY_LONG);
  if (alone) close_store(store);
  arm((trap){.name = "write", .left = call, .when = when});
  before_call = spring_inside;
  int result = in_child(put_on, NULL);
  before_call = NULL;
  after_call = NULL;
  *died = result == DIED;
  if (alone) store = open_store(path);
  bool right = (result == 0 || *died) && store != NULL && settle(store) && holds_newest(store);
  right = right && only_filler_behind() && put_many(store, 2 * KEYS) == VDB_OK && only_filler_behind();
  return ends_well(store) && right;
}

static void test_deaths(moment when, bool alone, const char *text) {
  int wrong = 0, deaths = 0;
  bool died = true;
  for (int call = 1; call <= 20 && died; call++) {
    if (!die_in_work(call, when, alone, &died) && wrong++ == 0) printf("# wrong at call %d\n", call);
    deaths += died;
  }
  ok(wrong == 0 && deaths >= 10, "a process may die %s any of the work's writes, and %s (%d deaths)", text,
     alone ? "the next who opens the store goes on" : "another goes on", deaths);
}

/* Repair ------------------------------------------------------------------------------------------------ */

static void lie_and_die(void) {
  atomic_store(&page->key_log_touched, 1);
  die_here();
}

/* With a context the control page is wrong about what has been touched. */
static int put_and_die(void *context) {
  vdb_store *store = open_store(path);
  watch_steps(2, context == NULL ? die_here : lie_and_die);
  (void)put_and_tell(store, 0);
  return 0;
}

/* The value log is short, so it is the key log whose filler is half written. */
static void test_repair_during_work(void) {
  vdb_store *store = start_store(), *hasty = open_with(path, (vdb_options){.wait_seconds = 0.02});
  while (end_of(KEY_LOG_NAME) < VERY_LONG) put_bytes(store, key_of(0), "", 0);
  newest[0] = 0;
  put_next(store, 0);
  pid_t child = start_and_stop();
  ok(file_size(path, KEY_LOG_NAME) > (int64_t)allocated_of(KEY_LOG_NAME) && settle(store),
     "a process is stopped half way through making the key log longer");
  int result = in_child(put_and_die, NULL);
  os.step = real.step;
  ok(result == -SIGKILL, "and a writer dies");
  vdb_status status = put_next(hasty, 1);
  ok(status == VDB_BUSY || status == VDB_OK, "another writer may have to wait with the repair");
  ok(lets_go_on(child) && settle(store) && put_next(store, 1) == VDB_OK,
     "when the first goes on, so does he");
  ok(only_filler_behind(), "and the key log has no hole behind its end");
  close_store(hasty);
  ok(ends_well(store), "and all is there");
}

/* What a repair clears: it comes before a write that has nothing to write. */
static int writes;

static verdict count_writes(const char *name) {
  writes += !inside && strcmp(name, "write") == 0;
  return GO;
}

static int writes_of_repair(vdb_store *store, void *lie) {
  int result = in_child(put_and_die, lie);
  os.step = real.step;
  if (result != -SIGKILL || room_of(KEY_LOG_NAME) < 8 * LOG_EXTENT) return -1;
  writes = 0;
  before_call = count_writes;
  vdb_key nobody = vdb_string("nobody", 6);
  vdb_status status = vdb_delete(store, &nobody, &last_error);
  before_call = NULL;
  return status == VDB_ABSENT && only_filler_behind() && settle(store) && holds_newest(store) ? writes : -1;
}

static void test_what_is_cleared(void) {
  vdb_store *store = start_store();
  make_long(store, VERY_LONG);
  int some = writes_of_repair(store, NULL), all = writes_of_repair(store, &writes);
  ok(some >= 0 && some <= 2, "of much filler only what a dead writer may have spoiled is cleared");
  ok(all > some, "all of it, when the control page can't be right (%d writes, not %d)", all, some);
  ok(ends_well(store), "and all is there");
}

int main(void) {
  prepare_growing();
  told = shared_memory(sizeof *told);
  test_stopped();
  test_stopped_and_reclaim();
  static const char *const texts[] = {"before", "in the middle of", "after"};
  for (int when = BEFORE; when <= AFTER; when++) {
    test_deaths((moment)when, false, texts[when]);
    test_deaths((moment)when, true, texts[when]);
  }
  test_repair_during_work();
  test_what_is_cleared();
  return done_testing();
}
