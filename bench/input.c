/*
** input.c - random numbers, distributions, keys and the text of the values.
*/
#include "input.h"

#include <math.h>
#include <stdlib.h>

#include "measure.h"

/* splitmix64 */
uint64_t input_next(input_random *random) {
  uint64_t word = random->state += UINT64_C(0x9e3779b97f4a7c15);
  word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
  return word ^ word >> 31;
}

uint32_t input_below(input_random *random, uint32_t limit) {
  return (uint32_t)((input_next(random) >> 32) * limit >> 32);
}

uint32_t *input_ascending(uint64_t count) {
  uint32_t *numbers = measure_allocate(count * sizeof *numbers);
  for (uint64_t i = 0; i < count; i++) numbers[i] = (uint32_t)i;
  return numbers;
}

uint32_t *input_shuffled(uint64_t count, uint64_t seed) {
  input_random random = {seed};
  uint32_t *numbers = input_ascending(count);
  for (uint64_t i = count; i > 1; i--) {
    uint32_t other = input_below(&random, (uint32_t)i);
    uint32_t moved = numbers[i - 1];
    numbers[i - 1] = numbers[other];
    numbers[other] = moved;
  }
  return numbers;
}

uint32_t *input_uniform(uint64_t count, uint64_t limit, uint64_t seed) {
  input_random random = {seed};
  uint32_t *numbers = measure_allocate(count * sizeof *numbers);
  for (uint64_t i = 0; i < count; i++) numbers[i] = input_below(&random, (uint32_t)limit);
  return numbers;
}

/* 1 + 1/2^c + ... + 1/limit^c */
static double zeta(uint64_t limit, double constant) {
  double sum = 0;
  for (uint64_t i = 1; i <= limit; i++) sum += pow((double)i, -constant);
  return sum;
}

/* After Gray et al., "Quickly generating billion-record synthetic databases". */
uint32_t *input_zipfian(uint64_t count, uint64_t limit, uint64_t seed) {
  const double constant = 0.99;
  input_random random = {seed};
  uint32_t *numbers = measure_allocate(count * sizeof *numbers);
  double size = (double)limit, all = zeta(limit, constant), second = 1 + pow(0.5, constant);
  double eta = (1 - pow(2 / size, 1 - constant)) / (1 - second / all);
  for (uint64_t i = 0; i < count; i++) {
    double uniform = (double)(input_next(&random) >> 11) * 0x1p-53, place = uniform * all;
    double rank = place < 1        ? 0
                  : place < second ? 1
                                   : size * pow(eta * (uniform - 1) + 1, 1 / (1 - constant));
    input_random scramble = {(uint64_t)rank};
    numbers[i] = (uint32_t)(input_next(&scramble) % limit);
  }
  return numbers;
}

static void print_key(char *out, uint32_t number, char last) {
  out[INPUT_KEY_SIZE - 1] = last;
  for (unsigned i = INPUT_KEY_SIZE - 1; i-- > 0; number /= 10) out[i] = (char)('0' + number % 10);
}

char *input_keys(const uint32_t *numbers, uint64_t count, char last) {
  char *keys = measure_allocate(count * INPUT_KEY_SIZE);
  for (uint64_t i = 0; i < count; i++) print_key(keys + i * INPUT_KEY_SIZE, numbers[i], last);
  return keys;
}

char *input_pool;

void input_prepare(void) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  input_random random = {20};
  size_t size = INPUT_POOL + INPUT_BIG_VALUE_SIZE;
  if (input_pool != NULL) return;
  input_pool = measure_allocate(size);
  for (size_t i = 0; i < size; i++) input_pool[i] = letters[input_next(&random) >> 58];
}
