/*
** call_death_test.c - a process dies before, in and after each of its system calls.
**
** What it was told is done is there afterwards, and of what it was just doing everything or nothing. Where another process
** has had the store open all along, that one goes on, and mends what needs mending; otherwise the next who opens does.
**
** The death is an _exit without any cleaning up, or, at a call where the process was stopped first, a SIGKILL.
**
** Under the address sanitizer, which makes a life take six times as long, only one call in four is the place of a death;
** with SOAK, more of them, from 4 on every one.
*/
#include "lives.h"
#include "sanitizers.h"

/* What the process that dies tells before. */
typedef struct progress {
  int begun, done; /* operations */
  char call[16];   /* where the trap was */
} progress;

enum { MOST_CALLS = 2000 }; /* of a life */

static progress *told; /* shared */
static int deaths, deaths_of_life;
static bool tried; /* another process wrote while this one was stopped */

/* The process that dies --------------------------------------------------------------------------------- */

static verdict note_and_spring(const char *name) {
  if (armed.left == 1) snprintf(told->call, sizeof told->call, "%s", name);
  return spring(name);
}

static table states[32]; /* before the life, and after each operation */

static int live(void *context) {
  const life *now = context;
  sync_mode = now->sync;
  before_call = note_and_spring;
  after_call = die_if_so;
  for (int i = 0; i < now->count; i++) {
    const operation *next = &now->operations[i];
    told->begun = i + 1;
    vdb_status status = perform(next);
    if (status != VDB_OK) printf("# operation %d: %s %s\n", i, vdb_status_name(status), last_error.message);
    if (status != VDB_OK) return 1;
    if (next->kind == READ && !same_table(&seen, &states[i])) return 2;
    told->done = i + 1;
  }
  return 0;
}

/* What is left of it ------------------------------------------------------------------------------------ */

static const table *before_death(void) {
  return &states[told->done];
}

static const table *after_death(void) {
  return &states[told->begun];
}

/* Before anybody mends it a batch may be there in part. */
static bool is_on_the_way(const table *found) {
  for (int name = 0; name < NAMES; name++) {
    int cell = found->cells[name];
    if (cell != before_death()->cells[name] && cell != after_death()->cells[name]) return false;
  }
  return true;
}

static bool has_either(vdb_store *store, table *found) {
  if (!read_table(store, found)) return false;
  if (same_table(found, before_death()) || same_table(found, after_death())) return true;
  printf("# neither the state before the operation nor the one after it:");
  for (int name = 0; name < NAMES; name++) printf(" %d", found->cells[name]);
  printf("\n");
  return false;
}

/* Another process --------------------------------------------------------------------------------------- */

static bool witness_reads(void) {
  table found;
  if (read_table(witness, &found) && is_on_the_way(&found)) return true;
  printf("# the other process reads what was not there\n");
  return false;
}

/* While the process is stopped, somebody else's write has to wait, or is done. */
static bool witness_tries(void) {
  vdb_status status = put_text(witness, "tried", "meanwhile");
  tried = status == VDB_OK;
  return witness_reads() && (status == VDB_OK || status == VDB_BUSY);
}

/* What the other process wrote, and how many keys that are. */
static int witnessed_keys(vdb_store *store) {
  bool good = holds(store, "witness", "goes on") && (!tried || holds(store, "tried", "meanwhile"));
  return good ? 1 + tried : -1;
}

static bool witness_goes_on(table *found) {
  bool good = witness_reads() && put_text(witness, "witness", "goes on") == VDB_OK;
  good = good && has_either(witness, found) && is_sound(witness, found, witnessed_keys(witness));
  good = good && vdb_sync(witness, &last_error) == VDB_OK;
  if (!good) printf("# the other process does not go on: %s\n", last_error.message);
  good = good && ends_in_filler(witness);
  return close_store(witness) && good;
}

/* The next who open ------------------------------------------------------------------------------------- */

static bool is_tidy(void) {
  static const char *const leftovers[] = {".OPEN",       "db.swap",     "db.swap.new",
                                          "db.klog.new", "db.vlog.new", "db.index.new"};
  for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
    if (!has_file(path, leftovers[i])) continue;
    printf("# %s is still there\n", leftovers[i]);
    return false;
  }
  return true;
}

static bool is_recovered(bool witnessed, table *expected) {
  table found;
  vdb_store *store = open_store(path);
  if (store == NULL) return false;
  bool good = has_either(store, &found) && has_file(path, ".OPEN") && ends_in_filler(store);
  if (witnessed) good = good && same_table(&found, expected);
  good = good && is_sound(store, &found, witnessed ? witnessed_keys(store) : 0);
  *expected = found;
  return close_store(store) && is_tidy() && good;
}

