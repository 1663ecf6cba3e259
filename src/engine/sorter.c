/*
** sorter.c - a bottom-up merge sort that can stop between any two elements.
*/
#include "sorter.h"

#include <string.h>

void sorter_start(sorter_state *state, char *items, char *other, size_t count, size_t item_size,
                  sorter_order order, const void *context) {
  *state = (sorter_state){
      .items = items,
      .other = other,
      .count = count,
      .item_size = item_size,
      .order = order,
      .context = context,
      .width = 1,
  };
  state->right = count < 1 ? count : 1;
}

static size_t at_most(size_t value, size_t limit) {
  return value < limit ? value : limit;
}

static const char *item(const sorter_state *state, size_t index) {
  return state->items + index * state->item_size;
}

/* The next of the two runs' first elements, the left one when they are equal. */
static size_t pick(sorter_state *state) {
  size_t middle = at_most(state->start + state->width, state->count);
  size_t end = at_most(state->start + 2 * state->width, state->count);
  if (state->left == middle) return state->right++;
  if (state->right == end) return state->left++;
  bool right_first = state->order(state->context, item(state, state->right), item(state, state->left)) < 0;
  return right_first ? state->right++ : state->left++;
}

static void start_pair(sorter_state *state, size_t start) {
  state->start = start;
  state->left = start;
  state->right = at_most(start + state->width, state->count);
}

static void start_pass(sorter_state *state) {
  char *merged = state->other;
  state->other = state->items;
  state->items = merged;
  state->width *= 2;
  state->next = 0;
  start_pair(state, 0);
}

bool sorter_step(sorter_state *state, size_t steps) {
  for (; steps > 0 && state->width < state->count; steps--) {
    memcpy(state->other + state->next * state->item_size, item(state, pick(state)), state->item_size);
    state->next++;
    if (state->next == state->count) start_pass(state);
    else if (state->next == state->start + 2 * state->width) start_pair(state, state->next);
  }
  return state->width >= state->count;
}
