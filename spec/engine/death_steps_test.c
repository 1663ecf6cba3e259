/*
** death_steps_test.c - a process that dies, or is stopped, at each step of a write.
**
** Another handle has been open all the time. It must go on, and find the state before the write or after it.
*/
#include "steps.h"

static const char *path;
static vdb_store *witness;

/* The store before: some keys, enough of them that the next one splits a segment where the test says so. */
enum { BEFORE = 100 };

static void prepare(int keys) {
  path = new_path();
  witness = open_with(path, (vdb_options){.wait_seconds = 30});
  for (int i = 0; i < keys; i++) put_bytes(witness, vdb_integer(i), &i, sizeof i);
  put_text(witness, "old", "old value");
  put_text(witness, "gone", "soon");
}

typedef struct deed {
  const char *name;
  vdb_status (*act)(vdb_store *store);
  bool (*is_old)(vdb_store *store);
  bool (*is_new)(vdb_store *store);
  int keys;
} deed;

static vdb_status put_new(vdb_store *store) {
  return put_text(store, "new", "new value");
}

static bool has_new(vdb_store *store) {
  return holds(store, "new", "new value");
}

static bool lacks_new(vdb_store *store) {
  return lacks(store, "new");
}

static vdb_status put_old(vdb_store *store) {
  return put_text(store, "old", "newer value");
}

static bool old_is_old(vdb_store *store) {
  return holds(store, "old", "old value");
}

static bool old_is_new(vdb_store *store) {
  return holds(store, "old", "newer value");
}

static char big[50000];

static vdb_status put_big(vdb_store *store) {
  memset(big, 'b', sizeof big);
  return put_bytes(store, text_key("old"), big, sizeof big);
}

static bool old_is_big(vdb_store *store) {
  memset(big, 'b', sizeof big);
  return holds_bytes(store, text_key("old"), big, sizeof big);
}

static vdb_status delete_gone(vdb_store *store) {
  return delete_text(store, "gone");
}

static bool gone_is_there(vdb_store *store) {
  return holds(store, "gone", "soon");
}

static bool gone_is_gone(vdb_store *store) {
  return lacks(store, "gone");
}

static vdb_status expire_gone(vdb_store *store) {
  vdb_key key = text_key("gone");
  return vdb_expire(store, &key, 1, &last_error);
}

enum { MANY = 300 };

static vdb_status put_many(vdb_store *store) {
  static vdb_change changes[MANY];
  static const vdb_value value = {.encoding = VDB_BYTES, .bytes = "batch", .size = 5};
  for (int i = 0; i < MANY; i++) changes[i] = (vdb_change){.key = vdb_integer(5000 + i), .value = &value};
  changes[0] = (vdb_change){.key = text_key("gone"), .value = NULL};
  return vdb_commit(store, NULL, NULL, 0, changes, MANY, &last_error);
}

static int many_there(vdb_store *store) {
  int there = lacks(store, "gone");
  for (int i = 1; i < MANY; i++) there += holds_bytes(store, vdb_integer(5000 + i), "batch", 5);
  return there;
}

static bool many_are_there(vdb_store *store) {
  return many_there(store) == MANY;
}

static bool none_is_there(vdb_store *store) {
  return many_there(store) == 0;
}

/* Some of the keys make segments split or the directory double; which ones, the store's seed decides. */
static vdb_status put_growing(vdb_store *store) {
  for (int i = 0; i < 400; i++) {
    vdb_status status = put_bytes(store, vdb_integer(9000 + i), "grow", 4);
    if (status != VDB_OK) return status;
  }
  return VDB_OK;
}

static bool grown_in_order(vdb_store *store) {
  int there = 0;
  while (there < 400 && holds_bytes(store, vdb_integer(9000 + there), "grow", 4)) there++;
  for (int i = there; i < 400; i++)
    if (!lacks_key(store, vdb_integer(9000 + i))) return false;
  return true;
}

static vdb_status reclaim_all(vdb_store *store) {
  return vdb_reclaim(store, NULL, NULL, &last_error);
}

static bool old_and_gone(vdb_store *store) {
  return old_is_old(store) && gone_is_there(store);
}

