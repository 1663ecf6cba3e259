/*
** shared_memory_test.c - a store's files are in memory once, however many processes have it open.
**
** What the kernel counts as private are pages that no other process has mapped, so the first process has
** mapped all pages before the second one opens the store.
*/
#include "fixture.h"

#define KEYS 1000000
#define READS 1000

typedef struct second {
  const char *path;
  int filled[2]; /* a pipe: the store is there */
  bool found;    /* all that it looked for */
  long private;  /* kilobytes that became private to it while it opened the store and read */
} second;

static vdb_key key_of(uint64_t number, char text[24]) {
  snprintf(text, 24, "key-%012llu", (unsigned long long)number);
  return text_key(text);
}

static bool fill(vdb_store *store) {
  char text[24], value[100];
  memset(value, 'v', sizeof value);
  for (uint64_t i = 0; i < KEYS; i++)
    if (put_bytes(store, key_of(i, text), value, sizeof value) != VDB_OK) return false;
  return true;
}

static bool read_some(vdb_store *store, uint64_t step) {
  char text[24];
  vdb_value value;
  for (uint64_t i = 0; i < KEYS; i += step) {
    vdb_key key = key_of(i, text);
    if (vdb_get(store, &key, &value, &last_error) != VDB_OK || value.size != 100) return false;
  }
  return true;
}

/* Kilobytes in pages that only this process has, changed or not; -1 when the kernel doesn't say. */
static long private_memory(void) {
  char line[256];
  long total = 0, size;
  int fields = 0;
  FILE *file = fopen("/proc/self/smaps_rollup", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "Private_Clean: %ld kB", &size) == 1 ||
        sscanf(line, "Private_Dirty: %ld kB", &size) == 1) {
      total += size;
      fields++;
    }
  }
  if (file != NULL) fclose(file);
  return fields == 2 ? total : -1;
}

/* Reads once before it measures, so that what the C library needs for that is there. */
static int open_as_second(void *context) {
  second *s = context;
  char byte;
  if (read(s->filled[0], &byte, 1) != 1) return 1;
  private_memory();
  long before = private_memory();
  vdb_store *store = open_store(s->path);
  if (store == NULL) return 1;
  s->found = read_some(store, KEYS / READS);
  s->private = private_memory() - before;
  return before >= 0 && close_store(store) ? 0 : 1;
}

int main(void) {
  second *s = shared_memory(sizeof *s);
  s->path = new_path();
  if (pipe(s->filled) != 0) return 1;
  pid_t child = start_child(open_as_second, s);
  vdb_store *store = open_store(s->path);
  ok(fill(store), "a process writes %d keys", KEYS);
  /* Twice: a read may map a grown log anew, and then what was read before it is not in this process's memory. */
  ok(read_some(store, 1) && read_some(store, 1), "and reads them, so that all of the store is in its memory");
  ok(write(s->filled[1], "", 1) == 1 && wait_child(child) == 0 && s->found,
     "a second process opens the store and reads %d keys", READS);
  ok(s->private < 1024, "for which it takes %ld kB of memory for itself", s->private);
  close_store(store);
  return done_testing();
}
