/*
** kill_test.c - whether what a killed process was told is stored is there.
**
** A child puts and deletes, and counts each call that returned on a shared page. It is killed at a random
** moment; the store is opened again, and every key must have what the last counted call gave it. The call
** that was under way may have happened or not. The next child goes on from there. That is done with both ways
** to open a store: writes are left to the operating system, and each is on the disk when it returns.
**
** Another child does the looking: a damaged store may end the process that opens it, or keep it busy for ever, and then
** it is of no use.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helper.h"
#include "input.h"
#include "workloads.h"

#define KEYS 5000u
#define NEVER UINT64_MAX
#define PATIENCE 30 /* seconds; opening takes one of them at most */

typedef struct change {
  uint32_t key;
  bool remove;
  text value;
} change;

/* The n-th change, for the child that makes it and for the parent that looks for it. */
static change change_at(uint64_t n) {
  input_random random = {n};
  uint64_t bits = input_next(&random);
  uint32_t key = (uint32_t)(bits & 0xffffff) % KEYS;
  return (change){key, (bits >> 24) % 5 == 0, input_value(key, n, 20 + (bits >> 32) % 2000)};
}

static char *all_keys(void) {
  uint32_t *numbers = input_ascending(KEYS);
  char *keys = input_keys(numbers, KEYS, INPUT_STORED);
  free(numbers);
  return keys;
}

static void apply(bench_state *bench, const char *keys, uint64_t n) {
  change next = change_at(n);
  text key = input_key(keys, next.key);
  bool done = next.remove ? bench->store->remove(bench->handle, key)
                          : bench->store->put(bench->handle, key, next.value);
  measure_check(bench, done, "a change");
}

int kill_test_target(bench_state *bench, char **arguments) {
  uint64_t n = strtoull(arguments[0], NULL, 10);
  char *keys = all_keys();
  helper_page *page = helper_find_page();
  adapter_options options = {.keys = KEYS, .sync_each = strcmp(arguments[1], "disk") == 0};
  alarm(PATIENCE);
  measure_open(bench, &options);
  atomic_store(&page->ready, 1);
  for (;; n++) {
    apply(bench, keys, n);
    atomic_store(&page->done[0], n + 1);
  }
}

/* In memory that is shared with the child that looks. */
typedef struct kill_test {
  bench_state *bench;
  bool sync_each;
  char *keys;
  uint64_t last[KEYS]; /* which change each key had last */
  uint64_t next;       /* changes before this one are done */
  input_random random;
  unsigned wrong; /* keys of this round */
  unsigned killed, unusable, lost;
  uint64_t acknowledged;
} kill_test;

static void start_over(kill_test *test) {
  for (unsigned i = 0; i < KEYS; i++) test->last[i] = NEVER;
  measure_make_folder(test->bench);
}

static bool has(kill_test *test, uint32_t key, uint64_t n) {
  char buffer[4096];
  const adapter *store = test->bench->store;
  int64_t size = store->get(test->bench->handle, input_key(test->keys, key), buffer, sizeof buffer);
  if (n == NEVER) return size == ADAPTER_ABSENT;
  change expected = change_at(n);
  if (expected.remove) return size == ADAPTER_ABSENT;
  return size == (int64_t)expected.value.size &&
         memcmp(buffer, expected.value.bytes, expected.value.size) == 0;
}

/* How many keys have not what they must have; the change under way counts when it shows. */
static unsigned compare(kill_test *test, uint64_t under_way) {
  unsigned wrong = 0;
  uint32_t open_key = change_at(under_way).key;
  for (uint32_t key = 0; key < KEYS; key++) {
    if (has(test, key, test->last[key])) continue;
    if (key == open_key && has(test, key, under_way)) test->last[key] = under_way;
    else wrong++;
  }
  return wrong;
}

/* False if the child could not open the store, or a call failed, before it was killed. */
static bool kill_one(kill_test *test, uint64_t *end) {
  char keys[32], next[32];
  snprintf(keys, sizeof keys, "%u", KEYS);
  snprintf(next, sizeof next, "%llu", (unsigned long long)test->next);
  helper_page *page = helper_make_page();
  atomic_store(&page->done[0], test->next);
  const char *mode = test->sync_each ? "disk" : "system";
  pid_t target =
      helper_start((const char *[]){"bench", "target", test->bench->folder, keys, next, mode, NULL});
  bool usable = helper_await(page, 1);
  helper_sleep(0.001 + (double)input_below(&test->random, 1000) * 4e-5);
  usable = helper_kill(target) && usable;
  *end = atomic_load(&page->done[0]);
  return usable;
}

static int look(kill_test *test, uint64_t under_way) {
  adapter_options options = {.keys = KEYS, .sync_each = test->sync_each};
  const adapter *store = test->bench->store;
  alarm(PATIENCE);
  test->bench->handle = store->open(test->bench->folder, &options);
  if (test->bench->handle == NULL) return 1;
  test->wrong = compare(test, under_way);
  return store->close(test->bench->handle) ? 0 : 1;
}

static bool look_in_child(kill_test *test, uint64_t under_way) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) _exit(look(test, under_way));
  return child > 0 && helper_wait(child) == 0;
}

/* A store that is of no use any more is counted, and the next round begins with an empty one. */
static void round_of(kill_test *test) {
  uint64_t end;
  bool usable = kill_one(test, &end);
  test->wrong = 0;
  test->killed++;
  test->acknowledged += end - test->next;
  for (uint64_t n = test->next; n < end; n++) test->last[change_at(n).key] = n;
  test->next = end + 1;
  usable = usable && look_in_child(test, end);
  test->unusable += !usable;
  test->lost += test->wrong;
  if (test->wrong > 0 || !usable) start_over(test);
}

static void emit(const kill_test *test) {
  const struct {
    const char *name;
    double value;
  } lines[] = {{"rounds", test->killed},
               {"acknowledged", (double)test->acknowledged},
               {"unusable", test->unusable},
               {"wrong keys", test->lost}};
  char name[64];
  for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
    snprintf(name, sizeof name, "kill test%s %s", test->sync_each ? " on disk" : "", lines[i].name);
    measure_emit(test->bench, name, lines[i].value);
  }
}

void kill_test_run(bench_state *bench, unsigned rounds, bool sync_each) {
  kill_test *test = mmap(NULL, sizeof *test, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  measure_check(bench, test != MAP_FAILED, "shared memory");
  *test = (kill_test){.bench = bench, .sync_each = sync_each, .keys = all_keys(), .random = {bench->run}};
  start_over(test);
  while (test->killed < rounds) round_of(test);
  emit(test);
  measure_remove_folder(bench);
  free(test->keys);
  munmap(test, sizeof *test);
}
