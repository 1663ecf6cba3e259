/*
** states_test.c - several Lua states in one process: on one store, in several threads, closed in any order and at any
** moment.
**
** What a state does is told in states.lua. A state is used by one thread at a time; states share nothing but the files.
*/
#include "../engine/fixture.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>

enum { STATES = 3, THREADS = 4, ROUNDS = 60, FINALIZERS = 5, CLOSED_INSIDE = 42 };

int luaopen_viperdb_core(lua_State *L);

static const char *path; /* of the store that all states share */

/* Lua's memory is malloc's, so that the sanitizers see what becomes of it. */
static void *allocate(void *unused, void *block, size_t old_size, size_t new_size) {
  (void)unused;
  (void)old_size;
  if (new_size > 0) return realloc(block, new_size);
  free(block);
  return NULL;
}

/* A state where the functions of states.lua are in the global `states`. NULL when it can't be made. */
static lua_State *new_state(const char *name, const char *own_path) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL) return NULL;
  luaL_openlibs(L);
  bool loaded = luaL_loadfile(L, "spec/binding/states.lua") == 0;
  lua_pushcfunction(L, luaopen_viperdb_core);
  lua_call(L, 0, 1);
  lua_pushstring(L, path);
  lua_pushstring(L, own_path);
  lua_pushstring(L, name);
  if (loaded && lua_pcall(L, 4, 1, 0) == 0) {
    lua_setglobal(L, "states");
    return L;
  }
  printf("# %s\n", lua_tostring(L, loaded ? -1 : 1));
  lua_close(L);
  return NULL;
}

static void push_function(lua_State *L, const char *function) {
  lua_getglobal(L, "states");
  lua_getfield(L, -1, function);
  lua_remove(L, -2);
}

/* Calls what is on the stack; whether it raised nothing. */
static bool call(lua_State *L, int arguments) {
  if (lua_pcall(L, arguments, 0, 0) == 0) return true;
  printf("# %s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
  return false;
}

static bool run_function(lua_State *L, const char *function) {
  if (L == NULL) return false;
  push_function(L, function);
  return call(L, 0);
}

static bool run_with_number(lua_State *L, const char *function, int number) {
  if (L == NULL) return false;
  push_function(L, function);
  lua_pushinteger(L, number);
  return call(L, 1);
}

/* The last one to close a store removes the mark, and its files are no longer mapped. */
static bool is_closed(const char *store) {
  char line[1024];
  bool mapped = false;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL) mapped |= strstr(line, store) != NULL;
  if (maps != NULL) fclose(maps);
  return maps != NULL && !mapped && !has_file(store, ".OPEN");
}

/* A handle that does not wait for locks writes at once. */
static bool is_sound(void) {
  uint64_t problems = 1;
  vdb_store *store = open_with(path, (vdb_options){.wait_seconds = 0.01});
  bool sound = store != NULL && put_text(store, "another", "1") == VDB_OK && reclaim(store) &&
               vdb_check(store, NULL, NULL, &problems, NULL) == VDB_OK && problems == 0;
  return close_store(store) && sound;
}

/* Orders of closing ------------------------------------------------------------------------------------- */

static bool all_run(lua_State **states, const char *function) {
  bool done = true;
  for (int i = 0; i < STATES; i++)
    if (states[i] != NULL) done &= run_function(states[i], function);
  return done;
}

static void test_order(const int *order) {
  static const char *const names[STATES] = {"first", "second", "third"};
  const char *own[STATES];
  lua_State *states[STATES];
  path = new_path();
  bool made = true;
  for (int i = 0; i < STATES; i++) {
    own[i] = new_path();
    states[i] = new_state(names[i], own[i]);
    made &= states[i] != NULL;
  }
  if (!ok(made, "there are %d states", STATES)) return;
  bool done = all_run(states, "open") && all_run(states, "write") && all_run(states, "leave_things_open");
  for (int i = 0; i < STATES; i++) {
    done &= all_run(states, "write") && all_run(states, "go_on");
    lua_close(states[order[i]]);
    states[order[i]] = NULL;
    done &= all_run(states, "go_on") && all_run(states, "write") && is_sound();
  }
  ok(done, "states are closed in the order %d %d %d with things open, and the others go on", order[0],
     order[1], order[2]);
  ok(is_closed(path) && is_closed(own[0]) && is_closed(own[1]) && is_closed(own[2]),
     "and the last one closes the stores");
}

