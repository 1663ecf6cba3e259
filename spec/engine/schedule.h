/*
** schedule.h - several threads of which one runs at a time, and a plan that says where the next takes over.
**
** An actor is a thread with a handle of its own. Its work stops at points: each named step of a write (os.step), each
** named point of a read (os.stop), and before each call to the system that others can notice. At most points it just
** goes on; the plan names those at which another actor takes over. An actor that waits for another (a lock is held, the
** files are being exchanged) hands over without being asked, as does one whose work is done. So a plan and the number
** of the first actor say exactly what happens, and what happened can be made to happen again.
**
** `explore` runs all plans with up to SWITCHES hand-overs, by running each plan and then every plan that differs from it
** in one more hand-over behind its last. Where there are too many, it takes a part of them, always the same.
*/
#ifndef VIPERDB_SCHEDULE_H
#define VIPERDB_SCHEDULE_H

#include <pthread.h>
#include <semaphore.h>

#include "fixture.h"

enum { ACTORS = 3, SWITCHES = 3, POINTS = 4096 };

typedef struct actor {
  int number;
  pthread_t thread;
  sem_t go;
  void (*work)(struct actor *actor);
  vdb_store *store;
  vdb_error error;
  bool finished;
} actor;

typedef struct hand_over {
  unsigned point;
  int next;
} hand_over;

typedef struct plan {
  int first;
  int count;
  hand_over switches[SWITCHES];
} plan;

/* Who was at a point, and who else could have taken over there. */
typedef struct crossing {
  int8_t actor;
  uint8_t unfinished;
} crossing;

static actor actors[ACTORS];
static int actor_count;
static sem_t all_finished;
static _Thread_local actor *self;

static plan current_plan;
static int switches_taken;
static unsigned points_passed;
static crossing crossings[POINTS];
static bool (*is_point)(const actor *who, const char *name); /* NULL for all */

static inline void run_actor(actor *next) {
  sem_post(&next->go);
}

static inline void pause_actor(actor *who) {
  while (sem_wait(&who->go) != 0) continue;
}

static inline actor *next_unfinished(const actor *who) {
  for (int i = 1; i < actor_count; i++) {
    actor *next = &actors[(who->number + i) % actor_count];
    if (!next->finished) return next;
  }
  return NULL;
}

static inline uint8_t unfinished_actors(void) {
  uint8_t mask = 0;
  for (int i = 0; i < actor_count; i++)
    if (!actors[i].finished) mask |= (uint8_t)(1u << i);
  return mask;
}

static inline void stop_here(const char *name) {
  if (self == NULL || (is_point != NULL && !is_point(self, name))) return;
  actor *me = self;
  unsigned point = points_passed++;
  if (point < POINTS) crossings[point] = (crossing){(int8_t)me->number, unfinished_actors()};
  if (switches_taken == current_plan.count || current_plan.switches[switches_taken].point != point) return;
  actor *next = &actors[current_plan.switches[switches_taken++].next];
  run_actor(next);
  pause_actor(me);
}

static inline void wait_here(void) {
  actor *me = self, *next = me != NULL ? next_unfinished(me) : NULL;
  if (next == NULL) return;
  run_actor(next);
  pause_actor(me);
}

static inline void stop_or_wait(const char *name) {
  if (strcmp(name, "wait") == 0) wait_here();
  else stop_here(name);
}

static inline void *act(void *context) {
  actor *me = context;
  for (;;) {
    pause_actor(me);
    if (me->work == NULL) return NULL;
    self = me;
    me->work(me);
    self = NULL;
    me->finished = true;
    actor *next = next_unfinished(me);
    if (next != NULL) run_actor(next);
    else sem_post(&all_finished);
  }
}

/* Runs the work of all actors as the plan says; gives how many points there were. */
static inline unsigned run_plan(const plan *wanted) {
  current_plan = *wanted;
  switches_taken = 0;
  points_passed = 0;
  for (int i = 0; i < actor_count; i++) actors[i].finished = false;
  run_actor(&actors[wanted->first]);
  while (sem_wait(&all_finished) != 0) continue;
  return points_passed < POINTS ? points_passed : POINTS;
}

static inline void start_actors(void) {
  sem_init(&all_finished, 0, 0);
  for (int i = 0; i < ACTORS; i++) {
    actors[i].number = i;
    sem_init(&actors[i].go, 0, 0);
    if (pthread_create(&actors[i].thread, NULL, act, &actors[i]) != 0) exit(1);
  }
}

static inline void stop_actors(void) {
  for (int i = 0; i < ACTORS; i++) {
    actors[i].work = NULL;
    run_actor(&actors[i]);
    pthread_join(actors[i].thread, NULL);
  }
}

