/*
** loops.h - the timed loops: the same few for every store and workload.
**
** Each gives nanoseconds an operation. Those that may stop early do so after the seconds they are given, so a
** slow store does fewer operations.
*/
#ifndef VIPERDB_BENCH_LOOPS_H
#define VIPERDB_BENCH_LOOPS_H

#include "input.h"
#include "measure.h"

#define LOOPS_ALL 1e9 /* seconds that are never over */

/* Operations in the order in which they come: `numbers` of keys, and the keys made of them. */
typedef struct sequence {
  uint64_t count;
  uint32_t *numbers;
  char *keys;
} sequence;

/* Takes the numbers over. */
sequence sequence_make(uint32_t *numbers, uint64_t count, char last);
void sequence_free(sequence *in);

double loop_put(const bench_state *bench, const sequence *in, uint64_t version, size_t size, double seconds);

/* The same, and tells how many it did. */
double loop_put_some(const bench_state *bench, const sequence *in, uint64_t version, size_t size,
                     double seconds, uint64_t *done);

double loop_get(const bench_state *bench, const sequence *in, bool stored, size_t size, double seconds);
double loop_remove(const bench_state *bench, const sequence *in, double seconds);
double loop_batch(const bench_state *bench, const sequence *in, size_t batch, double seconds);

/* Which of the operations are puts: those whose number is below `puts`. The others are gets. */
typedef struct mix {
  unsigned char *percents; /* one for each operation, 0 to 99 */
  unsigned puts;           /* of a hundred */
  bool modify;             /* a get before each put */
} mix;

mix mix_make(uint64_t count, unsigned puts, bool modify, uint64_t seed);

/* `percents` is as long as `in`. */
double loop_mixed(const bench_state *bench, const sequence *in, const mix *kinds, double seconds);

/* Nanoseconds a key; fails unless it finds as many keys as are expected. */
double loop_walk(const bench_state *bench, uint64_t expected);

/* Whether these bytes are the value of one of the versions from the first to the last. */
bool value_is(text value, uint32_t number, uint64_t first, uint64_t last);

/* Not timed: fails unless the value of each key is that of one of these versions. */
void loop_verify(const bench_state *bench, const sequence *in, uint64_t first, uint64_t last, size_t size);

#endif