static void test_orders(void) {
  static const int orders[][STATES] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) test_order(orders[i]);
}

/* Finalizers -------------------------------------------------------------------------------------------- */

static int finalized;
static bool could_write[FINALIZERS + 1];

static int note(lua_State *L) {
  int number = (int)lua_tointeger(L, 1);
  finalized++;
  if (number > 0 && number <= FINALIZERS) could_write[number] = lua_toboolean(L, 2);
  return 0;
}

static void test_finalizers(void) {
  path = new_path();
  const char *own = new_path();
  lua_State *L = new_state("state", own);
  bool done = L != NULL;
  if (done) push_function(L, "watch_the_end");
  if (done) lua_pushcfunction(L, note);
  done = done && call(L, 1);
  if (L != NULL) lua_close(L);
  ok(done && finalized == FINALIZERS, "finalizers that use a store run when the state is closed");
  ok(could_write[5] && could_write[4] && could_write[3] && could_write[2] && !could_write[1],
     "those that are older than the store find it closed, the others can write");
  ok(is_closed(path), "and the store is closed");
  vdb_store *store = open_store(path);
  ok(count_of(store) >= 5 && walked(store) >= 5 && lacks(store, "finalizer 1") &&
         !lacks(store, "finalizer 2"),
     "what they wrote is there");
  ok(close_store(store) && is_sound(), "and the store is sound");
}

/* Other states inside of calls -------------------------------------------------------------------------- */

static const char *const places[] = {"a function of db:update",
                                     "a transaction",
                                     "a dump function",
                                     "a load function",
                                     "a loop",
                                     "a coroutine in a loop",
                                     "the progress function of db:check",
                                     "the progress function of db:reclaim"};
enum { PLACES = sizeof places / sizeof *places };

static bool call_in_place(lua_State *L, const char *place, lua_CFunction deed) {
  push_function(L, "call");
  lua_pushstring(L, place);
  lua_pushcfunction(L, deed);
  return call(L, 2);
}

static int use_another_state(lua_State *L) {
  lua_State *other = new_state("another", new_path());
  bool done = run_function(other, "open") && run_function(other, "write") &&
              run_function(other, "leave_things_open") && run_function(other, "go_on") &&
              run_function(other, "write") && is_sound();
  if (other != NULL) lua_close(other);
  if (!done) return luaL_error(L, "the other state failed");
  return 0;
}

/* In db:reclaim another handle can't reclaim: there only what the other state does is looked at. */
static int use_another_state_beside_reclaim(lua_State *L) {
  lua_State *other = new_state("another", new_path());
  bool done = run_function(other, "open") && run_function(other, "write") &&
              run_function(other, "leave_things_open") && run_function(other, "write");
  if (other != NULL) lua_close(other);
  if (!done) return luaL_error(L, "the other state failed");
  return 0;
}

static void test_states_in_calls(void) {
  for (int i = 0; i < PLACES; i++) {
    path = new_path();
    bool reclaiming = strstr(places[i], "reclaim") != NULL;
    lua_State *L = new_state("outer", new_path());
    bool done = run_function(L, "open") && run_function(L, "write") && run_function(L, "leave_things_open");
    done = done &&
           call_in_place(L, places[i], reclaiming ? use_another_state_beside_reclaim : use_another_state);
    done = done && run_function(L, "write") && run_function(L, "go_on");
    if (L != NULL) lua_close(L);
    ok(done, "another state is made, uses the store and is closed inside %s", places[i]);
    ok(is_closed(path) && is_sound(), "and the store is whole");
  }
}

/* Closing a state inside of its own calls, for good ------------------------------------------------------ */

static lua_State *closing;

static int close_inside(lua_State *L) {
  (void)L;
  lua_close(closing);
  _exit(CLOSED_INSIDE);
}

static int close_inside_call(void *context) {
  const char *place = context;
  closing = new_state("closing", new_path());
  bool done = run_function(closing, "open") && run_function(closing, "write") &&
              run_function(closing, "leave_things_open");
  if (done) call_in_place(closing, place, close_inside);
  return 1;
}

