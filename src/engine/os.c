/*
** os.c - the system, as the engine sees it.
**
** The only engine file that makes system calls. Linux: open file description locks (3.15), getrandom (3.17),
** memfd_create (3.17), MADV_WIPEONFORK (4.14; without it the process id is asked each time).
*/
#define _GNU_SOURCE

#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int real_open(int folder, const char *name, int flags, mode_t mode) {
  return openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

static int real_open_folder(const char *path) {
  return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int real_status(int file, struct stat *status) {
  return fstat(file, status);
}

/* Populating a shared mapping maps its pages to be read; that they are to be written must be said apart (Linux 5.14). */
static void populate(void *address, size_t size) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(address, size, MADV_POPULATE_WRITE) == 0) return;
#endif
  (void)madvise(address, size, MADV_WILLNEED); /* the pages are mapped one by one, then */
}

static void *real_map(int file, size_t size, off_t offset, os_map_kind kind) {
  int protection = kind == OS_MAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
  void *address = mmap(NULL, size, protection, MAP_SHARED, file, offset);
  if (address != MAP_FAILED && kind == OS_MAP_WRITE_NOW) populate(address, size);
  return address;
}

/* Calls `visit` for each entry but . and .. until it returns false. */
static int real_read_folder(int folder, bool (*visit)(void *context, const char *name), void *context) {
  int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return -1;
  DIR *entries = fdopendir(copy);
  if (entries == NULL) {
    close(copy);
    return -1;
  }
  const struct dirent *entry;
  errno = 0;
  while ((entry = readdir(entries)) != NULL) {
    bool self = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (!self && !visit(context, entry->d_name)) break;
  }
  int reason = entry == NULL ? errno : 0;
  closedir(entries);
  errno = reason;
  return reason == 0 ? 0 : -1;
}

static int real_rename(int folder, const char *from, const char *to) {
  return renameat(folder, from, folder, to);
}

static int real_remove(int folder, const char *name) {
  return unlinkat(folder, name, 0);
}

static int real_lock(int file, off_t byte, os_lock_kind kind) {
  static const short types[] = {F_UNLCK, F_RDLCK, F_WRLCK};
  struct flock lock = {.l_type = types[kind], .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  return fcntl(file, F_OFD_SETLK, &lock);
}

static int real_memory_file(const char *name) {
  return memfd_create(name, MFD_CLOEXEC);
}

static int real_random(void *bytes, size_t size) {
  return getrandom(bytes, size, 0) == (ssize_t)size ? 0 : -1;
}

static int real_clock(int clock, int64_t *nanoseconds) {
  struct timespec time;
  if (clock_gettime((clockid_t)clock, &time) != 0) return -1;
  *nanoseconds = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
  return 0;
}

static int real_sleep(int64_t nanoseconds) {
  struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  return nanosleep(&time, NULL);
}

static int real_write_back(int file) {
  return sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* Not posix_fallocate, which may write where the file system can't do it. */
static int real_allocate(int file, off_t offset, off_t size) {
  return fallocate(file, 0, offset, size);
}

static int real_size_limit(uint64_t *bytes) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0) return -1;
  *bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
  return 0;
}

/* The host's signal handlers are not to run in a thread that the host doesn't know of. */
static int real_thread(pthread_t *thread, void *(*work)(void *context), void *context) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int reason = pthread_create(thread, NULL, work, context);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return reason;
}

#ifdef OS_STEPS
static void no_step(const char *name) {
  (void)name;
}
#endif

os_table os = {
    .open = real_open,
    .open_folder = real_open_folder,
    .make_folder = mkdir,
    .close = close,
    .status = real_status,
    .read = pread,
    .write = pwrite,
    .cut = ftruncate,
    .allocate = real_allocate,
    .sync = fdatasync,
    .write_back = real_write_back,
    .sync_folder = fsync,
    .map = real_map,
    .unmap = munmap,
    .read_folder = real_read_folder,
    .rename = real_rename,
    .remove = real_remove,
    .lock = real_lock,
    .memory_file = real_memory_file,
    .random = real_random,
    .clock = real_clock,
    .sleep = real_sleep,
    .user = geteuid,
    .thread = real_thread,
    .size_limit = real_size_limit,
#ifdef OS_STEPS
    .step = no_step,
    .stop = no_step,
#endif
};