static const deed deeds[] = {
    {"a put of a new key", put_new, lacks_new, has_new, BEFORE},
    {"a put of an old key", put_old, old_is_old, old_is_new, BEFORE},
    {"a put of a big value", put_big, old_is_old, old_is_big, BEFORE},
    {"a delete", delete_gone, gone_is_there, gone_is_gone, BEFORE},
    {"an expiration", expire_gone, gone_is_there, gone_is_gone, BEFORE},
    {"a batch", put_many, none_is_there, many_are_there, BEFORE},
    {"puts that split segments", put_growing, grown_in_order, grown_in_order, 700},
    {"a reclaim", reclaim_all, old_and_gone, old_and_gone, BEFORE},
};

static int act_with_own_handle(void *context) {
  const deed *act = context;
  vdb_store *store = open_store(path);
  if (store == NULL) return 1;
  int step = steps_left; /* opening takes none */
  watch_steps(step, at_step);
  return act->act(store) == VDB_OK ? 0 : 2;
}

static bool keys_are_there(vdb_store *store, int keys) {
  for (int i = 0; i < keys; i++)
    if (!holds_bytes(store, vdb_integer(i), &i, sizeof i)) return false;
  return true;
}

/* Counts, walk and check agree. */
static bool is_sound(vdb_store *store) {
  uint64_t problems = 1, count = count_of(store);
  vdb_status status = vdb_check(store, NULL, NULL, &problems, &last_error);
  if (status != VDB_OK || problems > 0)
    printf("# check: %d problems, %s\n", (int)problems, last_error.message);
  int64_t alive = walked(store);
  if (alive < (int64_t)count - 1 || alive > (int64_t)count) /* one may have expired */
    printf("# walked %d of %d\n", (int)alive, (int)count);
  return status == VDB_OK && problems == 0 && alive >= (int64_t)count - 1 && alive <= (int64_t)count;
}

typedef enum afterwards { GO_ON, REOPEN, LOSE_INDEX, LOSE_CONTROL, AFTERWARDS } afterwards;

static const char *const afterwards_names[] = {"another handle goes on", "the store is opened again",
                                               "the index is deleted, too",
                                               "the control page is deleted, too"};

/* Reads without repairing, then writes, which repairs. */
static bool witness_goes_on(const deed *done) {
  bool before_is_old = done->is_old(witness), before_is_new = done->is_new(witness);
  if (done->act != put_many && !before_is_old && !before_is_new) return false;
  if (put_text(witness, "on", "and on") != VDB_OK) return false;
  return done->is_old(witness) || done->is_new(witness);
}

static bool die_at(const deed *act, int step, afterwards then, bool *finished) {
  prepare(act->keys);
  if (then != GO_ON) close_store(witness);
  watch_steps(step, die_here);
  steps_left = step;
  int result = in_child(act_with_own_handle, (void *)act);
  watch_steps(0, NULL);
  *finished = result == 0;
  if (result != 0 && result != -SIGKILL) return false;
  if (then == GO_ON && !witness_goes_on(act)) return false;
  if (then == GO_ON && !is_sound(witness)) return false;
  if (then == GO_ON) close_store(witness);
  if (then == LOSE_INDEX) remove_file(path, "db.index");
  if (then == LOSE_CONTROL) remove_file(path, "db.ctl");
  witness = open_store(path);
  if (witness == NULL) return false;
  bool right = keys_are_there(witness, act->keys) && is_sound(witness) &&
               (act->is_old(witness) || act->is_new(witness));
  if (*finished) right = right && act->is_new(witness);
  if (put_text(witness, "last", "of all") != VDB_OK || !holds(witness, "last", "of all")) right = false;
  if (has_file(path, "db.swap") || has_file(path, "db.klog.new")) right = false;
  return close_store(witness) && right;
}

static int *steps_of_deed; /* shared */

static int count_the_steps(void *context) {
  const deed *act = context;
  vdb_store *store = open_store(path);
  watch_steps(0, NULL);
  vdb_status status = act->act(store);
  *steps_of_deed = steps_taken;
  return status == VDB_OK ? 0 : 1;
}

/* All steps of short deeds; of long ones the first and the last, and some between. */
static int next_step(int step, int last) {
  int stride = last < 60 ? 1 : 1 + last / (12 * soak());
  if (step < 20 || step >= last - 20) return step + 1;
  return step + stride < last - 20 ? step + stride : last - 20;
}