static void test_closing_inside(void) {
  for (int i = 0; i < PLACES; i++) {
    char place[64];
    path = new_path();
    vdb_store *store = open_store(path);
    put_text(store, "before", "1");
    snprintf(place, sizeof place, "%s", places[i]);
    ok(in_child(close_inside_call, place) == CLOSED_INSIDE,
       "a state is closed inside %s, and its process ends", places[i]);
    ok(holds(store, "before", "1") && !lacks(store, "closing") && lacks(store, "half"),
       "what it had written is there, and nothing more");
    ok(is_sound() && put_text(store, "before", "2") == VDB_OK && close_store(store) && is_closed(path),
       "and the store is whole, with no lock held");
  }
}

/* Threads ----------------------------------------------------------------------------------------------- */

static _Atomic int failures;

typedef struct worker {
  pthread_t thread;
  lua_State *state; /* made by the main thread, or NULL */
  const char *own;
  char name[32];
  int from, to; /* rounds */
  bool keeps;   /* the main thread closes the state */
} worker;

static void *work(void *context) {
  worker *w = context;
  if (w->state == NULL) w->state = new_state(w->name, w->own);
  for (int round = w->from; round < w->to; round++)
    if (!run_with_number(w->state, "work", round)) atomic_fetch_add(&failures, 1);
  if (w->keeps) return NULL;
  if (w->state != NULL) lua_close(w->state);
  w->state = NULL;
  return NULL;
}

/* Every second state is made by the main thread, and every third one closed by it. */
static void start_workers(worker *workers) {
  for (int i = 0; i < THREADS; i++) {
    worker *w = &workers[i];
    *w = (worker){.own = new_path(), .from = 1, .to = 1 + ROUNDS * soak(), .keeps = i % 3 == 0};
    snprintf(w->name, sizeof w->name, "worker %d", i);
    if (i % 2 == 0) w->state = new_state(w->name, w->own);
    if (pthread_create(&w->thread, NULL, work, w) != 0) atomic_fetch_add(&failures, 1);
  }
}

static void join_workers(worker *workers) {
  for (int i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
}

static void test_threads(void) {
  worker workers[THREADS];
  path = new_path();
  lua_State *L = new_state("main", new_path());
  bool begun = run_function(L, "open") && run_function(L, "prepare_accounts");
  start_workers(workers);
  join_workers(workers);
  ok(begun && atomic_load(&failures) == 0, "%d threads, each with its state, use one store", THREADS);
  ok(run_with_number(L, "check_count", THREADS * ROUNDS * soak()), "and no write is lost");
  for (int i = 0; i < THREADS; i++)
    if (workers[i].state != NULL) lua_close(workers[i].state);
  ok(run_function(L, "write"), "states of threads that have ended are closed by another one");
  if (L != NULL) lua_close(L);
  ok(is_closed(path) && is_sound(), "and the store is whole");
}

/* One state after the other goes from thread to thread, with walks open. */
static void test_moving_state(void) {
  worker w = {.own = new_path(), .keeps = true};
  path = new_path();
  snprintf(w.name, sizeof w.name, "moving");
  w.state = new_state(w.name, w.own);
  bool done = run_function(w.state, "open") && run_function(w.state, "prepare_accounts");
  for (int i = 0; i < 10; i++) {
    w.from = w.to = 1 + i * 3;
    w.to += 3;
    done &= pthread_create(&w.thread, NULL, work, &w) == 0 && pthread_join(w.thread, NULL) == 0;
  }
  ok(done && run_with_number(w.state, "check_count", 30) && atomic_load(&failures) == 0,
     "a state with open stores and walks goes from thread to thread");
  w.keeps = false;
  done = pthread_create(&w.thread, NULL, work, &w) == 0 && pthread_join(w.thread, NULL) == 0;
  ok(done && is_closed(path) && is_closed(w.own), "and is closed by another thread than used it");
}

int main(void) {
  test_orders();
  test_finalizers();
  test_states_in_calls();
  test_closing_inside();
  test_threads();
  test_moving_state();
  return done_testing();
}
