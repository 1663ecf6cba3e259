/*
** os.h - every system call, clock and platform question of the engine, in one table.
**
** The engine calls the system only through `os`, so that a test can make any call fail, record it, or end
** the process before or after it. The members behave as the system calls that their comments name: -1 (or
** MAP_FAILED) and errno on failure. The table is set before the first store is opened and never after.
** The helpers below the table are built on it. All are safe from any thread.
*/
#ifndef VIPERDB_OS_H
#define VIPERDB_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

typedef enum os_lock_kind { OS_UNLOCK, OS_LOCK_SHARED, OS_LOCK_EXCLUSIVE } os_lock_kind;

typedef enum os_map_kind {
  OS_MAP_READ,      /* shared, read only */
  OS_MAP_WRITE,     /* shared, read and write */
  OS_MAP_WRITE_NOW, /* the same with its pages mapped at once */
} os_map_kind;

typedef struct os_table {
  int (*open)(int folder, const char *name, int flags, mode_t mode); /* openat; adds O_CLOEXEC | O_NOFOLLOW */
  int (*open_folder)(const char *path);                              /* open, O_DIRECTORY */
  int (*make_folder)(const char *path, mode_t mode);                 /* mkdir */
  int (*close)(int file);                                            /* close */
  int (*status)(int file, struct stat *status);                      /* fstat */
  ssize_t (*read)(int file, void *bytes, size_t size, off_t offset); /* pread */
  ssize_t (*write)(int file, const void *bytes, size_t size, off_t offset); /* pwrite */
  int (*cut)(int file, off_t size);                                         /* ftruncate */
  int (*allocate)(int file, off_t offset, off_t size);                      /* fallocate: changes no byte */
  int (*sync)(int file);                                                    /* fdatasync */
  int (*write_back)(int file);                                              /* sync_file_range: only starts */
  int (*sync_folder)(int folder);                                           /* fsync */
  void *(*map)(int file, size_t size, off_t offset, os_map_kind kind);      /* mmap */
  int (*unmap)(void *address, size_t size);                                 /* munmap */
  int (*read_folder)(int folder, bool (*visit)(void *context, const char *name), void *context); /* readdir */
  int (*rename)(int folder, const char *from, const char *to); /* renameat */
  int (*remove)(int folder, const char *name);                 /* unlinkat */
  int (*lock)(int file, off_t byte, os_lock_kind kind);        /* fcntl F_OFD_SETLK: never waits */
  int (*memory_file)(const char *name);                        /* memfd_create */
  int (*random)(void *bytes, size_t size);                     /* getrandom; 0 or -1 */
  int (*clock)(int clock, int64_t *nanoseconds);               /* clock_gettime */
  int (*sleep)(int64_t nanoseconds);                           /* nanosleep */
  uid_t (*user)(void);                                         /* geteuid */
  int (*thread)(pthread_t *thread, void *(*work)(void *context),
                void *context);       /* pthread_create; 0 or an errno */
  int (*size_limit)(uint64_t *bytes); /* getrlimit RLIMIT_FSIZE */
#ifdef OS_STEPS
  void (*step)(const char *name); /* test builds: called at each named step of a write */
  void (*stop)(const char *name); /* test builds: the same for points of a read and tries of a wait */
#endif
} os_table;

extern os_table os;

/* A named point in the middle of a write, where tests stop, switch or kill. Nothing in a normal build. */
#ifdef OS_STEPS
#define OS_STEP(name) os.step(name)
#define OS_STOP(name) os.stop(name)
#else
#define OS_STEP(name) ((void)0)
#define OS_STOP(name) ((void)0)
#endif

/* The whole block or -1: goes on after short counts and EINTR. Reading past the end is -1 with EIO. */
int os_write_all(int file, const void *bytes, size_t size, uint64_t offset);
int os_read_all(int file, void *bytes, size_t size, uint64_t offset);

/*
** Opens a file that must be regular. -1 and errno: ELOOP for a symbolic link, EINVAL for anything else that is
** not a regular file, whatever open itself says of it; EPERM when everybody may write to it, or when it belongs to
** somebody who is neither this process's user nor the owner of the folder. Never waits (a FIFO would) and never touches a device.
*/
int os_open_regular(int folder, const char *name, int flags, struct stat *status);

/* How far a growing file is mapped beyond its end, in bytes of address space. */
#ifndef OS_ROOM
#define OS_ROOM ((uint64_t)64 << 30)
#endif

/*
** Maps the first `length` bytes of a file, and so much more, where address space is to be had, that a growing file is
** seldom mapped anew: page tables are made only for what is touched. MAP_FAILED and errno.
*/
void *os_map_growing(int file, uint64_t length, os_map_kind kind, size_t *mapped);

/* Milliseconds since the epoch. */
int64_t os_now(void);

/* Nanoseconds of a clock that only goes forward. */
int64_t os_ticks(void);

/* A number that is another one in every process, a child after fork included. */
uint64_t os_process(void);

/* The kernel's boot id (36 characters and a zero), or an empty text where there is none to be had. */
#define OS_BOOT_SIZE 37
void os_boot(char out[OS_BOOT_SIZE]);

/* Bytes of a page. */
size_t os_page(void);

#pragma GCC visibility pop

#endif
