/*
** maintenance.c - the calls on a whole store: sync, reclaim, stats, check, repair.
*/
#include "maintenance.h"

#include "arguments.h"

int maintenance_sync(lua_State *L) {
  const handle *h = handle_argument(L);
  vdb_error error;
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = vdb_sync(h->store, &error);
  return handle_done(L, status, &error);
}

/* Statistics. */

static void set_count(lua_State *L, const char *name, uint64_t count) {
  compat_push_count(L, count);
  lua_setfield(L, -2, name);
}

/* What a reclaim would free. */
static uint64_t dead_bytes(const vdb_stats *stats) {
  uint64_t all = stats->key_log_bytes + stats->value_log_bytes;
  uint64_t live = stats->key_log_live + stats->value_log_live;
  return all > live ? all - live : 0;
}

static void push_stats(lua_State *L, const vdb_stats *stats) {
  lua_createtable(L, 0, 14);
  set_count(L, "keys", stats->keys);
  set_count(L, "key_log_bytes", stats->key_log_bytes);
  set_count(L, "key_log_live", stats->key_log_live);
  set_count(L, "value_log_bytes", stats->value_log_bytes);
  set_count(L, "value_log_live", stats->value_log_live);
  set_count(L, "reclaimable", dead_bytes(stats));
  set_count(L, "index_bytes", stats->index_bytes);
  set_count(L, "index_slots", stats->index_slots);
  set_count(L, "generation", stats->generation);
  set_count(L, "synced_key_log", stats->synced_key_log);
  set_count(L, "last_sync", (uint64_t)stats->last_sync);
  set_count(L, "last_reclaim", (uint64_t)stats->last_reclaim);
  lua_pushnumber(L, stats->index_load);
  lua_setfield(L, -2, "index_load");
  lua_pushstring(L, stats->boot);
  lua_setfield(L, -2, "boot");
}

int maintenance_stats(lua_State *L) {
  const handle *h = handle_argument(L);
  vdb_stats stats;
  vdb_error error;
  vdb_status status = handle_ready(h, &error);
  if (status == VDB_OK) status = vdb_stat(h->store, &stats, &error);
  if (status != VDB_OK) return handle_failure(L, &error);
  push_stats(L, &stats);
  return 1;
}

/*
** Reports. The engine calls back in the middle of its work, so no Lua error may leave the callback: all that can
** raise runs in one protected call of a function that is on the stack already, as pushing it could raise too.
** An error stays on top of the stack until the engine has returned.
*/
typedef struct report {
  lua_State *L;
  int collector; /* stack index of collect_report, */
  int list;      /* of the list of problems */
  int progress;  /* and of the progress function, or nil */
  uint64_t problems;
  bool raised;
  const char *problem; /* the present call */
  uint64_t done, total;
} report;

/* Arguments: the list, the progress function, the report. Returns what the progress function does. */
static int collect_report(lua_State *L) {
  const report *r = lua_touserdata(L, 3);
  if (r->problem != NULL && r->problems <= MAINTENANCE_LISTED) {
    lua_pushstring(L, r->problem);
    lua_rawseti(L, 1, (int)r->problems);
  }
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return 0;
  compat_push_count(L, r->done);
  compat_push_count(L, r->total);
  lua_pushstring(L, r->problem);
  lua_call(L, 3, 1);
  return 1;
}

/* Whether the engine shall go on. */
static bool receive_report(void *context, const char *problem, uint64_t done, uint64_t total) {
  report *r = context;
  if (r->raised) return false;
  if (problem != NULL) r->problems++;
  r->problem = problem;
  r->done = done;
  r->total = total;
  lua_pushvalue(r->L, r->collector);
  lua_pushvalue(r->L, r->list);
  lua_pushvalue(r->L, r->progress);
  lua_pushlightuserdata(r->L, r);
  r->raised = lua_pcall(r->L, 3, 1, 0) != 0;
  if (r->raised) return false;
  bool stop = lua_isboolean(r->L, -1) && !lua_toboolean(r->L, -1);
  lua_pop(r->L, 1);
  return !stop;
}

static report report_begin(lua_State *L, int options, double *budget) {
  report r = {.L = L};
  argument_push_progress(L, options, budget);
  r.progress = lua_gettop(L);
  lua_newtable(L);
  r.list = lua_gettop(L);
  lua_pushcfunction(L, collect_report);
  r.collector = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  return r;
}

static int report_end(const report *r, vdb_status status, uint64_t problems, const vdb_error *error) {
  if (r->raised) return lua_error(r->L);
  if (status != VDB_OK || problems == 0) return handle_done(r->L, status, error);
  compat_push_count(r->L, problems);
  lua_pushvalue(r->L, r->list);
  return 2;
}

int maintenance_check(lua_State *L) {
  handle *h = handle_argument(L);
  uint64_t problems = 0;
  vdb_error error;
  report r = report_begin(L, 2, NULL);
  vdb_status status = handle_ready(h, &error);
  if (status != VDB_OK) return handle_failure(L, &error);
  h->running = true;
  status = vdb_check(h->store, receive_report, &r, &problems, &error);
  h->running = false;
  return report_end(&r, status, problems, &error);
}

int maintenance_repair(lua_State *L) {
  const char *path = argument_path(L, 1);
  const char *target = argument_path(L, 2);
  vdb_error error;
  report r = report_begin(L, 3, NULL);
  vdb_status status = vdb_repair(path, target, receive_report, &r, &error);
  return report_end(&r, status, r.problems, &error);
}

/* With a budget the answer is whether there is more to do; without, it is done. */
int maintenance_reclaim(lua_State *L) {
  handle *h = handle_argument(L);
  vdb_reclaim_options options = {.progress = receive_report};
  vdb_error error;
  bool more;
  report r = report_begin(L, 2, &options.budget_seconds);
  vdb_status status = handle_ready(h, &error);
  if (status != VDB_OK) return handle_failure(L, &error);
  options.context = &r;
  h->running = true;
  status = vdb_reclaim(h->store, &options, &more, &error);
  h->running = false;
  if (r.raised) return lua_error(L);
  if (status != VDB_OK || options.budget_seconds == 0) return handle_done(L, status, &error);
  lua_pushboolean(L, more);
  return 1;
}
