/*
** loops.c - the timed loops.
*/
#include "loops.h"

#include <stdlib.h>
#include <string.h>

#define STRIDE 64u /* operations between two looks at the clock */

static char buffer[INPUT_BIG_VALUE_SIZE];

sequence sequence_make(uint32_t *numbers, uint64_t count, char last) {
  return (sequence){count, numbers, input_keys(numbers, count, last)};
}

void sequence_free(sequence *in) {
  free(in->numbers);
  free(in->keys);
  *in = (sequence){0};
}

typedef struct stopwatch {
  uint64_t start, end;
} stopwatch;

static stopwatch start_watch(double seconds) {
  uint64_t now = measure_now();
  return (stopwatch){now, now + (uint64_t)(seconds * 1e9)};
}

/* The end of the next stride, or `done` when it is time to stop. */
static uint64_t next_stride(const stopwatch *watch, uint64_t done, uint64_t count) {
  if (done > 0 && measure_now() >= watch->end) return done;
  return done + STRIDE < count ? done + STRIDE : count;
}

static double each(const stopwatch *watch, uint64_t done) {
  return done == 0 ? 0 : (double)(measure_now() - watch->start) / (double)done;
}

double loop_put_some(const bench_state *bench, const sequence *in, uint64_t version, size_t size,
                     double seconds, uint64_t *done) {
  stopwatch watch = start_watch(seconds);
  uint64_t at = 0, end;
  while ((end = next_stride(&watch, at, in->count)) > at) {
    for (; at < end; at++) {
      text value = input_value(in->numbers[at], version, size);
      if (!bench->store->put(bench->handle, input_key(in->keys, at), value))
        measure_fail("%s: put failed", bench->store->name);
    }
  }
  *done = at;
  return each(&watch, at);
}

double loop_put(const bench_state *bench, const sequence *in, uint64_t version, size_t size, double seconds) {
  uint64_t done;
  return loop_put_some(bench, in, version, size, seconds, &done);
}

/* Compares sizes only: loop_verify compares bytes, when no clock runs. */
double loop_get(const bench_state *bench, const sequence *in, bool stored, size_t size, double seconds) {
  int64_t expected = stored ? (int64_t)size : ADAPTER_ABSENT;
  stopwatch watch = start_watch(seconds);
  uint64_t done = 0, end;
  while ((end = next_stride(&watch, done, in->count)) > done) {
    for (; done < end; done++)
      if (bench->store->get(bench->handle, input_key(in->keys, done), buffer, sizeof buffer) != expected)
        measure_fail("%s: get gave something else", bench->store->name);
  }
  return each(&watch, done);
}

double loop_remove(const bench_state *bench, const sequence *in, double seconds) {
  stopwatch watch = start_watch(seconds);
  uint64_t done = 0, end;
  while ((end = next_stride(&watch, done, in->count)) > done) {
    for (; done < end; done++)
      if (!bench->store->remove(bench->handle, input_key(in->keys, done)))
        measure_fail("%s: remove failed", bench->store->name);
  }
  return each(&watch, done);
}

double loop_batch(const bench_state *bench, const sequence *in, size_t batch, double seconds) {
  pair *pairs = measure_allocate(batch * sizeof *pairs);
  stopwatch watch = start_watch(seconds);
  uint64_t done = 0;
  while (done + batch <= in->count && measure_now() < watch.end) {
    for (size_t i = 0; i < batch; i++)
      pairs[i] =
          (pair){input_key(in->keys, done + i), input_value(in->numbers[done + i], 0, INPUT_VALUE_SIZE)};
    if (!bench->store->batch(bench->handle, pairs, batch))
      measure_fail("%s: batch failed", bench->store->name);
    done += batch;
  }
  double result = each(&watch, done);
  free(pairs);
  return result;
}

mix mix_make(uint64_t count, unsigned puts, bool modify, uint64_t seed) {
  input_random random = {seed};
  mix kinds = {measure_allocate(count), puts, modify};
  for (uint64_t i = 0; i < count; i++) kinds.percents[i] = (unsigned char)input_below(&random, 100);
  return kinds;
}

double loop_mixed(const bench_state *bench, const sequence *in, const mix *kinds, double seconds) {
  stopwatch watch = start_watch(seconds);
  uint64_t done = 0, end;
  while ((end = next_stride(&watch, done, in->count)) > done) {
    for (; done < end; done++) {
      text key = input_key(in->keys, done);
      bool write = kinds->percents[done] < kinds->puts, ok = true;
      if (!write || kinds->modify)
        ok = bench->store->get(bench->handle, key, buffer, sizeof buffer) == INPUT_VALUE_SIZE;
      if (write)
        ok = ok &&
             bench->store->put(bench->handle, key, input_value(in->numbers[done], done, INPUT_VALUE_SIZE));
      if (!ok) measure_fail("%s: get or put failed", bench->store->name);
    }
  }
  return each(&watch, done);
}

typedef struct key_tally {
  uint64_t keys, bytes;
} key_tally;

/* Looks at both ends of the value: a store may not give out what it did not read. */
static void count_pair(void *context, text key, text value) {
  key_tally *tally = context;
  tally->keys++;
  tally->bytes += key.size + (value.size > 0 && value.bytes[0] != 0 && value.bytes[value.size - 1] != 0);
}

double loop_walk(const bench_state *bench, uint64_t expected) {
  key_tally tally = {0};
  stopwatch watch = start_watch(LOOPS_ALL);
  if (!bench->store->walk(bench->handle, count_pair, &tally))
    measure_fail("%s: walk failed", bench->store->name);
  double result = each(&watch, tally.keys);
  if (tally.keys != expected || tally.bytes != expected * (INPUT_KEY_SIZE + 1))
    measure_fail("%s: a walk found %llu keys of %llu", bench->store->name, (unsigned long long)tally.keys,
                 (unsigned long long)expected);
  return result;
}

bool value_is(text value, uint32_t number, uint64_t first, uint64_t last) {
  for (uint64_t version = first; version <= last; version++)
    if (memcmp(value.bytes, input_value(number, version, value.size).bytes, value.size) == 0) return true;
  return false;
}

void loop_verify(const bench_state *bench, const sequence *in, uint64_t first, uint64_t last, size_t size) {
  for (uint64_t i = 0; i < in->count; i++) {
    int64_t got = bench->store->get(bench->handle, input_key(in->keys, i), buffer, sizeof buffer);
    if (got != (int64_t)size || !value_is((text){buffer, size}, in->numbers[i], first, last))
      measure_fail("%s: a value is not what was put", bench->store->name);
  }
}
