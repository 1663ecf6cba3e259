/*
** helper.h - other processes: this executable, started again with other arguments, and a page shared with it.
**
** Started anew and not forked, as some stores have threads that a fork would lose.
*/
#ifndef VIPERDB_BENCH_HELPER_H
#define VIPERDB_BENCH_HELPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HELPER_MOST 8

typedef struct helper_page {
  _Atomic uint32_t ready; /* how many helpers are */
  _Atomic uint32_t go, stop;
  _Atomic uint64_t done[HELPER_MOST]; /* operations of each */
} helper_page;

/* A page for the helpers that are started after this. */
helper_page *helper_make_page(void);

/* The page of a helper, which does not outlive the process that started it. */
helper_page *helper_find_page(void);

/* Starts this program with these arguments, which end with NULL. */
pid_t helper_start(const char *const *arguments);

/* Waits until so many are ready; false if one of them ended before. */
bool helper_await(helper_page *page, uint32_t count);

/* Waits for its end; its exit code, or minus the signal that ended it. */
int helper_wait(pid_t process);

/* SIGKILL, and waits for its end. False if it had ended by itself. */
bool helper_kill(pid_t process);

/* Lets go of the processor for so long. */
void helper_sleep(double seconds);

#endif
