/*
** schedule.h - several actors of which one runs at a time, and a plan that says where the next takes over.
**
** An actor has a handle of its own. Its work passes points: each named step of a write (os.step), each named
** point of a read (os.stop), each call to the system that others can notice, and the start of each of its calls but the
** first. At most points it just goes on; the plan names those at which another actor takes over. An actor that waits for
** another (a lock is held), or whose work is done, hands over without being asked: to the next one, or, where there are
** two, to the one that the plan names. So a plan says exactly what happens, and what happened can be made to happen
** again.
**
** Who only reads does not hand over: it must come to the end of its call whoever stands still meanwhile, and wherever.
*/
#ifndef VIPERDB_SCHEDULE_H
#define VIPERDB_SCHEDULE_H

#include "fixture.h"
#include "interleave_baton.h"

enum { ACTORS = 3, SWITCHES = 3, TURNS = 16, POINTS = 4096, PATIENCE = 1000 };

typedef struct actor {
  int number;
  runner runner;
  void (*work)(struct actor *actor);
  vdb_store *store;
  vdb_error error;

  /* In an order. */
  const char *call; /* what it is doing, NULL between two calls */
  unsigned calls;
  unsigned called_at; /* hand-overs until then */
  bool only_reads;    /* in this call */
  bool looked_again;  /* since it took over */
  bool waits;         /* it did when it handed over */
  bool finished;
  int just_opened; /* file, -1 for none */
} actor;

typedef struct turn {
  unsigned point;
  int next;
} turn;

typedef struct plan {
  int first;
  int switches; /* those of the turns that nobody had to make */
  int count;
  turn turns[TURNS];
} plan;

/* Who was at a point, who goes on if the plan is silent, and who else could. */
typedef struct crossing {
  const char *name;
  int8_t actor;
  int8_t next;
  uint8_t others;
} crossing;

static actor actors[ACTORS];
static int actor_count;
static actor *self; /* NULL: the test itself */
static runner outside;

static plan current_plan;
static int turns_taken;
static unsigned points_passed, hand_overs, waits_in_a_row;
static crossing crossings[POINTS];
static bool just_turned; /* the plan did, and who took over has passed no point yet */
static bool futile;      /* a turn went to one that still had to wait */

/* What the test says to it. */
static bool (*is_point)(const actor *who, const char *name);
static void (*reader_waits)(void);
static void (*hangs)(const char *reason); /* does not return */

/* Comes back when somebody hands over to this one again. */
static inline void hand_over(actor *next) {
  actor *me = self;
  hand_overs++;
  self = next;
  pass_baton(me != NULL ? &me->runner : &outside, next != NULL ? &next->runner : &outside);
  if (me != NULL) me->looked_again = false;
}

static inline uint8_t others_than(const actor *who) {
  uint8_t mask = 0;
  for (int i = 0; i < actor_count; i++)
    if (i != who->number && !actors[i].finished) mask |= (uint8_t)(1u << i);
  return mask;
}

/* One that waits is asked when nobody else is left. */
static inline int next_after(const actor *who, uint8_t others) {
  int waiting = -1;
  for (int i = 1; i < actor_count; i++) {
    int next = (who->number + i) % actor_count;
    if ((others >> next & 1) == 0) continue;
    if (!actors[next].waits) return next;
    if (waiting < 0) waiting = next;
  }
  return waiting;
}

/* Notes the point, and gives who goes on. */
static inline actor *pass_point(const actor *me, const char *name, int next, uint8_t others) {
  unsigned point = points_passed++;
  if (points_passed == POINTS) hangs("it goes on and on");
  crossings[point] = (crossing){name, (int8_t)me->number, (int8_t)next, (uint8_t)(others & ~(1u << next))};
  just_turned = turns_taken < current_plan.count && current_plan.turns[turns_taken].point == point;
  return &actors[just_turned ? current_plan.turns[turns_taken++].next : next];
}

static inline void stop_here(const char *name) {
  actor *me = self;
  if (me == NULL) return;
  me->waits = just_turned = false;
  waits_in_a_row = 0;
  if (!is_point(me, name)) return;
  actor *next = pass_point(me, name, me->number, (uint8_t)(others_than(me) | 1u << me->number));
  if (next != me) hand_over(next);
}

static inline void wait_here(void) {
  actor *me = self;
  if (me == NULL) return;
  if (me->only_reads) reader_waits();
  if (++waits_in_a_row == PATIENCE) hangs("everybody waits");
  if (me->waits && just_turned) futile = true;
  me->waits = true;
  just_turned = false;
  uint8_t others = others_than(me);
  if (others != 0) hand_over(pass_point(me, "wait", next_after(me, others), others));
}

static inline void finish(actor *me) {
  me->finished = true;
  me->waits = just_turned = false;
  uint8_t others = others_than(me);
  hand_over(others != 0 ? pass_point(me, "end", next_after(me, others), others) : NULL);
}

static inline void act(void) {
  for (;;) {
    self->work(self);
    finish(self);
  }
}

