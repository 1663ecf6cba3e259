/*
** faults.h - for tests in which system calls fail, or processes die at them: each call of the engine passes a gate.
**
** What happens there is up to `before_call` and `after_call`; a trap is the one for deaths. No real time passes at the
** gate, and nothing is brought to a disk: power is not lost here.
*/
#ifndef VIPERDB_FAULTS_H
#define VIPERDB_FAULTS_H

#include "fixture.h"

/* The gate ---------------------------------------------------------------------------------------------- */

typedef enum verdict {
  GO,
  FAIL, /* the call fails; errno is set */
  HALF  /* a read or write does half its work; other calls go */
} verdict;

static os_table real;
static verdict (*before_call)(const char *name); /* may be NULL, as the other */
static void (*after_call)(const char *name);
static int boot;                  /* 0 is the machine's own, others are played */
static int64_t slept;             /* nanoseconds: time is played where nobody has to be waited for */
static bool closed_standard_file; /* one that the engine did not open */

static inline verdict ask(const char *name) {
  return before_call != NULL ? before_call(name) : GO;
}

static inline void done(const char *name) {
  int reason = errno;
  if (after_call != NULL) after_call(name);
  errno = reason;
}

/* What most calls do. */
#define GATE(name, type, failure, parameters, arguments)                                                     \
  static inline type gate_##name parameters {                                                                \
    if (ask(#name) == FAIL) return failure;                                                                  \
    type result = real.name arguments;                                                                       \
    done(#name);                                                                                             \
    return result;                                                                                           \
  }

typedef bool (*visitor)(void *context, const char *name);

GATE(open_folder, int, -1, (const char *path), (path))
GATE(make_folder, int, -1, (const char *path, mode_t mode), (path, mode))
GATE(status, int, -1, (int file, struct stat *status), (file, status))
GATE(cut, int, -1, (int file, off_t size), (file, size))
GATE(read_folder, int, -1, (int folder, visitor visit, void *context), (folder, visit, context))
GATE(rename, int, -1, (int folder, const char *from, const char *to), (folder, from, to))
GATE(remove, int, -1, (int folder, const char *name), (folder, name))
GATE(memory_file, int, -1, (const char *name), (name))
GATE(random, int, -1, (void *bytes, size_t size), (bytes, size))
GATE(user, uid_t, real.user(), (void), ())
GATE(size_limit, int, -1, (uint64_t * bytes), (bytes))
GATE(write_back, int, -1, (int file), (file))
GATE(allocate, int, -1, (int file, off_t offset, off_t size), (file, offset, size))

/* There are many stores, and little in each: pages are mapped when they are touched, and address space is short. */
static inline void *gate_map(int file, size_t size, off_t offset, os_map_kind kind) {
  errno = ENOMEM;
  if (size > SIZE_MAX >> 32) return MAP_FAILED;
  if (ask("map") == FAIL) return MAP_FAILED;
  void *address = real.map(file, size, offset, kind == OS_MAP_READ ? kind : OS_MAP_WRITE);
  done("map");
  return address;
}

static inline int gate_lock(int file, off_t byte, os_lock_kind kind) {
  const char *as = kind == OS_UNLOCK ? "unlock" : "lock";
  if (ask(as) == FAIL) return -1;
  int result = real.lock(file, byte, kind);
  done(as);
  return result;
}

static inline int open_boot(void) {
  char text[64];
  int file = real.memory_file("boot");
  int size = snprintf(text, sizeof text, "%08d-0000-0000-0000-000000000000\n", boot);
  (void)real.write(file, text, (size_t)size, 0);
  return file;
}

static inline int gate_open(int folder, const char *name, int flags, mode_t mode) {
  const char *as = flags & O_CREAT ? "create" : "open";
  if (ask(as) == FAIL) return -1;
  bool played = boot > 0 && strcmp(name, "/proc/sys/kernel/random/boot_id") == 0;
  int file = played ? open_boot() : real.open(folder, name, flags, mode);
  done(as);
  return file;
}

static inline ssize_t gate_read(int file, void *bytes, size_t size, off_t offset) {
  verdict now = ask("read");
  if (now == FAIL) return -1;
  ssize_t result = real.read(file, bytes, now == HALF ? (size + 1) / 2 : size, offset);
  done("read");
  return result;
}

/* A write that fails may have written a part. */
static inline ssize_t gate_write(int file, const void *bytes, size_t size, off_t offset) {
  verdict now = ask("write");
  int reason = errno;
  ssize_t result = real.write(file, bytes, now == GO ? size : (size + 1) / 2, offset);
  done("write");
  if (now == FAIL) errno = reason;
  return now == FAIL ? -1 : result;
}

/* These do their work and then say that they couldn't: the test is to keep no file and no address. */
static inline int gate_close(int file) {
  if (file <= STDERR_FILENO) closed_standard_file = true;
  bool fails = ask("close") == FAIL;
  int reason = errno, result = real.close(file);
  done("close");
  if (fails) errno = reason;
  return fails ? -1 : result;
}

static inline int gate_unmap(void *address, size_t size) {
  bool fails = ask("unmap") == FAIL;
  int result = real.unmap(address, size);
  done("unmap");
  return fails ? -1 : result;
}

/* The power stays on, so nothing needs to get to the disk. */
static inline int gate_sync(int file) {
  (void)file;
  if (ask("sync") == FAIL) return -1;
  done("sync");
  return 0;
}

static inline int gate_sync_folder(int folder) {
  (void)folder;
  if (ask("sync_folder") == FAIL) return -1;
  done("sync_folder");
  return 0;
}

static inline int gate_clock(int clock, int64_t *nanoseconds) {
  if (ask("clock") == FAIL) return -1;
  int result = real.clock(clock, nanoseconds);
  *nanoseconds += slept;
  done("clock");
  return result;
}

static inline int gate_sleep(int64_t nanoseconds) {
  if (ask("sleep") == FAIL) return -1;
  slept += nanoseconds;
  done("sleep");
  return 0;
}

static inline int gate_thread(pthread_t *thread, void *(*work)(void *context), void *context) {
  if (ask("thread") == FAIL) return errno;
  int result = run_at_once(thread, work, context);
  done("thread");
  return result;
}

static inline void install_gate(void) {
  if (access("/dev/shm", W_OK) == 0) setenv("TMPDIR", "/dev/shm", 1); /* memory will do */
  while (open("/dev/null", O_RDONLY) <= STDERR_FILENO) continue;      /* so that no store gets one of these */
  real = os;
  os = (os_table){
      .open = gate_open,
      .open_folder = gate_open_folder,
      .make_folder = gate_make_folder,
      .close = gate_close,
      .status = gate_status,
      .read = gate_read,
      .write = gate_write,
      .cut = gate_cut,
      .allocate = gate_allocate,
      .sync = gate_sync,
      .write_back = gate_write_back,
      .sync_folder = gate_sync_folder,
      .map = gate_map,
      .unmap = gate_unmap,
      .read_folder = gate_read_folder,
      .rename = gate_rename,
      .remove = gate_remove,
      .lock = gate_lock,
      .memory_file = gate_memory_file,
      .random = gate_random,
      .clock = gate_clock,
      .sleep = gate_sleep,
      .user = gate_user,
      .size_limit = gate_size_limit,
      .thread = gate_thread,
  };
}

/* A trap ------------------------------------------------------------------------------------------------ */

/* Something happens at the n-th call with this name, or of all when that is NULL. */
typedef enum moment { BEFORE, MIDDLE, AFTER, STOPPED, REFUSED } moment;
typedef struct trap {
  const char *name;
  int left; /* calls until then; 0 for none */
  moment when;
} trap;

enum { DIED = 42 };
static trap armed;
static bool dying;

static inline verdict spring(const char *name) {
  if (armed.left == 0 || (armed.name != NULL && strcmp(armed.name, name) != 0) || --armed.left > 0) return GO;
  if (armed.when == BEFORE) _exit(DIED);
  if (armed.when == STOPPED) raise(SIGSTOP);
  dying = armed.when == AFTER || armed.when == MIDDLE;
  errno = EIO;
  return armed.when == REFUSED ? FAIL : armed.when == MIDDLE ? HALF : GO;
}

static inline void die_if_so(const char *name) {
  (void)name;
  if (dying) _exit(DIED);
}

static inline void arm(trap with) {
  armed = with;
  before_call = spring;
  after_call = die_if_so;
}

#endif