static bool same_bytes(const char *name, const contents *before) {
  static contents now;
  read_file(name, &now);
  if (now.size == before->size && memcmp(now.bytes, before->bytes, now.size) == 0) return true;
  printf("# opening again has changed %s\n", name);
  return false;
}

static bool opens_again(bool witnessed, const table *expected, bool reclaims) {
  table found;
  static contents key_log, value_log;
  read_file("db.klog", &key_log);
  read_file("db.vlog", &value_log);
  vdb_store *store = open_store(path);
  bool good = store != NULL && same_bytes("db.klog", &key_log) && same_bytes("db.vlog", &value_log);
  good = good && read_table(store, &found) && same_table(&found, expected);
  good = good && put_text(store, "more", "and more") == VDB_OK && ends_in_filler(store);
  if (reclaims) good = good && reclaim(store) && is_sound(store, &found, 1 + witnessed + tried);
  good =
      good && read_table(store, &found) && same_table(&found, expected) && holds(store, "more", "and more");
  return close_store(store) && is_tidy() && good;
}

/* Deaths ------------------------------------------------------------------------------------------------ */

static int wait_for_death(const life *now) {
  pid_t child = start_child(live, (void *)now);
  if (armed.when != STOPPED) return wait_child(child);
  int status;
  waitpid(child, &status, WUNTRACED);
  if (!WIFSTOPPED(status)) return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  bool good = witness_tries();
  kill(child, SIGKILL);
  return wait_child(child) == -SIGKILL && good ? DIED : 1;
}

/* Who has written leaves the original's mark until it closes. */
static bool is_marked(const life *now) {
  bool readonly = now->operations[0].kind == OPEN_READONLY;
  if (readonly || told->done == 0 || told->begun == now->count || has_file(path, ".OPEN")) return true;
  printf("# .OPEN is not there\n");
  return false;
}

static bool dies_well(const life *now, bool witnessed, int call, moment when, bool *through) {
  table found = {0};
  bool good = begin(now, witnessed);
  *told = (progress){0};
  tried = false;
  armed = (trap){.left = call, .when = when};
  int result = wait_for_death(now);
  *through = result == 0;
  deaths += result == DIED;
  deaths_of_life += result == DIED;
  good = good && (result == 0 || result == DIED) && is_marked(now);
  if (witnessed) good = witness_goes_on(&found) && good;
  if (is_recovered(witnessed, &found) && opens_again(witnessed, &found, call % 5 == 0) && good) return true;
  printf("# wrong: a death %s call %d, %s, in operation %d (%d)\n",
         (const char *const[]){"before", "in", "after", "stopped at"}[when], call, told->call,
         told->begun - 1, result);
  return false;
}

/*
** Locks, files and mappings go with the process, so other calls leave the same behind whether it dies before or after
** them.
*/
static bool changes_files(const char *call) {
  static const char *const changes[] = {"create", "make_folder", "write", "cut", "rename", "remove"};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
    if (strcmp(call, changes[i]) == 0) return true;
  return soak() > 1;
}

/* One call in so many is tried. */
static int call_stride(void) {
  int stride = ADDRESS_SANITIZER ? 4 / soak() : 1;
  return stride > 0 ? stride : 1;
}

/* Lives begin alike, so where not every call is tried, each life starts with another one. */
static void test_deaths_in(const life *now, bool witnessed) {
  int stride = call_stride(), wrong = 0, calls = 0;
  bool through = false, any;
  deaths_of_life = 0;
  bool prepared = prepare(now, witnessed, &states[0]);
  for (int i = 0; i < now->count; i++) {
    states[i + 1] = states[i];
    apply(&now->operations[i], &states[i + 1]);
  }
  for (int call = 1 + (int)(now - lives) % stride; call <= MOST_CALLS; call += stride) {
    wrong += !dies_well(now, witnessed, call, BEFORE, &through);
    if (through) break;
    calls++;
    char name[sizeof told->call];
    memcpy(name, told->call, sizeof name);
    if (changes_files(name)) wrong += !dies_well(now, witnessed, call, AFTER, &any);
    if (strcmp(name, "write") == 0) wrong += !dies_well(now, witnessed, call, MIDDLE, &any);
    if (witnessed && (call % 3 == 0 || soak() > 1)) wrong += !dies_well(now, witnessed, call, STOPPED, &any);
  }
  ok(prepared && wrong == 0 && through && deaths_of_life > 20 / stride, "%s%s: %d deaths at %d system calls",
     now->name, witnessed ? ", and another process goes on" : "", deaths_of_life, calls);
}

int main(void) {
  install_gate();
  told = shared_memory(sizeof *told);
  for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
    test_deaths_in(&lives[i], false);
    if (may_be_witnessed(&lives[i])) test_deaths_in(&lives[i], true);
  }
  printf("# %d deaths\n", deaths);
  return done_testing();
}
