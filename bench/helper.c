/*
** helper.c - starting this executable again, and the page shared with it.
*/
#define _GNU_SOURCE

#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

/* Helpers inherit the page's file under this number. */
#define PAGE_FILE 9

static helper_page *map_page(void) {
  void *page = mmap(NULL, sizeof(helper_page), PROT_READ | PROT_WRITE, MAP_SHARED, PAGE_FILE, 0);
  if (page == MAP_FAILED) measure_fail("cannot map the shared page: %s", strerror(errno));
  return page;
}

helper_page *helper_make_page(void) {
  int file = memfd_create("bench", 0);
  if (file < 0 || ftruncate(file, sizeof(helper_page)) != 0 ||
      (file != PAGE_FILE && dup2(file, PAGE_FILE) < 0))
    measure_fail("cannot make the shared page: %s", strerror(errno));
  if (file != PAGE_FILE) close(file);
  return map_page();
}

helper_page *helper_find_page(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return map_page();
}

pid_t helper_start(const char *const *arguments) {
  pid_t process;
  int reason = posix_spawn(&process, "/proc/self/exe", NULL, NULL, (char *const *)arguments, environ);
  if (reason != 0) measure_fail("cannot start a process: %s", strerror(reason));
  return process;
}

void helper_sleep(double seconds) {
  struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&pause, NULL);
}

bool helper_await(helper_page *page, uint32_t count) {
  while (atomic_load(&page->ready) < count) {
    siginfo_t ended = {0};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0) return false;
    helper_sleep(0.0005);
  }
  return true;
}

int helper_wait(pid_t process) {
  int status;
  if (waitpid(process, &status, 0) != process) measure_fail("cannot wait for a helper: %s", strerror(errno));
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool helper_kill(pid_t process) {
  kill(process, SIGKILL);
  return helper_wait(process) == -SIGKILL;
}
