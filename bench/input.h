/*
** input.h - keys, values and the orders in which they are used. The same seeds give the same input to every
** store.
**
** Keys are 16 bytes: a number in 15 digits and a letter. Values are slices of one random text, so making them
** costs nothing while the clock runs, and a reader can tell whether it got the right one.
*/
#ifndef VIPERDB_BENCH_INPUT_H
#define VIPERDB_BENCH_INPUT_H

#include "adapter.h"

#define INPUT_KEY_SIZE 16u
#define INPUT_VALUE_SIZE 100u
#define INPUT_BIG_VALUE_SIZE (100u * 1000u)

#define INPUT_STORED 'a' /* last letter of the keys that are stored */
#define INPUT_ABSENT 'b' /* stands between two stored ones in every order */

typedef struct input_random {
  uint64_t state;
} input_random;

uint64_t input_next(input_random *random);
uint32_t input_below(input_random *random, uint32_t limit);

/* The caller frees these. */
uint32_t *input_ascending(uint64_t count);
uint32_t *input_shuffled(uint64_t count, uint64_t seed);
uint32_t *input_uniform(uint64_t count, uint64_t limit, uint64_t seed);

/* YCSB's scrambled zipfian distribution, constant 0.99. */
uint32_t *input_zipfian(uint64_t count, uint64_t limit, uint64_t seed);

/* The keys of these numbers, end to end. */
char *input_keys(const uint32_t *numbers, uint64_t count, char last);

static inline text input_key(const char *keys, uint64_t i) {
  return (text){keys + i * INPUT_KEY_SIZE, INPUT_KEY_SIZE};
}

/* The text that all values are slices of is made by the first call of input_prepare. */
#define INPUT_POOL (1u << 20)
extern char *input_pool;
void input_prepare(void);

static inline text input_value(uint32_t number, uint64_t version, size_t size) {
  uint64_t place = (number * UINT64_C(2654435761) + version * UINT64_C(40503)) & (INPUT_POOL - 1);
  return (text){input_pool + place, size};
}

#endif