static void test_death_in(const deed *act, afterwards then) {
  int wrong = 0;
  bool finished = false;
  prepare(act->keys);
  in_child(count_the_steps, (void *)act);
  close_store(witness);
  int last = *steps_of_deed + 3; /* the seed decides how many splits there are */
  for (int step = 1; !finished && step < last + 50; step = next_step(step, last)) {
    bool right = die_at(act, step, then, &finished);
    if (!right && wrong++ == 0) printf("# wrong after a death at step %d: %s\n", step, last_error.message);
    remove_store(path);
  }
  ok(wrong == 0 && finished && last > 6,
     "a death at any step of %s leaves the old or the new state when %s (%d steps)", act->name,
     afterwards_names[then], last - 3);
}

/* A process that dies while it makes good what another has left. */
static int repair_and_die(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  if (store != NULL) put_text(store, "repair", "by a put");
  return 0;
}

static void test_death_in_repair(void) {
  int wrong = 0, deaths = 0;
  for (int first = 1; first < 120; first += 11) {
    for (int second = 1; second < 12; second++) {
      prepare(700);
      watch_steps(first, die_here);
      in_child(act_with_own_handle, (void *)&deeds[6]);
      watch_steps(second, die_here);
      deaths += in_child(repair_and_die, NULL) == -SIGKILL;
      watch_steps(0, NULL);
      bool right =
          put_text(witness, "on", "and on") == VDB_OK && grown_in_order(witness) && is_sound(witness);
      if (!right || !keys_are_there(witness, 700)) wrong++;
      close_store(witness);
      remove_store(path);
    }
  }
  ok(wrong == 0 && deaths > 0,
     "%d processes died while they made good what another had left; the next one does it", deaths);
}

/* Stopped instead of dead ------------------------------------------------------------------------------- */

static void stop_here(void) {
  raise(SIGSTOP);
}

static void test_stopped_writer(void) {
  int steps = 0, wrong = 0;
  for (int step = 1; step <= 6; step++) {
    prepare(BEFORE);
    vdb_store *hasty = open_with(path, (vdb_options){.wait_seconds = 0.02});
    watch_steps(step, stop_here);
    pid_t child = start_child(act_with_own_handle, (void *)&deeds[1]);
    watch_steps(0, NULL);
    int status;
    waitpid(child, &status, WUNTRACED);
    if (!WIFSTOPPED(status)) break;
    steps++;
    bool right =
        keys_are_there(hasty, BEFORE) && (old_is_old(hasty) || old_is_new(hasty)) && walked(hasty) > BEFORE;
    vdb_store *reader = open_with(path, (vdb_options){.readonly = true});
    right = right && reader != NULL && keys_are_there(reader, BEFORE);
    if (put_text(hasty, "hasty", "1") != VDB_BUSY || delete_text(hasty, "old") != VDB_BUSY) right = false;
    vdb_store *late = open_with(path, (vdb_options){.wait_seconds = 0.02});
    right = right && late != NULL && keys_are_there(late, BEFORE);
    vdb_close(late, NULL);
    kill(child, SIGCONT);
    right = right && wait_child(child) == 0 && old_is_new(hasty);
    if (put_text(hasty, "hasty", "2") != VDB_OK || !holds(witness, "hasty", "2")) right = false;
    if (!right) wrong++;
    vdb_close(reader, NULL);
    close_store(hasty);
    close_store(witness);
  }
  ok(steps >= 4 && wrong == 0,
     "while a writer is stopped at one of %d steps, others read and open, and are told that it is busy",
     steps);
}

/* Whoever waits in this process lets the stopped child go on: so nothing here depends on how fast it all goes. */
static pid_t stopped_child;
static int (*real_sleep)(int64_t nanoseconds);

static int wake_and_sleep(int64_t nanoseconds) {
  kill(stopped_child, SIGCONT);
  return real_sleep(nanoseconds > 5000000 ? nanoseconds : 5000000);
}

static vdb_store *open_and_wake(pid_t child) {
  stopped_child = child;
  real_sleep = os.sleep;
  os.sleep = wake_and_sleep;
  vdb_store *reader = open_with(path, (vdb_options){.readonly = true});
  os.sleep = real_sleep;
  kill(child, SIGCONT);
  return reader;
}

