/*
** history.h - what actors did to a few keys and were told, and whether one store could have told it.
**
** Each operation has a start and an end. The history is linearizable when the operations can be put into an order in which
** a plain table gives all the answers that were given, and in which no operation comes before one that had ended when it
** started. Few operations, so all orders are tried.
*/
#ifndef VIPERDB_HISTORY_H
#define VIPERDB_HISTORY_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { KEYS = 4, OPERATIONS = 24 };

static const char *const key_names[KEYS] = {"a", "b", "c", "new"};

typedef enum operation_kind {
  WRITE, /* gives the keys these values; 0 is absent */
  TAKE,  /* a delete that tells whether the key was there */
  READ,  /* found these values, all at one moment */
  ADD,   /* one more than it was, which is now this */
} operation_kind;

typedef struct operation {
  operation_kind kind;
  int actor;
  unsigned keys; /* a bit for each */
  int values[KEYS];
  unsigned start, end;
} operation;

typedef struct table {
  int values[KEYS];
} table;

static operation history[OPERATIONS];
static int operation_count;
static unsigned history_clock;

static inline operation *begin_operation(int by, operation_kind kind, unsigned keys) {
  operation *entry = &history[operation_count++];
  *entry = (operation){.kind = kind, .actor = by, .keys = keys, .start = ++history_clock};
  return entry;
}

static inline void end_operation(operation *entry) {
  entry->end = ++history_clock;
}

/* Whether a table in this state would have told the same. */
static inline bool could_be(const operation *entry, table *state) {
  for (int key = 0; key < KEYS; key++) {
    if ((entry->keys >> key & 1) == 0) continue;
    int *now = &state->values[key], told = entry->values[key];
    if (entry->kind == READ && *now != told) return false;
    if (entry->kind == TAKE && (*now != 0) != (told != 0)) return false;
    if (entry->kind == ADD && *now != told - 1) return false;
    *now = entry->kind == TAKE ? 0 : told;
  }
  return true;
}

static inline bool may_be_next(unsigned done, int which) {
  for (int i = 0; i < operation_count; i++)
    if ((done >> i & 1) == 0 && history[i].end < history[which].start) return false;
  return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as there are operations */
static inline bool is_linearizable(table before, unsigned done) {
  if (done == (1u << operation_count) - 1) return true;
  for (int i = 0; i < operation_count; i++) {
    table state = before;
    if ((done >> i & 1) != 0 || !may_be_next(done, i)) continue;
    if (could_be(&history[i], &state) && is_linearizable(state, done | 1u << i)) return true;
  }
  return false;
}

static inline void print_history(void) {
  static const char *const kinds[] = {"writes", "deletes", "reads", "adds"};
  for (int i = 0; i < operation_count; i++) {
    const operation *entry = &history[i];
    printf("# %2u-%2u: actor %d %s", entry->start, entry->end, entry->actor, kinds[entry->kind]);
    for (int key = 0; key < KEYS; key++)
      if (entry->keys >> key & 1) printf(" %s=%d", key_names[key], entry->values[key]);
    printf("\n");
  }
}

#endif
