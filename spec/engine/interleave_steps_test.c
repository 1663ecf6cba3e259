/*
** interleave_steps_test.c - a few handles at work at once, in every order of their steps with up to three switches.
**
** schedule.h runs an order, interleave_explore.h goes through all of them, and history.h judges what was told in each:
** one plain table must explain it. Afterwards all handles, and the store opened anew, must tell the same, counts and
** sums are right, and a check finds nothing. Nobody may wait for ever, and who only reads may not wait at all.
**
** The files are in memory, see interleave_files.h; the orders with one switch are run on the system's files, too.
** Some scenarios have so many orders with three switches that only a part of them is run, another one each time: SEED in
** the environment gives the same again, and SOAK takes all. A failure prints the order. Its numbers, as arguments of the
** program, run that order alone; one number runs all orders of that scenario.
*/
#define _GNU_SOURCE

#include <sys/prctl.h>

#include "interleave_actors.h"
#include "interleave_explore.h"
#include "interleave_files.h"

/* Scenarios --------------------------------------------------------------------------------------------- */

typedef struct scenario {
  const char *name;
  void (*work[ACTORS])(actor *by);
  int fillers; /* a segment is split by the first new key when there are CROWD of them */
  int one_in;  /* of the orders with three switches one in so many is enough, 0 for all */
  bool sync;
  bool readonly; /* the last actor's handle */
  bool missed;   /* it has missed an exchange of files */
} scenario;

/* 252 slots in a segment, of which 201 may be in use; two are for a and b. */
enum { CROWD = 201 - 2 };

static const scenario scenarios[] = {
    {.name = "two that put the same key", .work = {put_a, put_a_too}},
    {.name = "two that put keys of a segment that splits", .work = {put_new, put_c}, .fillers = CROWD},
    {.name = "two that put and sync", .work = {put_a, put_new}, .sync = true},
    {.name = "a put and gets", .work = {put_a, get_a_twice}},
    {.name = "a put of a new key and gets", .work = {put_new, get_new_twice}},
    {.name = "puts and gets", .work = {put_two, get_two}},
    {.name = "a put and a delete", .work = {put_a, delete_a}},
    {.name = "a put, and a delete before a put", .work = {put_a, delete_and_put}},
    {.name = "a put and a batch", .work = {put_a, batch_of_two}},
    {.name = "a batch and another", .work = {batch_of_two, batch_that_deletes}},
    {.name = "a put and a walk", .work = {put_a, walk_all}},
    {.name = "a put of a new key and a walk", .work = {put_new, walk_all}},
    {.name = "a put and a snapshot", .work = {put_two, look_and_get}},
    {.name = "a put, and a get before a snapshot", .work = {put_new, get_and_look}},
    {.name = "a batch, and a get before another", .work = {batch_of_two, get_two}},
    {.name = "a batch and a snapshot", .work = {batch_of_two, look_and_get}},
    {.name = "a batch and a walk", .work = {batch_of_two, walk_all}},
    {.name = "two that count", .work = {add_once, add_once}},
    {.name = "a split and gets", .work = {put_new, get_old}, .fillers = CROWD},
    {.name = "splits that use a segment again, and gets", .work = {fill_up, get_old}, .fillers = CROWD},
    {.name = "two that put, and a get", .work = {put_a, put_a_too, get_a}},
    {.name = "a put, a delete, and a get", .work = {put_a, delete_a, get_a}},
    {.name = "a put, a batch and a snapshot", .work = {put_a, batch_of_two, look_and_get}},
    {.name = "a split, a put and a snapshot",
     .work = {put_new, put_a, look_and_get},
     .fillers = CROWD,
     .one_in = 20},
    {.name = "a reclaim and a put", .work = {reclaim_all, put_a}},
    {.name = "a reclaim and puts", .work = {reclaim_all, put_two}},
    {.name = "a reclaim and a put that syncs", .work = {reclaim_all, put_a}, .sync = true},
    {.name = "a reclaim and a delete", .work = {reclaim_all, delete_a}},
    {.name = "a reclaim, and a delete before a put", .work = {reclaim_all, delete_and_put}},
    {.name = "a reclaim and a batch", .work = {reclaim_all, batch_of_two}},
    {.name = "a reclaim and gets", .work = {reclaim_all, get_two}},
    {.name = "a reclaim and gets with a handle for reading",
     .work = {reclaim_all, get_two},
     .readonly = true},
    {.name = "a reclaim and a walk", .work = {reclaim_all, walk_all}},
    {.name = "a reclaim and a snapshot", .work = {reclaim_all, look_and_get}},
    {.name = "a reclaim and one that counts", .work = {reclaim_all, add_once}},
    {.name = "a reclaim and another", .work = {reclaim_all, reclaim_all}},
    {.name = "a reclaim and one that opens the store", .work = {reclaim_all, open_anew}},
    {.name = "a reclaim after another, and a get", .work = {reclaim_twice, get_a}},
    {.name = "a reclaim, and gets with a handle that missed one",
     .work = {reclaim_all, get_two},
     .missed = true},
    {.name = "a reclaim, and a walk with a handle for reading that missed one",
     .work = {reclaim_all, walk_all},
     .readonly = true,
     .missed = true},
    {.name = "a reclaim, a put and a get", .work = {reclaim_all, put_a, get_a}},
    {.name = "a reclaim, a put and a walk", .work = {reclaim_all, put_a, walk_all}},
    {.name = "a reclaim and two that count", .work = {reclaim_all, add_once, add_once}, .one_in = 20},
    {.name = "two reclaims and a put", .work = {reclaim_all, reclaim_all, put_a}, .one_in = 20},
    {.name = "a reclaim, a put, and a get with a handle that missed one",
     .work = {reclaim_all, put_a, get_a},
     .missed = true},
    {.name = "a reclaim, a put, and a walk with a handle that missed one",
     .work = {reclaim_all, put_new, walk_all},
     .missed = true},
};

enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

static const scenario *current;

/* Points ------------------------------------------------------------------------------------------------ */

static bool has_name(const char *const *names, const char *name) {
  for (; *names != NULL; names++)
    if (strcmp(*names, name) == 0) return true;
  return false;
}

static bool is_doing(const actor *who, const char *call) {
  return who->call != NULL && strcmp(who->call, call) == 0;
}

/*
** The points that matter to others. What a reclaim writes to its new files is nobody else's business. What a writer looks
** up under the lock is changed by nobody else. Of what a lookup reads, only the slot ever changes, unless a segment is
** split. And of one who fills up segments, only the splits are looked at: there are other tests of its other steps.
*/
static bool matters(const actor *who, const char *name) {
  static const char *const written[] = {"value",       "line", "totals",  "committed",
                                        "half a slot", "slot", "applied", NULL};
  static const char *const looked_up[] = {"candidate", "sought", "searched", NULL};
  static const char *const split[] = {"cleared", "divided",   "intent", "directory",
                                      "totals",  "committed", NULL};
  if (is_doing(who, "reclaim") && has_name(written, name)) return false;
  if (is_doing(who, "write") && has_name(looked_up, name)) return false;
  if (is_doing(who, "fill")) return has_name(split, name);
  return current->fillers > 0 || !has_name(looked_up + 1, name);
}

/* The store --------------------------------------------------------------------------------------------- */

static bool in_memory;
static uint64_t first_generation;
static const table before = {{1, 1, 0, 0}};

static vdb_store *open_one(bool readonly) {
  vdb_options options = {.wait_seconds = 60, .readonly = readonly};
  if (current->sync) options.sync = VDB_SYNC_ALWAYS;
  return open_with(path, options);
}

static void fill_store(void) {
  vdb_store *store = open_one(false);
  if (current->fillers > 0) put_filler(store, &last_error, 0, current->fillers);
  put_bytes(store, key_at(0), "old", 3);
  put_bytes(store, key_at(1), "\1", 1);
  if (!close_store(store)) fail("close", NULL);
}

static vdb_stats stats_of(vdb_store *store) {
  vdb_stats stats = {0};
  if (vdb_stat(store, &stats, &last_error) != VDB_OK) fail("stats:", &last_error);
  return stats;
}

static void miss_exchange(void) {
  if (!reclaim(actors[0].store)) fail("reclaim", NULL);
  for (int i = 1; i < actor_count - 1; i++)
    if (get_number(&actors[i], 0) != 1) fail("a wrong value", NULL);
}

static void prepare(void) {
  failed = false;
  operation_count = reclaim_count = busy_count = 0;
  history_clock = 0;
  if (in_memory) restore_files();
  else fill_store();
  filler_count = current->fillers;
  least_count = (uint64_t)filler_count + 2;
  for (int i = 0; i < actor_count; i++) {
    actors[i].store = open_one(current->readonly && i == actor_count - 1);
    actors[i].work = current->work[i];
  }
  put_bytes(actors[0].store, key_at(0), "\1", 1);
  if (current->missed) miss_exchange();
  first_generation = stats_of(actors[0].store).generation;
}

