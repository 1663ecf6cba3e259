/*
** record_memory_test.c - lines when memory runs out. Has its own copy of the code that allocates.
*/
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool exhausted;

static void *allocate(size_t size) {
  return exhausted ? NULL : malloc(size);
}

#define malloc allocate
#include "../../src/engine/record_foreign.c" /* NOLINT(bugprone-suspicious-include) */
#undef malloc

#include "tap.h"

static record_scratch scratch;

static vdb_status parse(const char *line) {
  record entry;
  return record_parse(line, strlen(line), &entry, &scratch);
}

int main(void) {
  static const char ours[] = "{\"key\": 1, \"timestamp\": 1, \"type\": \"del\", \"checksum\": 70912351}\n";
  static const char foreign[] = "{\"type\": \"del\", \"key\": 1, \"timestamp\": 1, \"checksum\": 70912351}\n";
  static const char longer[] =
      "{\"type\": \"del\", \"key\": 1, \"timestamp\": 1, \"checksum\": 70912351}      \n";
  exhausted = true;
  ok(parse(ours) == VDB_OK, "a line in our order needs no memory");
  ok(parse(foreign) == VDB_NO_MEMORY, "another line is not read when memory runs out");
  exhausted = false;
  ok(parse(foreign) == VDB_OK, "it is when there is some again");
  exhausted = true;
  ok(parse(foreign) == VDB_OK, "memory is used again for a line of the same length");
  ok(parse(longer) == VDB_NO_MEMORY && parse(foreign) == VDB_NO_MEMORY, "but not for a longer one");
  exhausted = false;
  ok(parse(foreign) == VDB_OK, "which leaves nothing behind");
  record_scratch_free(&scratch);
  ok(scratch.bytes == NULL && scratch.size == 0, "a scratch is empty when it was freed");
  return done_testing();
}