static void test_reader_that_came_in_the_middle(void) {
  int steps = 0, wrong = 0;
  for (int step = 1; step <= 6; step++) {
    prepare(BEFORE);
    watch_steps(step, stop_here);
    pid_t child = start_child(act_with_own_handle, (void *)&deeds[1]);
    watch_steps(0, NULL);
    int status;
    waitpid(child, &status, WUNTRACED);
    if (!WIFSTOPPED(status)) break;
    steps++;
    vdb_store *reader = open_and_wake(child);
    bool right = wait_child(child) == 0 && reader != NULL && put_text(witness, "later", "seen") == VDB_OK;
    if (!right || !old_is_new(reader) || !holds(reader, "later", "seen")) wrong++;
    vdb_close(reader, NULL);
    close_store(witness);
  }
  ok(steps >= 4 && wrong == 0, "who opens read-only in the middle of a write sees what is written later");
}

static void stop_in_exchange(const char *name) {
  if (strcmp(name, "odd") == 0 || strcmp(name, "renamed") == 0) raise(SIGSTOP);
}

static int reclaim_with_stops(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  os.step = stop_in_exchange;
  return reclaim(store) && close_store(store) ? 0 : 1;
}

static void test_opening_readonly_during_an_exchange(void) {
  vdb_store *readers[8] = {0};
  int status, wrong = 0, stops = 0;
  prepare(BEFORE);
  pid_t child = start_child(reclaim_with_stops, NULL);
  while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && stops < 8) {
    vdb_store *reader = open_with(path, (vdb_options){.readonly = true});
    if (reader == NULL || !keys_are_there(reader, BEFORE)) wrong++;
    readers[stops++] = reader;
    kill(child, SIGCONT);
  }
  if (put_text(witness, "later", "1") != VDB_OK) wrong++;
  for (int i = 0; i < stops; i++) {
    if (readers[i] == NULL || !holds(readers[i], "later", "1")) wrong++;
    vdb_close(readers[i], NULL);
  }
  ok(stops == 4 && wrong == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0,
     "who opens read-only while files are being exchanged, and their exchanger is stopped, reads and "
     "follows");
  close_store(witness);
}

/* Power is not lost here: what is in the page cache stays. */
static int no_sync(int file) {
  (void)file;
  return 0;
}

static void die_when_one_is_renamed(const char *name) {
  if (strcmp(name, "renamed") == 0) raise(SIGKILL);
}

static int reclaim_and_die(void *context) {
  (void)context;
  vdb_store *store = open_store(path);
  os.step = die_when_one_is_renamed;
  return reclaim(store) ? 0 : 1;
}

static bool refuses_to_open(void) {
  vdb_store *store;
  vdb_status status = vdb_open(path, NULL, &store, &last_error);
  vdb_close(store, NULL);
  return status == VDB_CORRUPT && strstr(last_error.message, "db.vlog.new is missing") != NULL;
}

/* The old value log would be taken for the one that the new key log goes with. */
static void test_missing_new_file(void) {
  char kept[700];
  prepare(BEFORE);
  close_store(witness);
  ok(in_child(reclaim_and_die, NULL) == -SIGKILL && has_file(path, "db.vlog.new"),
     "one of the logs is renamed");
  snprintf(kept, sizeof kept, "%s", file_path(path, "kept"));
  bool moved = rename(file_path(path, "db.vlog.new"), kept) == 0;
  ok(moved && refuses_to_open() && refuses_to_open(), "without the other new log the store is refused");
  moved = rename(kept, file_path(path, "db.vlog.new")) == 0;
  witness = open_store(path);
  ok(moved && keys_are_there(witness, BEFORE) && is_sound(witness), "with it nothing is lost");
  close_store(witness);
}

int main(void) {
  os.sync = os.sync_folder = no_sync;
  steps_of_deed = shared_memory(sizeof *steps_of_deed);
  for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
    for (int then = GO_ON; then < AFTERWARDS; then++) test_death_in(&deeds[i], (afterwards)then);
  test_death_in_repair();
  test_stopped_writer();
  test_reader_that_came_in_the_middle();
  test_opening_readonly_during_an_exchange();
  test_missing_new_file();
  return done_testing();
}