static void check_sums(actor *by, const operation *told) {
  vdb_stats stats = stats_of(by->store);
  uint64_t keys = (uint64_t)filler_count, bytes = (uint64_t)filler_count * FILLER_SIZE;
  for (int key = 0; key < KEYS; key++) {
    keys += told->values[key] != 0;
    bytes += (uint64_t)told->values[key];
  }
  if (stats.keys != keys) fail("the count of the keys is wrong", NULL);
  if (stats.value_log_live != bytes) fail("the sum of the values is wrong", NULL);
}

static void check_handle(actor *by) {
  operation *told = begin_read(by, ALL);
  for (int key = 0; key < KEYS; key++) told->values[key] = get_number(by, key);
  end_operation(told);
  end_call(by);
  walk_all(by);
  check_sums(by, told);
}

static void check_files(actor *by) {
  uint64_t problems = 1;
  if (vdb_check(by->store, NULL, NULL, &problems, &by->error) != VDB_OK) fail("check:", &by->error);
  if (problems > 0) fail("a check finds problems", NULL);
  if (stats_of(by->store).generation != first_generation + (uint64_t)reclaim_count)
    fail("the generation does not count the reclaims", NULL);
  if (busy_count > 0 && reclaim_count == 0) fail("each reclaim found another at work", NULL);
}

static void finish_store(void) {
  for (int i = 0; i < actor_count; i++) check_handle(&actors[i]);
  check_files(&actors[0]);
  for (int i = 0; i < actor_count; i++)
    if (!close_store(actors[i].store)) fail("close", NULL);
  actors[0].store = open_one(false);
  check_handle(&actors[0]);
  if (!close_store(actors[0].store)) fail("close", NULL);
  if (!in_memory) remove_store(path);
  else if (open_files() > 0) fail("a file was left open", NULL);
}

/* Running ----------------------------------------------------------------------------------------------- */

/* The tests run in a child: should it crash, its parent knows the order. */
typedef struct progress {
  int scenario;
  plan order;
  bool complete;
} progress;

static progress *shared;

static void print_order(void) {
  const plan *tried = &shared->order;
  printf("# the order: %d %d", shared->scenario, tried->first);
  for (int i = 0; i < tried->count; i++) printf(" %u %d", tried->turns[i].point, tried->turns[i].next);
  printf("\n");
}

static void explain_failure(void) {
  print_order();
  print_plan(&shared->order);
  print_history();
}

static const char *const steps[] = {
    "generation", "candidate",   "value",  "line",     "totals",  "committed", "half a slot",
    "slot",       "applied",     "length", "sync",     "write",   "open",      "lock",
    "remove",     "call",        "sought", "searched", "cleared", "divided",   "intent",
    "directory",  "before swap", "swap",   "odd",      "renamed", "even"};
enum { STEPS = sizeof steps / sizeof *steps };
static bool switched_at[STEPS];

static void note_switches(const plan *tried) {
  for (int i = 0; i < tried->count; i++)
    for (int step = 0; step < STEPS; step++)
      if (strcmp(steps[step], crossings[tried->turns[i].point].name) == 0) switched_at[step] = true;
}

static bool switched_everywhere(void) {
  bool all = true;
  for (int step = 0; step < STEPS; step++) {
    if (!switched_at[step]) printf("# nobody took over at '%s'\n", steps[step]);
    all = all && switched_at[step];
  }
  return all;
}

static bool run_order(const plan *tried) {
  shared->order = *tried;
  prepare();
  run_plan(tried);
  note_switches(tried);
  finish_store();
  if (!is_linearizable(before, 0)) fail("no order of the operations explains what was told", NULL);
  if (failed) explain_failure();
  return !failed;
}

/* The actors are in the middle of their calls, so nothing can be put in order. */
static void give_up(const char *reason) {
  fail(reason, NULL);
  explain_failure();
  printf("Bail out! %s\n", reason);
  fflush(stdout);
  _exit(1);
}

static void blame_reader(void) {
  fail("a reader waits", NULL);
}

