/*
** memory_test.c - calls on a store when Lua has no memory left.
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

static void *allocate(void *unused, void *block, size_t old_size, size_t new_size) {
  (void)unused;
  if (block == NULL) old_size = 0; /* Lua passes the kind of object here */
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  if (limited && new_size > old_size && allowed-- <= 0) {
    allowed = 0;
    return NULL;
  }
  return realloc(block, new_size);
}

/*
** Called with a path, this gives the list of tasks: name, function, and a function that raises unless the store is as
** it was before the task, or as it is after. It also puts it back.
*/
static const char program[] =
    "local path = ...\n"
    "local db = assert(viperdb.open(path, { functions = true }))\n"
    "local Point, Listed, Class = {}, {}, {}\n"
    "viperdb.register('Point', Point)\n"
    "viperdb.register('Listed', Listed, {\n"
    "  dump = function(object) return { object.a, object.b } end,\n"
    "  load = function(list) return setmetatable({ a = list[1], b = list[2] }, Listed) end,\n"
    "})\n"
    "local list = { 'a', 'b' }\n"
    "local dumped = { 1, 0 / 0, list, list, [0.5] = ('text '):rep(500), [true] = '\\255', name = "
    "viperdb.null,\n"
    "  setmetatable({ x = 1, y = {} }, Point), setmetatable({ a = { 1, 2 }, b = 'b' }, Listed), math.huge,\n"
    "  f = (loadstring or load)('return 1') }\n"
    "for i = 1, 40 do dumped['key ' .. i] = { i } end\n"
    "local json = { list = { 1, 2, { name = 'inner' } }, text = ('text '):rep(500) }\n"
    "for i = 1, 40 do json['key ' .. i] = { i } end\n"
    "\n"
    "local function is_dumped(value)\n"
    "  return value[2] ~= value[2] and value[3] == value[4] and value[0.5] == dumped[0.5] and value[true] == "
    "'\\255'\n"
    "    and value.name == viperdb.null and value[5].x == 1 and getmetatable(value[5]) == Point\n"
    "    and value[6].b == 'b' and getmetatable(value[6]) == Listed and value['key 40'][1] == 40\n"
    "end\n"
    "local function is_json(value) return value.text == json.text and value['key 40'][1] == 40 end\n"
    "\n"
    "local function check_key(is_new)\n"
    "  return function()\n"
    "    local value = db:get('key')\n"
    "    assert(value == 'before' or is_new(value), 'a half-written value')\n"
    "    assert(db:check() == true, 'a damaged store')\n"
    "    assert(#db == 3, 'another number of keys')\n"
    "    db.key = 'before'\n"
    "  end\n"
    "end\n"
    "local function check_unchanged()\n"
    "  assert(is_dumped(db.dumped) and is_json(db.json) and db.key == 'before' and #db == 3)\n"
    "end\n"
    "local function check_transaction()\n"
    "  assert(db:transaction(function(tx)\n"
    "    local before = tx.key == 'before' and not tx.count\n"
    "    assert(before or is_json(tx.key) and tx.count == 1, 'half a transaction')\n"
    "    tx.key, tx.count = 'before', nil\n"
    "  end))\n"
    "  check_unchanged()\n"
    "end\n"
    "local function all(result, message, code)\n"
    "  return result ~= nil, message, code\n"
    "end\n"
    "\n"
    "db.key, db.dumped, db.json = 'before', dumped, json\n"
    "return {\n"
    "  { 'writing a dump', function() return db:set('key', dumped) end, check_key(is_dumped) },\n"
    "  { 'assigning a dump', function() db.key = dumped return true end, check_key(is_dumped) },\n"
    "  { 'writing JSON', function() return db:set('key', json) end, check_key(is_json) },\n"
    "  { 'reading a dump', function() return all(db:get('dumped')) end, check_unchanged },\n"
    "  { 'reading JSON', function() return all(db:get('json')) end, check_unchanged },\n"
    "  { 'walking', function()\n"
    "    local keys = 0\n"
    "    for _ in db:pairs() do keys = keys + 1 end\n"
    "    return keys == 3\n"
    "  end, check_unchanged },\n"
    "  { 'registering', function()\n"
    "    viperdb.register('Class', Class, { dump = is_json, load = is_json })\n"
    "    return true\n"
    "  end, check_unchanged },\n"
    "  { 'updating', function() return db:update('key', function() return json end) end, check_key(is_json) "
    "},\n"
    "  { 'comparing', function() return all(db:cas('json', db.json, json)) end, check_unchanged },\n"
    "  { 'a transaction', function()\n"
    "    return db:transaction(function(tx)\n"
    "      tx.count, tx.key = 0, tx.json\n"
    "      tx.count, tx.dumped = 1, tx.dumped\n"
    "      return is_json(tx.key) and tx:has('dumped')\n"
    "    end)\n"
    "  end, check_transaction },\n"
    "  { 'opening and closing', function()\n"
    "    local other, message, code = viperdb.open(path)\n"
    "    if not other then return nil, message, code end\n"
    "    local key = other:table().key == 'before' and other:stats().keys == 3\n"
    "    return other:close() and key\n"
    "  end, check_unchanged },\n"
    "  { 'forgetting an open store', function() return all(viperdb.open(path)) end, check_unchanged },\n"
    "}\n";

/* Whether the call failed for want of memory. Lua 5.1 has no status for an error that was raised again. */
static bool is_memory_error(lua_State *L, int status, int first) {
  const char *text = lua_tostring(L, status == 0 ? first + 2 : first);
  if (text == NULL || status == LUA_ERRMEM) return status == LUA_ERRMEM;
  return strcmp(text, status == 0 ? "NO_MEMORY" : "not enough memory") == 0;
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
  ok(count == 12, "all %d tasks ran", count);
}

int main(void) {
  lua_State *L = lua_newstate(allocate, NULL);
  if (!ok(L != NULL, "there is a Lua state")) return done_testing();
  luaL_openlibs(L);
  lua_pushcfunction(L, luaopen_viperdb_core);
  lua_call(L, 0, 1);
  lua_setglobal(L, "viperdb");
  bool loaded = luaL_loadbuffer(L, program, sizeof program - 1, "=program") == 0;
  lua_pushstring(L, new_path());
  if (ok(loaded && lua_pcall(L, 1, 1, 0) == 0, "there is a store with values of every kind")) test_tasks(L);
  else printf("# %s\n", lua_tostring(L, -1));
  lua_close(L);
  return done_testing();
}
