/*
** memory_test.c - calls on a store when there is no memory left, for Lua, the binding or the engine.
**
** Each task runs again and again, with no allocation allowed at first, then one, then two ..., until it passes. Before
** that it has to fail each time with a memory error, as an error or as nil, message, code; the store must have the
** value from before or the new one, and hold together. A sanitizer tells what a failure leaks.
*/
#include "../engine/fixture.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define MOST_ALLOCATIONS 20000 /* no task needs so many */

int luaopen_viperdb_core(lua_State *L);

static bool limited;
static int allowed; /* allocations left while limited */

static bool is_refused(void) {
  if (!limited || allowed-- > 0) return false;
  allowed = 0;
  return true;
}

/* The linker makes the calls of the engine and of the binding calls of these: see the Makefile. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size) {
  return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) {
  return is_refused() ? NULL : __real_realloc(block, size);
}

static void *allocate(void *unused, void *block, size_t old_size, size_t new_size) {
  (void)unused;
  if (block == NULL) old_size = 0; /* Lua passes the kind of object here */
  if (new_size > 0) return new_size > old_size && is_refused() ? NULL : __real_realloc(block, new_size);
  free(block);
  return NULL;
}

/* Whether the call failed for want of memory. Lua 5.1 has no status for an error that was raised again. */
static bool is_memory_error(lua_State *L, int status, int first) {
  const char *text = lua_tostring(L, status == 0 ? first + 2 : first);
  if (text == NULL || status == LUA_ERRMEM) return status == LUA_ERRMEM;
  return status == 0 ? strcmp(text, "NO_MEMORY") == 0 : strstr(text, "memory") != NULL;
}

/* What the function does with so many allocations. */
typedef enum outcome { OUTCOME_DONE, OUTCOME_MEMORY, OUTCOME_OTHER } outcome;

static outcome run_limited(lua_State *L, int function, int allocations) {
  int top = lua_gettop(L);
  lua_pushvalue(L, function);
  allowed = allocations;
  limited = true;
  int status = lua_pcall(L, 0, 3, 0);
  limited = false;
  outcome result = OUTCOME_OTHER;
  if (status == 0 && lua_toboolean(L, top + 1)) result = OUTCOME_DONE;
  else if (is_memory_error(L, status, top + 1)) result = OUTCOME_MEMORY;
  else printf("# %s\n", lua_tostring(L, status == 0 ? top + 2 : top + 1));
  lua_settop(L, top);
  lua_gc(L, LUA_GCCOLLECT, 0);
  return result;
}

/* Whether the function raises nothing. */
static bool passes(lua_State *L, int function) {
  lua_pushvalue(L, function);
  bool done = lua_pcall(L, 0, 0, 0) == 0;
  if (!done) printf("# %s\n", lua_tostring(L, -1));
  if (!done) lua_pop(L, 1);
  return done;
}

static void test_task(lua_State *L, const char *name, int function, int check) {
  int failures = 0;
  bool whole = true;
  outcome result = OUTCOME_MEMORY;
  for (; failures < MOST_ALLOCATIONS && whole && result == OUTCOME_MEMORY; failures++) {
    result = run_limited(L, function, failures);
    whole = passes(L, check);
  }
  ok(result == OUTCOME_DONE && failures > 1, "%s fails with a memory error %d times, then passes", name,
     failures - 1);
  ok(whole, "%s leaves the store whole, with the value from before or the new one", name);
}

static void test_tasks(lua_State *L) {
  int tasks = lua_gettop(L);
  int count = 0;
  for (lua_rawgeti(L, tasks, 1); !lua_isnil(L, -1); lua_rawgeti(L, tasks, ++count + 1)) {
    int task = lua_gettop(L);
    for (int i = 1; i <= 3; i++) lua_rawgeti(L, task, i);
    test_task(L, lua_tostring(L, task + 1), task + 2, task + 3);
    lua_settop(L, tasks);
  }
  ok(count == 18, "all %d tasks ran", count);
}

int main(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (!ok(L != NULL, "there is a Lua state")) return done_testing();
  luaL_openlibs(L);
  bool loaded = luaL_loadfile(L, "spec/binding/memory.lua") == 0;
  lua_pushcfunction(L, luaopen_viperdb_core);
  lua_call(L, 0, 1);
  lua_pushstring(L, new_path());
  if (ok(loaded && lua_pcall(L, 2, 1, 0) == 0, "there is a store with values of every kind")) test_tasks(L);
  else printf("# %s\n", lua_tostring(L, -1));
  lua_close(L);
  return done_testing();
}