/* Exploring --------------------------------------------------------------------------------------------- */

typedef struct exploration {
  unsigned (*run)(const plan *plan); /* gives the number of points, 0 to stop */
  bool all_single;                   /* all plans with one switch, whatever the budget */
  double budget;                     /* how many plans with the same number of switches, about */
  double expected[SWITCHES + 1];
  double part[SWITCHES + 1];
  uint64_t random;
  int runs;
  bool stopped;
} exploration;

static inline bool is_chosen(exploration *explored, double part) {
  explored->random = explored->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return part >= 1 || (double)(explored->random >> 33) < part * (double)(UINT64_C(1) << 31);
}

/* How large a part of the plans with 1, 2 ... switches keeps to the budget. */
static inline void share_budget(exploration *explored, unsigned points) {
  explored->expected[0] = 1;
  for (int level = 1; level <= SWITCHES; level++) {
    double all = explored->expected[level - 1] * points * (actor_count - 1) / level;
    explored->part[level] =
        all > explored->budget && !(level == 1 && explored->all_single) ? explored->budget / all : 1;
    explored->expected[level] = all * explored->part[level];
  }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as SWITCHES */
static inline void explore_from(exploration *explored, const plan *base) {
  static crossing crossed[SWITCHES + 1][POINTS];
  unsigned points = explored->run(base);
  explored->runs++;
  if (points == 0) explored->stopped = true;
  if (base->count == 0) share_budget(explored, points);
  if (base->count == SWITCHES) return;
  crossing *here = crossed[base->count];
  memcpy(here, crossings, points * sizeof *here);
  unsigned from = base->count > 0 ? base->switches[base->count - 1].point + 1 : 0;
  for (unsigned point = from; point < points; point++)
    for (int next = 0; next < actor_count && !explored->stopped; next++) {
      if (next == here[point].actor || (here[point].unfinished >> next & 1) == 0) continue;
      if (!is_chosen(explored, explored->part[base->count + 1])) continue;
      plan more = *base;
      more.switches[more.count++] = (hand_over){point, next};
      explore_from(explored, &more);
    }
}

/* All plans that begin with each of the actors. */
static inline void explore(exploration *explored) {
  for (int first = 0; first < actor_count && !explored->stopped; first++)
    explore_from(explored, &(plan){.first = first});
}

/* Calls to the system ----------------------------------------------------------------------------------- */

static os_table real_os;

static inline int stop_open(int folder, const char *name, int flags, mode_t mode) {
  stop_here("open");
  return real_os.open(folder, name, flags, mode);
}

static inline int stop_status(int file, struct stat *status) {
  stop_here("status");
  return real_os.status(file, status);
}

static inline ssize_t stop_write(int file, const void *bytes, size_t size, off_t offset) {
  stop_here("write");
  return real_os.write(file, bytes, size, offset);
}

static inline int stop_cut(int file, off_t size) {
  stop_here("cut");
  return real_os.cut(file, size);
}

/* Nothing here is about power failures: so nothing waits for the disk. */
static inline int stop_sync(int file) {
  (void)file;
  stop_here("sync");
  return 0;
}

static inline void *stop_map(int file, size_t size, off_t offset, os_map_kind kind) {
  stop_here("map");
  return real_os.map(file, size, offset, kind);
}

static inline int stop_rename(int folder, const char *from, const char *to) {
  stop_here("rename");
  return real_os.rename(folder, from, to);
}

static inline int stop_remove(int folder, const char *name) {
  stop_here("remove");
  return real_os.remove(folder, name);
}

static inline int stop_lock(int file, off_t byte, os_lock_kind kind) {
  stop_here("lock");
  return real_os.lock(file, byte, kind);
}

static inline int stop_sleep(int64_t nanoseconds) {
  if (self == NULL) return real_os.sleep(nanoseconds);
  wait_here();
  return 0;
}

/* The index scatters keys by random bytes: these are the same each time, so that plans repeat. */
static inline int same_bytes(void *bytes, size_t size) {
  memset(bytes, 7, size);
  return 0;
}

static inline void watch_everything(void) {
  real_os = os;
  os.open = stop_open;
  os.status = stop_status;
  os.write = stop_write;
  os.cut = stop_cut;
  os.sync = stop_sync;
  os.sync_folder = stop_sync;
  os.map = stop_map;
  os.rename = stop_rename;
  os.remove = stop_remove;
  os.lock = stop_lock;
  os.sleep = stop_sleep;
  os.random = same_bytes;
  os.step = stop_here;
  os.stop = stop_or_wait;
}

#endif