int os_write_all(int file, const void *bytes, size_t size, uint64_t offset) {
  const char *next = bytes;
  while (size > 0) {
    ssize_t written = os.write(file, next, size, (off_t)offset);
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return -1;
    next += written;
    offset += (uint64_t)written;
    size -= (size_t)written;
  }
  return 0;
}

int os_read_all(int file, void *bytes, size_t size, uint64_t offset) {
  char *next = bytes;
  while (size > 0) {
    ssize_t taken = os.read(file, next, size, (off_t)offset);
    if (taken < 0 && errno == EINTR) continue;
    if (taken == 0) errno = EIO;
    if (taken <= 0) return -1;
    next += taken;
    offset += (uint64_t)taken;
    size -= (size_t)taken;
  }
  return 0;
}

/* Whether nobody else could have put this file here, or could change it at will. */
static bool trustworthy(int folder, const struct stat *status) {
  struct stat around;
  if (status->st_mode & S_IWOTH) return false;
  if (status->st_uid == os.user()) return true;
  return os.status(folder, &around) == 0 && status->st_uid == around.st_uid;
}

int os_open_regular(int folder, const char *name, int flags, struct stat *status) {
  int file;
  do {
    file = os.open(folder, name, flags | O_NONBLOCK | O_NOCTTY, 0600);
  } while (file < 0 && errno == EINTR);
  if (file < 0) {
    if (errno == EISDIR || errno == ENXIO) errno = EINVAL;
    return -1;
  }
  int reason = 0;
  if (os.status(file, status) != 0) reason = errno;
  else if (!S_ISREG(status->st_mode)) reason = EINVAL;
  else if (!trustworthy(folder, status)) reason = EPERM;
  if (reason == 0) return file;
  os.close(file);
  errno = reason;
  return -1;
}

void *os_map_growing(int file, uint64_t length, os_map_kind kind, size_t *mapped) {
  uint64_t sizes[] = {OS_ROOM, 2 * length, length};
  void *memory = MAP_FAILED;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes && memory == MAP_FAILED; i++) {
    if (sizes[i] < length) continue;
    *mapped = (size_t)(sizes[i] + os_page() - 1) / os_page() * os_page();
    memory = os.map(file, *mapped, 0, kind);
  }
  return memory;
}

int64_t os_now(void) {
  int64_t nanoseconds = 0;
  if (os.clock(CLOCK_REALTIME, &nanoseconds) != 0) return 0;
  return nanoseconds / 1000000;
}

int64_t os_ticks(void) {
  int64_t nanoseconds = 0;
  if (os.clock(CLOCK_MONOTONIC, &nanoseconds) != 0) return 0;
  return nanoseconds;
}

/*
** A page that the kernel fills with zeros in a child of fork tells the child from the parent without a system
** call. A process id alone would not do: it can come again.
*/
static _Atomic uint64_t *process_word;

static void make_process_word(void) {
  size_t size = os_page();
  void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, size, MADV_WIPEONFORK) == 0) process_word = page;
  else munmap(page, size);
}

uint64_t os_process(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, make_process_word);
  if (process_word == NULL) return (uint64_t)getpid();
  uint64_t known = atomic_load_explicit(process_word, memory_order_relaxed);
  if (known != 0) return known;
  uint64_t fresh = ((uint64_t)os_ticks() << 22 ^ (uint64_t)getpid()) | 1;
  return atomic_compare_exchange_strong(process_word, &known, fresh) ? fresh : known;
}

void os_boot(char out[OS_BOOT_SIZE]) {
  memset(out, 0, OS_BOOT_SIZE);
  int file = os.open(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
  if (file < 0) return;
  if (os_read_all(file, out, OS_BOOT_SIZE - 1, 0) != 0) memset(out, 0, OS_BOOT_SIZE);
  os.close(file);
}

size_t os_page(void) {
  static _Atomic size_t page;
  size_t known = atomic_load_explicit(&page, memory_order_relaxed);
  if (known == 0) {
    known = (size_t)sysconf(_SC_PAGESIZE);
    atomic_store_explicit(&page, known, memory_order_relaxed);
  }
  return known;
}
