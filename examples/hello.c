/*
** hello.c - a store used from C, without Lua.
**
**   make lib
**   cc -Isrc/engine examples/hello.c build/libviperdb.a -pthread -lm -o hello
**   ./hello ./greetings
**
** Keeps greetings in the folder it is given and prints those that are there, with how many runs there were.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "viperdb.h"

static void check(vdb_status status, const vdb_error *error) {
  if (status == VDB_OK || status == VDB_ABSENT) return;
  fprintf(stderr, "%s: %s\n", vdb_status_name(status), error->message);
  exit(1);
}

static void put_text(vdb_store *store, const char *name, const char *text) {
  vdb_error error;
  vdb_key key = vdb_string(name, strlen(name));
  vdb_value value = {.encoding = VDB_BYTES, .bytes = text, .size = strlen(text)};
  check(vdb_put(store, &key, &value, &error), &error);
}

/* Numbers are JSON texts, so that Lua reads them as numbers. */
static int64_t count_run(vdb_store *store) {
  vdb_error error;
  vdb_key key = vdb_string("runs", 4);
  vdb_value value;
  char text[32] = "";
  vdb_status status = vdb_get(store, &key, &value, &error);
  check(status, &error);
  if (status == VDB_OK && value.size < sizeof text) memcpy(text, value.bytes, value.size);

  int64_t runs = strtoll(text, NULL, 10) + 1;
  int size = snprintf(text, sizeof text, "%lld", (long long)runs);
  value = (vdb_value){.encoding = VDB_JSON, .bytes = text, .size = (size_t)size};
  check(vdb_put(store, &key, &value, &error), &error);
  return runs;
}

static void print_all(vdb_store *store) {
  vdb_error error;
  vdb_walk *walk;
  vdb_key key;
  vdb_value value;
  vdb_status status;
  check(vdb_walk_begin(store, &walk, &error), &error);
  while ((status = vdb_walk_next(walk, &key, &value, &error)) == VDB_OK)
    printf("%.*s: %.*s\n", (int)key.size, key.string, (int)value.size, (const char *)value.bytes);
  vdb_walk_end(walk);
  check(status, &error);
}

int main(int argc, char **argv) {
  vdb_store *store;
  vdb_error error;
  check(vdb_open(argc > 1 ? argv[1] : "./greetings", NULL, &store, &error), &error);
  put_text(store, "English", "Hello, ViperDB!");
  put_text(store, "Esperanto", "Saluton, ViperDB!");
  int64_t runs = count_run(store);
  print_all(store);
  printf("This was run %lld.\n", (long long)runs);
  check(vdb_close(store, &error), &error);
  return 0;
}