/* Runs the work of all actors as the plan says. */
static inline void run_plan(const plan *wanted) {
  current_plan = *wanted;
  turns_taken = 0;
  points_passed = waits_in_a_row = 0;
  just_turned = futile = false;
  for (int i = 0; i < actor_count; i++) {
    actors[i].finished = actors[i].waits = false;
    actors[i].calls = 0;
    actors[i].just_opened = -1;
  }
  hand_over(&actors[wanted->first]);
}

static inline void print_plan(const plan *tried) {
  printf("# actor %d begins", tried->first);
  for (int i = 0; i < tried->count && tried->turns[i].point < points_passed; i++) {
    const crossing *at = &crossings[tried->turns[i].point];
    printf("; when actor %d comes to '%s', actor %d goes on", at->actor, at->name, tried->turns[i].next);
  }
  printf("\n");
}

static inline void start_actors(void) {
  start_first(&outside);
  for (int i = 0; i < ACTORS; i++) {
    actors[i].number = i;
    start_runner(&actors[i].runner, act);
  }
}

/* Calls ------------------------------------------------------------------------------------------------- */

/* Between two of its calls an actor is in the middle of nothing: another may go on there, too. */
static inline void begin_call(actor *by, const char *call, bool only_reads) {
  if (by->calls++ > 0) stop_here("call");
  by->call = call;
  by->only_reads = only_reads;
  by->called_at = hand_overs;
}

static inline void end_call(actor *by) {
  by->call = NULL;
  by->only_reads = false;
}

/* Whether the call it is in was not interrupted, while another stood still in the middle of one that changes something. */
static inline bool ran_beside_a_writer(const actor *by) {
  bool writer = false;
  for (int i = 0; i < actor_count; i++)
    writer = writer || (i != by->number && actors[i].call != NULL && !actors[i].only_reads);
  return writer && by->called_at == hand_overs;
}

/* Calls to the system ----------------------------------------------------------------------------------- */

/*
** Nobody notices what happens to a file without a name or to the new files that a reclaim makes, nor that a file is
** mapped. Renames are no points: a named step comes before and behind each.
*/
enum { SEEN_FILES = 1024 };
static bool private_files[SEEN_FILES];
static os_table real_os;

static inline bool is_private(int file) {
  return file >= 0 && file < SEEN_FILES && private_files[file];
}

static inline int note_file(int file, bool private) {
  if (file >= 0 && file < SEEN_FILES) private_files[file] = private;
  if (self != NULL) self->just_opened = file;
  return file;
}

static inline bool is_new_name(const char *name) {
  size_t size = strlen(name);
  return size > 4 && strcmp(name + size - 4, ".new") == 0;
}

static inline int stop_open(int folder, const char *name, int flags, mode_t mode) {
  bool private = (flags & O_CREAT) != 0 && is_new_name(name);
  if (!private) stop_here("open");
  return note_file(real_os.open(folder, name, flags, mode), private);
}

static inline int note_memory_file(const char *name) {
  return note_file(real_os.memory_file(name), true);
}

/* Right after a file was opened it is as well asked for its length as a moment later. */
static inline int stop_status(int file, struct stat *status) {
  bool at_once = self != NULL && self->just_opened == file;
  if (!at_once && !is_private(file)) stop_here("status");
  if (self != NULL) self->just_opened = -1;
  return real_os.status(file, status);
}

static inline ssize_t stop_write(int file, const void *bytes, size_t size, off_t offset) {
  if (!is_private(file)) stop_here("write");
  return real_os.write(file, bytes, size, offset);
}

static inline int stop_cut(int file, off_t size) {
  if (!is_private(file)) stop_here("cut");
  return real_os.cut(file, size);
}

/* Nothing here is about power failures: so nothing waits for the disk. */
static inline int stop_sync(int file) {
  if (!is_private(file)) stop_here("sync");
  return 0;
}

static inline int no_sync(int folder) {
  (void)folder;
  return 0;
}

static inline int stop_remove(int folder, const char *name) {
  if (!is_new_name(name)) stop_here("remove");
  return real_os.remove(folder, name);
}

static inline int stop_lock(int file, off_t byte, os_lock_kind kind) {
  stop_here("lock");
  return real_os.lock(file, byte, kind);
}

/* A reader looks again when others have moved on meanwhile, and once is enough. */
static inline int stop_sleep(int64_t nanoseconds) {
  if (self == NULL) return real_os.sleep(nanoseconds);
  bool looks_again = self->only_reads && !self->looked_again;
  self->looked_again = true;
  if (!looks_again) wait_here();
  return 0;
}

static inline void stop_or_wait(const char *name) {
  if (strcmp(name, "wait") == 0) wait_here();
  else stop_here(name);
}

/* The index scatters keys by random bytes: these are the same each time, so that plans repeat. */
static inline int same_bytes(void *bytes, size_t size) {
  memset(bytes, 7, size);
  return 0;
}

/* Of the table as it is now. */
static inline void watch_everything(void) {
  real_os = os;
  os.open = stop_open;
  os.memory_file = note_memory_file;
  os.status = stop_status;
  os.write = stop_write;
  os.cut = stop_cut;
  os.sync = stop_sync;
  os.sync_folder = no_sync;
  os.remove = stop_remove;
  os.lock = stop_lock;
  os.sleep = stop_sleep;
  os.random = same_bytes;
  os.step = stop_here;
  os.stop = stop_or_wait;
}

#endif
