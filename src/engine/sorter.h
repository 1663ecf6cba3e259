/*
** sorter.h - sorting an array of pointers a little at a time.
**
** A merge sort from small runs to large ones that can stop between any two elements, so that the work fits between the
** events of somebody's loop. Stable.
*/
#ifndef VIPERDB_SORTER_H
#define VIPERDB_SORTER_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef int (*sorter_order)(const void *context, const void *left, const void *right);

typedef struct sorter_state {
  char *items; /* the caller's array; sorted in the end */
  char *other; /* the caller's second array of the same size */
  size_t count;
  size_t item_size;
  sorter_order order;
  const void *context;
  size_t width;             /* length of the runs that are being merged */
  size_t start;             /* of the first of the two runs */
  size_t left, right, next; /* in the first run, in the second, in the output */
} sorter_state;

void sorter_start(sorter_state *state, char *items, char *other, size_t count, size_t item_size,
                  sorter_order order, const void *context);

/* Places up to `steps` elements. True when all is sorted: then state->items is where the caller finds it. */
bool sorter_step(sorter_state *state, size_t steps);

#pragma GCC visibility pop

#endif
