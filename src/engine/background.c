/*
** background.c - one piece of work for a thread, so that a call never waits for the disk.
*/
#include "background.h"

#include <stdatomic.h>
#include <stdlib.h>

#define AT_WORK (-1)

struct background {
  pthread_t thread;
  uint64_t process; /* a child of fork has the memory, but not the thread */
  int (*work)(void *context);
  void *context;
  _Atomic int result; /* AT_WORK, then 0 or an errno */
};

static void *run(void *context) {
  background *job = context;
  atomic_store_explicit(&job->result, job->work(job->context), memory_order_release);
  return NULL;
}

background *background_start(int (*work)(void *context), void *context) {
  background *job = calloc(1, sizeof *job);
  if (job == NULL) return NULL;
  job->process = os_process();
  job->work = work;
  job->context = context;
  atomic_init(&job->result, AT_WORK);
  if (os.thread(&job->thread, run, job) == 0) return job;
  free(job);
  return NULL;
}

bool background_done(const background *job, int *reason) {
  *reason = atomic_load_explicit(&job->result, memory_order_acquire);
  return *reason != AT_WORK;
}

int background_end(background *job) {
  if (job == NULL) return 0;
  if (job->process == os_process()) pthread_join(job->thread, NULL);
  int reason = atomic_load_explicit(&job->result, memory_order_acquire);
  free(job);
  return reason;
}
