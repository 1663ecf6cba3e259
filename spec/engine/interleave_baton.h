/*
** interleave_baton.h - several runners of which only the one with the baton runs.
**
** A runner is a stack of its own in one thread: passing the baton is a change of stacks, and takes 0.2 us. The sanitizers
** know stacks only with their threads, so with them a runner is a thread that waits until it gets the baton: 2 us, if all
** are on one processor. What happens is the same.
*/
#ifndef VIPERDB_INTERLEAVE_BATON_H
#define VIPERDB_INTERLEAVE_BATON_H

#include <stdlib.h>

#include "sanitizers.h"

#if THREAD_SANITIZER || ADDRESS_SANITIZER

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

typedef struct runner {
  pthread_t thread;
  sem_t go;
  void (*work)(void);
} runner;

static inline void wait_for_baton(runner *me) {
  while (sem_wait(&me->go) != 0) continue;
}

static inline void pass_baton(runner *me, runner *next) {
  sem_post(&next->go);
  wait_for_baton(me);
}

static inline void *run_with_baton(void *context) {
  runner *me = context;
  wait_for_baton(me);
  me->work();
  return NULL;
}

/* The one that has the baton at first, and is there already. */
static inline void start_first(runner *first) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  (void)sched_setaffinity(0, sizeof one, &one);
  sem_init(&first->go, 0, 0);
}

/* `work` does not return: at the end of the program the runner is waiting. */
static inline void start_runner(runner *fresh, void (*work)(void)) {
  fresh->work = work;
  sem_init(&fresh->go, 0, 0);
  if (pthread_create(&fresh->thread, NULL, run_with_baton, fresh) != 0) exit(1);
  pthread_detach(fresh->thread);
}

#else

#include <ucontext.h>

enum { STACK_SIZE = 256 * 1024 };

typedef struct runner {
  ucontext_t context;
  char *stack;
} runner;

static inline void pass_baton(runner *me, runner *next) {
  (void)swapcontext(&me->context, &next->context);
}

static inline void start_first(runner *first) {
  (void)first;
}

static inline void start_runner(runner *fresh, void (*work)(void)) {
  fresh->stack = malloc(STACK_SIZE);
  if (fresh->stack == NULL || getcontext(&fresh->context) != 0) exit(1);
  fresh->context.uc_stack = (stack_t){.ss_sp = fresh->stack, .ss_size = STACK_SIZE};
  makecontext(&fresh->context, work, 0);
}

#endif

#endif