/* Of the orders with one, two and three switches one in so many is run: the sanitizers take their time. */
#if THREAD_SANITIZER
static const int one_in[SWITCHES + 1] = {1, 5, 10, 20};
#elif ADDRESS_SANITIZER
static const int one_in[SWITCHES + 1] = {1, 1, 1, 10};
#else
static const int one_in[SWITCHES + 1] = {1, 1, 1, 1};
#endif

static long orders[SWITCHES + 1];

static exploration explore_scenario(const scenario *wanted, int switches) {
  exploration explored = {.run = run_order, .switches = switches};
  for (int i = 0; i <= SWITCHES; i++) explored.part[i] = soak() > 1 ? 1 : 1.0 / one_in[i];
  if (soak() == 1 && wanted->one_in > 0) explored.part[SWITCHES] /= wanted->one_in;
  current = wanted;
  shared->scenario = (int)(wanted - scenarios);
  actor_count = wanted->work[2] != NULL ? 3 : 2;
  if (in_memory) {
    empty_files();
    fill_store();
    keep_files();
  }
  explore(&explored);
  for (int i = 0; i <= SWITCHES; i++) orders[i] += explored.orders[i];
  return explored;
}

/* The first order that fails seldom is the simplest. */
static void find_simplest(const scenario *wanted, int switches) {
  for (int fewer = 0; fewer < switches; fewer++) {
    printf("# with up to %d switches:\n", fewer);
    if (explore_scenario(wanted, fewer).stopped) return;
  }
}

static void test_scenario(const scenario *wanted, int switches) {
  exploration explored = explore_scenario(wanted, switches);
  if (explored.stopped) find_simplest(wanted, switches);
  const long *counts = explored.orders;
  ok(!explored.stopped, "%s%s: %ld orders of their steps, and one table explains each", wanted->name,
     in_memory ? "" : ", with the system's files", counts[0] + counts[1] + counts[2] + counts[3]);
  if (!in_memory) return;
  printf("# %ld without a switch, %ld with one, %ld with two, %ld with three\n", counts[0], counts[1],
         counts[2], counts[3]);
}

static void seed_lots(void) {
  const char *given = getenv("SEED");
  uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
  random_state ^= seed * UINT64_C(0x9e3779b97f4a7c15);
  printf("# SEED=%llu\n", (unsigned long long)seed);
}

static void test_all(void) {
  for (int i = 0; i < SCENARIOS; i++) test_scenario(&scenarios[i], SWITCHES);
  ok(switched_everywhere(), "another took over at each of %d kinds of steps", STEPS);
  ok(reads_beside > 0, "%ld reads came to their end while a writer stood still in the middle of its call",
     reads_beside);
  printf("# all in all %ld orders without a switch, %ld with one, %ld with two, %ld with three\n", orders[0],
         orders[1], orders[2], orders[3]);
}

static void test_system_files(const os_table *calls) {
  os = *calls;
  watch_everything();
  in_memory = false;
  for (int i = 0; i < SCENARIOS; i++) test_scenario(&scenarios[i], 1);
}

/* Scenario, first actor, and each turn's point and actor. */
static void test_order(int count, char **numbers) {
  plan wanted = {.first = atoi(numbers[1])};
  for (int i = 2; i + 1 < count && wanted.count < TURNS; i += 2)
    wanted.turns[wanted.count++] = (turn){(unsigned)atoi(numbers[i]), atoi(numbers[i + 1])};
  (void)explore_scenario(&scenarios[atoi(numbers[0])], 0);
  ok(run_order(&wanted), "one order of %s", current->name);
  for (unsigned i = 0; i < points_passed; i++)
    printf("# %u: %d %s\n", i, crossings[i].actor, crossings[i].name);
}

static int run_tests(int count, char **arguments) {
  os_table system_table = os;
  is_point = matters;
  reader_waits = blame_reader;
  hangs = give_up;
  use_memory_files();
  watch_everything();
  in_memory = true;
  seed_lots();
  start_actors();
  if (count > 1) test_order(count, arguments);
  else if (count > 0) test_scenario(&scenarios[atoi(arguments[0])], SWITCHES);
  else test_all();
  if (count == 0) test_system_files(&system_table);
  shared->complete = true;
  return done_testing();
}

int main(int count, char **arguments) {
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 0); /* many stores, each for a moment */
  path = new_path();
  shared = shared_memory(sizeof *shared);
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return run_tests(count - 1, arguments + 1);
  }
  int result = wait_child(child);
  if (!shared->complete) print_order();
  if (result < 0) printf("Bail out! signal %d\n", -result);
  return result;
}
